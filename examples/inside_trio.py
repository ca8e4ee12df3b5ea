"""One HLS edge inside somebody else's trio program.

    python examples/inside_trio.py http://origin.example:8080

The program owns the loop, the signals and the output; the edge is one `async with` in it.
"""

import sys

import trio

from tierkit import Edge, Origin, open_tier
from tierkit.events import Event, UpstreamLost
from tierkit.plugins.hls import HLS


def notice(event: Event) -> None:
    """Called for each event, synchronously: put it wherever your program puts such things."""
    if isinstance(event, UpstreamLost):
        print(event.text, file=sys.stderr)


async def main(upstream: str, seconds: float = float("inf")) -> None:
    """Serve for a while, and look at the numbers every five seconds."""
    edge = Edge("edge", upstream=Origin("origin", upstream), listen="127.0.0.1:0", serves=HLS(cache_bytes=64 << 20))
    async with open_tier(edge, observers=[notice], drain=2) as tier:
        print("serving at", tier.url(), flush=True)
        with trio.move_on_after(seconds):
            while True:
                await trio.sleep(5)
                figures = tier.statistics()["figures"]
                print(f"{figures['requests']} requests, {figures['hits']} of them hits", flush=True)


if __name__ == "__main__":
    try:
        trio.run(main, *sys.argv[1:2] or ["http://127.0.0.1:8080"])
    except* KeyboardInterrupt:
        pass
