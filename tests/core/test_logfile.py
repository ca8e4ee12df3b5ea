"""Files of logs: appended whole, moved, filled, and pipes that nobody reads."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from tierkit._logfile import PIPE_PIECE, LogFile


def test_lines_are_appended_and_the_file_is_for_its_group(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = LogFile(str(path))
    old = os.umask(0)
    try:
        file.write([b"one\n", b"two\n"])
    finally:
        os.umask(old)
    file.write([b"three\n"])
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (file.lines, file.bytes, file.lost, file.trouble) == (3, 14, 0, "")


@pytest.mark.parametrize("how", ["moved", "removed", "closed"])
def test_one_that_was_moved_is_opened_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.log"
    file = LogFile(str(path))
    file.write([b"one\n"])
    if how == "closed":
        path.rename(tmp_path / "a.log.1")
        file.close()
    elif how == "moved":
        path.rename(tmp_path / "a.log.1")
        path.write_bytes(b"")  # as logrotate's `create` does
    else:
        path.unlink()
    file.write([b"two\n"])
    assert path.read_bytes() == b"two\n"


def test_a_folder_that_is_gone_is_told_and_counted_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    file = LogFile(str(folder / "a.log"))
    file.write([b"one\n", b"two\n"])
    assert (file.lines, file.lost, file.trouble) == (0, 2, "No such file or directory")
    folder.mkdir()
    file.write([b"three\n"])
    assert (file.lines, file.lost, file.trouble) == (1, 2, "")


def test_a_full_disk_leaves_half_a_line_and_what_follows_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    file = LogFile(str(path))
    file.write([b"zero\n"])
    real, room = os.write, [7]

    def write(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    file.write([b"one\n", b"twotwo\n", b"three\n"])
    assert (file.lines, file.lost, file.trouble) == (2, 2, "No space left on device")
    file.write([b"four\n"])
    assert (file.lines, file.lost) == (2, 3)
    monkeypatch.setattr(os, "write", real)
    file.write([b"five\n"])
    assert path.read_bytes() == b"zero\none\ntwo\nfive\n"
    assert (file.lines, file.lost, file.trouble) == (3, 3, "")


def test_a_real_full_device() -> None:
    file = LogFile("/dev/full")
    file.write([b"one\n"])
    assert (file.lost, file.trouble) == (1, "No space left on device")


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    file = LogFile(str(path))
    file.write([b"one\n"])
    assert file.lost == 1
    assert file.trouble.startswith("nobody reads the pipe")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        file.write([b"two\n"])
        assert os.read(reader, 100) == b"two\n"
        line = b"x" * 99 + b"\n"
        file.write([line] * 10_000)  # more than it holds
        assert file.trouble == "who reads the pipe does not keep up"
        taken = b""
        while len(piece := os.read(reader, 65536)) == 65536:
            taken += piece
        taken += piece
        assert len(taken) % 100 == 0  # whole lines, in pieces that a pipe takes whole
        assert taken.count(b"\n") == file.lines - 1
        assert file.lines + file.lost == 10_002
    finally:
        os.close(reader)
    file.write([b"three\n"])
    assert file.trouble
    file.close()


def test_several_writers_never_mix_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.log"

    def write(letter: bytes) -> None:
        file = LogFile(str(path))
        for _ in range(100):
            file.write([letter * 150 + b"\n"] * 50)
        file.close()

    writers = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    lines = path.read_bytes().splitlines()
    assert len(lines) == 15_000
    assert {(len(line), len(set(line))) for line in lines} == {(150, 1)}


def test_pieces_for_a_pipe_are_whole_lines() -> None:
    file = LogFile("x")
    file._piece = PIPE_PIECE
    pieces = list(file._pieces([b"x" * 1000 + b"\n"] * 10))
    assert all(len(piece) <= PIPE_PIECE and piece.endswith(b"\n") for piece in pieces)
    assert sum(map(len, pieces)) == 10_010
