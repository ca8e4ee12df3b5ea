"""Graphs that the tests of a plan share."""

from __future__ import annotations

from tierkit import Edge, Graph, Origin, Relay
from tierkit.plugins.flv import FLV
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

WOWZA = Origin("wowza", "http://wowza.example:1935")
RTMP_WOWZA = Origin("wowza", "rtmp://wowza.example/live")
STUDIO = Origin("studio", host="studio.example", listen=("rtmp://:1935", "http://:8080"), serves=Ingest())


def grnet(**limits: object) -> Graph:
    """Three edges in two places and a relay, each on its machine, fed by a node that runs."""
    edges = [
        Edge(name, site=site, host=f"{name}.example", listen=":80", upstream=STUDIO, serves=HLS(cache_bytes=64 << 20))
        for name, site in (("edge-a1", "dc-a"), ("edge-a2", "dc-a"), ("edge-b1", "dc-b"))
    ]
    relay = Relay("relay-a", site="dc-a", host="relay.example", listen=":1935", upstream=STUDIO, serves=RTMP())
    return Graph.of(*edges, relay)


def two_levels() -> Graph:
    """An edge behind a shield, both before a server elsewhere."""
    shield = Edge("shield", site="core", host="s.example", listen=":80", upstream=WOWZA, serves=HLS())
    edge = Edge("edge", site="rim", host="e.example", listen=("http://:80",), upstream=shield, serves=HLS())
    return Graph.of(edge)


def both() -> Graph:
    """One relay for RTMP and FLV over HTTP."""
    relay = Relay(
        "relay", host="r.example", listen=("rtmp://:1935", "http://:8080"), upstream=RTMP_WOWZA, serves=(RTMP(), FLV())
    )
    return Graph.of(relay)
