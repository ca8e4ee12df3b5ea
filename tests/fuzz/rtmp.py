"""Harnesses of what RTMP and FLV are made of.

For all of them: any bytes give values or RemoteProtocolError, nothing else; the same ones however the bytes are cut;
and what is kept of them stays within the bound that the codec names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tierkit.codecs import aac, amf0, avc, flv, flv_clip, hevc, rtmp_auth, rtmp_elsewhere
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.flv_packet import classify
from tierkit.codecs.rtmp_chunk import MAX_CHUNK_STREAMS, ChunkReader, Message
from tierkit.codecs.rtmp_handshake import SIZE, ClientHandshake, ServerHandshake
from tierkit.codecs.rtmp_link import MAX_PENDING
from tierkit.codecs.rtmp_session import (
    ClientSession,
    ConnectRequested,
    Media,
    PauseRequested,
    PlayRequested,
    PublishRequested,
    SeekRequested,
    ServerSession,
)
from tierkit.codecs.rtmp_url import dial, route
from tierkit.errors import AddressError, LocalProtocolError, RemoteProtocolError

from .outcome import SHORT, outcome, refused

__all__ = ["HARNESSES"]


def of_amf0(data: bytes) -> None:
    """Values are within their bounds, can be written, and are read again as what they were."""
    try:
        values = amf0.decode_all(data)
    except RemoteProtocolError:
        return
    assert len(values) <= min(len(data), amf0.MAX_VALUES)
    if "AMF3(" in repr(values):
        return  # the rest of the message, undecoded: ends of containers stand in it
    try:
        wire = amf0.encode(*values)
    except LocalProtocolError:
        # U+FFFD is longer than what it stands for: a key may become too long to be written.
        assert len(data) > 65_535 // 3
        return
    assert repr(amf0.decode_all(wire)) == repr(values)


def of_flv(data: bytes) -> None:
    """Tags are written as they came; no more than one is kept."""
    reader = flv.FLVReader(max_tag=4096)
    whole = outcome(reader.receive, data)
    assert len(reader._buffer) <= len(data)
    for tag in whole:
        if isinstance(tag, flv.Tag):
            again = flv.FLVReader(max_tag=4096)
            assert again.receive(flv.create_flv_header() + flv.create_flv_tag(*_of(tag))) == [tag]
    if len(data) <= SHORT:
        assert outcome(flv.FLVReader(max_tag=4096).receive, data, 1) == whole


def _of(tag: flv.Tag) -> tuple[int, int, bytes]:
    return tag.type_id, tag.timestamp, tag.payload


def of_flv_packet(data: bytes) -> None:
    """A payload is one thing at most, and a tag's properties can all be asked."""
    kind = data[0] % 3 if data else 0
    type_id, payload = (m.AUDIO, m.VIDEO, m.DATA)[kind], data[1:]
    told = classify(type_id, payload)
    assert told.is_keyframe + told.is_sequence_header + told.is_end_of_sequence <= 1
    assert bool(told.role) == told.is_pinned
    tag = flv.parse_tag(type_id, 0, payload)
    for name in dir(tag):
        if not name.startswith("_") and name != "values":
            getattr(tag, name)
    refused(lambda: tag.values if isinstance(tag, flv.ScriptTag) else None)


def of_video_config(data: bytes) -> None:
    """Decoder configurations: what is read of one can be asked for all that it has."""
    for read in (avc.parse_avc_config, hevc.parse_hevc_config, avc.picture_size):
        try:
            found: Any = read(data)
        except RemoteProtocolError:
            continue
        if not isinstance(found, tuple):
            assert found.codec
            assert 1 <= found.length_size <= 4
            _units(data, found.length_size)
    try:
        config = flv.parse_audio_config(data)
        assert len(aac.adts_header(aac.adts_template(config), 100)) == 7
        assert aac.aac_codec(config)
    except RemoteProtocolError:
        pass


def _units(data: bytes, size: int) -> None:
    try:
        units = avc.split_units(data, 0, size)
    except RemoteProtocolError:
        return
    assert sum(map(len, units)) <= len(data)


def of_rtmp_message(data: bytes) -> None:
    """Payloads of every type."""
    message = Message(data[0] if data else 0, 1, 0, data[1:])
    refused(lambda: m.Command.decode(message))
    refused(lambda: m.UserControl.decode(message.payload))
    refused(lambda: m.unpack_u32(message))
    assert isinstance(m.data_name(message), str)
    kept = m.media_data(message)
    assert kept is None or message.payload.endswith(kept)
    try:
        parts = m.split_aggregate(message)
    except RemoteProtocolError:
        return
    assert sum(len(each.payload) + 11 for each in parts) <= len(message.payload)


def of_rtmp_chunk(data: bytes) -> None:
    """Messages, the same however they are cut; never more kept than the bounds say."""
    reader = ChunkReader(max_message=3000, max_buffered=5000)
    whole = outcome(reader.receive, data)
    assert reader.buffered <= 5000
    assert len(reader._streams) <= MAX_CHUNK_STREAMS
    assert sum(len(each.body) for each in reader._streams.values()) == reader.buffered
    if len(data) <= SHORT:
        assert outcome(ChunkReader(max_message=3000, max_buffered=5000).receive, data, 1) == whole


def of_rtmp_handshake(data: bytes) -> None:
    """Both sides bear anything behind a good first byte, and lose no byte of what comes behind."""
    for side in (ServerHandshake(b"n" * 16), ClientHandshake(b"n" * 16)):
        came, sent = 0, 0
        for at in range(0, len(data), 700):
            piece = data[at : at + 700]
            if refused(lambda side=side, piece=piece: side.receive(piece)):  # type: ignore[misc]
                break
            came += len(piece)
            if side.done:
                sent = len(side.leftover())
                break
        assert not side.done or came - sent == 1 + 2 * SIZE


