"""Every harness by the name of its codec, which is also that of its corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import http, rtmp, wowza

__all__ = ["CORPUS", "HARNESSES"]

CORPUS = Path(__file__).parent.parent / "data" / "corpus"
HARNESSES: dict[str, Callable[[bytes], None]] = rtmp.HARNESSES | http.HARNESSES | wowza.HARNESSES
