from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import Message
from tierkit.codecs.rtmp_message import Command, UserControl
from tierkit.errors import RemoteProtocolError

META = amf0.encode("onMetaData", amf0.ECMAArray(width=64.0))
SET_META = amf0.encode("@setDataFrame", "onMetaData", amf0.ECMAArray(width=64.0))


def message(type_id: int, payload: bytes, timestamp: int = 0) -> Message:
    return Message(type_id, 1, timestamp, payload, 3)


@pytest.mark.parametrize("prefix", [b"", b"\x00"])
def test_commands_come_as_amf0_and_as_amf3_with_a_prefix_byte(prefix: bytes) -> None:
    sent = Command("connect", 1.0, {"app": "live"}, ("user", 2.0))
    kind = m.COMMAND_AMF3 if prefix else m.COMMAND
    assert Command.decode(message(kind, prefix + sent.payload())) == sent


def test_an_amf3_command_without_its_prefix_is_borne() -> None:
    assert Command.decode(message(m.COMMAND_AMF3, Command("play").payload())) == Command("play")


def test_what_a_command_leaves_out_has_defaults() -> None:
    got = Command.decode(message(m.COMMAND, amf0.encode("publish")))
    assert got == Command("publish", 0.0, None, ())
    assert got.arg(1, "live") == "live"
    assert Command.decode(message(m.COMMAND, amf0.encode("x", "not a number"))).transaction == 0.0


@pytest.mark.parametrize("payload", [b"", b"\x00", amf0.encode(1.0), amf0.encode(None, 1.0), b"\xff"])
def test_a_command_without_a_name_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Command.decode(message(m.COMMAND, payload))


def test_status_objects_are_plain_objects() -> None:
    wire = m.command_payload("onStatus", 0, None, m.status("status", "NetStream.Play.Start", "d", clientid="1"))
    info = amf0.decode_all(wire)[3]
    assert type(info) is dict
    assert info == {"level": "status", "code": "NetStream.Play.Start", "description": "d", "clientid": "1"}


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (UserControl(m.STREAM_BEGIN, 1), "0000 00000001"),
        (UserControl(m.STREAM_EOF, 1), "0001 00000001"),
        (UserControl(m.SET_BUFFER_LENGTH, 1, 3000), "0003 00000001 00000bb8"),
        (UserControl(m.PING_REQUEST, 7), "0006 00000007"),
    ],
)
def test_user_control_events(event: UserControl, wire: str) -> None:
    data = bytes.fromhex(wire)
    assert event.payload() == data
    assert UserControl.decode(data) == event
    assert UserControl.decode(data + bytes(8)).event == event.event


@pytest.mark.parametrize("payload", ["001a", "001b 00", "001f 00000001", "0020 00000001", "ffff"])
def test_unknown_user_control_events_are_values(payload: str) -> None:
    data = bytes.fromhex(payload)
    assert UserControl.decode(data).event == int.from_bytes(data[:2], "big")


@pytest.mark.parametrize("payload", ["", "00", "0000", "0003 00000001", "0006 0000", "0007"])
def test_short_user_control_events_are_refused(payload: str) -> None:
    with pytest.raises(RemoteProtocolError, match="shorter"):
        UserControl.decode(bytes.fromhex(payload))


@pytest.mark.parametrize("kind", [m.ACKNOWLEDGEMENT, m.WINDOW_ACK_SIZE, m.SET_PEER_BANDWIDTH])
@pytest.mark.parametrize("length", range(4))
def test_short_control_payloads_are_refused(kind: int, length: int) -> None:
    with pytest.raises(RemoteProtocolError, match="shorter than 4 bytes"):
        m.unpack_u32(message(kind, bytes(length)))


def test_numbers_of_control_messages() -> None:
    assert m.unpack_u32(message(5, m.u32_payload(2_500_000) + b"\x02")) == 2_500_000
    assert m.u32_payload(2**32 + 5) == m.u32_payload(5)


@pytest.mark.parametrize("payload", [META, SET_META])
def test_metadata_loses_its_wrapping_towards_players_and_gets_it_towards_servers(payload: bytes) -> None:
    assert m.media_data(message(m.DATA, payload)) == META
    assert m.media_data(message(m.DATA_AMF3, b"\x00" + payload)) == META
    assert m.set_data_frame(payload) == SET_META


def test_metadata_that_cannot_be_decoded_passes_unchanged() -> None:
    odd = SET_META[:-3] + b"\xff\xff"
    assert m.media_data(message(m.DATA, odd)) == META[:-3] + b"\xff\xff"


@pytest.mark.parametrize(
    "payload", [b"", b"\x00\x00\x00\x17", b"\x00", amf0.encode("@clearDataFrame", "onMetaData"), SET_META[:16]]
)
def test_data_that_is_not_for_players_is_left_out(payload: bytes) -> None:
    assert m.media_data(message(m.DATA, payload)) is None


def test_names_of_data_messages() -> None:
    assert m.data_name(message(m.DATA, META)) == "onMetaData"
    assert m.data_name(message(m.DATA_AMF3, b"\x00" + SET_META)) == "@setDataFrame"
    assert m.data_name(message(m.DATA, b"\x00\x00\x00\x17")) == ""


parts = st.lists(
    st.tuples(st.sampled_from([8, 9, 18]), st.integers(0, 100_000), st.binary(max_size=30)), min_size=1, max_size=5
)


@given(parts, st.integers(0, 2**32 - 1))
def test_aggregates_are_split_with_their_times_shifted(content: list[tuple[int, int, bytes]], timestamp: int) -> None:
    inner = [Message(kind, 1, time, payload, 3) for kind, time, payload in content]
    whole = message(m.AGGREGATE, m.aggregate_payload(inner), timestamp)
    got = m.split_aggregate(whole)
    assert [(part.type_id, part.payload) for part in got] == [(part.type_id, part.payload) for part in inner]
    assert [part.timestamp for part in got] == [
        (timestamp + part.timestamp - inner[0].timestamp) % 2**32 for part in inner
    ]


def test_the_last_back_pointer_of_an_aggregate_may_be_missing() -> None:
    whole = m.aggregate_payload([message(8, b"a"), message(9, b"b")])
    assert len(m.split_aggregate(message(m.AGGREGATE, whole[:-4]))) == 2


def test_aggregates_that_lie_are_refused() -> None:
    whole = m.aggregate_payload([message(8, b"audio")])
    for cut in range(1, len(whole) - 4):
        with pytest.raises(RemoteProtocolError, match="cut short"):
            m.split_aggregate(message(m.AGGREGATE, whole[:cut]))
    with pytest.raises(RemoteProtocolError, match="inside another"):
        m.split_aggregate(message(m.AGGREGATE, m.aggregate_payload([message(m.AGGREGATE, whole)])))


READERS: list[Any] = [Command.decode, m.unpack_u32, m.media_data, m.data_name, m.split_aggregate]


@given(st.integers(0, 30), st.binary(max_size=80))
def test_any_payload_is_read_or_refused(type_id: int, payload: bytes) -> None:
    for read in [*READERS, lambda msg: UserControl.decode(msg.payload)]:
        try:
            read(message(type_id, payload))
        except RemoteProtocolError:
            pass
