"""Statistics as a control address tells them, small enough to be read."""

from __future__ import annotations

from typing import Any

__all__ = ["edge", "process", "relay", "scraped", "statistics"]


def process(**changes: Any) -> dict[str, Any]:
    """One process."""
    return {
        "started_at": 1_700_000_000.0,
        "ready": True,
        "descriptors": {"limit": 20_000, "reserve": 64, "connections": 1_510, "memfds": 7, "memfd_bytes": 99},
        "long_steps": 2,
        "longest_step": 0.075,
        "loop_delay": {"count": 10, "sum": 0.25, "buckets": {"0.001": 4, "0.05": 9, "1": 10}},
        "cpu_seconds": 12.5,
        "resident_bytes": 40_000_000,
        "memfd_bytes": 8_192,
        "socket_bytes": 5_000,
        "memory_limit": 1 << 30,
        "events": [],
        **changes,
    }


def edge(name: str = "edge-a1", **changes: Any) -> dict[str, Any]:
    """An HLS edge with two doors."""
    figures = {
        "viewers": 3,
        "chopped": 1,
        "rebufferings": 12,
        "requests": 100,
        "hits": 90,
        "results": {"hits": 90, "misses": 10},
        "upstream_connections": 2,
        "upstream_errors": 4,
        "upstream_bytes": 1_000,
        "lag": 0.0,
        "skipped_gops": 0,
        "drops": {},
        "memory": {"store": 700},
    }
    return {
        "name": name,
        "role": "edge",
        "site": "dc-a",
        "state": "running",
        "accepted": 9,
        "refused": 5,
        "failed": 2,
        "traffic": [
            {"protocol": "hls", "scheme": "http", "connections": 2, "accepted": 7, "bytes_in": 10, "bytes_out": 20},
            {"protocol": "hls", "scheme": "https", "connections": 1, "accepted": 2, "bytes_in": 30, "bytes_out": 40},
        ],
        "refusals": {"full": 5},
        "failures": {"protocol": 2},
        "certificates": [{"address": "https://a1:443", "file": "/etc/a1.pem", "not_after": 1_800_000_000.0}],
        "upstreams": [
            {"name": "wowza", "healthy": True, "failures": 0, "failures_total": 6, "clients": 4},
            {"name": "spare", "healthy": False, "failures": 3, "failures_total": 3, "clients": None},
        ],
        "figures": {**figures, "drops": {"slow": 8}},
        "figures_by_service": {"hls": figures},
        "streams": [
            {"name": "live/a", "on_air": True, "viewers": 2, "bytes_in": 0, "bytes_out": 15},
            {"name": "live/b", "on_air": False, "viewers": 1, "bytes_in": 0, "bytes_out": 0},
        ],
        **changes,
    }


def relay(name: str = "relay-a", **changes: Any) -> dict[str, Any]:
    """An RTMP relay with a stream."""
    figures = {
        "viewers": 7,
        "chopped": 0,
        "rebufferings": 0,
        "requests": 8,
        "hits": 7,
        "results": {"hits": 7, "misses": 1},
        "upstream_connections": 1,
        "upstream_errors": 0,
        "upstream_bytes": 500,
        "lag": 1.5,
        "skipped_gops": 11,
        "drops": {},
        "memory": {"ring": 640},
    }
    return {
        "name": name,
        "role": "relay",
        "site": "dc-b",
        "state": "running",
        "accepted": 8,
        "refused": 0,
        "failed": 0,
        "traffic": [
            {"protocol": "rtmp", "scheme": "rtmp", "connections": 7, "accepted": 8, "bytes_in": 50, "bytes_out": 60}
        ],
        "refusals": {},
        "failures": {},
        "certificates": [],
        "upstreams": [{"name": "wowza", "healthy": True, "failures": 0, "failures_total": 0}],
        "figures": figures,
        "figures_by_service": {"rtmp": figures},
        "streams": [{"name": "live/a", "on_air": True, "viewers": 7, "bytes_in": 45, "bytes_out": 55}],
        **changes,
    }


def statistics(*tiers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A graph's."""
    return {"process": process(), "tiers": {each["name"]: each for each in tiers or (edge(), relay())}, **changes}


def scraped(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample of the older text format: its name and labels, and its value."""
    from prometheus_client.parser import text_string_to_metric_families

    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} twice"
            found[key] = float(sample.value)
    return found
