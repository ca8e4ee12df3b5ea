"""From statistics to samples: every line of the table, and what is absent."""

from __future__ import annotations

from typing import Any

import pytest

from tierkit.plugins.metrics._collect import STATES, Collector
from tierkit.plugins.metrics._table import TABLE

from .support import edge, process, relay, statistics

A, B = ("edge-a1", "dc-a"), ("relay-a", "dc-b")


def collect(told: dict[str, Any]) -> dict[str, dict[tuple[str, ...], Any]]:
    return Collector().collect(told)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ready", {(): 1}),
        ("viewers", {(*A, "hls"): 3, (*B, "rtmp"): 7}),
        ("viewers_chopped", {(*A, "hls"): 1, (*B, "rtmp"): 0}),
        ("rebufferings_total", {(*A, "hls"): 12, (*B, "rtmp"): 0}),
        ("connections", {(*A, "hls", "http"): 2, (*A, "hls", "https"): 1, (*B, "rtmp", "rtmp"): 7}),
        ("connections_accepted_total", {A: 9, B: 8}),
        ("connections_refused_total", {A: 5, B: 0}),
        ("connections_failed_total", {A: 2, B: 0}),
        ("refusals_total", {(*A, "full"): 5}),
        ("failures_total", {(*A, "protocol"): 2}),
        ("drops_total", {(*A, "slow"): 8}),
        ("received_bytes_total", {(*A, "hls", "http"): 10, (*A, "hls", "https"): 30, (*B, "rtmp", "rtmp"): 50}),
        ("sent_bytes_total", {(*A, "hls", "http"): 20, (*A, "hls", "https"): 40, (*B, "rtmp", "rtmp"): 60}),
        ("requests_total", {(*A, "hls"): 100, (*B, "rtmp"): 8}),
        ("request_hits_total", {(*A, "hls"): 90, (*B, "rtmp"): 7}),
        (
            "request_results_total",
            {(*A, "hls", "hits"): 90, (*A, "hls", "misses"): 10, (*B, "rtmp", "hits"): 7, (*B, "rtmp", "misses"): 1},
        ),
        # An edge has no ring: it has no lag, rather than one of nothing.
        ("skipped_gops_total", {(*B, "rtmp"): 11}),
        ("fanout_lag_seconds", {(*B, "rtmp"): 1.5}),
        ("memory_bytes", {(*A, "hls", "store"): 700, (*B, "rtmp", "ring"): 640}),
        ("upstream_connections", {(*A, "hls"): 2, (*B, "rtmp"): 1}),
        ("upstream_errors_total", {(*A, "hls"): 4, (*B, "rtmp"): 0}),
        ("upstream_received_bytes_total", {(*A, "hls"): 1000, (*B, "rtmp"): 500}),
        ("upstream_up", {(*A, "wowza"): 1, (*A, "spare"): 0, (*B, "wowza"): 1}),
        # Nobody asks the other ones.
        ("upstream_clients", {(*A, "wowza"): 4}),
        ("upstream_failures_total", {(*A, "wowza"): 6, (*A, "spare"): 3, (*B, "wowza"): 0}),
        ("certificate_expiry_timestamp_seconds", {(*A, "https://a1:443", "/etc/a1.pem"): 1_800_000_000}),
        ("streams", {A: 2, B: 1}),
        ("streams_on_air", {A: 1, B: 1}),
        ("stream_viewers", {(*A, "live/a"): 2, (*A, "live/b"): 1, (*B, "live/a"): 7}),
        ("stream_on_air", {(*A, "live/a"): 1, (*A, "live/b"): 0, (*B, "live/a"): 1}),
        # A cache does not count what it has received of a stream, and maybe not what it has sent.
        ("stream_received_bytes_total", {(*B, "live/a"): 45}),
        ("stream_sent_bytes_total", {(*A, "live/a"): 15, (*B, "live/a"): 55}),
        ("process_start_time_seconds", {("",): 1_700_000_000}),
        ("process_cpu_seconds_total", {("",): 12.5}),
        ("process_resident_memory_bytes", {("",): 40_000_000}),
        ("process_memfd_bytes", {("",): 8_192}),
        ("process_socket_memory_bytes", {("",): 5_000}),
        ("process_memory_limit_bytes", {("",): 1 << 30}),
        ("process_descriptors", {("", "connections"): 1_510, ("", "memfds"): 7}),
        ("process_max_descriptors", {("",): 20_000}),
        ("event_loop_long_steps_total", {("",): 2}),
        ("event_loop_longest_step_seconds", {("",): 0.075}),
    ],
)
def test_each_metric_is_what_the_statistics_say(name: str, expected: dict[tuple[str, ...], float]) -> None:
    assert collect(statistics())[f"tierkit_{name}"] == expected


