"""The client's end: what it asks in which order, and how it takes what servers say."""

from __future__ import annotations

from typing import Any

import pytest

from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader, encode_message
from tierkit.codecs.rtmp_handshake import SIZE, ServerHandshake
from tierkit.codecs.rtmp_session import (
    CallReceived,
    ClientSession,
    Connected,
    ConnectRefused,
    Media,
    PlayEnded,
    PlayStarted,
    PublishStarted,
    ReconnectRequested,
    Status,
)
from tierkit.errors import LocalProtocolError, RemoteProtocolError

from .rtmp_helpers import command, describe, listening, pieces, read_all, u32

SUCCESS = m.status("status", "NetConnection.Connect.Success", "ok")


def opened(session: ClientSession) -> bytes:
    """Takes the session through the handshake; returns what it sends behind C2."""
    server = ServerHandshake(b"s" * 32)
    answer = server.receive(session.data_to_send())
    assert list(session.receive(answer, 0.0)) == []
    return session.data_to_send()[SIZE:]


def new(**options: Any) -> ClientSession:
    return ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, **options)


def said(session: ClientSession, *data: bytes) -> list[Any]:
    return [event for piece in data for event in session.receive(piece, 0.0)]


def status(code: str, level: str = "status", stream_id: int = 1, **more: Any) -> bytes:
    return command("onStatus", 0.0, None, m.status(level, code, "why", **more), stream_id=stream_id)


def playing(**options: Any) -> ClientSession:
    session = new()
    session.play("s?k=1", **options)
    opened(session)
    said(session, command("_result", 1.0, {"fmsVer": "x"}, SUCCESS))
    created = 3.0 if options.get("subscribe") else 2.0
    said(session, command("_result", created, None, 1.0), status("NetStream.Play.Start"))
    session.data_to_send()
    return session


def test_what_connect_says() -> None:
    session = new(connect_object={"swfUrl": "http://x/", "fpad": None}, connect_args=("token",))
    (message,) = read_all(opened(session))
    name, transaction, said_object, extra = amf0.decode_all(message.payload)
    assert (name, transaction, extra) == ("connect", 1.0, "token")
    assert (said_object["app"], said_object["tcUrl"]) == ("live", "rtmp://h/live")
    assert (said_object["swfUrl"], said_object["objectEncoding"]) == ("http://x/", 0.0)
    assert "fpad" not in said_object
    assert (said_object["fourCcList"], said_object["capsEx"]) == (["*"], 15.0)
    assert next(iter(said_object)) == "app"  # old servers look no further


def test_the_order_of_playing() -> None:
    session = new()
    session.play("s?k=1", start=-1, subscribe=True, buffer_ms=5000)
    opened(session)
    heard = listening(session)
    seen: list[Any] = []
    for event in session.receive(command("_result", 1.0, {"fmsVer": "x"}, SUCCESS), 0.0):
        seen.append(event)
        session.call("secureTokenResponse", "abc")
    assert seen == [Connected({"fmsVer": "x"}, SUCCESS)]
    assert heard() == [
        "[0] control 5 2500000",
        "[0] secureTokenResponse#0('abc')",
        "[0] FCSubscribe#2('s?k=1')",
        "[0] createStream#3()",
    ]
    assert said(session, command("_result", 3.0, None, 1.0)) == []
    assert heard() == ["[1] play#4('s?k=1', -1000.0)", "[0] user 3 1 5000"]
    assert said(session, status("NetStream.Play.Reset"), status("NetStream.Play.Start")) == [
        PlayStarted(1, "NetStream.Play.Start")
    ]


