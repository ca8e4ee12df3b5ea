"""The console in Chromium, before a graph at work: what it shows is what is, on every screen and whatever happens.

`TIERKIT_SHOTS=DIRECTORY` keeps pictures of it to look at.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen

from tests.ports import free_port
from tierkit import Edge, Graph, GraphHandle, Origin, RealNetwork, Relay, open_graph
from tierkit.plugin import Address
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import open_publisher
from tierkit.testing.signal import TestSignal

from .browser import Browser, open_browser
from .ll_hls import kill
from .media import QUIET, make_clip, publish_command
from .test_end_to_end import until_on_air

pytestmark = [pytest.mark.real("ffmpeg", "chromium", "chromedriver"), pytest.mark.timeout(240)]

HOSTILE = "live/</script><img src=x onerror=window.hacked=1><b id=evil>\u202e\u2066x"
LOOK = (Path(__file__).parent / "console_page.js").read_text()
SHOTS = os.environ.get("TIERKIT_SHOTS")
TAB, ENTER, LEFT = "\ue004", "\ue007", "\ue012"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=120, size="320x180")


@frozen
class Rig:
    """An origin of its own process's kind, the tiers before it, and a browser that looks at them."""

    handle: GraphHandle
    browser: Browser
    control: str

    async def open(self, fragment: str = "") -> None:
        await self.browser.open("about:blank")
        await self.browser.open(f"{self.control}/{fragment}")
        await self.until("return document.querySelector('.card, .facts') !== null")

    async def until(self, script: str, seconds: float = 20) -> Any:
        """What a script returns, once that is something."""
        with trio.fail_after(seconds):
            while not (found := await self.browser.run(script)):
                await trio.sleep(0.1)
        return found

    async def get(self, path: str) -> Any:
        def ask() -> Any:
            with urllib.request.urlopen(self.control + path, timeout=10) as answer:
                return json.load(answer)

        return await trio.to_thread.run_sync(ask)

    async def keep(self, name: str) -> None:
        if SHOTS:
            await self.browser.whole_page(Path(SHOTS) / f"{name}.png")


def tiers(studio: str, rtmp: str, control: str) -> Graph:
    """Two edges in two sites and a relay before a server that others run, and a relay that takes publishers."""
    edge = partial(Edge, upstream=Origin("studio", studio), serves=HLS(), listen="127.0.0.1:0")
    relay = partial(Relay, serves=RTMP(), listen="127.0.0.1:0")
    return Graph.of(
        edge("edge-a1", site="dc-a"),
        edge("edge-b1", site="dc-b"),
        relay("relay-a", site="dc-a", upstream=Origin("studio-rtmp", rtmp)),
        relay("stage", site="dc-b"),
        control=control,
    )


@asynccontextmanager
async def playing(*commands: list[str]) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        for each in commands:
            start = partial(trio.run_process, each, check=False, capture_stderr=True, deliver_cancel=kill)
            nursery.start_soon(start)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def publishing(url: Address) -> AsyncIterator[None]:
    """A live signal under a name of the publisher's own choice."""
    async with trio.open_nursery() as nursery, open_publisher(RealNetwork(), url) as publisher:
        signal = TestSignal(width=160, height=90, video_bitrate=50_000)
        nursery.start_soon(signal.play, lambda tag: publisher.send(tag.type_id, tag.timestamp, tag.payload))
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def at_work(clip: Path) -> AsyncIterator[tuple[Rig, Callable[[], Awaitable[None]]]]:
    """The rig, and what takes the origin away."""
    control = f"http://127.0.0.1:{free_port()}"
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
    async with open_browser() as browser, trio.open_nursery() as nursery:
        await browser.screen(1280, 900)
        source, gone = await nursery.start(_origin, studio)
        rtmp, http = (source.url("studio", scheme=each) for each in ("rtmp", "http"))
        graph = tiers(http, rtmp, control)
        async with playing(publish_command(clip, f"{rtmp}/live/s")), open_graph(graph, drain=0) as handle:
            await until_on_air(source)
            play, null = [*QUIET, "-i"], ["-c", "copy", "-f", "null", "-"]
            relay, edge = handle.url("relay-a", "/live/s"), handle.url("edge-a1", "/live/s/playlist.m3u8")
            hostile = handle.addresses("stage")[0].with_(path=f"/{HOSTILE}")
            players = [[*play, each, *null] for each in (relay, relay, edge)]
            async with playing(*players), publishing(hostile):
                yield Rig(handle, browser, control), gone
        nursery.cancel_scope.cancel()


