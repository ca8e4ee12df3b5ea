"""HLS viewers against a tiny real origin."""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from trio.testing import MockClock

from tierkit import Trust
from tierkit.codecs.cmcd import Cmcd as CmcdTold
from tierkit.codecs.cmcd import from_fields, from_query
from tierkit.errors import TierkitError
from tierkit.load import Live, _wire, run_hls
from tierkit.load._abr import Choice
from tierkit.load._cmcd import Cmcd
from tierkit.testing import open_counting_proxy

from .support import TinyOrigin, packet, serving, ts


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("read_every", [0, 1, 2])
async def test_a_healthy_stream(fast_clock: MockClock, framing: str, read_every: int) -> None:
    async with serving(TinyOrigin(framing=framing)) as origin:
        report = await run_hls(origin.url, viewers=4, seconds=3.3, read_every=read_every)
    assert report.errors == {}
    assert (report.viewers, report.stalls, report.stalled_viewers) == (4, 0, 0)
    assert report.startup_ms.p50 is not None
    assert (report.latency_ms.p50 is None) == (read_every == 0)
    # Each viewer asks for the multivariant playlist once, as does the probe.
    assert origin.seen["/master.m3u8"] == 5
    if framing != "close":
        assert origin.connections == 5


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("read_every", [0, 1])
async def test_bytes_are_exact(fast_clock: MockClock, framing: str, read_every: int) -> None:
    # A recording has an end: all bodies have come then, and the run ends early.
    async with serving(TinyOrigin(framing=framing, vod=True, frozen_at=0.0)) as origin:
        report = await run_hls(origin.url, viewers=3, seconds=60, read_every=read_every)
        playlists = len(await _body(origin, "/master.m3u8")) + len(await _body(origin, "/live/media.m3u8"))
    segments = sum(len(ts(number)) for number in range(94, 100))
    assert report.errors == {}
    assert report.bytes == 3 * (playlists + segments)
    assert report.seconds < 30


async def _body(origin: TinyOrigin, path: str) -> bytes:
    _, body = await origin.answer(path)
    return body


async def test_a_live_stream_begins_three_segments_from_its_end(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(frozen_at=0.0)) as origin:
        await run_hls(origin.url, viewers=1, seconds=0.4)
    assert sorted(each for each in origin.seen if each.endswith(".ts")) == [f"/live/{n}.ts" for n in (97, 98, 99)]


async def test_playlists_are_asked_for_by_the_rules(fast_clock: MockClock) -> None:
    # Nothing changes: half a target duration between two, but a whole one behind the first.
    async with serving(TinyOrigin(frozen_at=0.0)) as origin:
        await run_hls(origin.url, viewers=1, seconds=2.8)
    # At 0, 1, 1.5, 2 and 2.5 s, and the probe.
    assert origin.seen["/live/media.m3u8"] == 6


async def test_a_server_that_stops_is_one_stall_for_each(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(hang_from=101)) as origin:
        report = await run_hls(origin.url, viewers=4, seconds=7, read_every=2)
    assert (report.stalls, report.stalled_viewers, report.errors) == (4, 4, {})


async def test_a_stream_that_stands_still_is_a_stall(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(frozen_at=0.0)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=5)
    assert (report.stalls, report.errors) == (2, {})


async def test_a_server_that_hangs_is_given_up(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(hang_from=0)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=13)
    assert report.errors == {"timeout": 2}
    assert report.startup_ms.p50 is None


async def test_viewers_without_a_segment_are_counted(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(hang_from=0)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=1)
    assert (report.errors, report.stalls) == ({"nothing came": 2}, 0)


async def test_a_missing_segment_is_counted_and_left_behind(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(status={"/live/101.ts": 404})) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=5, read_every=1)
    assert report.errors == {"http 404": 2}
    assert origin.seen["/live/102.ts"] == 2


