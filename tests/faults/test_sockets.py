"""The same on this machine's sockets: what only a kernel does to bytes that nobody reads."""

from __future__ import annotations

import random
import socket
import struct

import trio

from tierkit import Address, Edge, Graph, Origin, RealNetwork, Relay
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

from .rig import Scene, watched

LARGE = b"\xfe" + random.Random(9).randbytes(300_000)
RESET = struct.pack("ii", 1, 0)
HEAD = b"GET /live/s/chunklist.m3u8 HTTP/1.1\r\nHost: x\r\n"


def plan() -> Graph:
    origin = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest(segment=1))
    edge = Edge("edge", listen="http://127.0.0.1:0", upstream=origin, serves=HLS())
    relay = Relay("relay", listen="rtmp://127.0.0.1:0", upstream=origin, serves=RTMP())
    return Graph.of(edge, relay)


async def say(url: Address, data: bytes) -> bytes:
    """Everything that is answered, up to an end or a reset."""
    stream = await trio.open_tcp_stream(url.host, url.dial_port)
    got = b""
    async with stream:
        try:
            await stream.send_all(data)
            async for more in stream:
                got += more
        except trio.BrokenResourceError:
            pass
    return got


async def reset(url: Address, data: bytes) -> None:
    """Say something and vanish by a reset, with whatever comes unread."""
    stream = await trio.open_tcp_stream(url.host, url.dial_port)
    await stream.send_all(data)
    await trio.sleep(0.05)
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    stream.socket.close()


async def refused(scene: Scene, tier: str, scheme: str, data: bytes, status: int, said: str) -> None:
    """It is answered, however much was still on its way to us, and told in one line."""
    before = len(scene.troubles())
    with trio.fail_after(5):
        answer = await say(scene.url(tier, scheme=scheme), data)
        while len(scene.troubles()) == before:
            await trio.sleep(0.01)
    if status:
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.endswith(said.encode() + b"\n")
    (line,) = scene.troubles()[before:]
    assert line.startswith(f"{tier}: connection from 127.0.0.1:")
    assert line.endswith(f" failed: {said}")


async def test_everything_at_every_door() -> None:
    async with watched(plan(), RealNetwork(), lead=2) as scene:
        text = "not HTTP: bytes that are no text in the first line"
        for tier in ("studio", "edge"):
            await refused(scene, tier, "http", LARGE, 400, text)
            oversized = HEAD + b"X-A: " + b"a" * 300_000
            await refused(scene, tier, "http", oversized, 431, "the head is longer than 32768 bytes")
        for tier in ("studio", "relay"):
            await refused(scene, tier, "rtmp", LARGE, 0, "not RTMP: the first byte is 254, not 3")
        lines = len(scene.troubles())
        halves = {
            "http": (b"", b"GET / HT", HEAD + b"\r\n"),
            "rtmp": (b"", b"\x03" + bytes(700), b"\x03" + bytes(1536)),
        }
        for tier, scheme in (("studio", "http"), ("edge", "http"), ("studio", "rtmp"), ("relay", "rtmp")):
            for data in halves[scheme]:
                await reset(scene.url(tier, scheme=scheme), data)
        await scene.undisturbed(2)
        assert len(scene.troubles()) == lines == 6, scene.troubles()
