"""A night that was recorded: histories as the console serves them, made from figures that a test can reckon with."""

from __future__ import annotations

from typing import Any

#: Ten points of 10 s.  The edges carry HLS, the relay RTMP; nothing is known of the third point.
BITS = {
    "edge-a1": [0, 200e6, None, 800e6, 900e6, 900e6, 900e6, 400e6, 0, 0],
    "edge-b1": [0, 100e6, None, 700e6, 800e6, 800e6, 800e6, 300e6, 0, 0],
    "relay-a": [0, 100e6, None, 600e6, 700e6, 700e6, 700e6, 200e6, 0, 0],
}
SITES = {"edge-a1": "dc-a", "edge-b1": "dc-b", "relay-a": "dc-a"}


def add(*several: list[Any]) -> list[Any]:
    return [None if None in each else sum(each) for each in zip(*several, strict=True)]


def history() -> dict[str, Any]:
    tiers = {
        name: {
            "site": SITES[name],
            "role": "relay" if name == "relay-a" else "edge",
            "state": "running",
            "bits": bits,
            "bits_in": [1000] * 10,
            "upstream_bits": [600_000] * 10,
            "viewers": [None if each is None else round(each / 500_000) for each in bits],
            "chopped": [0, 0, None, 2, 1, 0, 0, 0, 0, 0],
            "hit_ratio": [None] * 10
            if name == "relay-a"
            else [None, 0.9, None, 0.99, 0.999, 0.999, 0.999, 0.999, None, None],
            "cpu": [0.0, 0.1, None, 0.2, 0.3, 0.3, 0.3, 0.1, 0.0, 0.0],
            "memory": [50e6, 60e6, None, 90e6, 120e6, 110e6, 110e6, 100e6, 90e6, 90e6],
        }
        for name, bits in BITS.items()
    }
    return {
        "from": 1_384_106_400,
        "step": 10,
        "points": 10,
        "type": {"hls": add(BITS["edge-a1"], BITS["edge-b1"]), "rtmp": BITS["relay-a"]},
        "site": {"dc-a": add(BITS["edge-a1"], BITS["relay-a"]), "dc-b": BITS["edge-b1"]},
        "tiers": tiers,
    }
