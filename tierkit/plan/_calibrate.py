"""A calibration: tiers of each kind, audiences that grow, and what each CPU-second and byte of them was for.

Two streams of different bitrates are published.  Each tier gets audiences of three sizes of the first, and one of the
middle size of the second: so what a viewer costs is told from what a bit costs, and both from what is there without
anybody.  Small audiences of all kinds are measured at once, since each tier tells its own CPU time, and the large ones
one by one, since the load wants a core of its own then.  Who shares the machine makes caches colder and figures higher,
so a calibration wants one that does nothing else.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import evolve, frozen

from tierkit import TierkitError, __version__

from ._awake import awake
from ._costs import Costs
from ._fitting import origin_costs, request_costs, stream_costs
from ._profile import Profile
from ._rig import Crowd, Rig, open_rig, self_signed
from ._samples import Rates, Sample, rates

__all__ = ["ORIGIN", "TO_SPARE", "calibrate", "publishing"]

#: Viewers of each audience: a relay's pace changes between 100 and 400, and requests share wake-ups beyond that.
SIZES = (20, 200, 800)
#: Bit/s of the two streams' pictures; a tone of 96 kbit/s comes on top.
LOW, HIGH = 400_000, 2_400_000
GOP = 2.0
#: Seconds over which an audience comes, and behind that until it is in step: a player begins with three segments.
RAMP, SETTLE = 2.0, 3.0
#: Viewers of each kind up to which all kinds are measured at once.
TOGETHER = 300
#: The share of the cores that must be left over while we measure; less is told.
TO_SPARE = 0.25
#: Of what each of a small audience gets: less than this to each of a large one is told.
SERVED = 0.95
#: Seconds of a measurement without viewers.
IDLE = 3.5
#: Seconds until the origin has listed three segments of a stream.
FIRST_SEGMENTS = 7.0

ORIGIN = 'origin.origin = { listen = ["rtmp://127.0.0.1:0", "http://127.0.0.1:0"], serves = "ingest" }\n'
_TIERS = {
    "edge/http": 'edge.http = { listen = "http://127.0.0.1:0", upstream = "origin", serves = "hls" }\n',
    "edge/https": (
        'edge.https = { listen = [{ address = "https://127.0.0.1:0", cert = "cert.pem", key = "key.pem" }], '
        'upstream = "origin", serves = "hls" }\n'
    ),
    "relay/rtmp": 'relay.rtmp = { listen = "rtmp://127.0.0.1:0", upstream = "origin", serves = "rtmp" }\n',
}


async def calibrate(
    *,
    seconds: float = 10.0,
    kinds: tuple[str, ...] = tuple(_TIERS),
    sizes: tuple[int, ...] = SIZES,
    tell: Callable[[str], None] = lambda line: None,
) -> Profile:
    """Measure what tiers cost on this machine; takes about two minutes with 10 `seconds` for each measurement.

    Args:
        kinds: which of "edge/http", "edge/https" and "relay/rtmp"; the origin is measured along with them.
        sizes: viewers of each audience, rising, two at the least.
        tell: takes a line about each step.

    Raises TierkitError where something does not run, PyAV among it, which makes the signal.
    """
    try:
        import tierkit.testing.signal  # noqa: F401
    except ImportError as error:
        raise TierkitError(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="tierkit-plan-") as name, awake() as spare:
        folder = Path(name)
        trusted = await self_signed(folder) if "edge/https" in kinds else None
        if "edge/https" in kinds and trusted is None:
            tell("edge/https: not measured: the openssl program, which makes a certificate for it, is not here")
            kinds = tuple(kind for kind in kinds if kind != "edge/https")
        graph = ORIGIN + "".join(_TIERS[kind] for kind in kinds)
        async with open_rig(graph, folder, trusted=trusted[0] if trusted else None) as rig:
            costs = await _Calibration(rig, kinds, sizes, seconds, tell).costs()
        share = spare.share()
    if share < TO_SPARE:
        tell(f"only {share:.0%} of this machine was to spare meanwhile: it does too much else for costs to be sure")
    about = _about(seconds, sizes) | {"to spare": f"{share:.0%}"}
    costs = {kind: evolve(each, source=f"calibration of {about['machine']}") for kind, each in costs.items()}
    return Profile(costs=costs, about=about, made_at=time.time())


@frozen
class _Calibration:
    rig: Rig
    kinds: tuple[str, ...]
    sizes: tuple[int, ...]
    seconds: float
    tell: Callable[[str], None]

    async def costs(self) -> dict[str, Costs]:
        """Of each kind, and of the origin."""
        self.tell(f"measuring {', '.join(self.kinds)} and an origin without viewers: each is a process")
        idle = _rates(await self.rig.watch(("origin", *map(_tier, self.kinds)), IDLE))
        async with publishing(self.rig, {"low": LOW, "high": HIGH}):
            published = _rates(await self.rig.watch(("origin",), IDLE))["origin"]
            grown = [await self._audience("low", viewers) for viewers in self.sizes]
            self._served(grown)
            dense = await self._audience("high", self.sizes[1])
        found = {}
        for kind in self.kinds:
            tier = _tier(kind)
            growing = [each[tier] for each in grown]
            if kind.startswith("relay"):
                found[kind] = stream_costs(kind, idle[tier], growing, dense[tier], GOP)
            else:
                found[kind] = request_costs(kind, idle[tier], growing, dense[tier])
        kept = published.bits_in / 8 * (FIRST_SEGMENTS + IDLE / 2)
        return found | {"origin": origin_costs(idle["origin"], published, 2, kept)}

    def _served(self, grown: list[dict[str, Rates]]) -> None:
        """Tell where a large audience got less each than a small one: what was measured then is another load."""
        for kind in self.kinds:
            least, *larger = (each[_tier(kind)].bits_out / each[_tier(kind)].viewers for each in grown)
            if larger and min(larger) < SERVED * least:
                self.tell(
                    f"{kind}: viewers got {min(larger) / least:.0%} of the stream: the machine had too little left"
                )

    async def _audience(self, stream: str, viewers: int) -> dict[str, Rates]:
        """What the tier of each kind does with so many viewers."""
        together = [self.kinds] if viewers <= TOGETHER else [(kind,) for kind in self.kinds]
        found: dict[str, Rates] = {}
        for kinds in together:
            self.tell(f"measuring {', '.join(kinds)} with {viewers} viewers of live/{stream} each")
            crowds = tuple(
                Crowd(tier=_tier(kind), scheme=_tier(kind), stream=f"live/{stream}", viewers=viewers) for kind in kinds
            )
            found |= _rates(await self.rig.load(crowds, ramp=RAMP, settle=SETTLE, seconds=self.seconds))
        return found


@asynccontextmanager
async def publishing(rig: Rig, streams: Mapping[str, float]) -> AsyncIterator[None]:
    """Test signals for the origin, by name and bit/s of the picture; begins when there are segments of all."""
    from tierkit.testing.signal import TestSignal, publish_signal

    rtmp = next(each for each in await rig.addresses("origin") if each.scheme == "rtmp")
    async with trio.open_nursery() as nursery:
        for name, bitrate in streams.items():
            signal = TestSignal(video_bitrate=int(bitrate), gop=GOP)
            publish = partial(publish_signal, network=rig.network, signal=signal)
            nursery.start_soon(publish, f"{rtmp}/live/{name}")
        await trio.sleep(FIRST_SEGMENTS)
        yield
        nursery.cancel_scope.cancel()


def _rates(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Rates]:
    try:
        return {tier: rates(each) for tier, each in samples.items()}
    except ValueError as error:
        raise TierkitError(f"the calibration has seen too little ({error}): give it more --seconds") from None


def _tier(kind: str) -> str:
    return kind.partition("/")[2]


def _about(seconds: float, sizes: tuple[int, ...]) -> dict[str, str]:
    return {
        "machine": platform.node(),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "tierkit": __version__,
        "measured": f"{seconds:g} s each with {', '.join(map(str, sizes))} viewers",
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
