"""The server's end: order and contents of its answers as golden transcripts, and what it does with the odd ones."""

from __future__ import annotations

from typing import Any

import pytest

from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader, Message, encode_message
from tierkit.codecs.rtmp_handshake import SIZE, ClientHandshake
from tierkit.codecs.rtmp_link import COMMAND_LIMIT, WINDOW
from tierkit.codecs.rtmp_session import (
    CallReceived,
    ConnectRequested,
    Media,
    PauseRequested,
    PlayRequested,
    PlayStopped,
    Pong,
    PublishRequested,
    SeekRequested,
    ServerSession,
    Unpublished,
)
from tierkit.codecs.rtmp_url import Route
from tierkit.errors import LocalProtocolError, RemoteProtocolError

from .rtmp_helpers import HANDSHAKE, command, connect, connected, describe, listening, pieces, shaken, transcript, u32

WELCOME = [
    "[0] control 5 2500000",
    "[0] control 6 2500000",
    "[0] control 1 60000",
    "[0] _result#1(NetConnection.Connect.Success)",
]


def said(session: ServerSession, *data: bytes) -> list[Any]:
    return [event for piece in data for event in session.receive(piece, 0.0)]


def publishing(name: str = "s", **more: Any) -> ServerSession:
    session = connected(**more)
    said(session, command("createStream", 2.0, None))
    said(session, command("publish", 3.0, None, name, "live", stream_id=1))
    session.accept_publish(1)
    session.data_to_send()
    return session


def playing() -> ServerSession:
    session = connected()
    said(session, command("createStream", 2.0, None), command("play", 0.0, None, "s", stream_id=1))
    session.accept_play(1)
    session.data_to_send()
    return session


# Connect


def test_connect_is_reported_with_what_it_said() -> None:
    session = shaken()
    (event,) = said(session, connect("live", 1.0, flashVer="FMLE/3.0", capsEx=5.0))
    assert isinstance(event, ConnectRequested)
    assert (event.app, event.tc_url, event.flash_ver, event.caps_ex) == ("live", "rtmp://h/live", "FMLE/3.0", 5)
    assert event.can_reconnect
    assert event.object["app"] == "live"
    assert session.app == "live"


def test_the_order_in_which_connect_is_answered() -> None:
    session = shaken()
    for _ in session.receive(connect(), 0.0):
        session.accept_connect()
    assert transcript(session.data_to_send()) == WELCOME


def test_the_result_of_connect_has_what_librtmp_obs_and_gstreamer_look_for() -> None:
    session = shaken()
    for _ in session.receive(connect(transaction=7.0), 0.0):
        session.accept_connect()
    reader = ChunkReader()
    last = reader.receive(session.data_to_send())[-1]
    assert (last.csid, last.stream_id, last.type_id) == (3, 0, m.COMMAND)
    name, transaction, properties, info = amf0.decode_all(last.payload)
    assert (name, transaction) == ("_result", 7.0)
    assert type(properties) is type(info) is dict
    assert (properties["fmsVer"], properties["capabilities"]) == ("FMS/3,0,1,123", 31.0)
    assert (info["level"], info["code"]) == ("status", "NetConnection.Connect.Success")
    assert info["objectEncoding"] == 0.0
    assert "capsEx" not in info


def test_object_encoding_3_is_answered_only_to_who_said_it() -> None:
    for encoding in (0.0, 3.0):
        session = shaken()
        for _ in session.receive(connect(objectEncoding=encoding), 0.0):
            session.accept_connect()
        last = ChunkReader().receive(session.data_to_send())[-1]
        assert amf0.decode_all(last.payload)[3]["objectEncoding"] == encoding


def test_enhanced_rtmp_is_answered_with_forwarding_of_everything() -> None:
    session = shaken()
    for _ in session.receive(connect(fourCcList=["hvc1"]), 0.0):
        session.accept_connect()
    last = ChunkReader().receive(session.data_to_send())[-1]
    for place in amf0.decode_all(last.payload)[2:]:
        assert place["videoFourCcInfoMap"] == place["audioFourCcInfoMap"] == {"*": 4.0}
        assert place["capsEx"] == 15.0


