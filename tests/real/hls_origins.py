"""Live HLS as ffmpeg writes it and nginx serves it, on loopback, with a tierkit edge before it.

One encoded clip feeds every publisher, its packets as they are, in real time: so whatever plays through the edge
must decode to a stretch of that clip, picture for picture, whatever the container or the key.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio
from attrs import define

from tests.ports import free_port

from .media import QUIET

#: Seconds of a segment, segments in the window, seconds between key rotations.
SEGMENT, WINDOW, ROTATION = 2, 6, 10

LIVE = ["-f", "hls", "-hls_time", str(SEGMENT), "-hls_list_size", str(WINDOW)]
FLAGS = "delete_segments+independent_segments+temp_file"

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; video/mp4 mp4 m4s; text/html html;
             text/javascript js; application/octet-stream key; }}
    log_format asked '$status $request_method $request_uri $msec';
    access_log {folder}/access.log asked;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@define
class Nginx:
    """A directory as nginx serves it, with what was asked of it."""

    url: str
    root: Path
    log: Path

    def asked(self) -> Counter[str]:
        """How often each path was answered with a body: "GET /ts/index3.ts" to its number."""
        lines = [line.split(" ") for line in self.log.read_text().splitlines()]
        return Counter(f"{method} {path}" for status, method, path, _ in lines if status == "200")


@asynccontextmanager
async def open_process(command: Sequence[str], **options: object) -> AsyncIterator[trio.Process]:
    """A process that must live as long as the block; it is ended when the block is."""
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, list(command), check=False, **options)
        process: trio.Process = await nursery.start(start)
        yield process
        assert process.poll() is None, f"{command[0]} has ended by itself with {process.returncode}"
        process.terminate()


@asynccontextmanager
async def open_nginx(folder: Path) -> AsyncIterator[Nginx]:
    """nginx before `folder`/www, on a port of its own."""
    root, port = folder / "www", free_port()
    root.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, root=root, port=port))
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    async with open_process(command, capture_stderr=True):
        await _until_open(port)
        yield Nginx(f"http://127.0.0.1:{port}", root, folder / "access.log")


async def _until_open(port: int) -> None:
    with trio.fail_after(20):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                return
            except OSError:
                await trio.sleep(0.05)


@asynccontextmanager
async def open_edge(origin: str, log: Path, *options: str) -> AsyncIterator[str]:
    """`tierkit edge hls` before an origin, as a process of its own; yields its URL."""
    command = [sys.executable, "-m", "tierkit", "edge", "hls", origin, "--listen", "127.0.0.1:0", "--drain", "1"]
    command += [word for option in options for word in ("-o", option)]
    ready = log.with_suffix(".ready")
    with log.open("wb") as err, ready.open("wb") as out:
        async with open_process(command, stdout=out, stderr=err):
            yield f"http://{(await _until_ready(ready, log)).split()[3]}"


async def _until_ready(out: Path, log: Path) -> str:
    """What a tier says of itself when it listens."""
    with trio.move_on_after(30):
        while not _text(out).startswith("ready "):
            await trio.sleep(0.05)
    assert _text(out).startswith("ready "), f"the edge does not begin: {_text(log)}"
    return _text(out)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _publisher(clip: Path, folder: Path, *options: str, flags: str = FLAGS) -> list[str]:
    folder.mkdir()
    source = [*QUIET, "-re", "-i", str(clip), "-c", "copy"]
    return [*source, *LIVE, "-hls_flags", flags, *options, str(folder / "index.m3u8")]


def ts_publisher(clip: Path, folder: Path) -> list[str]:
    return _publisher(clip, folder)


def fmp4_publisher(clip: Path, folder: Path) -> list[str]:
    return _publisher(clip, folder, "-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4")


def aes_publisher(clip: Path, folder: Path) -> list[str]:
    info = folder / "keys.info"
    command = _publisher(clip, folder, "-hls_key_info_file", str(info), flags=f"{FLAGS}+periodic_rekey")
    _new_key(folder, 0)
    return command


def _new_key(folder: Path, number: int) -> None:
    """Put a key beside the playlist, and tell ffmpeg, which looks at each segment, to use it from now on."""
    key = folder / f"{number}.key"
    key.write_bytes(secrets.token_bytes(16))
    info = folder / "keys.new"
    info.write_text(f"{key.name}\n{key}\n{secrets.token_hex(16)}\n")
    os.replace(info, folder / "keys.info")


async def rotate_keys(folder: Path) -> None:
    """A new key every `ROTATION` seconds, for ever; the old ones stay, as late viewers need them."""
    number = 0
    while True:
        await trio.sleep(ROTATION)
        number += 1
        _new_key(folder, number)


async def until_listed(playlist: Path, segments: int) -> None:
    """Until a playlist lists that many segments."""
    with trio.fail_after(30):
        while _text(playlist).count("#EXTINF") < segments:
            await trio.sleep(0.1)
