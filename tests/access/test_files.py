"""Files of rules that are read again, and what a bad one does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tierkit.access import KeyFile, WatchedFile
from tierkit.errors import TierkitError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules"
    write(path, "# a comment\n\n a 1 \nb 2\n")
    return path


def write(path: Path, text: str) -> None:
    """Other contents, and another time."""
    path.write_text(text)
    os.utime(path, ns=(len(text), len(text)))


def words(lines: object) -> list[tuple[int, list[str]]]:
    found = list(lines)  # type: ignore[call-overload]
    if any(len(each) != 2 for _, each in found):
        raise ValueError(", line 1: give two words")
    return found


def watched(path: Path, clock: Callable[[], float], told: list[str]) -> WatchedFile[list[tuple[int, list[str]]]]:
    return WatchedFile(str(path), option="file", wants="pairs", read=words, clock=clock, tell=told.append)


def test_it_is_read_again_within_a_second_of_a_change(path: Path) -> None:
    clock, told = Clock(), []
    file = watched(path, clock, told)
    assert file.value() == [(3, ["a", "1"]), (4, ["b", "2"])]
    write(path, "c 3\n")
    clock.now = 0.9
    assert len(file.value()) == 2
    clock.now = 1.1
    assert file.value() == [(1, ["c", "3"])]
    assert told == []


def test_a_bad_change_leaves_what_was_there_and_is_told_once(path: Path) -> None:
    clock, told = Clock(), []
    file = watched(path, clock, told)
    write(path, "only-one-word\n")
    for clock.now in range(2, 9):
        assert len(file.value()) == 2
    assert told == [f"file={path}, line 1: give two words; what it said before stays in force"]
    path.unlink()
    for clock.now in range(10, 19):
        assert len(file.value()) == 2
    assert told[1:] == [
        f"file={path}: No such file or directory: give a file of pairs; what it said before stays in force"
    ]
    write(path, "d 4\n")
    clock.now = 20
    assert file.value() == [(1, ["d", "4"])]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "not UTF-8: give a file of lines 'ID SECRET'"),
        (b"# nothing\n", "it has no key: give lines 'ID SECRET'"),
        (b"k1 hunter2 more\n", "line 1: give 'ID SECRET'"),
        (b"x" * (8 << 20) + b"y", "it has more than 8 MiB"),
    ],
)
def test_a_bad_file_at_the_start_is_an_error_without_its_secrets(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(TierkitError) as caught:
        KeyFile(str(path), Clock())
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert str(caught.value).startswith(f"keys={path}")
