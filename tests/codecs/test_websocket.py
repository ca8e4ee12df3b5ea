"""Frames as a server writes them, read by wsproto as a client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, Message

from tierkit.codecs.websocket import binary_frame


def read(data: bytes, step: int) -> list[bytes]:
    """The messages that a client sees when the bytes come in pieces."""
    client, found, parts = Connection(ConnectionType.CLIENT), [], list[bytes]()
    for at in range(0, len(data), step):
        client.receive_data(data[at : at + step])
        for event in client.events():
            assert isinstance(event, (BytesMessage, Message))
            parts.append(bytes(event.data))
            if event.message_finished:
                found.append(b"".join(parts))
                parts.clear()
    assert not parts
    return found


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (1, "8201"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_heads_are_the_specifications(size: int, head: str) -> None:
    assert binary_frame(bytes(size)) == bytes.fromhex(head) + bytes(size)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 700))
def test_a_client_reads_the_same_messages(payloads: list[bytes], step: int) -> None:
    assert read(b"".join(map(binary_frame, payloads)), step) == payloads


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_large_message_is_one_frame(step: int) -> None:
    payload = bytes(range(256)) * 300
    assert read(binary_frame(payload), step) == [payload]
