"""HTTP/1.1 on the wire, sans-IO: what h11 is shown, what is refused before it, and chunked bodies.

h11 parses heads.  Before it stands `screen_head`, because h11 0.16 lets through what a cache must never
pass on: bare LF, folded lines, doubled or listed Content-Length, Content-Length beside Transfer-Encoding,
Transfer-Encoding on HTTP/1.0, odd versions, fragments, odd hosts.  Whatever could be read in two ways is
answered 400 and closed (RFC 9112 sections 2.2, 5, 6.3 and 11.2; request smuggling).

Numbers are parsed by table, never by `int()` alone: that takes signs, underscores and Unicode digits.
Heads are always made anew from parsed fields, never relayed raw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ..errors import RemoteProtocolError

__all__ = [
    "MAX_FIELDS",
    "MAX_HEAD",
    "MAX_LINE",
    "ChunkedDecoder",
    "Headers",
    "content_length",
    "find_head_end",
    "get",
    "is_host",
    "render_head",
    "screen_request",
    "screen_response",
    "screen_start",
]

Headers = Sequence[tuple[bytes, bytes]]

#: Varnish reads 32 KB of request in lines of at most 8 KB, and 64 fields; browsers behind single sign-on
#: send more fields than that.
MAX_HEAD = 32768
MAX_LINE = 8192
MAX_FIELDS = 100
#: Longest run of digits in a Content-Length that still fits 63 bits.
_DIGITS = re.compile(rb"[0-9]{1,18}\Z")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# RFC 9112 section 3; a target has no control, space, fragment or byte beyond ASCII.
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/1\.([01])\Z")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\Z")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):([\t -~\x80-\xff]*)\Z")
# A first line so far: visible ASCII and spaces, whatever order they come in.
_TEXT_LINE = re.compile(rb"[ -~]*(?:\r?(?:\n|\Z))?")
# What else comes to an HTTP door by its first bytes: a TLS record of a handshake, RTMP's C0.
_OTHERS = ((b"\x16\x03", "a TLS client (use https)"), (b"\x03", "an RTMP client (use rtmp)"))
# RFC 3986 host, with a port; brackets for IPv6.
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]*)(?::[0-9]{1,5})?\Z")


def find_head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Index just behind a complete head, or 0 where more is needed.

    Raises RemoteProtocolError (431) once the head is longer than is read.
    """
    end = data.find(b"\r\n\r\n", max(0, start - 3))
    if end < 0:
        # Bare LF ends a head for lenient parsers; waiting for a CRLF that never comes would be a stall.
        if b"\n\n" in data[max(0, start - 1) :]:
            raise RemoteProtocolError("a line of the head ends in a bare LF", hint=400)
        if len(data) > MAX_HEAD:
            raise RemoteProtocolError(f"the head is longer than {MAX_HEAD} bytes", hint=431)
        return 0
    if end + 4 > MAX_HEAD:
        raise RemoteProtocolError(f"the head is longer than {MAX_HEAD} bytes", hint=431)
    return end + 4


def screen_start(data: bytes | bytearray) -> None:
    """Raise RemoteProtocolError (400) as soon as the bytes so far cannot become a request.

    A client of another protocol waits for our first word, so whoever waited for the end of its head would let it
    hang until the deadline, and then could not say what was wrong.
    """
    line = bytes(data[:MAX_LINE])
    match = _TEXT_LINE.match(line)
    if match is not None and (match.end() == len(line) or line[match.end() - 1] == 10):
        return
    for start, who in _OTHERS:
        if line.startswith(start):
            raise RemoteProtocolError(f"not HTTP: {who}", hint=400)
    raise RemoteProtocolError("not HTTP: bytes that are no text in the first line", hint=400)


def screen_request(head: bytes) -> None:
    """Raise RemoteProtocolError (400, 414, 431 or 505) for a request head that is not beyond doubt."""
    first, fields = _split(head)
    match = _REQUEST_LINE.match(first)
    if match is None:
        if re.match(rb"PRI \* HTTP/2\.0\Z", first) or re.match(rb"[!-~]+ [!-~]+ HTTP/[02-9]", first):
            raise RemoteProtocolError("this is no HTTP/1.x request", hint=505)
        raise RemoteProtocolError("the request line is malformed", hint=414 if len(first) > MAX_LINE else 400)
    minor = match.group(3)
    named = _fields(fields)
    _screen_framing(named, old=minor == b"0")
    hosts = named.get(b"host", [])
    if not one_host(hosts, minor):
        raise RemoteProtocolError("exactly one Host field is needed", hint=400)
    if hosts and not is_host(hosts[0]):
        raise RemoteProtocolError("the Host field is malformed", hint=400)


