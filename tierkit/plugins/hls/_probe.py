"""Looking after upstreams without waiting for viewers to find out: one request to each, now and then.

What a probe finds is for `Health` to judge; here it is only asked for.  Probes are spread by chance, so that tiers and
processes that were started together do not ask together.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import trio

import tierkit
from tierkit.http import HttpClient
from tierkit.plugin import Candidate, Context, TierkitError

from ._health import Health

__all__ = ["PROBE_SECONDS", "Prober"]

#: Seconds that a probe may take, body and all: Varnish's `.timeout`.
PROBE_SECONDS = 2.0
#: Bytes of a probe's answer that are read: a playlist or a line.
PROBE_BYTES = 65536
#: How far an interval may differ from the one that was asked for, either way.
SPREAD = 0.1
SCHEMES = ("http", "https")


class Prober:
    """Asks each upstream of a tier for one path.

    Args:
        path: as viewers would ask for it, so that a source's way of spelling holds.
        every: seconds between two probes of one upstream.
        jitter: gives numbers in [0, 1).
    """

    def __init__(
        self,
        ctx: Context,
        client: HttpClient,
        health: Health,
        path: str,
        every: float,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.ctx = ctx
        #: Probes so far, and those that found something wrong.
        self.probes = self.bad = 0
        self._client = client
        self._health = health
        self._path = path
        self._every = every
        self._jitter = jitter

    async def run(self) -> None:
        """Probe until cancelled."""
        async with trio.open_nursery() as nursery:
            for candidate in self.ctx.upstream.candidates(SCHEMES):
                nursery.start_soon(self._look_after, candidate, name=f"{self.ctx.tier} probes {candidate.name}")

    async def _look_after(self, candidate: Candidate) -> None:
        await trio.sleep(self._every * self._jitter())
        while True:
            problem = await self._probe(candidate)
            self.probes += 1
            self.bad += bool(problem)
            self._health.probed(candidate, problem)
            await trio.sleep(self._every * (1 - SPREAD + 2 * SPREAD * self._jitter()))

    async def _probe(self, candidate: Candidate) -> str:
        """What is wrong with it, "" where nothing is."""
        with trio.move_on_after(PROBE_SECONDS):
            try:
                return await self._ask(candidate)
            except TierkitError as error:
                return f"probe of {self._path}: {getattr(error, 'reason', error)}"
            except Exception as error:  # a source is a stranger's, and one that fails must not end the tier
                return f"probe of {self._path}: {type(error).__name__}: {error}"
        return f"probe of {self._path}: no answer within {PROBE_SECONDS:g} s"

    async def _ask(self, candidate: Candidate) -> str:
        target = await candidate.source.target(self._path, SCHEMES)
        headers = [(b"User-Agent", b"tierkit/%b (probe)" % tierkit.__version__.encode()), (b"Accept", b"*/*")]
        async with self._client.request("GET", target, headers, trust=candidate.trust) as response:
            if not 200 <= response.status < 400:
                return f"probe of {self._path}: answered {response.status}"
            await response.read(PROBE_BYTES)
        return ""
