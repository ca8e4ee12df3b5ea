"""What a load process is told to do."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

from tierkit import Trust

from ._abr import Choice
from ._cmcd import Cmcd
from ._run import Plan

__all__ = ["Job"]


@frozen
class Job:
    """A run, or a process's share of it.  The URL may hold credentials, so no repr shows it."""

    kind: Literal["hls", "rtmp"]
    url: str = field(repr=False)
    plan: Plan
    trust: Trust | None = None
    variant: Choice = field(default="abr", kw_only=True)
    cmcd: Cmcd = field(default="none", kw_only=True)
