"""Habits and attacks below the level of commands, each a row of what was found in the wild; see also
`tests/codecs/test_rtmp_chunk.py`, which has the rest."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.codecs.rtmp_helpers import (
    DATA,
    HANDSHAKE,
    chunk,
    command,
    connected,
    head0,
    head1,
    listening,
    pieces,
    read_all,
    shaken,
    u32,
)
from tests.codecs.test_rtmp_recorded import serve
from tierkit._live_epoch import Epoch, Place, behind
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.flv import classify
from tierkit.codecs.rtmp_chunk import ChunkReader, Message, encode_message
from tierkit.codecs.rtmp_handshake import SIZE
from tierkit.codecs.rtmp_link import WINDOW
from tierkit.codecs.rtmp_session import ClientSession, ServerSession
from tierkit.errors import RemoteProtocolError

from .media import gop, headers

HOUR_4_39 = 0x01000000


def test_an_extended_timestamp_in_fmt1_is_a_delta() -> None:
    """SRS reads an absolute time there (enhanced-rtmp#42), and writes none: nobody who means one was seen."""
    data = chunk(0, 6, head0(0xFFFFFF, 1, 9), u32(HOUR_4_39), body=b"a")
    data += chunk(1, 6, head1(0xFFFFFF, 1, 9), u32(HOUR_4_39), body=b"b")
    for step in (0, 1):
        assert [each.timestamp for each in read_all(data, step)] == [HOUR_4_39, 2 * HOUR_4_39]


def test_fmt3_behind_fmt0_repeats_the_time_as_nginx_has_it() -> None:
    """The specification would add the fmt 0 timestamp again: taken wrongly that doubles the clock."""
    data = chunk(0, 6, head0(5000, 1, 9), body=b"a") + chunk(3, 6, body=b"b")
    assert [each.timestamp for each in read_all(data)] == [5000, 5000]


def test_an_encoder_that_masks_31_bits_goes_on_after_24_days() -> None:
    """0x7FFFFFFF is followed by 0: taken up anew, and no player sees time go back or a gap of a month."""
    epoch = Epoch(None)
    shown = []
    sent = [*headers(), *gop(0x7FFFFFFF - 199, 5), *gop(0, 5)]
    for type_id, timestamp, payload in sent:
        kind = classify(type_id, payload)
        at = epoch.stamp(type_id, timestamp & 0x7FFFFFFF, kind)
        if epoch.place(type_id, at, kind, payload) is not Place.HELD:
            shown.append(at)
    steps = [behind(later, earlier) for earlier, later in pairwise(shown)]
    assert set(steps) <= {20, 40}
    assert epoch.leaps == 1


def test_ffmpeg_echoes_our_chunk_size_as_its_own_when_it_publishes() -> None:
    recorded = (DATA / "ffmpeg-publish.bin").read_bytes()
    sizes = [each for each in read_all(recorded[HANDSHAKE:]) if each.type_id == m.SET_CHUNK_SIZE]
    assert [each.payload for each in sizes] == [u32(60_000)]
    events, _ = serve(recorded)
    assert not any(isinstance(each, str) for each in events)


@pytest.mark.parametrize(("asked", "taken"), [(1, 32 << 10), (0, 32 << 10), (100_000, 100_000), (0xFFFFFFFF, WINDOW)])
def test_the_peers_window_is_taken_within_bounds(asked: int, taken: int) -> None:
    """xiu announces 4,096 and made storms of acknowledgements; ZLMediaKit clamps since #1839."""
    session = connected()
    list(session.receive(encode_message(2, m.WINDOW_ACK_SIZE, 0, 0, u32(asked), 128), 0.0))
    assert session.window == taken


def test_an_acknowledgement_makes_none() -> None:
    """ZLMediaKit recursed without end over a window of one byte."""
    session = connected()
    heard = listening(session)
    list(session.receive(encode_message(2, m.WINDOW_ACK_SIZE, 0, 0, u32(1), 128), 0.0))
    for _ in range(1000):
        list(session.receive(encode_message(2, m.ACKNOWLEDGEMENT, 0, 0, u32(1), 128), 0.0))
    assert len(heard()) == 1000 * 16 // (16 << 10)


# --- section 5 -----------------------------------------------------------------------------------------


def test_cve_2016_10191_a_new_length_in_the_middle_of_a_message() -> None:
    """FFmpeg copied as much as the new length said behind a buffer of the old one."""
    for header in (head0(0, 500_000, 9), head1(0, 500_000, 9)):
        fmt = 0 if len(header) == 11 else 1
        reader = ChunkReader()
        reader.receive(chunk(0, 6, head0(0, 200, 9), body=b"x" * 128))
        with pytest.raises(RemoteProtocolError, match="begins a message inside another"):
            reader.receive(chunk(fmt, 6, header, body=b"y" * 128))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x00\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x11\x0a\x0b\x01\x09app\x06", id="8270"),
        pytest.param(b"\x00\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x11\x0a\xff\xff\xff\xff\x01", id="8271"),
        pytest.param(b"\x00\x02\x00\x07connect\x00\x3f\xf0\0\0\0\0\0\0\x11\x0a\x07\x01\x04\x80", id="8272"),
    ],
)
def test_cve_2015_8270_to_8272_amf3_that_librtmp_died_of(payload: bytes) -> None:
    """A string that is not there, a class of millions of members, a type for another: AMF3 is kept undecoded."""
    session = shaken()
    (event,) = session.receive(encode_message(3, m.COMMAND_AMF3, 0, 0, payload, 128), 0.0)
    assert (event.app, dict(event.object)) == ("", {})
    client = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, schema=None)
    client.play("s")
    list(client.receive(b"\x03" + bytes(2 * SIZE), 0.0))
    list(client.receive(encode_message(3, m.COMMAND_AMF3, 0, 0, payload, 128), 0.0))


