"""Purging over the control address."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.plugins.edge_rig import PLAYLIST, SEGMENT, Rig, open_edge
from tierkit.plugin import ControlRequest
from tierkit.plugins import control

ROOT = Path(__file__).parent.parent.parent


async def purge(rig: Rig, **query: str) -> tuple[int, str]:
    request = ControlRequest(rig.handle, "POST", "/purge", query)
    answer = await control._purge(request)
    return answer.status, answer.body.decode()


@pytest.mark.parametrize(
    ("path", "count"), [(SEGMENT, 1), ("/live/*", 2), ("stream:live/s", 2), ("*", 2), ("/nowhere", 0)]
)
async def test_what_is_purged_is_fetched_again(path: str, count: int) -> None:
    async with open_edge(prefetch=False) as rig:
        for each in (SEGMENT, PLAYLIST):
            await rig.get(each)
        status, body = await purge(rig, path=path)
        assert (status, json.loads(body)) == (200, {"purged": {"edge": count}, "late": []})
        assert json.loads((await purge(rig, path=path))[1])["purged"] == {"edge": 0}
        await rig.get(SEGMENT)
        assert rig.origin.count(SEGMENT) == (2 if count else 1)


async def test_softly_it_is_stale_and_still_there() -> None:
    async with open_edge(prefetch=False) as rig:
        await rig.get(PLAYLIST)
        assert json.loads((await purge(rig, path=PLAYLIST, soft="1"))[1])["purged"] == {"edge": 1}
        answer = await rig.get(PLAYLIST)
        assert b"stale" in (answer.get(b"cache-status") or b"")


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({}, 400, "is no pattern"),
        ({"path": "live"}, 400, "is no pattern"),
        ({"path": "/x", "soft": "yes"}, 400, "soft is 1 or 0"),
        ({"path": "/x", "tier": "egde"}, 404, "there are edge"),
    ],
)
async def test_what_makes_no_sense_is_told(query: dict[str, str], status: int, told: str) -> None:
    async with open_edge() as rig:
        answered, body = await purge(rig, **query)
        assert answered == status
        assert told in body


FILE = """
control = "http://127.0.0.1:0"
control_token = "hush"

[origin.studio]
listen = ["rtmp://127.0.0.1:0", "http://127.0.0.1:0"]
serves = "ingest"

[edge.one]
listen = "127.0.0.1:0"
upstream = "studio"
serves = "hls"
"""


def ask(url: str, token: str) -> tuple[int, str]:
    request = urllib.request.Request(url, method="POST", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_each_process_of_a_graph_is_reached(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "graph.toml"
    file.write_text(FILE.replace('http://127.0.0.1:0"\ncontrol_token', f'http://127.0.0.1:{port}"\ncontrol_token'))
    command = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", "tier", "--drain", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            while not process.stdout.readline().startswith("ready one "):
                pass
            assert ask(f"http://127.0.0.1:{port}/purge?path=/x", "wrong")[0] == 401
            status, body = ask(f"http://127.0.0.1:{port}/purge?path=/live/*", "hush")
            assert (status, json.loads(body)) == (200, {"purged": {"studio": 0, "one": 0}, "late": []})
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
