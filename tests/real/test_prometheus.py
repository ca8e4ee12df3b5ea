"""Metrics, rules and dashboard with their real readers: Prometheus scrapes a graph that carries a stream.

Each tier is a process of its own, so that what one control address tells for several is what is scraped.  Something of
everything happens in it: viewers by three protocols, one by TLS, and some who are refused, sent away and failed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import trustme
from attrs import frozen

from tierkit.reporting._prometheus import QUERIES

from ..metrics.shipped import RULES, exposed_names, queries, with_variables
from ..ports import free_port
from .media import QUIET, make_clip, publish_command
from .prometheus import Prometheus, post, prometheus, running, until

pytestmark = [pytest.mark.real("ffmpeg", "prometheus"), pytest.mark.timeout(240)]

TOKEN = "let-me"
GRAPH = """
from tierkit import Certificate, Edge, Graph, Limits, Listener, Origin, Relay
from tierkit.plugins.flv import FLV
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

studio = Origin("studio", listen=("rtmp://127.0.0.1:{studio}", "http://127.0.0.1:0"), serves=Ingest())
secure = Listener("https://127.0.0.1:{secure}", certificates=Certificate("{pem}"))
graph = Graph.of(
    Edge("edge-a1", site="dc-a", upstream=studio, serves=HLS(), listen=("127.0.0.1:{edge}", secure)),
    Edge("edge-b1", site="dc-b", upstream=studio, serves=HLS(), listen="127.0.0.1:{small}",
         limits=Limits(per_address=2)),
    Relay("relay-a", site="dc-a", upstream=studio, serves=(RTMP(), FLV()),
          listen=("rtmp://127.0.0.1:{relay}", "http://127.0.0.1:{flv}")),
    control="127.0.0.1:{control}",
    control_token="{token}",
)
"""
DOORS = ("studio", "secure", "edge", "small", "relay", "flv", "control")


@frozen
class Rig:
    """What runs."""

    prometheus: Prometheus
    ports: dict[str, int]

    def statistics(self) -> dict[str, Any]:
        with urlopen(f"http://127.0.0.1:{self.ports['control']}/statistics", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("prometheus")
    clip = make_clip(folder / "clip.flv", seconds=20, size="320x180")
    pem = folder / "edge.pem"
    # It ends in a day: somebody is to be told.
    trustme.CA().issue_cert("127.0.0.1", not_after=_tomorrow()).private_key_and_cert_chain_pem.write_to_path(str(pem))
    ports = {name: free_port() for name in DOORS}
    file = folder / "graph.py"
    file.write_text(GRAPH.format(**ports, pem=pem, token=TOKEN))
    with ExitStack() as stack:
        tiers = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", "tier", "--drain", "1"]
        stack.enter_context(running(tiers, folder / "tiers.log"))
        control = f"127.0.0.1:{ports['control']}"
        seen = stack.enter_context(prometheus(folder / "prometheus", [control], RULES, free_port()))
        found = Rig(seen, ports)
        until(lambda: found.statistics()["process"]["ready"], f"the tiers run: {folder}/tiers.log")
        command = publish_command(clip, f"rtmp://127.0.0.1:{ports['studio']}/live/hall")
        command[command.index("-i") : command.index("-i")] = ["-stream_loop", "-1"]
        stack.enter_context(running(command, folder / "publisher.log"))
        _misbehave(stack, found)
        _watch(stack, folder, ports)
        yield found


def _tomorrow() -> Any:
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) + timedelta(days=1)


def _watch(stack: ExitStack, folder: Path, ports: dict[str, int]) -> None:
    """Viewers who stay, by each door, from when there is something to see."""
    playlist = "live/hall/playlist.m3u8"
    until(lambda: urlopen(f"http://127.0.0.1:{ports['edge']}/{playlist}", timeout=5).read(), "there is a playlist")
    urls = (
        f"http://127.0.0.1:{ports['edge']}/{playlist}",
        f"https://127.0.0.1:{ports['secure']}/{playlist}",
        f"rtmp://127.0.0.1:{ports['relay']}/live/hall",
        f"http://127.0.0.1:{ports['flv']}/live/hall.flv",
    )
    for number, url in enumerate(urls):
        options = ["-tls_verify", "0"] if url.startswith("https") else []
        command = [*QUIET, *options, "-re", "-i", url, "-c", "copy", "-f", "null", "-"]
        stack.enter_context(running(command, folder / f"viewer-{number}.log"))


def _misbehave(stack: ExitStack, rig: Rig) -> None:
    """One who is refused, one who fails, and one who is sent away."""
    for _ in range(3):
        stack.enter_context(socket.create_connection(("127.0.0.1", rig.ports["small"])))
    with socket.create_connection(("127.0.0.1", rig.ports["relay"])) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(2000))
        stranger.recv(100)
    player = [*QUIET, "-re", "-i", f"rtmp://127.0.0.1:{rig.ports['relay']}/live/hall", "-f", "null", "-"]
    with running(player, Path(os.devnull)):
        until(lambda: rig.statistics()["tiers"]["relay-a"]["figures"]["viewers"], "one plays")
        control = f"http://127.0.0.1:{rig.ports['control']}"
        post(f"{control}/kick?path=stream:live/hall&tier=relay-a", TOKEN)


def test_every_metric_is_there(rig: Rig) -> None:
    def missing() -> set[str]:
        found = rig.prometheus.query('count by (__name__) ({__name__=~"tierkit_.+"})')
        # There is no Wowza here that counts clients.
        return exposed_names() - {labels["__name__"] for labels, _ in found} - {"tierkit_upstream_clients"}

    until(lambda: not missing(), f"each has a series; without one: {missing()}")


def test_what_prometheus_has_is_what_the_statistics_say(rig: Rig) -> None:
    def same() -> bool:
        figures = {name: each["figures"]["viewers"] for name, each in rig.statistics()["tiers"].items()}
        told = {labels["tier"]: value for labels, value in rig.prometheus.query("sum by (tier) (tierkit_viewers)")}
        return told == figures and figures["relay-a"] == 2 and figures["edge-a1"] >= 2

    until(same, "viewers are as /statistics has them")
    # What a rate is, by the same counter: what comes in bursts and a second late is not the same to the bit.
    before = rig.statistics()["tiers"]["relay-a"]["bytes_out"]
    time.sleep(10)
    sent = (rig.statistics()["tiers"]["relay-a"]["bytes_out"] - before) / 10
    ((_, told),) = rig.prometheus.query('sum(rate(tierkit_sent_bytes_total{tier="relay-a"}[10s]))')
    assert sent > 10_000
    assert told == pytest.approx(sent, rel=0.3)


def test_each_query_of_the_dashboard_has_data(rig: Rig) -> None:
    def empty() -> list[str]:
        asked = ((where, with_variables(query)) for where, query in queries())
        return [where for where, query in asked if not rig.prometheus.query(query)]

    until(lambda: not empty(), f"each query has data; without: {empty()}")


def test_each_query_of_a_report_has_data(rig: Rig) -> None:
    for name, query in QUERIES.items():
        asked = query.replace("SEL", 'job="tierkit"').replace("WIN", "1m")
        assert rig.prometheus.query(asked), name


def test_the_variables_of_the_dashboard_have_values(rig: Rig) -> None:
    def values(label: str, metric: str) -> list[str]:
        found: list[str] = rig.prometheus.ask(f"label/{label}/values", **{"match[]": metric})
        return found

    assert values("job", "tierkit_ready") == ["tierkit"]
    assert values("site", "tierkit_tier_info") == ["dc-a", "dc-b"]
    assert values("tier", "tierkit_tier_info") == ["edge-a1", "edge-b1", "relay-a", "studio"]


def test_the_rules_work(rig: Rig) -> None:
    def unwell() -> list[str]:
        groups = rig.prometheus.ask("rules")["groups"]
        return [
            f"{each['name']}: {each.get('lastError')}" for g in groups for each in g["rules"] if each["health"] != "ok"
        ]

    until(lambda: not unwell(), f"no rule fails: {unwell()}")
    records = [
        each["name"] for g in rig.prometheus.ask("rules")["groups"] for each in g["rules"] if "alerts" not in each
    ]
    assert records
    until(lambda: all(rig.prometheus.query(each) for each in records), "each recording rule has data")


def test_who_is_well_rings_no_bell_but_for_the_certificate(rig: Rig) -> None:
    expected = {("TierkitCertificateExpiring", "edge-a1"), ("TierkitCertificateExpired", "edge-a1")}

    def settled() -> bool:
        # Those refused at the start are forgotten after a minute; a loop that is late is the machine's to tell.
        return {each for each in rig.prometheus.firing() if each[0] != "TierkitLoopBlocked"} == expected

    until(settled, f"no other alert fires: {rig.prometheus.firing()}", seconds=90)


def test_an_origin_that_dies_again_and_again_rings_the_bells(rig: Rig) -> None:
    expected = {
        ("TierkitTierDown", "studio"),
        ("TierkitTierRestarts", ""),
        ("TierkitUpstreamDown", "relay-a"),
        ("TierkitNoUpstream", "relay-a"),
        ("TierkitNoStream", ""),
    }
    seen: set[tuple[str, str]] = set()

    def all_seen() -> bool:
        origin = rig.statistics()["processes"]["studio"]
        if origin["alive"]:
            os.kill(origin["pid"], signal.SIGKILL)
        seen.update(rig.prometheus.firing())
        return expected <= seen

    until(all_seen, f"each alert fires; until now {seen}", seconds=60)
