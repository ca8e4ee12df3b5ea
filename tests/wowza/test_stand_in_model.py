"""The stand-in's state: chunks that follow from time, sessions that are reaped, ids that a seed gives."""

from __future__ import annotations

import itertools

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tierkit.testing.wowza import Epoch, Mode, Place, Server, place_of

PLACE = Place("live", "_definst_", "myStream")


@define
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Server:
    return Server(clock)


def numbers(server: Server, *, dvr: bool = False) -> list[int]:
    stream = server.find(PLACE)
    assert stream is not None
    return [each.number for each in stream.listed(server.now(), dvr=dvr)]


@pytest.mark.parametrize(
    ("seconds", "listed"),
    [(0, []), (9.6, []), (20.16, []), (29.7, []), (29.76, [0, 1, 2]), (30.71, [0, 1, 2]), (30.72, [1, 2, 3])],
)
def test_a_playlist_comes_when_three_chunks_are_there(
    server: Server, clock: Clock, seconds: float, listed: list[int]
) -> None:
    server.publish("live/myStream")
    clock.now += seconds
    assert numbers(server) == listed


def test_ten_can_be_fetched_and_three_are_listed(server: Server, clock: Clock) -> None:
    stream = server.publish("live/myStream", pattern=(1,), on_air_for=96.0)
    assert numbers(server) == [97, 98, 99]
    there = [number for number in range(120) if stream.chunk(number, clock.now) is not None]
    assert there == list(range(90, 100))
    assert len(numbers(server, dvr=True)) == 60


@given(
    pattern=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    seconds=st.floats(0, 1e6, allow_nan=False),
    first=st.integers(0, 10**6),
)
def test_chunks_lie_end_to_end(pattern: list[int], seconds: float, first: int) -> None:
    epoch = Epoch(0, 5.0, tuple(pattern), first)
    chunks = epoch.newest(5.0 + seconds, 20)
    for one, other in itertools.pairwise(chunks):
        assert (other.number, other.gop) == (one.number + 1, one.gop + one.gops)
    if chunks:
        assert epoch.there_at(chunks[-1].number) <= 5.0 + seconds + 1e-3
        assert epoch.there_at(chunks[-1].number + 1) > 5.0 + seconds
        assert all(each.seconds <= epoch.target + 0.5 for each in chunks)


def test_an_encoder_that_comes_back_numbers_from_0(server: Server, clock: Clock) -> None:
    stream = server.publish("live/myStream", on_air_for=3600)
    before, known = numbers(server), stream.bytes_in(clock.now)
    assert before[0] > 400
    server.publish("live/myStream")
    assert numbers(server) == []
    clock.now += 30
    assert numbers(server) == [0, 1, 2]
    assert stream.bytes_in(clock.now) == pytest.approx(known + 30 * stream.bitrate / 8)
    assert stream.epoch.index == 1


def test_off_the_air_no_bytes_come_in(server: Server, clock: Clock) -> None:
    told: list[Place] = []
    server.changed.append(told.append)
    stream = server.publish("live/myStream", on_air_for=60)
    server.unpublish("live/myStream")
    then = stream.bytes_in(clock.now)
    clock.now += 10
    assert (stream.bytes_in(clock.now), numbers(server), told) == (then, [], [PLACE, PLACE])
    with pytest.raises(KeyError, match="live/_definst_/other"):
        server.unpublish("live/other")


def test_ids_follow_from_the_seed(clock: Clock) -> None:
    one, same, other = Server(clock, seed=1), Server(clock, seed=1), Server(clock, seed=2)
    ids = [[each.new_id() for _ in range(5)] for each in (one, same, other)]
    assert ids[0] == ids[1] != ids[2]
    assert all(0 < each < 1 << 31 for row in ids for each in row)


def test_sessions_are_reaped_when_they_are_idle(server: Server, clock: Clock) -> None:
    busy = server.sessions.begin(PLACE, "10.0.0.1", "", clock.now)
    idle = server.sessions.begin(PLACE, "10.0.0.2", "", clock.now)
    clock.now += 59
    assert server.sessions.seen(busy.id, PLACE, clock.now) is busy
    clock.now += 1
    assert server.hls(PLACE) == [busy]
    assert server.sessions.ended == [idle]
    assert idle.reaped
    assert server.sessions.seen(idle.id, PLACE, clock.now) is None
    assert server.sessions.seen(busy.id, place_of("live/other"), clock.now) is None


def test_in_origin_mode_nobody_is_counted(clock: Clock) -> None:
    server = Server(clock, mode="origin")
    server.sessions.begin(PLACE, "10.0.0.1", "", clock.now)
    assert server.hls() == []


def test_bytes_are_counted_at_each_level(server: Server, clock: Clock) -> None:
    server.publish("live/myStream")
    server.application("vod")
    server.count_sent(1000, "live")
    server.accepted("live")
    server.rejected("vod")
    live, vod = server.applications["live"], server.applications["vod"]
    levels = [server, live, live.instances["_definst_"], vod]
    assert [each.sent.total for each in levels] == [1000, 1000, 1000, 0]
    assert [(each.connections.accepted, each.connections.rejected) for each in levels] == [
        (1, 1),
        (1, 0),
        (1, 0),
        (0, 1),
    ]
    assert server.sent.rate(clock.now) == 100.0
    clock.now += 10
    assert server.sent.rate(clock.now) == 0.0
    for _ in range(100):
        clock.now += 1
        server.count_sent(10)
    assert server.sent.rate(clock.now) == 10.0
    assert len(server.sent._seconds) <= 10


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("live/s", Place("live", "_definst_", "s")),
        ("/live/s/", Place("live", "_definst_", "s")),
        ("live/inst/s", Place("live", "inst", "s")),
        ("live/inst/a/b", Place("live", "inst", "a/b")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize("text", ["", "live", "live/", "live//s", "/"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="APP/NAME"):
        place_of(text)


def test_what_no_server_can_be(clock: Clock) -> None:
    with pytest.raises(ValueError, match="wms3, wse42, wse47, wse49"):
        Server(clock, profile="wse1")
    with pytest.raises(ValueError, match="nothing"):
        Server(clock, mode="nothing")
    with pytest.raises(ValueError, match="licence"):
        Server(clock, mode=Mode.origin, origin_available=False)


def test_after_a_restart_nobody_is_known(clock: Clock) -> None:
    server = Server(clock, mode="origin-fixed")
    stream = server.publish("live/myStream", on_air_for=3600)
    server.publish("live/gone")
    server.unpublish("live/gone")
    session, fixed = server.sessions.begin(PLACE, "10.0.0.1", "", clock.now), server.fixed_id
    server.count_sent(5, "live")
    server.restart()
    assert server.fixed_id != fixed
    assert server.sessions.seen(session.id, PLACE, clock.now) is None
    assert not server.sessions.was(session.id)
    assert (server.sent.total, stream.epoch.index, stream.is_connected) == (0, 1, True)
    gone = server.find(place_of("live/gone"))
    assert gone is not None
    assert not gone.is_connected
