"""Stream files connected while somebody wants them, by a fake of the REST interface, on a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define, field
from trio.testing import MockClock

from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.codecs.wowza_rest import StreamFile, Traffic
from tierkit.plugins.wowza.admin import OnAir, StreamFiles, WowzaFailure

REFUSED = WowzaFailure("http://wowza:8087/x", "answers 500 to PUT", "refused", 500)
CONFLICT = WowzaFailure("http://wowza:8087/x", "says that its state does not allow that", "conflict", 409)
MISSING = WowzaFailure("http://wowza:8087/x", "has nothing there", "missing", 404)


@define
class Rest:
    """A REST interface with some stream files."""

    files: set[str] = field(factory=lambda: {"cam"})
    live: set[str] = field(factory=set)
    players: int = 0
    done: list[str] = field(factory=list)
    listed: int = 0
    looked: int = 0
    fails: WowzaFailure | None = None
    takes: float = 0.0
    disconnecting: bool = False
    #: Of listing: why it fails, and how long it takes.
    unlisted: WowzaFailure | None = None
    slow: float = 0.0
    #: Why players are not counted.
    uncounted: WowzaFailure | None = None

    async def stream_files(self, app: str) -> tuple[StreamFile, ...]:
        self.listed += 1
        await trio.sleep(self.slow)
        if self.unlisted is not None:
            raise self.unlisted
        if app == "nowhere":
            raise MISSING
        return tuple(StreamFile(name=each) for each in self.files)

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        self.looked += 1
        return tuple(OnAir(app="live", instance=DEFAULT_INSTANCE, name=each, connected=True) for each in self.live)

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
        if self.uncounted is not None:
            raise self.uncounted
        return Traffic(connections=self.players)

    async def connect(self, app: str, file: str, *, caster: str = "rtp", instance: str = DEFAULT_INSTANCE) -> None:
        await trio.sleep(self.takes)
        self.done.append(f"connect {app}/{file} by {caster}")
        if self.fails is not None:
            raise self.fails
        self.live.add(file)

    async def disconnect(self, app: str, file: str, *, instance: str = DEFAULT_INSTANCE) -> None:
        self.disconnecting = True
        await trio.sleep(self.takes)
        self.done.append(f"disconnect {app}/{file}")
        if self.fails is not None:
            raise self.fails
        self.live.discard(file)


@pytest.fixture
def lines() -> list[str]:
    return []


@asynccontextmanager
async def running(rest: Rest, lines: list[str], **options: str) -> AsyncIterator[StreamFiles]:
    files = StreamFiles(rest, trio.current_time, grace=60.0, tell=lines.append, **options)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await trio.testing.wait_all_tasks_blocked()
        yield files
        nursery.cancel_scope.cancel()


CONNECT, DISCONNECT = "connect live/cam.stream by rtp", "disconnect live/cam.stream"


async def test_connected_for_the_first_and_disconnected_behind_the_last(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest()
    async with running(rest, lines) as files:
        for _ in range(10):
            await files.wanted("live", "cam.stream")
            await trio.sleep(30)
        assert rest.done == [CONNECT]
        assert files.open == 1
        await trio.sleep(40)
        assert rest.done == [CONNECT, DISCONNECT]
        assert (files.open, files.connected, files.disconnected, files.failures) == (0, 1, 1, 0)
        await files.wanted("live", "cam.stream")
        assert rest.done == [CONNECT, DISCONNECT, CONNECT]
    # A tier that leaves takes with it what it has brought.
    assert rest.done[-1] == DISCONNECT
    assert (
        lines
        == [
            "stream file live/cam.stream connected: somebody wants it",
            "stream file live/cam.stream disconnected: nobody wants it",
        ]
        * 2
    )


async def test_a_crowd_is_one_connect_and_waits_a_moment_at_most(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(takes=7.0)
    async with running(rest, lines) as files:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(files.wanted, "live", "cam.stream")
        assert trio.current_time() - began == 2
        assert rest.done == []
        await trio.sleep(6)
        assert rest.done == [CONNECT]
        assert rest.listed == 1


@pytest.mark.parametrize("name", ["cam", "other.stream", "mp4:cam", ""])
async def test_what_is_no_stream_file_is_none(autojump_clock: MockClock, lines: list[str], name: str) -> None:
    rest = Rest()
    async with running(rest, lines) as files:
        for _ in range(50):
            await files.wanted("live", name)
        assert rest.done == []
        assert rest.listed == (1 if name == "other.stream" else 0)
        # A file that somebody adds is found before long.
        rest.files.add("other")
        await trio.sleep(11)
        await files.wanted("live", name)
        assert len(rest.done) == (1 if name == "other.stream" else 0)


async def test_an_application_that_is_not_there_has_none(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest()
    async with running(rest, lines) as files:
        for _ in range(5):
            await files.wanted("nowhere", "cam.stream")
        assert (rest.listed, files.failures, lines) == (1, 0, [])


async def test_a_crowd_that_wants_many_names_asks_for_the_list_once(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest(slow=1.0)
    async with running(rest, lines) as files:
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(files.wanted, "live", f"{number}.stream")
            nursery.start_soon(files.wanted, "live", "cam.stream")
        assert rest.listed == 1
        assert rest.done == [CONNECT]


async def test_a_release_without_figures_of_streams_has_them_disconnected(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest(uncounted=MISSING)
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        await trio.sleep(70)
        assert rest.done == [CONNECT, DISCONNECT]


async def test_only_one_application_where_one_is_named(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest()
    async with running(rest, lines, app="live") as files:
        await files.wanted("other", "cam.stream")
        assert rest.listed == 0
        await files.wanted("live", "cam.stream")
        assert rest.done == [CONNECT]


async def test_names_that_nobody_has_heard_of_are_no_flood_of_questions(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest(slow=100.0)
    async with running(rest, lines) as files:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(files.wanted, f"app{number}", "cam.stream")
        assert rest.listed == 64
        assert trio.current_time() - began == 2


async def test_what_somebody_else_connected_is_left_to_them(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(live={"cam.stream"})
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        await trio.sleep(200)
    assert rest.done == []
    assert lines == []


async def test_nor_what_they_connect_at_the_same_moment(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(fails=CONFLICT)
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        assert rest.done == [CONNECT]
        assert (files.open, files.failures) == (0, 0)
    assert rest.done == [CONNECT]


async def test_it_stays_while_wowza_counts_players(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(players=3)
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        await trio.sleep(300)
        assert rest.done == [CONNECT]
        rest.players = 0
        await trio.sleep(70)
        assert rest.done == [CONNECT, DISCONNECT]


@pytest.mark.parametrize("where", ["listing", "connecting"])
async def test_a_failure_holds_nobody_up_and_is_not_tried_at_once(
    autojump_clock: MockClock, lines: list[str], where: str
) -> None:
    """A stream that is on the air is served whether or not REST answers."""
    rest = Rest(fails=REFUSED) if where == "connecting" else Rest(unlisted=REFUSED)
    async with running(rest, lines) as files:
        for _ in range(20):
            await files.wanted("live", "cam.stream")
        assert files.failures == 1
        (line,) = lines
        assert str(REFUSED) in line
        assert rest.done == ([CONNECT] if where == "connecting" else [])
        rest.fails = rest.unlisted = None
        await trio.sleep(6)
        await files.wanted("live", "cam.stream")
        assert rest.done[-1] == CONNECT
        assert files.open == 1


async def test_what_has_gone_is_connected_again_while_it_is_wanted(autojump_clock: MockClock, lines: list[str]) -> None:
    """A Wowza that restarts has forgotten what was connected."""
    rest = Rest()
    async with running(rest, lines) as files, trio.open_nursery() as nursery:

        async def watch() -> None:
            while True:
                await files.wanted("live", "cam.stream")
                await trio.sleep(1)

        nursery.start_soon(watch)
        await trio.sleep(100)
        rest.live.clear()
        await trio.sleep(10)
        assert rest.done == [CONNECT, CONNECT]
        # It has a minute to come in before that is tried anew.
        rest.live.clear()
        await trio.sleep(30)
        assert rest.done == [CONNECT, CONNECT]
        nursery.cancel_scope.cancel()


async def test_somebody_who_comes_while_it_is_disconnected_has_it_connected(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest(takes=1.0)
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        with trio.fail_after(100):
            while not rest.disconnecting:
                await trio.sleep(0.5)
        assert rest.done == [CONNECT]
        await files.wanted("live", "cam.stream")
        assert rest.done == [CONNECT, DISCONNECT, CONNECT]
        assert rest.live == {"cam.stream"}
        await trio.sleep(20)
        assert rest.live == {"cam.stream"}


async def test_one_that_has_gone_by_itself_is_as_good_as_disconnected(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest()
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        rest.fails = MISSING
        await trio.sleep(100)
        assert (files.open, files.failures) == (0, 0)


async def test_leaving_does_not_wait_for_a_server_that_hangs(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest()
    async with running(rest, lines) as files:
        await files.wanted("live", "cam.stream")
        rest.takes = 1000.0
        await trio.sleep(1)
        began = trio.current_time()
    assert trio.current_time() - began == 5


async def test_before_it_runs_nobody_waits(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest()
    await StreamFiles(rest, trio.current_time).wanted("live", "cam.stream")
    assert rest.done == []
