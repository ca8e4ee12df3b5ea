"""Which path of the REST API means what: a table of patterns, matched segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import unquote

from attrs import frozen

from ._behaviours import Behaviour
from ._rest_desk import Answer

__all__ = ["Found", "Handler", "Routes", "Row"]

Handler: TypeAlias = Callable[..., Answer]
"""Given the desk, what is asked, and the values of the path's placeholders by name."""


@frozen
class Row:
    """What answers one method at one pattern, and what that shows."""

    handler: Handler
    shows: tuple[Behaviour, ...]


@frozen
class Found:
    """What a path is: what answers each method, and the values of its placeholders, decoded."""

    methods: Mapping[str, Row]
    values: Mapping[str, str]


class Routes:
    """Patterns such as ``/applications/{app}``; the first one that fits counts."""

    def __init__(self) -> None:
        self._rows: list[tuple[Sequence[str], dict[str, Row]]] = []

    def at(self, method: str, pattern: str, first: Behaviour, *more: Behaviour) -> Callable[[Handler], Handler]:
        """Marks what answers `method` at `pattern`, and what that shows."""

        shows = (first, *more)

        def mark(handler: Handler) -> Handler:
            for each in shows:
                each.shown(handler)
            segments = pattern.split("/")
            methods = next((known for row, known in self._rows if row == segments), None)
            if methods is None:
                methods = {}
                self._rows.append((segments, methods))
            methods[method] = Row(handler, shows)
            return handler

        return mark

    def find(self, path: str) -> Found | None:
        """What answers at `path`, still percent-encoded."""
        asked = path.rstrip("/").split("/")
        for segments, methods in self._rows:
            if len(segments) == len(asked) and (values := _fit(segments, asked)) is not None:
                return Found(methods, values)
        return None


def _fit(segments: Sequence[str], asked: Sequence[str]) -> dict[str, str] | None:
    values: dict[str, str] = {}
    for pattern, segment in zip(segments, asked, strict=True):
        plain = unquote(segment)
        if pattern[:1] == "{":
            if not plain:
                return None
            values[pattern.strip("{}")] = plain
        elif pattern != plain:
            return None
    return values
