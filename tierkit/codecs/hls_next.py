"""What the segment after the last will be called: the numbers in the names that are listed, counted on.

``media_w12_2139.ts``, ``media_w12_2140.ts`` -> ``media_w12_2141.ts``.  A request for that one is not a mistake but a
player that is early by a moment, so it may wait instead of being told 404.  Only names that are confirmed by those
before them are counted on:

- A run of digits that goes up by one from the last but one to the last confirms itself; one that goes up by another
  step (time in the name) needs three names with the same step.
- Everything else must be the same, and so must the width where zeros pad it (``0099`` -> ``0100``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["next_name"]

#: Names that are looked at.
LOOKED_AT = 3
#: Longest run of digits that is a number: microseconds since 1970 have 16.
LONGEST_NUMBER = 18

_DIGITS = re.compile(r"([0-9]+)")


def next_name(names: Sequence[str]) -> str | None:
    """The name that follows these, which are oldest first; None where nothing confirms one."""
    split = [_DIGITS.split(name) for name in names[-LOOKED_AT:]]
    if len(split) < 2 or not _alike(split[-2], split[-1]):
        return None
    found = list(split[-1])
    counted = False
    for place in range(1, len(found), 2):
        if split[-2][place] == found[place]:
            continue
        following = _following([each[place] for each in split if _alike(each, found)])
        if following is None:
            return None
        found[place] = following
        counted = True
    return "".join(found) if counted else None


def _alike(a: list[str], b: list[str]) -> bool:
    return len(a) == len(b) and a[::2] == b[::2]


def _following(numbers: list[str]) -> str | None:
    if any(len(each) > LONGEST_NUMBER for each in numbers):
        return None
    steps = [int(b) - int(a) for a, b in pairwise(numbers)]
    if steps[-1] != 1 and (len(steps) < 2 or steps[-1] != steps[-2] or steps[-1] < 1):
        return None
    last = numbers[-1]
    if not _padded_alike(numbers[-2], last):
        return None
    # Zeros pad to a width; without them 99 is followed by 100.
    return str(int(last) + steps[-1]).zfill(len(last))


def _padded_alike(a: str, b: str) -> bool:
    """Whether two numbers are written in one way: with the same width, or grown by a digit without padding."""
    return len(a) == len(b) or not ((a.startswith("0") and len(a) > 1) or b.startswith("0"))
