"""Graphs at work: start and failure to start, companions, shared things, upstreams in one run, statistics."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import signal
import subprocess
import sys
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tierkit
from tierkit import Graph, GraphError, ListenError, Origin, UpstreamError
from tierkit._process import Process, TierContext
from tierkit._process_figures import ProcessStatistics
from tierkit._registry import Registry
from tierkit._serve import GraphHandle, open_tier, plain
from tierkit.events import PluginFailed, TierFailed, TierStarted, TierStopped
from tierkit.plugin import (
    Address,
    Candidate,
    Companion,
    Context,
    Figures,
    Handle,
    Listener,
    Network,
    Node,
    Running,
    Shared,
    hookimpl,
)
from tierkit.testing import MemoryNetwork

from .fakes import Echo, Record
from .rig import Client, edge, nothing_listens, opened

ROOT = Path(__file__).parents[2]


class Opening(Echo):
    """An echo whose opening goes as a test wants it."""

    hook: Callable[[Node, Context], Any]

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        await trio.lowlevel.checkpoint()
        type(self).hook(tier, ctx)
        async with super().open(tier, ctx) as running:
            yield running


def opening(hook: Callable[[Node, Context], Any]) -> Echo:
    kind: type[Opening] = type("Opening", (Opening,), {"hook": staticmethod(hook)})
    return kind()


def fail(error: Exception) -> Echo:
    def hook(tier: Node, ctx: Context) -> None:
        raise error

    return opening(hook)


class TestStart:
    async def test_upstreams_are_ready_before_those_who_pull_from_them(self) -> None:
        shield = edge("shield", listen=":0")
        async with opened(edge("leaf", upstream=shield, listen=":0")) as rig:
            assert [event.tier for event in rig.events.of(TierStarted)] == ["shield", "leaf"]
            assert rig.handle.tiers == ("shield", "leaf")
            assert rig.handle.ready

    async def test_a_graph_that_cannot_run_opens_nothing(self) -> None:
        network = MemoryNetwork()
        with pytest.raises(GraphError) as caught:
            async with opened(Graph.of(edge("a"), edge("b")), network=network):
                raise AssertionError("not reached")
        assert caught.value.problems == ("b: :8080 on 127.0.0.1 is taken by a already: choose another port",)
        assert await nothing_listens(network, "http://:8080")

    async def test_a_port_that_is_taken_names_the_tier_and_leaves_nothing_open(self) -> None:
        network = MemoryNetwork()
        taken = await network.listen(Listener("http://:8082"))
        graph = Graph.of(edge("a", listen=":8080"), edge("b", listen=(":8081", "http://:8082")))
        with pytest.raises(ListenError, match=r"^b: .*8082.* is already taken: choose another port$"):
            async with opened(graph, network=network) as rig:
                raise AssertionError("not reached", rig)
        assert await nothing_listens(network, "http://:8080", "http://:8081")
        taken.close()

    async def test_cancelled_while_it_listens_it_leaves_nothing_open(self) -> None:
        class Stuck(MemoryNetwork):
            async def listen(self, listener: Listener, **options: Any) -> Any:
                if listener.address.port == 8081:
                    await trio.sleep_forever()
                return await super().listen(listener, **options)

        network = Stuck()
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                async with opened(edge(listen=(":8080", "http://:8081")), network=network):
                    raise AssertionError("not reached")

            nursery.start_soon(run)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await nothing_listens(network, "http://:8080")

    @pytest.mark.parametrize("error", [UpstreamError("wowza", "is down"), ValueError("no memory"), OSError(28, "full")])
    async def test_a_service_that_fails_to_open_is_raised_as_itself(self, error: Exception) -> None:
        network, record = MemoryNetwork(), Record()
        graph = Graph.of(edge("a", listen=":8080"), edge("b", listen=":8081", serves=fail(error)))
        with pytest.raises(type(error)) as caught:
            async with opened(graph, network=network, events=record):
                raise AssertionError("not reached")
        assert caught.value is error
        assert [event.tier for event in record.of(TierFailed)] == ["b"]
        assert str(error) in record.of(TierFailed)[0].text
        assert await nothing_listens(network, "http://:8080", "http://:8081")

    async def test_plugins_that_did_not_load_are_told_and_the_graph_runs(self) -> None:
        registry = Registry.load([ROOT / "no-such-plugin.py"], installed=False)
        async with opened(edge(), registry=registry) as rig:
            (failed,) = rig.events.of(PluginFailed)
            assert "no-such-plugin" in failed.text
            assert await (await rig.client()).ask("hello") == "hello"


class TestFailure:
    async def test_a_background_that_dies_ends_the_tier_and_is_raised(self) -> None:
        network, record = MemoryNetwork(), Record()
        with pytest.RaisesGroup(
            pytest.RaisesExc(RuntimeError, match="the background has died"), flatten_subgroups=True
        ):
            async with opened(Graph.of(edge("a"), edge("b", listen=":8081")), network=network, events=record) as rig:
                calm = await rig.client("b")
                assert await calm.ask("hello") == "hello"
                await (await rig.client("a")).ask("die")
                await trio.sleep_forever()
        (failed,) = record.of(TierFailed)
        assert failed.tier == "a"
        assert failed.reason.startswith("RuntimeError: the background has died (in tests.core.fakes, line ")
        assert await nothing_listens(network, "http://:8080", "http://:8081")

    async def test_the_callers_own_exception_comes_out_as_itself_and_drops(self, autojump_clock: MockClock) -> None:
        mine = ValueError("the caller's own")
        with pytest.raises(ValueError, match="the caller's own") as caught:  # noqa: PT012
            async with opened(edge()) as rig:
                client = await rig.client()
                assert await client.ask("busy") == "busy"
                raise mine
        assert caught.value is mine
        assert trio.current_time() == await client.ended()
        assert await nothing_listens(rig.network, "http://:8080")

    async def test_instruments_are_taken_off(self) -> None:
        async with opened(edge()) as rig:
            watch = rig.handle._watch
        with pytest.raises(KeyError):
            trio.lowlevel.remove_instrument(watch)


class TestTogether:
    """Tiers find each other by name, at call time."""

    async def test_where_an_upstream_is_bound_in_this_run(self) -> None:
        found: list[Candidate] = []
        leaf = edge("leaf", upstream=edge("shield", listen=":0"), listen=":0", serves=opening(upstreams(found)))
        async with opened(leaf) as rig:
            (candidate,) = found
            assert candidate.name == "shield"
            target = await candidate.source.target("/live/a.m3u8?x", ["http"])
            assert target == rig.handle.addresses("shield")[0].with_(path="/live/a.m3u8", query="x")
            client = Client(await rig.network.connect(target))
            assert await client.ask("hello") == "hello"

    async def test_where_the_plan_puts_an_upstream_that_runs_elsewhere(self) -> None:
        found: list[Candidate] = []
        shield = edge("shield", host="shield.example", listen=":80")
        leaf = edge("leaf", upstream=shield, host="leaf.example", serves=opening(upstreams(found)))
        async with opened(Graph.of(leaf).on("leaf.example")) as rig:
            assert rig.handle.tiers == ("leaf",)
            assert str(await found[0].source.target("/a", ["http"])) == "http://shield.example:80/a"

    async def test_where_another_process_is_bound(self) -> None:
        found: list[Candidate] = []
        shield = edge("shield", listen=":0")
        graph = Graph.of(edge("leaf", upstream=shield, serves=opening(upstreams(found)))).only("leaf")
        with pytest.raises(GraphError, match="port 0 is no port to dial"):
            async with opened(graph):
                raise AssertionError("not reached")
        async with opened(graph, bound={"shield": ["http://127.0.0.1:54321"]}):
            assert str(await found[0].source.target("/a", ["http"])) == "http://127.0.0.1:54321/a"

    async def test_a_tier_started_again_takes_its_old_port(self) -> None:
        async with opened(edge(listen=":0"), bound={"e": ["http://127.0.0.1:45454"]}) as rig:
            assert [str(each) for each in rig.handle.addresses("e")] == ["http://127.0.0.1:45454"]

    async def test_external_origins_and_their_trust(self) -> None:
        from tierkit import Trust

        found: list[Candidate] = []
        trust = Trust(ca="ca.pem")
        origin = Origin("o", "https://o.example/live", trust=trust)
        async with opened(edge(upstream=origin, serves=opening(upstreams(found)))):
            (candidate,) = found
            assert candidate.trust == trust
            assert str(await candidate.source.target("/live/a", ["https"])) == "https://o.example/live/a"
            for path in ("/vod/a", "/lively", "/live/../vod", "/live/%2e%2E/vod"):
                with pytest.raises(tierkit.errors.NotServed):
                    await candidate.source.target(path, ["https"])

    async def test_open_tier_dials_what_runs_elsewhere(self) -> None:
        shield = edge("shield", listen=":8081")
        network = MemoryNetwork()
        async with open_tier(edge("leaf", upstream=shield), network=network, registry=Registry()) as tier:
            assert tier.name == "leaf"
            assert tier.url("/live/a.m3u8") == "http://127.0.0.1:8080/live/a.m3u8"
            assert set(tier.running) == {"echo"}
            assert tier.statistics()["state"] == "running"
            client = Client(await network.connect(tier.addresses[0]))
            assert await client.ask("hello") == "hello"
            assert await nothing_listens(network, "http://:8081")

    async def test_urls(self) -> None:
        async with opened(edge(listen=("http://127.0.0.2:80", ":81"))) as rig:
            assert rig.handle.url("e", "/a") == "http://127.0.0.2:80/a"
            assert rig.handle.url("e", scheme="http") == "http://127.0.0.2:80"
            with pytest.raises(KeyError, match="e has no listener for rtmp"):
                rig.handle.url("e", scheme="rtmp")
            with pytest.raises(KeyError):
                rig.handle.addresses("nobody")


def upstreams(into: list[Candidate]) -> Callable[[Node, Context], None]:
    return lambda tier, ctx: into.extend(ctx.upstream.candidates(["http", "https"]))


class Pump(Shared):
    """What a process has one of."""

    made = 0

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        super().__init__(network, clock)
        type(self).made += 1
        self.log: list[str] = []

    async def run(self) -> None:
        self.log.append("runs")
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("ended")


class TestContext:
    async def test_shared_things_are_made_once_and_outlive_the_tiers(self, autojump_clock: MockClock) -> None:
        Pump.made = 0
        pumps: list[Pump] = []
        ended_at_stop: list[list[str]] = []
        service = opening(lambda tier, ctx: pumps.append(ctx.shared(Pump)))

        def look(event: object) -> None:
            if isinstance(event, TierStopped):
                ended_at_stop.append(list(pumps[0].log))

        graph = Graph.of(edge("a", serves=service), edge("b", listen=":8081", serves=service))
        async with opened(graph, observers=[look]) as rig:
            await wait_all_tasks_blocked()
            assert Pump.made == 1
            assert pumps[0] is pumps[1]
            assert pumps[0].log == ["runs"]
            assert pumps[0].network is rig.network
            assert pumps[0].clock() == trio.current_time()
        assert ended_at_stop == [["runs"], ["runs"]]
        assert pumps[0].log == ["runs", "ended"]

    async def test_shared_things_need_an_open_graph(self) -> None:
        ctx = TierContext(Process(Graph.of(edge()), MemoryNetwork()), "e")
        with pytest.raises(RuntimeError, match="only while the graph is open"):
            ctx.shared(Pump)

    @pytest.mark.parametrize("threads", [True, False])
    async def test_run_sync(self, threads: bool) -> None:
        process = Process(Graph.of(edge()), MemoryNetwork(), threads=threads)
        ctx = TierContext(process, "e")
        with trio.testing.assert_checkpoints():
            thread = await ctx.run_sync(threading.get_ident)
        assert (thread == threading.get_ident()) is not threads
        assert await ctx.run_sync(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await ctx.run_sync(divmod, 7, 0)

    async def test_an_event_gets_its_tiers_name(self) -> None:
        contexts: list[Context] = []
        async with opened(edge(serves=opening(lambda tier, ctx: contexts.append(ctx)))) as rig:
            contexts[0].emit(PluginFailed(plugin="p", reason="r"))
            contexts[0].emit(PluginFailed(tier="other", plugin="p", reason="r"))
            assert [each.tier for each in rig.events.of(PluginFailed)] == ["e", "other"]
            assert contexts[0].tier == "e"
            assert contexts[0].network is rig.network

    async def test_services_of_one_tier_share_its_streams(self) -> None:
        contexts: dict[str, Context] = {}
        service = opening(lambda tier, ctx: contexts.setdefault(tier.name, ctx))
        async with opened(Graph.of(edge("a", serves=service), edge("b", listen=":8081", serves=service))):
            assert contexts["a"].streams is contexts["a"].streams
            assert contexts["a"].streams is not contexts["b"].streams


class Beside(Companion):
    def __init__(self, log: list[str], error: Exception | None = None) -> None:
        self.log = log
        self.error = error

    def open(self, handle: Handle) -> AbstractAsyncContextManager[None]:
        return self._open(handle)

    @asynccontextmanager
    async def _open(self, handle: Handle) -> AsyncIterator[None]:
        await trio.lowlevel.checkpoint()
        self.log.append(f"opened, ready: {handle.ready}, {handle.statistics()['tiers']['e']['state']}")
        if self.error is not None:
            raise self.error
        yield
        self.log.append(f"left, ready: {handle.ready}, {handle.statistics()['tiers']['e']['state']}")


class CompanionPlugin:
    def __init__(self, companion: Companion) -> None:
        self.companion = companion

    @hookimpl
    def tierkit_companions(self) -> list[Companion]:
        return [self.companion]


class TestCompanions:
    async def test_they_open_last_and_are_left_last(self) -> None:
        log: list[str] = []
        registry = Registry()
        registry.add("beside", CompanionPlugin(Beside(log)))
        async with opened(edge(), registry=registry):
            assert log == ["opened, ready: True, running"]
        assert log[1:] == ["left, ready: False, stopped"]

    async def test_one_that_fails_to_open_is_raised_as_itself(self) -> None:
        registry = Registry()
        registry.add("beside", CompanionPlugin(Beside([], ListenError("control address: taken"))))
        network = MemoryNetwork()
        with pytest.raises(ListenError, match="control address: taken"):
            async with opened(edge(), registry=registry, network=network):
                raise AssertionError("not reached")
        assert await nothing_listens(network, "http://:8080")


class TestStatistics:
    async def test_they_are_plain_and_complete(self) -> None:
        shield = edge("shield", site="dc-a")
        async with opened(edge("leaf", upstream=(shield, Origin("o", "http://o")), listen=":8081")) as rig:
            assert await (await rig.client("leaf")).ask("hello") == "hello"
            found = rig.handle.statistics()
            assert json.loads(json.dumps(found, allow_nan=False)) == found
            leaf = found["tiers"]["leaf"]
            assert leaf["services"] == {"echo": {"lines": 1}}
            assert leaf["addresses"] == ["http://127.0.0.1:8081"]
            assert [each["name"] for each in leaf["upstreams"]] == ["shield", "o"]
            assert leaf["figures"] == plain(Figures())
            assert leaf["traffic"] == [
                {
                    "protocol": "echo",
                    "scheme": "http",
                    "connections": 1,
                    "accepted": 1,
                    "bytes_in": 6,
                    "bytes_out": 6,
                }
            ]
            assert (leaf["bytes_in"], leaf["bytes_out"], leaf["connections"]) == (6, 6, 1)
            assert leaf["streams"] == []
            assert found["tiers"]["shield"]["site"] == "dc-a"
            assert found["process"]["ready"] is True
            assert set(found["process"]) == {each.name for each in attrs.fields(ProcessStatistics)}
            assert found["process"]["cpu_seconds"] > 0
            assert found["process"]["resident_bytes"] > 10e6
            assert [each["kind"] for each in found["process"]["events"]] == ["TierStarted", "TierStarted"]

    def test_plain(self) -> None:
        @attrs.frozen
        class Value:
            address: Address
            table: dict[int, object]
            several: tuple[object, ...]

        value = Value(Address.parse("http://u:p@h"), {1: {2}}, (None, 1.5, True, signal.SIGTERM))
        assert plain(value) == {
            "address": "http://***@h",
            "table": {"1": [2]},
            "several": [None, 1.5, True, 15],
        }


def statistics_classes() -> Iterator[type]:
    """Every attrs class that some `statistics`, `figures` or `streams` of tierkit returns, and what is in it."""
    seen: set[object] = set()
    for module in pkgutil.walk_packages(tierkit.__path__, "tierkit."):
        # They show what others count, and stand in for servers that are none of ours.
        if module.name.split(".")[1] in ("__main__", "cli", "demo", "testing"):
            continue
        for value in list(vars(importlib.import_module(module.name)).values()):
            if isinstance(value, type) and value.__module__.startswith("tierkit"):
                for method in ("statistics", "figures", "streams"):
                    if inspect.isfunction(vars(value).get(method)):  # a field may be called so too
                        hints = typing.get_type_hints(vars(value)[method])
                        yield from _attrs_in(hints.get("return"), seen)


def _attrs_in(hint: Any, seen: set[object]) -> Iterator[type]:
    if isinstance(hint, type) and attrs.has(hint) and hint not in seen and hint is not Address:
        seen.add(hint)
        yield hint
        for each in typing.get_type_hints(hint).values():
            yield from _attrs_in(each, seen)
    for each in typing.get_args(hint):
        yield from _attrs_in(each, seen)


def test_every_figure_says_how_it_merges_over_processes() -> None:
    classes = list(statistics_classes())
    assert {"TierStatistics", "UpstreamState", "Figures", "StreamState"} <= {each.__name__ for each in classes}
    for each in classes:
        for field in attrs.fields(each):
            merge = field.metadata.get("merge")
            assert merge in ("sum", "max", "last"), f"{each.__qualname__}.{field.name}: merge is {merge!r}"


SERVE = """
import sys
from functools import partial
import trio
from tierkit import Edge, Graph, Origin
from tierkit._registry import Registry
from tierkit._serve import serve
from tests.core.fakes import Echo

