"""Bytes that are nothing, half of something, or too much of it, at every door; everybody else watches on."""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address
from tierkit.errors import ConnectionLost

from .rig import CONTROL, Scene, watched

GARBAGE = b"\xfe" + random.Random(7).randbytes(4095)
DOORS = {"studio's http": ("studio", "http"), "edge": ("edge", "http"), "control": ("", "")}
HEAD = b"GET /live/s/chunklist.m3u8 HTTP/1.1\r\nHost: x\r\n"


class Case(NamedTuple):
    data: bytes
    #: Whether it then ends its side.
    ends: bool
    status: int
    said: str


HTTP = {
    "garbage": Case(GARBAGE, False, 400, "not HTTP: bytes that are no text in the first line"),
    "garbage and an end": Case(GARBAGE, True, 400, "not HTTP: bytes that are no text in the first line"),
    "garbage of text": Case(b"lorem ipsum\r\n\r\n", False, 400, "the request line is malformed"),
    "RTMP": Case(b"\x03" + bytes(1536), False, 400, "not HTTP: an RTMP client (use rtmp)"),
    "TLS": Case(b"\x16\x03\x01\x02\x00\x01", False, 400, "not HTTP: a TLS client (use https)"),
    "half a request": Case(HEAD, False, 408, "the head took more than 8 s"),
    "half a request and an end": Case(HEAD, True, 400, "the request has ended in the middle of its head"),
    "an oversized head": Case(HEAD + b"X-A: " + b"a" * 70_000, False, 431, "the head is longer than 32768 bytes"),
    "an oversized target": Case(
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        False,
        414,
        "a line of the head is longer than 8192 bytes",
    ),
    "two lengths": Case(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", False, 400, "Content-Length"),
}

RTMP = {
    "garbage": Case(GARBAGE, False, 0, "not RTMP: the first byte is 254, not 3"),
    "HTTP": Case(HEAD + b"\r\n", False, 0, "not RTMP: an HTTP client"),
    "TLS": Case(b"\x16\x03\x01\x02\x00\x01", False, 0, "not RTMP: a TLS client (use rtmps)"),
    "a handshake and then garbage": Case(
        b"\x03" + bytes(1536) + bytes(1536) + b"\x03" + b"\xff" * 4096, False, 0, "an RTMP message of"
    ),
    "a handshake that stalls": Case(b"\x03" + bytes(700), False, 0, "no request within 10 s of connecting"),
    "nothing": Case(b"", False, 0, "no request within 10 s of connecting"),
}


async def say(scene: Scene, url: str | Address, data: bytes, *, end: bool = False) -> bytes:
    """Send bytes and read what comes until the other side ends it; a reset reads as b"<reset>" at the end."""
    connection = await scene.network.connect(Address.parse(url))
    got = b""
    try:
        with trio.fail_after(60):
            await connection.send_all(data)
            if end:
                connection.end_output()
            while more := await connection.recv():
                got += more
    except ConnectionLost:
        got += b"<reset>"
    finally:
        connection.close()
    return got


@pytest.mark.parametrize("door", DOORS)
async def test_http(door: str, autojump_clock: MockClock) -> None:
    async with watched() as scene:
        tier, scheme = DOORS[door]
        url = scene.url(tier, scheme=scheme) if tier else CONTROL
        for name, case in HTTP.items():
            answer = await say(scene, url, case.data, end=case.ends)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %d " % case.status), name
            assert b"\r\nConnection: close" in head, name
            assert case.said in body.decode(), name
            assert "<reset>" not in body.decode(), name
            if tier:
                line = await scene.line(tier)
                assert line.startswith(f"{tier}: connection from 127.0.0.1:"), name
                assert line.endswith(f" failed: {body.decode().rstrip()}"), name
            else:
                assert scene.troubles() == [], name  # whoever speaks to it is told, nobody else
            scene.told = len(scene.events)
        await scene.undisturbed()


@pytest.mark.parametrize("tier", ["studio", "relay"])
async def test_rtmp(tier: str, autojump_clock: MockClock) -> None:
    async with watched() as scene:
        for name, case in RTMP.items():
            began = trio.current_time()
            await say(scene, scene.url(tier, scheme="rtmp"), case.data)
            assert trio.current_time() - began <= 10, name
            line = await scene.line(tier)
            assert line.startswith(f"{tier}: connection from 127.0.0.1:"), name
            assert f" failed: {case.said}" in line, name
            scene.told = len(scene.events)
        await scene.undisturbed()


async def test_who_connects_and_says_nothing_is_not_worth_a_line(autojump_clock: MockClock) -> None:
    # Load balancers look whether a port is open, every other second.
    async with watched() as scene:
        for url in (scene.url("studio", scheme="rtmp"), scene.url("edge"), scene.url("relay"), Address.parse(CONTROL)):
            for _ in range(5):
                (await scene.network.connect(url)).close()
        await scene.undisturbed()
        assert scene.troubles() == []


async def test_a_crowd_of_fools_at_once(autojump_clock: MockClock) -> None:
    async with watched() as scene:
        async with trio.open_nursery() as nursery:
            for number in range(30):
                for tier, scheme in (("studio", "rtmp"), ("studio", "http"), ("edge", "http"), ("relay", "rtmp")):
                    data = random.Random(number).randbytes(1 + 500 * (number % 5))
                    nursery.start_soon(say, scene, scene.url(tier, scheme=scheme), data)
        await scene.undisturbed()
        # One line each, and no other.
        assert len(scene.troubles()) == 120
        assert all(" connection from 127.0.0.1:" in line and " failed: " in line for line in scene.troubles())