def test_a_refused_connect_says_why_and_closes() -> None:
    session = shaken()
    for _ in session.receive(connect(), 0.0):
        session.reject_connect("NetConnection.Connect.InvalidApp", "no such application")
    assert transcript(session.data_to_send()) == ["[0] _error#1(NetConnection.Connect.InvalidApp)"]
    assert session.closing


def test_a_lower_case_tcurl_and_missing_keys_are_borne() -> None:
    session = shaken()
    (event,) = said(session, command("connect", 1.0, {"tcurl": "rtmp://h/live", "app": None, "flashVer": 7.0}))
    assert (event.app, event.tc_url, event.flash_ver) == ("", "rtmp://h/live", "")
    (event,) = said(shaken(), command("connect", 1.0, None))
    assert event.object == {}


def test_connect_may_come_in_the_segment_of_c2_and_commands_behind_it() -> None:
    session = ServerSession(b"s" * 32)
    data = ClientHandshake(b"c" * 32).hello() + bytes(SIZE) + connect() + command("createStream", 2.0, None)
    for event in session.receive(data, 0.0):
        assert isinstance(event, ConnectRequested)
        session.accept_connect()
    assert transcript(session.data_to_send()[HANDSHAKE:]) == [*WELCOME, "[0] _result#2(1.0)"]


@pytest.mark.parametrize("name", ["createStream", "publish", "play", "whatever"])
def test_commands_before_connect_are_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="before it is connected"):
        said(shaken(), command(name, 1.0, None))


def test_connecting_twice_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="twice"):
        said(connected(), connect())


def test_a_fault_ends_the_session_for_good() -> None:
    session = connected()
    with pytest.raises(RemoteProtocolError, match="has no name"):
        said(session, encode_message(3, 20, 0, 0, b"", 128))
    with pytest.raises(RemoteProtocolError, match="has no name"):
        said(session, command("createStream", 2.0, None))


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("length", [0, 1])
def test_short_control_messages_end_the_connection(kind: int, length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="shorter than"):
        said(connected(), encode_message(2, kind, 0, 0, bytes(length), 128))


def test_an_encoder_that_does_not_wait_for_publish_start_may_send_long_messages_at_once() -> None:
    session = connected()
    data = command("createStream", 2.0, None) + command("publish", 3.0, None, "s", stream_id=1)
    data += encode_message(6, 9, 1, 0, b"\x17\x01" + bytes(100_000), 128)
    events = []
    for event in session.receive(data, 0.0):
        events.append(event)
        if isinstance(event, PublishRequested):
            session.accept_publish(1)
    assert [type(event) for event in events] == [PublishRequested, Media]


# Streams


def test_create_stream_gives_1_first_and_again_after_it_was_deleted() -> None:
    session = connected()
    heard = listening(session)
    said(session, command("createStream", 2.0, None), command("createStream", 3.0, None))
    said(session, command("deleteStream", 0.0, None, 1.0), command("createStream", 4.0, None))
    assert heard() == ["[0] _result#2(1.0)", "[0] _result#3(2.0)", "[0] _result#4(1.0)"]


def test_the_result_of_create_stream_is_four_plain_values() -> None:
    session = connected()
    said(session, command("createStream", 2.0, None))
    reader = ChunkReader()
    (message,) = reader.receive(session.data_to_send())
    assert amf0.decode_all(message.payload) == ["_result", 2.0, None, 1.0]


def test_streams_that_were_never_created_are_taken_up_to_a_number() -> None:
    session = connected()
    (event,) = said(session, command("publish", 3.0, None, "s", stream_id=0))
    assert event.stream_id == 1
    with pytest.raises(RemoteProtocolError, match="more than 16 streams"):
        said(session, *[command("publish", 3.0, None, "s", stream_id=number) for number in range(1, 20)])


