"""The checks of `Connection`; see `_check_network` for what they are part of."""

from __future__ import annotations

from collections.abc import Callable

import trio
import trio.testing

from tierkit.errors import ConnectionLost, TierkitError
from tierkit.plugin import Connection

from ._check_network import Check, Ground, Memfd, ensure, fill, joined, pattern, raises_lost, read_exactly

__all__ = ["MOVING", "READING", "ENDING"]

#: More than any pair of kernel buffers takes on loopback by default (tcp_wmem and tcp_rmem: 4 + 6 MB).
MUCH = 12_000_000


# --- moving bytes --------------------------------------------------------------------------------


async def check_both_ways_at_once(ground: Ground) -> None:
    """Much data both ways at once arrives whole and in order, and is counted."""
    size = 3_000_001
    async with joined(ground) as (near, far):
        got: dict[str, bytes] = {}

        async def read(name: str, connection: Connection) -> None:
            got[name] = await read_exactly(connection, size)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, pattern(size, 1))
            nursery.start_soon(far.send_all, bytearray(pattern(size, 2)))
            nursery.start_soon(read, "near", near)
            nursery.start_soon(read, "far", far)
        ensure(got["far"] == pattern(size, 1), "what is sent arrives, byte for byte")
        ensure(got["near"] == pattern(size, 2), "what is sent back arrives, byte for byte")
        for each in (near, far):
            ensure(each.bytes_in == size, "bytes_in counts what was received")
            ensure(each.bytes_out == size, "bytes_out counts what was accepted for sending")


async def check_short_writes(ground: Ground) -> None:
    """`send_nowait` takes what fits and never waits; what it took arrives, and nothing else."""
    data = pattern(MUCH)
    async with joined(ground) as (near, far):
        ensure(near.send_nowait(b"") == 0, "sending nothing sends nothing")
        sent = fill(near, data)
        ensure(0 < sent < MUCH, "a peer that does not read makes writes short")
        ensure(near.send_nowait(b"x") == 0, "0 means that nothing fits now")
        ensure(near.bytes_out == sent, "bytes_out counts what was accepted")
        ensure(near.unsent() > 0, "what the peer has not taken is unsent")
        writable = trio.Event()

        async def rest() -> None:
            await near.wait_writable()
            writable.set()
            await near.send_all(data[sent : sent + 500_000])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rest)
            await trio.testing.wait_all_tasks_blocked()
            ensure(not writable.is_set(), "wait_writable waits while nothing fits")
            got = await read_exactly(far, sent + 500_000)
        ensure(got == data[: sent + 500_000], "a short write loses and repeats nothing")
        await near.wait_writable()


async def check_unsent_goes_down(ground: Ground) -> None:
    """What was accepted whole needs no other call to arrive; once the peer has it, nothing is unsent."""
    async with joined(ground) as (near, far):
        sent = fill(near, pattern(MUCH), 1000)
        ensure(await read_exactly(far, sent) == pattern(sent), "what was accepted arrives without another call")
        for _ in range(1000):  # the peer's acknowledgement is not the peer's read
            if not near.unsent():
                return
            await trio.sleep(0.002)
        raise AssertionError("unsent() goes down to 0 once the peer has read everything")


async def check_sendfile(ground: Ground) -> None:
    """A blob is sent from any offset, also while it grows, and mixes with other bytes in order."""
    data = pattern(2_000_000)
    blob = Memfd(data[:700_000])
    try:
        async with joined(ground) as (near, far):

            async def write() -> None:
                await far.send_all(b"head")
                await far.sendfile_all(blob, 100_000, 600_000)
                blob.append(data[700_000:])
                await far.sendfile_all(blob, 700_000, len(data) - 700_000)
                await far.send_all(b"tail")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(write)
                got = await read_exactly(near, len(data) - 100_000 + 8)
            ensure(got == b"head" + data[100_000:] + b"tail", "a blob arrives byte for byte")
            ensure(far.bytes_out == len(got), "bytes_out counts a blob's bytes")
            ensure(far.sendfile_nowait(blob, 0, 0) == 0, "sending nothing of a blob sends nothing")
            try:
                far.sendfile_nowait(blob, len(data), 1)
            except TierkitError:
                pass
            else:
                raise AssertionError("asking for bytes that a blob does not have is an error, not a busy loop")
    finally:
        blob.close()


async def check_sendfile_is_short(ground: Ground) -> None:
    """`sendfile_nowait` takes what fits and never waits."""
    data = pattern(MUCH)
    blob = Memfd(data)
    try:
        async with joined(ground) as (near, far):
            sent = 0
            while step := near.sendfile_nowait(blob, sent, MUCH - sent):
                sent += step
            ensure(0 < sent < MUCH, "a peer that does not read makes sendfile short")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(near.wait_writable)  # as everybody does after a short write
                got = await read_exactly(far, sent)
            ensure(got == data[:sent], "what sendfile took arrives")
    finally:
        blob.close()


