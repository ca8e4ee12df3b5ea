"""The console at the control address: what it answers, how it tells each second, and what it bears."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tierkit import Graph, GraphHandle, Origin, Registry, Relay, open_graph
from tierkit.events import Event, PluginFailed
from tierkit.http import HttpClient
from tierkit.plugin import Address, Companion, ConnectionLost, StreamState, hookimpl
from tierkit.plugins import control, rtmp
from tierkit.plugins.console import Console
from tierkit.plugins.console._feed import CLIENTS, SLOW, Feed
from tierkit.plugins.console._now import STREAMS, HitRatios, events, now
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

CONTROL = Address.parse("http://127.0.0.1:9000")
START = 1_700_000_000
HOSTILE = "live/</script><img src=x onerror=alert(1)>\u202e\n\ndata: {}\r\n"


def clock() -> float:
    return START + trio.current_time()


@asynccontextmanager
async def opened(
    *, console: Console | None = None, observers: Sequence[Callable[[Event], None]] = (), listen: str | None = ":9000"
) -> AsyncIterator[tuple[MemoryNetwork, GraphHandle]]:
    found = console or Console(clock)

    @hookimpl
    def tierkit_companions() -> Sequence[Companion]:
        return [found]

    registry = Registry()
    registry.add("control", control)
    registry.add("rtmp", rtmp)
    registry.add("console", SimpleNamespace(tierkit_companions=tierkit_companions))
    assert registry.failures == []
    network = MemoryNetwork()
    relay = Relay(
        "relay",
        site="dc-a",
        listen="rtmp://127.0.0.1:1935",
        upstream=Origin("elsewhere", "rtmp://o.example"),
        serves=RTMP(),
    )
    graph = Graph.of(relay, control=listen)
    async with open_graph(graph, network=network, registry=registry, drain=5, observers=observers) as handle:
        yield network, handle


async def ask(network: MemoryNetwork, path: str, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    client = HttpClient(network, trio.current_time)
    where, _, query = path.partition("?")
    async with client.request(method, CONTROL.with_(path=where, query=query)) as response:
        found = response.status, dict(response.headers), await response.read(1 << 20)
    client.close()
    return found


class Listening:
    """One who listens to /events."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.waiting = b""

    async def message(self) -> tuple[str, Any]:
        while b"\n\n" not in self.waiting:
            data = await self.response.read_some()
            if not data:
                raise EOFError
            self.waiting += data
        message, _, self.waiting = self.waiting.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in message.decode().splitlines())
        return ("retry", fields["retry"]) if "retry" in fields else (fields["event"], json.loads(fields["data"]))

    async def until(self, kind: str) -> Any:
        while True:
            found, value = await self.message()
            if found == kind:
                return value


@asynccontextmanager
async def listening(network: MemoryNetwork) -> AsyncIterator[Listening]:
    client = HttpClient(network, trio.current_time)
    async with client.request("GET", CONTROL.with_(path="/events")) as response:
        assert response.status == 200
        assert dict(response.headers)[b"content-type"] == b"text/event-stream"
        yield Listening(response)
    client.close()