def test_the_order_of_publishing() -> None:
    session = new()
    session.publish("s?k=1")
    (message,) = read_all(opened(session))
    said_object = amf0.decode_all(message.payload)[2]
    assert (said_object["type"], said_object["flashVer"][:4]) == ("nonprivate", "FMLE")
    reader = ChunkReader()

    def heard() -> list[str]:
        return [describe(each) for each in reader.receive(session.data_to_send())]

    assert len(said(session, command("_result", 1.0, {}, SUCCESS))) == 1
    assert heard() == [
        "[0] control 5 2500000",
        "[0] control 1 60000",
        "[0] releaseStream#2('s?k=1')",
        "[0] FCPublish#3('s?k=1')",
        "[0] createStream#4()",
    ]
    with pytest.raises(LocalProtocolError):
        session.encode_media(8, 0, b"")
    said(session, command("_result", 2.0, None, amf0.UNDEFINED), command("_error", 3.0, None, {}))
    assert said(session, command("_result", 4.0, None, 5.0)) == []
    assert heard() == ["[5] publish#5('s?k=1', 'live')"]
    assert said(session, status("NetStream.Publish.Start", stream_id=5)) == [PublishStarted(5)]
    meta = amf0.encode("onMetaData", {})
    sent = session.encode_media(18, 0, meta) + session.encode_media(9, 40, bytes(70_000))
    first, second = reader.receive(sent)
    assert (first.stream_id, first.payload) == (5, amf0.encode("@setDataFrame") + meta)
    assert (second.timestamp, len(second.payload), second.csid) == (40, 70_000, 6)
    session.stop()
    assert heard() == ["[0] FCUnpublish#6('s?k=1')", "[0] deleteStream#0(5.0)"]


def test_wishes_may_come_after_the_connection_and_are_one() -> None:
    session = new()
    opened(session)
    said(session, command("_result", 1.0, {}, SUCCESS))
    heard = listening(session)
    heard()
    session.play("s")
    assert heard() == ["[0] createStream#2()"]
    with pytest.raises(LocalProtocolError):
        session.play("t")


@pytest.mark.parametrize("name", ["_error", "_result"])
def test_a_refused_connection_says_why(name: str) -> None:
    session = new()
    session.play("s")
    opened(session)
    info = m.status("error", "NetConnection.Connect.Rejected", "code=403 need auth; authmod=adobe")
    assert said(session, command(name, 1.0, None, info)) == [
        ConnectRefused("NetConnection.Connect.Rejected", "code=403 need auth; authmod=adobe", info)
    ]
    assert session.closing
    assert session.data_to_send() == b""


def test_a_refusal_without_information_is_one_too() -> None:
    session = new()
    opened(session)
    assert said(session, command("_error", 1.0, None)) == [ConnectRefused("NetConnection.Connect.Rejected", "")]


@pytest.mark.parametrize("code", sorted(m.FATAL_CODES))
def test_fatal_codes_are_fatal_whatever_their_level(code: str) -> None:
    (event,) = said(playing(), status(code))
    assert isinstance(event, Status)
    assert (event.code, event.fatal) == (code, True)


def test_other_statuses_are_fatal_by_their_level() -> None:
    (event,) = said(playing(), status("NetStream.Play.InsufficientBW"))
    assert not event.fatal
    (event,) = said(playing(), status("NetStream.Whatever", "error"))
    assert event.fatal
    (event,) = said(playing(), command("close", 0.0, None))
    assert (event.code, event.fatal) == ("NetConnection.Connect.Closed", True)


def test_a_status_in_place_of_the_command_object_is_understood() -> None:
    info = m.status("error", "NetStream.Failed", "why")
    (event,) = said(playing(), command("onStatus", 0.0, info))
    assert (event.code, event.fatal) == ("NetStream.Failed", True)
    (event,) = said(playing(), command("onStatus", 0.0, None))
    assert (event.code, event.fatal) == ("", False)


def test_streams_that_are_not_created() -> None:
    for answer in (
        command("_result", 2.0, None, 0.0),
        command("_result", 2.0, None),
        command("_result", 2.0, None, "1"),
    ):
        session = new()
        session.play("s")
        opened(session)
        said(session, command("_result", 1.0, {}, SUCCESS))
        with pytest.raises(RemoteProtocolError, match="without a stream number"):
            said(session, answer)
    session = new()
    session.play("s")
    opened(session)
    said(session, command("_result", 1.0, {}, SUCCESS))
    (event,) = said(session, command("_error", 2.0, None, {}))
    assert (event.code, event.fatal) == ("NetStream.Failed", True)


