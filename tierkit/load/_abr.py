"""Which variant of a stream a viewer watches, as hls.js decides it (src/utils/ewma-bandwidth-estimator.ts,
src/controller/abr-controller.ts, with their defaults for live streams).

The throughput is estimated by two averages that forget exponentially, one fast and one slow, over the time that
downloads took; the smaller of both counts, so that it goes down quickly and up slowly.  A variant is chosen whose
BANDWIDTH fits into a part of that, a smaller part where it is higher than the present one.

What hls.js does besides is left out: giving up a segment in the middle of its download, and capping by the size of the
window or by dropped frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

__all__ = ["Choice", "Estimate", "choose"]

Choice = Literal["abr", "first", "lowest", "highest"]

#: Seconds of download in which half of what was known is forgotten: abrEwmaFastLive, abrEwmaSlowLive.
FAST, SLOW = 3.0, 9.0
#: Bits a second that are supposed before anything is known: abrEwmaDefaultEstimate.
AT_FIRST = 500_000.0
#: Seconds that a download takes at least, as far as it counts: below, it is latency that was measured.
_LEAST = 0.05
#: Parts of the throughput that are spent on the present variant or a lower one, and on a higher one:
#: abrBandWidthFactor, abrBandWidthUpFactor.
STAY, UP = 0.95, 0.7


class Estimate:
    """Of one viewer's throughput."""

    __slots__ = ("_fast", "_seconds", "_slow")

    def __init__(self) -> None:
        self._fast = self._slow = self._seconds = 0.0

    def downloaded(self, size: int, seconds: float) -> None:
        """So many bytes took so long, from request to last byte."""
        seconds = max(seconds, _LEAST)
        rate = 8 * size / seconds
        self._seconds += seconds
        keep_fast, keep_slow = 0.5 ** (seconds / FAST), 0.5 ** (seconds / SLOW)
        self._fast = keep_fast * self._fast + (1 - keep_fast) * rate
        self._slow = keep_slow * self._slow + (1 - keep_slow) * rate

    @property
    def bits(self) -> float:
        """Bits a second."""
        if not self._seconds:
            return AT_FIRST
        # Both began with 0, which is no measurement: take its weight out.
        fast = self._fast / -math.expm1(-math.log(2) * self._seconds / FAST)
        slow = self._slow / -math.expm1(-math.log(2) * self._seconds / SLOW)
        return min(fast, slow)


def choose(bandwidths: Sequence[int], choice: Choice, *, bits: float = AT_FIRST, present: int | None = None) -> int:
    """Index of the variant to watch.

    Args:
        bandwidths: of the variants in the playlist's order, bits a second; not empty.
        choice: "abr", or what is watched whatever comes.
        bits: what can be downloaded in a second.
        present: index of the variant that is watched, None at first.
    """
    if choice == "first":
        return 0
    by_rate = sorted(range(len(bandwidths)), key=lambda index: bandwidths[index])
    if choice == "lowest":
        return by_rate[0]
    if choice == "highest":
        return by_rate[-1]
    now = bandwidths[present] if present is not None else None
    for index in reversed(by_rate):
        rate = bandwidths[index]
        if rate <= bits * (STAY if now is None or rate <= now else UP):
            # Of variants that cost the same, stay at the one that is watched.
            return present if present is not None and rate == now else index
    return by_rate[0]
