"""Rules and secrets in a file of lines, read again within a second of a change.

A file that is no good when a tier starts is an error; later it leaves what was read before in force, and is told
of once: an editor's half-written file locks nobody out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from .codecs.signing import SigningKey
from .errors import TierkitError

__all__ = ["KeyFile", "WatchedFile"]

T = TypeVar("T")
#: Seconds between looks at the file.
LOOK_EVERY = 1.0
#: Largest file that is read: some 100,000 lines.
MAX_BYTES = 8 << 20

#: The words of each line that has any, with its number; lines that begin with # are left out.
Lines = Sequence[tuple[int, Sequence[str]]]


class WatchedFile(Generic[T]):
    """What a file says.

    Args:
        option: how the user calls the file, for errors: "signing_keys".
        wants: what to write into it, for errors: "lines 'ID SECRET'".
        read: makes the value; raises ValueError, whose text follows the file's name and never has a secret in it.
        clock: seconds, monotonic.
        tell: called once for each change that is no good.

    Raises TierkitError where it cannot be read.
    """

    def __init__(
        self,
        path: str,
        *,
        option: str,
        wants: str,
        read: Callable[[Lines], T],
        clock: Callable[[], float],
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._option, self._wants, self._make = option, wants, read
        self._clock, self._tell = clock, tell
        self._seen: tuple[int, int, int] | None = None
        self._trouble = ""
        self._next_look = clock() + LOOK_EVERY
        self._read()

    def value(self) -> T:
        """What it said when it was last good."""
        if self._clock() >= self._next_look:
            self._next_look = self._clock() + LOOK_EVERY
            try:
                self._read()
                self._trouble = ""
            except TierkitError as error:
                if str(error) != self._trouble and self._tell is not None:
                    self._tell(f"{error}; what it said before stays in force")
                self._trouble = str(error)
        return self._value

    def _read(self) -> None:
        try:
            state = os.stat(self.path)
            seen = (state.st_mtime_ns, state.st_size, state.st_ino)
            if seen == self._seen:
                return
            if state.st_size > MAX_BYTES:
                raise self._error(f": it has more than {MAX_BYTES >> 20} MiB")
            text = Path(self.path).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise self._error(f": {reason}: give a file of {self._wants}") from None
        lines = [(number, words) for number, line in enumerate(text.splitlines(), 1) if (words := line.split())]
        try:
            self._value = self._make([each for each in lines if not each[1][0].startswith("#")])
        except ValueError as error:
            raise self._error(str(error)) from None
        self._seen = seen

    def _error(self, what: str) -> TierkitError:
        return TierkitError(f"{self._option}={self.path}{what}")


class KeyFile:
    """The secrets that URLs are signed with: lines ``ID SECRET``.  Nothing of them is ever told."""

    def __init__(
        self, path: str, clock: Callable[[], float], *, option: str = "keys", tell: Callable[[str], None] | None = None
    ) -> None:
        self._file = WatchedFile(
            path, option=option, wants="lines 'ID SECRET'", read=_signing_keys, clock=clock, tell=tell
        )

    def keys(self) -> dict[str, SigningKey]:
        """By id, in the order of the file."""
        return self._file.value()


def _signing_keys(lines: Lines) -> dict[str, SigningKey]:
    found = {}
    for number, words in lines:
        if len(words) != 2:
            raise ValueError(f", line {number}: give 'ID SECRET'")
        found[words[0]] = SigningKey(words[0], words[1].encode())
    if not found:
        raise ValueError(": it has no key: give lines 'ID SECRET'")
    return found
