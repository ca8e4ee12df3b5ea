"""A run of a second or so, against tierkit alone: what it measures is real, however short."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import _load, _procs
from tierkit.night._outside import memfd_bytes

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "http.py"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="not run: server and load want a core each")
@pytest.mark.skipif(not (shutil.which("taskset") and shutil.which("ss")), reason="not run: taskset or ss is missing")
def test_a_short_run_against_tierkit(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    command = [sys.executable, str(SCRIPT), "--rows", "1", "--peers", "tierkit", "--runs", "1"]
    command += ["--seconds", "0.2", "--quick", "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    told = json.loads(found.read_text())
    for row in ("segments-50", "segments-500"):
        assert told["samples"][row]["tierkit"][0]["per_cpu_second"] > 0
    assert "| segments of 750 KB, HTTP, 50 clients: per CPU-second |" in done.stdout
    assert "python" in told["machine"]


def test_the_origin_counts_what_it_is_asked_for() -> None:
    with _procs.origin() as port:
        assert len(_load.fetch(port, "/seg/1.ts")) == 750_000
        assert _load.fetch(port, "/vod/1.m3u8?token=1").startswith(b"#EXTM3U")
        assert _load.fetch(port, "/vod/1.m3u8?token=2").endswith(b"#EXT-X-ENDLIST\n")
        assert _load.counts(port) == {"/seg/1.ts": 1, "/vod/1.m3u8": 2}


def test_cpu_time_counts_children_that_have_ended() -> None:
    before = _procs.cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "sum(range(8_000_000))"], check=True)
    assert _procs.cpu_seconds(os.getpid()) > before


def test_what_no_rss_shows_is_counted() -> None:
    number = os.memfd_create("test")
    try:
        os.write(number, bytes(1 << 20))
        assert memfd_bytes(os.getpid()) >= 1 << 20
    finally:
        os.close(number)


@pytest.mark.skipif(shutil.which("ss") is None, reason="not run: ss is missing")
def test_the_kernels_share_of_a_connection_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = listener.accept()
            with served:
                client.sendall(bytes(50_000))
                # Unread by the server, or not yet taken over from the client: by one of the two it is held.
                held = _procs.socket_bytes(port) + _procs.socket_bytes(port, side="dport")
    assert held >= 50_000
