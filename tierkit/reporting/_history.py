"""A night from the console's history: of a graph that runs, or kept in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tierkit import Address, Report, Trust, report
from tierkit.errors import TierkitError
from tierkit.plugin import Network

from ._ask import Asker, NotThere

__all__ = ["from_file", "from_history"]

#: Seconds that a history goes back, and more than which it is not asked for.
_HELD = 48 * 3600
#: Bytes of a file.
_LONGEST = 64 << 20


async def from_history(
    source: Mapping[str, Any] | str | Address,
    *,
    seconds: float = 3600.0,
    trust: Trust | None = None,
    network: Network | None = None,
    **more: Any,
) -> Report:
    """A report of what a graph has done lately.

    Args:
        source: a history, or a control address, which is asked for one.
        seconds: how far back, where an address is asked; two days at most.
        trust: how its certificate is verified.
        network: to dial on; by default this machine's sockets.
        more: what `tierkit.report` takes besides: title, conditions, beside, ...

    Raises:
        TierkitError: the address does not answer, or with what is no history; in one line.
    """
    if isinstance(source, Mapping):
        return report(source, **more)
    with Asker(source, trust=trust, network=network) as asker:
        try:
            found = await asker.json(f"/history?seconds={max(1, min(round(seconds), _HELD))}")
        except NotThere as error:
            raise NotThere(f"{error} A graph that keeps a history is asked at its control address") from None
    return report(found, **more)


def from_file(file: Path, **more: Any) -> Report:
    """A report of a history that was saved, or of a report's own JSON.  Raises TierkitError."""
    try:
        if file.stat().st_size > _LONGEST:
            raise TierkitError(f"{file} is larger than {_LONGEST >> 20} MiB: that is no history")
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise TierkitError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise TierkitError(f"{file} is no JSON: give what GET /history answers, or a report's night.json") from None
    if not isinstance(found, dict):
        raise TierkitError(f"{file} is no JSON object: give what GET /history answers, or a report's night.json")
    try:
        return report(found, **more)
    except TierkitError as error:
        raise TierkitError(f"{file}: {error}") from None
