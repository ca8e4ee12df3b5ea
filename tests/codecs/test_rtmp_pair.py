"""Client and server sessions back to back, without a network, however the bytes are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import amf0
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_message import MEDIA_CSID
from tierkit.codecs.rtmp_session import (
    ClientSession,
    Connected,
    ConnectRequested,
    Media,
    PlayEnded,
    PlayRequested,
    PlayStarted,
    PlayStopped,
    Pong,
    PublishRequested,
    PublishStarted,
    ServerSession,
    Status,
    Unpublished,
)
from tierkit.codecs.rtmp_url import dial

from .rtmp_helpers import Pair

META = amf0.encode("onMetaData", amf0.ECMAArray(width=64.0))
CONTENT = [
    Media(18, 0, META),
    Media(9, 0, b"\x17\x00\x00\x00\x00" + bytes(30)),
    Media(8, 0, b"\xaf\x00\x12\x10"),
    Media(9, 0, b"\x17\x01\x00\x00\x00" + bytes(70_000)),
    Media(8, 23, b"\xaf\x01" + bytes(300)),
    Media(9, 0xFFFFFF + 40, b"\x27\x01\x00\x00\x00" + bytes(200)),
]


def new(url: str, *, publish: bool, step: int = 0, schema: int | None = 0) -> Pair:
    to = dial(url)
    client = ClientSession(to.app, to.tc_url, nonce=b"c" * 32, schema=schema)
    if publish:
        client.publish(to.name)
    else:
        client.play(to.name)
    return Pair(client, ServerSession(b"s" * 32), step)


def accept(session: ServerSession, event: Any) -> None:
    match event:
        case ConnectRequested():
            session.accept_connect()
        case PublishRequested(stream_id):
            session.accept_publish(stream_id)
        case PlayRequested(stream_id):
            session.accept_play(stream_id)


def kinds(events: list[Any]) -> list[type]:
    return [type(event) for event in events]


@pytest.mark.parametrize("schema", [0, 1, None])
@pytest.mark.parametrize("step", [0, 1, 1000])
def test_publishing(step: int, schema: int | None) -> None:
    pair = new("rtmp://h/live/s?key=1", publish=True, step=step, schema=schema)
    pair.run(accept)
    assert kinds(pair.server_events) == [ConnectRequested, PublishRequested]
    assert (pair.server_events[1].route.path, pair.server_events[1].route.query) == ("/live/s", "key=1")
    assert kinds(pair.client_events)[:: len(pair.client_events) - 1] == [Connected, PublishStarted]
    data = b"".join(pair.client.encode_media(*media[:3]) for media in CONTENT)
    assert list(pair.server.receive(data, 0.0)) == CONTENT
    pair.client.stop()
    pair.run(accept)
    assert pair.server_events[2:] == [Unpublished(1, "FCUnpublish")]


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_playing_with_shared_encoded_media(step: int) -> None:
    pair = new("rtmp://h/a/b/c", publish=False, step=step)
    pair.run(accept)
    assert kinds(pair.server_events) == [ConnectRequested, PlayRequested]
    assert pair.server_events[1].route.path == "/a/b/c"
    assert kinds(pair.client_events) == [Connected, PlayStarted]
    shared = b"".join(
        encode_message(MEDIA_CSID[kind], kind, 1, timestamp, payload, pair.server.chunk_size)
        for kind, timestamp, payload, _ in CONTENT
    )
    assert list(pair.client.receive(shared, 0.0)) == CONTENT
    pair.server.end_play(1)
    pair.server.resume_play(1)
    pair.run(accept)
    assert kinds(pair.client_events)[2:] == [PlayEnded, PlayStarted]
    pair.client.stop()
    pair.run(accept)
    assert pair.server_events[2:] == [PlayStopped(1, "deleteStream")]


def test_refusals_reach_the_client() -> None:
    def refuse(session: ServerSession, event: Any) -> None:
        match event:
            case ConnectRequested():
                session.accept_connect()
            case PublishRequested(stream_id):
                session.reject_publish(stream_id, description="taken")
            case PlayRequested(stream_id):
                session.reject_play(stream_id, description="none")

    for publish, code in ((True, "NetStream.Publish.BadName"), (False, "NetStream.Play.StreamNotFound")):
        pair = new("rtmp://h/live/s", publish=publish)
        pair.run(refuse)
        last = pair.client_events[-1]
        assert isinstance(last, Status)
        assert (last.code, last.fatal) == (code, True)
        assert pair.server.closing


def test_pings_both_ways() -> None:
    pair = new("rtmp://h/live/s", publish=False)
    pair.run(accept)
    pair.client.ping(5.0)
    pair.server.ping(5.0)
    pair.run(accept, now=5.5)
    assert pair.client_events[-1] == pair.server_events[-1] == Pong(0.5)


media = st.builds(
    Media,
    st.sampled_from([8, 9]),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
    st.just(1),
)


@given(st.lists(media, max_size=8), st.integers(1, 500), st.integers(1, 400))
def test_any_media_goes_through_in_order(content: list[Media], step: int, chunk_size: int) -> None:
    client = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, chunk_size=chunk_size, schema=None)
    client.publish("s")
    pair = Pair(client, ServerSession(b"s" * 32))
    pair.run(accept)
    data = b"".join(client.encode_media(*each[:3]) for each in content)
    got = [event for at in range(0, len(data), step) for event in pair.server.receive(data[at : at + step], 0.0)]
    assert got == content
