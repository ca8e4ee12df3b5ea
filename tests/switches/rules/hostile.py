"""What strangers send, and what upstreams do: requests that are read in two ways, bounds, failover, resuming."""

import re
from typing import Any, Final
from urllib.parse import unquote

import trio

from tierkit._http_client import _Pooled
from tierkit.codecs.http1 import ChunkedDecoder
from tierkit.codecs.http_forward import forwarded
from tierkit.http import ClientTimeouts, ServerTimeouts
from tierkit.plugin import Connection

from ..switch import Switch

#: Seconds that nobody waits, on a clock that leaps.
LONG: Final = 1e6
_END: Any = ChunkedDecoder.__dict__["_end"]
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


#: A field line, and a request line, of an author who believed that nobody sends what he does not.
_ANY_VALUE: Final = re.compile(rb"(" + _TOKEN + rb"):(.*)\Z", re.DOTALL)
_ANY_TARGET: Final = re.compile(rb"(" + _TOKEN + rb") ([^ ]+) HTTP/1\.([01])\Z", re.DOTALL)
_ANY_EXTENSION: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;.*)?\Z", re.DOTALL)


def heads(*cases: str) -> tuple[str, ...]:
    """The tests of these heads, each of which must be refused."""
    return tuple(f"codecs/test_http1.py::test_what_can_be_read_in_two_ways_is_refused[whole-{each}]" for each in cases)


def chunks(*cases: str) -> tuple[str, ...]:
    """The tests of these chunked bodies, each of which must be refused."""
    return tuple(f"codecs/test_http1.py::test_what_a_lenient_reader_would_take_is_refused[{each}]" for each in cases)


def _any_lines(head: bytes) -> tuple[bytes, list[bytes]]:
    """The lines of a head, however they end."""
    first, *fields = (line.rstrip(b"\r") for line in head.rstrip(b"\r\n").split(b"\n"))
    return first, fields


def _any_end(data: bytes | bytearray, start: int = 0) -> int:
    """The end of a head, however its lines end."""
    match = re.search(rb"\r?\n\r?\n", data)
    return match.end() if match else 0


def _size_by_int(self: Any, parts: list[bytes]) -> bool:
    """A chunk's size as Python reads it."""
    line = self._line(self.MAX_SIZE_LINE)
    if line is None:
        return False
    self._left = int(line.partition(b";")[0].decode(), 16)
    self._state = self._data if self._left else self._trailer
    return True


def _any_line(self: Any, limit: int) -> bytes | None:
    """A line of a chunked body, however it ends."""
    end = self._buffer.find(b"\n", 0, limit)
    if end < 0:
        return None
    line = bytes(self._buffer[:end]).removesuffix(b"\r")
    del self._buffer[: end + 1]
    return line


def _anything_behind(self: Any, parts: list[bytes]) -> bool:
    """Two bytes behind a chunk, whatever they are."""
    if len(self._buffer) < 2:
        return False
    del self._buffer[:2]
    self._state = self._size
    return True


def _any_break_behind(self: Any, parts: list[bytes]) -> bool:
    """A line's end behind a chunk, with its CR or without."""
    if self._buffer[:1] == b"\n":
        del self._buffer[:1]
        self._state = self._size
        return True
    return _END(self, parts)


async def _undrained(self: Any) -> bool:
    return True


async def _for_ever(connection: Connection, stall: float) -> None:
    await connection.wait_writable()


def _keep_all(self: Any, key: Any, connection: Connection) -> None:
    self._pool.setdefault(key, []).append(_Pooled(connection, self._clock()))


async def _one_after_the_other(one: Any, line: Any, after: float, allowed: Any) -> list[Any]:
    return [await one(line.pop(0), lambda: None)]


async def _untimed(self: Any, request: Any, response: Any, *, keep: bool) -> bool:
    went: bool = await self.respond(request, response, keep=keep)
    return went


def _failed_alike(self: Any, candidate: Any, reason: str) -> float:
    health = self._of(candidate)
    health.failures += 1
    health.total += 1
    health.reason = reason
    rest = min(15.0, 0.5 * 2.0 ** min(health.failures - 1, 16))
    health.until = self._clock() + rest
    return rest


class _Bottomless(dict[bytes, Any]):
    """Forgets nothing."""

    def __delitem__(self, key: bytes) -> None:
        pass


async def _no_sweep(self: Any) -> None:
    await trio.sleep_forever()


