"""Where a server may send us besides its own host: to the others that the graph names beside it."""

from __future__ import annotations

from collections.abc import Iterable

from tierkit.plugin import Candidate, NotServed, UpstreamError
from tierkit.rtmp import RTMPPlace

__all__ = ["SCHEMES", "places"]

SCHEMES = ("rtmp", "rtmps")


async def places(candidates: Iterable[Candidate], path: str) -> list[RTMPPlace]:
    """The stream at `path` as each of `candidates` has it; those that cannot have it are left out."""
    found = []
    for each in candidates:
        try:
            found.append(RTMPPlace(await each.source.target(path, SCHEMES), each.trust))
        except (NotServed, UpstreamError):
            continue
    return found
