"""Of all that a run has found, the small inputs which together take every step that any of them takes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["keep", "steps"]

_CODECS = "/tierkit/codecs/"
#: Larger inputs are left out: they would travel with every clone.
LARGEST = 2048


def steps(harness: Callable[[bytes], None], data: bytes) -> set[tuple[str, int, int]]:
    """Every step from line to line that the codecs take for an input: file, line before, line."""
    found: set[tuple[str, int, int]] = set()
    before: dict[int, int] = {}

    def in_codecs(frame: FrameType, event: str, _argument: Any) -> Any:
        if _CODECS not in frame.f_code.co_filename:
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, before.get(id(frame), 0), frame.f_lineno))
            before[id(frame)] = frame.f_lineno
        elif event == "return":
            before.pop(id(frame), None)
        return in_codecs

    sys.settrace(in_codecs)
    try:
        harness(data)
    finally:
        sys.settrace(None)
    return found


def keep(harness: Callable[[bytes], None], found: Iterable[Path], corpus: Path) -> int:
    """Add to a corpus the inputs that take a step which none in it takes, the smallest first; returns how many.

    What the corpus has stays: some of it was a finding once.
    """
    seen: set[tuple[str, int, int]] = set()
    for path in corpus.iterdir():
        seen |= steps(harness, path.read_bytes())
    added = 0
    for data in sorted({path.read_bytes() for path in found}, key=lambda data: (len(data), data)):
        if len(data) <= LARGEST and (new := steps(harness, data)) - seen:
            seen |= new
            (corpus / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
            added += 1
    return added
