"""How the REST API writes what it says: JSON by `Accept`, XML where that is not asked for, and the older hrefs.

* Without ``Accept: application/json`` the answer is XML with capitalised elements, also where the field cannot be
  read (a monitor that quoted it wrongly was recorded).  The names of its roots are not known.
* In 2015 (4.3) bodies had a `restURI` and absolute hrefs; 4.7.0 has `serverName` and relative ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

__all__ = ["Form", "payload", "wants_json"]

#: One media range of an Accept field: a type, and perhaps parameters (RFC 9110 section 12.5.1).
_RANGE: Final = re.compile(r"\s*([\w.+-]+/[\w.+-]+)\s*((?:;\s*[\w-]+\s*=\s*[\w.-]+\s*)*)\Z", re.ASCII)
_WEIGHT_OF_NONE: Final = re.compile(r";\s*q\s*=\s*0(?:\.0*)?\s*(?:;|\Z)")
#: What identifies something stands in attributes, all else in elements.
_ATTRIBUTES: Final = frozenset(("serverName", "restURI", "id", "href"))
_NO_NAME: Final = re.compile(r"[^\w.-]", re.ASCII)
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@cache
def _text(name: str) -> str:
    return files(__package__).joinpath("payloads", f"{name}.json").read_text(encoding="utf-8")


def payload(name: str) -> dict[str, Any]:
    """A recorded body, by the name of its file: a new value each time, to put one's own figures into."""
    found: dict[str, Any] = json.loads(_text(name))
    return found


def wants_json(accept: str | None) -> bool:
    """Whether JSON is asked for by name; ``*/*`` is not enough."""
    for each in (accept or "")[:1024].split(","):
        found = _RANGE.match(each)
        if found and found.group(1).lower() in ("application/json", "text/json"):
            return _WEIGHT_OF_NONE.search(found.group(2)) is None
    return False


@frozen(kw_only=True)
class Form:
    """How one request is answered.

    Args:
        json: not XML.
        old: as 4.3 does it: `restURI`, absolute hrefs.
        base: scheme and authority of hrefs then, ``http://HOST:8087``.
        path: of the request, for `restURI`.
    """

    json: bool
    old: bool = False
    base: str = ""
    path: str = ""

    @property
    def content_type(self) -> bytes:
        """The type of what `write` gives."""
        return b"application/json;charset=UTF-8" if self.json else b"application/xml;charset=UTF-8"

    def write(self, root: str, body: Mapping[str, Any]) -> bytes:
        """`body` as bytes; `root` is the root element's name, where it is XML."""
        said = self._aged(body) if self.old else dict(body)
        if self.json:
            return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
        top = _element(Element(root), said)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(top, encoding="unicode").encode()

    def _aged(self, body: Mapping[str, Any]) -> dict[str, Any]:
        # Errors and what was done have neither.
        if "serverName" not in body:
            return dict(body)
        rest = {name: value for name, value in body.items() if name != "serverName"}
        return {"restURI": f"{self.base}{self.path}", **{name: self._absolute(value) for name, value in rest.items()}}

    def _absolute(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._absolute(each) for each in value]
        if isinstance(value, dict):
            return {
                name: f"{self.base}{each}" if name == "href" else self._absolute(each) for name, each in value.items()
            }
        return value


def _element(parent: Element, body: Mapping[str, Any]) -> Element:
    for name, value in body.items():
        if name in _ATTRIBUTES:
            parent.set(name, _plain(value))
        elif isinstance(value, list):
            group = SubElement(parent, _capital(name))
            for each in value:
                row = SubElement(group, _capital(_one_of(name)))
                if isinstance(each, dict):
                    _element(row, each)
                else:
                    row.text = _plain(each)
        elif isinstance(value, dict):
            _element(SubElement(parent, _capital(name)), value)
        else:
            SubElement(parent, _capital(name)).text = _plain(value)
    return parent


def _one_of(name: str) -> str:
    """What one of a list is called: `applications` has applications, `instanceList` instances."""
    return name.removesuffix("List").removesuffix("s") or name


def _capital(name: str) -> str:
    safe = _NO_NAME.sub("_", name)
    return safe[:1].upper() + safe[1:]


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _NO_XML.sub("?", str(value))
