"""One line of an access log: Apache's and nginx's `combined` form with a tail, or one JSON object.

    ADDRESS - - [10/Nov/2013:18:30:01 +0000] "GET /live/a.m3u8?token=*** HTTP/1.1" 200 1542 "REFERER" "AGENT" TAIL
    TAIL: SECONDS CACHE REQUEST-ID TIER

* What stands in quotes has no quote, no backslash, nothing that does not print and nothing beyond ASCII: those bytes
  are written as ``\\xHH``, as nginx does, so that splitting at quotes is exact and nobody can write a line of his own.
* A field that has nothing to say is ``-``.
* In queries the values of parameters are hidden but for those that name no secret: a URL with its token is a ticket.
* A session of RTMP is told like a request, with its verb (PLAY, PUBLISH) for the method and RTMP for the version, so
  that one file of both is read by one expression.

Sources: Apache httpd 2.4, mod_log_config (combined); nginx 1.25, ngx_http_log_module (escape=default, $request_time,
$upstream_cache_status, $request_id); nginx-rtmp-module, access_log.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from attrs import define

__all__ = ["COMBINED", "MAX_ID", "MAX_TEXT", "Entry", "combined_line", "hide_values", "json_line", "request_id_in"]

#: Characters of an id that is taken from others, and the least that tell requests apart; a UUID has 36, nginx's 32.
MAX_ID, MIN_ID = 64, 8
#: Of each text in a line, bytes as they came: no line is longer than some tens of kilobytes, whatever is sent.
MAX_TEXT = 2048

_ID = re.compile(rb"[0-9A-Za-z_.-]{%d,%d}" % (MIN_ID, MAX_ID))
_ODD = re.compile(r"[^ !#-\[\]-~]")
#: Nearly every text: taken as it is.
_PLAIN = re.compile(rf"[ !#-\[\]-~]{{1,{MAX_TEXT}}}")
_WORD = re.compile(rf"[!#-\[\]-~]{{1,{MAX_TEXT}}}")
#: HLS delivery directives (draft-pantos-hls-rfc8216bis section 6.2.5) and a token for nothing: they are no secrets.
_PARAMETER = re.compile(r"(?:(?P<open>_HLS_[a-z]+=[^&]*)|(?P<name>[^&=]*=)[^&]*|[^&]+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: How a line in combined form is read: by this expression alone, whatever was asked.
COMBINED = re.compile(
    r"(?P<address>[^ ]+) - - \[(?P<time>[^\]]+)\] "
    r'"(?P<method>[^ "]+) (?P<target>[^ "]+) (?P<version>[^ "]+)" (?P<status>[0-9]{3}) (?P<bytes>[0-9]+) '
    r'"(?P<referer>[^"]*)" "(?P<agent>[^"]*)" '
    r"(?P<seconds>[0-9]+\.[0-9]{3}) (?P<cache>[^ ]+) (?P<id>[^ ]+) (?P<tier>[^ ]+)"
)


@define(kw_only=True)
class Entry:
    """What a line tells of one request, or of one session of RTMP."""

    #: When it ended, Unix seconds, and how long it took.
    at: float
    seconds: float
    tier: str
    site: str = ""
    #: As it may be told.
    address: str
    #: "http", "https", "rtmp" and so on.
    scheme: str
    #: The method, or PLAY or PUBLISH; "-" where none was understood.
    method: str
    #: The path, with its query behind a question mark; what is secret in that is hidden already.
    target: str
    #: "HTTP/1.1", "RTMP".
    version: str
    status: int
    #: Bytes sent for it, heads included; of a session, to the other side and from it.
    bytes_out: int
    bytes_in: int = 0
    referer: str = ""
    agent: str = ""
    #: What the cache made of it: HIT, MISS and so on.
    cache: str = ""
    request_id: str = ""
    #: Of a session: why it ended, and GOPs that were skipped for it.
    reason: str = ""
    skipped: int = 0
    #: How many like it this line stands for.
    sample: int = 1


def request_id_in(value: bytes | None) -> str:
    """An id that somebody else has given, "" where it is none: too short, too long, or of odd characters.

    Nothing more is believed of it: it says which lines of logs belong together.
    """
    return value.decode("ascii") if value is not None and _ID.fullmatch(value) is not None else ""


def hide_values(target: str) -> str:
    """A path or URL whose query tells the names of its parameters, and no values but those of HLS directives."""
    path, mark, query = target.partition("?")
    return f"{path}?{_PARAMETER.sub(_hidden, query)}" if mark and query else target


def _hidden(match: re.Match[str]) -> str:
    return match["open"] or f"{match['name'] or ''}***"


def combined_line(entry: Entry) -> bytes:
    """One line in combined form, its tail and its end included."""
    request = f"{_word(entry.method)} {_word(entry.target)} {_word(entry.version)}"
    return (
        f"{_word(entry.address)} - - [{_when(int(entry.at))}] "
        f'"{request}" {entry.status:03} {entry.bytes_out} "{_quoted(entry.referer)}" "{_quoted(entry.agent)}" '
        f"{entry.seconds:.3f} {entry.cache or '-'} {_word(entry.request_id)} {_word(entry.tier)}\n"
    ).encode("ascii")


def json_line(entry: Entry) -> bytes:
    """One JSON object in a line; what has nothing to say is left out."""
    said: dict[str, Any] = {
        "time": datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "tier": entry.tier,
        "site": entry.site,
        "address": entry.address,
        "scheme": entry.scheme,
        "method": entry.method,
        "target": entry.target[:MAX_TEXT],
        "version": entry.version,
        "status": entry.status,
        "bytes_out": entry.bytes_out,
        "bytes_in": entry.bytes_in,
        "seconds": round(entry.seconds, 6),
        "referer": entry.referer[:MAX_TEXT],
        "agent": entry.agent[:MAX_TEXT],
        "cache": entry.cache,
        "request_id": entry.request_id,
        "reason": entry.reason,
        "skipped": entry.skipped,
        "sample": entry.sample if entry.sample > 1 else 0,
    }
    kept = {name: value for name, value in said.items() if value or name in ("status", "bytes_out", "seconds")}
    return json.dumps(kept, separators=(",", ":")).encode("ascii") + b"\n"


@lru_cache(8)
def _when(second: int) -> str:
    said = datetime.fromtimestamp(second, UTC)
    date = f"{said.day:02}/{_MONTHS[said.month - 1]}/{said.year:04}"
    return f"{date}:{said.hour:02}:{said.minute:02}:{said.second:02} +0000"


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return _ODD.sub(_escaped, text[:MAX_TEXT]) or "-"


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else _quoted(text).replace(" ", "\\x20")


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