@pytest.mark.parametrize(
    "end",
    [
        status("NetStream.Play.UnpublishNotify"),
        status("NetStream.Play.Stop"),
        encode_message(2, 4, 0, 0, m.UserControl(m.STREAM_EOF, 1).payload(), 128),
        command("onFCUnpublish", 0.0, None, {}),
        encode_message(5, 18, 1, 0, amf0.encode("onPlayStatus", {"code": "NetStream.Play.Complete"}), 128),
    ],
)  # fmt: skip
def test_the_end_of_a_stream_is_reported_once_however_it_is_said(end: bytes) -> None:
    session = playing()
    (event,) = said(session, end)
    assert isinstance(event, PlayEnded)
    assert said(session, end, status("NetStream.Play.UnpublishNotify")) == []
    assert said(session, status("NetStream.Play.PublishNotify")) == [PlayStarted(1, "NetStream.Play.PublishNotify")]
    assert len(said(session, end)) == 1


def test_media_comes_out_and_signals_do_not() -> None:
    session = playing()
    meta = amf0.encode("onMetaData", {})
    events = said(
        session,
        encode_message(5, 18, 1, 0, amf0.encode("|RtmpSampleAccess", True, True), 128),
        encode_message(5, 18, 1, 0, amf0.encode("onStatus", {"code": "NetStream.Data.Start"}), 128),
        encode_message(5, 18, 1, 0, amf0.encode("@setDataFrame") + meta, 128),
        encode_message(6, 9, 1, 7, b"\x17\x01", 128),
        encode_message(3, 22, 1, 9, m.aggregate_payload([read_all(encode_message(4, 8, 1, 0, b"\xaf", 128))[0]]), 128),
    )
    assert events == [Media(18, 0, meta, 1), Media(9, 7, b"\x17\x01", 1), Media(8, 9, b"\xaf", 1)]


def test_media_that_nobody_asked_for_is_ignored() -> None:
    session = new()
    opened(session)
    assert said(session, encode_message(6, 9, 1, 7, b"\x17\x01", 128)) == []
    assert session.ignored == 1


def test_a_request_to_reconnect() -> None:
    data = status("NetConnection.Connect.ReconnectRequest", stream_id=0, tcUrl="rtmp://other/live")
    assert said(playing(), data) == [ReconnectRequested("rtmp://other/live", "why")]


def test_unknown_calls_are_reported_and_late_answers_forgotten() -> None:
    session = playing()
    (event,) = said(session, command("onBWDone", 0.0, None, 8192.0))
    assert isinstance(event, CallReceived)
    assert said(session, command("_result", 99.0, None, 1.0)) == []


def test_a_refused_play_by_error() -> None:
    session = new()
    session.play("s")
    opened(session)
    said(session, command("_result", 1.0, {}, SUCCESS), command("_result", 2.0, None, 1.0))
    (event,) = said(session, command("_error", 3.0, None, m.status("error", "NetStream.Play.Failed", "no")))
    assert (event.code, event.fatal) == ("NetStream.Play.Failed", True)


def test_players_acknowledge_and_answer_pings() -> None:
    session = playing()
    heard = listening(session)
    said(session, encode_message(2, 1, 0, 0, u32(60_000), 128), encode_message(2, 5, 0, 0, u32(100_000), 128))
    for piece in pieces(encode_message(6, 9, 1, 0, bytes(200_000), 60_000), 10_000):
        said(session, piece)
    assert 3 <= len(heard()) <= 4
    said(session, encode_message(2, 4, 0, 0, m.UserControl(m.PING_REQUEST, 5).payload(), 128))
    assert heard() == ["[0] user 7 5"]


def test_stopping_a_player() -> None:
    session = playing()
    heard = listening(session)
    session.stop()
    session.stop()
    assert heard() == ["[0] deleteStream#0(1.0)"]
