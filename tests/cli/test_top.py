"""`tierkit top`: what one look shows, and a real one at a graph that runs, on a pipe and on a terminal."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tierkit._cli_top_view import render

from ..ports import free_port

ROOT = Path(__file__).parent.parent.parent
NOW = datetime(2026, 11, 10, 21, 30, 0)


def tier(**more: Any) -> dict[str, Any]:
    figures = {"viewers": 1500, "chopped": 0, "lag": 0.0, "upstream_connections": 1, **more.pop("figures", {})}
    upstreams = [{"name": "wowza", "healthy": True}]
    return {
        "site": "dc-a",
        "role": "edge",
        "state": "running",
        "figures": figures,
        "upstreams": upstreams,
        "streams": [],
        **more,
    }


def points(bits: list[float | None], **more: Any) -> dict[str, Any]:
    return {"role": "edge", "bits": bits, "hit_ratio": [0.995], "cpu": [0.34], "memory": [120e6], **more}


def shown(statistics: dict[str, Any], history: dict[str, Any], *, width: int = 120, **more: Any) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(render(statistics, history, now=NOW, width=width, **more))
    return [line.rstrip() for line in out.getvalue().splitlines()]


STATISTICS = {
    "process": {
        "events": [
            {"at": 0.0, "level": "warning", "text": "edge-b1: upstream wowza: refuses \x1b[2J", "times": 3},
        ]
    },
    "tiers": {
        "edge-a1": tier(streams=[{"name": "live/s", "on_air": True, "viewers": 1500}]),
        "edge-b1": tier(
            site="dc-b",
            state="unheard",
            figures={"chopped": 12, "lag": 1.25},
            upstreams=[{"name": "wowza", "healthy": False}],
            streams=[{"name": "live/s", "on_air": False, "viewers": 10}],
        ),
    },
}
HISTORY = {
    "type": {"hls": [0.0, *[1776e6] * 5], "rtmp": [0.0, 1184e6, 0.0, 1184e6]},
    "site": {"dc-a": [None, 888e6], "dc-b": [888e6, None]},
    "tiers": {
        "edge-a1": points([0.0, 444e6, *[888e6] * 5]),
        "edge-b1": points([888e6, None], hit_ratio=[None]),
    },
}


def test_the_head_tells_the_whole() -> None:
    assert shown(STATISTICS, HISTORY)[0] == "tierkit top  21:30:00  3,000 viewers  1.78 Gbit/s  12 chopped"


def test_shares_are_bars_with_figures() -> None:
    lines = shown(STATISTICS, HISTORY)
    assert lines[1].split() == ["traffic", "by", "type", "hls", "█" * 18, "1.78", "Gbit/s", "75%"]
    assert lines[2].split() == ["rtmp", "█" * 6, "592.0", "Mbit/s", "25%"]
    assert lines[3].split() == ["traffic", "by", "site", "dc-a", "█" * 12, "888.0", "Mbit/s", "50%"]


def test_each_tier_is_a_line() -> None:
    lines = shown(STATISTICS, HISTORY)
    one, other = (next(line for line in lines if line.startswith(name)) for name in ("edge-a1", "edge-b1"))
    cells = ["edge-a1", "dc-a", "running", "1,500", "0", "888.0", "Mbit/s", "▄█████", "99.5%", "-"]
    assert one.split() == [*cells, "1", "open", "34%", "120", "MB"]
    assert "unheard" in other
    assert "1.2 s" in other
    assert "wowza down" in other


def test_streams_are_summed_over_tiers() -> None:
    lines = shown(STATISTICS, HISTORY)
    assert ["live/s", "1,510", "on", "air"] in [line.split() for line in lines]


def test_events_cannot_write_on_the_screen() -> None:
    (line,) = [each for each in shown(STATISTICS, HISTORY) if "upstream wowza" in each]
    assert "\x1b" not in line
    assert line.endswith(r"refuses \x1b[2J (3 times)")


def test_a_narrow_terminal_gets_what_matters() -> None:
    lines = shown(STATISTICS, HISTORY, width=80)
    assert max(map(len, lines)) <= 80
    assert "last minutes" not in "\n".join(lines)
    assert any(line.startswith("edge-a1") and line.endswith("99.5%") for line in lines)


def test_who_does_not_answer_is_told_first() -> None:
    lines = shown(STATISTICS, HISTORY, troubles=["control address http://b1:9000: refuses connections"])
    assert lines[1] == "control address http://b1:9000: refuses connections"


@pytest.mark.parametrize("statistics", [{"process": {}, "tiers": {}}, {"process": {}, "tiers": {"a": {}}}])
def test_little_is_enough(statistics: dict[str, Any]) -> None:
    assert shown(statistics, {})[0].startswith("tierkit top")


GRAPH = """
from tierkit import Graph, Relay
from tierkit.plugins.rtmp import RTMP
graph = Graph.of(Relay("relay-a", site="dc-a", listen="rtmp://127.0.0.1:0", serves=RTMP()), control=":{port}")
"""


@pytest.fixture
def control(tmp_path: Path) -> Any:
    port = free_port()
    file = tmp_path / "graph.py"
    file.write_text(GRAPH.format(port=port))
    command = [sys.executable, "-m", "tierkit", "run", str(file)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
    assert child.stdout is not None
    assert child.stdout.readline().startswith("ready relay-a")
    yield f"127.0.0.1:{port}"
    child.terminate()
    child.wait(20)
    child.stdout.close()


def test_one_look_on_a_pipe(control: str) -> None:
    command = [sys.executable, "-m", "tierkit", "top", control, "--once"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "relay-a" in done.stdout
    assert "running" in done.stdout


def test_nobody_there_is_one_line() -> None:
    command = [sys.executable, "-m", "tierkit", "top", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "does the graph run there?" in done.stderr


def test_on_a_terminal_q_ends_it(control: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tierkit", "top", control]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment)
    os.close(theirs)
    try:
        seen = _until(ours, b"relay-a", 60)
        assert b"tierkit top" in seen
        os.write(ours, b"q")
        end = _until(ours, None, 30)
        assert b"\x1b[?1049l" in end  # the screen is what it was before
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def _until(terminal: int, wanted: bytes | None, seconds: float) -> bytes:
    """What comes until it has something, or until the other side is gone."""
    seen, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and (wanted is None or wanted not in seen):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # EIO: nobody has the other side any more
                return seen
    return seen
