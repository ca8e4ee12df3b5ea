"""What clients in the wild depend on in a server, each a row of what was found of them: golden transcripts.

A line of a transcript is the chunk stream, the message stream, the timestamp, and what is said.
"""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.codecs.rtmp_helpers import command, connect, u32
from tests.core.rig import opened
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.events import ConnectionFailed, ViewerJoined
from tierkit.plugins.rtmp import RTMP

from .media import Sent, audio_header, frame, gop, headers, key, metadata, sound, video_header
from .raw import Raw, codes, lines, raw
from .rig import published, relay, send, url, viewer

CONNECTED = [
    "2 0 0 control 5 2500000",
    "2 0 0 control 6 2500000",
    "2 0 0 control 1 60000",
    "3 0 0 _result#1(NetConnection.Connect.Success)",
]
PLAYING = [
    "2 0 0 user 0 1",
    "3 1 0 onStatus#0(NetStream.Play.Reset)",
    "3 1 0 onStatus#0(NetStream.Play.Start)",
    "5 1 0 data |RtmpSampleAccess",
]


def user(event: int, value: int = 1, extra: int = 0) -> bytes:
    return encode_message(2, m.USER_CONTROL, 0, 0, m.UserControl(event, value, extra).payload(), 128)


# --- connecting --------------------------------------------------------------------------------------


async def test_the_answer_to_connect_to_the_byte(autojump_clock: MockClock) -> None:
    """Control on csid 2 and stream 0, bandwidth of type 2, the chunk size before anything over 128 bytes."""
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.say(connect())
        heard = await client.hear()
    assert lines(heard) == CONNECTED
    window, bandwidth, size, result = heard
    assert (window.payload, bandwidth.payload, size.payload) == (u32(2_500_000), u32(2_500_000) + b"\x02", u32(60_000))
    assert max(len(each.payload) for each in heard[:3]) <= 128
    _, _, properties, info = amf0.decode_all(result.payload)
    assert properties == {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0, "mode": 1.0}
    assert info == {
        "level": "status",
        "code": "NetConnection.Connect.Success",
        "description": "Connection succeeded.",
        "objectEncoding": 0.0,
    }
    # librtmp, OBS and ffmpeg look for a plain object (0x03), never an ECMA array (0x08).
    assert result.payload.count(b"\x00\x00\x09\x03\x00\x05level") == 1


async def test_on_bw_done_is_never_sent_and_check_bw_is_answered_null(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.say(connect(), command("_checkbw", 2.0, None), command("createStream", 3.0, None))
        heard = lines(await client.hear(20))
    assert heard == [*CONNECTED, "3 0 0 _result#2(None)", "3 0 0 _result#3(1.0)"]


# --- publishing --------------------------------------------------------------------------------------


async def test_publishing_begins_with_stream_begin_and_a_start_that_has_a_client_id(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.publish()
        heard = (await client.hear())[4:]
    assert lines(heard) == [
        "3 0 0 _result#2(1.0)",
        "2 0 0 user 0 1",
        "3 1 0 onStatus#0(NetStream.Publish.Start)",
    ]
    assert amf0.decode_all(heard[-1].payload) == [
        "onStatus",
        0.0,
        None,
        {
            "level": "status",
            "code": "NetStream.Publish.Start",
            "description": "s is now published.",
            "clientid": "tierkit",
        },
    ]


async def test_a_taken_name_is_an_error_and_the_connection_ends(autojump_clock: MockClock) -> None:
    """An encoder whose connection stays open believes itself live (nginx-rtmp leaves it so)."""
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")),
        raw(rig.network, url("relay")) as client,
    ):
        await client.publish()
        last = (await client.hear())[-1]
        assert client.ended
    info = amf0.decode_all(last.payload)[3]
    assert (info["level"], info["code"]) == ("error", "NetStream.Publish.BadName")
    # Nor whose it is: that is nobody's to know who only tries a name.
    assert info["description"].endswith("is published already: end that, or choose another name")


async def test_an_encoder_may_close_its_stream_and_publish_again_on_its_connection(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        raw(rig.network, url("relay")) as client,
        viewer(rig.network, url("relay")) as player,
    ):
        await client.publish()
        for start in (0, 500):
            await client.say(*[_media(each) for each in [*headers(), *gop(start, 3)]])
            await player.until(lambda v, start=start: v.letters.count("K") == 1 + bool(start))
            await client.say(command("closeStream", 0.0, None, stream_id=1))
            await client.say(command("publish", 4.0, None, "s", "live", stream_id=1))
        heard = codes(await client.hear())
        assert heard[1:] == ["NetStream.Publish.Start", "NetStream.Unpublish.Success"] * 2 + ["NetStream.Publish.Start"]


def _media(sent: Sent) -> bytes:
    payload = m.set_data_frame(sent.payload) if sent.type_id == m.DATA else sent.payload
    return encode_message(m.MEDIA_CSID[sent.type_id], sent.type_id, 1, sent.timestamp, payload, 128)


# --- playing -----------------------------------------------------------------------------------------


async def test_a_play_from_stream_begin_to_the_gop_and_its_end(autojump_clock: MockClock) -> None:
    """Begin, reset, start, sample access, metadata, sequence headers, GOP; at the end Stream EOF and the status."""
    async with opened(relay(serves=RTMP(linger=1))) as rig, raw(rig.network, url("relay")) as client:
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(1000, 2))
            await trio.sleep(0.5)
            await client.play()
            heard = lines(await client.hear(0.5))
        end = lines(await client.hear())
    assert heard[5:] == [
        *PLAYING,
        "5 1 0 M",
        "6 1 1000 V",
        "4 1 1000 A",
        "6 1 1000 K",
        "4 1 1020 S",
        "6 1 1040 P",
        "4 1 1060 S",
    ]
    # ffmpeg waits for ever after Stream EOF alone.
    assert end == ["2 0 0 user 1 1", "3 1 0 onStatus#0(NetStream.Play.UnpublishNotify)"]
    assert client.ended