async def _origin(
    studio: Origin, task_status: trio.TaskStatus[tuple[GraphHandle, Callable[[], Awaitable[None]]]]
) -> None:
    leave, left = trio.Event(), trio.Event()

    async def gone() -> None:
        leave.set()
        await left.wait()

    async with open_graph(Graph.of(studio), drain=0) as source:
        task_status.started((source, gone))
        await leave.wait()
    left.set()


async def test_the_page_of_a_graph_at_work(clip: Path) -> None:
    """One graph and one browser for all of it: what takes time is that they come up."""
    async with at_work(clip) as (rig, take_the_origin_away):
        await figures_are_those_of_the_statistics(rig)
        await both_graphs_have_data_and_tell_it_in_a_table(rig)
        await the_keyboard_reaches_every_tier(rig)
        await tiers_and_streams_have_pages_that_can_be_linked(rig)
        await a_hostile_name_is_text(rig)
        await it_can_be_read_on_every_screen(rig)
        await an_upstream_that_is_gone_is_said(rig, take_the_origin_away)


async def figures_are_those_of_the_statistics(rig: Rig) -> None:
    await rig.open()
    await rig.until("return document.querySelector('[data-tier=relay-a] .count b').textContent === '2'")
    await trio.sleep(11)  # rates are means of ten seconds
    card = (
        "const found = {at: document.getElementById('as-of').textContent};"
        "for (const card of document.querySelectorAll('[data-tier]')) if (card.querySelector('.sent'))"
        "  found[card.dataset.tier] = {viewers: card.querySelector('.count b').textContent,"
        "    sent: card.querySelector('.sent b').textContent, hits: card.querySelector('.hits b').textContent,"
        "    state: card.querySelector('.state').textContent.trim()};"
        "return found;"
    )
    shown = await rig.browser.run(card)
    told = await rig.get("/statistics")
    past = await rig.get("/history?seconds=60")
    assert shown.keys() - {"at"} == told["tiers"].keys()
    zone = await rig.browser.run("return new Date().getTimezoneOffset()")
    for name, tier in told["tiers"].items():
        assert shown[name]["viewers"] == str(tier["figures"]["viewers"]), name
        assert shown[name]["state"] == f"● {tier['state']}"
        seconds = [past["from"] + each - 60 * zone for each in range(past["points"])]
        (at,) = [n for n, s in enumerate(seconds) if time.strftime("%H:%M:%S", time.gmtime(s)) == shown["at"]]
        bits = past["tiers"][name]["bits"][at - 9 : at + 1]
        assert shown[name]["sent"] == in_words(sum(bits) / len(bits)), name
    assert told["tiers"]["relay-a"]["figures"]["viewers"] == 2
    assert shown["edge-a1"]["hits"].endswith("%")
    # Whoever runs elsewhere is shown as such, and nothing is made up about it.
    away = await rig.browser.run("return document.querySelector('[data-tier=studio]').textContent")
    assert "elsewhere" in away


def in_words(bits: float) -> str:
    """A rate as the page has it, below 99 Mbit/s."""
    if bits >= 999.5e3 or bits < 50:
        return f"{bits / 1e6:.1f} Mbit/s" if bits >= 50 else "0 Mbit/s"
    return f"{bits / 1e3:.{1 if bits < 1e4 else 0}f} kbit/s"


