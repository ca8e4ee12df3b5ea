"""Problems of a TOML file, each with its place: every reader of a part of the file tells them here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ._config_options import closest

__all__ = ["Problems", "listed"]


class Problems:
    """What is wrong with one file.

    Attributes:
        path: the file; it stands before every problem, with the line where that can be told.
        broken: the names of the nodes that something is wrong with.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.broken: set[str] = set()
        self._found: list[tuple[int, str]] = []
        self._text = text.splitlines()

    def tell(self, name: str, key: str, line: str) -> None:
        """Note a problem of the node `name` ("" for the file's own settings), at the line where `key` stands."""
        if name:
            self.broken.add(name)
        number = self._number(name, key)
        place = f"{self.path}:{number}" if number else f"{self.path}"
        self._found.append((number, ": ".join(each for each in (place, name, line) if each)))

    @property
    def lines(self) -> list[str]:
        """One for each problem, in the order of the file, each once."""
        return list(dict.fromkeys(line for _, line in sorted(self._found, key=lambda each: each[0])))

    def unknown(self, name: str, table: Mapping[str, Any], known: Collection[str], inside: str = "") -> None:
        """Tell every key of `table` that is not known; `inside` is the key that the table is the value of."""
        for key in table:
            if key not in known:
                line = f"key {key!r} is unknown: {closest(key, known)}"
                self.tell(name, inside or key, f"{inside}: {line}" if inside else line)

    def fits(self, name: str, key: str, value: object, kind: type, what: str) -> bool:
        """Whether a value is of the right kind; told where it is not."""
        if isinstance(value, kind):
            return True
        self.tell(name, key, f"{key} = {value!r} is of the wrong kind: write {what}")
        return False

    def strings(self, name: str, key: str, value: object) -> tuple[str, ...]:
        """One string or a list of them."""
        values = listed(value)
        if all(isinstance(each, str) for each in values):
            return tuple(values)
        self.tell(name, key, f"{key} = {value!r} is of the wrong kind: write a string or a list of strings")
        return ()

    def _number(self, name: str, key: str) -> int:
        """The line where a key of a node stands, else where the node begins, else 0.

        tomllib keeps no places, so headers and keys are looked for; what is written in an odd way is not
        found, and then the node's first line must do.
        """
        begins = 0
        inside: list[str] = []
        spelt = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
        for number, line in enumerate(self._text, 1):
            if line.lstrip().startswith("["):
                inside = _header(line)
                mine = inside[1:2] == [name] if name else key in inside[:1]
                if mine and (not name or inside[-1] == key):
                    return number
                if mine and not begins:
                    begins = number
            elif (inside[1:2] == [name] if name else len(inside) < 2) and spelt.match(line):
                return number
        return begins


def _header(line: str) -> list[str]:
    """The names in a table's header, outermost first."""
    try:
        table: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ["?"]
    names = []
    while isinstance(table, (dict, list)) and table:
        if isinstance(table, list):
            table = table[0]
        else:
            names.append(next(iter(table)))
            table = table[names[-1]]
    return names


def listed(value: object) -> list[Any]:
    """A value as a list: wherever several are taken, one may stand alone."""
    return value if isinstance(value, list) else [value]