def test_a_player_that_wants_no_reset_gets_none() -> None:
    session = connected()
    said(session, command("play", 0.0, None, "s", -2.0, -1.0, False, stream_id=1))
    heard = listening(session)
    session.accept_play(1)
    assert "[1] onStatus#0(NetStream.Play.Reset)" not in heard()


def test_fcunpublish_of_one_of_two_streams_ends_that_one() -> None:
    session = publishing("a")
    said(session, command("publish", 4.0, None, "b?key=1", stream_id=2))
    session.accept_publish(2)
    assert said(session, command("FCUnpublish", 5.0, None, "b")) == [Unpublished(2, "FCUnpublish")]
    assert said(session, command("FCUnpublish", 5.0, None, "whatever")) == [Unpublished(1, "FCUnpublish")]


def test_two_publishers_on_one_connection_are_told_apart() -> None:
    session = publishing("a")
    said(session, command("publish", 4.0, None, "b", stream_id=2))
    session.accept_publish(2)
    frames = [encode_message(4, 8, number, 0, b"\xaf\x01", 128) for number in (1, 2, 3)]
    assert [event.stream_id for event in said(session, *frames)] == [1, 2]


def test_pings_without_answers_are_forgotten() -> None:
    session = connected()
    for second in range(20):
        session.ping(float(second))
    answers = [encode_message(2, 4, 0, 0, m.UserControl(m.PING_RESPONSE, n * 1000).payload(), 128) for n in (0, 19)]
    assert [list(session.receive(answer, 19.5)) for answer in answers] == [[], [Pong(0.5)]]


def test_a_flood_of_create_stream_ends() -> None:
    session = connected()
    with pytest.raises(RemoteProtocolError, match="more than 16 streams"):
        said(session, command("createStream", 2.0, None) * 20)


def test_a_flood_of_questions_without_reading_ends() -> None:
    session = connected()
    with pytest.raises(RemoteProtocolError, match="more answers than it reads"):
        said(session, *[command("_checkbw", 2.0, None) * 1000] * 20)


# Publishing


@pytest.mark.parametrize("step", [0, 1])
def test_the_order_of_an_obs_publish(step: int) -> None:
    """OBS: chunk size before connect, then releaseStream, FCPublish and createStream in one write, as librtmp does."""
    session = shaken()
    events: list[Any] = []

    def send(data: bytes) -> list[str]:
        for piece in pieces(data, step or len(data)):
            for event in session.receive(piece, 0.0):
                events.append(event)
                match event:
                    case ConnectRequested():
                        session.accept_connect()
                    case PublishRequested(stream_id):
                        session.accept_publish(stream_id)
        return [describe(message) for message in reader.receive(session.data_to_send())]

    reader = ChunkReader()

    size = 4096
    first = encode_message(2, 1, 0, 0, u32(size), 128)
    obj = {
        "app": "live",
        "type": "nonprivate",
        "flashVer": "FMLE/3.0 (compatible; FMSc/1.0)",
        "swfUrl": "rtmp://h/live",
        "tcUrl": "rtmp://h/live",
    }
    assert send(first + command("connect", 1.0, obj, chunk_size=size)) == WELCOME
    asked = b"".join(
        (
            command("releaseStream", 2.0, None, "key", chunk_size=size),
            command("FCPublish", 3.0, None, "key", chunk_size=size),
            command("createStream", 4.0, None, chunk_size=size),
        )
    )
    assert send(asked) == [
        "[0] _result#2(UNDEFINED)",
        "[0] onFCPublish#3(NetStream.Publish.Start)",
        "[0] _result#3(UNDEFINED)",
        "[0] _result#4(1.0)",
    ]
    assert send(command("publish", 5.0, None, "key", "live", stream_id=1, chunk_size=size)) == [
        "[0] user 0 1",
        "[1] onStatus#0(NetStream.Publish.Start)",
    ]
    meta = amf0.encode("@setDataFrame", "onMetaData", amf0.ECMAArray(width=64.0))
    media = encode_message(4, 18, 1, 0, meta, size) + encode_message(4, 9, 1, 0, b"\x17\x00" + bytes(5000), size)
    assert send(media) == []
    end = command("FCUnpublish", 6.0, None, "key", chunk_size=size)
    end += command("deleteStream", 7.0, None, 1.0, chunk_size=size)
    assert send(end) == [
        "[0] onFCUnpublish#0(NetStream.Unpublish.Success)",
        "[0] _result#6(UNDEFINED)",
        "[1] onStatus#0(NetStream.Unpublish.Success)",
    ]
    assert [type(event) for event in events] == [ConnectRequested, PublishRequested, Media, Media, Unpublished]
    assert events[1] == PublishRequested(1, Route("/live/key"), "live", "key")
    assert events[2].payload == meta[16:]


