"""What a tier knows of its Wowza, by fakes of the two control ports, on a clock of its own."""

from __future__ import annotations

from typing import TypeVar

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from tierkit import Address, AddressError
from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE, Counters, Counts, StreamCount
from tierkit.codecs.wowza_rest import MachineLoad, ServerStatus, Traffic
from tierkit.plugins.wowza import _knowing
from tierkit.plugins.wowza._client import Kind
from tierkit.plugins.wowza.admin import (
    AdministrationStatistics,
    Knowing,
    KnowingStatistics,
    KnownStream,
    OnAir,
    WowzaFailure,
    control_address,
    control_problem,
    open_administration,
)
from tierkit.testing import MemoryNetwork

from ..codecs.test_wowza_counts import RECORDED
from ..codecs.test_wowza_rest import APPLICATIONS, INSTANCES, STATUS
from .control_rig import PASSWORD, USER, Port, serving
from .test_control_client import HOST_PATH, STATUS_PATH

T = TypeVar("T")
DOWN = WowzaFailure("http://wowza:8087/x", "cannot be reached (refused)", "unreachable")


def on_air(name: str = "s", *, connected: bool = True, app: str = "live") -> OnAir:
    return OnAir(app=app, instance=DEFAULT_INSTANCE, name=name, connected=connected)


def counted(name: str = "s", app: str = "live", **sessions: int) -> StreamCount:
    return StreamCount(app=app, instance=DEFAULT_INSTANCE, name=name, sessions=sessions, total=sum(sessions.values()))


COUNTS = Counts(
    counters=Counters(current=9, bytes_in_rate=1e5, bytes_out_rate=4e5),
    applications={"live": "loaded", "old": "unloaded"},
    streams=(counted(rtmp=1, hls=3),),
)


@define
class Rest:
    """A REST interface that says what a test tells it."""

    incoming_: tuple[OnAir, ...] | WowzaFailure = (on_air(),)
    status_: ServerStatus | WowzaFailure = field(default=ServerStatus(version="4.7.0", connections=7))
    machine_: MachineLoad | WowzaFailure = field(default=MachineLoad(cpu_idle=70.0, heap_used=1e9))
    traffic_: Traffic | WowzaFailure = field(default=Traffic(by_protocol={"rtmp": 2}))
    asked: list[str] = field(factory=list)

    async def status(self) -> ServerStatus:
        return self._say("status", self.status_)

    async def machine(self) -> MachineLoad:
        return self._say("machine", self.machine_)

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        return self._say(f"incoming {app}", self.incoming_)

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
        return self._say(f"traffic {app}/{stream}", self.traffic_)

    def _say(self, asked: str, value: T | WowzaFailure) -> T:
        self.asked.append(asked)
        if isinstance(value, WowzaFailure):
            raise value
        return value


@define
class Counter:
    """Counters that say what a test tells them."""

    counts_: Counts | WowzaFailure = field(default=COUNTS)
    asked: int = 0

    async def counts(self) -> Counts:
        self.asked += 1
        if isinstance(self.counts_, WowzaFailure):
            raise self.counts_
        return self.counts_


def knowing(rest: Rest | None = None, counters: Counter | None = None, **options: object) -> Knowing:
    told = {"jitter": lambda: 0.5, "period": 10.0, **options}
    return Knowing(trio.current_time, counters=counters, rest=rest, **told)  # type: ignore[arg-type]


async def test_both_ports_together_say_who_comes_in_and_who_plays(autojump_clock: MockClock) -> None:
    found = knowing(Rest(), Counter())
    known = await found.look()
    assert known is not None
    assert known.version == "4.7.0"
    assert known.connections == 9
    assert known.applications == ("live",)
    assert known.instances == (("live", "_definst_"),)
    assert known.streams == (
        KnownStream(app="live", instance="_definst_", name="s", connected=True, viewers={"rtmp": 1, "hls": 3}),
    )
    assert found.statistics() == KnowingStatistics(
        up=True,
        looks=1,
        age=0.0,
        version="4.7.0",
        applications=1,
        streams=1,
        on_air=1,
        viewers=4,
        viewers_by_protocol={"rtmp": 1, "hls": 3},
        connections=9,
        bytes_in_rate=1e5,
        bytes_out_rate=4e5,
        cpu_busy=30.0,
        heap_used=1e9,
    )


