"""Where an RTMP stream is: from what clients say to one path, and from a URL to what to say.

Clients divide `rtmp://host/a/b/c` into an application and a name by guessing, and guess differently (RTMP errata,
section 8.1.2).  So streams are known by the *joined* path, `/a/b/c`, whatever the division was.

* Queries are split off the application (or the tcUrl) and the name, and joined: credentials come in either.
* `_definst_`, Wowza's and FMS's name for "no instance", is left out of the path.
* `mp4:`, `flv:` and the like in front of a name say a container, not another stream: they are kept in
  `Route.prefix` and left out of the path.  So are the endings `.flv` and `.mp3` of a name, which ffmpeg and librtmp
  leave out of what they ask for, and others do not.
* `..`, NUL, control characters, backslashes and empty names are refused, percent-encoded or not.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import frozen

from tierkit.errors import AddressError, RemoteProtocolError

__all__ = ["Dial", "Route", "dial", "route"]

MAX_LENGTH: Final = 2048
"""Longest application or name that is taken; signed URLs have some 500 characters."""

MAX_PARAMETERS: Final = 64
"""Most parameters of a query that are looked at; players and signed URLs send under ten."""

_PREFIX: Final = re.compile(r"^(mp4|flv|mp3|id3|f4v|raw|sub):", re.IGNORECASE)
# C0 and C1 controls, and what some readers of logs take for the end of a line.
_BAD: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\]")
_ENDINGS: Final = (".flv", ".mp3")
_PORTS: Final = {"rtmp": 1935, "rtmps": 443}


@frozen
class Route:
    """The stream that a client means: `path` is `/app/.../name`, `query` what stood behind question marks."""

    path: str
    query: str = ""
    prefix: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """The query as a dict; of repeated names the last counts, of more than 64 parameters the first 64."""
        some = "&".join(self.query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS])
        return dict(parse_qsl(some, keep_blank_values=True, errors="replace"))


@frozen
class Dial:
    """What to say to an RTMP server to reach a stream.

    `host` is without brackets, `tc_url` without credentials; `name` has the query of the URL.
    """

    scheme: str
    host: str
    port: int
    app: str
    name: str
    tc_url: str


def route(app: str, name: str, tc_url: str = "") -> Route:
    """The stream that `connect` with `app` and `tc_url`, then `play` or `publish` with `name`, mean.

    Raises:
        RemoteProtocolError: an empty or dangerous path.
    """
    if max(len(app), len(name), len(tc_url)) > MAX_LENGTH:
        raise _refused("is too long")
    app, _, app_query = app.partition("?")
    tc_app, _, tc_query = _app_of(tc_url).partition("?")
    app_query = app_query or tc_query
    app = app if app.strip("/") else tc_app
    name, _, name_query = name.partition("?")
    prefix = ""
    segments = []
    for segment in f"{app}/{name}".split("/"):
        if match := _PREFIX.match(segment):
            prefix = prefix or match.group(1).lower()
            segment = segment[match.end() :]
        _check(segment)
        if segment and segment != "_definst_":
            segments.append(segment)
    if not segments:
        raise _refused("is empty: say /app/name")
    segments[-1] = _without_ending(segments[-1])
    query = "&".join(part for part in (app_query, name_query) if part)
    if _BAD.search(query):
        raise _refused("has a control character")
    return Route("/" + "/".join(segments), query, prefix)


def _without_ending(name: str) -> str:
    for ending in _ENDINGS:
        rest = name[: -len(ending)] if name.lower().endswith(ending) else ""
        if rest and rest != "_definst_":
            _check(rest)  # "...flv" climbs
            return rest
    return name


def _refused(why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the stream's name {why}", hint="NetStream.Failed")


def _check(segment: str) -> None:
    plain = unquote(segment)
    if _BAD.search(plain) or "/" in plain:
        raise _refused("has a control character or a slash in disguise")
    if plain in (".", ".."):
        raise _refused("climbs out of its application")


def _app_of(tc_url: str) -> str:
    """The application in a tcUrl, with its query; empty where there is none.  Quotes around it are ignored."""
    _, marker, rest = tc_url.strip("\"' ").partition("://")
    if not marker:
        return ""
    return rest.partition("/")[2]


def dial(url: str, *, app: str | None = None) -> Dial:
    """How to reach the stream at `rtmp://host[:port]/app/name[?query]` (or `rtmps`).

    The last segment is the name, all before it the application, unless a segment has a prefix such as `mp4:`
    (the name begins there) or `app` says where to divide.

    Raises:
        AddressError: not such a URL.  The message never repeats credentials.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("an RTMP URL has an odd host or port: write rtmp://HOST:PORT/APP/NAME") from None
    if parts.scheme not in _PORTS or not host:
        raise AddressError("an RTMP URL is missing: write rtmp://HOST:PORT/APP/NAME")
    path = parts.path.strip("/")
    if _BAD.search(unquote(path)):
        raise AddressError("an RTMP URL has a control character: remove it")
    where, name = _divide(path, app)
    if parts.query:
        name += "?" + parts.query
    shown = f"[{host}]" if ":" in host else host
    if port is not None:
        shown += f":{port}"
    tc_url = f"{parts.scheme}://{shown}/{where}"
    return Dial(parts.scheme, host, _PORTS[parts.scheme] if port is None else port, where, name, tc_url)


def _divide(path: str, app: str | None) -> tuple[str, str]:
    if app is not None:
        app = app.strip("/")
        return app, path[len(app) :].strip("/") if f"{path}/".startswith(f"{app}/") else path
    segments = path.split("/")
    cut = next((i for i, segment in enumerate(segments) if i and _PREFIX.match(segment)), len(segments) - 1)
    cut = max(cut, 1)
    return "/".join(segments[:cut]), "/".join(segments[cut:])
