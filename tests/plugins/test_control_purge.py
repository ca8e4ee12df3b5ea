"""Purging and kicking over the control address."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.plugins.edge_rig import ORIGIN, PLAYLIST, SEGMENT, FakeOrigin, Rig, plain, playlist
from tests.support_http import open_server
from tierkit import Edge, Graph, Registry, Relay
from tierkit.events import PluginFailed, Purged
from tierkit.http import HttpClient
from tierkit.plugin import Address
from tierkit.plugins import control
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

CONTROL = Address.parse("http://127.0.0.1:9000")
TOKEN = "hush"
QUERY = "/live/s/vod.ts?a=1"


@asynccontextmanager
async def tiers(token: str = TOKEN, **options: Any) -> AsyncIterator[Rig]:
    """Two edges and a relay, one of the edges behind the other."""
    registry = Registry()
    registry.add("control", control)
    network = MemoryNetwork()
    fake = FakeOrigin(
        {SEGMENT: plain(b"segment"), PLAYLIST: plain(playlist()), "/live/s/vod.ts": plain(b"v"), "/b/x.ts": plain(b"x")}
    )
    hls = HLS(prefetch=False, **options)
    edge = Edge("edge", upstream=ORIGIN, listen="http://edge.example:80", serves=hls)
    leaf = Edge("leaf", upstream=ORIGIN, listen="http://leaf.example:80", serves=hls)
    relay = Relay("relay", listen="rtmp://127.0.0.1:1935", serves=RTMP())
    graph = Graph.of(edge, leaf, relay, control=":9000", control_token=token)
    async with (
        open_server(network, fake, "http://origin.example:80"),
        opened(graph, network=network, registry=registry, drain=1) as rig,
    ):
        yield Rig(network, fake, rig.handle, rig.events)


async def post(
    rig: Rig, path: str, query: str = "", form: bytes = b"", *, token: str | None = TOKEN
) -> tuple[int, str]:
    headers = [] if token is None else [(b"Authorization", b"Bearer " + token.encode())]
    client = HttpClient(rig.network, trio.current_time)
    async with client.request("POST", CONTROL.with_(path=path, query=query), headers, form) as response:
        found = response.status, (await response.read(1 << 16)).decode()
    client.close()
    return found


async def purged(rig: Rig, path: str, more: str = "&tier=edge") -> Any:
    status, body = await post(rig, "/purge", f"path={quote(path, safe='')}{more}")
    assert status == 200, body
    found = json.loads(body)
    assert found["failed"] == []
    return found["purged"]


# --- what is purged ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "more", "count"),
    [
        (SEGMENT, "", 1),
        (f"https://edge.example{SEGMENT}", "", 1),
        ("/live/s/vod.ts", "", 2),
        (QUERY, "", 1),
        ("/live/s/vod.ts?a=2", "", 0),
        ("/live/*", "", 4),
        ("/li*", "", 4),
        ("stream:live/s", "", 4),
        ("stream:live", "", 4),
        ("stream:liv", "", 0),
        ("*", "&all=1", 5),
        ("/*", "&all=1", 5),
        ("/nowhere", "", 0),
    ],
)
async def test_each_is_purged_once(path: str, more: str, count: int, autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        everything = (SEGMENT, PLAYLIST, QUERY, "/live/s/vod.ts", "/b/x.ts")
        for each in everything:
            await rig.get(each)
        asked = len(rig.origin.asked)
        assert await purged(rig, path, f"&tier=edge{more}") == {"edge": count}
        assert await purged(rig, path, f"&tier=edge{more}") == {"edge": 0}
        for each in everything:
            await rig.get(each)
        assert len(rig.origin.asked) - asked == count


async def test_all_tiers_are_meant_or_the_one_that_is_named(autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        for tier in ("edge", "leaf"):
            await rig.get(SEGMENT, tier=tier)
        assert await purged(rig, SEGMENT, "&tier=leaf") == {"leaf": 1}
        assert await purged(rig, SEGMENT, "") == {"edge": 1, "leaf": 0, "relay": 0}
        # Who has done it, and to what, is told.
        first, second = rig.events.of(Purged)
        assert first.by.startswith("127.0.0.1:")
        assert first.text == f"{first.by} has purged {SEGMENT}: leaf 1"
        assert (second.pattern, second.objects) == (SEGMENT, (("edge", 1), ("leaf", 0), ("relay", 0)))


async def test_what_varies_is_purged_with_all_that_it_varies_in(autojump_clock: MockClock) -> None:
    async with tiers(policy="rfc9111") as rig:
        rig.origin.paths[SEGMENT] = plain(b"x", (b"Vary", b"X-Flavour"), (b"Cache-Control", b"max-age=60"))
        for flavour in ("sweet", "sour"):
            await rig.get(SEGMENT, f"X-Flavour: {flavour}")
        await rig.get(SEGMENT, "X-Flavour: sweet")
        assert rig.origin.count(SEGMENT) == 2
        assert await purged(rig, SEGMENT) == {"edge": 2}
        await rig.get(SEGMENT, "X-Flavour: sour")
        assert rig.origin.count(SEGMENT) == 3


async def test_a_query_may_have_what_the_edge_ignores(autojump_clock: MockClock) -> None:
    async with tiers(ignore_query=("token",)) as rig:
        await rig.get("/live/s/vod.ts?a=1&token=17")
        assert await purged(rig, "/live/s/vod.ts?token=4711&a=1") == {"edge": 1}


async def test_what_is_fetched_meanwhile_reaches_who_waits_and_is_not_kept(autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        rig.origin.delay = 2
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.get, SEGMENT)
            await trio.sleep(1)
            assert await purged(rig, SEGMENT) == {"edge": 1}
        rig.origin.delay = 0
        assert (await rig.get(SEGMENT)).body == b"segment"
        assert rig.origin.count(SEGMENT) == 2


async def test_softly_it_is_stale_and_still_there(autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        await rig.get(PLAYLIST)
        assert await purged(rig, PLAYLIST, "&tier=edge&soft=1") == {"edge": 1}
        answer = await rig.get(PLAYLIST)
        assert b"stale" in (answer.get(b"cache-status") or b"")


async def test_a_form_says_the_same_as_a_query(autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        await rig.get(QUERY)
        form = b"path=" + quote(QUERY, safe="").encode()
        status, body = await post(rig, "/purge", "tier=edge", form)
        assert (status, json.loads(body)) == (200, {"purged": {"edge": 1}, "failed": []})


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("", 400, "path: '' is no pattern"),
        ("path=live", 400, "path: 'live' is no pattern"),
        ("path=*", 400, "say all=1 too"),
        ("path=/*", 400, "say all=1 too"),
        ("path=*&all=0", 400, "say all=1 too"),
        ("path=*&all=yes", 400, "all is 1 or 0, not 'yes'"),
        ("path=/x&soft=yes", 400, "soft is 1 or 0, not 'yes'"),
        ("path=/x&tier=egde", 404, "there is no tier 'egde' here; there are edge leaf relay"),
        ("path=/x&tier=", 404, "there is no tier ''"),
        ("path=/x.ts?a=1&b=2", 400, "'b' is no parameter: there are all path soft tier; in a path write & as %26"),
        ("path=/a+b", 400, "spaces"),
    ],
)
async def test_what_makes_no_sense_is_told_and_does_nothing(
    query: str, status: int, told: str, autojump_clock: MockClock
) -> None:
    async with tiers() as rig:
        await rig.get(SEGMENT)
        answered, body = await post(rig, "/purge", query)
        assert answered == status
        assert told in body
        assert body.count("\n") == 1
        assert await purged(rig, "*", "&all=1") == {"edge": 1, "leaf": 0, "relay": 0}


@pytest.mark.parametrize("path", ["/purge", "/kick"])
@pytest.mark.parametrize(
    ("token", "shown", "status"), [(TOKEN, None, 401), (TOKEN, "nush", 401), ("", "", 403), ("", "hush", 403)]
)
async def test_nothing_is_done_without_the_token(
    path: str, token: str, shown: str | None, status: int, autojump_clock: MockClock
) -> None:
    async with tiers(token) as rig:
        await rig.get(SEGMENT)
        player = await rig.network.connect(Address.parse("rtmp://127.0.0.1:1935"))
        assert (await post(rig, path, "path=*&all=1", token=shown))[0] == status
        await rig.get(SEGMENT)
        assert rig.origin.count(SEGMENT) == 1
        player.close()


async def test_a_tier_that_fails_is_named_and_keeps_no_other_from_it(autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        await rig.get(SEGMENT, tier="leaf")

        def purge(pattern: str, *, soft: bool = False) -> int:
            raise AttributeError("a bug")

        rig.handle.running("edge")["hls"].purge = purge  # type: ignore[method-assign]
        status, body = await post(rig, "/purge", f"path={SEGMENT}")
        assert status == 500
        assert json.loads(body) == {"purged": {"edge": None, "leaf": 1, "relay": 0}, "failed": ["edge"]}
        (failed,) = rig.events.of(PluginFailed)
        assert (failed.tier, failed.plugin, failed.reason) == ("edge", "hls", "AttributeError: a bug")


# --- kick ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"), [("stream:live/s", "live/s"), ("/live/s", "live/s"), ("/live/*", "live/*"), ("*", "*")]
)
async def test_a_kick_goes_to_the_services_by_the_streams_name(path: str, name: str, autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        kicked = []

        def kick(pattern: str) -> int:
            kicked.append(pattern)
            return 3

        rig.handle.running("relay")["rtmp"].kick = kick  # type: ignore[method-assign]
        status, body = await post(rig, "/kick", form=f"path={path}&all=1".encode())
        assert (status, json.loads(body)) == (200, {"kicked": {"edge": 0, "leaf": 0, "relay": 3}, "failed": []})
        assert kicked == [name]


@pytest.mark.parametrize("query", ["path=*", "path=live", "path=/x&soft=1", "path=/x&tier=egde"])
async def test_a_kick_is_looked_at_like_a_purge(query: str, autojump_clock: MockClock) -> None:
    async with tiers() as rig:
        assert (await post(rig, "/kick", query))[0] == (404 if "tier" in query else 400)
