"""What real clients sent, recorded (ffmpeg 5.1, rtmpdump 2.4), against our server; then cut and spoilt.

The invariant of the second half: any bytes give events or a RemoteProtocolError, nothing else, and the same ones
however the bytes are cut.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.flv import classify
from tierkit.codecs.rtmp_chunk import Message, encode_message
from tierkit.codecs.rtmp_handshake import SIZE
from tierkit.codecs.rtmp_session import (
    ClientSession,
    ConnectRequested,
    Media,
    PlayRequested,
    PlayStopped,
    PublishRequested,
    ServerSession,
    Unpublished,
)
from tierkit.errors import RemoteProtocolError

from .rtmp_helpers import DATA, HANDSHAKE, pieces, read_all, transcript

WELCOME = [
    "[0] control 5 2500000",
    "[0] control 6 2500000",
    "[0] control 1 60000",
    "[0] _result#1(NetConnection.Connect.Success)",
]
PLAY = [
    "[0] user 0 1",
    "[1] onStatus#0(NetStream.Play.Reset)",
    "[1] onStatus#0(NetStream.Play.Start)",
    "[1] data |RtmpSampleAccess",
]


def recorded(name: str) -> bytes:
    return (DATA / f"{name}.bin").read_bytes()


def serve(data: bytes, step: int = 0) -> tuple[list[Any], bytes]:
    """Feeds a server that accepts everything; a fault becomes the last event."""
    session = ServerSession(b"s" * 32)
    events: list[Any] = []
    sent = b""
    try:
        for piece in pieces(data, step or max(len(data), 1)):
            for event in session.receive(piece, 0.0):
                events.append(event)
                match event:
                    case ConnectRequested():
                        session.accept_connect()
                    case PublishRequested(stream_id):
                        session.accept_publish(stream_id)
                    case PlayRequested(stream_id):
                        session.accept_play(stream_id)
                if session.closing:
                    return events, sent + session.data_to_send()
            sent += session.data_to_send()
    except RemoteProtocolError as exc:
        events.append(str(exc))
    return events, sent + session.data_to_send()


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_ffmpeg_publishes(step: int) -> None:
    events, sent = serve(recorded("ffmpeg-publish"), step)
    assert [type(event) for event in events if not isinstance(event, Media)] == [
        ConnectRequested,
        PublishRequested,
        Unpublished,
    ]
    assert events[1].route.path == "/live/s"
    assert events[1].route.query == "key=1"
    kinds = [classify(media.type_id, media.payload) for media in events if isinstance(media, Media)]
    assert len(kinds) == 59
    assert kinds[0].is_metadata
    assert [kind.codec for kind in kinds if kind.is_sequence_header] == ["avc1", "mp4a"]
    assert sum(kind.is_keyframe for kind in kinds) == 2
    assert sum(kind.is_end_of_sequence for kind in kinds) == 1
    assert transcript(sent[HANDSHAKE:]) == [
        *WELCOME,
        "[0] _result#2(UNDEFINED)",
        "[0] onFCPublish#3(NetStream.Publish.Start)",
        "[0] _result#3(UNDEFINED)",
        "[0] _result#4(1.0)",
        "[0] user 0 1",
        "[1] onStatus#0(NetStream.Publish.Start)",
        "[0] onFCUnpublish#0(NetStream.Unpublish.Success)",
        "[0] _result#6(UNDEFINED)",
        "[1] onStatus#0(NetStream.Unpublish.Success)",
    ]


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_ffmpeg_plays(step: int) -> None:
    events, sent = serve(recorded("ffmpeg-play"), step)
    assert [type(event) for event in events] == [ConnectRequested, PlayRequested, PlayStopped]
    assert (events[1].route.path, events[1].start) == ("/live/s", -2)
    assert transcript(sent[HANDSHAKE:]) == [*WELCOME, "[0] _result#2(1.0)", *PLAY]


@pytest.mark.parametrize("step", [0, 1, 1000])
def test_librtmp_plays(step: int) -> None:
    events, sent = serve(recorded("rtmpdump-play"), step)
    assert [type(event) for event in events] == [ConnectRequested, PlayRequested, PlayStopped]
    assert (events[1].route.path, events[1].start) == ("/live/s", -1)
    lines = transcript(sent[HANDSHAKE:])
    assert lines[:4] == WELCOME
    assert lines[-4:] == PLAY


def signals(name: str) -> list[Message]:
    """Every message of a recording that is not audio or video."""
    return [message for message in read_all(recorded(name)[HANDSHAKE:]) if message.type_id not in (8, 9)]


@pytest.mark.parametrize("name", ["ffmpeg-publish", "ffmpeg-play", "rtmpdump-play"])
def test_every_message_cut_at_every_byte_is_an_event_or_an_error(name: str) -> None:
    messages = signals(name)
    assert len(messages) >= 5
    for index, message in enumerate(messages):
        before = b"".join(wire(each) for each in messages[:index])
        for cut in range(len(message.payload)):
            serve(recorded(name)[:HANDSHAKE] + before + wire(message._replace(payload=message.payload[:cut])))


def wire(message: Message) -> bytes:
    return encode_message(message.csid, *message[:4], 128)


NAMES = st.sampled_from(["ffmpeg-publish", "ffmpeg-play", "rtmpdump-play"])


@given(NAMES, st.floats(0, 1), st.binary(max_size=200), st.integers(1, 4000))
def test_a_recording_cut_and_followed_by_noise_reads_alike_however_it_is_cut(
    name: str, where: float, noise: bytes, step: int
) -> None:
    whole = recorded(name)
    cut = HANDSHAKE + int(where * (len(whole) - HANDSHAKE))
    assert serve(whole[:cut] + noise)[0] == serve(whole[:cut] + noise, step)[0]


@given(NAMES, st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_recording_with_spoilt_bytes_does_no_harm(name: str, spoilt: list[tuple[float, int]]) -> None:
    data = bytearray(recorded(name))
    for where, value in spoilt:
        data[HANDSHAKE + int(where * (len(data) - HANDSHAKE))] = value
    serve(bytes(data))


@given(st.binary(max_size=300), st.booleans())
def test_noise_behind_the_handshake_does_no_harm(noise: bytes, to_client: bool) -> None:
    if not to_client:
        serve(recorded("ffmpeg-play")[:HANDSHAKE] + noise)
        return
    client = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32)
    client.play("s")
    try:
        list(client.receive(b"\x03" + bytes(2 * SIZE) + noise, 0.0))
        list(client.receive(b"", 0.0))
    except RemoteProtocolError:
        pass


@given(st.floats(0, 1), st.binary(max_size=100))
def test_what_a_server_sends_cut_and_spoilt_does_a_client_no_harm(where: float, noise: bytes) -> None:
    _, sent = serve(recorded("rtmpdump-play"))
    cut = HANDSHAKE + int(where * (len(sent) - HANDSHAKE))
    client = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, schema=None)
    client.play("s")
    try:
        list(client.receive(sent[:cut] + noise, 0.0))
        list(client.receive(b"", 0.0))
    except RemoteProtocolError:
        pass
