"""Stream files connected while somebody wants them, by a fake of the REST interface, on a clock of its own."""

from __future__ import annotations

import pytest
import trio
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

    async def stream_files(self, app: str) -> tuple[StreamFile, ...]:
        self.listed += 1
        if app == "nowhere":
            raise MISSING
        return tuple(StreamFile(name=each) for each in self.files)

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        self.looked += 1
        return tuple(OnAir(app="live", instance=DEFAULT_INSTANCE, name=each, connected=True) for each in self.live)

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
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


def files_of(rest: Rest, lines: list[str], grace: float = 60.0) -> StreamFiles:
    return StreamFiles(rest, trio.current_time, grace=grace, caster="rtp", tell=lines.append)


CONNECT, DISCONNECT = "connect live/cam.stream by rtp", "disconnect live/cam.stream"


async def test_connected_for_the_first_and_disconnected_behind_the_last(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest()
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
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
        nursery.cancel_scope.cancel()
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


async def test_a_crowd_is_one_connect(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(takes=2.0)
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        for _ in range(200):
            nursery.start_soon(files.wanted, "live", "cam.stream")
    assert rest.done == [CONNECT]


@pytest.mark.parametrize("name", ["cam", "other.stream", "mp4:cam", ""])
async def test_what_is_no_stream_file_is_none(autojump_clock: MockClock, lines: list[str], name: str) -> None:
    rest = Rest()
    files = files_of(rest, lines)
    for _ in range(50):
        await files.wanted("live", name)
    assert rest.done == []
    assert rest.listed == (1 if name == "other.stream" else 0)
    # A file that somebody adds is found before long.
    rest.files.add("other")
    await trio.sleep(11)
    await files.wanted("live", name)
    assert len(rest.done) == (1 if name == "other.stream" else 0)


async def test_an_application_that_is_not_there_has_none(lines: list[str]) -> None:
    rest = Rest()
    files = files_of(rest, lines)
    for _ in range(5):
        await files.wanted("nowhere", "cam.stream")
    assert rest.listed == 1


async def test_what_somebody_else_connected_is_left_to_them(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(live={"cam.stream"})
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await files.wanted("live", "cam.stream")
        await trio.sleep(200)
        nursery.cancel_scope.cancel()
    assert rest.done == []
    assert lines == []


async def test_nor_what_they_connect_at_the_same_moment(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(fails=CONFLICT)
    files = files_of(rest, lines)
    await files.wanted("live", "cam.stream")
    assert rest.done == [CONNECT]
    assert (files.open, files.failures) == (0, 0)


async def test_it_stays_while_wowza_counts_players(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest(players=3)
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await files.wanted("live", "cam.stream")
        await trio.sleep(300)
        assert rest.done == [CONNECT]
        rest.players = 0
        await trio.sleep(70)
        assert rest.done == [CONNECT, DISCONNECT]
        nursery.cancel_scope.cancel()


async def test_a_failure_is_told_to_whoever_wants_it_and_not_tried_at_once(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest(fails=REFUSED)
    files = files_of(rest, lines)
    for _ in range(20):
        with pytest.raises(WowzaFailure, match="answers 500") as caught:
            await files.wanted("live", "cam.stream")
        assert (caught.value.kind, caught.value.status) == ("refused", 500)
    assert rest.done == [CONNECT]
    assert files.failures == 1
    rest.fails = None
    await trio.sleep(6)
    await files.wanted("live", "cam.stream")
    assert rest.done == [CONNECT, CONNECT]


async def test_what_has_gone_is_connected_again_while_it_is_wanted(autojump_clock: MockClock, lines: list[str]) -> None:
    """A Wowza that restarts has forgotten what was connected."""
    rest = Rest()
    files = files_of(rest, lines)

    async def watch() -> None:
        while True:
            await files.wanted("live", "cam.stream")
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
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
    rest = Rest(takes=3.0)
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await files.wanted("live", "cam.stream")
        with trio.fail_after(100):
            while not rest.disconnecting:
                await trio.sleep(0.5)
        await files.wanted("live", "cam.stream")
        assert rest.done == [CONNECT, DISCONNECT, CONNECT]
        assert rest.live == {"cam.stream"}
        await trio.sleep(20)
        assert rest.live == {"cam.stream"}
        nursery.cancel_scope.cancel()


async def test_one_that_has_gone_by_itself_is_as_good_as_disconnected(
    autojump_clock: MockClock, lines: list[str]
) -> None:
    rest = Rest()
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await files.wanted("live", "cam.stream")
        rest.fails = MISSING
        await trio.sleep(100)
        assert (files.open, files.failures) == (0, 0)
        nursery.cancel_scope.cancel()


async def test_leaving_does_not_wait_for_a_server_that_hangs(autojump_clock: MockClock, lines: list[str]) -> None:
    rest = Rest()
    files = files_of(rest, lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.run)
        await files.wanted("live", "cam.stream")
        rest.takes = 1000.0
        await trio.sleep(1)
        began = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began == 5
