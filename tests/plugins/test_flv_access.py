"""Who may play FLV: the service's own authorisers, asked once for each request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.access.fakes import Says, always, nothing
from tests.core.rig import Rig, opened
from tests.rtmp.media import gop
from tests.rtmp.rig import published, send, url
from tests.support_http import Answer, dial
from tierkit import Relay
from tierkit.errors import TierkitError
from tierkit.events import Dropped, Refused
from tierkit.plugin import Allowed, Attempt, Denied, Rewritten, Verdict, Visit
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher

from .flv_rig import KINDS, figures, playing, relay, web


async def ask(rig: Rig, path: str, *fields: str, method: str = "GET") -> Answer:
    viewer = await dial(rig.network, str(web()))
    try:
        return await viewer.ask(path, *fields, method=method)
    finally:
        viewer.connection.close()


def guarded(*authorise: Says, **options: Any) -> Relay:
    return relay(flv=FLV(authorise=authorise, **options))


@asynccontextmanager
async def on_air(rig: Rig, path: str = "/live/s") -> AsyncIterator[Publisher]:
    async with published(rig.network, url("relay", path)) as publisher:
        await send(publisher, gop(0, 5))
        await trio.sleep(0.1)
        yield publisher


@pytest.mark.parametrize("kind", KINDS)
async def test_whom_it_denies_is_answered_403(kind: str, autojump_clock: MockClock) -> None:
    says = Says(always(Denied("not for you")), done=nothing)
    async with opened(guarded(says)) as rig, on_air(rig):
        async with playing(KINDS[kind](rig.network)) as player:
            await player.ended.wait() if kind == "websocket" else await player.until(lambda v: v.body != b"")
        assert player.status == 403
        assert b"not for you" in player.body
        assert b"\r\naccess-control-allow-origin: *" in player.head.lower()
        assert says.log == ["open", ("check", "play", "/live/s", "")]  # and nobody is told of an end
        assert (figures(rig)["refused"], figures(rig)["players"]) == (1, 0)
        assert figures(rig)["access"]["denied"] == 1
        (told,) = rig.events.of(Refused)
        assert told.stream == "/live/s"


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_renamed_gets_the_other_stream(kind: str, autojump_clock: MockClock) -> None:
    says = Says(always(Rewritten("/live/other")), done=nothing)
    async with opened(guarded(says)) as rig, on_air(rig, "/live/other"):
        async with playing(KINDS[kind](rig.network, "/live/s.flv?key=k")) as player:
            await player.until(lambda v: v.letters.startswith("MVAK"))
            names = {each["name"]: each["players"] for each in figures(rig, service="rtmp")["streams"]}
            assert names == {"/live/other": 1}
        await trio.sleep(2)
        assert says.log[1:] == [("check", "play", "/live/s", "key=k"), ("done", "/live/s", pytest.approx(0, abs=1))]


async def test_what_it_is_asked(autojump_clock: MockClock) -> None:
    seen: list[Attempt] = []

    async def check(attempt: Attempt) -> Verdict:
        seen.append(attempt)
        return Denied("no", "401" if attempt.query == "a" else "NetStream.Play.Failed")

    async with opened(guarded(Says(check))) as rig:
        fields = ("User-Agent: a player", "Referer: https://www.example/page")
        assert (await ask(rig, "/live/a/s.flv?a", *fields)).status == 401  # a status of HTTP
        assert (await ask(rig, "/live/s.flv?b", *fields, method="HEAD")).status == 403  # none
    one, two = seen
    assert (one.action, one.path, one.query, one.scheme, one.secure) == ("play", "/live/a/s", "a", "http", False)
    assert (one.agent, one.page) == ("a player", "https://www.example/page")
    assert (two.path, two.query) == ("/live/s", "b")
    assert 0 < one.id < two.id


async def test_what_is_no_request_to_play_is_not_asked_about(autojump_clock: MockClock) -> None:
    says = Says(always(Allowed()))
    async with opened(guarded(says)) as rig:
        assert (await ask(rig, "/live/s.m3u8")).status == 404
        assert (await ask(rig, "/live/s.flv", method="POST")).status == 405
        assert (await ask(rig, "/live/s.flv", method="OPTIONS")).status == 204
        assert says.log == ["open"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_its_end_is_told_where_there_is_no_stream(method: str, autojump_clock: MockClock) -> None:
    says = Says(always(Allowed()), done=nothing)
    rtmp = RTMP(max_streams=1)
    async with opened(relay(rtmp=rtmp, flv=FLV(authorise=(says,)))) as rig, on_air(rig):
        answer = await ask(rig, "/live/other.flv", method=method)
        assert answer.status == (503 if method == "GET" else 404)
        await trio.sleep(2)
        assert says.log[1:] == [("check", "play", "/live/other", ""), ("done", "/live/other", pytest.approx(0))]


@pytest.mark.parametrize("kind", KINDS)
async def test_its_end_is_told_where_the_stream_does_not_come(kind: str, autojump_clock: MockClock) -> None:
    says = Says(always(Allowed()), done=nothing)
    async with opened(guarded(says, patience=3)) as rig:
        async with playing(KINDS[kind](rig.network)) as player:
            await player.ended.wait()
        assert player.status == 404
        await trio.sleep(2)
        assert [each[0] for each in says.log[1:]] == ["check", "done"]


@pytest.mark.parametrize("kind", KINDS)
async def test_one_that_is_asked_again_may_end_it(kind: str, autojump_clock: MockClock) -> None:
    async def update(visit: Visit) -> Verdict:
        return Denied("the sitting is closed") if visit.seconds > 5 else Allowed()

    says = Says(always(Allowed()), update=update, update_every=2, done=nothing)
    async with opened(guarded(says)) as rig, on_air(rig) as publisher:
        await send(publisher, gop(200, 5))
        async with playing(KINDS[kind](rig.network)) as player:
            await player.until(lambda v: "K" in v.letters)
            began = trio.current_time()
            await player.ended.wait()
            assert 5 < trio.current_time() - began < 9
        await trio.sleep(2)
        (dropped,) = rig.events.of(Dropped)
        assert "says: the sitting is closed" in dropped.reason
        updates = [each for each in says.log if each[0] == "update"]
        assert {each[3] for each in updates} == {380}  # the stream's newest timestamp
        assert says.log[-1][0] == "done"
        assert figures(rig)["access"]["ended"] == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_of_authorisers_takes_over(kind: str, autojump_clock: MockClock) -> None:
    lets, denies = Says(always(Allowed())), Says(always(Denied("closed")))
    async with opened(guarded(lets)) as rig, on_air(rig), playing(KINDS[kind](rig.network)) as player:
        await player.until(lambda v: "K" in v.letters)
        door = rig.handle.running("relay")["flv"]
        assert door.replace(FLV(authorise=(denies,)))
        await trio.sleep(1)
        assert not player.ended.is_set()
        assert (await ask(rig, "/live/s.flv")).status == 403


@pytest.mark.parametrize("verdict", [TierkitError("out of order"), ValueError("hunter2"), "yes"])
async def test_one_that_fails_lets_nobody_in(verdict: Any, autojump_clock: MockClock) -> None:
    async with opened(guarded(Says(always(verdict)))) as rig, on_air(rig):
        answer = await ask(rig, "/live/s.flv")
        assert answer.status == 403
        assert b"hunter2" not in answer.body
        assert figures(rig)["access"]["failed"] == 1
