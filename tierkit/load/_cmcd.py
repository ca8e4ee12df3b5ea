"""What a viewer says of itself with each request (CTA-5004), as hls.js does (src/controller/cmcd-controller.ts).

Of everything `sid`, `sf` and `st`; of a segment also `br` (kbit/s), `d` (ms) and `bl` (ms, of 100 each); `bs` once
after the buffer has run dry, `su` until playback has begun and while it is dry.  Keys are in the order of the
alphabet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote

__all__ = ["Cmcd", "ObjectType", "in_fields", "in_query", "said", "with_query"]

Cmcd = Literal["none", "query", "header"]
#: m manifest, a audio, v video, av both, i initialisation section.
ObjectType = Literal["m", "a", "v", "av", "i"]

#: Which field a key stands in.
_FIELDS = {
    "CMCD-Object": ("br", "d", "ot"),
    "CMCD-Request": ("bl", "su"),
    "CMCD-Session": ("sf", "sid", "st"),
    "CMCD-Status": ("bs",),
}


def said(
    sid: str,
    kind: ObjectType,
    *,
    live: bool,
    kbps: int = 0,
    duration: float = 0.0,
    buffered: float | None = None,
    starved: bool = False,
    hurry: bool = False,
) -> dict[str, str]:
    """Keys and how they are written; `duration` and `buffered` in seconds, None and 0 for what is not known."""
    keys = {"ot": kind, "sf": "h", "sid": f'"{sid}"', "st": "l" if live else "v"}
    if kbps:
        keys["br"] = str(kbps)
    if duration:
        keys["d"] = str(round(1000 * duration))
    if buffered is not None:
        keys["bl"] = str(100 * round(10 * buffered))
    if starved:
        keys["bs"] = ""
    if hurry:
        keys["su"] = ""
    return keys


def in_query(keys: dict[str, str]) -> str:
    """`CMCD=...`, encoded."""
    return "CMCD=" + quote(_joined(keys, keys), safe="")


def with_query(target: str, keys: dict[str, str]) -> str:
    """A request target that says it, behind the arguments that it has."""
    return f"{target}{'&' if '?' in target else '?'}{in_query(keys)}"


def in_fields(keys: dict[str, str]) -> str:
    """Lines of a head, each with its CRLF."""
    lines = []
    for field, names in _FIELDS.items():
        if told := [name for name in names if name in keys]:
            lines.append(f"{field}: {_joined(keys, told)}\r\n")
    return "".join(lines)


def _joined(keys: dict[str, str], names: Iterable[str]) -> str:
    return ",".join(name if keys[name] == "" else f"{name}={keys[name]}" for name in sorted(names))
