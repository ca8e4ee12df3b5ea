from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.rtmp_handshake import SIZE, ClientHandshake, ServerHandshake
from tierkit.errors import RemoteProtocolError

from .rtmp_helpers import DATA, pieces

HELLO = 1 + SIZE


@pytest.mark.parametrize("schema", [0, 1, None])
@pytest.mark.parametrize("step", [0, 1, 7, 1000])
def test_client_and_server_agree_however_the_bytes_are_cut(schema: int | None, step: int) -> None:
    client, server = ClientHandshake(b"c" * 32, 1234, schema=schema), ServerHandshake(b"s" * 32, 5678)
    up, down = client.hello(), b""
    for piece in pieces(up, step or len(up)):
        down += server.receive(piece)
    assert (len(up), len(down)) == (HELLO, HELLO + SIZE)
    up = b""
    for piece in pieces(down + b"chunks", step or len(down) + 6):
        up += client.receive(piece)
    for piece in pieces(up + b"connect", step or len(up) + 7):
        assert server.receive(piece) == b""
    assert len(up) == SIZE
    assert (client.done, server.done) == (True, True)
    assert server.schema == schema
    assert client.verified == (schema is not None)
    assert (client.leftover(), server.leftover()) == (b"chunks", b"connect")
    assert (client.leftover(), server.leftover()) == (b"", b"")


@given(st.binary(min_size=16, max_size=32), st.binary(min_size=16, max_size=32), st.sampled_from([0, 1]))
def test_digests_are_found_wherever_the_random_bytes_put_them(c: bytes, s: bytes, schema: int) -> None:
    client, server = ClientHandshake(c, schema=schema), ServerHandshake(s)
    client.receive(server.receive(client.hello()))
    assert (server.schema, client.verified) == (schema, True)


def test_the_simple_form_echoes_and_says_the_time() -> None:
    client, server = ClientHandshake(b"c" * 16, schema=None), ServerHandshake(b"s" * 16, 0x1_0000_0102)
    hello = client.hello()
    reply = server.receive(hello)
    s1, s2 = reply[1 : 1 + SIZE], reply[1 + SIZE :]
    assert s1[:8] == b"\x00\x00\x01\x02\x00\x00\x00\x00"
    assert s2 == hello[1:]
    assert client.receive(reply) == s1


def test_a_version_without_a_digest_falls_back_to_the_simple_form() -> None:
    c1 = bytes(4) + b"\x0a\x00\x20\x12" + bytes(SIZE - 8)
    server = ServerHandshake(b"s" * 16)
    reply = server.receive(b"\x03" + c1)
    assert server.schema is None
    assert reply[1 + SIZE :] == c1


def test_rtmpe_is_answered_as_plain_rtmp() -> None:
    reply = ServerHandshake(b"s" * 16).receive(b"\x06" + bytes(SIZE))
    assert (reply[0], len(reply)) == (3, HELLO + SIZE)


def test_nobody_has_to_echo() -> None:
    server = ServerHandshake(b"s" * 16)
    server.receive(ClientHandshake(b"c" * 16).hello())
    server.receive(b"\xff" * SIZE)
    assert server.done


def test_what_ffmpeg_sends_has_a_digest_and_librtmp_sends_none() -> None:
    for name, schema in (("ffmpeg-publish", 0), ("ffmpeg-play", 0), ("rtmpdump-play", None)):
        server = ServerHandshake(b"s" * 16)
        server.receive((DATA / f"{name}.bin").read_bytes())
        assert (server.schema, server.done) == (schema, True)
        assert server.leftover()[:1] in (b"\x02", b"\x03")


@pytest.mark.parametrize(
    ("first", "says"),
    [(b"G", "an HTTP client"), (b"\x16\x03\x01", "a TLS client"), (b"\xf3", "243"), (b"\x00", "0")],
)
def test_other_protocols_are_refused_at_their_first_byte(first: bytes, says: str) -> None:
    server = ServerHandshake(b"s" * 16)
    with pytest.raises(RemoteProtocolError, match=says):
        server.receive(first)


def test_a_server_of_another_version_is_refused() -> None:
    client = ClientHandshake(b"c" * 16)
    with pytest.raises(RemoteProtocolError, match="version 72"):
        client.receive(b"HTTP/1.1 400")


def test_nonces_make_handshakes_different_and_are_the_only_difference() -> None:
    assert ClientHandshake(b"a" * 16).hello() != ClientHandshake(b"b" * 16).hello()
    assert ClientHandshake(b"a" * 16).hello() == ClientHandshake(b"a" * 16).hello()


@given(st.lists(st.binary(max_size=2000), max_size=6), st.booleans())
def test_any_bytes_behind_the_first_are_borne(noise: list[bytes], as_client: bool) -> None:
    side = ClientHandshake(b"n" * 16) if as_client else ServerHandshake(b"n" * 16)
    total = 1
    side.receive(b"\x03")
    for piece in noise:
        if not side.done:
            side.receive(piece)
            total += len(piece)
    if side.done:
        assert len(side.leftover()) == total - (HELLO + SIZE)
