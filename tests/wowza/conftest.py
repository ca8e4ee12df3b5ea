"""Tests that rely on what is only assumed of Wowza say so, by name, or fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .tiers import RELIED


@pytest.fixture(autouse=True)
def assumptions_are_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    RELIED.clear()
    yield
    marked = {name for marker in request.node.iter_markers("assumes") for name in marker.args}
    unmarked = ", ".join(repr(each) for each in sorted(RELIED - marked))
    assert not unmarked, f"relies on what is assumed of Wowza: mark it @pytest.mark.assumes({unmarked})"
