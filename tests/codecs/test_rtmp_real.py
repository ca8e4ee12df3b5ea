"""Real ffmpeg and librtmp on the other side of our sessions, over loopback: frames must come through unchanged."""

from __future__ import annotations

import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.ports import free_port
from tierkit.codecs import flv
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_message import MEDIA_CSID
from tierkit.codecs.rtmp_session import (
    ClientSession,
    ConnectRequested,
    Media,
    PlayRequested,
    PublishRequested,
    PublishStarted,
    ServerSession,
)

FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
TONE = ["-f", "lavfi", "-i", "sine=r=44100"]
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of H.264 with B-frames and AAC."""
    path = tmp_path_factory.mktemp("clip") / "clip.flv"
    codecs = ["-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac"]
    subprocess.run([*FFMPEG, *PICTURE, *TONE, "-t", "2", *codecs, str(path)], check=True, timeout=30)
    return path


def frames(source: str | Path) -> list[str]:
    """One line a frame: its stream, size and hash.  Times are left out: clocks begin anywhere."""
    result = subprocess.run(
        [*FFMPEG, "-i", str(source), "-c", "copy", "-f", "framemd5", "-"], check=True, capture_output=True, timeout=30
    )
    lines = [line.split(",") for line in result.stdout.decode().splitlines() if not line.startswith("#")]
    return sorted(f"{line[0]} {line[4]} {line[5]}" for line in lines)


def tags(path: Path) -> list[Media]:
    return [Media(tag.type_id, tag.timestamp, tag.payload) for tag in flv.FLVReader().receive(path.read_bytes())]


async def serve_one(stream: trio.abc.Stream, content: list[Media]) -> list[Media]:
    """One connection of a server that keeps what is published and plays `content`."""
    session = ServerSession(os.urandom(32), trio.current_time())
    got: list[Media] = []
    try:
        while data := await stream.receive_some(65536):
            for event in session.receive(data, trio.current_time()):
                match event:
                    case Media():
                        got.append(event)
                    case ConnectRequested():
                        session.accept_connect()
                    case PublishRequested(stream_id):
                        session.accept_publish(stream_id)
                    case PlayRequested(stream_id):
                        session.accept_play(stream_id)
                        await stream.send_all(session.data_to_send() + shared(content, session.chunk_size))
                        session.end_play(stream_id)
            if answer := session.data_to_send():
                await stream.send_all(answer)
    except trio.BrokenResourceError:
        pass  # ffmpeg and rtmpdump do not wait for answers to their good-byes
    return got


def shared(content: list[Media], chunk_size: int) -> bytes:
    return b"".join(
        encode_message(MEDIA_CSID[kind], kind, 1, timestamp, payload, chunk_size)
        for kind, timestamp, payload, _ in content
    )


async def with_server(command: list[str], content: list[Media]) -> list[Media]:
    """Runs `command`, PORT in it replaced, against the server; returns what it published."""
    got: list[Media] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, listener:
            # rtmpdump ends with 2, "may be incomplete", where the last frame is not at the duration in the metadata.
            words = [part.replace("PORT", str(port)) for part in command]
            nursery.start_soon(partial(trio.run_process, words, check=command[0] != "rtmpdump"))
            async with await listener.accept() as stream:
                got = await serve_one(stream, content)
    return got


@pytest.mark.real
async def test_ffmpeg_publishes_every_frame(clip: Path, tmp_path: Path) -> None:
    got = await with_server([*FFMPEG, "-i", str(clip), "-c", "copy", "-f", "flv", "rtmp://127.0.0.1:PORT/live/s"], [])
    path = tmp_path / "got.flv"
    path.write_bytes(flv.create_flv_header() + b"".join(flv.create_flv_tag(*each[:3]) for each in got))
    assert frames(path) == frames(clip)


@pytest.mark.real
async def test_ffmpeg_plays_every_frame_and_ends(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "got.flv"
    await with_server([*FFMPEG, "-i", "rtmp://127.0.0.1:PORT/live/s", "-c", "copy", str(path)], tags(clip))
    assert frames(path) == frames(clip)


@pytest.mark.real("ffmpeg", "rtmpdump")
@pytest.mark.parametrize("options", [["--live"], []])
async def test_librtmp_plays_every_frame_and_ends(clip: Path, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "got.flv"
    await with_server(["rtmpdump", "-q", *options, "-r", "rtmp://127.0.0.1:PORT/live/s", "-o", str(path)], tags(clip))
    assert frames(path) == frames(clip)


async def dial_ffmpeg(port: int) -> trio.SocketStream:
    """ffmpeg does not say when it listens: try until it does."""
    while True:
        try:
            return await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            await trio.sleep(0.02)


@pytest.mark.real
async def test_our_client_publishes_every_frame_to_ffmpeg(clip: Path, tmp_path: Path) -> None:
    path, port = tmp_path / "got.flv", free_port()
    command = [*FFMPEG, "-f", "flv", "-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/live/s", "-c", "copy", str(path)]
    session = ClientSession("live", f"rtmp://127.0.0.1:{port}/live", nonce=os.urandom(32))
    session.publish("s")
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.run_process, command))
            async with await dial_ffmpeg(port) as stream:
                await stream.send_all(session.data_to_send())
                started = False
                while not started:
                    data = await stream.receive_some(65536)
                    assert data
                    started = any(isinstance(event, PublishStarted) for event in session.receive(data, 0.0))
                    await stream.send_all(session.data_to_send())
                await stream.send_all(b"".join(session.encode_media(*each[:3]) for each in tags(clip)))
                session.stop()
                await stream.send_all(session.data_to_send())
    assert frames(path) == frames(clip)


@pytest.mark.real
async def test_our_client_plays_every_frame_from_ffmpeg(clip: Path, tmp_path: Path) -> None:
    path, port = tmp_path / "got.flv", free_port()
    command = [*FFMPEG, "-i", str(clip), "-c", "copy", "-f", "flv", "-listen", "1", f"rtmp://127.0.0.1:{port}/live/s"]
    session = ClientSession("live", f"rtmp://127.0.0.1:{port}/live", nonce=os.urandom(32), schema=None)
    session.play("s")
    got: list[Media] = []
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.run_process, command))
            async with await dial_ffmpeg(port) as stream:
                await stream.send_all(session.data_to_send())
                while data := await stream.receive_some(65536):
                    got += [event for event in session.receive(data, 0.0) if isinstance(event, Media)]
                    if answer := session.data_to_send():
                        await stream.send_all(answer)
    path.write_bytes(flv.create_flv_header() + b"".join(flv.create_flv_tag(*each[:3]) for each in got))
    assert frames(path) == frames(clip)