async def test_who_plays_before_anybody_publishes_hears_nothing_until_then(autojump_clock: MockClock) -> None:
    """Not an error, not a start: it is answered when there is something to show."""
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.play()
        assert lines(await client.hear(5))[4:] == ["3 0 0 _result#2(1.0)"]
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 1))
            heard = lines(await client.hear(1))
    assert heard == [*PLAYING, "5 1 0 M", "6 1 0 V", "4 1 0 A", "6 1 0 K", "4 1 20 S"]


async def _watching(client: Raw) -> None:
    await client.play()
    assert codes(await client.hear())[-1] == "NetStream.Play.Start"


async def test_pause_unpause_and_seek_are_notified_while_the_stream_goes_on(autojump_clock: MockClock) -> None:
    """ffmpeg and librtmp wait for Seek.Notify; a live stream is not held for a player that pauses."""
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 1))
        async with raw(rig.network, url("relay")) as client:
            await _watching(client)
            said = []
            for name, argument in (("pause", True), ("pause", False), ("seek", 700.0)):
                await client.say(command(name, 0.0, None, argument, 0.0, stream_id=1))
                said.append(lines(await client.hear(0.5)))
            assert said == [
                ["3 1 0 onStatus#0(NetStream.Pause.Notify)", "2 0 0 user 1 1"],
                ["3 1 0 onStatus#0(NetStream.Unpause.Notify)", "2 0 0 user 0 1"],
                [
                    "3 1 0 onStatus#0(NetStream.Seek.Notify)",
                    "2 0 0 user 0 1",
                    "3 1 0 onStatus#0(NetStream.Play.Start)",
                ],
            ]
            await send(publisher, [frame(40), sound(60)])
            assert lines(await client.hear(0.5)) == ["6 1 40 P", "4 1 60 S"]


async def test_odd_user_control_events_do_no_harm(autojump_clock: MockClock) -> None:
    """SetBufferLength, SWF verification (26, 27), buffer events (31, 32): silence, and the stream goes on."""
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 1))
        async with raw(rig.network, url("relay")) as client:
            await _watching(client)
            await client.say(user(m.SET_BUFFER_LENGTH, 1, 3000), *[user(event) for event in (26, 27, 31, 32, 0xFFFF)])
            await client.say(command("getStreamLength", 5.0, None, "s"), command("unheardOf", 6.0, None))
            await send(publisher, [frame(40)])
            assert lines(await client.hear(0.5)) == ["6 1 40 P"]


# --- what publishers send ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ([video_header(), audio_header(), key(0), metadata(), sound(20), key(40)], "VAKMSK"),
        ([video_header(), audio_header(), key(0), sound(20)], "VAKS"),
        ([metadata(), audio_header(), sound(0), video_header(), key(20)], "MAVK"),
    ],
    ids=["video before metadata", "no metadata", "sound before video"],
)
async def test_metadata_may_come_late_or_never(sent: list[Sent], seen: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        viewer(rig.network, url("relay")) as early,
        published(rig.network, url("relay"), sent[:1]) as publisher,
    ):
        for each in sent[1:]:
            await trio.sleep(0.5)
            await publisher.send(*each)
        await early.until(lambda v: v.letters == seen)
        async with viewer(rig.network, url("relay")) as late:
            await late.until(lambda v: "K" in v.letters)
            first = late.letters.partition("K")[0]
            assert sorted(first) == sorted(set(seen) & set("MVA"))


async def test_metadata_passes_byte_for_byte_and_what_is_no_data_is_ignored(autojump_clock: MockClock) -> None:
    """Without `@setDataFrame`; unterminated (Envivio); ffmpeg's timecode of four bytes is no AMF (SRS#3803)."""
    unterminated = amf0.encode("onMetaData", amf0.ECMAArray(width=64.0, videocodecid=7.0))[:-3]
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.publish()
        await client.say(encode_message(5, m.DATA, 1, 0, m.set_data_frame(unterminated), 128))
        await client.say(encode_message(5, m.DATA, 1, 0, b"\x00\x00\x00\x17", 128))
        await client.say(_media(video_header()), _media(key(0)))
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: v.letters == "MVK")
            assert player.payloads[0] == (m.DATA, unterminated)
        assert not client.ended


