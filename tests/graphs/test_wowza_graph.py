"""The Wowza source at work: the embedded origin serves Wowza's spelling, so it can stand in for one."""

from __future__ import annotations

import trio

from tierkit import Edge, Graph, Origin, Relay, open_graph
from tierkit.load import run_hls, run_rtmp
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza

from .test_origin_load import publish, until_segments


async def test_an_edge_and_a_relay_pull_what_a_wowza_serves() -> None:
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
    async with open_graph(Graph.of(studio), drain=0) as origin, trio.open_nursery() as nursery:
        nursery.start_soon(publish, origin)
        await until_segments(origin)
        by = {each.scheme: each for each in origin.addresses("studio")}
        speaks = Wowza(app="live", http_port=by["http"].dial_port)
        wowza = Origin("wowza", f"127.0.0.1:{by['rtmp'].dial_port}", speaks=speaks)
        graph = Graph.of(
            Edge("edge", upstream=wowza, serves=HLS(cache_bytes=16 << 20), listen="127.0.0.1:0"),
            Relay("relay", upstream=wowza, serves=RTMP(), listen="127.0.0.1:0"),
        )
        async with open_graph(graph, drain=0) as handle:
            # Both spellings of a stream are one: the instance that every application has is left out.
            for path in ("/live/s/playlist.m3u8", "/live/_definst_/s/playlist.m3u8"):
                report = await run_hls(handle.url("edge", path), viewers=2, seconds=2)
                assert not report.errors
                assert report.bytes > 0
            for path in ("/live/s", "/live/_definst_/s"):
                report = await run_rtmp(handle.url("relay", path), viewers=2, seconds=2)
                assert not report.errors
                assert report.bytes > 0
            assert [each["name"] for each in handle.statistics()["tiers"]["relay"]["streams"]] == ["live/s"]
        nursery.cancel_scope.cancel()
