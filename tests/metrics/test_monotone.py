"""Counters of tiers never go back, whatever becomes of viewers, publishers and streams."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.rtmp.rig import published, relay, stream_on, studio, url, viewer
from tierkit import Address, Graph
from tierkit.http import HttpClient
from tierkit.plugins.flv import FLV
from tierkit.plugins.metrics._collect import Collector, Samples
from tierkit.plugins.metrics._table import TABLE
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

from .support import edge, statistics

COUNTERS = [each.name for each in TABLE if each.kind == "counter"]


class Scrapes:
    """Each held against the one before it."""

    def __init__(self) -> None:
        self._collector = Collector()
        self.last: Samples = {}

    def look(self, told: dict[str, Any]) -> None:
        found = self._collector.collect(told)
        for name in COUNTERS:
            before, now = self.last.get(name, {}), found.get(name, {})
            for labels in before.keys() & now.keys():
                assert now[labels] >= before[labels], (name, labels)
            if not name.startswith("tierkit_stream_"):
                assert before.keys() <= now.keys(), name
        self.last = found

    def sum(self, name: str, tier: str) -> float:
        values = self.last[f"tierkit_{name}"].items()
        return float(sum(value for labels, value in values if labels[0] == tier))


async def test_streams_and_viewers_come_and_go_and_totals_stay(autojump_clock: MockClock) -> None:
    tier = relay(
        upstream=studio(),
        listen=("rtmp://relay.example:1935", "http://relay.example:8080"),
        serves=(RTMP(grace=2), FLV()),
    )
    seen = Scrapes()
    async with opened(Graph.of(tier)) as rig:
        seen.look(rig.handle.statistics())
        for path in ("/live/a", "/live/b", "/live/a"):
            async with published(rig.network, url("studio", path)) as publisher, trio.open_nursery() as nursery:
                nursery.start_soon(stream_on, publisher)
                async with viewer(rig.network, url("relay", path)) as one:
                    await one.until(lambda v: "K" in v.letters)
                    await _a_second_of_flv(rig.network, path)
                    seen.look(rig.handle.statistics())
                    assert await rig.handle.kick(f"stream:{path[1:]}", tiers=["relay"]) == {"relay": 1}
                    await one.ended.wait()
                seen.look(rig.handle.statistics())
                nursery.cancel_scope.cancel()
            await trio.sleep(120)
            seen.look(rig.handle.statistics())
            assert rig.handle.statistics()["tiers"]["relay"]["streams"] == [], "it is forgotten"
    assert "tierkit_stream_sent_bytes_total" not in seen.last
    assert seen.sum("drops_total", "relay") == 3
    assert seen.sum("requests_total", "relay") == 6
    for name in ("sent_bytes_total", "received_bytes_total", "upstream_received_bytes_total"):
        assert seen.sum(name, "relay") > 1000, name


async def _a_second_of_flv(network: MemoryNetwork, path: str) -> None:
    client = HttpClient(network, trio.current_time)
    where = Address.parse(f"http://relay.example:8080{path}.flv")
    with trio.move_on_after(1):
        async with client.request("GET", where, ()) as response:
            assert response.status == 200
            while await response.read(1 << 16):
                pass
    client.close()
    await trio.sleep(1)  # until the relay has seen it go


def test_a_process_that_begins_anew_begins_from_nothing_after_it_was_silent() -> None:
    # What rate() takes for a restart is a smaller value; the old one is not told while nobody lives who has it.
    collector = Collector()
    before = collector.collect(statistics(edge()))
    assert before["tierkit_requests_total"] == {("edge-a1", "dc-a", "hls"): 100}
    for state in ("down", "starting"):
        assert "tierkit_requests_total" not in collector.collect(statistics(edge(state=state)))
    figures = {**edge()["figures_by_service"]["hls"], "requests": 2}
    after = collector.collect(statistics(edge(figures_by_service={"hls": figures})))
    assert after["tierkit_requests_total"] == {("edge-a1", "dc-a", "hls"): 2}