def test_the_state_is_one_of_few() -> None:
    for state in STATES:
        told = collect(statistics(edge(state=state)))["tierkit_tier_state"]
        assert told == {(*A, each): float(each == state) for each in STATES}
    assert collect(statistics(edge(state="odd")))["tierkit_tier_state"][*A, "unknown"] == 1


def test_who_has_no_upstream_has_no_figures_of_one() -> None:
    found = collect(statistics(relay(upstreams=[])))
    assert not [name for name in found if "upstream" in name]
    assert "tierkit_viewers" in found


@pytest.mark.parametrize("state", ["down", "starting", "unknown"])
def test_one_that_does_not_tell_has_its_state_alone(state: str) -> None:
    # What its process told last is of another time: viewers that nobody has any more, counters that begin anew.
    found = collect(statistics(edge(state=state), relay()))
    mine = {name for name, values in found.items() for labels in values if labels[:1] == ("edge-a1",)}
    assert mine == {"tierkit_tier_info", "tierkit_tier_state"}


def test_tiers_in_processes_of_their_own() -> None:
    processes = {
        "edge-a1": {**process(), "pid": 7, "alive": True, "starts": 3, "told_ago": 0.5},
        "relay-a": {**process(cpu_seconds=99.0), "pid": 8, "alive": False, "starts": 1, "told_ago": 90.0},
    }
    found = collect(statistics(edge(), relay(state="down"), process={"ready": False}, processes=processes))
    assert found["tierkit_ready"] == {(): 0}
    assert found["tierkit_process_up"] == {("edge-a1",): 1, ("relay-a",): 0}
    assert found["tierkit_process_starts_total"] == {("edge-a1",): 3, ("relay-a",): 1}
    assert found["tierkit_process_report_age_seconds"] == {("edge-a1",): 0.5, ("relay-a",): 90}
    # The parent tells nothing of itself here, and the dead tell nothing.
    assert found["tierkit_process_cpu_seconds_total"] == {("edge-a1",): 12.5}


def test_every_line_of_the_table_is_told_somewhere() -> None:
    processes = {"edge-a1": {**process(), "alive": True, "starts": 1, "told_ago": 0.5}}
    assert set(collect(statistics(processes=processes))) == {each.name for each in TABLE}


def test_what_nobody_knows_is_absent_and_not_zero() -> None:
    bare = {"process": {"ready": True}, "tiers": {"odd": {"state": "running"}}}
    assert set(collect(bare)) == {
        "tierkit_build_info",
        "tierkit_ready",
        "tierkit_tier_info",
        "tierkit_tier_state",
        "tierkit_streams",
        "tierkit_streams_on_air",
    }


def test_a_strangers_values_are_numbers_or_nothing() -> None:
    figures: dict[str, Any] = {"viewers": "many", "results": 7, "memory": {"x": None, "y": 1}, "drops": []}
    found = collect(statistics(edge(figures_by_service={"odd": figures}, upstreams="?", traffic=[3], streams=None)))
    assert found["tierkit_memory_bytes"] == {(*A, "odd", "y"): 1}
    for absent in ("viewers", "request_results_total", "upstream_up", "sent_bytes_total", "stream_viewers"):
        assert f"tierkit_{absent}" not in found


def test_streams_are_bounded_in_each_tier() -> None:
    many = [{"name": f"live/{n}", "on_air": True, "viewers": 1, "bytes_in": 1, "bytes_out": 2} for n in range(1000)]
    found = collect(statistics(edge(streams=many), relay(streams=many)))
    assert len(found["tierkit_stream_viewers"]) == 2 * 201
    assert found["tierkit_stream_viewers"][*A, "other"] == 800
    assert found["tierkit_stream_sent_bytes_total"][*A, "other"] == 1600
    assert found["tierkit_streams"] == {A: 1000, B: 1000}
    assert len(found["tierkit_stream_on_air"]) == 2 * 200
