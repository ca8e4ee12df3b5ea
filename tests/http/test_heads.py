"""Heads that are taken apart the short way are what h11 makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import _http_heads
from tierkit._http_heads import REMEMBERED_BLOCK, REMEMBERED_BLOCKS, Head, parse_head, plain_get
from tierkit.errors import RemoteProtocolError

BLOCK = b"Host: edge\r\nUser-Agent: player/1\r\n\r\n"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    _http_heads._blocks.clear()
    yield
    _http_heads._blocks.clear()


def told(head: Head) -> tuple[object, ...]:
    fields = head.fields
    return (head.method, head.path, head.query, head.host, head.minor, fields.headers, fields.keep_alive, fields.names)


def outcome(data: bytes) -> object:
    try:
        return told(parse_head(data))
    except RemoteProtocolError as error:
        return error.hint


TARGETS = st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x101), max_size=12).map(
    lambda text: b"/" + text.encode("latin-1", "replace")
)
METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS", b"PURGE", b"G\xe9T", b"get", b"CONNECT"]
ODD_TARGETS = [b"*", b"http://o/x?y", b"x", b"//a?b?c", b"/a#b", b"/" + b"a" * 9000]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 HTTP/1.1", b"HTTP/1.10"]
LINES = st.one_of(
    st.builds(
        lambda method, target, version: b" ".join((method, target, version)) + b"\r\n",
        st.sampled_from(METHODS),
        st.one_of(TARGETS, st.sampled_from(ODD_TARGETS)),
        st.sampled_from(VERSIONS),
    ),
    st.binary(max_size=30).map(lambda data: data + b"\r\n"),
)
BLOCKS = st.sampled_from(
    [
        BLOCK,
        b"Host: edge\r\nConnection: close\r\n\r\n",
        b"Host: edge\r\nContent-Length: 5\r\nRange: bytes=0-1\r\n\r\n",
        b"Host: edge\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\r\n",
        b"Host: edge\r\nHost: edge\r\n\r\n",
        b"Host: edge\r\n Folded: 1\r\n\r\n",
    ]
)


@given(LINES, BLOCKS)
def test_a_known_block_changes_nothing(line: bytes, block: bytes) -> None:
    _http_heads._blocks.clear()
    long_way = outcome(line + block)
    _http_heads._blocks.clear()
    outcome(b"GET /first HTTP/1.1\r\n" + block)
    assert outcome(line + block) == long_way


@given(LINES, BLOCKS)
def test_a_plain_get_is_what_the_long_way_makes_of_it(line: bytes, block: bytes) -> None:
    _http_heads._blocks.clear()
    outcome(b"GET /first HTTP/1.1\r\n" + block)
    found = plain_get(line + block)
    if found is not None:
        target, fields = found
        _http_heads._blocks.clear()
        head = parse_head(line + block)
        assert (head.method, head.minor) == ("GET", 1)
        assert target.decode() == (f"{head.path}?{head.query}" if b"?" in target else head.path)
        assert (fields.headers, fields.host) == (head.fields.headers, head.host)


def test_plain_get_knows_nothing_that_was_not_seen_whole() -> None:
    assert plain_get(b"GET / HTTP/1.1\r\n" + BLOCK) is None
    parse_head(b"GET / HTTP/1.1\r\n" + BLOCK)
    assert plain_get(b"GET /other HTTP/1.1\r\n" + BLOCK) is not None
    assert plain_get(b"GET / HTTP/1.1\r\n" + BLOCK[:-2]) is None
    assert plain_get(b"GET / HTTP/1.1\r\n" + BLOCK + b"G") is None
    assert plain_get(b"HEAD / HTTP/1.1\r\n" + BLOCK) is None
    assert plain_get(b"GET / HTTP/1.0\r\n" + BLOCK) is None
    assert plain_get(b"GET /a b HTTP/1.1\r\n" + BLOCK) is None


def test_a_block_of_the_old_version_or_of_another_host_is_not_remembered() -> None:
    parse_head(b"GET / HTTP/1.0\r\nUser-Agent: old\r\n\r\n")
    parse_head(b"GET http://other/ HTTP/1.1\r\n" + BLOCK)
    assert _http_heads._blocks == {}


def test_what_strangers_make_us_remember_is_bounded() -> None:
    for i in range(REMEMBERED_BLOCKS + 10):
        parse_head(b"GET / HTTP/1.1\r\nHost: edge\r\nX: %d\r\n\r\n" % i)
    parse_head(b"GET / HTTP/1.1\r\nHost: edge\r\nX: " + b"x" * REMEMBERED_BLOCK + b"\r\n\r\n")
    assert len(_http_heads._blocks) == REMEMBERED_BLOCKS
    assert max(map(len, _http_heads._blocks)) < 100