async def test_a_stream_that_is_only_counted_does_not_come_in() -> None:
    """After its encoder has gone Wowza may count on for a while."""
    found = knowing(Rest(incoming_=()), Counter())
    known = await found.look()
    assert known is not None
    assert [each.connected for each in known.streams] == [False]
    assert found.on_air("live", "s") is False


async def test_counters_alone_do_not_say_what_comes_in() -> None:
    found = knowing(None, Counter())
    await found.look()
    assert found.on_air("live", "s") is None
    assert found.on_air("live", "nobody") is None
    assert found.statistics().viewers == 4


async def test_rest_alone_is_asked_who_plays_each_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_knowing, "MAX_ASKED", 2)
    rest = Rest(incoming_=(on_air("a"), on_air("b"), on_air("c")))
    found = knowing(rest)
    await found.look()
    assert rest.asked == ["status", "machine", "incoming ", "traffic live/a", "traffic live/b"]
    assert found.statistics().viewers == 4
    assert found.statistics().connections == 7
    rest.traffic_ = WowzaFailure("http://wowza:8087/x", "has nothing there", "missing", 404)
    await found.look()
    assert (found.statistics().viewers, found.statistics().failures) == (0, 0)


@pytest.mark.parametrize(("connected", "says"), [(True, True), (False, False)])
async def test_on_air_is_presence_and_connection(connected: bool, says: bool) -> None:
    found = knowing(Rest(incoming_=(on_air(connected=connected),)))
    assert found.on_air("live", "s") is None
    await found.look()
    assert found.on_air("live", "s") is says
    assert found.on_air("live", "nobody") is False
    assert found.on_air("live", "s", "other") is False


async def test_only_one_application_matters_where_one_is_named() -> None:
    counters = Counter(Counts(streams=(counted(hls=1), counted("x", "other", hls=5)), applications={"other": "loaded"}))
    rest = Rest()
    found = knowing(rest, counters, app="live")
    await found.look()
    assert rest.asked == ["status", "machine", "incoming live"]
    assert (found.statistics().viewers, found.statistics().applications) == (1, 1)


async def test_one_port_that_fails_takes_nothing_from_the_other() -> None:
    lines: list[str] = []
    rest, counters = Rest(incoming_=DOWN), Counter()
    found = knowing(rest, counters, tell=lines.append)
    known = await found.look()
    assert known is not None
    assert known.streams[0].viewers == {"rtmp": 1, "hls": 3}
    assert found.on_air("live", "s") is None
    told = found.statistics()
    assert (told.up, told.failures, told.failure) == (True, 1, str(DOWN))
    rest.incoming_ = (on_air(),)
    await found.look()
    assert found.on_air("live", "s") is True
    assert found.statistics().failure == ""
    assert lines == [str(DOWN), "answers again"]


async def test_what_is_old_is_not_gone_by(autojump_clock: MockClock) -> None:
    rest = Rest()
    found = knowing(rest)
    await found.look()
    rest.status_ = rest.incoming_ = DOWN
    await trio.sleep(29)
    assert await found.look() is None
    assert found.on_air("live", "s") is True
    assert not found.statistics().up
    await trio.sleep(2)
    assert found.on_air("live", "s") is None
    assert found.known is None
    assert found.statistics().age == 31