def tell(event):
    print(event.text, flush=True)

graph = Graph.of(Edge("e", upstream=Origin("o", "http://o.example"), listen="127.0.0.1:0", serves=Echo()))
trio.run(partial(serve, graph, registry=Registry(), observers=[tell], drain=float(sys.argv[1])))
print("returned", flush=True)
"""


class Served:
    """`serve` as a process of its own."""

    def __init__(self, drain: float) -> None:
        command = [sys.executable, "-W", "error", "-c", SERVE, str(drain)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.lines = self.process.stdout
        self.port = int(self.line().rpartition(":")[2])
        assert re.fullmatch(r"tierkit [0-9a-z.+]+ is ready after [0-9.]+ s: e", self.line())

    def line(self) -> str:
        while (line := self.lines.readline().rstrip()).startswith("the event loop stood still"):
            pass
        return line

    def connect(self) -> Any:
        import socket

        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(b"busy\n")
        assert client.recv(100) == b"busy\n"
        return client

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *args: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_drains_and_the_second_drops(number: signal.Signals) -> None:
    with Served(drain=600) as served, served.connect() as client:
        served.process.send_signal(number)
        assert served.line() == f"told to end by {number.name}"
        assert served.line() == "e drains: 1 connections have 600 s to end"
        served.process.send_signal(number)
        assert served.line() == f"told to end by {number.name} again: everybody is dropped"
        assert served.line() == "returned"
        assert client.recv(100) == b""
        assert served.process.wait(20) == 0
        assert served.process.stderr is not None
        assert served.process.stderr.read() == ""


def test_a_drain_that_ends_by_itself() -> None:
    with Served(drain=0.05) as served, served.connect() as client:
        served.process.send_signal(signal.SIGHUP)  # reads certificates again, and kills nothing
        assert served.line() == "told by SIGHUP to read certificates and open logs again: 1 listeners"
        served.process.send_signal(signal.SIGTERM)
        assert [served.line() for _ in range(5)] == [
            "told to end by SIGTERM",
            "e drains: 1 connections have 0.05 s to end",
            "e has stopped, 1 connections cut",
            "everything has stopped, after 0 s",
            "returned",
        ]
        assert client.recv(100) == b""
        assert served.process.wait(20) == 0


async def test_serve_raises_what_is_wrong_as_itself() -> None:
    from tierkit._serve import serve

    with pytest.raises(GraphError, match="an edge has nothing of its own"):
        await serve(Graph.of(edge(upstream=())), registry=Registry())
    with pytest.raises(ListenError, match=r"^e: "):
        await serve(Graph.of(edge(listen="http://192.0.2.1:1")), registry=Registry())


async def test_serve_ends_when_what_runs_beside_it_returns() -> None:
    from tierkit._serve import serve

    seen: list[Address] = []
    record = Record()

    async def beside(handle: GraphHandle) -> None:
        await trio.lowlevel.checkpoint()
        seen.extend(handle.addresses("e"))

    await serve(Graph.of(edge(listen="127.0.0.1:0")), registry=Registry(), observers=[record], beside=beside)
    assert seen[0].port
    assert record.of(TierStopped) == [TierStopped(tier="e")]
