"""The two formats, as the readers of prometheus-client take them."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from tierkit.plugins.metrics._collect import Collector
from tierkit.plugins.metrics._exposition import exposed, takes_gzip
from tierkit.plugins.metrics._table import TABLE

from .support import edge, process, scraped, statistics

OPENMETRICS = "application/openmetrics-text"
#: What Prometheus 2.42 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


async def written(told: dict[str, Any], accept: str = "") -> str:
    body, _ = await exposed(Collector().collect(told), accept=accept, gzip=False)
    return body.decode()


async def test_a_counter_a_gauge_an_info_and_a_histogram() -> None:
    found = scraped(await written(statistics()))
    tier = {"tier": "edge-a1", "site": "dc-a"}

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    assert value("tierkit_requests_total", **tier, protocol="hls") == 100
    assert value("tierkit_viewers", **tier, protocol="hls") == 3
    assert value("tierkit_tier_info", **tier, role="edge") == 1
    buckets = {"0.001": 4, "0.05": 9, "1.0": 10, "+Inf": 10}
    for bound, count in buckets.items():
        assert value("tierkit_event_loop_delay_seconds_bucket", process="", le=bound) == count
    assert value("tierkit_event_loop_delay_seconds_count", process="") == 10
    assert value("tierkit_event_loop_delay_seconds_sum", process="") == 0.25


async def test_both_formats_say_the_same() -> None:
    processes = {"edge-a1": {**process(), "alive": True, "starts": 1, "told_ago": 0.5}}
    told = statistics(processes=processes)
    families = list(read_openmetrics(await written(told, OPENMETRICS)))
    same = {
        (sample.name, frozenset(sample.labels.items())): sample.value for each in families for sample in each.samples
    }
    assert same == scraped(await written(told))
    # In the table's order, each family once and whole.
    names = {"counter": "_total", "info": "_info"}
    assert [each.name + names.get(each.type, "") for each in families] == [each.name for each in TABLE]
    assert all(each.documentation for each in families)


async def test_hostile_names_are_values_and_nothing_else() -> None:
    name = 'live/"} 1\ntierkit_ready 0\\'
    told = statistics(edge(streams=[{"name": name, "on_air": True, "viewers": 4, "bytes_in": 1, "bytes_out": 1}]))
    found = scraped(await written(told))
    labels = {"tier": "edge-a1", "site": "dc-a", "stream": name}
    assert found["tierkit_stream_viewers", frozenset(labels.items())] == 4
    assert found["tierkit_ready", frozenset()] == 1


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (OPENMETRICS, True),
        (PROMETHEUS, True),
        (f"{OPENMETRICS};q=0.5,text/plain;q=0.7", False),
        (f"{OPENMETRICS};q=0", False),
        (f"{OPENMETRICS};q=much", False),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily", False),
        (";,;q=,=;", False),
    ],
)
async def test_the_format_is_what_is_asked_for(accept: str, openmetrics: bool) -> None:
    body, content_type = await exposed(Collector().collect(statistics()), accept=accept, gzip=False)
    assert content_type.startswith(OPENMETRICS if openmetrics else "text/plain; version=0.0.4")
    assert body.endswith(b"# EOF\n") is openmetrics
    assert body.count(b"# EOF\n") == openmetrics


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
async def test_compressed_it_is_the_same_and_smaller(accept: str) -> None:
    samples = Collector().collect(statistics())
    plain, _ = await exposed(samples, accept=accept, gzip=False)
    packed, _ = await exposed(samples, accept=accept, gzip=True)
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 4


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("identity", False),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
        ("gzip;q=0, *", False),
        ("gzip;q=odd", False),
    ],
)
def test_who_takes_gzip(accept: str, takes: bool) -> None:
    assert takes_gzip(accept) is takes


class Steps(trio.abc.Instrument):
    """Counts the steps of one task."""

    def __init__(self) -> None:
        self.task, self.count = trio.lowlevel.current_task(), 0

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self.task


async def test_others_have_their_turn_between_two_families() -> None:
    samples = Collector().collect(statistics())
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    try:
        await exposed(samples, accept="", gzip=True)
    finally:
        trio.lowlevel.remove_instrument(steps)
    assert steps.count == len(samples)