def test_media_before_publish_is_accepted_or_after_it_ended_is_ignored() -> None:
    session = connected()
    said(session, command("createStream", 2.0, None), command("publish", 3.0, None, "s", stream_id=1))
    media = encode_message(4, 8, 1, 0, b"\xaf\x01", 128)
    assert said(session, media) == []
    session.accept_publish(1)
    assert len(said(session, media)) == 1
    assert said(session, command("closeStream", 0.0, None, stream_id=1)) == [Unpublished(1, "closeStream")]
    assert said(session, media) == []
    assert session.ignored == 2


def test_a_publish_type_may_be_missing_or_upper_case() -> None:
    for args, kind in (((), "live"), (("LIVE",), "live"), (("record",), "record"), ((None,), "live"), (("",), "live")):
        session = connected()
        said(session, command("createStream", 2.0, None))
        (event,) = said(session, command("publish", 3.0, None, "s", *args, stream_id=1))
        assert event.kind == kind


def test_a_taken_name_is_refused_and_the_connection_closes() -> None:
    session = connected()
    heard = listening(session)
    said(session, command("createStream", 2.0, None), command("publish", 3.0, None, "s", "live", stream_id=1))
    session.reject_publish(1, "NetStream.Publish.BadName", "somebody publishes it")
    assert heard()[-1] == "[1] onStatus#0(NetStream.Publish.BadName)"
    assert session.closing


def test_closing_and_publishing_again_on_the_same_connection_works() -> None:
    session = publishing()
    heard = listening(session)
    assert said(session, command("closeStream", 0.0, None, stream_id=1)) == [Unpublished(1, "closeStream")]
    assert heard() == ["[1] onStatus#0(NetStream.Unpublish.Success)"]
    (event,) = said(session, command("publish", 4.0, None, "s2", "live", stream_id=1))
    assert event.route.path == "/live/s2"
    session.accept_publish(1)
    assert heard() == ["[0] user 0 1", "[1] onStatus#0(NetStream.Publish.Start)"]
    assert len(said(session, encode_message(4, 8, 1, 0, b"\xaf\x01", 128))) == 1


@pytest.mark.parametrize("on", [0, 1])
def test_delete_stream_may_come_on_either_message_stream(on: int) -> None:
    session = publishing()
    assert said(session, command("deleteStream", 0.0, None, 1.0, stream_id=on)) == [Unpublished(1, "deleteStream")]


def test_publishing_again_without_closing_ends_the_first() -> None:
    session = publishing()
    events = said(session, command("publish", 4.0, None, "other", stream_id=1))
    assert events[0] == Unpublished(1, "publish")
    assert isinstance(events[1], PublishRequested)


def test_media_on_message_stream_0_belongs_to_the_only_publisher() -> None:
    session = publishing()
    (event,) = said(session, encode_message(4, 8, 0, 5, b"\xaf\x01", 128))
    assert event == Media(8, 5, b"\xaf\x01", 1)


