"""Where an RTMP server sends its clients: what a refusal with code 302, or a request to reconnect, points to.

Both name an application, as a tcUrl does; the stream's name is the client's to keep.  Enhanced RTMP (version 2,
"Reconnect Request") lets the reference be relative to the tcUrl of the connection, and be left out, which is "here
again".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from tierkit.errors import RemoteProtocolError

from . import amf0
from .rtmp_url import MAX_LENGTH

__all__ = ["moved", "redirect_in"]

#: What no reference has, a fragment included: it would hide what is behind it from a look at the path.
_ODD: Final = re.compile(r"[\x00-\x20\x7f\\#]")


def redirect_in(info: Mapping[str, Any]) -> str:
    """The tcUrl that a refusal points to; empty where it is an ordinary refusal.

    Adobe's servers and SRS put it into ``ex``: ``{code: 302, redirect: tcUrl}``.
    """
    more = info.get("ex")
    if not isinstance(more, Mapping) or amf0.as_int(more.get("code")) != 302:
        return ""
    return amf0.as_text(more.get("redirect"))


def moved(url: str, tc_url: str, reference: str) -> str:
    """Where the stream at `url` is from now on.

    Args:
        url: the stream's URL until now, with its name and query.
        tc_url: what the connection said.
        reference: what the server said: absolute, relative or empty.

    Raises:
        RemoteProtocolError: it leads to no RTMP server.
    """
    reference = reference.strip("\"' ")
    if len(reference) > MAX_LENGTH or _ODD.search(reference):
        raise RemoteProtocolError("it points to an odd URL")
    if not reference:
        return url
    base = tc_url.partition("?")[0]
    target = _absolute(base, reference).partition("?")[0].rstrip("/")
    if not _is_application(target):
        raise RemoteProtocolError("it points to no application of an RTMP server")
    return target + (url[len(base) :] if url.startswith(base + "/") else _last(url))


def _is_application(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme not in ("rtmp", "rtmps") or port == 0 or "@" in parts.netloc:
        return False
    if not (parts.hostname or "").strip("."):
        return False
    return bool(parts.path.strip("/")) and not {".", ".."} & set(parts.path.split("/"))


def _last(url: str) -> str:
    """The name with its slash and its query, where the tcUrl is not how the URL begins."""
    path, mark, query = url.partition("?")
    return "/" + path.rpartition("/")[2] + mark + query


def _absolute(base: str, reference: str) -> str:
    # RFC 3986, section 5.2, by hand: urllib resolves only schemes that it knows.
    scheme, _, rest = base.partition("://")
    host, _, path = rest.partition("/")
    if "://" in reference:
        return reference
    if reference.startswith("//"):
        return f"{scheme}:{reference}"
    if reference.startswith("/"):
        return f"{scheme}://{host}{reference}"
    folder = path.rpartition("/")[0]
    return f"{scheme}://{host}/{folder}/{reference}" if folder else f"{scheme}://{host}/{reference}"
