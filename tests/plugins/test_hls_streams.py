"""What an edge knows of the streams it carries: nothing goes back, restarts purge, what comes next is waited for."""

from __future__ import annotations

import pytest
import trio
import trio.lowlevel
import trio.testing
from trio.testing import MockClock

from tests.plugins.edge_rig import PLAYLIST, TD, FakeOrigin, Rig, open_edge, plain, playlist
from tests.support_http import open_server
from tierkit import Edge, Origin
from tierkit.codecs.hls import MediaPlaylist, Segment
from tierkit.http import Request, Response
from tierkit.plugins.hls import HLS
from tierkit.testing import MemoryNetwork

FOLDER = PLAYLIST.rpartition("/")[0]


def run(first: int, count: int = 3, *, name: str = "media", at: float | None = None) -> bytes:
    """A playlist of `count` segments; with `at`, dated."""
    segments = [
        Segment(uri=f"{name}_{n}.ts", duration=float(TD), at=None if at is None else at + n * TD)
        for n in range(first, first + count)
    ]
    return MediaPlaylist(segments=segments, media_sequence=first, target_duration=TD).render()


def serve(rig: Rig, body: bytes, origin: FakeOrigin | None = None) -> None:
    (origin or rig.origin).paths[PLAYLIST] = plain(body)


async def shown(rig: Rig) -> bytes:
    """What a viewer sees once what is stored is older than half a target duration, and upstream was asked."""
    await trio.sleep(0.6 * TD)
    await rig.get(PLAYLIST)
    await trio.sleep(0.1)
    return (await rig.get(PLAYLIST)).body


# --- never back ----------------------------------------------------------------------------------


async def test_a_playlist_never_goes_back(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(100))
        assert await shown(rig) == run(100)
        for older in (run(99), run(97), run(100, 2)):
            serve(rig, older)
            assert await shown(rig) == run(100)
        serve(rig, run(101))
        assert await shown(rig) == run(101)
        assert rig.statistics().held_back == 3
        assert rig.statistics().restarts == 0


async def test_a_playlist_that_stands_still_does_not_go_back_either(autojump_clock: MockClock) -> None:
    """Upstream has said all the while that nothing is newer, by 304."""
    async with open_edge(prefetch=False) as rig:

        def answer(request: Request) -> Response:
            if request.get(b"if-none-match") == b'"a"':
                return Response(304, [(b"ETag", b'"a"')])
            return plain(run(100), (b"ETag", b'"a"'))

        rig.origin.paths[PLAYLIST] = answer
        for _ in range(12):
            assert await shown(rig) == run(100)
        serve(rig, run(98))
        assert await shown(rig) == run(100)


