"""A back end decides over HTTP, as with nginx-rtmp: who is let in, renamed, told of, and put out again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.plugins.access_rig import BACKEND, Backend, Call, everything, guarded, refused, told
from tests.rtmp.media import gop
from tests.rtmp.rig import join, published, send, stream_on, url, viewer
from tierkit import Graph, Listener, Relay, check
from tierkit.events import Dropped, PluginFailed, Refused
from tierkit.http import Response, serve_http, text_response
from tierkit.plugins.callbacks import Callbacks
from tierkit.plugins.rtmp import RTMP


def callbacks(*calls: str, **options: Any) -> Callbacks:
    return Callbacks(**{f"on_{each}": f"{BACKEND}/{each}" for each in calls}, **options)


def answers(status: int, location: str = "", *, call: str = "") -> Callable[[Call], Response]:
    """This for one kind of call, and 200 for the others."""

    def answer(asked: Call) -> Response:
        if call and asked.fields["call"] != call:
            return text_response(200, "")
        return text_response(status, "", *([(b"location", location.encode())] if location else []))

    return answer


def access(rig: Any) -> dict[str, Any]:
    found: dict[str, Any] = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["access"]
    return found


ALL = ("connect", "disconnect", "publish", "publish_done", "play", "play_done", "done")


async def test_a_publisher_and_a_player_from_beginning_to_end(autojump_clock: MockClock) -> None:
    backend = Backend()
    async with guarded(callbacks(*ALL), backend=backend) as rig:
        async with published(rig.network, url("relay", "/live/s?key=1")) as publisher:
            await send(publisher, gop(0, 5))
            async with viewer(rig.network, url("relay", "/live/s?tok=2")) as player:
                await player.until(lambda v: "K" in v.letters)
            await trio.sleep(1)
            ends = {each.fields["call"] for each in backend.calls[-3:]}  # in any order, as with nginx-rtmp
            assert ends == {"play_done", "done", "disconnect"}
            assert backend.of("publish_done") == []
        await trio.sleep(1)
        publish, play = backend.of("publish")[0].fields, backend.of("play")[0].fields
        assert (publish["app"], publish["name"], publish["type"], publish["key"]) == ("live", "s", "live", "1")
        assert (play["app"], play["name"], play["tok"], play["addr"]) == ("live", "s", "2", "192.0.2.7")
        assert publish["tcurl"] == "rtmp://relay.example:1935/live"
        done = backend.of("publish_done")[0].fields
        assert (done["clientid"], done["name"], done["key"]) == (publish["clientid"], "s", "1")
        assert publish["clientid"] != play["clientid"]
        assert len(backend.of("done")) == len(backend.of("disconnect")) == len(backend.of("connect")) == 2
        for each in backend.calls:
            assert (each.method, each.path) == ("POST", f"/{each.fields['call']}")
            assert each.headers["content-type"] == "application/x-www-form-urlencoded"
        assert access(rig) == {
            **access(rig),
            "asked": 4,
            "denied": 0,
            "failed": 0,
            "notices_waiting": 0,
            "notices_failed": 0,
        }


async def test_what_it_denies(autojump_clock: MockClock) -> None:
    backend = Backend(answers(403))
    async with guarded(callbacks("publish", "play", "done"), backend=backend) as rig:
        assert "NetStream.Publish.BadName the back end says no" in await refused(rig, "/live/s?key=hunter2")
        assert await told(rig, "/live/s?key=hunter2") == "NetStream.Play.Failed"
        assert backend.of("done") == []  # who was not let in does not leave
        assert rig.events.of(Refused)[0].reason == "may not publish /live/s: callbacks: the back end says no"
        assert "hunter2" not in everything(rig)
    backend.answer = answers(403, call="connect")
    async with guarded(callbacks("connect", "publish"), backend=backend) as rig:
        assert "NetConnection.Connect.Rejected" in await refused(rig, "/live/s")


async def test_another_name(autojump_clock: MockClock) -> None:
    backend = Backend(answers(302, "hall", call="publish"))
    async with guarded(callbacks("publish", "publish_done"), backend=backend) as rig:
        async with published(rig.network, url("relay", "/live/secret?key=1")) as publisher:
            await send(publisher, gop(0, 5))
            async with viewer(rig.network, url("relay", "/live/hall")) as player:
                await player.until(lambda v: "K" in v.letters)
        await trio.sleep(1)
        # nginx-rtmp tells the end by the name that was asked about.
        assert backend.of("publish_done")[0].fields["name"] == "secret"
    backend.answer = answers(302, "hall", call="play")
    async with (
        guarded(callbacks("play"), backend=backend) as rig,
        published(rig.network, url("relay", "/live/hall")) as publisher,
    ):
        await send(publisher, gop(0, 5))
        async with viewer(rig.network, url("relay", "/live/anything")) as player:
            await player.until(lambda v: "K" in v.letters)
    backend.answer = answers(302, "inside", call="connect")
    async with guarded(callbacks("connect", "publish"), backend=backend) as rig:
        assert await refused(rig, "/live/s") == ""
        assert (backend.of("publish")[-1].fields["app"], backend.of("publish")[-1].fields["name"]) == ("inside", "s")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (answers(302, "rtmp://u:hunter2@other.example/live/s"), "names a server to go to, and only names of streams"),
        (answers(302, "http://backend.example/x"), "names a server to go to"),
        (answers(302, "a/../../b"), "has rewritten the stream to what is no path"),
        (answers(503), "on_publish (http://backend.example:8080/publish) answers 503"),
    ],
)
async def test_answers_that_are_faults(
    answer: Callable[[Call], Response], reason: str, autojump_clock: MockClock
) -> None:
    async with guarded(callbacks("publish"), backend=Backend(answer)) as rig:
        assert "NetStream.Publish.BadName who may publish cannot be told just now" in await refused(rig, "/live/s")
        (event,) = rig.events.of(PluginFailed)
        assert reason in event.reason
        assert "hunter2" not in everything(rig)


async def test_a_back_end_that_is_not_there_or_too_slow_lets_nobody_in(autojump_clock: MockClock) -> None:
    async with guarded(callbacks("publish")) as rig:
        assert "BadName" in await refused(rig, "/live/s")
        assert "http://backend.example:8080/publish refuses connections" in rig.events.of(PluginFailed)[0].reason
    backend = Backend(delay=30)
    async with guarded(callbacks("play"), backend=backend, decide_within=2.0) as rig:
        start = trio.current_time()
        async with viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
        assert player.codes == ["NetStream.Play.Failed"]
        assert trio.current_time() - start < 2.5
        assert "has not answered within 2 s" in rig.events.of(PluginFailed)[0].reason


async def test_who_hangs_up_while_it_is_asked_about_is_told_to_nobody(autojump_clock: MockClock) -> None:
    backend = Backend(delay=3)
    async with guarded(callbacks("play", "play_done"), backend=backend) as rig:
        async with viewer(rig.network, url("relay")):
            await trio.sleep(1)
        await trio.sleep(20)
        assert len(backend.of("play")) == len(backend.of("play_done")) == 1
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["waiting"] == 0


async def test_get(autojump_clock: MockClock) -> None:
    backend = Backend()
    recipe = Callbacks(on_publish="http://user:p%40ss@backend.example:8080/p?site=a", method="get")
    async with guarded(recipe, backend=backend) as rig:
        assert await refused(rig, "/live/s?key=1&name=x") == ""
        (call,) = backend.calls
        assert (call.method, call.path) == ("GET", "/p")
        assert call.form.startswith("site=a&app=live&flashver=")
        assert call.form.endswith("&call=publish&name=s&type=live&key=1")
        assert call.headers["authorization"] == "Basic dXNlcjpwQHNz"
        assert "p@ss" not in repr(recipe)
        assert "p%40ss" not in repr(recipe)


async def test_updates_end_whom_the_back_end_does_not_want_any_more(autojump_clock: MockClock) -> None:
    backend = Backend()
    async with (
        guarded(callbacks("update", "done", update_every=10.0), backend=backend) as rig,
        published(rig.network, url("relay", "/live/s?key=1")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(partial(stream_on, publisher, gops=100))
        player = await join(nursery, rig.network, url("relay"))
        await trio.sleep(25)
        for call in ("update_publish", "update_play"):
            updates = [each.fields for each in backend.of(call)]
            assert [int(each["time"]) for each in updates] == pytest.approx([10, 20], abs=1.1)
            assert [int(each["timestamp"]) for each in updates] == pytest.approx([10_000, 20_000], abs=1500)
        assert updates[0]["name"] == "s"
        backend.answer = answers(404, call="update_play")
        await player.ended.wait()
        await trio.sleep(1)
        assert rig.events.of(Dropped)[0].reason == "callbacks: an update was answered with no"
        assert (access(rig)["ended"], len(backend.of("done"))) == (1, 1)
        await trio.sleep(10)
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["publishers"] == 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("how", ["redirect", "gone"])
async def test_an_update_that_says_neither(strict: bool, how: str, autojump_clock: MockClock) -> None:
    backend = Backend(answers(302, call="update_play"))
    recipe = callbacks("update", update_every=10.0, update_strict=strict)
    async with guarded(recipe, backend=backend, patience=300) as rig, viewer(rig.network, url("relay")) as player:
        if how == "gone":
            rig.network.fault("backend.example:8080", refuse=True)
        await trio.sleep(25)
        assert player.ended.is_set() == strict


async def test_what_ends_with_the_tier_is_still_told(autojump_clock: MockClock) -> None:
    backend = Backend(delay=0.5)
    recipe = callbacks("publish_done")
    graph = Graph.of(Relay("relay", listen="rtmp://relay.example:1935", serves=RTMP(authorise=(recipe,))))

    async with trio.open_nursery() as nursery:
        async with opened(graph, drain=1) as rig:
            bound = await rig.network.listen(Listener(BACKEND))

            async def accept() -> None:
                while True:
                    nursery.start_soon(serve_http, await bound.accept(), backend.handle)

            nursery.start_soon(accept)
            left = trio.Event()

            async def publish() -> None:
                try:
                    async with published(rig.network, url("relay")):
                        left.set()
                        await trio.sleep_forever()
                except Exception:
                    pass  # the tier goes

            nursery.start_soon(publish)
            await left.wait()
        assert len(backend.of("publish_done")) == 1
        nursery.cancel_scope.cancel()


def test_urls_that_are_none() -> None:
    recipe = Callbacks(on_publish="rtmp://x.example/y", on_play="backend:80")
    problems = check(Graph.of(Relay("r", listen=":1935", serves=RTMP(authorise=(recipe, Callbacks())))))
    assert [each.partition("callbacks: ")[2] for each in problems] == [
        "option on_publish=rtmp://x.example/y is no URL to ask: write http://HOST/PATH",
        "option on_play=backend:80 is no URL to ask: write http://HOST/PATH",
        "no URL is given: give on_publish, on_play or another one",
    ]
