"""The WebSocket kit: what clients say, whatever it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong

from tierkit.websocket import NORMAL, TRY_AGAIN, WebSocket

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


def pair() -> tuple[Connection, WebSocket]:
    return Connection(ConnectionType.CLIENT), WebSocket(KEY)


def heard(client: Connection, data: bytes) -> list[object]:
    client.receive_data(data)
    return list(client.events())


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_pings_are_answered_and_data_is_dropped(step: int) -> None:
    client, server = pair()
    said = b"".join((client.send(Ping(b"one")), client.send(BytesMessage(bytes(70_000))), client.send(Ping(b"two"))))
    answers = b"".join(server.receive(said[at : at + step]) for at in range(0, len(said), step))
    assert heard(client, answers) == [Pong(b"one"), Pong(b"two")]
    assert not server.closed


def test_a_close_is_answered_once_and_what_follows_is_nothing() -> None:
    client, server = pair()
    answer = server.receive(client.send(CloseConnection(NORMAL, "enough")) + b"and more")
    assert server.closed
    (event,) = heard(client, answer)
    assert isinstance(event, CloseConnection)
    assert event.code == NORMAL
    assert (server.receive(b"still more"), server.close(NORMAL)) == (b"", b"")


def test_our_close_is_cut_to_what_a_frame_holds() -> None:
    client, server = pair()
    (event,) = heard(client, server.close(TRY_AGAIN, "ä" * 100))
    assert isinstance(event, CloseConnection)
    assert (event.code, event.reason) == (TRY_AGAIN, "ä" * 61)
    assert server.close(TRY_AGAIN) == b""
    # What the client had said before it saw our close; then its answer.
    assert server.receive(client.send(event.response())) == b""
    assert server.closed


@given(st.binary(max_size=300), st.integers(1, 40))
def test_whatever_comes_is_answered_or_dropped(data: bytes, step: int) -> None:
    client, server = pair()
    answers = b"".join(server.receive(data[at : at + step]) for at in range(0, len(data), step))
    # Whole, it is the same; and what is said to it is what a client takes.
    assert WebSocket(KEY).receive(data) == answers
    assert all(isinstance(each, (Pong, CloseConnection)) for each in heard(client, answers))
    assert len(answers) <= len(data) + 130


@given(st.binary(max_size=125))
def test_trailing_garbage_does_not_change_the_answer(payload: bytes) -> None:
    client, server = pair()
    answer = server.receive(client.send(Ping(payload)) + b"\xff\xff")
    assert heard(client, answer)[0] == Pong(payload)
    assert server.closed
