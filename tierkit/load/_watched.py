"""What became of each viewer: the truth that a tier's guesses are held against.

A line of JSON for each, in the order in which they came.  Times are Unix seconds, so that they can be laid beside what
a server has logged; addresses are the viewer's own, so that a server knows them as those of its peer where no NAT and
no proxy stands between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tierkit.errors import TierkitError

__all__ = ["Watched", "write_viewers"]


@frozen(kw_only=True)
class Watched:
    """One viewer of a run."""

    #: From 0, in the order in which they came.
    viewer: int
    #: Whether it read what it got.
    reads: bool
    #: CMCD session id, also where it was not sent; empty for RTMP.
    session: str = ""
    #: Local address and port of its connections, the newest 16 to each server.
    local: tuple[tuple[str, int], ...] = ()
    joined: float = 0.0
    left: float = 0.0
    #: When media had run out and when it came again; None where it did not.
    stalls: tuple[tuple[float, float | None], ...] = ()
    #: When less than 95 % of the stream was there to be played.
    starved: tuple[tuple[float, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "local": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.local],
            "stalls": [{"begin": begin, "end": end} for begin, end in self.stalls],
            "starved": [{"begin": begin, "end": end} for begin, end in self.starved],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Watched:
        """The inverse of `as_dict`."""
        values = dict(found)
        places = [each.rpartition(":") for each in found["local"]]
        values["local"] = tuple((host.strip("[]"), int(port)) for host, _, port in places)
        for name in ("stalls", "starved"):
            values[name] = tuple((each["begin"], each["end"]) for each in found[name])
        return cls(**values)


def write_viewers(path: Path, audience: Iterable[Watched]) -> None:
    """A line of JSON for each.  Raises TierkitError where it cannot be written."""
    try:
        with path.open("w") as file:
            for each in audience:
                file.write(json.dumps(each.as_dict()) + "\n")
    except OSError as error:
        raise TierkitError(f"{path} cannot be written: {error.strerror}: give another place for the viewers") from None
