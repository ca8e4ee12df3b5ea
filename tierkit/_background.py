"""A graph beside a program that is not on trio: its own thread, its own trio run.

For an asyncio service (FastAPI under uvicorn, say) or a plain script: ``with tierkit.background(graph) as
handle:``.  The two worlds share nothing but the handle, whose methods may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio
from attrs import define

from ._address import Address
from ._model import Graph
from ._serve import GraphHandle, open_graph
from .errors import TierkitError

__all__ = ["BackgroundHandle", "background"]

T = TypeVar("T")


class BackgroundHandle:
    """A graph at work in another thread.  Every method may be called from any thread and blocks briefly."""

    def __init__(self, handle: GraphHandle, token: trio.lowlevel.TrioToken, ended: Callable[[], BaseException | None]):
        self._handle = handle
        self._token = token
        self._ended = ended

    @property
    def ready(self) -> bool:
        """Whether every tier accepts connections and none drains."""
        return self._ask(lambda: self._handle.ready)

    def addresses(self, tier: str) -> tuple[Address, ...]:
        """The bound addresses of a tier, in a form that can be dialled."""
        return self._ask(lambda: self._handle.addresses(tier))

    def url(self, tier: str, path: str = "", *, scheme: str = "") -> str:
        """A URL of a tier: by its first listener, or by its first one of `scheme`."""
        return self._ask(lambda: self._handle.url(tier, path, scheme=scheme))

    def statistics(self) -> dict[str, Any]:
        """Every `statistics()` of the graph as plain values."""
        return self._ask(self._handle.statistics)

    def reload_certificates(self) -> list[str]:
        """Read every certificate file again; returns a line for each that was not taken."""
        return self._ask(self._handle.reload_certificates)

    def _ask(self, question: Callable[[], T]) -> T:
        try:
            return trio.from_thread.run_sync(question, trio_token=self._token)
        except trio.RunFinishedError:
            if (failure := self._ended()) is not None:
                raise TierkitError(f"the background graph has failed: {_told(failure)}") from failure
            raise TierkitError("the background graph has ended: use its handle only inside the with block") from None


@define
class _State:
    """What the two threads tell each other."""

    started: threading.Event
    ended: threading.Event
    handle: BackgroundHandle | None = None
    leave: trio.Event | None = None
    failure: BaseException | None = None

    def why(self) -> BaseException | None:
        """Wait for the end, and say what failed."""
        self.ended.wait()
        return self.failure


@contextmanager
def background(graph: Graph, **options: Any) -> Iterator[BackgroundHandle]:
    """Run `graph` in a thread of its own for as long as the block lasts; takes the options of `open_graph`.

    When this yields, every tier accepts connections; leaving drains.  A failure to start is raised here;
    a failure while running is raised when the block ends.
    """
    state = _State(threading.Event(), threading.Event())
    thread = threading.Thread(target=_run, args=(graph, options, state), name="tierkit", daemon=True)
    thread.start()
    state.started.wait()
    try:
        if state.handle is not None:
            yield state.handle
    finally:
        _end(state)
        thread.join()
    if state.failure is not None:
        raise state.failure


def _told(failure: BaseException) -> str:
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return f"{type(failure).__name__}: {failure}"


def _end(state: _State) -> None:
    if state.handle is None or state.leave is None:
        return
    try:
        state.handle._token.run_sync_soon(state.leave.set)
    except trio.RunFinishedError:
        pass  # it has ended by itself; state.failure says why


def _run(graph: Graph, options: dict[str, Any], state: _State) -> None:
    async def main() -> None:
        async with open_graph(graph, **options) as handle:
            state.leave = trio.Event()
            state.handle = BackgroundHandle(handle, trio.lowlevel.current_trio_token(), state.why)
            state.started.set()
            await state.leave.wait()

    try:
        trio.run(main)
    except BaseException as error:
        state.failure = error
    finally:
        state.started.set()
        state.ended.set()