async def both_graphs_have_data_and_tell_it_in_a_table(rig: Rig) -> None:
    charts = await rig.until(
        "const found = {};"
        "for (const each of document.querySelectorAll('.chart')) found[each.querySelector('h3').textContent] ="
        "  [...each.querySelectorAll('path.area')].filter((one) => one.getBBox().height > 3)"
        "    .map((one) => one.dataset.series);"
        "return Object.keys(found).length === 2 && found;"
    )
    assert set(charts["Traffic by type"]) == {"hls", "rtmp"}
    assert "dc-a" in charts["Traffic by site"]
    sums = await rig.browser.run(
        "return [...document.querySelectorAll('.chart .total')].map((each) => each.textContent)"
    )
    assert sums[0] == sums[1]
    assert re.match(r"now .*bit/s$", sums[0]), sums
    rows = await rig.until(
        "document.querySelectorAll('.chart details').forEach((each) => { each.open = true; });"
        "return [...document.querySelectorAll('.chart table')].map((each) => each.tBodies[0].rows.length)"
        "  .filter((each) => each > 5)"
    )
    assert len(rows) == 2
    # Left and right look at other moments, and say so to those who do not see the line.
    await rig.browser.run("document.querySelector('.chart svg').focus()")
    for _ in range(3):
        await rig.browser.press(LEFT)
    spoken = await rig.browser.run("return document.querySelector('.chart [aria-live]').textContent")
    assert re.match(r"Traffic by type, at \d\d:\d\d:\d\d: hls .* Mbit/s, rtmp .* Mbit/s$", spoken), spoken
    for words, most in (("1 h", 720), ("48 h", 720)):
        await rig.browser.run(
            "[...document.querySelectorAll('.range label')].find((each) => each.textContent === arguments[0])"
            ".querySelector('input').click()",
            words,
        )
        assert await rig.until("return document.querySelectorAll('path.area').length >= 4")
        assert most


async def the_keyboard_reaches_every_tier(rig: Rig) -> None:
    await rig.open()
    reached: dict[str, str] = {}
    for _ in range(30):
        await rig.browser.press(TAB)
        name, outline = await rig.browser.run(
            "const each = document.activeElement, style = getComputedStyle(each);"
            "return [each.dataset.tier || null, style.outlineStyle + style.outlineWidth]"
        )
        if name:
            reached[name] = outline
    assert reached.keys() == {node.name for node in rig.handle.graph.nodes}
    assert set(reached.values()) == {"solid3px"}
    await rig.browser.run("document.querySelector('[data-tier=edge-b1]').focus()")
    await rig.browser.press(ENTER)
    await rig.until("return document.querySelector('h1').textContent === 'edge-b1' && document.title")
    assert await rig.browser.run("return document.activeElement.localName") == "h1"
    await rig.browser.run("history.back()")
    await rig.until("return document.querySelector('.graph') !== null")


async def tiers_and_streams_have_pages_that_can_be_linked(rig: Rig) -> None:
    await rig.open("#/tier/relay-a?range=3600")
    assert await rig.browser.run("return document.querySelector('[name=range]:checked').value") == "3600"
    words = await rig.until(
        "const main = document.querySelector('main').innerText; return main.includes('healthy') && main"
    )
    assert "studio-rtmp" in words
    assert await rig.until(
        "return [...document.querySelectorAll('.chart path.line')].some((each) => each.getBBox().height > 3)"
    )
    await rig.keep("tier")
    await rig.browser.run(
        "[...document.querySelectorAll('main td a, main th a')].find((each) => each.textContent === 'live/s').click()"
    )
    title = await rig.until(
        "const found = document.querySelector('h1').textContent; return found !== 'relay-a' && found"
    )
    assert title == "live/s at relay-a"
    facts = await rig.browser.run("return document.querySelector('.facts').innerText")
    assert "on air" in facts
    assert "2" in facts
    # The edge has the same programme under the name of its playlist.
    await rig.until("return document.querySelector('main').innerText.includes('edge-a1')")
    await rig.keep("stream")


async def a_hostile_name_is_text(rig: Rig) -> None:
    await rig.open("#/tier/stage")
    link = "[...document.querySelectorAll('main a')].find((each) => each.textContent.includes('onerror'))"
    shown = await rig.until(f"return ({link} || {{}}).textContent")
    assert shown == HOSTILE
    await rig.browser.run(f"{link}.click()")
    assert await rig.until("return document.querySelector('h1').textContent.startsWith('live/<')")
    facts = await rig.until("return (document.querySelector('.facts') || {}).innerText")
    assert "on air" in facts
    await rig.open()
    await rig.until("return document.querySelector('main').innerText.includes('onerror')")
    found = await rig.browser.run(
        "return [window.hacked ?? null, document.querySelector('#evil, main img, main script'),"
        " getComputedStyle([...document.querySelectorAll('bdi')].find((each) => each.textContent.includes('onerror')))"
        "   .unicodeBidi]"
    )
    assert found == [None, None, "isolate"]


