"""Batches of access log lines: bounded, written beside the event loop, troubles told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.fakes import Record
from tests.core.rig import edge, opened
from tierkit import AccessLog, Graph, GraphError, check
from tierkit._logwriter import EVERY, WAITING, AccessLogs
from tierkit.codecs.access_line import Entry
from tierkit.events import AccessLogBack, AccessLogFailed
from tierkit.plugin import AccessRecorder, Shape


def entry(shape: Shape, host: str = "192.0.2.77", target: str = "/a?token=secret") -> Entry:
    return Entry(
        at=0.0, seconds=0.0, tier=shape.tier, site=shape.site, address=shape.address(host), scheme="http",
        method="GET", target=shape.target(target), version="HTTP/1.1", status=200, bytes_out=1,
    )  # fmt: skip


async def inline(fn: Any, *args: Any) -> Any:
    await trio.lowlevel.checkpoint()
    return fn(*args)


def logs_to(path: Path, events: Record | None = None, **options: Any) -> tuple[AccessLogs, AccessRecorder]:
    logs = AccessLogs(AccessLog(str(path), **options), "truncated", Record() if events is None else events, inline)
    recorder = logs.recorder("e", "dc-a")
    assert recorder is not None
    return logs, recorder


async def test_a_batch_is_written_within_a_moment(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "a.log"
    logs, recorder = logs_to(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(logs.run)
        for _ in range(3):
            recorder.note(entry)
        assert path.read_bytes() == b""
        await trio.sleep(2 * EVERY)
        assert path.read_text().splitlines() == [
            '192.0.2.0 - - [01/Jan/1970:00:00:00 +0000] "GET /a?token=*** HTTP/1.1" 200 1 "-" "-" 0.000 - - e'
        ] * 3  # fmt: skip
        nursery.cancel_scope.cancel()
    told = logs.statistics()
    assert (told["lines"], told["lost"]) == (3, 0)
    assert told["bytes"] == path.stat().st_size


@pytest.mark.parametrize(
    ("options", "address", "target"),
    [
        ({}, "192.0.2.0", "/a?token=***"),
        ({"addresses": "full"}, "192.0.2.77", "/a?token=***"),
        ({"addresses": "none"}, "-", "/a?token=***"),
        ({"queries": "full"}, "192.0.2.0", "/a?token=secret"),
    ],
)
def test_what_is_told_of_viewers(tmp_path: Path, options: dict[str, str], address: str, target: str) -> None:
    path = tmp_path / "a.log"
    logs, recorder = logs_to(path, **options)
    recorder.note(entry)
    logs.close()
    said = path.read_text().split()
    assert (said[0], said[6]) == (address, target)


def test_sampling_keeps_every_failure(tmp_path: Path) -> None:
    _, recorder = logs_to(tmp_path / "a.log", sample=100)
    assert sum(recorder.due() for _ in range(1000)) == 10
    assert sum(recorder.due(404) for _ in range(1000)) == 10
    assert all(recorder.due(status) for status in (500, 502, 503, 504) for _ in range(50))


async def test_what_waits_is_bounded_and_what_is_lost_is_told_and_counted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    events = Record()
    logs, recorder = logs_to(tmp_path / "a.log", events)
    for _ in range(WAITING + 7):
        recorder.note(entry)
    assert len(logs._waiting) == WAITING
    assert [each.reason for each in events.of(AccessLogFailed)] == [f"{WAITING} lines wait to be written"]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(logs.run)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [each.lost for each in events.of(AccessLogBack)] == [7]
    told = logs.statistics()
    assert (told["lines"], told["lost"]) == (WAITING, 7)


async def test_many_at_once_do_not_wait_for_the_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logs, recorder = logs_to(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(logs.run)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(WAITING // 2):
            recorder.note(entry)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert len(path.read_bytes().splitlines()) == WAITING // 2
        nursery.cancel_scope.cancel()


async def test_trouble_is_told_once_and_its_end_with_what_is_lost(tmp_path: Path, autojump_clock: MockClock) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    events = Record()
    logs, recorder = logs_to(folder / "a.log", events)
    (folder / "a.log").unlink()
    folder.rmdir()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(logs.run)
        for _ in range(5):
            recorder.note(entry)
            await trio.sleep(1)
        file = folder / "a.log"
        assert [each.text for each in events] == [
            f"access log {file}: No such file or directory: lines are lost until that is mended"
        ]
        assert logs.statistics()["lost"] == 5
        folder.mkdir()
        recorder.note(entry)
        await trio.sleep(1)
        assert [each.text for each in events[1:]] == [f"access log {file} is written again: 5 lines are lost"]
        nursery.cancel_scope.cancel()


async def test_reopening_lets_go_of_a_file_that_nobody_writes_to(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "a.log"
    logs, recorder = logs_to(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(logs.run)
        recorder.note(entry)
        await trio.sleep(1)
        path.rename(tmp_path / "a.log.1")
        logs.reopen()
        await trio.sleep(1)
        assert path.read_bytes() == b""
        nursery.cancel_scope.cancel()


def test_a_strangers_mistake_costs_its_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    logs, recorder = logs_to(path)

    def broken(shape: Shape) -> object:
        raise ValueError("a mistake")

    recorder.note(broken)
    recorder.note(lambda shape: "no entry")
    recorder.note(entry)
    logs.close()
    assert len(path.read_bytes().splitlines()) == 1
    assert logs.statistics()["lost"] == 2


async def test_each_tier_may_have_a_file_of_its_own(tmp_path: Path, autojump_clock: MockClock) -> None:
    graph = Graph.of(edge("a"), edge("b", listen=":8081"), access_log=AccessLog(str(tmp_path / "{tier}.log")))
    async with opened(graph) as rig:
        assert rig.handle.statistics()["process"]["access_log"] == {"lines": 0, "bytes": 0, "lost": 0}
        for name in ("a.log", "b.log"):
            assert (tmp_path / name).read_bytes() == b""


async def test_a_file_that_cannot_be_made_is_told_before_anything_listens(tmp_path: Path) -> None:
    where = tmp_path / "nowhere" / "a.log"
    with pytest.raises(GraphError, match=f"access log {where}: No such file or directory: make its folder writable"):
        async with opened(Graph.of(edge(), access_log=str(where))):
            pass


def test_what_the_check_says() -> None:
    odd = AccessLog("", form="xml", sample=0, addresses="some", queries="half")
    found = check(Graph.of(edge(), access_log=odd, viewer_addresses="half"))
    assert found[0] == "viewer_addresses='half': choose one of 'full', 'truncated', 'none'"
    assert [line.partition(":")[0] for line in found[1:]] == ["access log"] * 5
    assert check(Graph.of(edge(), access_log="/var/log/a.log")) == []