async def test_the_page_is_the_same_at_both_addresses(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, headers, body = await ask(network, "/")
        assert status == 200
        assert headers[b"content-type"] == b"text/html; charset=utf-8"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert (await ask(network, "/console"))[2] == body
        assert (await ask(network, "/", "POST"))[0] == 405


async def test_a_listener_is_told_the_plan_once_and_the_rest_each_second(autojump_clock: MockClock) -> None:
    async with opened() as (network, _), listening(network) as listener:
        assert await listener.message() == ("retry", "1000")
        kind, plan = await listener.message()
        assert kind == "plan"
        nodes = {each["name"]: each for each in plan["nodes"]}
        assert nodes["relay"]["upstream"] == ["elsewhere"]
        assert (nodes["relay"]["runs_here"], nodes["elsewhere"]["runs_here"]) == (True, False)
        kind, events = await listener.message()
        assert (kind, events[-1]["kind"]) == ("events", "TierStarted")
        for second in range(3):
            kind, value = await listener.message()
            assert (kind, value["at"]) == ("now", START + second)
            tier = value["tiers"]["relay"]
            assert (tier["state"], tier["site"], tier["viewers"], tier["chopped"]) == ("running", "dc-a", 0, 0)
            assert tier["upstreams"][0]["healthy"] is True


async def test_events_are_told_again_only_where_there_are_new_ones(autojump_clock: MockClock) -> None:
    async with opened() as (network, handle), listening(network) as listener:
        await listener.until("now")
        assert (await listener.message())[0] == "now"
        handle.emit(PluginFailed(tier="relay", plugin="x", reason="it broke"))
        kind, events = await listener.message()
        assert kind == "events"
        assert "it broke" in events[-1]["text"]
        assert [(await listener.message())[0] for _ in range(2)] == ["now", "now"]


async def test_what_is_told_adds_up_with_the_history_and_the_statistics(autojump_clock: MockClock) -> None:
    async with opened() as (network, handle), listening(network) as listener:
        viewer = await network.connect(Address.parse("rtmp://127.0.0.1:1935"))
        viewer.send_nowait(b"\x03" + bytes(1536))  # the server answers with 3,073 bytes
        for _ in range(4):
            value = await listener.until("now")
        status, headers, body = await ask(network, "/history?seconds=60")
        found = json.loads(body)
        assert (status, headers[b"content-type"]) == (200, b"application/json")
        sent = handle.statistics()["tiers"]["relay"]["bytes_out"]
        assert sent >= 3073
        bits = found["tiers"]["relay"]["bits"]
        assert sum(each or 0 for each in bits) == 8 * sent
        assert found["type"]["rtmp"] == found["site"]["dc-a"] == bits
        assert value["tiers"]["relay"]["bits"] == pytest.approx(8 * sent / 3)
        assert value["type"] == {"rtmp": value["tiers"]["relay"]["bits"]}
        assert value["tiers"]["relay"]["connections"] == 1
        viewer.close()


async def test_the_history_of_one_tier_has_its_streams_and_no_other_tier(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        await trio.sleep(2)
        assert json.loads((await ask(network, "/history?tier=relay"))[2])["tiers"]["relay"]["streams"] == {}
        found = json.loads((await ask(network, "/history?tier=nobody&seconds=5"))[2])
        assert (found["tiers"], found["type"]) == ({}, {"rtmp": [None, 0, 0]})


@pytest.mark.parametrize(
    "query", ["seconds=0", "seconds=x", "seconds=172801", "points=0", "points=3001", "seconds=1e3", "seconds=-1"]
)
async def test_a_history_of_nonsense_is_refused_with_what_is_possible(query: str, autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, _, body = await ask(network, f"/history?{query}")
        assert (status, body) == (
            400,
            b"seconds= is a whole number from 1 to 172800, points= one from 1 to 3000\n",
        )


async def test_listeners_are_bounded_and_places_come_free(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        async with trio.open_nursery() as nursery:
            ready = []

            async def listen() -> None:
                async with listening(network) as listener:
                    await listener.until("now")
                    ready.append(listener)
                    await trio.sleep_forever()

            for _ in range(CLIENTS):
                nursery.start_soon(listen)
            while len(ready) < CLIENTS:
                await trio.sleep(0.1)
            status, headers, body = await ask(network, "/events")
            assert (status, headers[b"retry-after"]) == (503, b"5")
            assert body.startswith(b"16 consoles are open")
            nursery.cancel_scope.cancel()
        await trio.sleep(2)  # who has gone is noticed when he is told something
        async with listening(network) as listener:
            await listener.until("now")


class Taking:
    """A sink that takes at a pace."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.had: list[bytes] = []

    async def write(self, data: bytes) -> None:
        await trio.sleep(self.seconds)
        self.had.append(data)


async def test_one_who_takes_nothing_is_given_up(autojump_clock: MockClock) -> None:
    feed = Feed()
    feed.tell("now", 1)
    with pytest.raises(ConnectionLost, match="took nothing for 10 s"):
        await feed.follow(Taking(SLOW + 1))
    assert (trio.current_time(), feed.clients) == (SLOW, 0)


async def test_a_slow_reader_misses_what_was_replaced_and_nothing_piles_up(autojump_clock: MockClock) -> None:
    feed, slow = Feed(), Taking(3.3)
    with trio.move_on_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.follow, slow)
            for second in range(8):
                feed.tell("now", second)
                await trio.sleep(1)
            await trio.sleep_forever()
    numbers = [int(each.split(b"data: ")[1]) for each in slow.had[1:]]
    assert numbers == [3, 6, 7]


async def test_a_message_is_encoded_once_for_all(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, takers = Feed(), [Taking(0.1) for _ in range(3)]
    encoded = []
    dumps = json.dumps

    def counting(value: Any, **options: Any) -> str:
        encoded.append(value)
        return dumps(value, **options)

    monkeypatch.setattr(json, "dumps", counting)
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            for each in takers:
                nursery.start_soon(feed.follow, each)
            await trio.sleep(1)
            feed.tell("now", "hello")
    assert encoded == ["hello"]
    last = {id(each.had[-1]): each.had[-1] for each in takers}
    assert list(last.values()) == [b'event: now\ndata: "hello"\n\n']  # one object for all of them


async def test_nobody_listens_and_no_message_is_made(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(clock)
    made = []
    monkeypatch.setattr(console._feed, "tell", lambda kind, value: made.append(kind))
    async with opened(console=console):
        await trio.sleep(10)
    assert made == ["plan"]
    assert console.history.as_dict(600)["points"] >= 10


async def test_without_a_control_address_nobody_looks(autojump_clock: MockClock) -> None:
    console = Console(clock)
    async with opened(console=console, listen=None):
        await trio.sleep(5)
    assert console.history.as_dict(600)["points"] == 0


async def test_statistics_that_fail_are_told_once_and_it_goes_on(autojump_clock: MockClock) -> None:
    console, told = Console(clock), list[Event]()
    async with opened(console=console, observers=[told.append]) as (network, handle):
        right = handle.statistics

        def wrong() -> dict[str, Any]:
            raise KeyError("a stranger's")

        handle.statistics = wrong  # type: ignore[method-assign]
        await trio.sleep(5)
        assert [each.reason for each in told if isinstance(each, PluginFailed)] == ['KeyError: "a stranger\'s"']
        handle.statistics = right  # type: ignore[method-assign]
        await trio.sleep(2)
        assert json.loads((await ask(network, "/history?seconds=2"))[2])["tiers"]["relay"]["state"] == "running"


async def test_it_tells_how_a_graph_drains_to_its_end(autojump_clock: MockClock) -> None:
    states = []
    async with trio.open_nursery() as nursery:
        async with opened() as (network, _):
            viewer = await network.connect(Address.parse("rtmp://127.0.0.1:1935"))

            async def listen() -> None:
                try:
                    async with listening(network) as listener:
                        while True:
                            states.append((await listener.until("now"))["tiers"]["relay"]["state"])
                except Exception as error:  # the end of the process is the end of the line
                    states.append(type(error).__name__)

            nursery.start_soon(listen)
            await trio.sleep(2)
        viewer.close()
    assert states[0] == "running"
    assert "draining" in states
    assert states[-1] in ("UpstreamError", "EOFError")


async def test_names_from_the_network_stay_within_their_message() -> None:
    feed, taking = Feed(), Taking(0)
    feed.tell("now", {"name": HOSTILE})
    with trio.move_on_after(0.2):
        await feed.follow(taking)
    message = taking.had[1]
    assert message.count(b"\n") == 3
    assert json.loads(message.partition(b"data: ")[2])["name"] == HOSTILE
    assert message.isascii()


def newest(**tiers: Any) -> dict[str, Any]:
    return {"from": START, "points": 2, "type": {"x": [None, 5]}, "site": {}, "process": {"cpu": [0.5]}, "tiers": tiers}


def test_what_is_told_needs_nothing_but_names() -> None:
    # A stranger's service, or a process that has told nothing yet.
    found = now({"tiers": {"a": {"state": "down"}}}, newest(), HitRatios())
    assert (found["at"], found["type"]) == (START + 1, {"x": 5})
    assert found["tiers"]["a"]["streams"] == []
    assert found["tiers"]["a"]["bits"] is None
    assert found["tiers"]["a"]["hit_ratio"] is None


def test_the_processes_of_tiers_are_told_beside_the_parent() -> None:
    statistics = {
        "process": {"ready": False},
        "processes": {"a": {"pid": 7, "alive": True, "starts": 2, "told_ago": 0.5, "events": ["not this"]}},
        "tiers": {"a": {}},
    }
    found = now(statistics, newest(), HitRatios())
    assert found["processes"] == {"a": {"pid": 7, "alive": True, "starts": 2, "told_ago": 0.5}}
    assert found["process"] == {"ready": False, "cpu": 0.5}


def test_events_are_bounded_and_it_is_the_newest_that_stay() -> None:
    def process(*at: int) -> dict[str, Any]:
        return {"events": [{"at": each, "text": str(each)} for each in at]}

    assert [each["at"] for each in events({"process": process(1, 2, 3, 4)})] == [1, 2, 3, 4]
    assert [each["at"] for each in events({"process": process(*range(70))})] == [*range(20, 70)]
    assert events({}) == events({"process": {}}) == []


def test_streams_are_bounded_and_those_with_most_viewers_are_told() -> None:
    streams = [{"name": str(each), "viewers": each} for each in range(STREAMS + 7)]
    tier = now({"tiers": {"a": {"streams": streams}}}, newest(), HitRatios())["tiers"]["a"]
    assert (len(tier["streams"]), tier["more_streams"]) == (STREAMS, 7)
    assert tier["streams"][0] == {"name": str(STREAMS + 6), "viewers": STREAMS + 6, "bits": None}


def test_hit_ratios_are_of_the_last_half_minute_and_begin_anew_with_their_tier() -> None:
    ratios = HitRatios()

    def look(hits: int, requests: int) -> float | None:
        ratios.add({"tiers": {"a": {"figures": {"hits": hits, "requests": requests}}}})
        return ratios.of("a")

    assert look(0, 100) is None
    assert look(50, 200) == 0.5
    for each in range(30):
        look(50, 200 + each)
    assert look(50, 300) == 0.0
    assert look(3, 4) is None
    assert look(6, 8) == 0.75
    ratios.add({"tiers": {}})
    assert ratios.of("a") is None


def test_the_states_of_streams_are_what_the_page_reads() -> None:
    state = StreamState(name=HOSTILE, on_air=False, source="off_air", viewers=2)
    told = {"name": state.name, "on_air": state.on_air, "source": state.source, "viewers": state.viewers}
    tier = now({"tiers": {"a": {"streams": [told]}}}, newest(), HitRatios())["tiers"]["a"]
    assert tier["streams"] == [{**told, "bits": None}]