# --- Enhanced RTMP -------------------------------------------------------------------------------------


def enhanced(frame_type: int, packet_type: int, fourcc: bytes, body: bytes, timestamp: int = 0) -> Sent:
    return Sent(m.VIDEO, timestamp, bytes([0x80 | frame_type << 4 | packet_type]) + fourcc + body)


def opus(packet_type: int, body: bytes, timestamp: int = 0) -> Sent:
    return Sent(m.AUDIO, timestamp, bytes([9 << 4 | packet_type]) + b"Opus" + body)


def multitrack(track: int, packet_type: int, frame_type: int, timestamp: int) -> Sent:
    head = bytes([0x80 | frame_type << 4 | 6, packet_type]) + b"hvc1" + bytes([track])
    return Sent(m.VIDEO, timestamp, head + b"track" + bytes([track]) * 30)


@pytest.mark.parametrize(
    ("header", "pictures"),
    [
        (
            [enhanced(1, 0, b"hvc1", b"config"), opus(0, b"OpusHead")],
            [enhanced(1, 1, b"hvc1", bytes(40)), opus(1, b"sound"), enhanced(2, 3, b"hvc1", bytes(30), 40)],
        ),
        (
            [enhanced(1, 0, b"av01", b"config"), enhanced(1, 4, b"av01", b"hdr")],
            [enhanced(1, 1, b"av01", bytes(70_000)), enhanced(2, 1, b"av01", bytes(30), 40)],
        ),
        (
            [multitrack(0, 0, 1, 0), multitrack(1, 0, 1, 0)],
            [multitrack(0, 1, 1, 0), multitrack(1, 1, 1, 0), multitrack(0, 1, 2, 40), multitrack(1, 1, 2, 40)],
        ),
    ],
    ids=["HEVC and Opus", "AV1 with HDR metadata", "two tracks"],
)
async def test_codecs_that_nobody_here_understands_come_through_two_tiers(
    header: list[Sent], pictures: list[Sent], autojump_clock: MockClock
) -> None:
    """Through relay, pull and ring: a late joiner gets every header, then all from the keyframe on, byte for byte."""
    leaf = relay("leaf", upstream=relay("relay"))
    older = [each._replace(payload=each.payload + b"older") for each in pictures]
    async with (
        opened(leaf) as rig,
        viewer(rig.network, url("leaf")) as early,
        published(rig.network, url("relay"), header + older) as publisher,
    ):
        await early.until(lambda v: len(v.media) == len(header + older))
        await send(publisher, [each._replace(timestamp=each.timestamp + 80) for each in pictures])
        await early.until(lambda v: len(v.media) == len(header + older + pictures))
        async with viewer(rig.network, url("leaf")) as late:
            await late.until(lambda v: len(v.media) == len(header + pictures))
            assert sorted(late.payloads[: len(header)]) == sorted((each[0], each[2]) for each in header)
            assert late.payloads[len(header) :] == [(each[0], each[2]) for each in pictures]


@pytest.mark.parametrize(("said", "asked"), [({}, False), ({"capsEx": 2.0}, False), ({"capsEx": 1.0}, True)])
async def test_only_who_can_reconnect_is_asked_to(
    said: dict[str, float], asked: bool, autojump_clock: MockClock
) -> None:
    heard: list[str] = []
    async with trio.open_nursery() as nursery:
        async with opened(relay(serves=RTMP(farewell=2)), drain=30) as rig:
            publisher = await nursery.start(_hold_on, rig.network)
            client = Raw(await rig.network.connect(url("relay"), source="192.0.2.9"))
            await client.shake()
            await client.play(**said)
            await client.hear(0.5)
            nursery.start_soon(_listen, client, heard)
        assert client.ended
        publisher.cancel()
    assert ("NetConnection.Connect.ReconnectRequest" in heard) == asked
    assert heard[-1] == "NetStream.Play.UnpublishNotify"


async def _hold_on(network, task_status) -> None:  # type: ignore[no-untyped-def]
    """A publisher that stays until it is told to go."""
    from tierkit.errors import UpstreamError

    with trio.CancelScope() as scope:
        try:
            async with published(network, url("relay")) as publisher:
                await send(publisher, gop(0, 1))
                task_status.started(scope)
                while True:
                    await trio.sleep(0.5)
                    await publisher.send(*sound(0))
        except UpstreamError:
            pass


async def _listen(client: Raw, heard: list[str]) -> None:
    heard += codes(await client.hear(60))


async def test_a_player_that_joins_is_told_of_with_its_stream(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 1))
        async with raw(rig.network, url("relay")) as client:
            await _watching(client)
            assert [each.stream for each in rig.events.of(ViewerJoined)] == ["/live/s"]
        assert rig.events.of(ConnectionFailed) == []
