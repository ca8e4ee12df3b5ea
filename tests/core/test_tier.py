"""One tier at work on the network in memory: its doors, the guard of each connection, its drain."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tierkit import Graph, Limits
from tierkit._tier import dialable
from tierkit.events import (
    AcceptPaused,
    ConnectionFailed,
    Draining,
    Event,
    PluginFailed,
    Refused,
    TierStarted,
    TierStopped,
)
from tierkit.plugin import Address, Bound, Connection, ConnectionLost, Descriptors, Listener, Peer
from tierkit.testing import MemoryNetwork

from .fakes import LiveEcho, Record
from .rig import Client, edge, opened


class TestConnections:
    async def test_a_tier_answers_when_it_is_open(self) -> None:
        async with opened(edge(listen=("http://:8080", ":0"))) as rig:
            assert rig.events.names == ["TierStarted"]
            (started,) = rig.events.of(TierStarted)
            assert [address.port for address in started.addresses] == [8080, 40001]
            assert [str(a) for a in rig.handle.addresses("e")] == ["http://127.0.0.1:8080", "http://127.0.0.1:40001"]
            client = await rig.client()
            assert await client.ask("hello") == "hello"
            assert await client.ask("again") == "again"
        assert rig.events.of(TierStopped) == [TierStopped(tier="e", dropped=0)]

    async def test_a_service_that_returns_ends_its_connection_in_order(self) -> None:
        async with opened(edge()) as rig:
            client = await rig.client()
            assert await client.ask("bye") == ""
        assert not rig.events.of(ConnectionFailed)

    @pytest.mark.parametrize("word", ["lost", "allgone"])
    async def test_a_lost_connection_is_an_ordinary_end(self, word: str) -> None:
        async with opened(edge()) as rig:
            assert await (await rig.client()).ask(word) == ""
            assert rig.handle.statistics()["tiers"]["e"]["failed"] == 0
        assert not rig.events.of(ConnectionFailed)

    @pytest.mark.parametrize(
        ("word", "line", "kind"),
        [
            ("raise", "ValueError: told to (in tests.core.fakes, line ", "internal"),
            ("group", "ValueError: told to in a group", "internal"),
            ("rude", "rude words", "protocol"),
        ],
    )
    async def test_one_connections_exception_is_an_event_and_the_others_go_on(
        self, word: str, line: str, kind: str
    ) -> None:
        async with opened(edge()) as rig:
            calm, wild = await rig.client(), await rig.client()
            assert await calm.ask("hello") == "hello"
            assert await wild.ask(word) == ""
            (failed,) = rig.events.of(ConnectionFailed)
            assert failed.reason.startswith(line)
            assert (failed.tier, failed.peer) == ("e", "192.0.2.1:40002")
            assert "\n" not in failed.text
            assert await calm.ask("hello") == "hello"
            assert await (await rig.client()).ask("hello") == "hello"
            statistics = rig.handle.statistics()["tiers"]["e"]
            assert (statistics["failed"], statistics["accepted"], statistics["connections"]) == (1, 3, 2)
            assert statistics["failures"] == {kind: 1}
            assert rig.handle.ready

    async def test_bytes_are_counted_over_connections_that_have_gone(self) -> None:
        async with opened(edge()) as rig:
            first, second = await rig.client(), await rig.client()
            await first.ask("12345")
            await first.ask("bye")
            await second.ask("123")
            statistics = rig.handle.statistics()["tiers"]["e"]
            assert (statistics["bytes_in"], statistics["bytes_out"]) == (6 + 4 + 4, 6 + 4)


class TestDeadline:
    """From accept to the first request: one deadline that nothing but `settled` moves."""

    async def test_silence_is_cut(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(first_request=7))) as rig:
            began = trio.current_time()
            client = await rig.client()
            assert await client.ended() == began + 7
            (failed,) = rig.events.of(ConnectionFailed)
            assert failed.reason == "no request within 7 s of connecting"
            assert rig.handle.statistics()["tiers"]["e"]["failures"] == {"no_request": 1}

    async def test_a_byte_now_and_then_does_not_help(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(first_request=7))) as rig:
            began = trio.current_time()
            client = await rig.client()
            for _ in range(6):
                await client.connection.send_all(b"x")
                await trio.sleep(1)
            assert await client.ended() == began + 7

    async def test_a_handshake_counts_too(self, autojump_clock: MockClock) -> None:
        network = SlowHandshakes()
        async with opened(edge(limits=Limits(first_request=7)), network=network) as rig:
            began = trio.current_time()
            assert await (await rig.client()).ended() == began + 7

    async def test_once_settled_it_may_take_its_time(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(first_request=7))) as rig:
            client = await rig.client()
            assert await client.ask("hello") == "hello"
            await trio.sleep(3600)
            assert await client.ask("still here") == "still here"


class TestDrain:
    async def test_idle_ones_are_let_go_at_once(self, autojump_clock: MockClock) -> None:
        async with opened(edge(), drain=20) as rig:
            client = await rig.client()
            assert await client.ask("hello") == "hello"
            await wait_all_tasks_blocked()
            leaving = trio.current_time()
        assert trio.current_time() - leaving < 0.2
        assert await client.ended() == trio.current_time()
        assert rig.events.of(Draining) == [Draining(tier="e", seconds=20, connections=1)]
        assert rig.events.of(TierStopped) == [TierStopped(tier="e", dropped=0)]

    async def test_a_tier_with_nobody_in_it_stops_at_once(self, autojump_clock: MockClock) -> None:
        async with opened(edge()) as rig:
            before = trio.current_time()
        assert trio.current_time() == before
        assert rig.events.names == ["TierStarted", "TierStopped"]

    async def test_busy_ones_are_cut_at_the_deadline(self, autojump_clock: MockClock) -> None:
        async with opened(edge(), drain=20) as rig:
            busy, idle = await rig.client(), await rig.client()
            assert await busy.ask("busy") == "busy"
            assert await idle.ask("hello") == "hello"
            leaving = trio.current_time()
        assert trio.current_time() == leaving + 20
        assert rig.events.of(TierStopped) == [TierStopped(tier="e", dropped=1)]
        assert not rig.events.of(ConnectionFailed)
        assert await busy.ended() == trio.current_time()

    async def test_all_tiers_drain_at_the_same_time(self, autojump_clock: MockClock) -> None:
        async with opened(Graph.of(edge("a"), edge("b", listen=":8081")), drain=20) as rig:
            for tier in ("a", "b"):
                assert await (await rig.client(tier)).ask("busy") == "busy"
            leaving = trio.current_time()
        assert trio.current_time() == leaving + 20
        assert [event.dropped for event in rig.events.of(TierStopped)] == [1, 1]

    async def test_busy_ones_may_end_in_their_own_time(self, autojump_clock: MockClock) -> None:
        async with trio.open_nursery() as nursery:

            async def finish(client: Client) -> None:
                await trio.sleep(10)
                await client.connection.send_all(b"f a line\n")

            async with opened(edge(), drain=20) as rig:
                client = await rig.client()
                assert await client.ask("hello") == "hello"
                await client.connection.send_all(b"hal")  # in the middle of a line it is not idle
                await wait_all_tasks_blocked()
                leaving = trio.current_time()
                nursery.start_soon(finish, client)
        assert 10 <= trio.current_time() - leaving < 10.2
        assert await client.answer() == "half a line"
        assert rig.events.of(TierStopped) == [TierStopped(tier="e", dropped=0)]

    async def test_while_it_drains_nobody_comes_in(self, autojump_clock: MockClock) -> None:
        async with trio.open_nursery() as nursery:
            network, refusals = MemoryNetwork(), []

            async def late() -> None:
                await trio.sleep(1)
                refusals.append(rig.handle.ready)
                with pytest.raises(ConnectionLost):
                    await rig.client()
                refusals.append(rig.handle.statistics()["tiers"]["e"]["state"])

            async with opened(edge(), network=network) as rig:
                assert await (await rig.client()).ask("busy") == "busy"
                assert rig.handle.ready
                nursery.start_soon(late)
            assert refusals == [False, "draining"]
            assert rig.handle.statistics()["tiers"]["e"]["state"] == "stopped"

    async def test_services_are_told(self, autojump_clock: MockClock) -> None:
        async with opened(edge()) as rig:
            service = rig.handle.running("e")["echo"]
            assert isinstance(service, LiveEcho)
            assert not service.drained
        assert service.drained

    async def test_a_service_that_stumbles_over_it_drops_nobody(
        self, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stumble(self: LiveEcho) -> None:
            raise ValueError("no way out")

        monkeypatch.setattr(LiveEcho, "draining", stumble)
        async with opened(edge(), drain=5) as rig:
            assert await (await rig.client()).ask("busy") == "busy"
            leaving = trio.current_time()
        assert trio.current_time() == leaving + 5
        (failed,) = rig.events.of(PluginFailed)
        assert failed.text.startswith("plugin echo: ValueError: no way out")

    async def test_cancelling_drops_at_once(self, autojump_clock: MockClock) -> None:
        with trio.CancelScope() as scope:
            async with opened(edge(), drain=20) as rig:
                client = await rig.client()
                assert await client.ask("busy") == "busy"
                before = trio.current_time()
                scope.cancel()
                await trio.sleep_forever()
        assert trio.current_time() == before
        assert await client.ended() == before
        assert "Draining" not in rig.events.names

    @pytest.mark.parametrize("drain", [0, 3])
    async def test_a_grudge_on_the_way_out_is_not_the_tiers_failure(
        self, autojump_clock: MockClock, drain: float
    ) -> None:
        # A cancelled handler brings Cancelled and its own exception in one group.
        async with opened(edge(), drain=drain) as rig:
            assert await (await rig.client()).ask("grudge") == "grudge"
        (failed,) = rig.events.of(ConnectionFailed)
        assert failed.reason.startswith("ValueError: a grudge")
        assert rig.events.of(TierStopped) == [TierStopped(tier="e", dropped=1)]


class TestBounds:
    async def test_per_tier(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(connections=2))) as rig:
            inside = [await rig.client(source=f"192.0.2.{i}") for i in range(2)]
            assert [await each.ask("hello") for each in inside] == ["hello", "hello"]
            for i in range(5):
                with pytest.raises(ConnectionLost):
                    await (await rig.client(source=f"192.0.2.{10 + i}")).ask("hello")
            await trio.sleep(3)
            (refused,) = rig.events.of(Refused)
            assert refused == Refused(
                tier="e", peer="192.0.2.14", reason="the tier is full: 2 connections (limits.connections)", count=5
            )
            assert rig.handle.statistics()["tiers"]["e"]["refused"] == 5
            await inside[0].ask("bye")
            assert await (await rig.client()).ask("hello") == "hello"

    async def test_per_address(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(per_address=1))) as rig:
            assert await (await rig.client(source="2001:db8::1")).ask("hello") == "hello"
            with pytest.raises(ConnectionLost):  # the same subscriber: one /64
                await (await rig.client(source="2001:db8::2")).ask("hello")
            assert await (await rig.client(source="2001:db9::1")).ask("hello") == "hello"
            await trio.sleep(1.5)
            (refused,) = rig.events.of(Refused)
            assert refused.reason == "1 connections from one address already (limits.per_address)"

    async def test_refusals_are_told_once_a_second(self, autojump_clock: MockClock) -> None:
        async with opened(edge(limits=Limits(connections=1))) as rig:
            assert await (await rig.client()).ask("hello") == "hello"
            for _ in range(50):
                with pytest.raises(ConnectionLost):
                    await (await rig.client()).ask("hello")
                await trio.sleep(0.1)
            await trio.sleep(1)
            told = rig.events.of(Refused)
            assert sum(each.count for each in told) == 50
            assert len(told) <= 6

    async def test_no_descriptor_pauses_and_never_ends_the_tier(self, autojump_clock: MockClock) -> None:
        network = MemoryNetwork(descriptors=Descriptors(limit=10, reserve=4))
        async with opened(edge(), network=network) as rig:
            inside = [await rig.client() for _ in range(3)]  # both ends count: six
            assert [await each.ask("hello") for each in inside] == ["hello"] * 3
            network.descriptors.limit += 1
            waiting = await rig.client()
            await trio.sleep(1)
            (paused, *_) = rig.events.of(AcceptPaused)
            assert "no descriptor is free" in paused.text
            await inside[0].ask("bye")
            inside[0].connection.close()
            assert await waiting.ask("hello") == "hello"


class SlowHandshakes(MemoryNetwork):
    """Its connections never get through `establish`."""

    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        bound = await super().listen(listener, backlog=backlog, send_lowat=send_lowat)
        accept = bound.accept

        async def accepting() -> Connection:
            connection = await accept()
            connection.establish = trio.sleep_forever  # type: ignore[method-assign]
            return connection

        bound.accept = accepting  # type: ignore[method-assign]
        return bound


class Proxied(MemoryNetwork):
    """Its connections come by a proxy, whose header names the hosts of `truth` in turn."""

    truth: list[str]

    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        bound = await super().listen(listener, backlog=backlog, send_lowat=send_lowat)
        accept = bound.accept

        async def accepting() -> Connection:
            connection = await accept()

            async def establish() -> None:
                await trio.lowlevel.checkpoint()
                connection.peer = Peer(self.truth.pop(0), 5000)

            connection.establish = establish  # type: ignore[method-assign]
            return connection

        bound.accept = accepting  # type: ignore[method-assign]
        return bound


class TestProxy:
    async def test_whom_the_header_names_is_counted(self, autojump_clock: MockClock) -> None:
        network = Proxied()
        network.truth = ["198.51.100.1", "198.51.100.1", "198.51.100.2"]
        async with opened(edge(limits=Limits(per_address=1)), network=network) as rig:
            first = await rig.client(source="10.0.0.1")
            assert await first.ask("hello") == "hello"
            with pytest.raises(ConnectionLost):
                await (await rig.client(source="10.0.0.1")).ask("hello")
            assert await (await rig.client(source="10.0.0.1")).ask("hello") == "hello"
            await trio.sleep(1.5)
            # A refusal is told once a second with its count, never once for each connection.
            (refused,) = rig.events.of(Refused)
            assert (refused.peer, refused.count) == ("198.51.100.1", 1)
            assert not rig.events.of(ConnectionFailed)
            statistics = rig.handle.statistics()["tiers"]["e"]
            assert (statistics["refused"], statistics["failed"], statistics["connections"]) == (1, 0, 2)
            # When the first leaves, its place is free again, under its own name.
            await first.ask("bye")
            network.truth = ["198.51.100.1"]
            assert await (await rig.client(source="10.0.0.1")).ask("hello") == "hello"

    async def test_failures_name_whom_the_header_names(self, autojump_clock: MockClock) -> None:
        network = Proxied()
        network.truth = ["198.51.100.1"]
        async with opened(edge(), network=network) as rig:
            await (await rig.client(source="10.0.0.1")).ask("rude")
            (failed,) = rig.events.of(ConnectionFailed)
            assert failed.peer == "198.51.100.1:5000"


@pytest.mark.parametrize(
    ("host", "bound", "dialled"),
    [
        ("127.0.0.1", "http://[::]:80", "http://127.0.0.1:80"),
        ("edge.example", "http://:80", "http://127.0.0.1:80"),
        ("::1", "http://[::]:80", "http://[::1]:80"),
        ("::1", "http://0.0.0.0:80", "http://127.0.0.1:80"),
        ("::1", "http://127.0.0.2:80", "http://127.0.0.2:80"),
        ("edge.example", "http+unix:/run/e", "http+unix:/run/e"),
    ],
)
def test_what_is_bound_as_something_to_dial(host: str, bound: str, dialled: str) -> None:
    assert str(dialable(edge(host=host), Address.parse(bound))) == dialled


async def test_each_door_leads_to_its_service() -> None:
    from tierkit import Relay

    from .fakes import Echo, Publish

    relay = Relay("r", listen=("http://:80", "rtmp://:1935"), serves=(Publish(), Echo(loud=True)))
    async with opened(Graph.of(relay)) as rig:
        for port, reply in ((80, "HELLO"), (1935, "hello")):
            client = Client(await rig.network.connect(Address(host="h", port=port)))
            assert await client.ask("hello") == reply
        assert set(rig.handle.running("r")) == {"echo", "publish"}


async def test_observers_that_raise_hurt_nobody(autojump_clock: MockClock) -> None:
    record, calls = Record(), []

    def clumsy(event: Event) -> None:
        calls.append(event)
        raise ValueError("clumsy")

    async with opened(edge(), observers=[clumsy, record]) as rig:
        assert await (await rig.client()).ask("rude") == ""
    told = [each.reason for each in record.of(PluginFailed)]
    assert told == ["ValueError: clumsy"] * 3  # one for each of the three events below
    assert [n for n in record.names if n != "PluginFailed"] == ["TierStarted", "ConnectionFailed", "TierStopped"]
    assert record.of(PluginFailed)[0].plugin.endswith("clumsy")
    assert len(calls) == 6  # it is still asked, and its failure to take its own failure ends there
