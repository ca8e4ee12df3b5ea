"""What a recording is called: a template filled with names that strangers have chosen.

Rules:

* A stream's application and name come from publishers.  Each of their parts is percent-encoded but for ASCII letters,
  digits, `_`, `-` and inner dots, so that no two streams share a name, none leaves its folder, none is hidden, and none
  surprises a shell.
* What is then longer than a file system takes is cut short, and a digest of the whole stands for the rest.
* Templates are the operator's, and checked with the graph.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import quote

__all__ = ["PART", "file_name", "template_problem"]

#: Stands behind the name of a file that grows.
PART: Final = ".part"
#: Bytes of one part of a path; file systems take 255, and time, a counter and `.part` are added.
_LONGEST: Final = 150
#: Parts of an application beyond which it is one part, a digest; real ones have one or two.
_DEEPEST: Final = 4
_KNOWN: Final = ("app", "name", "tier", "start")
_SAMPLE: Final = datetime(2000, 1, 2, 3, 4, 5, tzinfo=UTC)


def file_name(template: str, *, tier: str, stream: str, start: datetime) -> tuple[str, ...]:
    """The parts of a file's path below the folder, the file's name last; `stream` is a joined path, `start` in UTC."""
    app, _, name = stream.strip("/").rpartition("/")
    parts = [_safe(each) for each in app.split("/") if each]
    if len(parts) > _DEEPEST:
        parts = [_shortened(_safe(app))]
    filled = template.format(app="/".join(parts), name=_safe(name) or "_", tier=_safe(tier), start=start)
    return tuple(_short(each) for each in filled.split("/") if each)


def template_problem(template: str) -> str:
    """What is wrong with a template, empty where nothing is."""
    try:
        fields = [each for _, *each in string.Formatter().parse(template) if each[0] is not None]
        for name, spec, conversion in fields:
            if name not in _KNOWN:
                return f"{{{name}}} is unknown: choose among {', '.join(f'{{{each}}}' for each in _KNOWN)}"
            if conversion or (spec and (name != "start" or "{" in spec)):
                return f"only {{start}} takes a format, such as {{start:%Y%m%d}}, not {{{name}}}"
        sample = template.format(app="app", name="name", tier="tier", start=_SAMPLE)
    except (ValueError, IndexError, KeyError) as error:
        return f"it cannot be filled in: {error}"
    if "\0" in sample or {".", ".."} & set(sample.split("/")) or sample.startswith("/"):
        return "it leaves the folder: write it without '..' and a leading '/'"
    if not sample.strip("/") or sample.endswith(("/", PART)):
        return f"it names no file: end it in a name, such as {{name}}.flv, that does not end in {PART}"
    return ""


def _safe(text: str) -> str:
    """As a part of a path that holds nothing but letters, digits, ``_``, ``-``, inner dots and ``%``."""
    # Surrogates stand for bytes that were no UTF-8; `~` marks what was cut short.
    found = quote(text.encode("utf-8", "surrogatepass"), safe="").replace("~", "%7E")
    return "%2E" + found[1:] if found.startswith(".") else found


def _short(part: str) -> str:
    if len(part.encode("utf-8", "surrogatepass")) <= _LONGEST:
        return part
    stem, dot, ending = part.rpartition(".")
    kept = dot + ending if stem and len(ending) <= 8 else ""
    return _shortened(part, kept)


def _shortened(part: str, ending: str = "") -> str:
    digest = sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return f"{part[: _LONGEST - 22 - len(ending)]}~{digest}{ending}"