# --- reading -------------------------------------------------------------------------------------


async def check_recv(ground: Ground) -> None:
    """`recv` gives at least one byte and at most those asked for, and always passes a checkpoint."""
    async with joined(ground) as (near, far):
        await near.send_all(pattern(100))
        with trio.testing.assert_checkpoints():
            got = await far.recv(10)
        ensure(got == pattern(100)[:10], "recv gives at most max_bytes")
        with trio.testing.assert_checkpoints():
            got += await far.recv()
        ensure(got + await read_exactly(far, 100 - len(got)) == pattern(100), "recv loses nothing between calls")
        with trio.CancelScope() as scope:
            scope.cancel()
            await near.send_all(b"kept")
            await far.recv()
        ensure(scope.cancelled_caught, "recv can be cancelled, data or no data")
        ensure(await read_exactly(far, 4) == b"kept", "a cancelled recv loses nothing")


async def check_recv_nowait(ground: Ground) -> None:
    """`recv_nowait` tells nothing yet, bytes and the end apart."""
    async with joined(ground) as (near, far):
        ensure(far.recv_nowait() is None, "None where nothing has arrived yet")
        await near.send_all(b"one")
        await _until(far.readable_now)
        ensure(far.recv_nowait(2) == b"on", "bytes that are there, at most max_bytes")
        ensure(far.recv_nowait() == b"e", "the rest")
        ensure(far.bytes_in == 3, "bytes_in counts what recv_nowait gave")
        near.close()
        await _until(far.readable_now)
        ensure(far.recv_nowait() == b"", "the end")


async def check_readable_now(ground: Ground) -> None:
    """`readable_now` is true for bytes and for the end, takes nothing away, and is false in silence."""
    async with joined(ground) as (near, far):
        await near.send_all(b"x")
        await far.recv()
        await far.send_all(b"y")
        await near.recv()
        ensure(not far.readable_now(), "silence is not readable")
        ensure(not near.readable_now(), "silence is not readable at the dialler's end either")
        await near.send_all(b"abc")
        await _until(far.readable_now)
        ensure(far.readable_now(), "asking twice changes nothing")
        ensure(await read_exactly(far, 3) == b"abc", "asking takes nothing away")
        ensure(far.bytes_in == 4, "asking counts nothing twice")
        near.close()
        await _until(far.readable_now)
        ensure(await far.recv() == b"", "an end that was seen is still an end")


async def _until(true: Callable[[], bool]) -> None:
    """Poll: nothing tells when bytes have crossed a kernel."""
    while not true():  # noqa: ASYNC110
        await trio.sleep(0.001)


async def check_end_input(ground: Ground) -> None:
    """`end_input` wakes the reader with the end; what is sent still goes out, by either side's leave."""
    async with joined(ground) as (near, far):
        got: list[bytes] = []

        async def read() -> None:
            got.append(await far.recv())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            far.end_input()
            far.end_input()
        ensure(got == [b""], "a reader that waits gets the end")
        ensure(far.readable_now(), "an ended input is readable")
        await near.send_all(b"too late")
        ensure(await far.recv() == b"", "what comes after end_input is not delivered")
        await far.send_all(b"answer")
        ensure(await read_exactly(near, 6) == b"answer", "what is sent after end_input goes out")


async def check_end_input_keeps_what_arrived(ground: Ground) -> None:
    """A request that had arrived before `end_input` can still be read, and then comes the end."""
    async with joined(ground) as (near, far):
        await near.send_all(pattern(1000))
        await _until(far.readable_now)
        far.end_input()
        ensure(await read_exactly(far, 2000) == pattern(1000), "what had arrived can be read, then the input ends")


async def check_end_input_leaves_the_writer(ground: Ground) -> None:
    """A writer that waits goes on waiting after `end_input`, and gets through."""
    async with joined(ground) as (near, far):
        sent = fill(far, pattern(MUCH))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(far.send_all, pattern(MUCH)[sent : sent + 300_000])
            await trio.testing.wait_all_tasks_blocked()
            far.end_input()
            got = await read_exactly(near, sent + 300_000)
        ensure(got == pattern(sent + 300_000), "end_input takes nothing from the writer")


