"""A child of `_processes`: does its share of a run, and tells lines of JSON."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import trio

from tierkit.errors import TierkitError

from ._hls import attend_hls
from ._job import Job
from ._rtmp import attend_rtmp
from ._run import spare_collections

__all__ = ["main"]


def main() -> None:
    """Read the job, say that we are ready, read when it begins, and do it."""
    # Whoever started us keeps the pipe open as long as it lives, and reads nothing from ours but what is told here.
    tell = _teller()
    job: Job = pickle.loads(base64.b64decode(sys.stdin.buffer.readline()))
    tell({"ready": True})
    line = sys.stdin.buffer.readline()
    if not line:
        return
    spare_collections()
    trio.run(_work, job, float(line), tell)


async def _work(job: Job, start: float, tell: Callable[[dict[str, Any]], None]) -> None:
    attend = attend_hls if job.kind == "hls" else attend_rtmp
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_orphaned)
        try:
            tally, lasted = await attend(job, watching=lambda live: tell({"live": live.as_dict()}), start=start)
        except TierkitError as error:
            tell({"failed": str(error)})
        else:
            tell({"tally": tally.as_dict(), "lasted": lasted})
        nursery.cancel_scope.cancel()


def _teller() -> Callable[[dict[str, Any]], None]:
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def tell(told: dict[str, Any]) -> None:
        # A line a second: the pipe holds more than a minute of them before this blocks.
        pipe.write(json.dumps(told).encode() + b"\n")
        pipe.flush()

    return tell


async def _until_orphaned() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as pipe:
        async for _ in pipe:
            pass
    os._exit(1)


if __name__ == "__main__":
    main()
