"""Logs on the command line: what it says goes before what the graph says, in one process and in several."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tierkit import AccessLog
from tierkit.codecs.access_line import COMBINED

from .support import Caught, caught, tierkit_

__all__ = ["caught"]

ROOT = Path(__file__).parent.parent.parent
GRAPH = """
from tierkit import AccessLog, Edge, Graph, Origin
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest

studio = Origin("studio", site="hq", listen="http://127.0.0.1:0", serves=Ingest())
shield = Edge("shield", upstream=studio, listen="127.0.0.1:0", serves=HLS())
leaf = Edge("leaf", site="dc-a", upstream=shield, listen="127.0.0.1:0", serves=HLS())
graph = Graph.of(leaf{more})
"""


def written(folder: Path, more: str = "") -> Path:
    path = folder / "graph.py"
    path.write_text(GRAPH.replace("{more}", more))
    return path


def test_the_command_line_shapes_the_graphs_logs(caught: Caught, tmp_path: Path) -> None:
    file = written(tmp_path, ', access_log=AccessLog("a.log", form="json", sample=7), viewer_addresses="none"')
    assert tierkit_("run", file).code == 0
    assert caught.graphs[-1].access_log == AccessLog("a.log", form="json", sample=7)
    assert caught.graphs[-1].viewer_addresses == "none"
    words = ("--access-log", "b.log", "--access-log-sample", "100", "--log-addresses", "full")
    assert tierkit_("run", file, *words).code == 0
    assert caught.graphs[-1].access_log == AccessLog("b.log", form="json", sample=100)
    assert caught.graphs[-1].viewer_addresses == "full"


@pytest.mark.parametrize(
    "command",
    [
        ("edge", "hls", "http://o.example", "--listen", ":80"),
        ("relay", "rtmp", "rtmp://o.example/live", "--listen", ":1935"),
        ("origin", "--rtmp", ":1935"),
    ],
)
def test_one_tier_has_them_as_well(command: tuple[str, ...], caught: Caught) -> None:
    assert tierkit_(*command, "--access-log", "a.log", "--access-log-form", "json").code == 0
    assert caught.graph.access_log == AccessLog("a.log", form="json")
    assert caught.graph.viewer_addresses == "truncated"


def test_a_shape_without_a_log(tmp_path: Path) -> None:
    outcome = tierkit_("run", written(tmp_path), "--access-log-sample", "10")
    assert outcome.code == 2
    assert "give --access-log FILE" in "\n".join(outcome.err)


def test_a_file_that_cannot_be_opened_is_one_line(tmp_path: Path) -> None:
    where = tmp_path / "nowhere" / "a.log"
    command = [sys.executable, "-m", "tierkit", "run", str(written(tmp_path)), "--access-log", str(where)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"access log {where}: No such file or directory")


@pytest.mark.parametrize("processes", ["one", "tier"])
def test_a_real_run_has_one_log_of_all_its_processes(tmp_path: Path, processes: str) -> None:
    log = tmp_path / "a.log"
    command = [
        *(sys.executable, "-m", "tierkit", "run", str(written(tmp_path)), "--processes", processes, "--drain", "1"),
        *("--log", "json", "--log-addresses", "none", "--access-log", str(log)),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        ready = [running.stdout.readline().split() for _ in range(3)]
        url = f"http://{ready[2][3]}/live/s/playlist.m3u8?token=secret"
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(url, timeout=20)
            caught.value.close()
        running.send_signal(signal.SIGHUP)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    lines = [COMBINED.fullmatch(line) for line in log.read_text().splitlines()]
    told = [line.groupdict() for line in lines if line is not None]
    assert len(told) == len(lines)
    assert {each["tier"] for each in told} == {"studio", "shield", "leaf"}
    assert {each["address"] for each in told} == {"-"}
    assert {each["target"] for each in told} == {"/live/s/playlist.m3u8?token=***"}
    # The first miss is called the same at every tier.
    id = next(each["id"] for each in told if each["tier"] == "leaf")
    assert {each["tier"] for each in told if each["id"] == id} == {"studio", "shield", "leaf"}
    # Every line of standard error is an object, whoever wrote it, and what concerns all is told once.
    events = [json.loads(line) for line in err.splitlines()]
    kinds = [each["event"] for each in events]
    for once in ("GraphReady", "Reread", "GraphLeaving", "GraphStopped"):
        assert kinds.count(once) == 1, kinds
    assert {each.get("site") for each in events if each["tier"] == "leaf"} == {"dc-a"}
    assert not re.search(r"secret", err + log.read_text())
