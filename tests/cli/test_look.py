"""`tierkit check`, `graph` and `plugins`: looking without running."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tierkit import draw
from tierkit.config import load_graph

from ..off_air.clips import write_clip
from .support import tierkit_

GRAPH = """
[origin.far]
address = "http://user:secret@127.0.0.1:{port}"

[edge.e]
listen = "127.0.0.1:0"
upstream = "far"
serves = "hls"
"""

PLUGIN = '''
from typing import ClassVar
from attrs import frozen
from tierkit.plugin import Service, hookimpl, option

@frozen
class Yell(Service):
    """Says everything louder."""

    name: ClassVar[str] = "yell"
    roles = frozenset({"edge"})
    schemes = ("http",)
    pulls = ("http",)

    factor: float = option(2.0, "How much louder [dB].", minimum=1, maximum=8)
    memory: int = option(1 << 20, "What it keeps.", unit="bytes", minimum=1024)
    accent: str = option("none", "How it sounds.", choices=("none", "greek"))
    proud: bool = option(True, "Whether it boasts.")
    pause: float = option(0.5, "Between two words.", unit="s")

    def open(self, tier, ctx):
        raise NotImplementedError

@hookimpl
def tierkit_services():
    return [Yell]
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.toml"
    path.write_text(GRAPH.format(port=1))
    return path


# --- check ---------------------------------------------------------------------------------------


def test_a_good_graph(file: Path) -> None:
    outcome = tierkit_("check", file)
    assert (outcome.code, outcome.out) == (0, [f"{file}: fine: 1 tier, 2 nodes"])


def test_every_problem_at_once(file: Path) -> None:
    file.write_text(GRAPH.format(port=1).replace('"far"', '"fat"').replace('"hls"', '"hlx"'))
    outcome = tierkit_("check", file)
    assert (outcome.code, outcome.out) == (2, [])
    assert len(outcome.err) == 2
    assert all(line.startswith(f"{file}:") and ": e: " in line for line in outcome.err)
    assert "did you mean 'far'?" in outcome.err[0] + outcome.err[1]


def test_a_clip_that_is_no_good(tmp_path: Path) -> None:
    file, clip = tmp_path / "graph.toml", tmp_path / "slate.flv"
    file.write_text(f"""
[relay.entry]
listen = "127.0.0.1:0"
serves = {{ plugin = "rtmp", off_air = "{clip}", off_air_for = ["live/hall"] }}
""")
    outcome = tierkit_("check", file)
    assert (outcome.code, outcome.out) == (2, [])
    (line,) = outcome.err
    assert line.startswith(f"{file}: entry: rtmp: off_air={clip}: No such file or directory: make one with ffmpeg ")
    write_clip(clip)
    outcome = tierkit_("check", file)
    assert (outcome.code, outcome.err) == (0, [])


def test_what_only_the_check_finds_names_the_file(file: Path) -> None:
    file.write_text(GRAPH.format(port=1).replace('"hls"', '{ plugin = "hls", cache_bytes = 1 }'))
    outcome = tierkit_("check", file)
    assert outcome.code == 2
    (line,) = outcome.err
    assert line.startswith(f"{file}: e: hls: option cache_bytes=1 is too small")


def test_live_with_an_upstream_that_answers(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        file.write_text(GRAPH.format(port=server.getsockname()[1]))
        outcome = tierkit_("check", file, "--live")
    assert outcome.code == 0, outcome.err
    assert outcome.out[1].startswith("e: far http://")
    assert "answers in" in outcome.out[1]
    assert "secret" not in "".join(outcome.out)


def test_live_with_an_upstream_that_does_not(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        file.write_text(GRAPH.format(port=server.getsockname()[1]))
    outcome = tierkit_("check", file, "--live")
    assert outcome.code == 1
    assert "failed: " in outcome.out[1]


# --- graph ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "mermaid", "dot", "json"])
def test_drawings(file: Path, format: str) -> None:
    outcome = tierkit_("graph", file, "--format", format)
    assert outcome.code == 0, outcome.err
    assert outcome.out == draw(load_graph(file), format).splitlines()
    assert "secret" not in "".join(outcome.out)


def test_an_unknown_format_is_usage(file: Path) -> None:
    assert tierkit_("graph", file, "--format", "svg").code == 2


def test_json_is_json(file: Path) -> None:
    assert len(json.loads("\n".join(tierkit_("graph", file, "--format", "json").out))["nodes"]) == 2


# --- plugins -------------------------------------------------------------------------------------


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "yelling.py"
    path.write_text(PLUGIN)
    return path


def test_the_list(plugin: Path) -> None:
    outcome = tierkit_("plugins", "--plugin", plugin)
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in outcome.out if line}
    assert rows["hls"].split()[:2] == ["service", "hls"]
    assert rows["wowza"].split()[:2] == ["source", "wowza"]
    assert rows["keys"].split()[:2] == ["authoriser", "keys"]
    assert rows["yelling"].split() == ["service", "yell", str(plugin)]


def test_one_that_fails_is_named_and_takes_none_down(plugin: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("1 / 0\n")
    outcome = tierkit_("plugins", "--plugin", bad, "--plugin", plugin)
    assert outcome.code == 1
    assert f"plugin bad: does not load: ZeroDivisionError: division by zero ({bad}:1)" in outcome.err
    assert any(line.startswith("yelling") for line in outcome.out)


@pytest.mark.parametrize("name", ["yelling", "yell"])
def test_one_with_its_options(plugin: Path, name: str) -> None:
    outcome = tierkit_("plugins", name, "--plugin", plugin)
    assert outcome.code == 0, outcome.err
    assert "Says everything louder." in outcome.out
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in outcome.out]
    assert ["factor", "2", "1..8", "How much louder [dB]."] in rows
    assert ["memory", "1MiB", "1KiB..", "What it keeps."] in rows
    assert ["accent", "none", "none|greek", "How it sounds."] in rows
    assert ["proud", "true", "Whether it boasts."] in rows
    assert ["pause", "0.5s", "Between two words."] in rows


def test_an_unknown_one() -> None:
    outcome = tierkit_("plugins", "hsl")
    assert (outcome.code, outcome.out, outcome.err) == (2, [], ["plugin 'hsl' is unknown: did you mean 'hls'?"])


def test_an_authoriser_with_its_options() -> None:
    outcome = tierkit_("plugins", "networks")
    assert outcome.code == 0, outcome.err
    assert any(line.startswith("authoriser networks, from networks (tierkit") for line in outcome.out)
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in outcome.out]
    assert ["on", "both", "publish|play|both", "What it has a say in; the rest it allows."] in rows
