"""All must allow, the first denial counts, and whatever goes wrong lets nobody in."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tierkit.access import AccessDenied
from tierkit.errors import TierkitError
from tierkit.events import PluginFailed, Refused
from tierkit.plugin import Allowed, Attempt, Denied, Rewritten, Verdict, Visit

from .fakes import Says, always, at_work, attempt, nothing


def ignore(reason: str) -> None:
    raise AssertionError(f"nobody was to be ended: {reason}")


async def test_all_must_allow_and_the_first_denial_counts(autojump_clock: MockClock) -> None:
    first, no = Says(always(Allowed())), Says(always(Denied("not today", "Some.Code")))
    last = Says(always(Allowed()))
    async with at_work(first, no, last) as (access, events):
        with pytest.raises(AccessDenied, match="not today") as caught:
            await access.admit(attempt(), ignore)
        assert caught.value.code == "Some.Code"
        assert ("check", "publish", "/live/s", "") in no.log
        assert last.log == ["open"]
        (told,) = events.of(Refused)
        assert told.text == ": refused 192.0.2.7:5000: may not publish /live/s: says: not today"
        assert (access.statistics().asked, access.statistics().denied) == (1, 1)
    assert [each.log[-1] for each in (first, no, last)] == ["close"] * 3


async def test_none_lets_everybody(autojump_clock: MockClock) -> None:
    async with at_work() as (access, events):
        entry = await access.admit(attempt(), ignore)
        assert entry.attempt == attempt()
        entry.end()
        assert events == []


async def test_nothing_is_kept_of_whom_nobody_asks_for_again(autojump_clock: MockClock) -> None:
    async with at_work(Says(always(Allowed()))) as (access, _):
        assert not (await access.admit(attempt(), ignore)).live
    async with at_work(Says(always(Allowed())), Says(always(Allowed()), done=nothing)) as (access, _):
        assert (await access.admit(attempt(), ignore)).live
        assert not (await access.admit(attempt("connect"), ignore)).live


async def test_those_behind_see_what_was_made_of_it(autojump_clock: MockClock) -> None:
    keys = Says(always(Rewritten("/live/hall", "")))
    rest = Says(always(Allowed()))
    async with at_work(keys, rest) as (access, _):
        entry = await access.admit(attempt(path="/live/hall-hunter2", query="key=hunter2"), ignore)
        assert (entry.attempt.path, entry.attempt.query) == ("/live/hall", "")
        assert rest.log[-1] == ("check", "publish", "/live/hall", "")


async def test_an_authoriser_is_asked_about_its_actions_alone(autojump_clock: MockClock) -> None:
    no = Says(always(Denied("no")), actions=frozenset({"publish"}))
    async with at_work(no) as (access, _):
        (await access.admit(attempt("play"), ignore)).end()
        with pytest.raises(AccessDenied):
            await access.admit(attempt("publish"), ignore)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (ValueError("of\nmine"), "failed: ValueError: of mine"),
        (TierkitError("the back end is gone"), "the back end is gone"),
        (ExceptionGroup("two", [ValueError("a"), OSError("b")]), "failed: ExceptionGroup: two (2 sub-exceptions)"),
        (None, "answered with a NoneType, which is no verdict"),
        (True, "answered with a bool, which is no verdict"),
        (Rewritten("live/s"), "has rewritten the stream to what is no path"),
        (Rewritten("/live/../s"), "has rewritten the stream to what is no path"),
        (Rewritten("/live/%2e%2e/s"), "has rewritten the stream to what is no path"),
        (Rewritten("/live//s"), "has rewritten the stream to what is no path"),
        (Rewritten("/"), "has rewritten the stream to what is no path"),
        (Rewritten("/live/a%2fb"), "has rewritten the stream to what is no path"),
        (Rewritten("/live/a\nb"), "has rewritten the stream to what is no path"),
    ],
)
async def test_a_fault_lets_nobody_in(verdict: Any, told: str, autojump_clock: MockClock) -> None:
    async with at_work(Says(always(verdict))) as (access, events):
        with pytest.raises(AccessDenied) as caught:
            await access.admit(attempt(), ignore)
        assert str(caught.value) == "who may publish cannot be told just now: try again later"
        (event,) = events.of(PluginFailed)
        assert event.reason.startswith(told)
        assert "\n" not in event.text
        assert event.text.endswith("; 192.0.2.7:5000 may not publish /live/s for that")
        assert (access.statistics().failed, access.statistics().denied) == (1, 0)


async def test_they_have_one_deadline_together(autojump_clock: MockClock) -> None:
    async def slow(asked: Attempt) -> Verdict:
        await trio.sleep(2)
        return Allowed()

    async with at_work(Says(slow), Says(slow), Says(slow), within=5) as (access, events):
        start = trio.current_time()
        with pytest.raises(AccessDenied):
            await access.admit(attempt(), ignore)
        assert trio.current_time() - start == 5
        (event,) = events.of(PluginFailed)
        assert event.reason.startswith("has not answered within 5 s")
    async with at_work(Says(slow), Says(slow), within=5) as (access, _):
        await access.admit(attempt(), ignore)


async def test_it_is_told_once_a_second_with_how_often(autojump_clock: MockClock) -> None:
    async with at_work(Says(always(Denied("no")))) as (access, events):
        for n in range(10):
            with pytest.raises(AccessDenied):
                await access.admit(attempt(path=f"/live/{n}"), ignore)
        assert [(each.stream, each.count) for each in events.of(Refused)] == [("/live/0", 1)]
        await trio.sleep(2.5)
        assert [(each.stream, each.count) for each in events.of(Refused)][1:] == [("/live/9", 9)]


async def test_what_is_told_is_what_a_log_may_show(autojump_clock: MockClock) -> None:
    hiding = Says(always(Allowed()), hide="hunter2")
    async with at_work(Says(always(Denied("no"))), hiding) as (access, events):
        with pytest.raises(AccessDenied):
            await access.admit(attempt(path="/live/s-hunter2", query="hunter2"), ignore)
        assert events.of(Refused)[0].stream == "/live/s-..."
        assert "hunter2" not in repr(attempt(query="hunter2"))
    async with at_work(Says(always(Denied("no")), hide="raise")) as (access, events):
        with pytest.raises(AccessDenied):
            await access.admit(attempt(path="/live/s-hunter2"), ignore)
        assert "hunter2" not in repr(events)


async def test_who_had_allowed_is_told_of_the_end_once(autojump_clock: MockClock) -> None:
    told = Says(always(Rewritten("/live/other")), done=nothing)
    async with at_work(told) as (access, _):
        entry = await access.admit(attempt(), ignore)
        await trio.sleep(7)
        entry.end()
        entry.end()
        await trio.sleep(1)
        # By the name that it was asked about, as nginx-rtmp does.
        assert [each for each in told.log if each[0] == "done"] == [("done", "/live/s", 7)]


async def test_who_had_allowed_what_another_denied_is_told_too(autojump_clock: MockClock) -> None:
    told = Says(always(Allowed()), done=nothing)
    async with at_work(told, Says(always(Denied("no")), done=nothing)) as (access, _):
        with pytest.raises(AccessDenied):
            await access.admit(attempt(), ignore)
        await trio.sleep(1)
        assert told.log[-1] == ("done", "/live/s", 0)


async def test_who_is_there_is_asked_about_until_somebody_says_no(autojump_clock: MockClock) -> None:
    async def update(visit: Visit) -> Verdict:
        if visit.seconds > 100:
            return Denied("time is up")
        if visit.seconds > 45:
            raise ValueError("a fault ends nobody")
        return Allowed()

    asked, ended = Says(always(Allowed()), update=update, update_every=30), []
    async with at_work(asked) as (access, events):
        entry = await access.admit(attempt(), ended.append)
        entry.timestamp = lambda: 1234
        await trio.sleep(115)
        updates = [each for each in asked.log if each[0] == "update"]
        assert [round(each[2], -1) for each in updates] == [30, 60, 90]
        assert {each[3] for each in updates} == {1234}
        assert ended == []
        assert [each.reason for each in events.of(PluginFailed)] == ["failed: ValueError: a fault ends nobody"] * 2
        await trio.sleep(10)
        assert ended == ["says: time is up"]
        assert access.statistics().ended == 1
        entry.end()
        assert access.notices._due == {}  # of who has gone nothing is kept until the next time
        before = len(asked.log)
        await trio.sleep(100)
        assert len(asked.log) == before


async def test_a_slow_back_end_is_not_asked_the_same_twice(autojump_clock: MockClock) -> None:
    async def slow(visit: Visit) -> Verdict:
        await trio.sleep(50.5)  # not at the moment of a look
        return Allowed()

    asked = Says(always(Allowed()), update=slow, update_every=10)
    async with at_work(asked, within=60) as (access, _):
        entry = await access.admit(attempt(), ignore)
        await trio.sleep(115)
        assert access.statistics().notices_waiting == 1
        assert [round(each[2], -1) for each in asked.log if each[0] == "update"] == [10, 70]
        entry.end()


async def test_what_is_still_to_be_told_has_a_moment_at_the_end(autojump_clock: MockClock) -> None:
    async def slow(visit: Visit) -> None:
        await trio.sleep(2)
        ended.append(visit.attempt.path)

    ended: list[str] = []
    async with at_work(Says(always(Allowed()), done=slow)) as (access, _):
        for n in range(20):
            (await access.admit(attempt(path=f"/live/{n}"), ignore)).end()
    assert len(ended) == 20  # 16 at a time

    async def stuck(visit: Visit) -> None:
        await trio.sleep_forever()

    start = trio.current_time()
    async with at_work(Says(always(Allowed()), done=stuck), within=3) as (access, _):
        (await access.admit(attempt(), ignore)).end()
    assert trio.current_time() - start == 3


async def test_what_waits_to_be_told_is_bounded(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(visit: Visit) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr("tierkit._access_notices.MAX_WAITING", 10)
    async with at_work(Says(always(Allowed()), done=stuck), within=3) as (access, events):
        for _ in range(30):
            (await access.admit(attempt(), ignore)).end()
            await trio.testing.wait_all_tasks_blocked()
        figures = access.statistics()
        assert (figures.notices_waiting, figures.notices_lost) == (26, 4)
        assert "10 notices wait for it, and this one is left out" in events.of(PluginFailed)[0].reason
        await trio.sleep(7)
        assert access.statistics().notices_failed == 26
        assert access.statistics().notices_waiting == 0


async def test_changed_recipes_take_over_and_the_old_ones_see_their_own_out(autojump_clock: MockClock) -> None:
    old, new = Says(always(Allowed()), done=nothing), Says(always(Denied("no")))
    async with at_work(old) as (access, _):
        entry = await access.admit(attempt(), ignore)
        access.replace([new], 2.0)
        await trio.sleep(1)
        with pytest.raises(AccessDenied):
            await access.admit(attempt(), ignore)
        assert "close" not in old.log
        entry.end()
        await trio.sleep(1)
        assert old.log[-2:] == [("done", "/live/s", 1), "close"]


async def test_changed_recipes_that_do_not_open_change_nothing(autojump_clock: MockClock) -> None:
    class Bad(Says):
        def open(self, ctx: Any) -> Any:
            raise TierkitError("file=x: no such file")

    good = Says(always(Allowed()))
    async with at_work(good) as (access, events):
        access.replace([Bad(always(Allowed()))], 5.0)
        await trio.sleep(1)
        await access.admit(attempt(), ignore)
        (event,) = events.of(PluginFailed)
        assert event.reason == "file=x: no such file; those before it go on to decide"
    with pytest.raises(TierkitError, match="no such file"):
        async with at_work(Bad(always(Allowed()))):
            raise AssertionError("not reached")


async def test_who_goes_while_it_is_asked_about_leaves_nothing(autojump_clock: MockClock) -> None:
    async def stuck(asked: Attempt) -> Verdict:
        await trio.sleep_forever()
        raise AssertionError

    first = Says(always(Allowed()), done=nothing)
    async with at_work(first, Says(stuck)) as (access, events):
        with trio.move_on_after(1):
            await access.admit(attempt(), ignore)
        await trio.sleep(1)
        assert first.log[-1] == ("done", "/live/s", 1)
        assert access.statistics().failed == 0
        assert events == []
