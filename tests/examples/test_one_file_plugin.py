"""The stranger's plugin: loaded by file and through an installed entry point, and at work in memory."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.ports import free_port
from tierkit import Graph, Origin, Registry, Relay, open_graph
from tierkit.plugin import Address, Connection, Listener
from tierkit.testing import MemoryNetwork

FILE = Path(__file__).parents[2] / "examples" / "one_file_plugin.py"


def packet(pid: int, number: int, *, start: bool = True) -> bytes:
    head = bytes((0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, 0x10))
    return head + random.Random(number).randbytes(184)


#: A GOP: the program association table, then nine packets of pictures.
GOPS = [
    b"".join([packet(0, n * 100), *(packet(256, n * 100 + k, start=False) for k in range(1, 10))]) for n in range(6)
]


async def play(network: MemoryNetwork, address: Address, got: bytearray) -> None:
    connection = await network.connect(address)
    try:
        while data := await connection.recv():
            got += data
    finally:
        connection.close()


async def test_every_player_gets_whole_gops_and_the_encoder_sees_one_client(
    autojump_clock: trio.testing.MockClock,
) -> None:
    registry = Registry.load([FILE])
    assert registry.failures == []
    service = registry.services()["ts"]
    network = MemoryNetwork()
    encoder = await network.listen(Listener("tcp://encoder:9900"))
    relay = Relay("relay", upstream=Origin("camera", "tcp://encoder:9900"), serves=service(), listen="tcp://relay:9901")
    early, late = bytearray(), bytearray()
    async with (
        open_graph(Graph.of(relay), network=network, registry=registry, drain=0) as handle,
        trio.open_nursery() as nursery,
    ):
        (address,) = handle.addresses("relay")
        nursery.start_soon(play, network, address, early)
        source: Connection = await encoder.accept()
        for piece in (b"garbage" + GOPS[0], GOPS[1], GOPS[2][:500]):
            await source.send_all(piece)
            await trio.sleep(1)
        nursery.start_soon(play, network, address, late)
        await trio.sleep(1)
        await source.send_all(GOPS[2][500:] + b"".join(GOPS[3:]))
        await trio.sleep(1)
        statistics = handle.statistics()["tiers"]["relay"]
        assert statistics["figures"]["viewers"] == 2
        assert statistics["figures"]["upstream_connections"] == 1
        assert statistics["services"]["ts"] == {"viewers": 2, "packets": 60, "garbage": 7}
        nursery.cancel_scope.cancel()

    assert bytes(early) == b"".join(GOPS)
    assert bytes(late) == b"".join(GOPS[2:])  # from the beginning of the GOP that was on when it joined


async def test_a_lost_encoder_is_dialled_again(autojump_clock: trio.testing.MockClock) -> None:
    registry = Registry.load([FILE])
    network = MemoryNetwork()
    encoder = await network.listen(Listener("tcp://encoder:9900"))
    upstream = Origin("camera", "tcp://encoder:9900")
    relay = Relay("relay", upstream=upstream, serves=registry.services()["ts"](), listen="tcp://relay:9901")
    got, told = bytearray(), []
    async with (
        open_graph(Graph.of(relay), network=network, registry=registry, drain=0, observers=[told.append]) as handle,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(play, network, handle.addresses("relay")[0], got)
        for gop in GOPS[:2]:
            source = await encoder.accept()
            await source.send_all(gop)
            await trio.sleep(1)
            source.abort()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()

    assert bytes(got) == b"".join(GOPS[:2])
    assert "relay: upstream camera" in next(event.text for event in told if type(event).__name__ == "UpstreamLost")


def test_through_an_installed_entry_point(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    info = tmp_path / "stranger-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[tierkit]\nts = one_file_plugin\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tierkit", "plugins", "ts"], env=env, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == 0, done.stderr
    assert "stranger 1.2" in done.stdout
    assert "silence" in done.stdout


@pytest.mark.real("ffmpeg", "ffprobe")
async def test_ffmpeg_on_both_ends(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    make = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "6"]
    await trio.run_process([*make, "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", str(clip)])
    port = free_port()
    registry = Registry.load([FILE])
    upstream = Origin("camera", f"tcp://127.0.0.1:{port}")
    relay = Relay("relay", upstream=upstream, serves=registry.services()["ts"](), listen="tcp://127.0.0.1:0")
    encode = ["ffmpeg", "-loglevel", "error", "-re", "-i", str(clip), "-c", "copy", "-f", "mpegts"]
    async with (
        open_graph(Graph.of(relay), registry=registry, drain=0) as handle,
        trio.open_nursery() as nursery,
    ):
        command = [*encode, f"tcp://127.0.0.1:{port}?listen=1"]
        nursery.start_soon(partial(trio.run_process, command, check=False, capture_stderr=True))
        url = str(handle.addresses("relay")[0])
        with trio.fail_after(40):
            watch = ["ffmpeg", "-loglevel", "error", "-i", url, "-frames:v", "50", "-f", "framemd5", "-"]
            done = await trio.run_process(watch, capture_stdout=True, capture_stderr=True, check=False)
        nursery.cancel_scope.cancel()
    assert done.returncode == 0, done.stderr.decode()
    frames = [line for line in done.stdout.decode().splitlines() if not line.startswith("#")]
    assert len(frames) == 50
