"""What a shared cache may do with an answer: the table at the head of `live_cache`, line by line."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.hls import Kind, PlaylistFacts
from tierkit.codecs.http1 import Headers
from tierkit.codecs.live_cache import (
    decide,
)

LIVE = PlaylistFacts(multivariant=False, target_duration=6, window=18)
SLOW = PlaylistFacts(multivariant=False, target_duration=10, window=30)
MASTER = PlaylistFacts(multivariant=True)
ENDED = PlaylistFacts(multivariant=False, target_duration=6, window=600, ended=True)


def cc(value: str) -> Headers:
    return [(b"cache-control", value.encode())]


#: class, facts, Cache-Control, then: fresh, stale while revalidated, stale if error.
LIFETIMES: list[tuple[Kind, PlaylistFacts | None, str, float, float, float]] = [
    # A media playlist: half its target duration, less where the origin says so, never more.
    ("playlist", LIVE, "", 3, 3, 18),
    ("playlist", LIVE, "max-age=1", 1, 3, 18),
    ("playlist", LIVE, "max-age=86400", 3, 3, 18),
    ("playlist", LIVE, "max-age=86400, s-maxage=2", 2, 3, 18),
    ("playlist", LIVE, "no-cache", 3, 3, 18),
    ("playlist", LIVE, "max-age=0", 3, 3, 18),
    ("playlist", LIVE, "max-age=x", 3, 3, 18),
    ("playlist", SLOW, "", 5, 5, 30),
    ("playlist", PlaylistFacts(multivariant=False), "", 3, 3, 18),  # Apple's 6 s where nothing is told
    ("playlist", PlaylistFacts(multivariant=False, target_duration=3600), "", 30, 30, 180),
    # A multivariant playlist: half a target duration at least, a minute at most.
    ("playlist", MASTER, "", 3, 3, 18),
    ("playlist", MASTER, "max-age=1", 3, 3, 18),
    ("playlist", MASTER, "max-age=20", 20, 3, 18),
    ("playlist", MASTER, "max-age=86400", 60, 3, 18),
    # One that has ended changes no more.
    ("playlist", ENDED, "", 60, 60, 3600),
    ("playlist", ENDED, "max-age=10", 10, 60, 3600),
    # A segment: six target durations, its window, or what the origin says: the longest.
    ("segment", None, "", 36, 0, 18),
    ("segment", None, "max-age=1", 36, 0, 18),
    ("segment", None, "no-cache", 36, 0, 18),
    ("segment", None, "max-age=3600", 3600, 0, 18),
    # Anything else: what it says, and nothing where it says nothing.
    ("other", None, "max-age=5", 5, 0, 0),
    ("other", None, "max-age=5, stale-while-revalidate=2, stale-if-error=9", 5, 2, 9),
]


@pytest.mark.parametrize(("kind", "facts", "value", "fresh", "stale", "error"), LIFETIMES)
def test_lifetimes(
    kind: Kind, facts: PlaylistFacts | None, value: str, fresh: float, stale: float, error: float
) -> None:
    found = decide(kind, 200, cc(value) if value else [], facts=facts)
    assert (found.shared, found.fresh, found.while_revalidated, found.if_error) == (True, fresh, stale, error)
    assert found.kept


def test_a_segment_knows_its_stream() -> None:
    assert decide("segment", 200, [], target_duration=2, window=6).fresh == 12
    assert decide("segment", 200, [], target_duration=2, window=7200).fresh == 7200
    assert decide("segment", 200, [], target_duration=2).if_error == 6
    assert decide("playlist", 200, [], facts=MASTER, target_duration=2).fresh == 1


@pytest.mark.parametrize(
    ("kind", "status", "headers"),
    [
        ("playlist", 200, cc("no-store")),
        ("playlist", 200, cc("private")),
        ("segment", 200, cc("private, max-age=60")),
        ("segment", 200, cc("max-age=60, no-store")),
        ("segment", 404, cc("private")),
        ("segment", 200, [(b"vary", b"Cookie")]),
        ("segment", 200, [(b"vary", b"*")]),
        ("segment", 200, [(b"vary", b"*, foo")]),
        ("segment", 200, [(b"vary", b"Accept-Encoding, Authorization")]),
        ("other", 200, []),
        ("other", 200, cc("no-cache, max-age=5")),
        ("other", 200, [*cc("max-age=5"), (b"set-cookie", b"a=b")]),
        ("segment", 206, []),
        ("segment", 304, []),
        ("segment", 401, []),
        ("segment", 407, []),
        ("segment", 500, cc("max-age=60")),
        ("segment", 503, cc("max-age=60")),
        ("segment", 999, []),
    ],
)
def test_what_is_not_for_others(kind: Kind, status: int, headers: Headers) -> None:
    found = decide(kind, status, headers, facts=LIVE if kind == "playlist" else None)
    assert not found.shared
    assert found.reason


def test_what_is_private_by_name_is_shared_without_it() -> None:
    found = decide("segment", 200, cc('private="x-user", no-cache="set-cookie"'))
    assert (found.shared, found.strip) == (True, {b"x-user", b"set-cookie", b"set-cookie2"})


@pytest.mark.parametrize("name", [b"cdn-cache-control", b"tierkit-cache-control"])
def test_what_is_said_to_caches_like_us_counts_alone(name: bytes) -> None:
    found = decide("playlist", 200, [*cc("private, max-age=60"), (name, b"max-age=1")], facts=LIVE)
    assert (found.shared, found.fresh) == (True, 1)


@pytest.mark.parametrize(("told", "fresh"), [(1, 3), (20, 20), (86400, 60)])
def test_a_multivariant_playlist_lives_from_half_a_target_duration_to_a_minute(told: int, fresh: float) -> None:
    assert decide("playlist", 200, cc(f"max-age={told}"), facts=MASTER).fresh == fresh


def test_parts_make_a_playlist_short_lived() -> None:
    facts = PlaylistFacts(multivariant=False, target_duration=6, part_target=1, window=18)
    found = decide("playlist", 200, [], facts=facts)
    assert (found.fresh, found.while_revalidated, found.if_error) == (0.5, 0.5, 18)


def test_what_was_waited_for_is_kept_for_who_comes_for_it_now() -> None:
    found = decide("playlist", 200, cc("no-cache"), facts=LIVE, blocking=True)
    assert (found.fresh, found.while_revalidated, found.if_error) == (36, 0, 0)


def test_the_time_that_upstream_took_is_age() -> None:
    found = decide("playlist", 200, [(b"age", b"1")], facts=LIVE, delay=0.5)
    assert found.age == 1.5


def test_vary_by_what_we_never_vary_is_harmless() -> None:
    assert decide("segment", 200, [(b"vary", b"Accept-Encoding, ORIGIN")]).shared


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize(
    ("value", "fresh"), [("", 1), ("max-age=60", 1), ("max-age=0", 0), ("no-store", 0), ("no-cache", 1)]
)
def test_not_there(status: int, value: str, fresh: float) -> None:
    found = decide("playlist", status, cc(value) if value else [])
    assert (found.shared, found.fresh, found.kept) == (True, fresh, fresh > 0)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 405, 414, 431])
def test_refusals_and_redirections_are_for_those_who_wait(status: int) -> None:
    found = decide("segment", status, cc("max-age=60"))
    assert (found.shared, found.kept) == (True, False)


@pytest.mark.parametrize(("age", "fresh"), [(0, 3), (2, 3), (3, 3.75), (5, 5.75), (100, 100.75)])
def test_what_is_old_on_arrival_is_fresh_for_a_moment(age: int, fresh: float) -> None:
    found = decide("playlist", 200, [(b"age", b"%d" % age)], facts=LIVE)
    assert (found.age, found.fresh) == (age, pytest.approx(fresh))


def test_a_segments_lifetime_begins_when_it_arrives() -> None:
    assert decide("segment", 200, [(b"age", b"30")]).fresh == 36 + 30


@given(
    st.sampled_from(["playlist", "segment", "other"]),
    st.integers(100, 599),
    st.lists(st.tuples(st.sampled_from([b"cache-control", b"age", b"vary", b"expires"]), st.binary(max_size=40))),
    st.floats(0, 1e6),
    st.floats(0, 1e9),
)
def test_any_answer_has_a_bounded_lifetime(
    kind: Kind, status: int, headers: Headers, target: float, window: float
) -> None:
    facts = PlaylistFacts(multivariant=False, target_duration=target, window=window) if kind == "playlist" else None
    found = decide(kind, status, headers, facts=facts, target_duration=target, window=window)
    for seconds in (found.fresh, found.while_revalidated, found.if_error, found.age):
        assert 0 <= seconds < math.inf
    if status >= 500:
        assert not found.shared
    if kind == "playlist" and found.shared and status == 200:
        assert found.fresh - found.age <= 60
