"""What the authorisers of a service have refused or failed at, told once a second at most, with how often."""

from __future__ import annotations

from attrs import define

from ._authorise import Attempt
from ._because import Because
from ._events import PluginFailed, Refused
from ._plugin import Context

__all__ = ["Telling"]

#: Seconds between two events of one kind about one authoriser.
TELL_EVERY = 1.0


@define
class _Kind:
    """What is not told yet of one authoriser and kind of event: the last of it, and how many."""

    attempt: Attempt | None = None
    reason: str = ""
    count: int = 0
    told: float = float("-inf")


class Telling:
    """Emits `Refused` for denials and `PluginFailed` for faults.  It knows as many kinds as there are authorisers."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._refused: dict[str, _Kind] = {}
        self._failed: dict[str, _Kind] = {}

    def refused(self, name: str, attempt: Attempt, reason: str) -> None:
        """An authoriser has denied an attempt, which is as a log may show it."""
        self._note(self._refused, name, attempt, reason)

    def failed(self, name: str, attempt: Attempt | None, reason: str) -> None:
        """An authoriser has failed, at an attempt or at what it is told later."""
        self._note(self._failed, name, attempt, reason)

    def _note(self, table: dict[str, _Kind], name: str, attempt: Attempt | None, reason: str) -> None:
        kind = table.setdefault(name, _Kind())
        kind.attempt, kind.reason, kind.count = attempt, reason, kind.count + 1
        self.flush()

    def flush(self) -> None:
        """Tell what may be told by now."""
        now = self._ctx.clock()
        for table, tell in ((self._refused, self._tell_refused), (self._failed, self._tell_failed)):
            for name, kind in table.items():
                if kind.count and now - kind.told >= TELL_EVERY:
                    kind.told = now
                    tell(name, kind)
                    kind.count = 0

    def _tell_refused(self, name: str, kind: _Kind) -> None:
        attempt = kind.attempt
        assert attempt is not None
        reason = Because(f"may not {attempt.action} {attempt.path}: {name}: {kind.reason}", word="denied")
        self._ctx.emit(Refused(peer=str(attempt.peer), stream=attempt.path, reason=reason, count=kind.count))

    def _tell_failed(self, name: str, kind: _Kind) -> None:
        attempt, peer, denied = kind.attempt, "", ""
        if attempt is not None:
            peer, denied = str(attempt.peer), f"{attempt.action} {attempt.path}"
        self._ctx.emit(PluginFailed(plugin=name, reason=kind.reason, peer=peer, denied=denied, count=kind.count))