def test_aggregates_come_out_as_their_parts() -> None:
    session = publishing()
    parts = [Message(8, 1, 100, b"\xaf\x01a", 4), Message(9, 1, 110, b"\x17\x01v", 4), Message(20, 1, 120, b"?", 4)]
    parts.append(Message(18, 1, 130, amf0.encode("onCuePoint"), 4))
    whole = encode_message(4, m.AGGREGATE, 1, 5000, m.aggregate_payload(parts), 128)
    assert said(session, whole) == [
        Media(8, 5000, b"\xaf\x01a", 1),
        Media(9, 5010, b"\x17\x01v", 1),
        Media(18, 5030, amf0.encode("onCuePoint"), 1),
    ]
    assert said(connected(), whole) == []


@pytest.mark.parametrize("payload", [b"\x00\x00\x00\x17", amf0.encode("@clearDataFrame", "onMetaData")])
def test_data_that_is_not_for_players_is_ignored(payload: bytes) -> None:
    assert said(publishing(), encode_message(4, 18, 1, 0, payload, 128)) == []


def test_amf3_data_and_commands_are_understood() -> None:
    session = publishing()
    meta = amf0.encode("onMetaData", {})
    assert said(session, encode_message(5, 15, 1, 0, b"\x00" + meta, 128)) == [Media(18, 0, meta, 1)]
    bye = encode_message(3, 17, 0, 0, b"\x00" + m.command_payload("deleteStream", 0, None, 1.0), 128)
    assert said(session, bye) == [Unpublished(1, "deleteStream")]


def test_long_messages_are_taken_from_publishers_only() -> None:
    frame = encode_message(6, 9, 1, 0, b"\x17\x01" + bytes(COMMAND_LIMIT), 128)
    assert len(said(publishing(), frame)) == 1
    for session in (shaken(), connected(), playing()):
        with pytest.raises(RemoteProtocolError, match="bytes"):
            said(session, frame)


# Playing


def test_the_order_of_a_play() -> None:
    session = connected()
    heard = listening(session)
    events = said(
        session,
        command("createStream", 2.0, None),
        command("getStreamLength", 3.0, None, "s"),
        command("play", 4.0, None, "s?k=1", -2000.0, stream_id=1),
        encode_message(2, 4, 0, 0, m.UserControl(m.SET_BUFFER_LENGTH, 1, 3000).payload(), 128),
    )
    assert events == [PlayRequested(1, Route("/live/s", "k=1"), -2, -1, True, "s?k=1", ("s?k=1", -2000.0))]
    assert heard() == ["[0] _result#2(1.0)"]
    session.accept_play(1)
    assert heard() == [
        "[0] user 0 1",
        "[1] onStatus#0(NetStream.Play.Reset)",
        "[1] onStatus#0(NetStream.Play.Start)",
        "[1] data |RtmpSampleAccess",
    ]


def test_play_arguments_may_be_missing_or_odd() -> None:
    for args, expected in (
        ((), (-2, -1, True)),
        ((-1000.0, -1000.0, False), (-1, -1, False)),
        ((1500.0, 2000.0, True), (1500, 2000, True)),
        ((float("nan"), "x", None), (-2, -1, True)),
    ):
        session = connected()
        said(session, command("createStream", 2.0, None))
        (event,) = said(session, command("play", 0.0, None, "s", *args, stream_id=1))
        assert (event.start, event.duration, event.reset) == expected


def test_the_end_of_a_stream_is_said_in_both_ways_and_its_return() -> None:
    session = playing()
    heard = listening(session)
    session.end_play(1)
    assert heard() == ["[0] user 1 1", "[1] onStatus#0(NetStream.Play.UnpublishNotify)"]
    session.resume_play(1)
    assert heard() == ["[0] user 0 1", "[1] onStatus#0(NetStream.Play.PublishNotify)"]


def test_a_stream_that_is_not_there() -> None:
    session = connected()
    heard = listening(session)
    said(session, command("createStream", 2.0, None), command("play", 0.0, None, "s", stream_id=1))
    session.reject_play(1, close=False)
    assert heard()[-1] == "[1] onStatus#0(NetStream.Play.StreamNotFound)"
    assert not session.closing
    said(session, command("play", 0.0, None, "t", stream_id=1))
    session.reject_play(1)
    assert session.closing