async def check_cancellation(ground: Ground) -> None:
    """A wait that was cancelled leaves the connection as it was."""
    async with joined(ground) as (near, far):
        sent = fill(near, pattern(MUCH))
        for wait in (near.recv, near.wait_writable):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.send_all, pattern(MUCH)[sent : sent + 200_000])
            ensure(await read_exactly(far, sent + 200_000) == pattern(sent + 200_000), "a cancelled wait loses nothing")
        await far.send_all(b"answer")
        ensure(await read_exactly(near, 6) == b"answer", "a cancelled recv can be tried again")


# --- ending --------------------------------------------------------------------------------------


async def check_close_delivers(ground: Ground) -> None:
    """After `close` the peer gets what was accepted and then the end, again and again."""
    async with joined(ground) as (near, far):
        sent = fill(far, pattern(MUCH))
        far.close()
        ensure(await read_exactly(near, MUCH) == pattern(sent), "what was accepted goes out after close")
        ensure(await near.recv() == b"", "the end stays the end")


async def check_close_with_unread_input(ground: Ground) -> None:
    """An answer reaches the peer even if its own bytes were never read."""
    async with joined(ground) as (near, far):
        await near.send_all(pattern(4000))
        await _until(far.readable_now)
        await far.send_all(pattern(4000, 9))
        far.close()
        ensure(await read_exactly(near, 5000) == pattern(4000, 9), "unread input does not cost the answer")


async def check_close_wakes(ground: Ground) -> None:
    """`close` wakes a waiting reader and a waiting writer with ConnectionLost."""
    for end in ("close", "abort"):
        async with joined(ground) as (near, _):
            fill(near, pattern(MUCH))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(raises_lost, near.recv, f"{end} wakes a reader")
                nursery.start_soon(raises_lost, near.wait_writable, f"{end} wakes a writer")
                await trio.testing.wait_all_tasks_blocked()
                getattr(near, end)()


async def check_after_close(ground: Ground) -> None:
    """A closed connection refuses everything with ConnectionLost, and may be closed again."""
    blob = Memfd(b"blob")
    try:
        async with joined(ground) as (near, far):
            near.close()
            near.close()
            near.abort()
            near.end_input()

            async def sync(act: Callable[[], object]) -> None:
                act()

            await raises_lost(near.recv, "recv after close")
            await raises_lost(near.wait_writable, "wait_writable after close")
            await raises_lost(lambda: sync(near.recv_nowait), "recv_nowait after close")
            await raises_lost(lambda: sync(lambda: near.send_nowait(b"x")), "send_nowait after close")
            await raises_lost(lambda: sync(lambda: near.sendfile_nowait(blob, 0, 4)), "sendfile_nowait after close")
            ensure(near.readable_now(), "a closed connection is not fit for anything: readable_now is true")
            ensure(near.unsent() == 0, "a closed connection has nothing unsent that it could tell of")
            ensure(await far.recv() == b"", "its peer sees an end")
    finally:
        blob.close()


async def check_peer_gone(ground: Ground) -> None:
    """Sending to a peer that has closed fails with ConnectionLost, soon."""
    async with joined(ground) as (near, far):
        near.close()
        try:
            while True:
                await far.send_all(pattern(100_000))
                await trio.sleep(0.001)
        except ConnectionLost as error:
            ensure(str(error), "ConnectionLost has a reason for people")


async def check_abort(ground: Ground) -> None:
    """After `abort` the peer sees an error, never a clean end."""
    async with joined(ground) as (near, far):
        await near.send_all(b"x")
        ensure(await far.recv() == b"x", "bytes before an abort arrive")

        async def read() -> None:
            try:
                data = await far.recv()
            except ConnectionLost as error:
                ensure(str(error), "ConnectionLost has a reason for people")
            else:
                ensure(not ground.resets, "an abort is an error to the peer's reader")
                ensure(data == b"", "without resets an abort is an end")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            near.abort()
            near.abort()


async def check_settled(ground: Ground) -> None:
    """`settled` tells the guard once."""
    async with joined(ground) as (_, far):
        told: list[int] = []
        far.when_settled = lambda: told.append(1)
        far.settled()
        far.settled()
        ensure(told == [1], "settled tells once")


MOVING: tuple[Check, ...] = (
    check_both_ways_at_once,
    check_short_writes,
    check_unsent_goes_down,
    check_sendfile,
    check_sendfile_is_short,
)
READING: tuple[Check, ...] = (
    check_recv,
    check_recv_nowait,
    check_readable_now,
    check_end_input,
    check_end_input_keeps_what_arrived,
    check_end_input_leaves_the_writer,
    check_cancellation,
)
ENDING: tuple[Check, ...] = (
    check_close_delivers,
    check_close_with_unread_input,
    check_close_wakes,
    check_after_close,
    check_peer_gone,
    check_abort,
    check_settled,
)
