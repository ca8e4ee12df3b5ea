"""A report from a real Prometheus: what it has scraped of a graph is what the graph's own statistics say."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest

from tierkit.reporting import from_server

from ..metrics.shipped import RULES
from ..ports import free_port
from .media import QUIET, make_clip, publish_command
from .prometheus import prometheus, running, until

pytestmark = [pytest.mark.real("ffmpeg", "prometheus"), pytest.mark.timeout(180)]

GRAPH = """
from tierkit import Edge, Graph, Origin, Relay
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

studio = Origin("studio", listen=("rtmp://127.0.0.1:{studio}", "http://127.0.0.1:0"), serves=Ingest())
graph = Graph.of(
    Edge("edge-a1", site="dc-a", upstream=studio, serves=HLS(), listen="127.0.0.1:{edge}"),
    Relay("relay-b", site="dc-b", upstream=studio, serves=RTMP(), listen="rtmp://127.0.0.1:{relay}"),
    control="127.0.0.1:{control}",
)
"""
#: Of the clip, bits per second: 1.5 Mbit/s of pictures and 96 kbit/s of sound.
RATE = 1.6e6


async def test_a_night_that_prometheus_has_seen(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("studio", "edge", "relay", "control")}
    file = tmp_path / "graph.py"
    file.write_text(GRAPH.format(**ports))
    clip = make_clip(tmp_path / "clip.flv", seconds=20, size="320x180")
    with ExitStack() as stack:
        tiers = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", "tier", "--drain", "1"]
        stack.enter_context(running(tiers, tmp_path / "tiers.log"))
        until(lambda: urlopen(f"http://127.0.0.1:{ports['control']}/readyz", timeout=5).read(), "the tiers run")
        seen = stack.enter_context(
            prometheus(tmp_path / "prometheus", [f"127.0.0.1:{ports['control']}"], RULES, free_port())
        )
        publish = publish_command(clip, f"rtmp://127.0.0.1:{ports['studio']}/live/hall")
        publish[publish.index("-i") : publish.index("-i")] = ["-stream_loop", "-1"]
        stack.enter_context(running(publish, tmp_path / "publisher.log"))
        playlist = f"http://127.0.0.1:{ports['edge']}/live/hall/playlist.m3u8"
        until(lambda: urlopen(playlist, timeout=5).read(), "there is a playlist")
        for name, url in (("edge", playlist), ("relay", f"rtmp://127.0.0.1:{ports['relay']}/live/hall")):
            command = [*QUIET, "-re", "-i", url, "-c", "copy", "-f", "null", "-"]
            stack.enter_context(running(command, tmp_path / f"viewer-{name}.log"))
        began = time.time()
        until(lambda: time.time() > began + 25, "there is something to report", 60)
        end = time.time()
        night = await from_server(seen.url, end - 15, end, 1.0, window=15.0, peak_over=10.0)
    assert {each.name for each in night.by_type} == {"hls", "rtmp", "ingest"}
    assert {each.name for each in night.by_site} == {"(none)", "dc-a", "dc-b"}  # the origin stands in no site
    tiers_ = {tier.name: tier for tier in night.tiers}
    assert {name: tier.role for name, tier in tiers_.items()} == {
        "studio": "origin",
        "edge-a1": "edge",
        "relay-b": "relay",
    }
    for name in ("edge-a1", "relay-b"):
        tier = tiers_[name]
        assert 0.5 * RATE < tier.bits.last < 2 * RATE
        assert tier.viewers.last in (1, 2)  # of HLS they are connections, and ffmpeg may have two
        assert 20e6 < tier.memory.peak < 250e6
        assert 0 < tier.cpu.mean < 1
    assert "relay-b" in night.text()
