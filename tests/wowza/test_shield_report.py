"""The figures of `tierkit wowza shield`: how they are made of Wowza's counters and the tiers' own."""

from __future__ import annotations

from typing import Any

import pytest

from tierkit import Edge, Graph, Origin, Relay
from tierkit._cli_wowza_shield_report import Shield, Straggler, TierFigures, lines, names_behind, shield, tier_figures
from tierkit.codecs.wowza_counts import ClientRow, Counters, Counts, StreamCount
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza

WOWZA = Origin("wowza", "wowza.example:1935", speaks=Wowza(app="live"))
EDGE = Edge("edge", upstream=WOWZA, host="10.0.0.1", listen=":80", serves=HLS())
LEAF = Edge("leaf", upstream=EDGE, host="10.0.0.2", listen=":80", serves=HLS())
RELAY = Relay("relay", upstream=WOWZA, host="10.0.0.3", listen=":1935", serves=RTMP())
OTHER = Edge("other", upstream=Origin("o", "http://o"), host="10.0.0.4", listen=":80", serves=HLS())
GRAPH = Graph.of(LEAF, RELAY, OTHER)
EMPTY = Shield(origin="wowza", server="wowza.example")


def hls(audience: int, out: int, taken: int, connections: int = 2) -> dict[str, Any]:
    return {
        "state": "running",
        "connections": 2 * audience,
        "bytes_out": out,
        "figures": {"viewers": 3 * audience, "upstream_connections": connections},
        "services": {"hls": {"audience": audience, "upstream_bytes": taken}},
    }


def rtmp(players: int, out: int, taken: int) -> dict[str, Any]:
    streams = [{"bytes_in": taken - 1}, {"bytes_in": 1}]
    figures = {"viewers": players, "upstream_connections": 1}
    return {"state": "running", "bytes_out": out, "figures": figures, "services": {"rtmp": {"streams": streams}}}


TOLD = {"edge": hls(11, 2000, 500), "leaf": hls(100, 9000, 1500, 1), "relay": rtmp(200, 4000, 100)}
FIGURES = tier_figures(GRAPH, WOWZA, {**TOLD, "other": hls(7, 7, 7)})


def row(address: str, uri: str = "rtmp://wowza.example/live/s", protocol: str = "rtmp", **more: Any) -> ClientRow:
    return ClientRow(
        app="live", instance="_definst_", kind="client", address=address, protocol=protocol, uri=uri, **more
    )


def counts(*rows: ClientRow, viewers: int = 0) -> Counts:
    count = StreamCount(app="live", instance="_definst_", name="s", sessions={"hls": viewers}, total=viewers)
    return Counts(counters=Counters(current=viewers), streams=(count,), clients=rows)


OURS = frozenset({"10.0.0.1", "10.0.0.3"})


def test_the_tiers_behind_an_origin() -> None:
    assert names_behind(GRAPH, WOWZA) == ["edge", "leaf", "relay"]
    assert [
        TierFigures(
            name="edge",
            direct=True,
            feeds=("leaf",),
            state="running",
            viewers=11,
            connections=22,
            bytes_out=2000,
            bytes_in=500,
            upstream_connections=2,
            hls=True,
        ),
        TierFigures(
            name="leaf",
            direct=False,
            state="running",
            viewers=100,
            connections=200,
            bytes_out=9000,
            bytes_in=1500,
            upstream_connections=1,
            hls=True,
        ),
        TierFigures(
            name="relay",
            direct=True,
            state="running",
            viewers=200,
            bytes_out=4000,
            bytes_in=100,
            upstream_connections=1,
        ),
    ] == FIGURES


def test_what_tiers_have_from_tiers_is_counted_once() -> None:
    found = shield(EMPTY, FIGURES, counts(row("10.0.0.1"), row("10.0.0.3")), OURS)
    assert found.viewers == 11 - 1 + 100 + 200
    assert found.connections == 222
    assert found.bytes_to_viewers == 2000 + 9000 + 4000 - 1500
    assert found.bytes_from_wowza == 600
    assert found.bytes_saved == 12900
    assert found.saved == pytest.approx(1 - 600 / 13500)
    assert found.ratio == pytest.approx(310 / 3)
    assert (found.clients, found.tier_clients, found.stragglers) == (2, 2, ())