async def test_what_has_ended_goes_on_by_something_new_alone(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        ended = run(100) + b"#EXT-X-ENDLIST\n"
        serve(rig, ended)
        assert await shown(rig) == ended
        serve(rig, run(100))  # as a parent has it that lags
        await trio.sleep(61)
        assert await shown(rig) == ended
        serve(rig, run(101))
        await trio.sleep(61)
        assert await shown(rig) == run(101)


async def test_a_parent_that_lags_is_not_shown_after_a_failover(autojump_clock: MockClock) -> None:
    network, second = MemoryNetwork(), FakeOrigin()
    async with open_server(network, second, "http://second.example:80"):
        upstream = (Origin("first", "http://origin.example:80"), Origin("second", "http://second.example:80"))
        more = Edge("pair", upstream=upstream, listen="http://pair.example:80", serves=HLS(prefetch=False))
        async with open_edge(more, network=network) as rig:
            serve(rig, run(100))
            serve(rig, run(98), second)
            assert (await rig.get(PLAYLIST, tier="pair")).body == run(100)
            rig.origin.paths[PLAYLIST] = Response(503)
            for _ in range(3):
                await trio.sleep(0.6 * TD)
                assert (await rig.get(PLAYLIST, tier="pair")).body == run(100)
            assert second.count(PLAYLIST) >= 1
            serve(rig, run(101), second)
            await trio.sleep(0.6 * TD)
            await rig.get(PLAYLIST, tier="pair")
            await trio.sleep(0.1)
            assert (await rig.get(PLAYLIST, tier="pair")).body == run(101)


async def test_a_restart_is_shown_and_what_is_stored_under_its_names_goes(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        segment = f"{FOLDER}/media_1.ts"
        rig.origin.paths[segment] = plain(b"of the old run")
        serve(rig, run(1, at=1_000_000.0))
        await shown(rig)
        assert (await rig.get(segment)).body == b"of the old run"
        serve(rig, run(200, at=1_000_000.0))
        await shown(rig)
        rig.origin.paths[segment] = plain(b"of the new run")
        serve(rig, run(1, at=1_005_000.0))
        assert await shown(rig) == run(1, at=1_005_000.0)
        assert (await rig.get(segment)).body == b"of the new run"
        assert rig.statistics().restarts == 1


# --- what comes next -----------------------------------------------------------------------------


async def test_the_segment_that_comes_next_is_waited_for(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(1))
        await rig.get(PLAYLIST)
        path, answers = f"{FOLDER}/media_4.ts", []

        async def ask() -> None:
            answers.append(await rig.get(path))

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
            await trio.sleep(2)
            rig.origin.paths[path] = plain(b"here it is")
        assert {(each.status, each.body) for each in answers} == {(200, b"here it is")}
        assert rig.origin.count(path) <= 10  # four times a second, whatever the crowd
        assert rig.statistics().collapsed == 19


async def test_who_waits_for_what_never_comes_hears_so_after_a_target_duration(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(1))
        await rig.get(PLAYLIST)
        start = trio.current_time()
        assert (await rig.get(f"{FOLDER}/media_4.ts")).status == 404
        assert TD <= trio.current_time() - start < TD + 1


async def test_playlists_that_share_a_folder_are_waited_for_each(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        for name in ("audio", "video", "other"):
            rig.origin.paths[f"{FOLDER}/{name}.m3u8"] = plain(run(1, 3, name=name))
            await rig.get(f"{FOLDER}/{name}.m3u8")
        for name in ("audio", "video", "other"):
            began = trio.current_time()
            assert (await rig.get(f"{FOLDER}/{name}_4.ts")).status == 404
            assert trio.current_time() - began == TD


@pytest.mark.parametrize("folder", ["/live/media", "/live/s/low", "/live"])
async def test_segments_may_lie_elsewhere_than_their_playlist(folder: str, autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(1, 30, name=f"../..{folder}/media"))
        await rig.get(PLAYLIST)
        rig.origin.paths[f"{folder}/media_30.ts"] = plain(b"thirty")
        answer = await rig.get(f"{folder}/media_30.ts")
        assert (answer.get(b"cache-status") or b"").endswith(b"ttl=%d" % (30 * TD))  # the playlist's window
        began = trio.current_time()
        assert (await rig.get(f"{folder}/media_31.ts")).status == 404
        assert trio.current_time() - began == TD


@pytest.mark.parametrize("name", ["media_5.ts", "media_0.ts", "other_4.ts", "nothing"])
async def test_nothing_else_is_waited_for(name: str, autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(1))
        await rig.get(PLAYLIST)
        start = trio.current_time()
        assert (await rig.get(f"{FOLDER}/{name}")).status == 404
        assert trio.current_time() == start


async def test_new_segments_are_fetched_before_anybody_asks(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        for number in range(1, 9):
            rig.origin.paths[f"{FOLDER}/media_{number}.ts"] = plain(b"%d" % number)
        serve(rig, run(1))
        await rig.get(PLAYLIST)
        await trio.sleep(0.1)
        serve(rig, run(2))
        await shown(rig)
        await trio.sleep(0.1)
        asked = [request.path for request in rig.origin.asked if request.path.endswith(".ts")]
        assert sorted(asked) == [f"{FOLDER}/media_{number}.ts" for number in (1, 2, 3, 4)]
        answer = await rig.get(f"{FOLDER}/media_4.ts")
        assert answer.body == b"4"
        assert (answer.get(b"cache-status") or b"").startswith(b"tierkit-edge; hit; ttl=")
        assert rig.statistics().prefetched == 4


async def test_what_is_fetched_ahead_keeps_within_the_bound(autojump_clock: MockClock) -> None:
    async with open_edge(max_fetches=1) as rig:
        rig.origin.delay = 1
        serve(rig, run(1))
        await rig.get(PLAYLIST)
        assert rig.statistics().prefetched == 0


# --- names ---------------------------------------------------------------------------------------


async def test_uris_at_the_origins_own_name_stay_at_the_edge() -> None:
    async with open_edge(prefetch=False) as rig:
        text = run(1).replace(b"media_1.ts", b"http://origin.example/live/s/media_1.ts").replace(
            b"media_2.ts", b"//origin.example/live/s/media_2.ts?a=b"
        ).replace(b"media_3.ts", b"https://elsewhere.example/media_3.ts")  # fmt: skip
        serve(rig, text)
        lines = (await rig.get(PLAYLIST)).body.splitlines()
        assert [line for line in lines if not line.startswith(b"#")] == [
            b"/live/s/media_1.ts",
            b"/live/s/media_2.ts?a=b",
            b"https://elsewhere.example/media_3.ts",
        ]


@pytest.mark.parametrize("field", ["Authorization: x", "X: y"])
async def test_uris_at_the_origins_own_name_stay_here_where_they_pass_too(field: str) -> None:
    async with open_edge(prefetch=False) as rig:
        written = run(1).replace(b"media_1", b"http://origin.example/live/s/media_1")
        rig.origin.paths[PLAYLIST] = plain(written, (b"Cache-Control", b"private"))
        for _ in range(3):
            answer = await rig.get(PLAYLIST, field)
            assert b"\n/live/s/media_1.ts\n" in answer.body
            assert answer.get(b"content-length") == b"%d" % len(answer.body)
        rig.origin.paths[PLAYLIST] = plain(b"<html>", (b"Cache-Control", b"private"))
        assert (await rig.get(PLAYLIST, field)).status == 502


async def test_only_its_own_names_are_answered_for() -> None:
    async with open_edge(hosts=("Server", "edge.example")) as rig:
        assert (await rig.get()).status == 200  # as "server"
        assert ((await rig.get()).get(b"cache-status") or b"").startswith(b"tierkit-edge; hit; ttl=")
        viewer = await rig.viewer()
        for host, status in (("edge.example:8080", 200), ("other.example", 421), ("server.evil", 421), ("", 421)):
            await viewer.say(f"GET /live/s/media_1.ts HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await viewer.answer()).status == status
        await viewer.say(b"GET http://other.example/live/s/media_1.ts HTTP/1.1\r\nHost: server\r\n\r\n")
        assert (await viewer.answer()).status == 421


# --- DASH ----------------------------------------------------------------------------------------


def mpd(period: float, published: str = "2026-01-01T00:00:00Z") -> bytes:
    return (
        f'<?xml version="1.0"?><MPD type="dynamic" minimumUpdatePeriod="PT{period}S" publishTime="{published}"'
        ' maxSegmentDuration="PT4S"></MPD>'
    ).encode()


async def test_a_manifest_lives_for_half_its_update_period(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        path = "/live/s/manifest.mpd"
        rig.origin.paths[path] = plain(mpd(8), kind=b"application/dash+xml")
        await rig.get(path)
        await trio.sleep(3.9)
        assert ((await rig.get(path)).get(b"cache-status") or b"").startswith(b"tierkit-edge; hit; ttl=")
        await trio.sleep(0.2)
        assert b"stale-while-revalidate" in ((await rig.get(path)).get(b"cache-status") or b"")
        await trio.sleep(0.1)
        assert rig.origin.count(path) == 2


async def test_a_manifest_never_goes_back(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        path, newer = "/live/s/manifest.mpd", mpd(2, "2026-01-01T00:01:00Z")
        rig.origin.paths[path] = plain(newer, kind=b"application/dash+xml")
        await rig.get(path)
        rig.origin.paths[path] = plain(mpd(2), kind=b"application/dash+xml")
        for _ in range(3):
            await trio.sleep(1.5)
            assert (await rig.get(path)).body == newer
        assert rig.origin.count(path) > 1


# --- low latency ---------------------------------------------------------------------------------


def low_latency(last: int, parts: int) -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:9", "#EXT-X-TARGETDURATION:2", "#EXT-X-PART-INF:PART-TARGET=0.5"]
    lines += ["#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5", f"#EXT-X-MEDIA-SEQUENCE:{last - 2}"]
    for number in range(last - 2, last + 1):
        lines += ["#EXTINF:2.0,", f"s{number}.m4s"]
    lines += [f'#EXT-X-PART:DURATION=0.5,URI="s{last + 1}.{part}.m4s"' for part in range(parts)]
    return "\n".join([*lines, ""]).encode()


async def test_a_version_that_nobody_brings_is_503_after_three_target_durations(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False, first_byte_timeout=60.0) as rig:

        async def answer(request: Request) -> Response:
            if "_HLS_msn" in request.query:
                await trio.sleep_forever()
            return plain(low_latency(10, 1))

        rig.origin.paths[PLAYLIST] = answer
        await rig.get(PLAYLIST)
        start = trio.current_time()
        answered = await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")
        assert (answered.status, answered.get(b"retry-after")) == (503, b"1")
        assert trio.current_time() - start == 6


async def test_who_waits_gets_over_a_short_failure_upstream(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = Response(503, [], b"")
        answers = []

        async def wait() -> None:
            answers.append(await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.sleep(4.5)
            assert rig.origin.count(PLAYLIST) == 6  # once a second, whoever waits
            rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        assert [(answer.status, answer.body) for answer in answers] == [(200, low_latency(10, 2))] * 2


async def test_who_waits_through_a_long_failure_hears_of_it(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = Response(503, [], b"")
        began = trio.current_time()
        assert (await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")).status == 503
        assert trio.current_time() - began == 6


async def test_what_is_at_hand_answers_a_reload_that_need_not_wait() -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        await rig.get(PLAYLIST)
        for query in ("_HLS_msn=11&_HLS_part=1", "_HLS_part=0&_HLS_msn=11", "_HLS_msn=10", "_HLS_msn=9&_HLS_part=0"):
            assert (await rig.get(f"{PLAYLIST}?{query}")).body == low_latency(10, 2)
        assert rig.origin.count(PLAYLIST) == 1


async def test_what_is_long_over_answers_no_reload(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(low_latency(110, 2))
        await trio.sleep(100 * TD)  # nobody watches
        for number in range(1, 8):
            answer = await rig.get(f"{PLAYLIST}?_HLS_msn={number}")
            assert answer.body == low_latency(110, 2)
        assert [request.query for request in rig.origin.asked] == ["", ""]  # whatever was named, one plain request


async def test_a_soft_purge_counts_for_reloads_too(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 3))
        rig.handle.running("edge")["hls"].purge("/live/*", soft=True)
        for body in (low_latency(10, 2), low_latency(10, 3)):
            assert (await rig.get(f"{PLAYLIST}?_HLS_msn=10")).body == body
            await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()


async def test_a_plain_reload_gets_what_a_blocking_one_has_brought(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))  # a parent that lags
        for _ in range(3):
            assert (await rig.get(PLAYLIST)).body == low_latency(10, 2)
            await trio.sleep(0.1)


async def test_a_plain_reload_is_not_told_to_keep_what_a_blocking_one_may(autojump_clock: MockClock) -> None:
    """A browser that kept it for six target durations would ask for nothing new meanwhile, and its player stall."""
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1), (b"Cache-Control", b"max-age=12"))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2), (b"Cache-Control", b"max-age=12"))
        waited = await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")
        at_once = await rig.get(PLAYLIST)
        assert waited.body == at_once.body == low_latency(10, 2)
        assert waited.get(b"cache-control") == b"max-age=12"
        assert at_once.get(b"cache-control") == b"max-age=1"
        assert rig.origin.count(PLAYLIST) == 2


async def test_what_is_answered_at_once_where_it_should_wait_is_soon_asked_for_again(
    autojump_clock: MockClock,
) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        early = await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")
        assert early.body == low_latency(10, 1)
        assert early.get(b"cache-control") == b"max-age=1"
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 2))
        await trio.sleep(1)
        assert (await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")).body == low_latency(10, 2)


async def test_a_parent_that_lags_does_not_answer_who_waits_with_what_is_over(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(low_latency(8, 0))
        held = await rig.get(PLAYLIST + "?_HLS_msn=11&_HLS_part=1")
        assert held.body == low_latency(10, 1)
        assert held.get(b"cache-control") == b"max-age=1"
        assert rig.statistics().held_back == 1


@pytest.mark.parametrize(
    "query", ["_HLS_msn=x", "_HLS_msn=1&_HLS_msn=2", "_HLS_part=1", "_HLS_msn=99999", "_HLS_skip=no"]
)
async def test_absurd_directives_cost_nothing_upstream(query: str) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(low_latency(10, 1))
        await rig.get(PLAYLIST)
        assert (await rig.get(f"{PLAYLIST}?{query}")).status == 400
        assert rig.origin.count(PLAYLIST) == 1


async def test_streams_that_are_not_low_latency_have_one_key_whatever_is_asked() -> None:
    async with open_edge(prefetch=False) as rig:
        await rig.get(PLAYLIST)
        for query in ("_HLS_msn=2", "_HLS_msn=3&_HLS_part=0", "_HLS_skip=YES"):
            assert (await rig.get(f"{PLAYLIST}?{query}")).body == playlist()
        assert rig.origin.count(PLAYLIST) == 1


@pytest.mark.parametrize(
    "uri", ["odd.ts?_HLS_part=1", "odd.ts?_HLS_msn=x", "a%2f..%2fodd.ts", "/-/other.example/odd.ts", "%00odd.ts"]
)
@pytest.mark.parametrize("prefetch", [True, False])
async def test_what_nobody_may_ask_for_spoils_no_playlist(uri: str, prefetch: bool, autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=prefetch, fetch_from=("media.example",)) as rig:
        body = run(1, 3).replace(b"media_3.ts", uri.encode())
        serve(rig, body)
        assert (await rig.get(PLAYLIST)).body == body
        # The next epoch purges its names.
        serve(rig, run(1, 3, name="anew"))
        assert await shown(rig) == run(1, 3, name="anew")
        assert not any("odd" in request.path for request in rig.origin.asked)


@pytest.mark.parametrize("prefetch", [True, False])
async def test_a_resource_that_grows_is_fetched_anew_once_more_of_it_is_listed(
    prefetch: bool, autojump_clock: MockClock
) -> None:
    whole = bytes(range(250)) * 12
    async with open_edge(prefetch=prefetch) as rig:
        for count in (1, 2, 3):
            segments = [Segment(uri=f"MARK{n}", duration=float(TD)) for n in range(count)]
            body = MediaPlaylist(segments=segments, media_sequence=0, target_duration=TD).render().decode()
            for n in range(count):
                body = body.replace(f"MARK{n}", f"#EXT-X-BYTERANGE:1000@{1000 * n}\nall.ts")
            serve(rig, body.encode())
            rig.origin.paths[f"{FOLDER}/all.ts"] = plain(whole[: 1000 * count])
            assert await shown(rig) == body.encode()
            for n in range(count):
                part = await rig.get(f"{FOLDER}/all.ts", f"Range: bytes={1000 * n}-{1000 * n + 999}")
                assert (part.status, part.body) == (206, whole[1000 * n : 1000 * n + 1000])
        assert rig.origin.count(f"{FOLDER}/all.ts") == 3


async def test_the_end_of_a_film_is_not_fetched_ahead(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        serve(rig, run(0, 20) + b"#EXT-X-ENDLIST\n")
        await rig.get(PLAYLIST)
        await trio.sleep(1)
        assert [request.path for request in rig.origin.asked] == [PLAYLIST]


async def test_the_end_of_what_was_live_is_fetched_ahead(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        serve(rig, run(0, 3))
        await shown(rig)
        serve(rig, run(0, 4) + b"#EXT-X-ENDLIST\n")
        await shown(rig)
        assert rig.origin.count(f"{FOLDER}/media_3.ts") == 1


@pytest.mark.parametrize("told", ["EXT-X-PART-INF:PART-TARGET=0.0001", "EXT-X-TARGETDURATION:0.0001"])
async def test_an_absurd_pace_is_no_load_upstream(told: str, autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        serve(rig, run(1).replace(b"#EXTINF", b"#" + told.encode() + b"\n#EXTINF", 1))
        for _ in range(100):
            await rig.get(PLAYLIST)
            await trio.sleep(0.01)
        assert rig.origin.count(PLAYLIST) <= 20


async def test_names_that_are_used_again_never_mix_whatever_tokens_they_have(autojump_clock: MockClock) -> None:
    """A packager that counts to ten and begins again, and writes another token with each version."""
    async with open_edge(prefetch=False, ignore_query=("token",)) as rig:
        for first in range(12):
            numbers = range(first, first + 3)
            segments = [Segment(uri=f"s{n % 10}.ts?token={first}", duration=float(TD)) for n in numbers]
            body = MediaPlaylist(segments=segments, media_sequence=first, target_duration=TD).render()
            serve(rig, body)
            rig.origin.paths |= {f"{FOLDER}/s{n % 10}.ts": plain(b"%d" % n) for n in numbers}
            assert await shown(rig) == body
            for n in numbers:
                assert (await rig.get(f"{FOLDER}/s{n % 10}.ts?token={first}")).body == b"%d" % n
        assert rig.statistics().restarts == 0
