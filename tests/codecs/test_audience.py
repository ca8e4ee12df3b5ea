"""Viewers, counted from requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import audience
from tierkit.codecs.audience import WINDOW, Audience, session_id


def test_who_asks_often_is_one_and_who_stays_away_is_none() -> None:
    found = Audience()
    for second in range(60):
        found.seen(1, "a", float(second))
        if second < 10:
            found.seen(2, "a", float(second))
    assert found.count(9.0) <= 2
    assert found.count(60.0) == 1
    assert found.count(60.0 + WINDOW) == 0
    assert found.count(1000.0, "a") == 0


def test_streams_are_counted_by_themselves() -> None:
    found = Audience()
    for identity, stream in ((1, "a"), (2, "a"), (2, "b"), (3, "b"), (3, "b")):
        found.seen(identity, stream, 0.0)
    assert (found.count(1.0), found.count(1.0, "a"), found.count(1.0, "b"), found.count(1.0, "c")) == (3, 2, 2, 0)


def test_it_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "MOST", 10)
    monkeypatch.setattr(audience, "STREAMS", 3)
    found = Audience()
    for identity in range(50):
        found.seen(identity, f"s{identity}", 0.0)
    assert (found.count(0.0), found.full, len(found._streams)) == (10, True, 3)
    found.seen(1, "s1", WINDOW / 2)
    assert not found.full


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3 * WINDOW)), max_size=40), st.floats(0, WINDOW))
def test_nobody_is_forgotten_early_or_kept_late(seen: list[tuple[int, float]], later: float) -> None:
    found = Audience()
    seen = sorted(seen, key=lambda each: each[1])
    for identity, at in seen:
        found.seen(identity, "s", at)
    now = (seen[-1][1] if seen else 0.0) + later
    surely = {identity for identity, at in seen if now - at < WINDOW / 2}
    perhaps = {identity for identity, at in seen if now - at <= WINDOW}
    assert len(surely) <= found.count(now) <= len(perhaps)
    assert found.count(now, "s") == found.count(now)


@pytest.mark.parametrize(
    ("target", "field", "sid"),
    [
        (b"/a?CMCD=bl%3D100%2Csid%3D%226e2fb550-c457%22%2Cst%3Dl", None, b"6e2fb550-c457"),
        (b"/a?x=1&CMCD=sid%3D%22x%22", None, b"x"),
        (b"/a?CMCD=xsid%3D%22x%22", None, None),
        (b"/a?CMCD=sid%3D%22%22", None, None),
        (b"/a?CMCD=sid%3D%22" + b"x" * 65 + b"%22", None, None),
        (b"/a?XCMCD=sid%3D%22x%22", None, None),
        (b"/a", b'cid="c",sid="x",st=l', b"x"),
        (b"/a", b'sid="x"', b"x"),
        (b"/a", b'xsid="x"', None),
        (b"/a", None, None),
    ],
)
def test_session_ids(target: bytes, field: bytes | None, sid: bytes | None) -> None:
    assert session_id(target, field) == sid


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_target_has_one_or_none(target: bytes, field: bytes) -> None:
    sid = session_id(b"/a?CMCD=" + target, field)
    assert sid is None or 1 <= len(sid) <= 64