GROUPS: Final[dict[str, list[Switch]]] = {
    "Requests that two readers take apart differently": [
        Switch(
            rule="Content-Length and Transfer-Encoding are not both there",
            source="request smuggling",
            off={"tierkit.codecs.http1:both_told": lambda lengths, codings, old: ""},
            tests=heads("content-length beside transfer-encoding", "transfer-encoding beside content-length"),
        ),
        Switch(
            rule="Content-Length is there once",
            source="request smuggling",
            off={"tierkit.codecs.http1:several_lengths": lambda lengths, codings, old: ""},
            tests=heads("two lengths that differ", "two lengths that agree"),
        ),
        Switch(
            rule="Content-Length is a number",
            source="request smuggling",
            off={"tierkit.codecs.http1:length_no_number": lambda lengths, codings, old: ""},
            tests=heads("a list of lengths", "an empty length", "a hexadecimal length"),
        ),
        Switch(
            rule="Content-Length is no list",
            source="`1,1`",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"[0-9]{1,18}(?:, *[0-9]+)*\Z")},
            tests=heads("a list of lengths"),
        ),
        Switch(
            rule="Content-Length is not empty",
            source="request smuggling",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"[0-9]{0,18}\Z")},
            tests=heads("an empty length"),
        ),
        Switch(
            rule="Content-Length has no plus",
            source="Python's int()",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"\+?[0-9]{1,18}\Z")},
            tests=heads("a length with a plus"),
        ),
        Switch(
            rule="Content-Length is not negative",
            source="Python's int()",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"-?[0-9]{1,18}\Z")},
            tests=heads("a negative length"),
        ),
        Switch(
            rule="Content-Length is decimal",
            source="`0x1`",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"(?:0x)?[0-9]{1,18}\Z")},
            tests=heads("a hexadecimal length"),
        ),
        Switch(
            rule="Content-Length has no underscore",
            source="Python's int()",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"[0-9_]{1,18}\Z")},
            tests=heads("a length with an underscore"),
        ),
        Switch(
            rule="Content-Length has the digits of ASCII alone",
            source="Python's int()",
            off={
                "tierkit.codecs.http1:length_no_number": lambda lengths, codings, old: (
                    "" if all(each.decode("utf-8", "replace").isdecimal() for each in lengths) else "odd"
                )
            },
            tests=heads("a length with Arabic digits"),
        ),
        Switch(
            rule="Around a length there are blanks and tabs, and no other space",
            source="Python's str.strip()",
            off={
                "tierkit.codecs.http1:length_no_number": lambda lengths, codings, old: (
                    "" if all(each.decode("latin-1").strip().isdecimal() for each in lengths) else "odd"
                ),
                "tierkit.codecs.http1:_FIELD": _ANY_VALUE,
            },
            tests=heads("a length with a vertical tab", "a length with a separator", "a length with a next line"),
        ),
        Switch(
            rule="Content-Length fits 63 bits",
            source="overflow",
            off={"tierkit.codecs.http1:_DIGITS": re.compile(rb"[0-9]+\Z")},
            tests=heads("a length beyond 63 bits", "an endless length"),
        ),
        Switch(
            rule="Transfer-Encoding is not for HTTP/1.0",
            source="request smuggling",
            off={"tierkit.codecs.http1:coding_too_new": lambda lengths, codings, old: ""},
            tests=heads("transfer-encoding on HTTP/1.0"),
        ),
        Switch(
            rule="Transfer-Encoding is exactly chunked",
            source="`xchunked`, `,chunked`",
            off={"tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: ""},
            tests=heads("xchunked", "chunked and identity", "the field twice"),
        ),
        Switch(
            rule="Transfer-Encoding that ends in chunked is not enough",
            source="`gzip, chunked`, `,chunked`",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[-1].lower().endswith(b"chunked") else "odd"
                )
            },
            tests=heads("xchunked", "an empty coding before chunked", "gzip and chunked", "chunked twice"),
        ),
        Switch(
            rule="Transfer-Encoding that begins with chunked is not enough",
            source="`chunked, identity`",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[0].lower().startswith(b"chunked") else "odd"
                )
            },
            tests=heads("chunked and identity", "chunked with a parameter"),
        ),
        Switch(
            rule="Transfer-Encoding is there once",
            source="request smuggling",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[-1].lower() == b"chunked" else "odd"
                )
            },
            tests=heads("the field twice"),
        ),
        Switch(
            rule="A coding in quotes is another one",
            source="request smuggling",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[0].strip(b'"').lower() == b"chunked" else "odd"
                )
            },
            tests=heads("chunked in quotes"),
        ),
        Switch(
            rule="Around a coding there are blanks and tabs, and no other space",
            source="Python's str.strip()",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[0].decode("latin-1").strip().lower() == "chunked" else "odd"
                ),
                "tierkit.codecs.http1:_FIELD": _ANY_VALUE,
            },
            tests=heads("chunked with a control byte"),
        ),
        Switch(
            rule="What only looks like chunked is not",
            source="the Kelvin sign, Python's str.lower()",
            off={
                "tierkit.codecs.http1:not_chunked": lambda lengths, codings, old: (
                    "" if not codings or codings[0].decode("utf-8", "replace").lower() == "chunked" else "odd"
                )
            },
            tests=heads("a Kelvin sign for the k"),
        ),
        Switch(
            rule="Nothing stands between a field's name and its colon",
            source="request smuggling",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"(" + _TOKEN + rb")[ \t]*:([\t -~\x80-\xff]*)\Z")},
            tests=heads("a space before the colon", "a tab before the colon"),
        ),
        Switch(
            rule="A field begins at the start of its line, also the first one",
            source="request smuggling",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"[ \t]*(" + _TOKEN + rb"):([\t -~\x80-\xff]*)\Z")},
            tests=heads("a space before the first field"),
        ),
        Switch(
            rule="A line that is folded is refused",
            source="obs-fold",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"(" + _TOKEN + rb"(?=:)|[ \t]+):?([\t -~\x80-\xff]*)\Z")},
            tests=heads("a folded line", "a folded line by a tab"),
        ),
        Switch(
            rule="A line without a colon is refused",
            source="request smuggling",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"(" + _TOKEN + rb"):?([\t -~\x80-\xff]*)\Z")},
            tests=heads("a line without a colon"),
        ),
        Switch(
            rule="A line with nothing before its colon is refused",
            source="request smuggling",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"(" + _TOKEN + rb"|):([\t -~\x80-\xff]*)\Z")},
            tests=heads("a field without a name"),
        ),
        Switch(
            rule="A name of a field is a token",
            source="request smuggling, U+017F for an s",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"([^:\s]+):([\t -~\x80-\xff]*)\Z")},
            tests=heads("a name with a slash", "a name beyond ASCII", "a long s in the name"),
        ),
        Switch(
            rule="A value has no control characters",
            source="request smuggling",
            off={"tierkit.codecs.http1:_FIELD": _ANY_VALUE},
            tests=heads("a DEL in a value"),
        ),
        Switch(
            rule="A head has no NUL",
            source="truncation in other readers",
            off={
                "tierkit.codecs.http1:has_nul": lambda head: False,
                "tierkit.codecs.http1:_FIELD": _ANY_VALUE,
                "tierkit.codecs.http1:_REQUEST_LINE": _ANY_TARGET,
            },
            tests=heads("a NUL in a value", "a NUL in the target"),
        ),
        Switch(
            rule="A head has no bare CR or LF",
            source="request smuggling",
            off={
                "tierkit.codecs.http1:has_bare_break": lambda line: False,
                "tierkit.codecs.http1:_FIELD": _ANY_VALUE,
            },
            tests=heads("a bare CR in a value", "a bare LF in a value"),
        ),
        Switch(
            rule="A line of a head ends in CRLF",
            source="LF alone, CR CR LF",
            off={"tierkit.codecs.http1:_split": _any_lines},
            tests=heads("a bare LF after the request line", "a bare LF in a value", "a CR too many"),
        ),
        Switch(
            rule="A head ends in CRLF CRLF",
            source="LF alone",
            off={"tierkit.codecs.http1:find_head_end": _any_end, "tierkit.codecs.http1:_split": _any_lines},
            tests=heads("bare LF everywhere"),
        ),
        Switch(
            rule="A target is visible ASCII",
            source="request smuggling",
            off={"tierkit.codecs.http1:_REQUEST_LINE": _ANY_TARGET},
            tests=heads("a control byte in the target", "a target beyond ASCII"),
        ),
        Switch(
            rule="A target has no spaces",
            source="request smuggling",
            off={"tierkit.codecs.http1:_REQUEST_LINE": re.compile(rb"(" + _TOKEN + rb") ([ -~]+) HTTP/1\.([01])\Z")},
            tests=heads("a space in the target", "two spaces"),
        ),
        Switch(
            rule="Between method, target and version there is one space",
            source="tabs",
            off={
                "tierkit.codecs.http1:_REQUEST_LINE": re.compile(
                    rb"(" + _TOKEN + rb")[ \t]+([!\"$-~]+)[ \t]+HTTP/1\.([01])\Z"
                )
            },
            tests=heads("two spaces", "a tab for a space"),
        ),
        Switch(
            rule="A target has no fragment",
            source="two readers, two paths",
            off={"tierkit.codecs.http1:_REQUEST_LINE": re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.([01])\Z")},
            tests=heads("a fragment"),
        ),
        Switch(
            rule="A request names its target and its version",
            source="HTTP/0.9",
            off={
                "tierkit.codecs.http1:_REQUEST_LINE": re.compile(
                    rb"(" + _TOKEN + rb")(?: ([!\"$-~]+?))?(?: HTTP/1\.([01]))?\Z"
                )
            },
            tests=heads("no target", "no version"),
        ),
        Switch(
            rule="A version is exactly HTTP/1.0 or HTTP/1.1",
            source="`HTTP/1.1 HTTP/1.1`, prefixes",
            off={"tierkit.codecs.http1:_REQUEST_LINE": re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/1\.([01]).*\Z")},
            tests=heads("the version twice", "a version with a tail", "a version of three digits"),
        ),
        Switch(
            rule="A version is in capitals",
            source="RFC 9112, 2.3",
            off={
                "tierkit.codecs.http1:_REQUEST_LINE": re.compile(
                    rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/1\.([01])\Z", re.IGNORECASE
                )
            },
            tests=heads("a version in small letters"),
        ),
        Switch(
            rule="A method is a token",
            source="request smuggling",
            off={"tierkit.codecs.http1:_REQUEST_LINE": re.compile(rb"([^ ]+) ([!-~]+) HTTP/1\.([01])\Z")},
            tests=heads("a method that is no token"),
        ),
        Switch(
            rule="Host is there once",
            source="RFC 9112, 3.2",
            off={"tierkit.codecs.http1:one_host": lambda hosts, minor: True},
            tests=heads("no host", "two hosts"),
        ),
        Switch(
            rule="Host is a host",
            source="RFC 3986, 3.2.2",
            off={"tierkit.codecs.http1:is_host": lambda value: True},
            tests=heads(
                *("a host with a path", "a host with a user", "a host with a comma", "a host with a space"),
                "a host with a long port",
            ),
        ),
        Switch(
            rule="Absolute-form wins over Host",
            source="RFC 9112, 3.2.2",
            off={
                "tierkit._http_heads:_absolute": lambda target: (
                    b"/" + target.partition(b"://")[2].partition(b"/")[2],
                    "server",
                )
            },
            tests=("http/test_server.py::test_odd_targets_are_refused",),
        ),
        Switch(
            rule="A response is screened like a request",
            source="response splitting",
            off={"tierkit.codecs.http1:screen_response": lambda head: None},
            tests=("codecs/test_http1.py::test_an_answer_that_can_be_read_in_two_ways_is_refused",),
        ),
    ],
    "Chunks": [
        Switch(
            rule="A chunk's size has no sign",
            source="Python's int()",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": re.compile(
                    rb"([+-]?[0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z"
                )
            },
            tests=chunks("a sign"),
        ),
        Switch(
            rule="A chunk's size has no prefix",
            source="`0x1`",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": re.compile(
                    rb"((?:0x)?[0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z"
                )
            },
            tests=chunks("a prefix"),
        ),
        Switch(
            rule="A chunk's size has no underscore",
            source="Python's int()",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": re.compile(
                    rb"([0-9A-Fa-f_]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z"
                )
            },
            tests=chunks("an underscore"),
        ),
        Switch(
            rule="A chunk's size has no spaces around it",
            source="Python's int()",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": re.compile(
                    rb"([ \t]*[0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?\Z"
                )
            },
            tests=chunks("a space before", "a space behind"),
        ),
        Switch(
            rule="A chunk's size has the digits of ASCII alone",
            source="Python's int()",
            off={"tierkit.codecs.http1:ChunkedDecoder._size": _size_by_int},
            tests=chunks("Arabic digits", "a sign", "an underscore"),
        ),
        Switch(
            rule="A chunk's size fits 63 bits",
            source="overflow",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": re.compile(
                    rb"([0-9A-Fa-f]+)(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\Z"
                )
            },
            tests=chunks("more than 63 bits"),
        ),
        Switch(
            rule="A chunk extension has no control characters",
            source="bare CR in an extension",
            off={
                "tierkit.codecs.http1:ChunkedDecoder._SIZE": _ANY_EXTENSION,
                "tierkit.codecs.http1:ChunkedDecoder._line": _any_line,
            },
            tests=chunks("a CR in an extension", "a NUL in an extension", "a vertical tab in an extension"),
        ),
        Switch(
            rule="A line of a chunked body ends in CRLF",
            source="LF alone",
            off={"tierkit.codecs.http1:ChunkedDecoder._line": _any_line},
            tests=chunks("LF alone behind the size"),
        ),
        Switch(
            rule="A chunk is followed by CRLF",
            source="h11 up to 0.14",
            off={"tierkit.codecs.http1:ChunkedDecoder._end": _anything_behind},
            tests=chunks("two other bytes behind the data", "CR alone behind the data"),
        ),
        Switch(
            rule="A chunk is not followed by LF alone",
            source="HTTP Garden",
            off={"tierkit.codecs.http1:ChunkedDecoder._end": _any_break_behind},
            tests=chunks("LF alone behind the data"),
        ),
        Switch(
            rule="Chunk extensions are bounded",
            source="memory by extensions",
            off={"tierkit.codecs.http1:ChunkedDecoder.MAX_SIZE_LINE": 1 << 30},
            tests=("codecs/test_http1.py::test_chunk_extensions_are_bounded",),
        ),
        Switch(
            rule="Trailers are bounded",
            source="memory by trailers",
            off={"tierkit.codecs.http1:ChunkedDecoder.MAX_TRAILERS": 1 << 30},
            tests=("codecs/test_http1.py::test_trailers_are_bounded",),
        ),
        Switch(
            rule="A line of a trailer is screened like one of a head",
            source="response splitting",
            off={"tierkit.codecs.http1:_FIELD": re.compile(rb"([^:]*):?(.*)\Z", re.DOTALL)},
            tests=("codecs/test_http1.py::test_trailers_are_screened",),
        ),
    ],
    "What else a request may not do": [
        Switch(
            rule="An answer says so where what is left of a request's body ends the connection",
            source="a request that is lost behind a refused upload",
            off={"tierkit._http_body:BodyReader.drains": True},
            tests=("http/test_server.py::test_a_large_body_that_was_left_is_not_read_to_its_end",),
        ),
        Switch(
            rule="A body without a length is whole with TLS's goodbye alone",
            source="RFC 9112 section 9.8",
            off={"tierkit._http_answer:is_cut": lambda connection: False},
            tests=("net/test_tls.py::test_a_body_without_a_length_is_whole_with_the_goodbye_alone",),
        ),
        Switch(
            rule="A body that nobody wanted is drained, or the connection is closed",
            source="the next request is in it",
            off={"tierkit._http_body:BodyReader.drain": _undrained},
            tests=("http/test_server.py::test_a_body_ends_where_it_ends",),
        ),
        Switch(
            rule="Dot segments, backslashes and controls, encoded or not, are refused",
            source="two readers, two paths",
            off={"tierkit.plugins.hls._places:check_path": lambda path: None},
            tests=("plugins/test_hls_edge.py::test_odd_paths_go_nowhere",),
        ),
        Switch(
            rule="A path that may be spelt in two ways is looked at",
            source="`%2e%2e`, `//`",
            off={"tierkit.plugins.hls._places:_PLAIN": re.compile(r".*\Z", re.DOTALL)},
            tests=("plugins/test_hls_edge.py::test_odd_paths_go_nowhere",),
        ),
        Switch(
            rule="What is stored has the one spelling by which upstream was asked for it",
            source="`%2f`, `;`",
            off={"tierkit.plugins.hls._places:Gate.name": lambda self, target: unquote(self.upstream.key(target))},
            tests=("plugins/test_hls_plain.py::test_what_the_origin_may_tell_apart_is_stored_apart",),
        ),
        Switch(
            rule="The query is a part of what is asked for",
            source="web cache poisoning",
            off={
                "tierkit.plugins.hls._places:Gate.name": lambda self, target: self.upstream.key(target).partition("?")[
                    0
                ]
            },
            tests=(
                "plugins/test_hls_query.py::test_what_is_not_ignored_is_another_thing",
                "plugins/test_hls_plain.py::test_what_the_origin_may_tell_apart_is_stored_apart",
            ),
        ),
        Switch(
            rule="Of a viewer's fields none chooses what is stored of a stream",
            source="web cache poisoning",
            off={
                "tierkit.plugins.hls._policy:Live.asks": lambda self, request, *, alone: [
                    each for each in forwarded(request) if each[0] not in (b"host", b"via")
                ]
            },
            tests=("plugins/test_hls_edge.py::test_what_goes_upstream_is_made_anew",),
        ),
        Switch(
            rule="A request with credentials goes past what is stored of a stream",
            source="RFC 9111, 3.5",
            off={"tierkit.plugins.hls._policy:Live.bypasses": lambda self, names: False},
            tests=("plugins/test_hls_edge.py::test_credentials_are_passed_on_and_nothing_is_stored",),
        ),
        Switch(
            rule="A cache of streams takes GET, HEAD and OPTIONS alone",
            source="-",
            off={"tierkit.plugins.hls._flow:Flow._check_method": lambda self, method: None},
            tests=(
                "plugins/test_hls_edge.py::test_other_methods_are_not_for_a_cache",
                "plugins/test_hls_plain_bodies.py::test_echoes_and_tunnels_are_refused",
            ),
        ),
        Switch(
            rule="A host that is not answered for is misdirected",
            source="cache poisoning by Host",
            off={"tierkit.plugins.hls._places:Gate._answers_for": lambda self, host: True},
            tests=("plugins/test_hls_streams.py::test_only_its_own_names_are_answered_for",),
        ),
        Switch(
            rule="A loop is found",
            source="tiers that ask each other",
            off={"tierkit.plugins.hls._places:Gate.check_loop": lambda self, headers: None},
            tests=("plugins/test_hls_edge.py::test_a_loop_is_found",),
        ),
        Switch(
            rule="A field cannot break out of its line",
            source="response splitting",
            off={"tierkit.codecs.http1:_UNSAFE_VALUE": re.compile(rb"(?!)")},
            tests=("codecs/test_http1.py::test_nothing_breaks_out_of_its_line",),
        ),
        Switch(
            rule="What goes upstream is made anew",
            source="smuggling through a cache",
            off={"tierkit.plugins.hls._policy:OURS": ()},
            tests=("plugins/test_hls_edge.py::test_what_goes_upstream_is_made_anew",),
        ),
        Switch(
            rule="A field that changes the answer is not overlooked on the quick way",
            source="-",
            off={"tierkit.plugins.hls._flow:NOT_PLAIN": frozenset()},
            tests=("plugins/test_hls_ranges.py::test_if_range",),
        ),
    ],
    "Bounds on viewers": [
        Switch(
            rule="A head is bounded",
            source="memory by heads",
            off={"tierkit.codecs.http1:MAX_HEAD": 1 << 30},
            tests=heads("a long head"),
        ),
        Switch(
            rule="A line of a head is bounded",
            source="memory by heads",
            off={"tierkit.codecs.http1:MAX_LINE": 1 << 14},
            tests=heads("a long target", "a long field"),
        ),
        Switch(
            rule="The fields of a head are bounded",
            source="memory by heads",
            off={"tierkit.codecs.http1:MAX_FIELDS": 1 << 30},
            tests=heads("many fields"),
        ),
        Switch(
            rule="Who speaks another protocol hears so at once",
            source="a TLS client that waits for ever",
            off={"tierkit.codecs.http1:screen_start": lambda data: None},
            tests=("http/test_server.py::test_who_speaks_something_else_is_told_at_once",),
        ),
        Switch(
            rule="Heads that are remembered are bounded",
            source="memory by made-up heads",
            off={"tierkit._http_heads:_blocks": _Bottomless()},
            tests=("http/test_heads.py::test_what_strangers_make_us_remember_is_bounded",),
        ),
        Switch(
            rule="A viewer who takes nothing is closed",
            source="stalled viewers that hold segments",
            off={"tierkit._http_response:writable": _for_ever},
            tests=("http/test_server.py::test_a_viewer_who_takes_nothing_is_reset",),
        ),
        Switch(
            rule="An answer has its time",
            source="readers that drip",
            off={"tierkit._http_server:_Loop.timed": _untimed},
            tests=("http/test_server.py::test_a_viewer_who_takes_little_at_a_time_has_a_bound",),
        ),
        Switch(
            rule="Who waits between requests has his time",
            source="idle connections for ever",
            off={"tierkit._http_park:Park._sweep": _no_sweep},
            tests=("http/test_park.py::test_who_is_idle_for_too_long_is_closed",),
        ),
        Switch(
            rule="Connections of one address are bounded",
            source="one address that takes them all",
            off={"tierkit._limits:Admission.admit": lambda self, host: None},
            tests=("net/test_limits.py::test_one_address_has_a_bound",),
        ),
        Switch(
            rule="Handshakes take turns",
            source="a crowd that joins and stops who watches",
            off={"tierkit._tls_turns:HandshakeTurns._within": lambda self: True},
            tests=("net/test_tls_turns.py::test_between_two_turns_of_others_there_is_one_budget",),
        ),
        Switch(
            rule="Who has waited too long for a handshake is let go",
            source="a queue longer than patience",
            off={"tierkit._tls_turns:HandshakeTurns._late": lambda self, waiting: False},
            tests=("net/test_tls_turns.py::test_who_has_waited_too_long_is_let_go_unserved",),
        ),
        Switch(
            rule="A head has its time",
            source="Slowloris",
            off={"tierkit._http_server:ServerTimeouts": lambda **given: ServerTimeouts(**{**given, "head": LONG})},
            tests=("http/test_server.py::test_a_head_that_drips_is_cut",),
        ),
        Switch(
            rule="A body has its time",
            source="Slowloris",
            off={"tierkit._http_server:ServerTimeouts": lambda **given: ServerTimeouts(**{**given, "body": LONG})},
            tests=("http/test_server.py::test_a_body_that_drips_is_cut",),
        ),
        Switch(
            rule="An idle connection is closed",
            source="idle connections for ever",
            off={"tierkit._http_server:ServerTimeouts": lambda **given: ServerTimeouts(**{**given, "idle": LONG})},
            tests=("http/test_server.py::test_idle_connections_end",),
        ),
    ],
    "What upstreams answer": [
        Switch(
            rule="A connection is kept only where the answer allows it",
            source="RFC 9112, 9.3",
            off={"tierkit._http_answer:keeps": lambda head: True},
            tests=("http/test_client_answers.py::test_keep_alive_by_version_and_connection_field",),
        ),
        Switch(
            rule="What has no body by its status or method has none",
            source="RFC 9112, 6.3",
            off={"tierkit._http_answer:bodiless": lambda method, status: False},
            tests=(
                "http/test_client_answers.py::test_204_and_304_have_no_body_and_one_that_comes_ends_the_connection",
            ),
        ),
        Switch(
            rule="Interim answers are read over",
            source="RFC 9110, 15.2",
            off={"tierkit._http_answer:interim": lambda head: False},
            tests=("http/test_client_answers.py::test_interim_answers_are_read_over",),
        ),
        Switch(
            rule="Interim answers are bounded",
            source="an upstream that never comes to the point",
            off={"tierkit._http_answer:MAX_INTERIM": 1 << 60},
            tests=("http/test_client_answers.py::test_interim_answers_are_bounded_together",),
        ),
        Switch(
            rule="A length is believed only where nothing else is said",
            source="response smuggling",
            off={"tierkit._http_answer:_plainly_framed": lambda fields: True},
            tests=("http/test_client_answers.py::test_a_head_with_odd_framing_is_no_head",),
        ),
        Switch(
            rule="Only safe requests are repeated",
            source="a POST that is done twice",
            off={"tierkit._http_asking:SAFE": frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "MOVE"})},
            tests=("http/test_client_bodies.py::test_an_unsafe_method_is_never_sent_twice",),
        ),
        Switch(
            rule="Framing and connection are ours to say",
            source="smuggling upstream",
            off={"tierkit._http_asking:OURS": frozenset()},
            tests=("http/test_client_bodies.py::test_framing_is_never_the_callers",),
        ),
        Switch(
            rule="A method to which a body belongs says that it has none",
            source="RFC 9110, 8.6",
            off={"tierkit._http_asking:BODIED": frozenset()},
            tests=("http/test_client_bodies.py::test_any_method_goes_out_with_its_body_framed",),
        ),
        Switch(
            rule="100 (Continue) is not waited for for ever",
            source="RFC 9110, 10.1.1",
            off={"tierkit._http_asking:CONTINUE_SECONDS": 1e9},
            tests=("http/test_client_bodies.py::test_expect_waits_no_longer_than_a_second",),
        ),
        Switch(
            rule="What may have arrived is not sent again",
            source="a POST that is done twice",
            off={"tierkit._http_asking:Asking.again": lambda self, sent: True},
            tests=("http/test_client_bodies.py::test_an_unsafe_method_is_never_sent_twice",),
        ),
        Switch(
            rule="Connecting has its time",
            source="one timeout for everything",
            off={"tierkit._http_client:ClientTimeouts": lambda **given: ClientTimeouts(**{**given, "connect": LONG})},
            tests=("http/test_client.py::test_connecting_has_its_time",),
        ),
        Switch(
            rule="The first byte of an answer has its time",
            source="one timeout for everything",
            off={
                "tierkit._http_client:ClientTimeouts": lambda **given: ClientTimeouts(**{**given, "first_byte": LONG})
            },
            tests=("http/test_client.py::test_the_first_byte_has_its_time",),
        ),
        Switch(
            rule="A pause within an answer has its time",
            source="one timeout for everything",
            off={
                "tierkit._http_client:ClientTimeouts": lambda **given: ClientTimeouts(
                    **{**given, "between_bytes": LONG}
                )
            },
            tests=("http/test_client.py::test_a_pause_in_a_body_has_its_time",),
        ),
        Switch(
            rule="An idle connection is used for so long and no longer",
            source="-",
            off={"tierkit._http_client:ClientTimeouts": lambda **given: ClientTimeouts(**{**given, "idle": LONG})},
            tests=("http/test_client.py::test_an_idle_connection_past_its_time_is_not_used",),
        ),
        Switch(
            rule="The pool of idle connections is bounded",
            source="-",
            off={"tierkit._http_client:HttpClient._keep": _keep_all},
            tests=("http/test_client.py::test_the_pool_is_bounded_and_swept",),
        ),
    ],
    "A body that breaks off": [
        Switch(
            rule="What contradicts itself is another object",
            source="two halves of two versions",
            off={"tierkit.plugins.hls._resume:contradiction": lambda one, other: ""},
            tests=("plugins/test_hls_upstreams_resume.py::test_the_users_word_does_not_stand_against_what_differs",),
        ),
        Switch(
            rule="Only a strong tag proves one object",
            source="two halves of two versions",
            off={"tierkit.plugins.hls._resume:same_etag": lambda one, other: True},
            tests=("plugins/test_hls_upstreams_resume.py::test_what_is_provable",),
        ),
        Switch(
            rule="A date proves one object only with its length",
            source="two halves of two versions",
            off={"tierkit.plugins.hls._resume:same_date": lambda one, other: True},
            tests=("plugins/test_hls_upstreams_resume.py::test_what_is_provable",),
        ),
        Switch(
            rule="A name proves nothing unless the operator says so",
            source="two halves of two versions",
            off={"tierkit.plugins.hls._resume:same_name": lambda one, other: True},
            tests=("plugins/test_hls_upstreams_resume.py::test_what_is_provable",),
        ),
        Switch(
            rule="If-Range takes strong validators alone",
            source="RFC 9110, 13.1.5",
            off={"tierkit.plugins.hls._resume:Identity.condition": property(lambda self: self.etag or self.modified)},
            tests=("plugins/test_hls_upstreams_resume.py::test_a_weak_validator_is_no_condition_of_a_range",),
        ),
        Switch(
            rule="What is read again is bounded",
            source="an upstream that begins at 0 each time",
            off={"tierkit.plugins.hls._resume:MAX_SKIP": 1 << 60},
            tests=("plugins/test_hls_upstreams_resume.py::test_what_is_read_over_is_bounded",),
        ),
        Switch(
            rule="What overlaps must be the same bytes",
            source="two halves of two versions",
            off={"tierkit.plugins.hls._resume:OVERLAP": 0},
            tests=("plugins/test_hls_upstreams_resume.py::test_the_users_word_does_not_stand_against_what_differs",),
        ),
        Switch(
            rule="A store without room lets upstream wait for a moment",
            source="-",
            off={"tierkit.plugins.hls._resume:ROOM_SECONDS": 0},
            tests=("plugins/test_hls_upstreams_resume.py::test_an_upstream_waits_while_the_store_has_no_room",),
        ),
        Switch(
            rule="A body may break off so often and no more",
            source="an upstream that breaks off each megabyte",
            off={"tierkit.plugins.hls._ask:RESUMPTIONS": 1000},
            tests=(
                "plugins/test_hls_upstreams_resume.py::test_a_body_that_breaks_off_again_and_again_goes_on_so_often_and_no_more",
            ),
        ),
        Switch(
            rule="A body that breaks off is gone on with elsewhere",
            source="-",
            off={"tierkit.plugins.hls._ask:RESUMPTIONS": 0},
            tests=(
                "plugins/test_hls_upstreams_resume.py::test_a_body_goes_on_at_the_same_upstream_where_there_is_no_other",
            ),
        ),
        Switch(
            rule="The rest is asked for elsewhere first",
            source="-",
            off={"tierkit.plugins.hls._ask:Asker._others": lambda self, broken, key: [broken]},
            tests=("plugins/test_hls_upstreams_resume.py::test_the_same_date_and_length_are_proof",),
        ),
    ],
    "Several upstreams": [
        Switch(
            rule="An error of one is not the answer where another may have a better",
            source="-",
            off={"tierkit.plugins.hls._ask:Asker._acceptable": staticmethod(lambda candidate, wanted, status: True)},
            tests=(
                "plugins/test_hls_upstreams_health.py::test_429_is_passed_over_like_a_5xx_where_somebody_else_may_answer",
            ),
        ),
        Switch(
            rule="What may have done something goes to nobody else",
            source="a POST that is done twice",
            off={"tierkit.plugins.hls._ask:_Wanted.again": lambda self, error: True},
            tests=(
                "plugins/test_hls_upstreams_hedge.py::test_what_may_do_something_is_never_hedged_and_goes_to_nobody_else",
            ),
        ),
        Switch(
            rule="Where nobody else is left, what there is is the answer",
            source="-",
            off={"tierkit.plugins.hls._ask:_Wanted.alone": lambda self, candidate: False},
            tests=("plugins/test_hls_upstreams_health.py::test_an_error_that_is_taken_counts_against_its_upstream",),
        ),
        Switch(
            rule="An upstream that answers badly again and again is down",
            source="-",
            off={"tierkit.plugins.hls._health:Health.answered_badly": lambda self, candidate, reason: False},
            tests=("plugins/test_hls_upstreams_health.py::test_bad_answers_are_a_failure_after_so_many_in_a_row",),
        ),
        Switch(
            rule="Retry-After is heeded, up to a bound",
            source="an upstream that is sent away for a day",
            off={"tierkit.plugins.hls._health:RETRY_AFTER_MOST": 10**9},
            tests=("plugins/test_hls_upstreams_health.py::test_retry_after_in_both_forms_and_within_a_bound",),
        ),
        Switch(
            rule="429 and 503 may say when to come back",
            source="-",
            off={"tierkit.plugins.hls._health:COME_BACK": frozenset()},
            tests=(
                "plugins/test_hls_upstreams_health.py::test_who_says_to_come_back_goes_behind_for_that_key_and_that_long",
            ),
        ),
        Switch(
            rule="It takes several probes to be down",
            source="one probe that was lost",
            off={"tierkit.plugins.hls._health:FALL": 1},
            tests=("plugins/test_hls_upstreams_health.py::test_probes_that_fail_now_and_then_change_nothing",),
        ),
        Switch(
            rule="It takes several probes to be up again",
            source="flapping",
            off={"tierkit.plugins.hls._health:RISE": 1},
            tests=("plugins/test_hls_upstreams_health.py::test_probes_bring_back_whom_requests_have_lost",),
        ),
        Switch(
            rule="Who is down by probes is asked last",
            source="-",
            off={"tierkit.plugins.hls._health:Health.down": lambda self, candidate: False},
            tests=("plugins/test_hls_upstreams_health.py::test_probes_find_down_after_so_many_and_up_after_so_many",),
        ),
        Switch(
            rule="Hedges have a budget",
            source="hedging that doubles the load",
            off={"tierkit.plugins.hls._hedge:HedgeBudget.take": lambda self: True},
            tests=(
                "plugins/test_hls_upstreams_hedge.py::test_a_budget_that_is_spent_is_saved_up_again_and_no_further",
            ),
        ),
        Switch(
            rule="A hedge is one request in ten",
            source="hedging that doubles the load",
            off={"tierkit.plugins.hls._hedge:HEDGE_SHARE": 1.0},
            tests=("plugins/test_hls_upstreams_hedge.py::test_a_slow_origin_is_not_doubled",),
        ),
        Switch(
            rule="A probe has its time",
            source="-",
            off={"tierkit.plugins.hls._probe:PROBE_SECONDS": 1e9},
            tests=(
                "plugins/test_hls_upstreams_health.py::test_who_fails_probes_is_asked_last_before_any_viewer_finds_out",
            ),
        ),
        Switch(
            rule="A probe reads no more than it needs",
            source="-",
            off={"tierkit.plugins.hls._probe:PROBE_BYTES": 1 << 30},
            tests=(
                "plugins/test_hls_upstreams_health.py::test_who_fails_probes_is_asked_last_before_any_viewer_finds_out",
            ),
        ),
        Switch(
            rule="Edges do not probe all at once",
            source="-",
            off={"tierkit.plugins.hls._probe:SPREAD": 0.5},
            tests=("plugins/test_hls_upstreams_health.py::test_probes_come_so_often_and_not_all_at_once",),
        ),
        Switch(
            rule="Each key has its own order of upstreams, the same everywhere",
            source="rendezvous hashing",
            off={"tierkit._upstream:_weight": lambda name, key: name.encode()},
            tests=("core/test_upstream.py::test_hash_spreads_and_stays_as_it_is",),
        ),
        Switch(
            rule="An upstream that failed rests for longer and longer",
            source="-",
            off={"tierkit._upstream:LONGEST_REST": 0.5},
            tests=("core/test_upstream.py::test_rests_double_up_to_a_bound",),
        ),
        Switch(
            rule="Edges that lost an upstream together do not return together",
            source="a herd of returning edges",
            off={"tierkit._upstream:UpstreamSet.failed": _failed_alike},
            tests=("core/test_upstream.py::test_rests_double_up_to_a_bound",),
        ),
        Switch(
            rule="Nobody waits for an upstream that is known to be down",
            source="CloudFront waits for the origin's timeout",
            off={"tierkit.plugins.hls._fetch:Fetcher.resting": lambda self, key: False},
            tests=("plugins/test_hls_edge.py::test_nobody_waits_for_an_upstream_that_is_known_to_be_down",),
        ),
        Switch(
            rule="While all are down, one request a second looks whether one is back",
            source="-",
            off={"tierkit.plugins.hls._fetch:Fetcher.tries_again": lambda self, key: False},
            tests=("plugins/test_hls_edge.py::test_while_all_are_down_one_request_a_second_looks_who_is_back",),
        ),
        Switch(
            rule="A slow head has the next asked as well",
            source="CloudFront waits for the origin's timeout",
            off={"tierkit.plugins.hls._hedge:race": _one_after_the_other},
            tests=(
                "plugins/test_hls_upstreams_hedge.py::test_a_slow_head_has_the_next_asked_as_well_and_the_first_head_wins",
            ),
        ),
    ],
}
