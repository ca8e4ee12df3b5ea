"""Bytes that are nothing, half of something, or too much of it, at every door; everybody else watches on."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address
from tierkit.errors import ConnectionLost

from .rig import CONTROL, Scene, watched

GARBAGE = random.Random(7).randbytes(4096)


async def say(scene: Scene, url: str | Address, data: bytes, *, seconds: float = 120, end: bool = False) -> bytes:
    """Send bytes and read what comes until the other side ends it; a reset reads as b"<reset>" at the end."""
    connection = await scene.network.connect(Address.parse(url))
    got = b""
    try:
        with trio.fail_after(seconds):
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


async def test_nothing_happens(autojump_clock: MockClock) -> None:
    async with watched() as scene:
        await scene.undisturbed()
        assert scene.troubles() == []
