"""What a pattern means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.errors import LocalProtocolError
from tierkit.plugin import Pattern


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("/live/s/x.ts", "/live/s/x.ts", True),
        ("/live/s/x.ts", "/live/s/x.ts?a=1", True),
        ("/live/s/x.ts?a=1", "/live/s/x.ts?a=1", True),
        ("/live/s/x.ts?a=1", "/live/s/x.ts", False),
        ("/live/s/x.ts", "/live/s/x.tsx", False),
        ("/live/s*", "/live/s2/x.ts", True),
        ("/live/s/*", "/live/s2/x.ts", False),
        ("stream:live/s", "/live/s/x.ts", True),
        ("stream:/live/s/", "/live/s/deep/x.ts?a", True),
        ("stream:live/s", "/live/s2/x.ts", False),
        ("*", "/anything", True),
    ],
)
def test_what_is_meant(pattern: str, path: str, meant: bool) -> None:
    assert Pattern.parse(pattern).matches(path) is meant


@pytest.mark.parametrize("pattern", ["", "live/s", "/a*b", "**", "stream:", "stream:*", "/é", "/a\n", "/" + "a" * 9000])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(LocalProtocolError):
        Pattern.parse(pattern)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_pattern_or_told(pattern: str, path: str) -> None:
    try:
        found = Pattern.parse(pattern)
    except LocalProtocolError:
        return
    assert found.matches("/" + path) in (True, False)
