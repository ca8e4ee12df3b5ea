"""The body of a REST answer of Wowza's, JSON or XML, as names and values; `wowza_rest` says what they mean.

Names are in lower case and texts fit to print.  An element of XML becomes what JSON would have: a text, or names; a
name that stands several times is a list.  Of the root the own name is kept as well, since it may be that of a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import unquote

from ..errors import RemoteProtocolError
from .wowza_xml import MAX_ATTRIBUTES, Element, number, plain, read_xml

__all__ = [
    "MAX_JSON",
    "MAX_ROWS",
    "Node",
    "count_of",
    "demand",
    "flag_of",
    "is_xml",
    "members_of",
    "name_of",
    "other",
    "read_body",
    "rows_of",
    "text_of",
]

MAX_JSON: Final = 4 << 20
"""Bytes of an answer: an incoming stream takes some 300."""
MAX_ROWS: Final = 10_000
"""Members of one list that are read."""
MAX_NESTED: Final = 12
"""Objects and lists within each other that are read; the deepest body has five."""

Node = Mapping[str, Any]


def is_xml(data: bytes) -> bool:
    """Whether a body is XML, by its first character: what its Content-Type says was seen to be wrong."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def read_body(data: bytes) -> Node:
    """A body as names in lower case and what belongs to them; of XML also the root's own name."""
    if is_xml(data):
        root = read_xml(data)
        within = _of_xml(root)
        return {root.name: within, **(within if isinstance(within, dict) else {})}
    found = _lowered(_json(data))
    if not isinstance(found, Mapping):
        raise RemoteProtocolError("the JSON is no object")
    return found


def _json(data: bytes) -> Any:
    if len(data) > MAX_JSON:
        raise RemoteProtocolError(f"the JSON is longer than {MAX_JSON} bytes")
    if not data.strip():
        raise RemoteProtocolError("the answer is empty")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise RemoteProtocolError("the JSON is nested too deep") from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        what = f"cut short after {len(data)} bytes" if cut else f"malformed at character {error.pos}"
        raise RemoteProtocolError(f"the JSON is {what}") from None
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"the JSON is no UTF-8 at byte {error.start}") from None
    except ValueError:  # numbers that Python does not take
        raise RemoteProtocolError("the JSON has a number that is none") from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _lowered(value: Any, depth: int = 0) -> Any:
    """Names in lower case, texts fit to print.  What is deeper than any body of Wowza's is left out."""
    if depth > MAX_NESTED:
        return None
    if isinstance(value, dict):
        return {plain(name).lower(): _lowered(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_lowered(each, depth + 1) for each in value[:MAX_ROWS]]
    return plain(value) if isinstance(value, str) else value


def _of_xml(element: Element, depth: int = 0) -> Any:
    """An element in the shape of JSON: a text, or names; a name that stands several times is a list."""
    if depth > MAX_NESTED:
        return None
    if not element.children and not element.attributes:
        return element.text
    found: dict[str, Any] = dict(element.attributes)
    lists: dict[str, list[Any]] = {}
    for child in element.children:
        lists.setdefault(child.name, []).append(_of_xml(child, depth + 1))
    found |= {name: each[0] if len(each) == 1 else each[:MAX_ROWS] for name, each in lists.items()}
    return found


def rows_of(node: Node, plural: str, singular: str) -> list[Node] | None:
    """The members of a list; None where there is no such list.

    In JSON it stands under `plural`.  In XML one wraps the other, or the root is the wrapper, or members stand bare.
    """
    for name in (plural, singular):
        if name not in node:
            continue
        value = node[name]
        if isinstance(value, list):
            return [each for each in value if isinstance(each, Mapping)]
        if not isinstance(value, Mapping):
            return []
        within = rows_of(value, plural, singular) if name == plural else None
        if within is not None:
            return within
        # A member that stands bare has a name; a wrapper of nothing has none.
        return [value] if name == singular or name_of(value) else []
    return None


def members_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of an object; of XML that lists them as entries, these."""
    if not isinstance(value, Mapping):
        return
    for name, each in list(value.items())[:MAX_ATTRIBUTES]:
        if isinstance(each, list):
            for row in each:
                if isinstance(row, Mapping):
                    yield from _entry(row)
        elif isinstance(each, Mapping):
            yield from _entry(each)
        else:
            yield name, each


def _entry(row: Node) -> Iterator[tuple[str, Any]]:
    """An entry of a map, as Java libraries write it: a text and a number, under whatever names."""
    values = [each[0] if isinstance(each, list) and each else each for each in row.values()]
    words = [each for each in values if isinstance(each, str) and number(each) is None]
    numbers = [each for each in values if number(each) is not None]
    if len(words) == 1 and len(numbers) == 1:
        yield words[0], numbers[0]


def name_of(row: Node) -> str:
    """What a row is called: its id, its name, or the end of where it is."""
    return text_of(row, "id") or text_of(row, "name") or plain(unquote(text_of(row, "href").rstrip("/").split("/")[-1]))


def demand(node: Node, what: str, *names: str) -> None:
    """Refuse what has none of these: an answer to another question, or a page for people."""
    if not any(name in node for name in names):
        other(what)


def other(what: str) -> NoReturn:
    """Refuse a body that can be read, for it is something else."""
    raise RemoteProtocolError(f"the answer can be read but is not {what}")


def text_of(node: Node, name: str) -> str:
    """A text, or a number as one; "" for what is missing, null or neither."""
    value = node.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return value if isinstance(value, str) else str(value)[:64]


def count_of(node: Node, *names: str) -> int | None:
    """A whole number under the first of these names that has one; None where none does, or it is below nothing."""
    found = next((each for name in names if (each := number(node.get(name))) is not None), None)
    return int(found) if found is not None and found >= 0 else None


def flag_of(value: Any) -> bool | None:
    """Yes or no, as JSON and as XML have it; None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return None
