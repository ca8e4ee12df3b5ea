"""What is asked of the FLV door: paths, methods, sites, handshakes, and clients that say odd things."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from tests.core.rig import Rig, opened
from tests.rtmp.media import gop
from tests.rtmp.rig import join as join_rtmp
from tests.rtmp.rig import published, send, stream_on, url
from tests.support_http import Answer, dial
from tierkit import Graph, Origin, check
from tierkit.live import streams_of
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP

from .flv_rig import FlvPlayer, WebSocketPlayer, figures, join, playing, relay, web

SITE = "Origin: https://www.example"


async def ask(rig: Rig, path: str, *fields: str, method: str = "GET") -> Answer:
    viewer = await dial(rig.network, str(web()))
    try:
        return await viewer.ask(path, *fields, method=method)
    finally:
        viewer.connection.close()


@pytest.mark.parametrize(
    "path",
    ["/", "/live/s", "/live/s.m3u8", "/.flv", "/live/.flv", "/live/../s.flv", "/live/%2e%2e/s.flv", "/a%00b.flv"],
)
async def test_a_path_that_can_be_no_stream_is_404(path: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        answer = await ask(rig, path)
        assert answer.status == 404
        assert answer.body.startswith(b"ask for /APP/NAME.flv: ")
        assert answer.get(b"access-control-allow-origin") == b"*"
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []
        assert figures(rig)["refused"] == 1


async def test_other_methods(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        await trio.sleep(0.1)
        answer = await ask(rig, "/live/s.flv", method="POST")
        assert (answer.status, answer.get(b"allow")) == (405, b"GET, HEAD, OPTIONS")
        answer = await ask(rig, "/live/s.flv", SITE, method="OPTIONS")
        assert (answer.status, answer.get(b"access-control-allow-methods")) == (204, b"GET, HEAD, OPTIONS")
        answer = await ask(rig, "/live/s.flv", method="HEAD")
        assert (answer.status, answer.get(b"content-type"), answer.body) == (200, b"video/x-flv", b"")
        assert answer.get(b"content-length") is None
        assert (await ask(rig, "/live/other.flv", method="HEAD")).status == 404
        assert figures(rig, service="rtmp")["pulls"] == 0


async def test_a_name_is_found_as_it_is_spelt_in_a_url(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        for name in ("/live/my%20stream", "/live/sitting%C3%A9"):
            async with published(rig.network, url("relay", name)) as publisher:
                await send(publisher, gop(0, 5))
                async with playing(FlvPlayer(rig.network, f"{name}.flv?a=b")) as player:
                    await player.until(lambda v: "K" in v.letters)
        async with playing(WebSocketPlayer(rig.network, "/live/not%20yet.flv")) as early:
            await trio.sleep(1)
            async with published(rig.network, url("relay", "/live/not%20yet")) as publisher:
                await send(publisher, gop(0, 5))
                await early.until(lambda v: "K" in v.letters)


async def test_a_name_with_a_space_is_found_by_its_escape(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        door = rig.handle.running("relay")["flv"]
        live = streams_of(door.ctx)  # type: ignore[attr-defined]
        live.open("/live/my stream").publish("an encoder that escapes nothing")
        with trio.move_on_after(1):
            await ask(rig, "/live/my%20stream.flv")
        assert [each.name for each in live] == ["/live/my stream"]


async def test_without_somebody_who_brings_streams_there_are_none(autojump_clock: MockClock) -> None:
    alone = Origin("relay", host="relay.example", listen="http://relay.example:8080", serves=FLV())
    async with opened(alone) as rig:
        answer = await ask(rig, "/live/s.flv")
        assert (answer.status, answer.body) == (404, b"nobody publishes /live/s\n")


async def test_too_many_streams_is_503(autojump_clock: MockClock) -> None:
    async with opened(relay(rtmp=RTMP(max_streams=1))) as rig, published(rig.network, url("relay")):
        answer = await ask(rig, "/live/other.flv")
        assert (answer.status, answer.body) == (503, b"relay has 1 streams, its bound: raise max_streams\n")


# --- sites ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FlvPlayer, WebSocketPlayer])
async def test_pages_of_other_sites_may_be_kept_out(kind: type[FlvPlayer], autojump_clock: MockClock) -> None:
    flv = FLV(origins=("https://www.example", "http://localhost:3000"))
    async with opened(relay(flv=flv)) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        for fields, status in (
            ((), 200),
            (("Origin: https://www.example",), 200),
            (("Origin: https://WWW.example",), 200),
            (("Origin: http://localhost:3000",), 200),
            (("Origin: http://www.example",), 403),
            (("Origin: https://www.example.evil",), 403),
            (("Origin: null",), 403),
        ):
            async with playing(kind(rig.network, "/live/s.flv", *fields)) as player:
                await player.until(lambda v: v.status != 0)
            assert player.status == (101 if status == 200 and kind is WebSocketPlayer else status), fields
            if kind is FlvPlayer and status == 200:
                assert b"\r\nVary: Origin" in player.head
                told = [each for each in player.head.split(b"\r\n") if each.startswith(b"Access-Control-Allow-Origin")]
                assert told == [b"Access-Control-Allow-" + each.encode() for each in fields]


async def test_no_cors_is_no_header(autojump_clock: MockClock) -> None:
    async with opened(relay(flv=FLV(cors=""))) as rig:
        answer = await ask(rig, "/live/s.flv", SITE, method="OPTIONS")
        assert answer.get(b"access-control-allow-origin") is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cors": "a\nb"}, "cannot stand in a header"),
        ({"cors": "é"}, "cannot stand in a header"),
        ({"origins": ("www.example",)}, "'www.example' is no site"),
        ({"origins": ("https://www.example/",)}, "is no site"),
        ({"origins": ("https://me@www.example",)}, "is no site"),
        ({"origins": ("https://www.example:port",)}, "is no site"),
        ({"patience": 0}, "too small"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], told: str) -> None:
    (line,) = FLV(**options).problems()  # type: ignore[arg-type]
    assert told in line
    assert any(told in each for each in check_lines(options))


def check_lines(options: dict[str, object]) -> list[str]:
    return check(Graph.of(relay(flv=FLV(**options))))  # type: ignore[arg-type]


def test_options_that_can_be() -> None:
    assert FLV(origins=("https://[::1]:8443", "http://localhost:3000", "https://A.example")).problems() == []


async def test_options_change_under_way(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        door = rig.handle.running("relay")["flv"]
        assert door.replace(FLV(patience=2, cors="https://a.example"))
        assert not door.replace(RTMP())
        start = trio.current_time()
        async with playing(FlvPlayer(rig.network)) as player:
            await player.ended.wait()
        assert trio.current_time() - start < 6
        assert b"Access-Control-Allow-Origin: https://a.example" in player.head


# --- handshakes and what clients say -------------------------------------------------------------

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
GOOD = (*UPGRADE, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((*UPGRADE, "Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 426),
        ((*UPGRADE, "Sec-WebSocket-Version: 13"), 400),
        ((*UPGRADE, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (("Upgrade: websocket", *GOOD[2:]), 400),
        ((*GOOD, "Content-Length: 3"), 400),
    ],
)
async def test_a_bad_handshake_is_told(fields: tuple[str, ...], status: int, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        answer = await ask(rig, "/live/s.flv", *fields)
        assert answer.status == status
        assert answer.get(b"sec-websocket-version") == (
            b"13" if status == 426 else answer.get(b"sec-websocket-version")
        )
        assert figures(rig)["refused"] == 1


async def test_the_accept_is_the_specifications(autojump_clock: MockClock) -> None:
    # The example of RFC 6455, section 1.3.
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        viewer = await dial(rig.network, str(web()))
        await viewer.say("\r\n".join(("GET /live/s.flv HTTP/1.1", "Host: x", *GOOD, "", "")).encode())
        head = (await viewer.connection.recv()).partition(b"\r\n\r\n")[0]
        assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        assert b"\r\nConnection: Upgrade" in head
        assert b"close" not in head
        viewer.connection.close()


async def test_pings_are_answered_between_messages_and_words_are_not(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        player = WebSocketPlayer(rig.network)
        await join(nursery, player)
        await player.until(lambda v: "K" in v.letters)
        for number in range(20):
            await player.say(Ping(b"%d" % number))
            await player.say(TextMessage("you there"))
            await player.say(BytesMessage(bytes(1000)))
            await trio.sleep(0.07)
        await player.until(lambda v: len(v.letters) > 200)
        assert player.pongs == [b"%d" % number for number in range(20)]
        assert not player.ended.is_set()
        nursery.cancel_scope.cancel()


async def test_a_close_is_answered(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        player = WebSocketPlayer(rig.network)
        async with playing(player):
            await player.until(lambda v: "K" in v.letters)
            await player.say(CloseConnection(1000, "enough"))
            await player.ended.wait()
            assert player.closed is not None
            assert (player.closed.code, player.lost) == (1000, "")
            assert figures(rig)["players"] == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x82\x05hello",  # not masked
        b"\xf2\x80\0\0\0\0",  # reserved bits
        b"\x89\xfe\x01\x00" + bytes(4) + bytes(256),  # a ping of 256 bytes
        b"\x83\x80\0\0\0\0",  # an opcode that is none
        b"\x81\x82\0\0\0\0\xff\xfe",  # a text that is none
        b"\x88\x81\0\0\0\0\x03",  # half a code
        b"\x82\xff" + b"\xff" * 8 + bytes(4),  # 2**64 - 1 bytes
    ],
)
async def test_what_is_no_frame_ends_it_in_order(garbage: bytes, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        player = WebSocketPlayer(rig.network)
        async with playing(player):
            await player.until(lambda v: "K" in v.letters)
            for at in range(len(garbage)):
                await player.connection.send_all(garbage[at : at + 1])
            await player.ended.wait()
            assert player.closed is not None
            assert player.closed.code in (1002, 1007, 1009)
            assert (player.lost, figures(rig)["players"]) == ("", 0)


async def test_who_waits_may_leave(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        for kind in (FlvPlayer, WebSocketPlayer):
            async with playing(kind(rig.network)):
                await trio.sleep(1)
                assert figures(rig)["waiting"] == 1
            await trio.sleep(1)
            assert figures(rig)["waiting"] == 0
        player = WebSocketPlayer(rig.network)  # a close before the answer
        async with playing(player):
            await player.connection.send_all(b"\x88\x82\0\0\0\0\x03\xe8")
            await player.ended.wait()
        assert (player.lost, player.status) == ("", 0)
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []


async def test_a_client_of_http_1_0_is_served(autojump_clock: MockClock) -> None:
    class Old(FlvPlayer):
        def request(self) -> bytes:
            return b"GET /live/s.flv HTTP/1.0\r\n\r\n"

    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        async with playing(Old(rig.network)) as player:
            await player.until(lambda v: "K" in v.letters)
            assert b"\r\nConnection: close" in player.head


async def test_200_of_each_kind_cost_one_encoding_of_each(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        crowd = []
        for _ in range(200):
            crowd.append(await join(nursery, FlvPlayer(rig.network)))
            crowd.append(await join(nursery, WebSocketPlayer(rig.network)))
            crowd.append(await join_rtmp(nursery, rig.network, url("relay")))  # type: ignore[arg-type]
        for each in crowd:
            await each.until(lambda v: len(v.letters) > 100)
        (stream,) = figures(rig, service="rtmp")["streams"]
        assert stream["players"] == 600
        assert [each["ring"]["cursors"] for each in stream["encodings"]] == [200, 200]
        nursery.cancel_scope.cancel()
