"""What RTMP holds to: guards against what broke other servers, and the order and contents that clients depend on."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from tierkit._certificates import _server_context
from tierkit._live_epoch import Place
from tierkit._rtmp_server import _Served
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.amf0 import ECMAArray, decode_all
from tierkit.codecs.flv_packet import PLAIN
from tierkit.codecs.rtmp_chunk import ChunkReader, Message
from tierkit.codecs.rtmp_events import CallReceived
from tierkit.codecs.rtmp_message import split_aggregate
from tierkit.codecs.rtmp_server import ServerSession

from ..switch import Switch

_CHUNK: Final = "tierkit.codecs.rtmp_chunk:ChunkReader"
_LINK: Final = "tierkit.codecs.rtmp_link:Link"
_SERVER: Final = "tierkit.codecs.rtmp_server:ServerSession"
_SERVED: Final = "tierkit._rtmp_server:_Served"
#: As they are, for what is put in their place and does nearly the same.
_FULL, _NEW, _INIT = ChunkReader._full, ChunkReader._new, ChunkReader.__init__
_CONNECT = _Served._connect
_ON_CONNECT, _ACCEPT_CONNECT = ServerSession._on_connect, ServerSession.accept_connect
_DECODE, _SPLIT, _CONTEXT = decode_all, split_aggregate, _server_context

#: Seconds that nobody waits, on a clock that leaps.
LONG: Final = 1e6
_WRAPPING: Final = (
    "codecs/test_rtmp_message.py::test_metadata_loses_its_wrapping_towards_players_and_gets_it_towards_servers"
)


# --- chunks ------------------------------------------------------------------------------------------


def _any_size(self: Any, payload: bytes) -> None:
    self.chunk_size = min(int.from_bytes(payload[:4], "big"), 0xFFFFFF)


def _short_size(self: Any, payload: bytes) -> None:
    size = int.from_bytes(payload[:4], "big")
    if 0 < size < 1 << 31:
        self.chunk_size = size


def _begin_again(self: Any, data: bytes, at: int, end: int, fmt: int, csid: int, stream: Any) -> Any:
    """A new header begins a new message, of whatever length; what has come of the old one stays in front."""
    if stream is not None:
        stream.partial = False
    return _FULL(self, data, at, end, fmt, csid, stream)


def _delta_is_the_time(self: Any, data: bytes, at: int, end: int, fmt: int, csid: int, stream: Any) -> Any:
    """As the specification says of fmt 3 behind fmt 0."""
    found = _FULL(self, data, at, end, fmt, csid, stream)
    if found is not None and fmt == 0:
        found[1].delta = found[1].timestamp
    return found


def _extended_is_absolute(self: Any, data: bytes, at: int, end: int, fmt: int, csid: int, stream: Any) -> Any:
    """As SRS reads it."""
    found = _FULL(self, data, at, end, fmt, csid, stream)
    if found is not None and fmt == 1 and found[1].field is not None:
        found[1].timestamp = found[1].field
    return found


def _always_repeated(self: Any, data: bytes, at: int, end: int, csid: int, stream: Any) -> Any:
    if at + 4 > end:
        return None
    if not stream.partial:
        stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
    return csid, stream, at + 4


def _never_repeated(self: Any, data: bytes, at: int, end: int, csid: int, stream: Any) -> Any:
    if not stream.partial:
        stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
    return csid, stream, at


def _as_many_as_come(self: Any, csid: int, fmt: int) -> Any:
    kept, self._streams = self._streams, {}
    try:
        stream = _NEW(self, csid, fmt)
    finally:
        self._streams = kept
    self._streams[csid] = stream
    return stream


def _full_header_first(self: Any, csid: int, fmt: int) -> Any:
    return _NEW(self, csid, fmt if fmt == 0 else 2)


def _all_that_is_declared(self: Any, *, max_message: int = 0, max_buffered: int = 0) -> None:
    _INIT(self, max_message=1 << 24, max_buffered=max_buffered)


def _all_that_comes(self: Any, *, max_message: int = 0, max_buffered: int = 0) -> None:
    _INIT(self, max_message=max_message, max_buffered=1 << 40)


def _not_counted(self: Any) -> None:
    pass


def _not_aborted(self: Any, payload: bytes) -> None:
    pass


# --- values and messages -----------------------------------------------------------------------------


def _as_deep_as_it_goes(data: bytes, *, max_depth: int = 0, max_values: int = amf0.MAX_VALUES) -> list[Any]:
    return _DECODE(data, max_depth=1 << 20, max_values=1 << 20)


def _as_many_values(data: bytes, *, max_depth: int = amf0.MAX_DEPTH, max_values: int = 0) -> list[Any]:
    return _DECODE(data, max_depth=max_depth, max_values=1 << 40)


def _however_short(message: Message) -> int:
    return int.from_bytes(message.payload[:4], "big")


def _known_events_only(cls: Any, payload: bytes) -> Any:
    event = int.from_bytes(payload[:2], "big")
    if event > 7:
        raise m.RemoteProtocolError(f"user control event {event} is unknown")
    return cls(event, int.from_bytes(payload[2:6], "big"), int.from_bytes(payload[6:10], "big"))


def _ecma_status(level: str, code: str, description: str, **more: Any) -> dict[str, Any]:
    return ECMAArray({"level": level, "code": code, "description": description, **more})


def _data_as_it_came(message: Message) -> bytes | None:
    return message.payload if message.payload[:1] == b"\x02" else None


def _data_of_any_kind(message: Message) -> bytes | None:
    return message.payload.removeprefix(m.set_data_frame(b""))


def _all_at_once(message: Message) -> list[Message]:
    return [each._replace(timestamp=message.timestamp) for each in _SPLIT(message)]


# --- a connection --------------------------------------------------------------------------------------


def _owe_any_amount(self: Any, data: bytes) -> None:
    if data:
        self._out.append(data)


def _any_window(self: Any, kind: int, value: int) -> None:
    if kind == m.WINDOW_ACK_SIZE:
        self._window = value


def _no_answer(self: Any, event: Any, now: float) -> Iterator[Any]:
    return iter(())


def _bandwidth_without_type(self: Any, type_id: int, value: int) -> None:
    self._send(m.CSID_CONTROL, type_id, 0, m.u32_payload(value))


def _commands_at_any_time(self: Any, stream_id: int, command: Any) -> Iterator[Any]:
    if command.name == "connect":
        yield self._on_connect(command)
    elif (handler := self._HANDLERS.get(command.name)) is not None:
        yield from handler(self, stream_id, command)
    else:
        yield CallReceived(stream_id, command)


def _told_as_said(self: Any, stream_id: int, command: Any) -> Iterator[Any]:
    if command.name == "connect":
        yield self._on_connect(command)
    else:
        raise m.RemoteProtocolError(f"an RTMP client calls {command.name} before it is connected")


def _connect_again(self: Any, command: Any) -> Any:
    self._connect, self._accepted = None, False
    return _ON_CONNECT(self, command)


def _size_behind_the_result(self: Any) -> None:
    _ACCEPT_CONNECT(self)
    self._out[-1], self._out[-2] = self._out[-2], self._out[-1]


def _next_number(self: Any, stream_id: int, command: Any) -> Any:
    number = max(self._streams, default=0) + 1
    self._target(number)
    self._call(0, "_result", command.transaction, None, float(number))
    return ()


def _leave_it_open(self: Any, stream_id: int, code: str = "NetStream.Publish.BadName", description: str = "") -> None:
    self._status(stream_id, "error", code, description)


def _publish_without_begin(self: Any, stream_id: int) -> None:
    stream = self._streams[stream_id]
    stream.state, self._publishing[stream_id] = 2, stream
    self._status(stream_id, "status", "NetStream.Publish.Start", f"{stream.name} is now published.", clientid="tierkit")


def _play(self: Any, stream_id: int, *, reset: bool = True, access: bool = True, data: bool = False) -> None:
    stream = self._streams[stream_id]
    stream.state = 4
    self._user_control(m.STREAM_BEGIN, stream_id)
    if reset:
        self._status(stream_id, "status", "NetStream.Play.Reset", "")
    self._status(stream_id, "status", "NetStream.Play.Start", "", clientid="tierkit")
    if access:
        self._send(m.CSID_DATA, m.DATA, stream_id, amf0.encode("|RtmpSampleAccess", True, True))
    if data:
        info = {"code": "NetStream.Data.Start"}
        self._send(m.CSID_DATA, m.DATA, stream_id, amf0.encode("onStatus", info))


def _play_without_reset(self: Any, stream_id: int) -> None:
    _play(self, stream_id, reset=False)


def _play_without_access(self: Any, stream_id: int) -> None:
    _play(self, stream_id, access=False)


def _play_with_data_start(self: Any, stream_id: int) -> None:
    _play(self, stream_id, data=True)


def _eof_alone(self: Any, stream_id: int, code: str = "") -> None:
    self._user_control(m.STREAM_EOF, stream_id)


def _pause_without_eof(self: Any, stream_id: int, paused: bool) -> None:
    self._status(stream_id, "status", "NetStream.Pause.Notify" if paused else "NetStream.Unpause.Notify", "")


def _seek_without_notify(self: Any, stream_id: int, ms: int) -> None:
    self._user_control(m.STREAM_BEGIN, stream_id)
    self._status(stream_id, "status", "NetStream.Play.Start", "")


async def _settled_by_connect(self: Any, event: Any) -> None:
    self.connection.settled()
    await _CONNECT(self, event)


def _begin_at_once(self: Any) -> bool:
    stream = self._stream
    if stream is None or self.cursor is not None or self._sending or self._ended:
        return False
    self.host.sweeper.waits.discard(self)
    self.session.accept_play(self._playing)
    self.cursor = stream.ring.attach(self.connection, self._given_up, first=self.session.data_to_send())
    return True


def _any_picture(self: Any, kind: Any) -> Place:
    self._pictures = True
    return Place.SYNC


def _with_tickets(*, tickets: bool = True) -> Any:
    return _CONTEXT()


def _handlers(**changed: Any) -> dict[str, Any]:
    return {**ServerSession._HANDLERS, **changed}


GROUPS: Final[dict[str, list[Switch]]] = {
    "Chunks that were made to break a reader": [
        Switch(
            rule="A chunk size beyond 24 bits means 24 bits",
            source="arut/nginx-rtmp-module#1042",
            off={"tierkit.codecs.rtmp_chunk:_CHUNK_SIZE_LIMIT": 0x7FFFFFFF},
            tests=("codecs/test_rtmp_chunk.py::test_huge_chunk_sizes_are_clamped_not_refused_and_allocate_nothing",),
        ),
        Switch(
            rule="A chunk size is not 0, and has no sign",
            source="RTMP 5.4.1",
            off={f"{_CHUNK}._set_chunk_size": _any_size},
            tests=(
                "codecs/test_rtmp_chunk.py::test_impossible_chunk_sizes_are_refused",
                "rtmp/test_facts_hostile.py::test_what_breaks_the_rules_ends_one_connection",
            ),
        ),
        Switch(
            rule="A Set Chunk Size has four bytes",
            source="livego#186, owncast#673, xiu#25",
            off={f"{_CHUNK}._set_chunk_size": _short_size},
            tests=("codecs/test_rtmp_chunk.py::test_short_set_chunk_size_and_abort_are_refused",),
        ),
        Switch(
            rule="Windows, bandwidths and acknowledgements have four bytes",
            source="lal#331, livekit-ingress#80",
            off={"tierkit.codecs.rtmp_message:unpack_u32": _however_short},
            tests=(
                "codecs/test_rtmp_message.py::test_short_control_payloads_are_refused",
                "rtmp/test_facts_hostile.py::test_what_breaks_the_rules_ends_one_connection",
            ),
        ),
        Switch(
            rule="A header in the middle of a message is refused",
            source="CVE-2016-10191",
            off={f"{_CHUNK}._full": _begin_again},
            tests=(
                "rtmp/test_facts_chunks.py::test_cve_2016_10191_a_new_length_in_the_middle_of_a_message",
                "codecs/test_rtmp_chunk.py::test_a_new_header_inside_a_message_is_refused",
            ),
        ),
        Switch(
            rule="A message is refused by its length",
            source="Red5#456",
            off={f"{_CHUNK}.__init__": _all_that_is_declared},
            tests=("codecs/test_rtmp_chunk.py::test_a_message_longer_than_the_bound_is_refused_by_its_header",),
        ),
        Switch(
            rule="Unfinished messages have one budget",
            source="Red5#456",
            off={f"{_CHUNK}.__init__": _all_that_comes},
            tests=(
                "codecs/test_rtmp_chunk.py::test_unfinished_messages_have_a_budget",
                "rtmp/test_facts_chunks.py::test_sixty_unfinished_messages_of_sixteen_megabytes_are_bounded",
            ),
        ),
        Switch(
            rule="Chunk streams have a number",
            source="SRS's map has none",
            off={f"{_CHUNK}._new": _as_many_as_come},
            tests=("codecs/test_rtmp_chunk.py::test_too_many_chunk_streams_are_refused",),
        ),
        Switch(
            rule="Chunks under 128 bytes are borne for a while",
            source="Red5#475",
            off={f"{_CHUNK}._count_small": _not_counted},
            tests=(
                "codecs/test_rtmp_chunk.py::test_one_byte_chunks_are_borne_for_a_while_and_then_refused",
                "rtmp/test_facts_chunks.py::test_chunks_of_one_byte_are_refused_in_the_end",
            ),
        ),
        Switch(
            rule="The peer's window is no smaller than 32 KiB and no larger than ours",
            source="ZLMediaKit#1839",
            off={f"{_LINK}._flow": _any_window},
            tests=(
                "rtmp/test_facts_chunks.py::test_the_peers_window_is_taken_within_bounds",
                "rtmp/test_facts_chunks.py::test_an_acknowledgement_makes_none",
                "codecs/test_rtmp_server.py::test_a_tiny_window_makes_no_storm_of_acknowledgements",
            ),
        ),
        Switch(
            rule="What is owed to a peer that does not read is bounded",
            source="Red5#479, #482",
            off={f"{_LINK}._raw": _owe_any_amount},
            tests=("codecs/test_rtmp_server.py::test_a_flood_of_questions_without_reading_ends",),
        ),
        Switch(
            rule="Long messages are taken from publishers only",
            source="-",
            off={"tierkit.codecs.rtmp_link:COMMAND_LIMIT": 1 << 24},
            tests=("rtmp/test_facts_hostile.py::test_what_breaks_the_rules_ends_one_connection",),
        ),
    ],
    "Values, names and words": [
        Switch(
            rule="AMF0 values nest 16 deep",
            source="flvmeta#29, Red5#469",
            off={"tierkit.codecs.amf0:decode_all": _as_deep_as_it_goes},
            tests=("codecs/test_amf0.py::test_seventy_thousand_nested_arrays_are_refused",),
        ),
        Switch(
            rule="An AMF0 message has 16,384 values at most",
            source="ZLMediaKit#4787",
            off={"tierkit.codecs.amf0:decode_all": _as_many_values},
            tests=("codecs/test_amf0.py::test_a_flood_of_values_is_refused",),
        ),
        Switch(
            rule="A name neither climbs nor hides",
            source="Red5#482",
            off={"tierkit.codecs.rtmp_url:_check": lambda segment: None},
            tests=(
                "codecs/test_rtmp_url.py::test_dangerous_and_empty_names_are_refused",
                "rtmp/test_facts_hostile.py::test_names_that_climb_or_hide_are_refused_and_never_reach_a_log",
            ),
        ),
        Switch(
            rule="C1 controls and line separators are control characters, too",
            source="terminals; readers of logs",
            off={"tierkit.codecs.rtmp_url:_BAD": re.compile(r"[\x00-\x1f\x7f\\]")},
            tests=(
                "codecs/test_rtmp_url.py::test_dangerous_and_empty_names_are_refused",
                "rtmp/test_facts_hostile.py::test_names_that_climb_or_hide_are_refused_and_never_reach_a_log",
            ),
        ),
        Switch(
            rule="A server's words stand on one line of the log",
            source="librtmp2-server",
            off={"tierkit.codecs.rtmp_message:plain": lambda text: text},
            tests=("rtmp/test_facts_hostile.py::test_a_servers_description_stays_on_one_line_of_the_log",),
        ),
        Switch(
            rule="A client's words do so, too",
            source="librtmp2-server",
            off={f"{_SERVER}._command": _told_as_said},
            tests=("rtmp/test_facts_hostile.py::test_a_command_that_would_write_a_line_of_the_log",),
        ),
        Switch(
            rule="Of a query 64 parameters are looked at",
            source="found by fuzzing",
            off={"tierkit.codecs.rtmp_url:MAX_PARAMETERS": 1 << 20},
            tests=("codecs/test_rtmp_url.py::test_of_a_flood_of_parameters_the_first_64_count",),
        ),
        Switch(
            rule="A container's prefix says no other stream",
            source="FMS, ffmpeg",
            off={"tierkit.codecs.rtmp_url:_PREFIX": re.compile(r"(?!)")},
            tests=("codecs/test_rtmp_url.py::test_the_stream_that_a_client_means",),
        ),
        Switch(
            rule="Endings that ffmpeg and librtmp leave out are left out",
            source="ffmpeg, librtmp",
            off={"tierkit.codecs.rtmp_url:_ENDINGS": ()},
            tests=("codecs/test_rtmp_url.py::test_the_stream_that_a_client_means",),
        ),
    ],
    "Connections that cost": [
        Switch(
            rule="What begins with another byte than RTMP's is refused there",
            source="HTTP and TLS clients",
            off={"tierkit.codecs.rtmp_handshake:_check_version": lambda version: None},
            tests=("codecs/test_rtmp_handshake.py::test_other_protocols_are_refused_at_their_first_byte",),
        ),
        Switch(
            rule="One deadline runs from accepting to publish or play",
            source="lal#296",
            off={f"{_SERVED}._connect": _settled_by_connect},
            tests=("rtmp/test_facts_hostile.py::test_who_connects_and_says_no_more_has_the_same_deadline",),
        ),
        Switch(
            rule="A connection has 16 message streams at most",
            source="floods of createStream",
            off={"tierkit.codecs.rtmp_server:MAX_STREAMS": 1 << 20},
            tests=(
                "codecs/test_rtmp_server.py::test_a_flood_of_create_stream_ends",
                "rtmp/test_facts_hostile.py::test_a_flood_of_create_stream_ends_its_connection",
            ),
        ),
        Switch(
            rule="Nothing is asked before connect",
            source="RTMP 7.2.1",
            off={f"{_SERVER}._command": _commands_at_any_time},
            tests=("codecs/test_rtmp_server.py::test_commands_before_connect_are_refused",),
        ),
        Switch(
            rule="A client connects once",
            source="-",
            off={f"{_SERVER}._on_connect": _connect_again},
            tests=(
                "codecs/test_rtmp_server.py::test_connecting_twice_is_refused",
                "rtmp/test_facts_hostile.py::test_what_breaks_the_rules_ends_one_connection",
            ),
        ),
        Switch(
            rule="Who is silent is dropped",
            source="SRS#3158",
            off={"tierkit._rtmp_server:SILENCE": LONG},
            tests=(
                "rtmp/test_server.py::test_a_silent_publisher_is_dropped",
                "rtmp/test_server.py::test_a_player_that_is_gone_without_a_word_is_dropped",
            ),
        ),
        Switch(
            rule="Players are pinged, so that they are not silent",
            source="nginx-rtmp",
            off={"tierkit._rtmp_server:PING_EVERY": LONG},
            tests=("rtmp/test_server.py::test_a_player_that_is_gone_without_a_word_is_dropped",),
        ),
        Switch(
            rule="Who has stopped and asks for nothing is let go",
            source="-",
            off={"tierkit._rtmp_server:IDLE": LONG},
            tests=("rtmp/test_server.py::test_who_stops_and_asks_for_nothing_is_let_go",),
        ),
        Switch(
            rule="Pings are answered",
            source="RTMP 7.1.7",
            off={f"{_LINK}._user_event": _no_answer},
            tests=("codecs/test_rtmp_server.py::test_pings_are_answered_and_measured",),
        ),
        Switch(
            rule="Doors for RTMPS send nothing behind the handshake",
            source="librtmp with GnuTLS",
            off={"tierkit._certificates:_server_context": _with_tickets},
            tests=("net/test_tls_tickets.py::test_a_door_for_rtmps_sends_no_tickets_behind_the_handshake",),
        ),
    ],
    "Habits of writing chunks": [
        Switch(
            rule="Fmt 1 may open a chunk stream",
            source="librtmp's pings",
            off={f"{_CHUNK}._new": _full_header_first},
            tests=("codecs/test_rtmp_chunk.py::test_librtmp_begins_a_chunk_stream_with_fmt1",),
        ),
        Switch(
            rule="Fmt 3 behind fmt 0 adds nothing to the time",
            source="nginx-rtmp, gortmplib",
            off={f"{_CHUNK}._full": _delta_is_the_time},
            tests=("rtmp/test_facts_chunks.py::test_fmt3_behind_fmt0_repeats_the_time_as_nginx_has_it",),
        ),
        Switch(
            rule="An extended timestamp of fmt 1 is a delta",
            source="RTMP errata 5.1, ffmpeg",
            off={f"{_CHUNK}._full": _extended_is_absolute},
            tests=("rtmp/test_facts_chunks.py::test_an_extended_timestamp_in_fmt1_is_a_delta",),
        ),
        Switch(
            rule="Extended timestamps may be left out of fmt 3",
            source="older librtmp",
            off={f"{_CHUNK}._repeated": _always_repeated},
            tests=("codecs/test_rtmp_chunk.py::test_extended_timestamps_in_continuations_are_there_or_not",),
        ),
        Switch(
            rule="Extended timestamps may be repeated in fmt 3",
            source="RTMP errata 5.1, ffmpeg",
            off={f"{_CHUNK}._repeated": _never_repeated},
            tests=("codecs/test_rtmp_chunk.py::test_extended_timestamps_in_continuations_are_there_or_not",),
        ),
        Switch(
            rule="Abort drops what has come of a message",
            source="RTMP 5.4.2",
            off={f"{_CHUNK}._abort": _not_aborted},
            tests=("codecs/test_rtmp_chunk.py::test_abort_drops_one_partial_message_and_its_time_counts",),
        ),
        Switch(
            rule="Parts of an aggregate keep their distance in time",
            source="RTMP 7.1.6",
            off={"tierkit.codecs.rtmp_message:split_aggregate": _all_at_once},
            tests=("codecs/test_rtmp_server.py::test_aggregates_come_out_as_their_parts",),
        ),
        Switch(
            rule="A clock that leaps back is taken up anew",
            source="encoders that mask 31 bits; Red5#50",
            off={"tierkit._live_epoch:STEP_BACK": 1 << 40},
            tests=("rtmp/test_facts_chunks.py::test_an_encoder_that_masks_31_bits_goes_on_after_24_days",),
        ),
        Switch(
            rule="User control events that nobody knows do no harm",
            source="mediamtx#5512",
            off={"tierkit.codecs.rtmp_message:UserControl.decode": classmethod(_known_events_only)},
            tests=("rtmp/test_facts_server.py::test_odd_user_control_events_do_no_harm",),
        ),
    ],
    "What connect is answered": [
        Switch(
            rule="The chunk size stands in front of the result",
            source="SRS#454",
            off={f"{_SERVER}.accept_connect": _size_behind_the_result},
            tests=("codecs/test_rtmp_server.py::test_the_order_in_which_connect_is_answered",),
        ),
        Switch(
            rule="Set Peer Bandwidth has its type",
            source="RTMP 5.4.5",
            off={f"{_LINK}._control": _bandwidth_without_type},
            tests=("rtmp/test_facts_server.py::test_the_answer_to_connect_to_the_byte",),
        ),
        Switch(
            rule="Control messages are on chunk stream 2",
            source="RTMP 5.4",
            off={"tierkit.codecs.rtmp_message:CSID_CONTROL": 3},
            tests=("rtmp/test_facts_server.py::test_the_answer_to_connect_to_the_byte",),
        ),
        Switch(
            rule="Information is a plain object",
            source="librtmp, OBS, ffmpeg",
            off={"tierkit.codecs.rtmp_message:status": _ecma_status},
            tests=("codecs/test_rtmp_message.py::test_status_objects_are_plain_objects",),
        ),
        Switch(
            rule="Who checks bandwidth is answered null",
            source="SRS#844",
            off={f"{_SERVER}._HANDLERS": _handlers(_checkbw=ServerSession._on_answered)},
            tests=("rtmp/test_facts_server.py::test_on_bw_done_is_never_sent_and_check_bw_is_answered_null",),
        ),
        Switch(
            rule="Only who can reconnect is asked to",
            source="Enhanced RTMP",
            off={"tierkit.codecs.rtmp_events:ConnectRequested.can_reconnect": property(lambda self: True)},
            tests=("rtmp/test_facts_server.py::test_only_who_can_reconnect_is_asked_to",),
        ),
    ],
    "Publishing and playing": [
        Switch(
            rule="A deleted stream's number is given again",
            source="the shared encoded form",
            off={f"{_SERVER}._HANDLERS": _handlers(createStream=_next_number)},
            tests=("codecs/test_rtmp_server.py::test_create_stream_gives_1_first_and_again_after_it_was_deleted",),
        ),
        Switch(
            rule="FCPublish is answered by onFCPublish",
            source="membrane_rtmp_plugin#115",
            off={f"{_SERVER}._HANDLERS": _handlers(FCPublish=ServerSession._on_answered)},
            tests=("codecs/test_rtmp_server.py::test_the_order_of_an_obs_publish",),
        ),
        Switch(
            rule="Publishing begins with Stream Begin",
            source="RTMP 7.2.2.6",
            off={f"{_SERVER}.accept_publish": _publish_without_begin},
            tests=(
                "rtmp/test_facts_server.py::test_publishing_begins_with_stream_begin_and_a_start_that_has_a_client_id",
            ),
        ),
        Switch(
            rule="Who is refused to publish is closed",
            source="arut/nginx-rtmp-module#367, #374",
            off={f"{_SERVER}.reject_publish": _leave_it_open},
            tests=("rtmp/test_facts_server.py::test_a_taken_name_is_an_error_and_the_connection_ends",),
        ),
        Switch(
            rule="Play.Reset stands in front of Play.Start",
            source="RTMP 7.2.2.1",
            off={f"{_SERVER}.accept_play": _play_without_reset},
            tests=("rtmp/test_facts_server.py::test_a_play_from_stream_begin_to_the_gop_and_its_end",),
        ),
        Switch(
            rule="Sample access is granted",
            source="Flash players",
            off={f"{_SERVER}.accept_play": _play_without_access},
            tests=("rtmp/test_facts_server.py::test_a_play_from_stream_begin_to_the_gop_and_its_end",),
        ),
        Switch(
            rule="Data.Start is not sent",
            source="ffmpeg makes a stream of it",
            off={f"{_SERVER}.accept_play": _play_with_data_start},
            tests=("rtmp/test_facts_server.py::test_a_play_from_stream_begin_to_the_gop_and_its_end",),
        ),
        Switch(
            rule="The end is said in both ways",
            source="ffmpeg ignores Stream EOF",
            off={f"{_SERVER}.end_play": _eof_alone},
            tests=("rtmp/test_facts_server.py::test_a_play_from_stream_begin_to_the_gop_and_its_end",),
        ),
        Switch(
            rule="Pause is notified with Stream EOF",
            source="-",
            off={f"{_SERVER}.accept_pause": _pause_without_eof},
            tests=("rtmp/test_facts_server.py::test_pause_unpause_and_seek_are_notified_while_the_stream_goes_on",),
        ),
        Switch(
            rule="Seek is notified",
            source="ffmpeg, librtmp wait for it",
            off={f"{_SERVER}.accept_seek": _seek_without_notify},
            tests=("rtmp/test_facts_server.py::test_pause_unpause_and_seek_are_notified_while_the_stream_goes_on",),
        ),
        Switch(
            rule="A play is answered when there is something to show",
            source="nginx-rtmp",
            off={f"{_SERVED}._begin_if_on_air": _begin_at_once},
            tests=("rtmp/test_facts_server.py::test_who_plays_before_anybody_publishes_hears_nothing_until_then",),
        ),
        Switch(
            rule="Players do not see `@setDataFrame`",
            source="arut/nginx-rtmp-module#1292",
            off={"tierkit.codecs.rtmp_message:media_data": _data_as_it_came},
            tests=(
                "rtmp/test_facts_server.py::test_metadata_passes_byte_for_byte_and_what_is_no_data_is_ignored",
                _WRAPPING,
            ),
        ),
        Switch(
            rule="Data that is no AMF is ignored",
            source="SRS#3803",
            off={"tierkit.codecs.rtmp_message:media_data": _data_of_any_kind},
            tests=("codecs/test_rtmp_message.py::test_data_that_is_not_for_players_is_left_out",),
        ),
        Switch(
            rule="Metadata is stamped 0",
            source="ffmpeg takes what comes later for subtitles",
            off={"tierkit.live:METADATA_TIME": 7},
            tests=("rtmp/test_fan_out.py::test_a_late_player_begins_with_headers_and_the_current_gop",),
        ),
        Switch(
            rule="Players begin with a keyframe",
            source="-",
            off={"tierkit._live_epoch:Epoch._picture": _any_picture},
            tests=("rtmp/test_epoch.py::test_nothing_is_shown_before_a_keyframe",),
        ),
        Switch(
            rule="Pictures of Enhanced RTMP are told apart",
            source="Enhanced RTMP",
            off={"tierkit.codecs.flv_packet:_enhanced_video": lru_cache(lambda head: PLAIN)},
            tests=("rtmp/test_facts_server.py::test_codecs_that_nobody_here_understands_come_through_two_tiers",),
        ),
    ],
}
