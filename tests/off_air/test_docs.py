"""The how-to is true: its graph can run, and its commands make a clip that fits."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.real.media import QUIET
from tierkit import check
from tierkit.codecs.flv_clip import parse_clip
from tierkit.config import load_graph
from tierkit.plugins.rtmp import RTMP

PAGE = (Path(__file__).parent.parent.parent / "docs" / "how-to" / "recesses.md").read_text()


def test_its_graph_can_run(tmp_path: Path) -> None:
    toml = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert toml is not None
    path = tmp_path / "graph.toml"
    path.write_text(toml.group(1))
    graph = load_graph(path)
    assert check(graph) == []
    python = re.search(r"In Python `(RTMP\(.*?\))`", PAGE, re.DOTALL)
    assert python is not None
    assert graph["entry"].serves == (eval(python.group(1), {"RTMP": RTMP}),)


@pytest.mark.real("ffmpeg")
@pytest.mark.parametrize("own", [False, True], ids=["a picture", "a clip of one's own"])
def test_its_command_makes_a_clip(tmp_path: Path, own: bool) -> None:
    found = re.search(r"\$ (ffmpeg .*?)\n```", PAGE, re.DOTALL)
    assert found is not None
    command = found.group(1).replace("\\\n", " ")
    if own:
        both = "-loop 1 -framerate 25 -i slate.png -f lavfi -i anullsrc=r=44100:cl=stereo"
        replaced = re.search(r"put `(.*?)` in place of both inputs", PAGE)
        assert replaced is not None
        assert both in command
        command = command.replace(both, replaced.group(1))
        inputs = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine"]
        subprocess.run([*QUIET, *inputs, "-t", "2", str(tmp_path / "clip.mp4")], check=True, timeout=60)
    else:
        picture = ["-f", "lavfi", "-i", "smptebars=size=640x360", "-frames:v", "1", str(tmp_path / "slate.png")]
        subprocess.run([*QUIET, *picture], check=True, timeout=60)
    arguments = [*QUIET, *shlex.split(command)[1:]]
    arguments[arguments.index("30")] = "4"  # as good, and sooner made
    subprocess.run(arguments, check=True, timeout=60, cwd=tmp_path)
    clip = parse_clip([(tmp_path / "slate.flv").read_bytes()])
    assert clip.codecs == {8: "mp4a", 9: "avc1"}
    assert 3900 <= clip.duration <= 4200