def test_a_player_that_waits_may_go_and_may_change_its_mind() -> None:
    session = connected()
    said(session, command("createStream", 2.0, None), command("play", 0.0, None, "s", stream_id=1))
    events = said(session, command("play", 0.0, None, "t", stream_id=1))
    assert (events[0], events[1].route.path) == (PlayStopped(1, "play"), "/live/t")
    assert said(session, command("deleteStream", 0.0, None, 1.0)) == [PlayStopped(1, "deleteStream")]
    with pytest.raises(LocalProtocolError):
        session.accept_play(1)


def test_pause_and_seek_are_reported_and_answered() -> None:
    session = playing()
    heard = listening(session)
    for paused, code, event in ((True, "Pause", "1"), (False, "Unpause", "0")):
        assert said(session, command("pause", 0.0, None, paused, 1500.0, stream_id=1)) == [
            PauseRequested(1, paused, 1500)
        ]
        session.accept_pause(1, paused)
        assert heard() == [f"[1] onStatus#0(NetStream.{code}.Notify)", f"[0] user {event} 1"]
    assert said(session, command("seek", 0.0, None, 9000.0, stream_id=1)) == [SeekRequested(1, 9000)]
    session.accept_seek(1, 9000)
    assert heard() == ["[1] onStatus#0(NetStream.Seek.Notify)", "[0] user 0 1", "[1] onStatus#0(NetStream.Play.Start)"]


def test_pause_and_seek_of_nobody_are_ignored() -> None:
    session = connected()
    assert said(session, command("pause", 0.0, None, True, stream_id=1), command("seek", 0.0, None, 1.0)) == []


@pytest.mark.parametrize("name", ["../x", "a\x00b", "", "a\nb"])
@pytest.mark.parametrize(("verb", "code"), [("publish", "Publish.BadName"), ("play", "Play.StreamNotFound")])
def test_dangerous_names_are_told_and_the_connection_ends(name: str, verb: str, code: str) -> None:
    session = connected(app="live" if name else "")
    session.tc_url = ""
    said(session, command("createStream", 2.0, None))
    session.data_to_send()
    heard = listening(session)
    with pytest.raises(RemoteProtocolError, match="the stream's name"):
        said(session, command(verb, 3.0, None, name, stream_id=1))
    assert heard() == [f"[1] onStatus#0(NetStream.{code})"]
    assert session.closing


def test_the_control_messages_between_media_are_whole_and_stand_alone() -> None:
    """What is sent in play mixes with pre-encoded media at message boundaries, in any order."""
    session = playing()
    media = [encode_message(6, 9, 1, 0x1000000 + i, bytes(100_000), session.chunk_size) for i in range(3)]
    session.ping(1.0)
    pings = session.data_to_send()
    session.end_play(1)
    end = session.data_to_send()
    reader = ChunkReader()
    reader.chunk_size = session.chunk_size
    kinds = [message.type_id for message in reader.receive(media[0] + pings + media[1] + end + media[2])]
    assert kinds == [9, 4, 9, 4, 20, 9]


# Habits


@pytest.mark.parametrize(
    ("sent", "heard_back"),
    [
        (command("releaseStream", 2.0, None, "s"), ["[0] _result#2(UNDEFINED)"]),
        (command("releaseStream", 0.0, None, "s"), []),
        (command("FCSubscribe", 2.0, None, "s"), ["[0] onFCSubscribe#0(NetStream.Play.Start)"]),
        (command("_checkbw", 2.0, None), ["[0] _result#2(None)"]),
        (command("getStreamLength", 2.0, None, "s"), []),
        (command("_result", 2.0, None), []),
        (command("FCUnpublish", 0.0, None, "s"), ["[0] onFCUnpublish#0(NetStream.Unpublish.Success)"]),
        (command("closeStream", 0.0, None, stream_id=9), []),
        (command("deleteStream", 0.0, None, 77.0), []),
    ],
)  # fmt: skip
def test_calls_that_encoders_and_players_make(sent: bytes, heard_back: list[str]) -> None:
    session = connected()
    heard = listening(session)
    assert said(session, sent) == []
    assert heard() == heard_back