def is_host(value: bytes) -> bool:
    """Whether this is a host as RFC 3986 section 3.2.2 has it, with or without a port; an empty one is."""
    return _HOST.match(value) is not None


def screen_response(head: bytes) -> None:
    """Raise RemoteProtocolError for a response head that is not beyond doubt."""
    first, fields = _split(head)
    match = _STATUS_LINE.match(first)
    if match is None:
        raise RemoteProtocolError("the status line is malformed", hint=502)
    _screen_framing(_fields(fields), old=match.group(1) == b"0")


def one_host(hosts: list[bytes], minor: bytes) -> bool:
    """Whether it is told once whom the request is for (RFC 9112 section 3.2); HTTP/1.0 need not tell."""
    return len(hosts) == 1 or (not hosts and minor == b"0")


def has_nul(head: bytes) -> bool:
    """Where some readers end a text."""
    return b"\0" in head


def has_bare_break(line: bytes) -> bool:
    """Where some readers end a line (RFC 9112 section 2.2)."""
    return b"\n" in line or b"\r" in line


def _split(head: bytes) -> tuple[bytes, list[bytes]]:
    if has_nul(head):
        raise RemoteProtocolError("the head has a NUL byte", hint=400)
    lines = head[:-4].split(b"\r\n")
    for line in lines:
        if has_bare_break(line):
            raise RemoteProtocolError("the head has a bare CR or LF", hint=400)
        if len(line) > MAX_LINE:
            hint = 414 if line is lines[0] else 431
            raise RemoteProtocolError(f"a line of the head is longer than {MAX_LINE} bytes", hint=hint)
    if len(lines) - 1 > MAX_FIELDS:
        raise RemoteProtocolError(f"the head has more than {MAX_FIELDS} fields", hint=431)
    return lines[0], lines[1:]


