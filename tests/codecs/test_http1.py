"""The screen before h11, chunked bodies, and heads made anew.

The invariant: whatever bytes come, a head is either needed in full, refused with a hint to answer, or beyond
doubt; and it does not matter in which pieces the bytes came.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tierkit.codecs.http1 import (
    MAX_FIELDS,
    MAX_HEAD,
    MAX_LINE,
    ChunkedDecoder,
    content_length,
    find_head_end,
    get,
    render_head,
    screen_request,
    screen_response,
)
from tierkit.errors import RemoteProtocolError

HOST = b"Host: a.example\r\n"


def head(line: bytes = b"GET / HTTP/1.1", fields: bytes = HOST) -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def with_field(field: bytes) -> bytes:
    return head(fields=HOST + field + b"\r\n")


#: What must never be passed on, by the reason that HTTP Garden and its kin give for it.
REFUSED = {
    "content-length beside transfer-encoding": with_field(b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
    "transfer-encoding beside content-length": with_field(b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    "two lengths that differ": with_field(b"Content-Length: 5\r\nContent-Length: 6"),
    "two lengths that agree": with_field(b"Content-Length: 5\r\nContent-Length: 5"),
    "a list of lengths": with_field(b"Content-Length: 1,1"),
    "an empty length": with_field(b"Content-Length:"),
    "a length with a plus": with_field(b"Content-Length: +1"),
    "a negative length": with_field(b"Content-Length: -1"),
    "a hexadecimal length": with_field(b"Content-Length: 0x1"),
    "a length with an underscore": with_field(b"Content-Length: 1_0"),
    "a length with Arabic digits": with_field("Content-Length: \u0661".encode()),
    "a length beyond 63 bits": with_field(b"Content-Length: 9223372036854775808"),
    "an endless length": with_field(b"Content-Length: " + b"1" * 5000),
    "a length with a vertical tab": with_field(b"Content-Length: \x0b1"),
    "a length with a separator": with_field(b"Content-Length: 1\x1c"),
    "a length with a next line": with_field(b"Content-Length: 1\x85"),
    "transfer-encoding on HTTP/1.0": head(b"GET / HTTP/1.0", HOST + b"Transfer-Encoding: chunked\r\n"),
    "an empty coding before chunked": with_field(b"Transfer-Encoding: ,chunked"),
    "xchunked": with_field(b"Transfer-Encoding: xchunked"),
    "chunked and identity": with_field(b"Transfer-Encoding: chunked, identity"),
    "gzip and chunked": with_field(b"Transfer-Encoding: gzip, chunked"),
    "chunked twice": with_field(b"Transfer-Encoding: chunked, chunked"),
    "the field twice": with_field(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    "chunked in quotes": with_field(b'Transfer-Encoding: "chunked"'),
    "chunked with a parameter": with_field(b"Transfer-Encoding: chunked;q=1"),
    "chunked with a control byte": with_field(b"Transfer-Encoding: \x0bchunked"),
    "a Kelvin sign for the k": with_field("Transfer-Encoding: chun\u212aed".encode()),
    "a long s in the name": with_field("Tran\u017ffer-Encoding: chunked".encode()),
    "a space before the colon": with_field(b"Content-Length : 5"),
    "a tab before the colon": with_field(b"Content-Length\t: 5"),
    "a space before the first field": head(fields=b" " + HOST),
    "a folded line": with_field(b"X-A: 1\r\n 2"),
    "a folded line by a tab": with_field(b"X-A: 1\r\n\t2"),
    "a line without a colon": with_field(b"Just words"),
    "a field without a name": with_field(b": value"),
    "a NUL in a value": with_field(b"X-A: a\0b"),
    "a NUL in the target": head(b"GET /\0 HTTP/1.1"),
    "a bare CR in a value": with_field(b"X-A: a\rContent-Length: 5"),
    "a bare LF in a value": with_field(b"X-A: a\nContent-Length: 5"),
    "a bare LF after the request line": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "bare LF everywhere": b"GET / HTTP/1.1\nHost: a.example\n\n",
    "a CR too many": b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n",
    "a name with a slash": with_field(b"X/A: 1"),
    "a name beyond ASCII": with_field(b"X\xe9: 1"),
    "a DEL in a value": with_field(b"X-A: a\x7f"),
    "a control byte in the target": head(b"GET /\x01 HTTP/1.1"),
    "a space in the target": head(b"GET /a b HTTP/1.1"),
    "a target beyond ASCII": head(b"GET /\xc3\xa9 HTTP/1.1"),
    "a fragment": head(b"GET /#top HTTP/1.1"),
    "no target": head(b"GET HTTP/1.1"),
    "two spaces": head(b"GET  / HTTP/1.1"),
    "a tab for a space": head(b"GET\t/ HTTP/1.1"),
    "the version twice": head(b"GET / HTTP/1.1 HTTP/1.1"),
    "a version with a tail": head(b"GET / HTTP/1.1x"),
    "a version of three digits": head(b"GET / HTTP/1.10"),
    "a version in small letters": head(b"GET / http/1.1"),
    "no version": head(b"GET /"),
    "a method that is no token": head(b"G(T / HTTP/1.1"),
    "no host": head(fields=b"X-A: 1\r\n"),
    "two hosts": with_field(b"Host: b.example"),
    "a host with a path": head(fields=b"Host: a.example/b\r\n"),
    "a host with a user": head(fields=b"Host: me@a.example\r\n"),
    "a host with a comma": head(fields=b"Host: a.example, b.example\r\n"),
    "a host with a space": head(fields=b"Host: a.example b.example\r\n"),
    "a host with a long port": head(fields=b"Host: a.example:123456\r\n"),
}  # fmt: skip
#: Refused with another status than 400.
OTHERWISE = {
    "HTTP/2 without asking": (b"PRI * HTTP/2.0\r\n\r\n", 505),
    "HTTP/2 by name": (head(b"GET / HTTP/2.0"), 505),
    "HTTP/0.9 by name": (head(b"GET / HTTP/0.9"), 505),
    "a long target": (head(b"GET /" + b"a" * MAX_LINE + b" HTTP/1.1"), 414),
    "a long field": (with_field(b"X-A: " + b"a" * MAX_LINE), 431),
    "many fields": (head(fields=HOST + b"X: 1\r\n" * MAX_FIELDS), 431),
    "a long head": (head(fields=HOST + (b"X: " + b"a" * 1000 + b"\r\n") * 40), 431),
}  # fmt: skip
EVERY = {**{name: (data, 400) for name, data in REFUSED.items()}, **OTHERWISE}


def judge(pieces: Sequence[bytes]) -> bytes | None:
    """What a server makes of these pieces: the head, or None where more is needed."""
    buffer = bytearray()
    for piece in pieces:
        looked = len(buffer)
        buffer += piece
        if end := find_head_end(buffer, looked):
            found = bytes(buffer[:end])
            screen_request(found)
            return found
    return None


def single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("cut", [lambda data: [data], single, lambda data: [data + b"GET /next HTTP/1.1\r\n"]],
                         ids=["whole", "byte by byte", "with more behind it"])  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(name: str, cut: object) -> None:
    data, status = EVERY[name]
    with pytest.raises(RemoteProtocolError) as caught:
        judge(cut(data))  # type: ignore[operator]
    assert caught.value.hint == status
    assert "\n" not in str(caught.value)


ACCEPTED = [
    head(),
    head(b"GET /live/s/playlist.m3u8?a=b&c=%20 HTTP/1.1"),
    head(b"GET http://a.example/x HTTP/1.1"),
    head(b"OPTIONS * HTTP/1.1"),
    head(b"GET / HTTP/1.0", b""),
    head(fields=b"Host: [::1]:8080\r\n"),
    head(fields=b"host:a.example:80\r\n"),
    head(fields=b"Host:\r\n"),
    with_field(b"X-Empty:"),
    with_field(b"X-Space: \t a b\tc \t"),
    with_field(b"X-Latin: caf\xe9"),
    with_field(b"Transfer-Encoding: Chunked"),
    with_field(b"Content-Length: 000005"),
    with_field(b"Content-Length: 999999999999999999"),
    head(fields=HOST + b"X: 1\r\n" * (MAX_FIELDS - 1)),
]


@pytest.mark.parametrize("data", ACCEPTED)
@pytest.mark.parametrize("cut", [lambda data: [data], single, lambda data: [data + b"\n\nrubbish"]],
                         ids=["whole", "byte by byte", "with rubbish behind it"])  # fmt: skip
def test_what_is_beyond_doubt_passes(data: bytes, cut: object) -> None:
    assert judge(cut(data)) == data  # type: ignore[operator]


def test_a_head_that_never_ends_is_refused_at_its_bound() -> None:
    line = b"X: " + b"a" * 1000 + b"\r\n"
    buffer = bytearray(b"GET / HTTP/1.1\r\n")
    while len(buffer) + len(line) <= MAX_HEAD:
        looked = len(buffer)
        buffer += line
        assert find_head_end(buffer, looked) == 0
    with pytest.raises(RemoteProtocolError) as caught:
        find_head_end(buffer + line, len(buffer))
    assert caught.value.hint == 431


@given(st.binary(max_size=400), st.integers(1, 40))
@example(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1)
def test_any_bytes_give_a_head_or_one_error_however_they_are_cut(data: bytes, size: int) -> None:
    def outcome(pieces: Sequence[bytes]) -> object:
        try:
            return judge(pieces)
        except RemoteProtocolError as error:
            return str(error)

    assert outcome([data]) == outcome([data[i : i + size] for i in range(0, len(data), size)])


TOKEN = st.text("!#$%&'*+-.^_`|~abcXYZ019", min_size=1, max_size=10).map(str.encode)
VALUE = st.binary(max_size=20).filter(lambda value: not set(value) & {0, 10, 13}).map(bytes.strip)


@given(TOKEN, st.text("abc/%2?=&;.~", max_size=20).map(lambda t: b"/" + t.encode()), st.lists(st.tuples(TOKEN, VALUE)))
def test_what_passes_the_screen_passes_h11_unchanged(
    method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    lines = b"".join(b"%s: %s\r\n" % field for field in fields)
    data = head(b"%s %s HTTP/1.1" % (method, target), HOST + lines)
    try:
        screen_request(data)
    except RemoteProtocolError:
        return
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (method, target)
    assert list(event.headers) == [(b"host", b"a.example"), *((name.lower(), value) for name, value in fields)]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        screen_response(data)


@pytest.mark.parametrize("line", [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.0 404 Nicht da \xe4"])
def test_an_answer_beyond_doubt_passes(line: bytes) -> None:
    screen_response(line + b"\r\nContent-Type: video/MP2T\r\n\r\n")


# --- fields --------------------------------------------------------------------------------------


def test_fields_by_name_and_lengths() -> None:
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"content-length", b"12")]
    assert get(headers, b"a") == b"1, 3"
    assert get(headers, b"c") is None
    assert content_length(headers) == 12
    assert content_length([(b"content-length", b"1_2")]) is None
    assert content_length([]) is None


def test_a_rendered_head() -> None:
    assert render_head(b"HTTP/1.1 200 OK", [(b"A", b"1"), (b"B", b"")]) == b"HTTP/1.1 200 OK\r\nA: 1\r\nB: \r\n\r\n"


@pytest.mark.parametrize("field", [(b"A", b"1\r\nB: 2"), (b"A", b"1\nB"), (b"A", b"\0"), (b"A\r\n", b"1"), (b"", b"1"),
                                   (b"A b", b"1"), (b"A:", b"1")])  # fmt: skip
def test_nothing_breaks_out_of_its_line(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        render_head(b"HTTP/1.1 200 OK", [field])


# --- chunked bodies ------------------------------------------------------------------------------

CHUNKED = {
    "two chunks": (b"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n", b"Wikipedia"),
    "nothing": (b"0\r\n\r\n", b""),
    "several zeros": (b"000\r\n\r\n", b""),
    "capitals": (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "an extension": (b'4;name=value;x="y"\r\nWiki\r\n0\r\n\r\n', b"Wiki"),
    "trailers": (b"4\r\nWiki\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", b"Wiki"),
    "line ends in the data": (b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", b"\r\n0\r\n\r"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_chunked_bodies_in_any_pieces(name: str, size: int) -> None:
    data, body = CHUNKED[name]
    decoder, found = ChunkedDecoder(), b""
    for i in range(0, len(data), size):
        assert not decoder.finished
        found += decoder.receive(data[i : i + size])
    assert (found, decoder.finished, decoder.rest) == (body, True, b"")


@pytest.mark.parametrize("name", CHUNKED)
def test_what_comes_behind_a_chunked_body_is_kept(name: str) -> None:
    data, body = CHUNKED[name]
    decoder = ChunkedDecoder()
    assert decoder.receive(data + b"GET / HTTP/1.1\r\n") == body
    assert (decoder.finished, decoder.rest) == (True, b"GET / HTTP/1.1\r\n")


#: Whole bodies but for one thing: nothing behind it is needed to see that.
LENIENT = {
    "a sign": b"+4\r\nWiki\r\n",
    "a prefix": b"0x4\r\nWiki\r\n",
    "an underscore": b"1_0\r\n" + b"W" * 16 + b"\r\n",
    "a space before": b" 4\r\nWiki\r\n",
    "a space behind": b"4 \r\nWiki\r\n",
    "Arabic digits": b"\xd9\xa4\r\nWiki\r\n",
    "more than 63 bits": b"10000000000000004\r\nWiki\r\n",
    "LF alone behind the size": b"4\nWiki\r\n",
    "LF alone behind the data": b"4\r\nWiki\n",
    "two other bytes behind the data": b"4\r\nWikiXX",
    "CR alone behind the data": b"4\r\nWiki\r0",
    "a CR in an extension": b"4;a\rb\r\nWiki\r\n",
    "a NUL in an extension": b"4;a\0\r\nWiki\r\n",
    "a vertical tab in an extension": b"4;a\x0b\r\nWiki\r\n",
}


@pytest.mark.parametrize("name", LENIENT)
def test_what_a_lenient_reader_would_take_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        ChunkedDecoder().receive(LENIENT[name] + b"0\r\n\r\n")


def test_chunk_extensions_are_bounded() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        ChunkedDecoder().receive(b"4;" + b"x" * 300)


def test_trailers_are_bounded() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        ChunkedDecoder().receive(b"0\r\n" + b"X: y\r\n" * 2000)


@pytest.mark.parametrize("line", [b"bad trailer", b": x", b"X : y", b" X: y", b"X: y\x7f"])
def test_trailers_are_screened(line: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        ChunkedDecoder().receive(b"0\r\n" + line + b"\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"+4\r\nWiki\r\n", b"-4\r\nWiki\r\n", b"0x4\r\nWiki\r\n", b"1_0\r\n", b" 4\r\nWiki\r\n", b"4 \r\nWiki\r\n",
        b"\r\n", b"g\r\n", b";x\r\n", b"4\nWiki\n", b"4\r\nWiki0\r\n", b"4\r\nWiki\n0\r\n\r\n", b"4\r\nWiki\r0\r\n",
        b"4;a\rb\r\nWiki\r\n", b"4;a\0\r\nWiki\r\n", b"4\r\r\nWiki\r\n", b"10000000000000000\r\n", b"F" * 17,
        b"4;" + b"x" * 300, b"\xd9\xa1\r\n", b"0\r\nbad trailer\r\n\r\n", b"0\r\nX: a\nY: b\r\n\r\n",
        b"0\r\n: x\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 2000, b"0\r\nX: " + b"y" * 9000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 100000])
def test_malformed_chunked_bodies_are_refused(data: bytes, size: int) -> None:
    decoder = ChunkedDecoder()

    def feed() -> None:
        for i in range(0, len(data), size):
            decoder.receive(data[i : i + size])
        decoder.receive(b"x" * 300)

    with pytest.raises(RemoteProtocolError) as caught:
        feed()
    assert caught.value.hint == 400


@given(st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(1, 30), min_size=1), st.binary(max_size=20))
def test_chunked_bodies_come_back_whole(chunks: list[bytes], cuts: list[int], behind: bytes) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + behind
    decoder, found, at, turn = ChunkedDecoder(), b"", 0, 0
    while not decoder.finished:
        size = cuts[turn % len(cuts)]
        found += decoder.receive(data[at : at + size])
        at, turn = at + size, turn + 1
    assert found == b"".join(chunks)
    assert decoder.rest + data[at:] == behind


@given(st.binary(max_size=300), st.integers(1, 30))
def test_any_bytes_decode_or_raise_one_kind_of_error(data: bytes, size: int) -> None:
    def outcome(step: int) -> object:
        decoder, found = ChunkedDecoder(), b""
        try:
            for i in range(0, len(data), step):
                if decoder.finished:
                    break
                found += decoder.receive(data[i : i + step])
        except RemoteProtocolError:
            return "refused"
        return found, decoder.finished

    assert outcome(size) == outcome(1000)


def test_a_long_run_of_spaces_costs_no_more_than_other_bytes() -> None:
    # 90 lines of the longest kind would take most of a minute where each space is looked at from each space.
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a:" + b" " * 8000 + b"\x01\r\n\r\n"
    for _ in range(90):
        with pytest.raises(RemoteProtocolError, match="malformed"):
            screen_request(head)
