"""A plugin that blocks the loop: it is named, and everybody is served again behind it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import frozen
from trio.testing import MockClock

from tierkit import Origin
from tierkit.events import Event, LoopBlocked
from tierkit.http import HttpClient, Request, Response, serve_http
from tierkit.plugin import Connection, Context, Node, Running, Service

from .rig import get, plan, watched

#: Twice what a step may take, in real seconds.
BLOCK = 0.1


@frozen
class Sleeper(Service):
    """Blocks where it ought to wait."""

    name: ClassVar[str] = "sleeper"
    roles: ClassVar = frozenset({"origin"})
    schemes: ClassVar[tuple[str, ...]] = ("http",)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        yield _Sleeper()


class _Sleeper(Running):
    async def handle(self, connection: Connection) -> None:
        await serve_http(connection, self.look_up)

    async def look_up(self, request: Request) -> Response:
        time.sleep(BLOCK)  # noqa: ASYNC251 - this is the fault
        return Response(200, [], b"at last\n")

    def statistics(self) -> None:
        return None


async def test_it_is_named(autojump_clock: MockClock) -> None:
    node = Origin("slow", host="slow.example", listen="http://slow.example:80", serves=Sleeper())
    blocks: list[LoopBlocked] = []

    def observe(event: Event) -> None:
        if isinstance(event, LoopBlocked) and "slow" in event.task:  # a machine may stall under a test by itself
            blocks.append(event)

    async with watched(plan(node), observers=[observe]) as scene:
        client = HttpClient(scene.network, trio.current_time)
        began, asked = time.monotonic(), 0
        # Where the machine has just stalled under something else, that was told, and this is when the second is over.
        while asked < 3 or (not blocks and asked < 100):
            assert await get(client, scene.url("slow", "/")) == (200, b"at last\n")
            asked += 1
        client.close()
        told = blocks[0]
        assert len(blocks) <= 1 + time.monotonic() - began  # once a second of the loop's own time, not once a step
        assert told.seconds >= BLOCK
        assert told.text.startswith("the event loop stood still for ")
        assert f" ms in slow sleeper ({__name__}:handle) ({told.count} such steps)" in told.text
        assert told.text.endswith(": move that work to ctx.run_sync")
        assert scene.handle.statistics()["process"]["long_steps"] >= 3
        await scene.undisturbed()
        assert scene.troubles() == []
