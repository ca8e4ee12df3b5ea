"""The processes of `chopped.py`: an origin with a way of its own to each edge, and an edge that says what it infers.

    python -m benchmarks._chopped origin --slow-from 8 --slow-to 14
    python -m benchmarks._chopped edge NAME ORIGIN FILE [--rate BYTES --every N] [--stuck SECONDS]

Each prints its port and serves until it is ended by SIGTERM.  What an edge has inferred is a line of JSON for each
viewer: the port of its connection, and when its picture came to stand still (Unix seconds).
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tierkit import Edge, Graph, Listener, Origin, RealNetwork, open_graph
from tierkit.codecs.hls import MediaPlaylist, Segment
from tierkit.codecs.viewings import Line, Viewing
from tierkit.http import BodySink, Request, Response, serve_http
from tierkit.plugin import Connection
from tierkit.plugins.hls import HLS

__all__ = ["SIZE", "TARGET"]

#: Seconds of a segment, its bytes (600 kbit/s), and segments of a playlist.
TARGET, SIZE, WINDOW = 1, 75_000, 8
TICK = 0.05
#: linux/socket.h: bytes a second at which TCP paces itself.
SO_MAX_PACING_RATE = 47


async def origin(slow: float, slow_from: float, slow_to: float) -> None:
    """A live stream, of which edge-1 gets segments at `slow` bytes a second for a while."""
    network, begun = RealNetwork(), trio.current_time()
    watched: float | None = None

    def playlist() -> bytes:
        first = 100 + int((trio.current_time() - begun) / TARGET)
        segments = [Segment(uri=f"media_{first + i}.ts", duration=float(TARGET)) for i in range(WINDOW)]
        return MediaPlaylist(segments=segments, media_sequence=first, target_duration=TARGET).render()

    async def slowly(sink: BodySink) -> None:
        left = SIZE
        while left:
            late = watched is not None and slow_from <= trio.current_time() - watched < slow_to
            count = min(left, int(slow * TICK) if late else left)
            await sink.write(bytes(count))
            left -= count
            await trio.sleep(TICK if late else 0)

    async def answer(request: Request) -> Response:
        nonlocal watched
        watched = watched or trio.current_time()
        if request.path.endswith(".m3u8"):
            return Response(200, [(b"Content-Type", b"application/vnd.apple.mpegurl")], playlist())
        fields = [(b"Content-Type", b"video/MP2T")]
        if slow and b"tierkit-edge-1" in (request.get(b"via") or b""):
            return Response(200, fields, slowly, SIZE)
        return Response(200, fields, bytes(SIZE))

    async def guard(connection: Connection) -> None:
        try:
            await serve_http(connection, answer)
        except Exception as error:  # an edge that has ended
            print(error, flush=True)
        finally:
            connection.close()

    bound = await network.listen(Listener.parse("http://127.0.0.1:0"))
    print(bound.address.port, flush=True)
    async with trio.open_nursery() as nursery:
        while True:
            nursery.start_soon(guard, await bound.accept())


async def edge(name: str, upstream: str, file: Path, rate: int, every: int, stuck: float) -> None:
    """One edge, throttled at its doors by a pace, or by a loop that is elsewhere for `stuck` seconds now and then."""
    plan = Edge(
        name, upstream=Origin("origin", upstream), listen="http://127.0.0.1:0", serves=HLS(ignore_query=("CMCD",))
    )
    found: dict[int, list[float]] = {}
    async with open_graph(Graph.of(plan)) as handle:
        watch: Any = handle.running(name)["hls"].flow.watch  # type: ignore[attr-defined]
        ports: dict[Line, int] = {}
        came = watch.came

        def noted(connection: Any) -> Line:
            line: Line = came(connection)
            ports[line] = connection.peer.port
            if rate and len(ports) % every == 0:
                sock = socket.socket(fileno=connection.pollable.fileno())
                sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
                sock.detach()
            return line

        def write() -> None:
            file.write_text(json.dumps(found))

        def told(view: Viewing) -> None:
            found.setdefault(ports[view.line], []).append(time.time())
            write()

        watch.came, watch.rebuffering.told = noted, told
        write()
        print(handle.addresses(name)[0].port, flush=True)
        while not ports:  # noqa: ASYNC110 (nobody tells of the first viewer)
            await trio.sleep(0.1)
        await trio.sleep(6)
        while True:
            if stuck:
                time.sleep(stuck)  # noqa: ASYNC251 (as a plugin's long step does)
            await trio.sleep(3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    roles = parser.add_subparsers(dest="role", required=True)
    one = roles.add_parser("origin")
    one.add_argument("--slow", type=float, default=0.0)
    one.add_argument("--slow-from", type=float, default=0.0)
    one.add_argument("--slow-to", type=float, default=0.0)
    two = roles.add_parser("edge")
    two.add_argument("name")
    two.add_argument("upstream")
    two.add_argument("file", type=Path)
    two.add_argument("--rate", type=int, default=0)
    two.add_argument("--every", type=int, default=1, help="how many connections share one that is paced")
    two.add_argument("--stuck", type=float, default=0.0)
    chosen = parser.parse_args()
    if chosen.role == "origin":
        trio.run(partial(origin, chosen.slow, chosen.slow_from, chosen.slow_to))
    else:
        trio.run(partial(edge, chosen.name, chosen.upstream, chosen.file, chosen.rate, chosen.every, chosen.stuck))


if __name__ == "__main__":
    main()