def test_unknown_calls_are_reported() -> None:
    (event,) = said(connected(), command("setDataFrameRate", 0.0, None, 25.0))
    assert isinstance(event, CallReceived)
    assert event.command.name == "setDataFrameRate"


@pytest.mark.parametrize("event", [26, 27, 31, 32, 999])
def test_unknown_user_control_events_do_no_harm(event: int) -> None:
    assert said(connected(), encode_message(2, 4, 0, 0, event.to_bytes(2, "big") + u32(1), 128)) == []


@pytest.mark.parametrize("kind", [7, 10, 16, 19, 21, 200])
def test_unknown_messages_do_no_harm(kind: int) -> None:
    session = connected()
    assert said(session, encode_message(3, kind, 0, 0, b"??", 128)) == []
    assert session.ignored == 1


def test_pings_are_answered_and_measured() -> None:
    session = connected()
    heard = listening(session)
    said(session, encode_message(2, 4, 0, 0, m.UserControl(m.PING_REQUEST, 77).payload(), 128))
    assert heard() == ["[0] user 7 77"]
    session.ping(10.0)
    assert heard() == ["[0] user 6 10000"]
    answer = encode_message(2, 4, 0, 0, m.UserControl(m.PING_RESPONSE, 10_000).payload(), 128)
    assert list(session.receive(answer, 10.25)) == [Pong(0.25)]
    assert list(session.receive(answer, 10.5)) == []


def test_acknowledgements_at_half_the_window_by_default() -> None:
    session = publishing()
    heard = listening(session)
    frame = encode_message(6, 9, 1, 0, bytes(60_000), 60_000)
    said(session, encode_message(2, 1, 0, 0, u32(60_000), 128))
    before = session.bytes_received
    for _ in range(20):
        said(session, frame)
    assert heard() == []
    said(session, frame)
    assert heard() == [f"[0] control 3 {before + 21 * len(frame)}"]
    assert before + 21 * len(frame) >= WINDOW // 2


def test_a_tiny_window_makes_no_storm_of_acknowledgements() -> None:
    session = publishing()
    said(session, encode_message(2, 5, 0, 0, u32(1), 128))
    heard = listening(session)
    for _ in range(100):
        said(session, encode_message(4, 8, 1, 0, bytes(1000), 128))
    assert 0 < len(heard()) <= 100 * 1100 // (16 << 10)


def test_the_sequence_number_of_acknowledgements_wraps() -> None:
    session = publishing()
    session.bytes_received = session._acknowledged = 2**32 - 10
    said(session, encode_message(2, 5, 0, 0, u32(1), 128))
    heard = listening(session)
    said(session, *[encode_message(4, 8, 1, 0, bytes(1000), 128)] * 20)
    (line,) = heard()
    assert int(line.rpartition(" ")[2]) < 40_000


def test_a_peer_bandwidth_is_answered_with_that_window() -> None:
    session = connected()
    heard = listening(session)
    said(session, encode_message(2, 6, 0, 0, u32(5000) + b"\x02", 128), encode_message(2, 3, 0, 0, u32(123), 128))
    assert heard() == ["[0] control 5 5000"]
    assert session.peer_acknowledged == 123


def test_asking_to_reconnect() -> None:
    session = playing()
    heard = listening(session)
    session.request_reconnect("rtmp://other/live")
    assert heard() == ["[0] onStatus#0(NetConnection.Connect.ReconnectRequest)"]


def test_answers_that_nobody_asked_for_are_our_own_mistake() -> None:
    session = connected()
    for answer in (
        session.accept_connect,
        session.reject_connect,
        lambda: session.accept_publish(1),
        lambda: session.reject_publish(1),
        lambda: session.accept_play(1),
        lambda: session.reject_play(1),
        lambda: session.end_play(1),
        lambda: session.accept_seek(1, 0),
    ):
        with pytest.raises(LocalProtocolError):
            answer()
