"""A child of `_processes`: does its share of a run, and tells lines of JSON."""

from __future__ import annotations

import base64
import gc
import json
import os
import pickle
import sys
from typing import Any

import trio

from tierkit.errors import TierkitError

from ._hls import attend_hls
from ._job import Job
from ._live import Live
from ._rtmp import attend_rtmp

__all__ = ["main", "spare_collections"]

#: Objects between two collections.  Viewers are many and live long, and leave no cycles behind; at 700, the default,
#: looking for some took a fifth of the time.
_COLLECT = 100_000


def spare_collections() -> None:
    """Have this process collect rarely: for a process that does nothing but put load on something."""
    gc.freeze()
    gc.set_threshold(_COLLECT)


def main() -> None:
    """Read the job, say that we are ready, read when it begins, and do it."""
    # Whoever started us keeps the pipe open as long as it lives.
    job: Job = pickle.loads(base64.b64decode(sys.stdin.buffer.readline()))
    _say({"ready": True})
    line = sys.stdin.buffer.readline()
    if not line:
        return
    spare_collections()
    trio.run(_work, job, float(line))


async def _work(job: Job, start: float) -> None:
    attend = attend_hls if job.kind == "hls" else attend_rtmp
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_orphaned)
        try:
            tally, lasted = await attend(job, watching=_show, start=start)
        except TierkitError as error:
            _say({"failed": str(error)})
        else:
            _say({"tally": tally.as_dict(), "lasted": lasted})
        nursery.cancel_scope.cancel()


def _show(live: Live) -> None:
    _say({"live": live.as_dict()})


def _say(told: dict[str, Any]) -> None:
    # A line a second: the pipe holds more than a minute of them before this blocks.
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


async def _until_orphaned() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as pipe:
        async for _ in pipe:
            pass
    os._exit(1)


if __name__ == "__main__":
    main()