def _fields(lines: Iterable[bytes]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        match = _FIELD.match(line)
        if match is None:
            what = "is folded" if line[:1] in (b" ", b"\t") else "is malformed"
            raise RemoteProtocolError(f"a field line of the head {what}", hint=400)
        # Spaces around a value are no part of it; an expression for that would look at each space again and again.
        found.setdefault(match.group(1).lower(), []).append(match.group(2).strip(b" \t"))
    return found


Framing = Callable[[list[bytes], list[bytes], bool], str]


def both_told(lengths: list[bytes], codings: list[bytes], old: bool) -> str:
    """Two readers would believe one each (RFC 9112 section 6.1)."""
    return "Content-Length and Transfer-Encoding are both there" if lengths and codings else ""


def coding_too_new(lengths: list[bytes], codings: list[bytes], old: bool) -> str:
    """A hop of HTTP/1.0 does not know that the body ends in itself (RFC 9112 section 6.1)."""
    return "Transfer-Encoding is not for HTTP/1.0" if codings and old else ""


def not_chunked(lengths: list[bytes], codings: list[bytes], old: bool) -> str:
    """Any other coding, or a list, or what only looks like it, has no end that all agree on."""
    odd = len(codings) > 1 or (codings and codings[0].lower() != b"chunked")
    return "Transfer-Encoding is not exactly 'chunked'" if odd else ""


def several_lengths(lengths: list[bytes], codings: list[bytes], old: bool) -> str:
    """Of two lengths one is wrong (RFC 9112 section 6.3, item 5)."""
    return "Content-Length is not exactly one number" if len(lengths) > 1 else ""


def length_no_number(lengths: list[bytes], codings: list[bytes], old: bool) -> str:
    """Lists, signs, other bases, and what does not fit 63 bits are read in several ways."""
    return "Content-Length is not exactly one number" if not all(map(_DIGITS.match, lengths)) else ""


#: What is told twice about where a body ends, or in an odd way; the first that speaks is the reason.
FRAMING: Final[list[Framing]] = [both_told, coding_too_new, not_chunked, several_lengths, length_no_number]


def _screen_framing(named: dict[bytes, list[bytes]], *, old: bool) -> None:
    lengths, codings = named.get(b"content-length", []), named.get(b"transfer-encoding", [])
    for rule in FRAMING:
        if reason := rule(lengths, codings, old):
            raise RemoteProtocolError(reason, hint=400)


def get(headers: Headers, name: bytes) -> bytes | None:
    """The value of a field by its lower-case name; several are joined by a comma (RFC 9110 section 5.3)."""
    found = [value for key, value in headers if key == name]
    return b", ".join(found) if found else None


def content_length(headers: Headers) -> int | None:
    """The declared length of a body in bytes, or None.  The head has passed its screen."""
    value = get(headers, b"content-length")
    return int(value) if value is not None and _DIGITS.match(value) else None


_UNSAFE_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def render_head(first: bytes, headers: Headers) -> bytes:
    """A head from a start line and fields.  Raises ValueError where a field would break out of its line."""
    parts = [first]
    for name, value in headers:
        if _UNSAFE_VALUE.search(value) or not re.match(_TOKEN + rb"\Z", name):
            raise ValueError(f"header {name!r} cannot be sent: it has a control character")
        parts.append(b"%s: %s" % (name, value))
    parts.append(b"\r\n")
    return b"\r\n".join(parts)


class ChunkedDecoder:
    """A chunked body (RFC 9112 section 7.1), fed in any pieces.

    `receive` returns what the body has so far; `finished` tells of its end, `rest` holds what came behind it, and
    `trailers` what fields came with it: never to be taken for those of the head.  Chunk extensions are read over and
    dropped; both are bounded.
    """

    #: Bytes of a chunk's size line, and of all trailers: nobody real sends more than a few dozen.
    MAX_SIZE_LINE = 256
    MAX_TRAILERS = 8192

    _SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z")

    def __init__(self) -> None:
        self.finished = False
        self.rest = b""
        #: Lower-case names and values, in order.
        self.trailers: list[tuple[bytes, bytes]] = []
        self._buffer = bytearray()
        self._left = 0
        self._state = self._size
        self._trailers = 0

    def receive(self, data: bytes) -> bytes:
        """Take more bytes; returns the part of the body that they complete.  Raises RemoteProtocolError."""
        if self._left and not self._buffer and len(data) < self._left:
            self._left -= len(data)  # the common case: the middle of a large chunk
            return data
        self._buffer += data
        parts: list[bytes] = []
        while not self.finished and self._state(parts):
            pass
        if self.finished:
            self.rest = bytes(self._buffer)
            self._buffer.clear()
        return b"".join(parts)

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\n", 0, limit)
        if end < 0:
            if len(self._buffer) >= limit:
                raise RemoteProtocolError("a line of a chunked body is too long", hint=400)
            return None
        line = bytes(self._buffer[: end + 1])
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            raise RemoteProtocolError("a line of a chunked body does not end in CRLF", hint=400)
        del self._buffer[: end + 1]
        return line[:-2]

    def _size(self, parts: list[bytes]) -> bool:
        line = self._line(self.MAX_SIZE_LINE)
        if line is None:
            return False
        match = self._SIZE.match(line)
        if match is None:
            raise RemoteProtocolError("a chunk's size is malformed", hint=400)
        self._left = int(match.group(1), 16)
        self._state = self._data if self._left else self._trailer
        return True

    def _data(self, parts: list[bytes]) -> bool:
        piece = bytes(self._buffer[: self._left])
        if piece:
            parts.append(piece)
            del self._buffer[: len(piece)]
            self._left -= len(piece)
        if self._left:
            return False
        self._state = self._end
        return True

    def _end(self, parts: list[bytes]) -> bool:
        if len(self._buffer) < 2:
            if self._buffer and self._buffer[0] != 0x0D:
                raise RemoteProtocolError("a chunk is not followed by CRLF", hint=400)
            return False
        if self._buffer[:2] != b"\r\n":
            raise RemoteProtocolError("a chunk is not followed by CRLF", hint=400)
        del self._buffer[:2]
        self._state = self._size
        return True

    def _trailer(self, parts: list[bytes]) -> bool:
        line = self._line(MAX_LINE)
        if line is None:
            return False
        if not line:
            self.finished = True
            return False
        self._trailers += len(line) + 2
        match = _FIELD.match(line)
        if match is None or self._trailers > self.MAX_TRAILERS:
            raise RemoteProtocolError("the trailers of a chunked body are malformed or too long", hint=400)
        self.trailers.append((match.group(1).lower(), match.group(2).strip(b" \t")))
        return True
