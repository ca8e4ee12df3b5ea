"""RTMP players against a tiny real server."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tierkit.errors import TierkitError
from tierkit.load import run_rtmp
from tierkit.testing import open_counting_proxy

from .relay import TinyRelay, relaying


@pytest.mark.parametrize("read_every", [0, 1, 2])
async def test_a_healthy_stream(fast_clock: MockClock, read_every: int) -> None:
    async with relaying(TinyRelay()) as relay:
        report = await run_rtmp(relay.url, viewers=4, seconds=4, read_every=read_every)
    assert report.errors == {}
    assert (report.viewers, report.stalls, relay.connections) == (4, 0, 5)
    assert report.startup_ms.p50 is not None
    assert (report.latency_ms.p50 is None) == (read_every == 0)
    # Four players, ten pictures a second.
    assert report.bytes > 4 * 30 * relay.size


@pytest.mark.parametrize("read_every", [0, 1])
async def test_reading_and_dropping_count_the_same_bytes(fast_clock: MockClock, read_every: int) -> None:
    relay = TinyRelay()
    async with relaying(relay), open_counting_proxy(f"127.0.0.1:{relay.port}") as proxy:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_freeze, relay)
            url = f"rtmp://{proxy.address}/live/s"
            report = await run_rtmp(url, viewers=3, seconds=2.5, read_every=read_every)
        # Without the handshake, and without the probe.
        sent = sum(each.received - 3073 for each in proxy.connections[1:])
        assert report.bytes == sent
        assert proxy.plays == ["live/s"] * 4


async def _freeze(relay: TinyRelay) -> None:
    # Nothing is under way at the end of the run, so that the count is exact.
    await trio.sleep(2)
    relay.frozen = True


async def test_dropped_bytes_are_acknowledged(fast_clock: MockClock) -> None:
    async with relaying(TinyRelay(size=200_000)) as relay:
        report = await run_rtmp(relay.url, viewers=1, seconds=4, read_every=0)
    assert report.errors == {}
    # The probe's session is the first.
    said = relay.sessions[1].peer_acknowledged
    assert 0 <= report.bytes - said <= relay.sessions[1].window


async def test_a_server_that_stops_is_a_stall_for_each_reading_player(fast_clock: MockClock) -> None:
    async with relaying(TinyRelay()) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(_freeze, relay)
        report = await run_rtmp(relay.url, viewers=4, seconds=5, read_every=2)
    assert (report.stalls, report.stalled_viewers, report.errors) == (2, 2, {})


@pytest.mark.parametrize(
    ("fault", "errors"),
    [
        ({"without_key": True}, {"no keyframe first": 2}),
        ({"leap": 1500}, {"gap": 2}),
        ({"leap": -500}, {"timestamps": 4}),
        ({"end_at": 20}, {"stream ended": 2}),
    ],
)
async def test_what_reading_players_find(fast_clock: MockClock, fault: dict[str, int], errors: dict[str, int]) -> None:
    async with relaying(TinyRelay(**fault)) as relay:  # type: ignore[arg-type]
        report = await run_rtmp(relay.url, viewers=2, seconds=3, read_every=1)
    assert report.errors == errors


async def test_players_who_never_get_anything_are_counted(fast_clock: MockClock) -> None:
    async with relaying(TinyRelay(silent=True)) as relay:
        report = await run_rtmp(relay.url, viewers=3, seconds=1)
    assert report.errors == {"nothing came": 3}
    assert (report.startup_ms.p50, report.gbit_per_s) == (None, pytest.approx(0, abs=1e-4))


async def test_a_cut_is_counted_and_players_come_again(fast_clock: MockClock) -> None:
    relay = TinyRelay()
    async with relaying(relay), open_counting_proxy(f"127.0.0.1:{relay.port}") as proxy:

        async def cut() -> None:
            await trio.sleep(2)
            proxy.cut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            report = await run_rtmp(f"rtmp://{proxy.address}/live/s", viewers=4, seconds=5, read_every=2)
    assert report.errors == {"reset": 4}
    assert len(proxy.connections) == 1 + 4 + 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"refuse_connect": True}, "NetConnection.Connect.Rejected no such application"),
        ({"refuse_play": True}, "NetStream.Play.StreamNotFound"),
    ],
)
async def test_a_refusal_is_one_line_before_the_crowd_comes(fault: dict[str, bool], said: str) -> None:
    async with relaying(TinyRelay(**fault)) as relay:  # type: ignore[arg-type]
        with pytest.raises(TierkitError, match=said) as caught:
            await run_rtmp(relay.url, viewers=50, seconds=1)
        assert relay.connections == 1
    assert "\n" not in str(caught.value)


async def test_no_server_and_odd_urls_are_one_line() -> None:
    async with relaying(TinyRelay()) as relay:
        url = relay.url
    with pytest.raises(TierkitError, match="nothing listens there"):
        await run_rtmp(url, viewers=1, seconds=1)
    with pytest.raises(TierkitError, match="write rtmp://HOST:PORT/APP/NAME"):
        await run_rtmp("http://h/live/s", viewers=1, seconds=1)
    with pytest.raises(TierkitError, match="give at least 1"):
        await run_rtmp(url, viewers=0, seconds=1)
