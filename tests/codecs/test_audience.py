"""Viewers, counted from requests."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import audience
from tierkit.codecs.audience import WINDOW, Audience, Identities, session_id, window_for


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
    # The count stays too low as long as the window in which it was full.
    found.seen(1, "s1", WINDOW / 2)
    assert found.full
    found.seen(1, "s1", WINDOW)
    assert not found.full


def test_who_is_in_many_streams_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience, "MOST_ENTRIES", 10)
    found = Audience()
    for stream in range(8):
        for identity in range(3):
            found.seen(identity, f"s{stream}", 0.0)
    assert (found.count(0.0), found.full, found._entries) == (3, True, 10)
    found.seen(7, "s7", 3 * WINDOW)
    assert (found.full, found._entries, list(found._streams)) == (False, 1, ["s7"])


def test_a_stream_has_the_window_of_its_target_duration() -> None:
    assert [window_for(each) for each in (0.5, 2.0, 6.0, 10.0, 1e9)] == [15.0, 15.0, 18.0, 30.0, 180.0]
    found = Audience()
    for stream, target in (("quick", 2.0), ("slow", 20.0)):
        found.pace(stream, target, 0.0)
        found.seen(1, stream, 0.0)
    counts = [(found.count(at, "quick"), found.count(at, "slow"), found.count(at)) for at in (9.0, 16.0, 39.0, 61.0)]
    assert counts == [(1, 1, 1), (0, 1, 1), (0, 1, 1), (0, 0, 0)]


def test_saying_the_pace_again_changes_nothing() -> None:
    found = Audience()
    for second in range(0, 20, 4):
        found.pace("s", 2.0, float(second))
        found.seen(second, "s", float(second))
    # A window of 15 s has thirds of 5 s: those of 0 and 4 are gone at 16.
    assert found.count(16.0, "s") == 3


def test_identities_are_by_what_tells_most() -> None:
    made = Identities(b"salt")
    everything = made.of(token=b"t", sid=b"s", address="192.0.2.1", agent=b"x")
    assert everything == made.of(token=b"t", address="192.0.2.2") != made.of(token=b"u")
    assert made.of(sid=b"s", address="192.0.2.1") == made.of(sid=b"s") != made.of(token=b"s")
    assert made.of(address="a", agent=b"b") != made.of(address="ab")
    assert made.of(address="192.0.2.1", agent=b"x") != made.of(address="192.0.2.1", agent=b"y")
    assert made.of(token=b"t") != Identities(b"pepper").of(token=b"t")
    assert 0 <= everything < 1 << 64
    # blake2b of 8 bytes with this key: the same in every process and release.
    assert everything == int.from_bytes(hashlib.blake2b(b"tt", key=b"salt", digest_size=8).digest(), "little")


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3 * WINDOW)), max_size=40), st.floats(0, WINDOW))
def test_nobody_is_forgotten_early_or_kept_late(seen: list[tuple[int, float]], later: float) -> None:
    found = Audience()
    seen = sorted(seen, key=lambda each: each[1])
    for identity, at in seen:
        found.seen(identity, "s", at)
    now = (seen[-1][1] if seen else 0.0) + later
    surely = {identity for identity, at in seen if now - at < 2 * WINDOW / 3 - 1e-6}
    perhaps = {identity for identity, at in seen if now - at <= WINDOW + 1e-6}
    assert len(surely) <= found.count(now) <= len(perhaps)
    assert found.count(now, "s") == found.count(now)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.floats(0, 4 * WINDOW)), max_size=60))
def test_the_counts_are_those_of_the_sets(seen: list[tuple[int, str, float]]) -> None:
    found = Audience()
    for identity, stream, at in sorted(seen, key=lambda each: each[2]):
        found.seen(identity, stream, at)
        for ring in (found._all, *found._streams.values()):
            assert ring is not None
            assert ring.count == len(ring.new | ring.middle | ring.old)
        assert found._entries == sum(ring.entries for ring in found._streams.values())


@pytest.mark.parametrize(
    ("target", "field", "sid"),
    [
        (b"/a?CMCD=bl%3D100%2Csid%3D%226e2fb550-c457%22%2Cst%3Dl", None, b"6e2fb550-c457"),
        (b"/a?x=1&CMCD=sid%3D%22x%22", None, b"x"),
        (b"/a?CMCD=st=l,sid=%22x%22", None, b"x"),
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
