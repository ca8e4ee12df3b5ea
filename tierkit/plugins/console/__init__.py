"""The console: a page on the control address that shows the graph, what goes through it, and what is wrong.

    GET /              the page; /console is the same
    GET /history       seconds=N [points=N] [tier=NAME]: what was, see `tierkit.history`; JSON
    GET /events        what is, as server-sent events: `plan` once, `events` where there are new ones, `now` each second

Nothing can be changed from here, so none of it asks for a token, as `/statistics` does not.

Once a second, whoever looks or not, one `statistics()` goes into the history.  That is all it costs while nobody
looks; messages are made only while somebody listens, and once for all who do.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from tierkit import __version__, draw
from tierkit.events import PluginFailed
from tierkit.history import History
from tierkit.plugin import Companion, ControlAnswer, ControlRequest, ControlRoute, Handle, hookimpl

from ._feed import CLIENTS, Feed
from ._now import STEADY, HitRatios, events, now
from ._page import page

__all__ = ["Console"]

#: Seconds between two looks: what the history is made for.
LOOK = 1.0
#: Seconds of history that may be asked for, and points of an answer.
SECONDS, POINTS = 48 * 3600, 3000


class Console(Companion):
    """The console of one graph.

    Args:
        clock: unix time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.history = History()
        self._clock = clock
        self._feed = Feed()
        self._ratios = HitRatios()
        self._statistics: dict[str, Any] = {}
        self._trouble = ""

    def routes(self) -> Sequence[ControlRoute]:
        """The page, and what it asks for."""
        return (
            ControlRoute("GET", "/", self._page),
            ControlRoute("GET", "/console", self._page),
            ControlRoute("GET", "/history", self._history),
            ControlRoute("GET", "/events", self._events),
        )

    @asynccontextmanager
    async def open(self, handle: Handle) -> AsyncIterator[None]:
        """Look once a second, where there is a control address to tell it at."""
        if handle.graph.control is None:
            yield
            return
        self._feed.tell("plan", {**json.loads(draw(handle.graph, "json")), "version": __version__})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, handle, name="console looks")
            yield
            nursery.cancel_scope.cancel()

    async def _watch(self, handle: Handle) -> None:
        due = trio.current_time()
        while True:
            self._look(handle)
            due = max(due + LOOK, trio.current_time())
            await trio.sleep_until(due)

    def _look(self, handle: Handle) -> None:
        try:
            self._statistics = handle.statistics()
            self.history.add(self._clock(), self._statistics)
            self._ratios.add(self._statistics)
            if self._feed.clients:
                self._tell()
        except Exception as error:  # a stranger's statistics: those who watch are not to pay for it
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble:
                handle.emit(PluginFailed(plugin="console", reason=trouble))
            self._trouble = trouble

    def _tell(self) -> None:
        tiers = self._statistics.get("tiers", {})
        newest = self.history.as_dict(STEADY, tiers=tiers.keys())
        self._feed.tell("events", events(self._statistics))
        self._feed.tell("now", now(self._statistics, newest, self._ratios))

    # --- answers -----------------------------------------------------------------------------------

    async def _page(self, request: ControlRequest) -> ControlAnswer:
        found = page()
        return ControlAnswer(200, found.body, "text/html; charset=utf-8", found.headers)

    async def _events(self, request: ControlRequest) -> ControlAnswer:
        if self._feed.full:
            why = f"{CLIENTS} consoles are open, which is all there may be: close one\n"
            return ControlAnswer(503, why.encode(), headers=[(b"Retry-After", b"5")])
        if not self._statistics:
            self._look(request.handle)
        self._tell()
        return ControlAnswer(200, self._feed.follow, "text/event-stream")

    async def _history(self, request: ControlRequest) -> ControlAnswer:
        seconds = _whole(request, "seconds", SECONDS, default=600)
        points = _whole(request, "points", POINTS, default=POINTS)
        if seconds is None or points is None:
            why = f"seconds= is a whole number from 1 to {SECONDS}, points= one from 1 to {POINTS}\n"
            return ControlAnswer(400, why.encode())
        tier = request.query.get("tier")
        pieces = []
        rest = b"{}"
        for name, piece in self.history.pieces(seconds, points=points, tiers=None if tier is None else [tier]):
            text = json.dumps(piece, separators=(",", ":"), allow_nan=False)
            if name is None:
                rest = text.encode()
            else:
                pieces.append(f"{json.dumps(name)}:{text}".encode())
            await trio.lowlevel.checkpoint()
        body = rest[:-1] + b',"tiers":{' + b",".join(pieces) + b"}}\n"
        return ControlAnswer(200, body, "application/json")


def _whole(request: ControlRequest, name: str, most: int, *, default: int) -> int | None:
    """A parameter that is a whole number from 1 to `most`; None where it is something else."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return None
    return int(text) if 1 <= int(text) <= most else None


@hookimpl
def tierkit_companions() -> Sequence[Companion]:
    """Brings the console."""
    return [Console()]