async def test_it_looks_every_period_and_less_often_while_nothing_answers(autojump_clock: MockClock) -> None:
    lines: list[str] = []
    counters = Counter()
    found = knowing(None, counters, tell=lines.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(found.run)
        await trio.sleep(35)
        assert counters.asked == 4
        counters.counts_ = DOWN
        # At 40, then 20, 40, 80 and 120 seconds later, and no more than these.
        await trio.sleep(6)
        assert counters.asked == 5
        for pause, asked in ((20, 6), (40, 7), (80, 8), (120, 9), (120, 10)):
            await trio.sleep(pause)
            assert counters.asked == asked
        assert lines == [str(DOWN)]
        counters.counts_ = Counts()
        await trio.sleep(120)
        assert counters.asked == 11
        await trio.sleep(10)
        assert counters.asked == 12
        assert lines == [str(DOWN), "answers again"]
        nursery.cancel_scope.cancel()


async def test_several_tiers_do_not_ask_in_step(autojump_clock: MockClock) -> None:
    asked: list[float] = []
    for jitter in (0.0, 1.0):
        counters = Counter()
        found = knowing(None, counters, jitter=lambda jitter=jitter: jitter)
        with trio.move_on_after(100.5):
            await found.run()
        asked.append(counters.asked)
    assert asked == [12, 10]


@pytest.mark.parametrize(("kind", "comes_in"), [("missing", True), ("unreadable", True), ("credentials", None)])
async def test_a_server_without_a_status_may_tell_what_comes_in(kind: Kind, comes_in: bool | None) -> None:
    rest = Rest(status_=WowzaFailure("http://wowza:8087/v2", "no", kind))
    found = knowing(rest)
    await found.look()
    assert found.on_air("live", "s") is comes_in
    assert found.statistics().failures == (0 if comes_in else 1)


async def test_rest_that_falls_silent_is_not_asked_of_each_stream() -> None:
    rest = Rest(incoming_=tuple(on_air(str(each)) for each in range(20)), traffic_=DOWN)
    await knowing(rest).look()
    assert rest.asked == ["status", "machine", "incoming ", "traffic live/0"]


async def test_the_version_is_asked_for_now_and_then() -> None:
    rest = Rest()
    found = knowing(rest, Counter())
    for _ in range(13):
        await found.look()
    assert rest.asked.count("status") == 3


# --- opened for a tier ---------------------------------------------------------------------------


async def test_opened_for_a_tier(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    says = {
        STATUS_PATH: STATUS,
        f"{HOST_PATH}/applications": APPLICATIONS,
        f"{HOST_PATH}/applications/wowza/instances": INSTANCES,
        f"{HOST_PATH}/applications/a%20b/instances": b'{"instanceList":[]}',
    }
    async with (
        serving(network, Port(dict(says), asks="digest")),
        serving(network, Port({"/connectioncounts": RECORDED}, asks="basic"), "http://wowza:8086"),
        open_administration(
            network,
            trio.current_time,
            admin=control_address(f"{USER}:{PASSWORD}@:8086", Address.parse("wowza:1935")),
            rest=Address.parse(f"{USER}:{PASSWORD}@wowza"),
            period=5,
        ) as administration,
    ):
        await trio.sleep(12)
        told = administration.statistics()
        assert (told.server.up, told.server.looks, told.server.failure) == (True, 3, "")
        assert (told.server.version, told.server.viewers) == ("4.7.0", 6)
        assert administration.knowing.on_air("wowza", "myStr") is True
        assert administration.knowing.on_air("devvsqlive", "461272.stream") is False
        assert administration.files is None
        assert PASSWORD not in repr(administration)


async def test_opened_without_a_port_it_knows_nothing(autojump_clock: MockClock) -> None:
    async with open_administration(MemoryNetwork(), trio.current_time) as administration:
        await trio.sleep(30)
        assert administration.statistics() == AdministrationStatistics(server=KnowingStatistics())
        assert administration.knowing.on_air("live", "s") is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("admin:s3cret@wowza:8086", ""),
        (":8087", ""),
        ("https://wowza.example", ""),
        ("rtmp://admin:s3cret@wowza", "rtmp://***@wowza is no control address: give [USER:PASSWORD@]HOST[:PORT]"),
        ("http+unix:/run/wowza", "is no control address"),
        ("8086", "is a port alone"),
        ("admin:s3cret@wow za", "has a space"),
        ("ad%3Amin:s3cret@wowza", "a user has a colon in its name"),
    ],
)
def test_what_is_wrong_with_an_address_in_an_option(text: str, told: str) -> None:
    assert told in control_problem(text)
    assert bool(told) == bool(control_problem(text))
    assert "s3cret" not in control_problem(text)


def test_an_address_in_an_option() -> None:
    of = Address.parse("rtmp://wowza.example:1935/live")
    assert str(control_address(":8086", of)) == "wowza.example:8086"
    assert str(control_address("http://a:b@other", of)) == "http://***@other"
    with pytest.raises(AddressError):
        control_address("8086", of)