async def test_a_playlist_that_fails_is_asked_for_again(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def fail_for_a_moment() -> None:
            await trio.sleep(1.5)
            origin.status["/live/media.m3u8"] = 503
            await trio.sleep(1.3)
            origin.status.clear()

        nursery.start_soon(fail_for_a_moment)
        report = await run_hls(origin.url, viewers=2, seconds=6)
    assert set(report.errors) == {"http 503"}
    assert origin.seen["/live/104.ts"] == 2


async def test_segments_that_left_the_window_are_a_gap(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def leap() -> None:
            await trio.sleep(1.5)
            origin._first += 20

        nursery.start_soon(leap)
        report = await run_hls(origin.url, viewers=2, seconds=4.3, read_every=1)
    # Counted once; and what follows a gap need not continue anything.
    assert report.errors == {"gap": 2}


async def test_a_server_that_began_anew_is_seen(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def back() -> None:
            await trio.sleep(1.5)
            origin._first -= 50

        nursery.start_soon(back)
        report = await run_hls(origin.url, viewers=2, seconds=4.3, read_every=1)
    assert report.errors == {"sequence went back": 2}


@pytest.mark.parametrize(
    ("mangle", "kinds"),
    [
        (lambda body: body[:1880] + body[1880 + 188 * 3 :], {"continuity": 2}),
        # The packet that is cut short is lost, too.
        (lambda body: body[:-1], {"sync": 2, "continuity": 2}),
        (lambda body: body + packet(0x101, 0, b"\0\0\1\xe0" + bytes(20)) + packet(0x101, 5, b"a"), {"continuity": 2}),
    ],
)
async def test_reading_viewers_find_what_is_broken(
    fast_clock: MockClock, mangle: Callable[[bytes], bytes], kinds: dict[str, int]
) -> None:
    def one(number: int, body: bytes) -> bytes:
        return mangle(body) if number == 99 else body

    async with serving(TinyOrigin(mangle=one)) as origin:
        report = await run_hls(origin.url, viewers=4, seconds=2.3, read_every=2)
    assert report.errors == kinds


async def test_latency_is_against_the_playlists_dates(fast_clock: MockClock) -> None:
    origin = TinyOrigin()
    origin._wall -= 30
    async with serving(origin):
        dated = await run_hls(origin.url, viewers=1, seconds=3.3)
        origin.dated = False
        undated = await run_hls(origin.url, viewers=1, seconds=3.3)
    assert dated.latency_ms.p50 is not None
    assert dated.latency_ms.p99 is not None
    # No more than a target duration late: what was there before we came is left out.
    assert 30_000 <= dated.latency_ms.p50 <= dated.latency_ms.p99 < 31_900
    assert undated.latency_ms.p99 is None


@pytest.mark.skipif(sys.platform != "linux", reason="MSG_TRUNC drops nothing elsewhere")
async def test_what_is_not_read_stays_in_the_kernel(fast_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = bytearray(1 << 16)
    monkeypatch.setattr(_wire, "_SCRATCH", scratch)
    async with serving(TinyOrigin(vod=True, frozen_at=0.0)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=60, read_every=0)
    assert report.bytes > 2 * 6 * len(ts(0))
    assert not any(scratch)


async def test_odd_names_of_segments_are_asked_for_as_players_do(fast_clock: MockClock) -> None:
    origin = TinyOrigin(vod=True, frozen_at=0.0, playlist=lambda text: text.replace("99.ts", "a b\u00fc/99.ts#x"))
    async with serving(origin):
        report = await run_hls(origin.url, viewers=1, seconds=60)
    assert report.errors == {}
    assert origin.seen["/live/a%20b%C3%BC/99.ts"] == 1


@pytest.mark.parametrize("odd", ["http://[x/99.ts", "ftp://127.0.0.1/99.ts", "http://127.0.0.1:99999/99.ts"])
async def test_odd_urls_are_counted(fast_clock: MockClock, odd: str) -> None:
    origin = TinyOrigin()
    async with serving(origin), trio.open_nursery() as nursery:

        async def break_it() -> None:
            await trio.sleep(1.5)
            origin.playlist = lambda text: "".join(
                odd + "\n" if line == "101.ts\n" else line for line in text.splitlines(keepends=True)
            )

        nursery.start_soon(break_it)
        report = await run_hls(origin.url, viewers=1, seconds=3.3)
    assert set(report.errors) <= {"protocol", "odd url"}
    assert report.errors


async def test_more_viewers_than_descriptors_is_one_line() -> None:
    with pytest.raises(TierkitError, match="descriptors"):
        await run_hls("http://127.0.0.1:9/x.m3u8", viewers=1 << 40, seconds=1)


async def test_connections_that_break_are_counted_by_kind(fast_clock: MockClock) -> None:
    async with (
        serving(TinyOrigin(hang_from=101)) as origin,
        open_counting_proxy(f"127.0.0.1:{origin.port}") as proxy,
        trio.open_nursery() as nursery,
    ):

        async def cut() -> None:
            await trio.sleep(3)
            proxy.cut()

        nursery.start_soon(cut)
        report = await run_hls(f"http://{proxy.address}/master.m3u8", viewers=3, seconds=3.5)
    assert report.errors == {"reset": 3}


async def test_an_idle_connection_may_be_closed(fast_clock: MockClock) -> None:
    async with (
        serving(TinyOrigin()) as origin,
        open_counting_proxy(f"127.0.0.1:{origin.port}") as proxy,
        trio.open_nursery() as nursery,
    ):

        async def cut() -> None:
            await trio.sleep(2.5)
            proxy.cut()

        nursery.start_soon(cut)
        report = await run_hls(f"http://{proxy.address}/master.m3u8", viewers=3, seconds=5.3)
    assert (report.errors, report.stalls) == ({}, 0)


async def test_a_server_that_goes_away_is_refused(fast_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery, serving(TinyOrigin()) as origin:
        found: list[dict[str, int]] = []

        async def watch() -> None:
            report = await run_hls(origin.url, viewers=2, seconds=5.3)
            found.append(report.errors)

        nursery.start_soon(watch)
        await trio.sleep(2.5)
    assert set(found[0]) == {"refused"}
    assert found[0]["refused"] >= 4


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing.m3u8", "answers 404 for http://127.0.0.1:[0-9]*/nothing.m3u8: check the path"),
        ("/live/100.ts", "no.*playlist|not UTF-8|does not begin with #EXTM3U"),
    ],
)
async def test_what_cannot_be_watched_is_one_line_before_the_crowd_comes(path: str, said: str) -> None:
    async with serving(TinyOrigin()) as origin:
        with pytest.raises(TierkitError, match=said) as caught:
            await run_hls(f"http://127.0.0.1:{origin.port}{path}", viewers=50, seconds=1)
        assert origin.connections == 1
    assert "\n" not in str(caught.value)


async def test_no_server_and_odd_urls_are_one_line() -> None:
    async with serving(TinyOrigin()) as origin:
        url = origin.url
    with pytest.raises(TierkitError, match="nothing listens there"):
        await run_hls(url, viewers=1, seconds=1)
    with pytest.raises(TierkitError, match=r"write http://HOST:PORT/PATH.m3u8"):
        await run_hls("rtmp://h/live/s", viewers=1, seconds=1)
    with pytest.raises(TierkitError, match="positive"):
        await run_hls(url, viewers=1, seconds=0)


async def test_redirects_are_followed(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin(vod=True, frozen_at=0.0)) as origin, serving(TinyOrigin()) as first:
        first.moved["/master.m3u8"] = origin.url
        first.moved["/round.m3u8"] = "/round.m3u8"
        report = await run_hls(first.url, viewers=1, seconds=60)
        assert report.errors == {}
        assert origin.seen["/live/99.ts"] == 1
        with pytest.raises(TierkitError, match="more than 5 redirects"):
            await run_hls(f"http://127.0.0.1:{first.port}/round.m3u8", viewers=1, seconds=1)


@asynccontextmanager
async def _secure(tmp_path: Path) -> AsyncIterator[tuple[TinyOrigin, Trust]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving(TinyOrigin(vod=True, frozen_at=0.0), context=context) as origin:
        yield origin, Trust(ca=str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("read_every", [0, 1])
async def test_tls(fast_clock: MockClock, tmp_path: Path, read_every: int) -> None:
    async with _secure(tmp_path) as (origin, trust):
        url = origin.url.replace("http:", "https:")
        report = await run_hls(url, viewers=3, seconds=60, read_every=read_every, trust=trust)
        assert report.errors == {}
        # The probe's two playlists are no part of it.
        playlists = len(await _body(origin, "/master.m3u8")) + len(await _body(origin, "/live/media.m3u8"))
        assert report.bytes == origin.body_bytes - playlists
        with pytest.raises(TierkitError, match="certificate does not verify"):
            await run_hls(url, viewers=1, seconds=1)
        async with serving(TinyOrigin()) as plain:
            with pytest.raises(TierkitError, match="is this port one for TLS"):
                await run_hls(plain.url.replace("http:", "https:"), viewers=1, seconds=1, trust=trust)


MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="other",URI="other/media.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="main",DEFAULT=YES,URI="sound/media.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=20000,CODECS="mp4a.40.2"
sound/media.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=40000,CODECS="avc1.42c01e,mp4a.40.2"{audio}
low/media.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=60000{audio}
high/media.m3u8
"""


def _several(*, audio: bool = False, skew: int = 0, **options: Any) -> TinyOrigin:
    """An origin of two variants, with the sound apart where `audio`; `skew` is added to the numbers of the high one."""
    origin = TinyOrigin(**options)

    def media(by: int = 0) -> str:
        lines = origin.media().splitlines()
        for index, line in enumerate(lines):
            if by and line.endswith(".ts"):
                lines[index] = f"{int(line[:-3])}.ts"
            elif by and line.startswith("#EXT-X-MEDIA-SEQUENCE:"):
                lines[index] = f"#EXT-X-MEDIA-SEQUENCE:{int(line.partition(':')[2]) + by}"
        return "\n".join([*lines, ""])

    for folder in ("low", "sound"):
        origin.pages[f"/{folder}/media.m3u8"] = media
    origin.pages["/high/media.m3u8"] = lambda: media(skew)
    origin.pages["/master.m3u8"] = lambda: MASTER.format(audio=',AUDIO="a"' if audio else "")
    return origin


def _fetched(origin: TinyOrigin, folder: str) -> list[int]:
    paths = (each for each in origin.seen if each.startswith(f"/{folder}/") and each.endswith(".ts"))
    return sorted(int(each.rpartition("/")[2][:-3]) for each in paths)


@pytest.mark.parametrize(("variant", "folder"), [("first", "low"), ("lowest", "low"), ("highest", "high")])
async def test_which_variant_is_watched(fast_clock: MockClock, variant: Choice, folder: str) -> None:
    async with serving(_several(frozen_at=0.0)) as origin:
        report = await run_hls(origin.url, viewers=1, seconds=0.4, variant=variant)
    assert _fetched(origin, folder) == [97, 98, 99]
    assert {each.split("/")[1] for each in origin.seen if each.endswith(".ts")} == {folder}
    assert report.variants == {20_000 * (2 if folder == "low" else 3): 3}
    assert (report.switches_up, report.switches_down) == (0, 0)


@pytest.mark.parametrize(("dated", "skew"), [(True, 0), (False, 0), (True, 700), (False, 700)])
async def test_abr_goes_down_and_up_and_misses_nothing(fast_clock: MockClock, dated: bool, skew: int) -> None:
    # 4 KB a second are 30 kbit/s.  For some seconds a segment of the high variant takes 0.9 s: that is below 60.
    async with serving(_several(dated=dated, skew=skew)) as origin, trio.open_nursery() as nursery:

        async def slow_for_a_while() -> None:
            await trio.sleep(3.5)
            origin.slow["/high"] = 0.9
            await trio.sleep(5)
            origin.slow.clear()

        nursery.start_soon(slow_for_a_while)
        report = await run_hls(origin.url, viewers=1, seconds=40, read_every=1)
    assert (report.switches_up, report.switches_down) == (1, 1)
    assert set(report.variants) == {40_000, 60_000}
    # Each once, whatever its number is where it was fetched.
    both = sorted(_fetched(origin, "low") + _fetched(origin, "high"))
    assert both == list(range(both[0], both[-1] + 1))
    assert all(count == 1 for path, count in origin.seen.items() if path.endswith(".ts"))
    assert (report.errors, report.stalls, report.starved_viewers) == ({}, 0, 0)


async def test_sound_of_its_own_is_fetched_beside_the_picture(fast_clock: MockClock) -> None:
    async with serving(_several(audio=True)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=6.5, read_every=2)
    assert _fetched(origin, "sound") == _fetched(origin, "high")
    assert _fetched(origin, "other") == []
    assert (report.errors, report.stalls, report.starved_viewers) == ({}, 0, 0)


async def test_a_picture_without_its_sound_stands_still(fast_clock: MockClock) -> None:
    async with serving(_several(audio=True)) as origin, trio.open_nursery() as nursery:

        async def silence() -> None:
            await trio.sleep(2.5)
            stale = origin.media()
            origin.pages["/sound/media.m3u8"] = lambda: stale

        nursery.start_soon(silence)
        report = await run_hls(origin.url, viewers=2, seconds=9)
    assert (report.stalls, report.errors) == (2, {})


@pytest.mark.parametrize("cmcd", ["query", "header"])
async def test_viewers_tell_of_themselves(fast_clock: MockClock, cmcd: Cmcd) -> None:
    # Nothing new for 5 s: what is in hand runs out, and the next segment says so.
    async with serving(_several()) as origin, trio.open_nursery() as nursery:

        async def pause() -> None:
            await trio.sleep(3.5)
            origin.frozen_at = trio.current_time()
            await trio.sleep(5)
            origin.frozen_at = None

        nursery.start_soon(pause)
        report = await run_hls(origin.url, viewers=1, seconds=14, cmcd=cmcd, variant="lowest")
    told = [_cmcd_of(each) for each in origin.heads if _session_of(each) == report.audience[0].session]
    segments = [each for each in told if each.ot == "av"]
    assert {each.ot for each in told} == {"m", "av"}
    assert {(each.sf, each.st) for each in told} == {("h", "l")}
    assert {(each.br, each.d) for each in segments} == {(40, 1000)}
    assert sum(each.bs for each in segments) == 1
    (starved,) = (each for each in segments if each.bs)
    assert starved.bl == 0
    assert max(each.bl or 0 for each in segments) <= 6000


def _cmcd_of(head: str) -> CmcdTold:
    line, *fields = head.split("\r\n")
    found = from_query(line.split(" ")[1].partition("?")[2])
    if found is None:
        pairs = [each.partition(": ") for each in fields]
        found = from_fields((name.lower().encode(), value.encode()) for name, _, value in pairs)
    assert found is not None
    assert (found.invalid, found.custom) == (0, 0)
    return found


def _session_of(head: str) -> str:
    return _cmcd_of(head).sid


async def test_nothing_is_told_that_was_not_asked_for(fast_clock: MockClock) -> None:
    async with serving(TinyOrigin()) as origin:
        await run_hls(origin.url, viewers=1, seconds=2)
    assert not any("CMCD" in each for each in origin.heads)


async def test_the_truth_of_each_viewer(fast_clock: MockClock) -> None:
    async with (
        serving(TinyOrigin()) as origin,
        open_counting_proxy(f"127.0.0.1:{origin.port}") as proxy,
        trio.open_nursery() as nursery,
    ):
        begun = trio.current_time()

        async def away() -> None:
            await trio.sleep(4.5)
            proxy.refuse = True
            proxy.cut()
            await trio.sleep(6)
            proxy.refuse = False

        nursery.start_soon(away)
        wall = time.time() - begun
        report = await run_hls(f"http://{proxy.address}/master.m3u8", viewers=3, seconds=15)
    assert [each.viewer for each in report.audience] == [0, 1, 2]
    assert [each.reads for each in report.audience] == [True, False, False]
    assert len({each.session for each in report.audience}) == 3
    assert len({place for each in report.audience for place in each.local}) >= 6
    for each in report.audience:
        ((begin, end),) = each.stalls
        assert end is not None
        # What was in hand ran out, and media came again a moment after the server did.
        assert 4.5 < begin - wall - begun < 9
        assert 10.4 < end - wall - begun < 13
        assert each.starved
    assert (report.stalls, report.stalled_viewers, report.starved_viewers) == (3, 3, 3)


async def test_who_watches_the_run_sees_it_grow(fast_clock: MockClock) -> None:
    seen: list[Live] = []
    async with serving(TinyOrigin(hang_from=103)) as origin:
        report = await run_hls(origin.url, viewers=4, seconds=9, ramp=3.9, watching=seen.append)
    assert [each.viewers for each in seen[:4]] == [2, 3, 4, 4]
    assert [each.elapsed for each in seen] == [pytest.approx(each, abs=0.1) for each in [*range(1, 13), 12.9]]
    assert seen[-1].bytes >= report.bytes
    assert (seen[0].stalls, seen[-1].stalls, seen[-1].starved_viewers) == (0, 4, 4)
    assert {each.expected for each in seen} == {4}


async def test_bytes_of_the_ramp_are_left_out(fast_clock: MockClock) -> None:
    # Both come, load a recording and are done inside the ramp; the second comes in its middle.
    async with serving(TinyOrigin(vod=True, frozen_at=0.0)) as origin:
        report = await run_hls(origin.url, viewers=2, seconds=5, ramp=10)
    assert (report.bytes, report.errors) == (0, {})
    assert origin.seen["/live/99.ts"] == 2
