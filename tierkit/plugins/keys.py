"""Who may publish and play, by static keys out of a file: ``Keys(file="/etc/tierkit/stream-keys")``.

A line is a stream and a key; ``*`` in the stream stands for anything.  Several lines for one stream are several keys
that are good, so that one can be changed for another:

    live/hall    f3b1c9...
    live/hall    0d77aa...
    rehearsal/*  9c41e0...

The key comes in the query (``rtmp://HOST/live``, stream key ``hall?key=f3b1c9...``), or in the name where `in_name`
says so: as its end (``hall-f3b1c9...``), or as the whole of it (``f3b1c9...``: which stream that is, the file says).
Either is taken off: the stream is ``/live/hall``, and no log, statistic or authoriser behind this one sees a key.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import translate
from typing import ClassVar

from attrs import define, field, frozen

from tierkit.access import WatchedFile, chosen_actions, on_option
from tierkit.codecs.query import QueryRule, pattern_problem, values
from tierkit.events import PluginFailed
from tierkit.plugin import (
    Attempt,
    Authoriser,
    Context,
    Denied,
    LiveAuthoriser,
    Rewritten,
    Verdict,
    hookimpl,
    option,
)

__all__ = ["Keys"]

#: Places at which a name is tried to be parted into stream and key.
MAX_PARTS = 16
_IN_NAME = re.compile(r"[A-Za-z0-9._~+=@:-]+\Z")


@frozen
class Keys(Authoriser):
    """A key for each stream, out of a file."""

    name: ClassVar[str] = "keys"

    file: str = option("", "The file: lines 'APP/NAME KEY', with * for anything; read again when it changes.")
    parameter: str = option("key", "The parameter of the query that carries the key.")
    in_name: str = option(
        "",
        "Whether the key may also stand in the name: '' is no, 'suffix' at its end, 'whole' instead of it.",
        choices=("", "suffix", "whole"),
    )
    separator: str = option("-", "What stands between a name and its key, for 'suffix'.")
    on: str = on_option("publish")

    def problems(self) -> list[str]:
        """Ranges, and what goes together."""
        found = super().problems()
        if not self.file:
            found.append("option file is missing: give a file of lines 'APP/NAME KEY'")
        if (wrong := pattern_problem(self.parameter)) or "*" in self.parameter:
            found.append(f"option parameter: {wrong or 'it is one name'}")
        if not _IN_NAME.match(self.separator):
            found.append(f"option separator={self.separator!r} does not do in a name: give for instance '-'")
        return found

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[LiveAuthoriser]:
        """Begin to decide.  Raises TierkitError where the file is no good."""
        watched = WatchedFile(
            self.file,
            option="file",
            wants="lines 'APP/NAME KEY'",
            read=lambda lines: _read(lines, self.in_name),
            clock=ctx.clock,
            tell=lambda reason: ctx.emit(PluginFailed(plugin=self.name, reason=reason)),
        )
        yield _Live(self, watched)


@define
class _Table:
    """What the file says."""

    #: Keys by the stream's path, and those of paths with a star.
    exact: dict[str, list[bytes]] = field(factory=dict, repr=False)
    patterns: list[tuple[re.Pattern[str], bytes]] = field(factory=list, repr=False)

    def good(self, path: str, key: str) -> bool:
        """Whether a key is one of a stream's.  All of them are compared, each in constant time."""
        keys = [*self.exact.get(path, ()), *(each for pattern, each in self.patterns if pattern.match(path))]
        asked = _bytes(key)
        return sum(hmac.compare_digest(each, asked) for each in keys) > 0

    def stream_of(self, app: str, key: str) -> str:
        """The stream of an application that a key belongs to; "" for none."""
        asked, found = _bytes(key), ""
        for path, keys in self.exact.items():
            for each in keys:
                if hmac.compare_digest(each, asked) and path.rpartition("/")[0] == app:
                    found = path
        return found


class _Live(LiveAuthoriser):
    def __init__(self, recipe: Keys, watched: WatchedFile[_Table]) -> None:
        self.actions = chosen_actions(recipe.on)
        self._recipe, self._watched = recipe, watched
        self._others = QueryRule((), drop=(recipe.parameter,))

    async def check(self, attempt: Attempt) -> Verdict:
        table = self._watched.value()
        key = values(attempt.query, (self._recipe.parameter,)).get(self._recipe.parameter)
        path = attempt.path if key and table.good(attempt.path, key) else self._by_name(attempt.path, table)
        if not path:
            return Denied("there is no key, or it is not one of this stream")
        return Rewritten(path, self._others.kept(_bytes(attempt.query)).decode("utf-8", "replace"))

    def _by_name(self, path: str, table: _Table) -> str:
        app, _, name = path.rpartition("/")
        if self._recipe.in_name == "whole":
            return table.stream_of(app, name)
        for stream, key in self._parted(path):
            if table.good(stream, key):
                return stream
        return ""

    def _parted(self, path: str) -> Iterator[tuple[str, str]]:
        """A path as stream and key, in every way that the separator in its name allows."""
        if self._recipe.in_name != "suffix":
            return
        separator = self._recipe.separator
        app, _, name = path.rpartition("/")
        parts = name.split(separator, MAX_PARTS)
        for count in range(1, len(parts)):
            yield f"{app}/{separator.join(parts[:count])}", separator.join(parts[count:])

    def shown(self, attempt: Attempt) -> Attempt:
        table, path = self._watched.value(), attempt.path
        if not self._recipe.in_name or path in table.exact:
            return attempt
        known = [stream for stream, _ in self._parted(path) if stream in table.exact]
        return attempt.with_(path=known[-1] if known else f"{path.rpartition('/')[0]}/...")


def _read(lines: Sequence[tuple[int, Sequence[str]]], in_name: str) -> _Table:
    table = _Table()
    for number, words in lines:
        if len(words) != 2:
            raise ValueError(f", line {number}: give 'APP/NAME KEY'")
        path, key = "/" + words[0].strip("/"), words[1]
        if in_name and not _IN_NAME.match(key):
            raise ValueError(f", line {number}: a key that stands in names has letters, digits and ._~+=@:- alone")
        if in_name == "whole" and "*" in path:
            raise ValueError(f", line {number}: a key that is the whole name belongs to one stream, without *")
        if "*" in path:
            # The star alone means something here.
            plain = re.sub(r"[?\[]", lambda match: f"[{match[0]}]", path)
            table.patterns.append((re.compile(translate(plain)), key.encode()))
        else:
            table.exact.setdefault(path, []).append(key.encode())
    return table


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@hookimpl
def tierkit_authorisers() -> Sequence[type[Authoriser]]:
    """Brings `Keys`."""
    return [Keys]
