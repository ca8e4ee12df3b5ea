"""Where HTTP connections wait between requests, and get what is at hand without a task's turn.

Theory of operation:

* A viewer's connection is idle nearly all the time, and nearly every request is for something that is stored.  A
  task that waits for its socket, wakes, answers and waits again costs more than the answer.  So the sockets of all
  idle connections of a process stay in one epoll set, and one task, the *park's*, sees to those that have become
  readable: it reads, asks the connection's `quick` function for an answer that is at hand, and sends it.
* Whatever is not as simple as that wakes the connection's own task: bytes that are no plain request, an answer that
  has to be waited for (`quick` gives None), a viewer who did not take all of it, an end, an error.
* The park is polite: it lets others have their turn after BURST requests.
* Nobody but the park reads from a connection that waits in it, and it is in the set only while its task waits.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from ._http_ready import Ready, Unsent
from ._plugin import Shared
from ._ports import Connection, Network, Pollable
from ._readable import ReadableSet

__all__ = ["Park", "Quick", "turn"]

#: Requests answered in a row before others get their turn: some 10 µs each, as with the pump's 64 sends.
BURST = 64
#: Bytes of one read: most heads are shorter, and Python makes room for as many as are asked for.
READ = 4096
#: Seconds between looks at who has been idle for too long.
SWEEP = 1.0

#: Given what has arrived, an answer that can be sent at once, or None.  Synchronous, and called for every request.
Quick = Callable[[bytes], Ready | None]


def turn(connection: Connection, data: bytes, quick: Quick) -> bytes | Unsent | None:
    """Answer what has just arrived where that is at hand.

    Returns None when it is answered; else the bytes, or what the viewer has not taken yet.  Raises ConnectionLost.
    """
    ready = quick(data)
    if ready is None:
        return data
    connection.settled()
    try:
        sent = ready.send_nowait(connection)
    except BaseException:
        connection.abort()  # some of it may have left: nothing else may follow
        raise
    return None if sent == ready.size else Unsent(ready, sent)


class _Place:
    __slots__ = ("connection", "error", "fd", "patience", "quick", "result", "since", "task")

    def __init__(self, connection: Connection, quick: Quick, since: float, patience: float) -> None:
        self.connection = connection
        self.quick = quick
        self.since = since
        self.patience = patience
        self.task = trio.lowlevel.current_task()
        self.fd = -1
        self.result: bytes | Unsent = b""
        self.error: Exception | None = None


class Park(Shared):
    """The park of a process: `ctx.shared(Park)`."""

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        super().__init__(network, clock)
        self._readable = ReadableSet()
        self._places: dict[int, _Place] = {}

    async def wait(self, connection: Connection, pollable: Pollable, quick: Quick, patience: float) -> bytes | Unsent:
        """Until something comes that has to be seen to by the connection's own task.

        Returns bytes that have arrived (b"" at the end, or after `patience` seconds without a request), or what is
        left of an answer.  Raises ConnectionLost or RemoteProtocolError.  No event tells of what has been read off
        the socket already: the caller has seen to that.
        """
        place = _Place(connection, quick, self.clock(), patience)
        place.fd = pollable.fileno()
        self._places[place.fd] = place
        self._readable.add(place.fd)
        pollable.when_woken = lambda: self._look(place)

        def cancelled(raise_cancel: Callable[[], None]) -> trio.lowlevel.Abort:
            self._forget(place)
            return trio.lowlevel.Abort.SUCCEEDED

        try:
            await trio.lowlevel.wait_task_rescheduled(cancelled)
        finally:
            pollable.when_woken = None
        if place.error is not None:
            raise place.error
        return place.result

    async def run(self) -> None:
        """Sees to who waits, until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sweep)
                while True:
                    await self._readable.wait()
                    while self._turn():
                        await trio.lowlevel.checkpoint()
        finally:
            self._readable.close()

    def _turn(self) -> bool:
        events = self._readable.ready(BURST)
        for fd in events:
            if (place := self._places.get(fd)) is not None:
                self._look(place)
        return len(events) == BURST

    def _look(self, place: _Place) -> None:
        connection = place.connection
        try:
            while (data := connection.recv_nowait(READ)) is not None:
                left = turn(connection, data, place.quick) if data else b""
                if left is not None:
                    self._wake(place, left)
                    return
                place.since = self.clock()
                if not connection.buffered:
                    return
        except Exception as error:  # the connection's own guard is to hear of it
            place.error = error
            self._wake(place, b"")

    def _wake(self, place: _Place, result: bytes | Unsent) -> None:
        if self._places.get(place.fd) is place:
            self._forget(place)
            place.result = result
            trio.lowlevel.reschedule(place.task)

    def _forget(self, place: _Place) -> None:
        del self._places[place.fd]
        self._readable.discard(place.fd)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            now = self.clock()
            for place in [each for each in self._places.values() if now - each.since > each.patience]:
                self._wake(place, b"")
