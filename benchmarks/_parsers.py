"""Megabytes that a parser reads in a CPU-second; see `codecs.py`."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks._compare import machine, write_between
from benchmarks._figures import Goal, number
from tierkit.codecs.rtmp_chunk import ChunkReader, encode_message
from tierkit.codecs.rtmp_handshake import SIZE, ClientHandshake
from tierkit.codecs.rtmp_message import command_payload
from tierkit.codecs.rtmp_session import ConnectRequested, PublishRequested, ServerSession

SCRIPT = "codecs.py"
#: What a socket gives at once, bytes.
PIECE = 64 << 10
#: CPU-seconds that a run takes at least: the clock counts in hundredths on some kernels.
LEAST = 0.5


@attrs.frozen
class Row:
    """One figure, and the goal that the relay has for it."""

    name: str
    chunk_size: int
    read: Callable[[int, Sequence[bytes]], int]
    goal: Goal | None = None


def minute(chunk_size: int) -> list[bytes]:
    """A minute of a publisher, in pieces."""
    out = []
    for n in range(60 * 25):
        kind = b"\x17\x01\x00\x00\x00" if n % 50 == 0 else b"\x27\x01\x00\x00\x00"
        size = 40_000 if n % 50 == 0 else 4_200
        out.append(encode_message(6, 9, 1, n * 40, kind + bytes(size), chunk_size))
        halves = (0, 21) if n % 5 else (0,)
        out += [encode_message(4, 8, 1, n * 40 + half, b"\xaf\x01" + bytes(270), chunk_size) for half in halves]
    data = b"".join(out)
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]


def chunks(chunk_size: int, pieces: Sequence[bytes]) -> int:
    """The chunk reader alone; how many messages it found."""
    reader = ChunkReader()
    reader.chunk_size = chunk_size
    return sum(len(reader.receive(piece)) for piece in pieces)


def session(chunk_size: int, pieces: Sequence[bytes]) -> int:
    """A server's session with a publisher: chunks, acknowledgements, events."""
    server = ServerSession(b"s" * 32)
    said = [ClientHandshake(b"c" * 32).hello() + bytes(SIZE)]
    said.append(encode_message(2, 1, 0, 0, chunk_size.to_bytes(4, "big"), 128))
    said.append(encode_message(3, 20, 0, 0, command_payload("connect", 1.0, {"app": "live"}), chunk_size))
    said.append(encode_message(3, 20, 0, 0, command_payload("createStream", 2.0, None), chunk_size))
    said.append(encode_message(3, 20, 1, 0, command_payload("publish", 3.0, None, "s", "live"), chunk_size))
    found = 0
    for piece in (*said, *pieces):
        for event in server.receive(piece, 0.0):
            found += 1
            if isinstance(event, ConnectRequested):
                server.accept_connect()
            elif isinstance(event, PublishRequested):
                server.accept_publish(event.stream_id)
        server.data_to_send()
    return found - 2


# 450 and 96 Mbit/s: ten times what pyrtmp parses of the same media on one core, at either size.
ROWS = (
    Row("chunks of 128 bytes", 128, chunks, Goal(12)),
    Row("chunks of 4,096 bytes", 4096, chunks, Goal(56)),
    Row("chunks of 60,000 bytes", 60_000, chunks),
    Row("a publisher's session, chunks of 128 bytes", 128, session),
    Row("a publisher's session, chunks of 4,096 bytes", 4096, session),
)


def measure(row: Row, least: float = LEAST) -> float:
    """Megabytes in a CPU-second."""
    pieces = minute(row.chunk_size)
    expected = 60 * 25 + 60 * 45
    done, began = 0, time.process_time()
    while (spent := time.process_time() - began) < least:
        if row.read(row.chunk_size, pieces) != expected:
            raise SystemExit(f"{row.name}: messages were lost")
        done += sum(map(len, pieces))
    return done / spent / 1e6


def table(found: dict[str, float]) -> str:
    """As Markdown."""
    lines = ["| RTMP, read on one core | MB per CPU-second | goal | |", "|---|---|---|---|"]
    for row in ROWS:
        if (value := found.get(row.name)) is not None:
            goal, judged = (str(row.goal), row.goal.judge({"tierkit": value})) if row.goal else ("", "")
            lines.append(f"| {row.name} | {number(value)} | {goal} | {judged} |")
    return "\n".join(lines)


def main(description: str | None, given: Sequence[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="repetitions, of which the median counts")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between its marks in this page")
    options = parser.parse_args(given)
    found = {row.name: statistics.median(measure(row) for _ in range(options.runs)) for row in ROWS}
    about = machine()
    told = [f"{name}: {about[name]}" for name in ("processor", "kernel", "python", "load average")]
    text = f"\n{'; '.join(told)}; medians of {options.runs} runs.\n\n{table(found)}\n"
    sys.stdout.write(text)
    if options.write:
        options.write.write_text(write_between(options.write.read_text(), text, SCRIPT))