def of_rtmp_server(data: bytes) -> None:
    """A server that accepts all it is asked: the same events however the bytes are cut, and bounded answers."""
    whole = outcome(_server(), data)
    if len(data) <= SHORT:
        assert outcome(_server(), data, 1) == whole


def _server() -> Any:
    session = ServerSession(b"s" * 32, max_message=5000)
    list(session.receive(b"\x03" + bytes(2 * SIZE), 0.0))
    session.data_to_send()

    def read(data: bytes) -> Iterator[Any]:
        for event in session.receive(data, 0.0):
            yield event
            _accept(session, event)
            assert len(session.data_to_send()) <= MAX_PENDING + 2000
        session.data_to_send()

    return read


def _accept(session: ServerSession, event: Any) -> None:
    if isinstance(event, ConnectRequested):
        session.accept_connect()
    elif isinstance(event, PublishRequested):
        session.accept_publish(event.stream_id)
    elif isinstance(event, PlayRequested):
        session.accept_play(event.stream_id)
    elif isinstance(event, PauseRequested):
        session.accept_pause(event.stream_id, event.paused)
    elif isinstance(event, SeekRequested):
        session.accept_seek(event.stream_id, event.ms)


def of_rtmp_client(data: bytes) -> None:
    """A client that plays or publishes, whatever the server says."""
    publish, data = bool(data[:1] > b"\x7f"), data[1:]
    whole = outcome(_client(publish=publish), data)
    if len(data) <= SHORT:
        assert outcome(_client(publish=publish), data, 1) == whole


def _client(*, publish: bool) -> Any:
    session = ClientSession("live", "rtmp://h/live", nonce=b"c" * 32, schema=None, max_message=5000)
    (session.publish if publish else session.play)("s")
    list(session.receive(b"\x03" + bytes(2 * SIZE), 0.0))
    session.data_to_send()

    def read(data: bytes) -> Iterator[Any]:
        for event in session.receive(data, 0.0):
            assert not publish or not isinstance(event, Media)
            yield event
        session.data_to_send()

    return read


def of_rtmp_url(data: bytes) -> None:
    """A name is a clean path or refused; what is dialled says no credentials."""
    app, _, rest = data.decode("utf-8", "surrogateescape").partition("\n")
    name, _, tc_url = rest.partition("\n")
    try:
        found = route(app, name, tc_url)
    except RemoteProtocolError:
        pass
    else:
        assert found.path.startswith("/")
        assert not {"", ".", "..", "_definst_"} & set(found.path.split("/")[1:])
        assert min(found.path + found.query) >= " "
        assert "\x7f" not in found.path + found.query
        assert len(found.parameters) <= 64
    try:
        to = dial(app)
    except AddressError:
        return
    assert "@" not in to.tc_url.partition("://")[2].partition("/")[0]


def of_flv_clip(data: bytes) -> None:
    """A clip that is taken can be looped: times go on, and it begins with a keyframe; cut anywhere it is the same."""
    whole = _clip_of([data])
    if len(data) <= SHORT:
        assert _clip_of(bytes([byte]) for byte in data) == whole
    if isinstance(whole, str):
        return
    times = [tag.timestamp for tag in whole.frames]
    assert min(times) == 0
    assert max(times) < whole.duration <= flv_clip.LONGEST_CLIP * 1000
    assert all(tag.timestamp == 0 for tag in whole.headers)
    pictures = [tag for tag in whole.frames if tag.type_id == m.VIDEO]
    assert not pictures or pictures[0].kind.is_keyframe


def _clip_of(pieces: Iterable[bytes]) -> flv_clip.Clip | str:
    try:
        return flv_clip.parse_clip(pieces)
    except RemoteProtocolError as error:
        return str(error)


def of_rtmp_auth(data: bytes) -> None:
    """What a server asks is answered on one line and without the password, or refused."""
    text = data.decode("utf-8", "surrogateescape")
    if (challenge := rtmp_auth.challenge_in(text)) is not None:
        try:
            said = rtmp_auth.respond(challenge, "ada", "lovelace-1843", "live", b"nonce")
        except RemoteProtocolError:
            pass
        else:
            assert said.startswith(f"authmod={challenge.mod}&user=")
            assert "lovelace-1843" not in said.replace(text, "")
            assert min(said) >= " "
    refused(lambda: rtmp_auth.secure_token(text, "secret"))


def of_rtmp_elsewhere(data: bytes) -> None:
    """Where a server sends us is an application of an RTMP server, without credentials, or nowhere."""
    reference = data.decode("utf-8", "surrogateescape")
    url = "rtmp://h:1935/live/s?k=1"
    try:
        found = rtmp_elsewhere.moved(url, "rtmp://h:1935/live", reference)
    except RemoteProtocolError:
        return
    assert found.startswith(("rtmp://", "rtmps://"))
    assert found.endswith("/s?k=1")
    authority = found.partition("://")[2].partition("/")[0]
    assert authority
    assert "@" not in authority
    assert not {".", ".."} & set(found.partition("?")[0].split("/"))


HARNESSES = {
    "amf0": of_amf0,
    "flv": of_flv,
    "flv_packet": of_flv_packet,
    "video_config": of_video_config,
    "rtmp_message": of_rtmp_message,
    "rtmp_chunk": of_rtmp_chunk,
    "rtmp_handshake": of_rtmp_handshake,
    "rtmp_server": of_rtmp_server,
    "rtmp_client": of_rtmp_client,
    "rtmp_url": of_rtmp_url,
    "flv_clip": of_flv_clip,
    "rtmp_auth": of_rtmp_auth,
    "rtmp_elsewhere": of_rtmp_elsewhere,
}
