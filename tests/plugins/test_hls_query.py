"""Query parameters, and parts of paths, that are no part of what is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from tests.plugins.edge_rig import ORIGIN, PLAYLIST, SEGMENT, TD, open_edge, plain, playlist
from tierkit import Edge, Graph, Origin, check
from tierkit.codecs.hls import MediaPlaylist, Segment
from tierkit.plugin import Context, Direct, LiveSource, Source
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import Wowza


async def test_viewers_with_tokens_of_their_own_share_what_is_stored() -> None:
    async with open_edge(ignore_query=("token", "CMCD")) as rig:
        for number in range(5):
            answer = await rig.get(f"{SEGMENT}?token={number}&CMCD=bl%3D{number}00")
            assert answer.body == b"segment one"
        assert [(request.path, request.query) for request in rig.origin.asked] == [(SEGMENT, "")]
        assert rig.statistics().hits == 4


async def test_what_is_not_ignored_is_another_thing() -> None:
    async with open_edge(ignore_query=("token",)) as rig:
        for query in ("a=1&token=1", "a=2&token=1", "token=2&a=1"):
            await rig.get(f"{SEGMENT}?{query}")
        assert [request.query for request in rig.origin.asked] == ["a=1", "a=2"]


async def test_upstream_may_see_what_is_ignored() -> None:
    async with open_edge(ignore_query=("token",), forward_ignored=True) as rig:
        for number in range(3):
            await rig.get(f"{SEGMENT}?token={number}&a=1")
        assert [request.query for request in rig.origin.asked] == ["token=0&a=1"]


async def test_directives_of_low_latency_stay_in_the_key() -> None:
    async with open_edge(ignore_query=("*",), prefetch=False) as rig:
        assert (await rig.get(f"{PLAYLIST}?_HLS_msn=x")).status == 400
        assert (await rig.get(f"{PLAYLIST}?a=b&_HLS_msn=4")).status == 200


class _Sessions(Direct):
    """A server that tells its viewers apart by a parameter."""

    @property
    def ignored(self) -> tuple[str, ...]:
        return ("session",)


@frozen
class Peculiar(Source):
    name: ClassVar[str] = "peculiar"
    schemes: ClassVar[tuple[str, ...]] = ("http",)

    @asynccontextmanager
    async def open(self, origin: Origin, ctx: Context) -> AsyncIterator[LiveSource]:
        yield _Sessions(origin.name, lambda schemes: origin.address, self.schemes)


async def test_a_source_says_what_is_peculiar_to_it() -> None:
    peculiar = Origin("origin", "http://origin.example:80", speaks=Peculiar())
    async with open_edge(origin=peculiar) as rig:
        for number in range(3):
            await rig.get(f"{SEGMENT}?session={number}")
        assert [request.query for request in rig.origin.asked] == [""]


async def test_parameters_that_say_nothing_to_a_wowza_are_not_passed_on() -> None:
    wowza = Origin("origin", "http://origin.example:80", speaks=Wowza())
    async with open_edge(origin=wowza) as rig:
        for number in range(3):
            await rig.get(f"{SEGMENT}?wowzasessionid={number}&nc={number}")
        # The source has looked for a session as well, once.
        assert [request.query for request in rig.origin.asked if request.path == SEGMENT] == [""]


@pytest.mark.parametrize("pattern", ["a=b", "", "(x+)+"])
def test_an_odd_pattern_is_a_problem_of_the_graph(pattern: str) -> None:
    graph = Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=HLS(ignore_query=(pattern,))))
    (problem,) = check(graph)
    assert "ignore_query" in str(problem)
    assert "query parameter" in str(problem)


async def test_ids_in_paths_are_no_part_of_what_is_asked_for() -> None:
    async with open_edge(ignore_path=(r"_w\d+", r";jsessionid=\w+")) as rig:
        rig.origin.paths["/live/s/media_w1_7.ts"] = plain(b"seven")
        for path in ("media_w1_7.ts", "media_w22_7.ts", "media_7.ts;jsessionid=A1", "media_%77333_7.ts"):
            assert (await rig.get(f"/live/s/{path}")).body == b"seven"
        assert [request.path for request in rig.origin.asked] == ["/live/s/media_w1_7.ts"]
        assert (await rig.get("/live/s/media_w1_8.ts")).status == 404


async def test_another_session_of_the_same_stream_is_no_restart(autojump_clock: MockClock) -> None:
    """An origin that is failed over to, or restarted, names everything anew."""

    def listing(first: int, session: int) -> bytes:
        listed = [Segment(uri=f"media_w{session}_{n}.ts", duration=float(TD)) for n in range(first, first + 3)]
        return MediaPlaylist(segments=listed, media_sequence=first, target_duration=TD).render()

    async with open_edge(ignore_path=(r"_w\d+",)) as rig:
        rig.origin.paths["/live/s/media_w1_12.ts"] = plain(b"twelve")
        rig.origin.paths[PLAYLIST] = plain(listing(10, 1))
        await rig.get(PLAYLIST)
        assert (await rig.get("/live/s/media_w1_12.ts")).body == b"twelve"
        rig.origin.paths[PLAYLIST] = plain(listing(11, 2))
        await trio.sleep(TD)
        await rig.get(PLAYLIST)
        await trio.sleep(0.1)
        assert (await rig.get(PLAYLIST)).body == listing(11, 2)
        assert (await rig.get("/live/s/media_w2_12.ts")).body == b"twelve"
        assert rig.statistics().restarts == 0
        assert rig.origin.count("/live/s/media_w2_12.ts") == 0


@pytest.mark.parametrize("pattern", ["", r"\d+_", "(a+)+", "["])
def test_an_odd_pattern_of_a_path_is_a_problem_of_the_graph(pattern: str) -> None:
    graph = Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=HLS(ignore_path=(pattern,))))
    (problem,) = check(graph)
    assert "ignore_path: path pattern" in str(problem)


async def test_upstream_may_see_what_is_ignored_beside_directives(autojump_clock: MockClock) -> None:
    async with open_edge(ignore_query=("token",), forward_ignored=True, prefetch=False) as rig:
        control = b"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES\n#EXTINF"
        for first in (1, 2):
            rig.origin.paths[PLAYLIST] = plain(playlist(first).replace(b"#EXTINF", control, 1))
            for number in (7, 8):
                await rig.get(f"{PLAYLIST}?_HLS_msn={first + 3}&token={number}&a=1")
                await rig.get(f"{PLAYLIST}?token={number}&a=1&_HLS_msn={first + 3}")
        asked = [request.query for request in rig.origin.asked]
        assert asked == ["token=7&a=1&_HLS_msn=4", "token=7&a=1&_HLS_msn=5"]


async def test_a_folder_with_ids_in_its_name_is_one_to_counts_and_purges() -> None:
    async with open_edge(ignore_path=(r"_w\d+",), prefetch=False) as rig:
        edge = rig.handle.running("edge")["hls"]
        for number in range(3):
            rig.origin.paths |= {f"/live/s_w{number}/{name}": plain(body) for name, body in
                                 (("playlist.m3u8", playlist()), ("media_1.ts", b"x"))}  # fmt: skip
            await rig.get(f"/live/s_w{number}/playlist.m3u8", f"User-Agent: {number}")
            await rig.get(f"/live/s_w{number}/media_1.ts", f"User-Agent: {number}")
        assert [stream.viewers for stream in edge.streams()] == [3]
        assert edge.purge("/live/other_w1/*") == 0
        assert edge.purge("stream:live/s_w2") == 2
        await rig.get("/live/s_w0/media_1.ts")
        assert edge.purge("/live/s_w7/*") == 1
        await rig.get("/live/s_w0/media_1.ts")
        assert edge.purge("/live/s_w*") == 0  # cut off within a name: as it is written
        assert edge.purge("/live/s*") == 1