def test_stragglers_are_told_with_what_they_play() -> None:
    page = "live/s/playlist.m3u8"
    rows = [
        row("10.0.0.1", page, "hls"),
        row("192.0.2.7", seconds=60.0, agent="LNX 9"),
        row("192.0.2.8", page, "hls", seconds=5.0),
        row("192.0.2.8", page, "hls", seconds=90.0),
        row("192.0.2.9", "rtmp://wowza.example/live"),
    ]
    found = shield(EMPTY, FIGURES, counts(*rows), OURS, encoders=["192.0.2.9", ""])
    assert (found.clients, found.tier_clients, found.encoders, found.counts_hls) == (4, 1, 1, True)
    assert found.stragglers == (
        Straggler(address="192.0.2.8", protocol="hls", app="live", uri=page, sessions=2, seconds=90.0),
        Straggler(
            address="192.0.2.7",
            protocol="rtmp",
            app="live",
            uri="rtmp://wowza.example/live/s",
            seconds=60.0,
            agent="LNX 9",
        ),
    )
    assert "4 clients: 1 of tiers, 3 of others, and 1 encoder" in lines(found)[1]


def test_an_address_from_which_an_encoder_comes_may_play_as_well() -> None:
    rows = [row("192.0.2.9"), row("192.0.2.9", "live/s/playlist.m3u8", "hls")]
    found = shield(EMPTY, FIGURES, counts(*rows), OURS, encoders=["192.0.2.9"])
    assert [each.protocol for each in found.stragglers] == ["hls"]


def test_the_mode_is_told_where_a_tier_has_found_it_out() -> None:
    modes = {"live": "a session for each viewer: one is shared by all", "\x1b[2J": "x"}
    upstreams = [{"name": "other"}, {"name": "wowza", "source": {"modes": modes}}]
    figures = tier_figures(GRAPH, WOWZA, {"edge": {**TOLD["edge"], "upstreams": upstreams}, "leaf": TOLD["leaf"]})
    told = lines(shield(EMPTY, figures, counts(), OURS))
    assert "  mode            live: a session for each viewer: one is shared by all" in told
    assert all(each.isprintable() or "\ufffd" in each for each in told)
    assert not any("\x1b" in each for each in told)


@pytest.mark.parametrize("odd", [3, [3], [{"name": "wowza"}], [{"name": "wowza", "source": {"modes": []}}]])
def test_what_tells_no_mode_has_none(odd: Any) -> None:
    told = {"edge": {**TOLD["edge"], "upstreams": odd}}
    assert tier_figures(GRAPH, WOWZA, told)[0].modes == {}


def test_where_nobody_tells_who_publishes_that_is_said() -> None:
    page = row("192.0.2.9", "live/s/playlist.m3u8", "hls")
    told = [
        "\n".join(lines(shield(EMPTY, FIGURES, counts(*rows), OURS, encoders=encoders)))
        for rows, encoders in (((row("192.0.2.9"),), None), ((row("192.0.2.9"),), ()), ((page,), None))
    ]
    assert ["encoders may be among those below" in each for each in told] == [True, False, False]


def test_origin_mode_is_told_and_not_taken_for_nobody() -> None:
    found = shield(EMPTY, FIGURES, counts(), OURS)
    assert found.counts_hls is False
    assert "HTTP origin mode" in "\n".join(lines(found))
    # Where no tier fetches HLS, nobody knows.
    assert shield(EMPTY, [FIGURES[2]], counts(), OURS).counts_hls is None


def test_without_rows_nobody_knows_who_they_are() -> None:
    found = shield(EMPTY, FIGURES, counts(viewers=9), OURS)
    assert (found.clients, found.tier_clients) == (9, None)
    assert "9 clients; which of them are tiers is not told" in lines(found)[1]


def test_without_counters_the_tiers_are_told_all_the_same() -> None:
    found = shield(EMPTY, FIGURES, None, OURS)
    assert (found.clients, found.viewers) == (None, 310)
    assert "clients: not told" in lines(found)[1]


def test_before_anything_was_sent() -> None:
    found = shield(EMPTY, tier_figures(GRAPH, WOWZA, {}), counts(), OURS)
    assert (found.ratio, found.saved, found.viewers) == (None, None, 0)
    assert "nothing was sent to viewers yet" in "\n".join(lines(found))


@pytest.mark.parametrize("odd", [None, [], "x", {"figures": [], "services": {"hls": 3, "rtmp": {"streams": "no"}}}])
def test_odd_statistics_are_nothing(odd: Any) -> None:
    for each in tier_figures(GRAPH, WOWZA, {"edge": odd}):
        assert (each.viewers, each.bytes_in, each.bytes_out) == (0, 0, 0)
    assert tier_figures(GRAPH, WOWZA, {"edge": {"bytes_out": -5, "figures": {"viewers": True}}})[0].bytes_out == 0


def test_sizes_are_told_as_people_say_them() -> None:
    figures = [TierFigures(name="edge", direct=True, viewers=1, bytes_out=3 << 40, bytes_in=5 << 20)]
    assert "3.0 TiB sent to viewers for 5.0 MiB taken from Wowza: 100.00% saved" in "\n".join(
        lines(shield(EMPTY, figures, None, OURS))
    )
