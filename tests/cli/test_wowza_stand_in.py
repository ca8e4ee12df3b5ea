"""`tierkit wowza stand-in`: what it prints, what it serves, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tierkit._cli_wowza_stand_in import Mode, Profile
from tierkit.testing import wowza

from .support import tierkit_

COMMAND = [sys.executable, "-m", "tierkit", "wowza", "stand-in", "--listen", "127.0.0.1:0"]


def test_the_choices_are_those_of_the_library() -> None:
    assert [each.value for each in Profile] == list(wowza.PROFILES)
    assert [each.value for each in Mode] == [each.value for each in wowza.Mode]


def test_the_assumed_are_printed() -> None:
    outcome = tierkit_("wowza", "stand-in", "--assumed")
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out == wowza.assumed()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--stream", "live"], "'live' is no stream: write APP/NAME, or APP/INSTANCE/NAME"),
        (
            ["--listen", "192.0.2.1"],
            "http://192.0.2.1:1935 is not an address of this machine: choose one of its own (ip address) or :PORT",
        ),
    ],
)
def test_what_cannot_be_is_a_line(arguments: list[str], line: str) -> None:
    outcome = tierkit_("wowza", "stand-in", *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, [], [line])


def test_without_pyav_it_says_what_to_install() -> None:
    without = f"import sys; sys.modules['av'] = None; sys.argv = {['tierkit', *COMMAND[3:]]!r}; import tierkit.cli as c"
    ended = subprocess.run([sys.executable, "-c", f"{without}; c.main()"], capture_output=True, text=True, timeout=30)
    line = "a stand-in's chunks need PyAV, which is not installed: pip install 'tierkit[ingest]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", line)


@pytest.fixture
def running() -> Iterator[subprocess.Popen[str]]:
    arguments = ["--profile", "wse42", "--admin", "127.0.0.1:0", "--stream", "live/a", "--stream", "live/inst/b"]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_serves_until_it_is_told_to_end(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    assert running.stderr is not None
    lines = [running.stdout.readline().split() for _ in range(5)]
    assert [each[:3] for each in lines[:3]] == [
        ["ready", "streaming", "http"],
        ["ready", "streaming", "rtmp"],
        ["ready", "admin", "http"],
    ]
    at = lines[0][3]
    assert lines[3] == ["play", f"http://{at}/live/a/playlist.m3u8", f"rtmp://{at}/live/a"]
    with urllib.request.urlopen(lines[4][1], timeout=10) as answer:
        assert answer.headers["Server"] == "WowzaStreamingEngine/4.2.0"
        assert answer.read().startswith(b"#EXTM3U\n")
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 0
    assert running.stderr.read() == ""