async def it_can_be_read_on_every_screen(rig: Rig) -> None:
    for name, width, height in (("phone", 360, 740), ("zoomed", 640, 450), ("laptop", 1280, 800), ("wall", 2560, 1440)):
        for dark in (False, True):
            await rig.browser.screen(width, height, dark=dark)
            for page, fragment in (("home", ""), ("tier", "#/tier/edge-a1"), ("stage", "#/tier/stage")):
                await rig.open(fragment)
                await trio.sleep(0.7)
                wrong = await rig.browser.run(LOOK)
                await rig.keep(f"{page}-{name}-{'dark' if dark else 'light'}")
                assert wrong == [], (name, dark, page)
            grounds = await rig.browser.run("return getComputedStyle(document.body).backgroundColor")
            assert grounds == ("rgb(16, 21, 26)" if dark else "rgb(255, 255, 255)")
    await rig.browser.screen(1280, 900)


async def an_upstream_that_is_gone_is_said(rig: Rig, take_it_away: Callable[[], Awaitable[None]]) -> None:
    await rig.open()
    await take_it_away()
    wanted = "relay-a: upstream studio-rtmp fails"
    await rig.until(f"return document.getElementById('verdict').textContent.includes('{wanted}')", seconds=3)
    assert await rig.browser.run("return document.getElementById('verdict').className") == "bad"
    card = await rig.browser.run("return document.querySelector('[data-tier=relay-a]').className")
    assert "bad" in card
    assert await rig.browser.run("return document.querySelector('.link.fails') !== null")
    assert (await rig.browser.run("return document.title")).startswith("▲")
    await rig.keep("upstream-gone")


async def what_is_wrong_is_said_in_one_line(rig: Rig, handle: GraphHandle) -> None:
    right = handle.statistics

    def worse() -> dict[str, Any]:
        told = right()
        tier = told["tiers"]["constructor"]
        tier["figures"] |= {"viewers": 7, "chopped": 3}
        tier["streams"] = [{"name": "live/s", "on_air": False, "source": "off_air", "viewers": 7}]
        return told | {"processes": {"constructor": {"told_ago": 12.5}}}

    handle.statistics = worse  # type: ignore[method-assign]
    words = await rig.until(
        "const found = document.getElementById('verdict'); return found.className === 'bad' && found.textContent"
    )
    assert words == (
        "▲ constructor: its process has told nothing for 12 s · "
        "constructor: live/s is off air, a clip is shown, and 7 wait · constructor: 3 of 7 viewers are chopped"
    )
    assert "▲ 3 chopped" in await rig.browser.run("return document.querySelector('[data-tier=constructor]').innerText")
    assert (await rig.browser.run("return document.title")).startswith("▲ 7 viewers")
    await rig.keep("chopped")
    handle.statistics = right  # type: ignore[method-assign]
    await rig.until("return document.getElementById('verdict').className === 'ok'")


async def test_a_process_that_is_gone_is_said_and_found_again() -> None:
    port = free_port()
    # Names that mean something to JavaScript, and here nothing but themselves.
    away = Origin("toString", "rtmp://127.0.0.1:9")
    relay = Relay("constructor", site="__proto__", upstream=away, listen="127.0.0.1:0", serves=RTMP())
    graph = Graph.of(relay, control=f"127.0.0.1:{port}")
    async with open_browser() as browser:
        async with open_graph(graph, drain=0) as handle:
            rig = Rig(handle, browser, f"http://127.0.0.1:{port}")
            await rig.open()
            assert await browser.run("return document.getElementById('stale').hidden")
            await rig.until("return document.getElementById('verdict').className === 'ok'")
            states = "return [...document.querySelectorAll('.card .state')].map((each) => each.textContent)"
            assert await browser.run(states) == ["↗ elsewhere", "● running"]
            await rig.until("return document.querySelector('main').innerText.includes('__proto__ 0 Mbit/s')")
            await what_is_wrong_is_said_in_one_line(rig, handle)
        words = await rig.until(
            "const found = document.getElementById('stale'); return !found.hidden && found.innerText", seconds=6
        )
        assert re.match(r"Stale since \d s: no word from the process", words), words
        await rig.keep("stale")
        assert "stale" in await browser.run("return document.title")
        async with open_graph(graph, drain=0):
            await rig.until("return document.getElementById('stale').hidden")
            await rig.until("return document.getElementById('verdict').className === 'ok'")
