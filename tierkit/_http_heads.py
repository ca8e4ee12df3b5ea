"""Request heads: screened, taken apart once, and remembered by their exact bytes.

Players repeat their header block to the byte and change only the request line.  So a block that has passed the
screen and h11 is kept, taken apart, under its bytes; a request line is matched by one strict expression.  The two
together are what h11 would have made of the whole head (a property test holds them to it).  A block that is not
known, a line that is not plain, HTTP/1.0 and whatever else goes the long way: screen, then h11.
"""

from __future__ import annotations

import re
from typing import Any

import h11
from attrs import field, frozen

from .codecs.http1 import MAX_LINE, Headers, get, is_host, screen_request
from .errors import RemoteProtocolError

__all__ = ["Fields", "Head", "parse_head", "plain_get"]

#: Blocks that are remembered, and how long one may be for it (a browser's has 600 bytes, with some cookies
#: 1,500): with their fields taken apart 2,048 of them take at most 16 MB, whoever sends them.
REMEMBERED_BLOCKS = 2048
REMEMBERED_BLOCK = 2048

# RFC 9112 section 3: origin-form, no control, space, fragment or byte beyond ASCII; HTTP/1.1.
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!\"$->@-~]*)(?:\?([!\"$-~]*))? HTTP/1\.1\r\n")
_TARGET = re.compile(rb"/[!\"$-~]*")
_GET, _VERSION = b"GET /", b" HTTP/1.1\r\n"


@frozen(eq=False)
class Fields:
    """A header block, taken apart."""

    #: Lower-case names and values, in order.
    headers: Headers
    #: Of the Host field; "" where there is none (HTTP/1.0).
    host: str
    #: Whether the connection may carry another request.
    keep_alive: bool
    #: The names alone.
    names: frozenset[bytes]
    #: For whoever handles requests: what follows from these fields alone may be kept here.
    notes: dict[Any, Any] = field(factory=dict, repr=False)


@frozen(eq=False)
class Head:
    """A request's head."""

    method: str
    #: Still percent-encoded; "*" for `OPTIONS *`.
    path: str
    #: Without the question mark.
    query: str
    #: From the target where that is absolute, else from the Host field.
    host: str
    fields: Fields
    #: 0 for HTTP/1.0, 1 for 1.1.
    minor: int


_blocks: dict[bytes, Fields] = {}


def plain_get(data: bytes) -> tuple[bytes, Fields] | None:
    """The target and the fields of a GET whose block is known, where `data` is that and nothing else."""
    cut = data.find(b"\r\n") + 2
    fields = _blocks.get(data[cut:])
    if fields is None or not data.startswith(_GET) or data[cut - 11 : cut] != _VERSION or cut > MAX_LINE:
        return None
    target = data[4 : cut - 11]
    return (target, fields) if _TARGET.fullmatch(target) else None


def parse_head(data: bytes) -> Head:
    """A whole head.  Raises RemoteProtocolError (400, 414, 431 or 505) where it is not beyond doubt."""
    cut = data.find(b"\r\n") + 2
    fields = _blocks.get(data[cut:])
    if fields is not None and cut <= MAX_LINE and (match := _LINE.fullmatch(data, 0, cut)) is not None:
        method, path, query = match.groups()
        return Head(
            method.decode("ascii"), path.decode("ascii"), (query or b"").decode("ascii"), fields.host, fields, 1
        )
    head = _read(data)
    block = data[cut:]
    # Only what came with HTTP/1.1 and a path is known to be good with another such line.
    if head.minor and head.host == head.fields.host and len(block) <= REMEMBERED_BLOCK:
        if len(_blocks) >= REMEMBERED_BLOCKS:
            del _blocks[next(iter(_blocks))]
        _blocks[block] = head.fields
    return head


def _read(data: bytes) -> Head:
    screen_request(data)
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data) + 1)
    parser.receive_data(data)
    try:
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        raise RemoteProtocolError(f"the request is malformed: {error}", hint=error.error_status_hint) from error
    if not isinstance(event, h11.Request):
        raise RemoteProtocolError("the request is malformed", hint=400)
    minor = 0 if event.http_version == b"1.0" else 1
    fields = _taken_apart(tuple((name, value) for name, value in event.headers), minor)
    target, host = event.target, fields.host
    if not target.startswith(b"/") and target != b"*":
        target, host = _absolute(target)
    where, _, query = target.decode("ascii").partition("?")
    return Head(event.method.decode("ascii"), where, query, host, fields, minor)


def _taken_apart(headers: Headers, minor: int) -> Fields:
    options = {each.strip() for each in (get(headers, b"connection") or b"").lower().split(b",")}
    keep = b"close" not in options if minor else b"keep-alive" in options
    host = (get(headers, b"host") or b"").decode("ascii")
    return Fields(headers, host, keep, frozenset(name for name, _ in headers))


def _absolute(target: bytes) -> tuple[bytes, str]:
    """Absolute-form wins over Host (RFC 9112 section 3.2.2); authority-form is CONNECT's alone."""
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise RemoteProtocolError("the request target is neither a path nor an http URL", hint=400)
    end = next((i for i, byte in enumerate(rest) if byte in b"/?"), len(rest))
    host, target = rest[:end], rest[end:]
    if not host or not is_host(host):
        raise RemoteProtocolError("the request target has an odd host", hint=400)
    return (target if target.startswith(b"/") else b"/" + target), host.decode("ascii")
