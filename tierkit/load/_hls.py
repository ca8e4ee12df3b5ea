"""HLS: many viewers of one stream, in this process or in several."""

from __future__ import annotations

import time

import trio

from tierkit import Address, Trust
from tierkit.errors import AddressError, TierkitError

from ._abr import Choice
from ._cmcd import Cmcd
from ._hls_viewer import HlsViewer
from ._http import HttpConnection
from ._job import Job
from ._live import Watching
from ._playlist import join
from ._processes import share_out
from ._report import Report, Tally
from ._run import Crowd, Plan, attend, raise_descriptor_limit
from ._wire import FAILURES, PATIENCE, Target, reachable, told

__all__ = ["attend_hls", "run_hls"]


async def run_hls(
    url: str | Address,
    *,
    viewers: int,
    seconds: float,
    ramp: float = 0,
    read_every: int = 20,
    trust: Trust | None = None,
    variant: Choice = "abr",
    cmcd: Cmcd = "none",
    processes: int = 1,
    watching: Watching | None = None,
) -> Report:
    """Watch an HLS stream with many viewers.

    Args:
        url: of a multivariant playlist, or of a media playlist.
        viewers: how many; thousands are fine.
        seconds: how long the whole audience watches.
        ramp: seconds over which they come, evenly; before `seconds` begin.
        read_every: every nth reads what it gets and checks its continuity, the others drop segments in the kernel
            (TLS and chunked bodies are always read); 0 for none.
        trust: how the server's certificate is verified.
        variant: which of several is watched: "abr" has each viewer choose by its throughput as hls.js does, else the
            "first" of the playlist, or the "lowest" or "highest" by BANDWIDTH.
        cmcd: how viewers tell of themselves (CTA-5004): in the "query", in the "header", or not ("none").
        processes: how many share the viewers: more than one are children of this one, and each may have as many
            descriptors as this one.
        watching: is called every second with a `Live`; it must not block.

    Raises:
        TierkitError: the stream cannot be watched at all, found by one viewer before all others.
    """
    plan = Plan(viewers=viewers, seconds=seconds, ramp=ramp, read_every=read_every, of=min(processes, viewers))
    address = Address.parse(url)
    if address.scheme not in ("http", "https") or address.unix or address.wildcard:
        raise AddressError(f"{address} cannot be watched over HLS: write http://HOST:PORT/PATH.m3u8, or https")
    raise_descriptor_limit(len(plan.numbers))
    job = Job("hls", address.reveal(), plan, trust, variant=variant, cmcd=cmcd)
    await _probe(job, address)
    if plan.of > 1:
        return await share_out(job, watching)
    tally, lasted = await attend_hls(job, watching=watching)
    return tally.report(viewers=viewers, seconds=lasted)


async def attend_hls(job: Job, *, watching: Watching | None = None, start: float | None = None) -> tuple[Tally, float]:
    """This process's share of the viewers: what they counted, and the seconds that all of them were there."""
    house = _House(job)

    def make(number: int) -> HlsViewer:
        return HlsViewer(house, number, reads=job.plan.reads(number))

    lasted = await attend(Crowd(job.plan, make, house.tally, watching=watching, start=start))
    return house.tally, lasted


async def _probe(job: Job, address: Address) -> None:
    viewer = HlsViewer(_House(job), 0, reads=True)
    try:
        with trio.fail_after(PATIENCE):
            await viewer.load()
    except FAILURES as error:
        raise TierkitError(f"{address} cannot be watched: {told(error)}") from None
    finally:
        viewer.leave(trio.current_time())


class _House:
    """What all viewers of a process share: the tally, and where each server is, looked up once."""

    def __init__(self, job: Job) -> None:
        self.tally = Tally()
        self.wall = time.time() - trio.current_time()
        self.url = join(job.url, "")
        self.choice = job.variant
        self.cmcd = job.cmcd
        self._trust = job.trust
        self._found: dict[str, Target] = {}

    async def connection(self, address: Address) -> HttpConnection:
        where = f"{address.scheme}://{address.authority}"
        if where not in self._found:
            self._found[where] = await reachable(address, self._trust)
        return HttpConnection(self._found[where], address.authority, self.tally)
