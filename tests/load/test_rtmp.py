"""RTMP players against a tiny real server."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import MockClock

from tierkit import Trust
from tierkit.errors import TierkitError
from tierkit.load import run_rtmp
from tierkit.load._rtmp_player import SIGN_OF_LIFE
from tierkit.testing import open_counting_proxy

from .relay import FRAME, KEYS, TinyRelay, relaying


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
        # The end is between two frames, so that what has come is read and said.
        report = await run_rtmp(relay.url, viewers=1, seconds=4 - FRAME / 2, read_every=0)
    assert report.errors == {}
    # The probe's session is the first.
    said = relay.sessions[1].peer_acknowledged
    assert 0 <= report.bytes - said <= relay.sessions[1].window


async def test_dropped_bytes_are_acknowledged_before_the_server_takes_the_player_for_dead(
    fast_clock: MockClock,
) -> None:
    async with relaying(TinyRelay(size=10)) as relay:
        report = await run_rtmp(relay.url, viewers=1, seconds=SIGN_OF_LIFE + 3, read_every=0)
    assert report.errors == {}
    session = relay.sessions[1]
    assert session.window > report.bytes
    assert session.peer_acknowledged > report.bytes / 2


@pytest.mark.parametrize("read_every", [1, 2, 4])
async def test_a_server_that_stops_is_a_stall_for_each(fast_clock: MockClock, read_every: int) -> None:
    async with relaying(TinyRelay()) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(_freeze, relay)
        report = await run_rtmp(relay.url, viewers=4, seconds=5, read_every=read_every)
    assert (report.stalls, report.stalled_viewers, report.errors) == (4, 4, {})


async def test_where_nobody_reads_nobody_can_tell(fast_clock: MockClock) -> None:
    async with relaying(TinyRelay()) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(_freeze, relay)
        report = await run_rtmp(relay.url, viewers=4, seconds=5, read_every=0)
    assert (report.stalls, report.errors) == (0, {})


@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_players_that_drop_and_get_too_little_have_stalled(fast_clock: MockClock, share: float) -> None:
    # The probe's connection is the first, the one player's that reads the second.
    async with relaying(TinyRelay(starved=frozenset({3, 5}), share=share)) as relay:
        report = await run_rtmp(relay.url, viewers=5, seconds=7, read_every=5)
    assert (report.stalled_viewers, report.errors) == (2, {})
    assert report.stalls == 2 if not share else 2 <= report.stalls <= 6


@pytest.mark.parametrize(
    ("share", "starved", "stalled"),
    [
        # Of each second from frame 40 on.  A twentieth less is borne in any 5 s; what it adds up to is not.
        (0.98, 0, 0),
        (0.90, 2, 2),
        (0.75, 2, 2),
    ],
)
async def test_players_that_drop_must_get_95_percent_of_any_5_s(
    fast_clock: MockClock, share: float, starved: int, stalled: int
) -> None:
    async with relaying(TinyRelay(starved=frozenset({3, 5}), share=share, starve_at=40)) as relay:
        report = await run_rtmp(relay.url, viewers=5, seconds=24, read_every=5)
    assert [each.viewer for each in report.audience if each.starved] == [1, 3][:starved]
    assert (report.starved_viewers, report.stalled_viewers, report.errors) == (starved, stalled, {})


@pytest.mark.parametrize(("pause", "starved"), [(1.5, 0), (2.7, 5)])
async def test_a_hole_starves_though_it_is_no_stall(fast_clock: MockClock, pause: float, starved: int) -> None:
    # 2 s are in hand: one and a half came at once, and the frames until the next look.  So the picture stands still for
    # 0.7 s, of which a look may miss a quarter, and the clock is as much ahead of the media: less than makes a stall.
    relay = TinyRelay(back=15)
    async with relaying(relay), trio.open_nursery() as nursery:

        async def hold() -> None:
            await trio.sleep(6)
            relay.pause = pause

        nursery.start_soon(hold)
        # Who reads comes first, so that the others know from the beginning what they have.
        report = await run_rtmp(relay.url, viewers=5, seconds=10, ramp=2, read_every=5)
    assert (report.starved_viewers, report.stalls, report.errors) == (starved, 0, {})


async def test_what_waits_over_tls_has_come_all_the_same(fast_clock: MockClock, tmp_path: Path) -> None:
    # 30 KB a second: less than a player that drops is woken for, for longer than makes a stall.
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with relaying(TinyRelay(starved=frozenset({5})), context=context) as relay:
        url = relay.url.replace("rtmp:", "rtmps:")
        report = await run_rtmp(url, viewers=4, seconds=9, read_every=4, trust=Trust(ca=str(tmp_path / "ca.pem")))
    # The last one gets nothing from the second second on.
    assert [each.viewer for each in report.audience if each.stalls or each.starved] == [3]
    assert report.errors == {}


async def test_pings_are_answered_by_all(fast_clock: MockClock) -> None:
    async with relaying(TinyRelay(ping_every=10)) as relay:
        report = await run_rtmp(relay.url, viewers=4, seconds=12, read_every=4)
    assert (report.errors, report.stalls, report.starved_viewers) == ({}, 0, 0)
    # The probe's session is the first.  Each was pinged once a second.  Those who drop know only from the first second
    # on that the server pings, and look every other second.
    assert relay.pongs[1] >= 11
    assert all(each >= 7 for each in relay.pongs[2:])


@pytest.mark.parametrize(("batch", "back"), [(1, 15), (4, 0), (4, 15)])
async def test_players_that_drop_bear_batches_and_keyframes(fast_clock: MockClock, batch: int, back: int) -> None:
    async with relaying(TinyRelay(batch=batch, back=back)) as relay:
        report = await run_rtmp(relay.url, viewers=6, seconds=8, ramp=3, read_every=3)
    assert (report.stalls, report.errors) == (0, {})


# Where nobody reads, nobody knows what a player has in hand, so coming again after a second is too late there.
@pytest.mark.parametrize(("read_every", "away", "stalls"), [(0, 4, 3), (1, 4, 3), (2, 4, 3), (1, 0, 0), (2, 0, 0)])
async def test_a_connection_that_is_lost_for_long_is_a_stall(
    fast_clock: MockClock, read_every: int, away: int, stalls: int
) -> None:
    # A player has 1.5 s in hand, and tries again after one.
    relay = TinyRelay(back=15)
    async with relaying(relay), open_counting_proxy(f"127.0.0.1:{relay.port}") as proxy:

        async def cut() -> None:
            await trio.sleep(2)
            proxy.refuse = bool(away)
            proxy.cut()
            await trio.sleep(away)
            proxy.refuse = False

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cut)
            report = await run_rtmp(f"rtmp://{proxy.address}/live/s", viewers=3, seconds=9, read_every=read_every)
    assert set(report.errors) == {"reset"}
    assert (report.stalls, report.stalled_viewers) == (stalls, stalls)


async def test_startup_is_from_the_first_attempt_and_once(fast_clock: MockClock) -> None:
    relay = TinyRelay(silent=True)
    async with relaying(relay), open_counting_proxy(f"127.0.0.1:{relay.port}") as proxy:

        async def let_them_wait() -> None:
            await trio.sleep(2)
            relay.silent = False
            proxy.cut()
            await trio.sleep(3)
            proxy.cut()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(let_them_wait)
            report = await run_rtmp(f"rtmp://{proxy.address}/live/s", viewers=3, seconds=7)
    assert report.errors == {"reset": 6}
    assert report.startup_ms.p50 is not None
    assert report.startup_ms.p50 > 2500


@pytest.mark.parametrize(("leap", "errors"), [(-5000, {"timestamps": 6}), (5000, {"gap": 3})])
async def test_a_stream_whose_clock_leaps_is_not_late_for_that(
    fast_clock: MockClock, leap: int, errors: dict[str, int]
) -> None:
    async with relaying(TinyRelay(leap=leap, leap_at=40)) as relay:
        report = await run_rtmp(relay.url, viewers=6, seconds=8, read_every=2)
    assert report.errors == errors
    assert report.latency_ms.p99 is not None
    assert report.latency_ms.p99 < 2000
    assert report.stalls == 0


async def test_bytes_are_those_behind_the_ramp(fast_clock: MockClock) -> None:
    relay = TinyRelay(size=20_000)
    async with relaying(relay):
        # Both ends are two and a half frames behind a keyframe, when the kernel holds 40 KB of each player.
        report = await run_rtmp(relay.url, viewers=4, seconds=4, ramp=4 + 2.5 * FRAME, read_every=0)
    # What the kernel holds counts as come at both ends, or at one of them 160 KB would be missing: 3 %.
    rate = (20_000 * (KEYS + 9) / KEYS + 80) / FRAME
    assert report.bytes == pytest.approx(4 * 4 * rate, rel=0.015)


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
