"""What a tier tells of one Wowza."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ._administration import AdministrationStatistics
from ._known import KnownStream

__all__ = ["MAX_TOLD", "WowzaStatistics"]

#: Streams that are told of.
MAX_TOLD = 200


@frozen(kw_only=True)
class WowzaStatistics:
    """What one tier has found out about one Wowza, and what it costs it."""

    #: By application, what the names of its children are made of.
    modes: Mapping[str, str] = field(metadata={"merge": "last"})
    #: Streams that have a session at the server now.
    sessions: int = field(metadata={"merge": "sum"})
    #: Sessions begun so far, and those of them that took the place of one that was gone.
    begun: int = field(metadata={"merge": "sum"})
    renewed: int = field(metadata={"merge": "sum"})
    #: Master playlists that were answered from the session's, and not asked for.
    masters_spared: int = field(metadata={"merge": "sum"})
    #: What its control ports tell; None where none is asked.
    control: AdministrationStatistics | None = field(default=None, metadata={"merge": "last"})
    #: The streams that it says it has, at most `MAX_TOLD` of them.
    streams: tuple[KnownStream, ...] = field(default=(), metadata={"merge": "last"})