ODD: list[Any] = [None, True, -1.0, float("nan"), "", "x", [], [1.0], {}, {"code": 1.0}, amf0.UNDEFINED, amf0.Date(0.0)]
COMMANDS = (
    "createStream", "publish", "play", "FCPublish", "FCUnpublish", "FCSubscribe", "releaseStream", "closeStream",
    "deleteStream", "pause", "pauseRaw", "seek", "_checkbw", "getStreamLength", "_result", "_error", "onStatus",
)  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_arguments_of_another_type_than_a_command_has(name: str) -> None:
    """nginx-rtmp (23e1873) followed a null pointer; whatever stands there, it is an event or a refusal."""
    for first in ODD:
        for args in ((first,), (first, first), (None, first), (None, first, first, first)):
            for playing in (False, True):
                session = connected()
                list(session.receive(command("createStream", 2.0, None), 0.0))
                if playing:
                    list(session.receive(command("play", 3.0, None, "s", stream_id=1), 0.0))
                    session.accept_play(1)
                try:
                    list(session.receive(command(name, 4.0, *args, stream_id=1), 0.0))
                    bare = amf0.encode(name)  # not even a transaction
                    list(session.receive(encode_message(3, m.COMMAND, 1, 0, bare, 128), 0.0))
                except RemoteProtocolError:
                    pass


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_connect_whose_values_are_of_other_types(odd: Any) -> None:
    for said in (odd, {"app": odd, "tcUrl": odd, "flashVer": odd, "capsEx": odd, "objectEncoding": odd}):
        session = shaken()
        for event in session.receive(command("connect", 1.0, said), 0.0):
            assert isinstance(event.app + event.tc_url + event.flash_ver, str)
            assert isinstance(event.can_reconnect, bool)
            session.accept_connect()
        assert session.data_to_send()


def golden() -> list[Message]:
    """All that our server says in the life of a player and a publisher."""
    session = ServerSession(b"s" * 32)
    list(session.receive(b"\x03" + bytes(2 * SIZE), 0.0))
    session.data_to_send()
    said = b""
    for event in session.receive(command("connect", 1.0, {"app": "live", "capsEx": 1.0}), 0.0):
        assert event.can_reconnect
        session.accept_connect()
    asked = ("FCPublish", "releaseStream", "createStream", "createStream", "FCSubscribe")
    list(session.receive(b"".join(command(name, 2.0, None, "s") for name in asked), 0.0))
    list(session.receive(command("play", 4.0, None, "s", stream_id=1), 0.0))
    session.accept_play(1)
    list(session.receive(command("publish", 4.0, None, "t", stream_id=2), 0.0))
    session.accept_publish(2)
    session.accept_pause(1, True)
    session.accept_seek(1, 100)
    session.end_play(1)
    session.resume_play(1)
    session.ping(1.0)
    session.request_reconnect("rtmp://other/live")
    list(session.receive(command("FCUnpublish", 5.0, None, "t"), 0.0))
    said += session.data_to_send()
    return read_all(said)


def test_every_message_of_ours_cut_at_every_byte_is_an_event_or_an_error_to_a_client() -> None:
    """Fuzzing found a panic in SRS's Go proxy: fields of the message before stood where one was cut short."""
    messages = golden()
    assert len(messages) > 20
    for publish in (False, True):
        for index, message in enumerate(messages):
            for cut in range(len(message.payload)):
                client = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, schema=None)
                (client.publish if publish else client.play)("s")
                list(client.receive(b"\x03" + bytes(2 * SIZE), 0.0))
                wire = b"".join(encode_message(*_of(each)) for each in messages[:index][-4:])
                try:
                    list(client.receive(wire + encode_message(*_of(message, cut)), 0.0))
                except RemoteProtocolError:
                    pass


def _of(message: Message, cut: int | None = None) -> tuple[int, int, int, int, bytes, int]:
    # The client was not told of another chunk size.
    payload = message.payload[:cut] if message.type_id != m.SET_CHUNK_SIZE else u32(128)[:cut]
    return message.csid, message.type_id, message.stream_id, message.timestamp, payload, 128


def test_sixty_unfinished_messages_of_sixteen_megabytes_are_bounded() -> None:
    """Red5#456: declared lengths were allocated."""
    session = connected()
    with pytest.raises(RemoteProtocolError, match="16777215 bytes; at most 65536"):
        list(session.receive(chunk(0, 9, head0(0, 0xFFFFFF, 9), body=b"x" * 128), 0.0))
    reader = ChunkReader(max_message=0xFFFFFF, max_buffered=100_000)
    with pytest.raises(RemoteProtocolError, match="more than 100000 bytes in unfinished"):  # noqa: PT012
        for csid in range(3, 63):
            reader.receive(chunk(0, csid, head0(0, 0xFFFFFF, 9), body=b"x" * 128))
        for _ in range(1000):
            reader.receive(b"".join(chunk(3, csid, body=b"x" * 128) for csid in range(3, 63)))
    assert reader.buffered == 0


def test_chunks_of_one_byte_are_refused_in_the_end() -> None:
    """Red5#475: each costs as much as one of a thousand."""
    session = connected()
    list(session.receive(encode_message(2, m.SET_CHUNK_SIZE, 0, 0, u32(1), 128), 0.0))
    with pytest.raises(RemoteProtocolError, match="use 128 at least"):  # noqa: PT012
        for piece in pieces(encode_message(6, 9, 1, 0, bytes(30_000), 1), 4096):
            list(session.receive(piece, 0.0))
