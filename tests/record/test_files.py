"""Files that grow, on a real disk: their names, links, locks, and what a failing disk leaves."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.rtmp.media import gop, headers
from tierkit.codecs.flv import FLVReader, Tag
from tierkit.codecs.flv_file import FLVCutter, Step
from tierkit.plugins.record import _files
from tierkit.plugins.record._files import Place, left_over


def steps(gops: int = 1, *, end: bool = True) -> list[Step]:
    cutter = FLVCutter(3600)
    sent = [*headers(), *(each for index in range(gops) for each in gop(index * 1000, 25))]
    found = [step for each in sent for step in cutter.receive(*each)]
    return found + (cutter.end() if end else [])


def place(folder: Path, *parts: str) -> Place:
    return Place(str(folder), lambda: parts or ("live", "s.flv"))


def tags(path: Path) -> list[Tag]:
    reader = FLVReader()
    found = reader.receive(path.read_bytes())
    assert len(reader._buffer) == 4  # the last back pointer
    return found


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if not each.is_dir())


def test_it_is_a_part_until_it_is_done(tmp_path: Path) -> None:
    where = place(tmp_path)
    outcome = where.perform(steps(end=False))
    assert (outcome.error, outcome.lost, outcome.finished) == ("", 0, ())
    assert files(tmp_path) == ["live/s.flv.part"]
    assert len(tags(tmp_path / "live/s.flv.part")) == 53
    (done,) = where.perform(steps()[-1:]).finished
    assert files(tmp_path) == ["live/s.flv"]
    assert done.path == str(tmp_path / "live/s.flv")
    assert done.bytes == (tmp_path / "live/s.flv").stat().st_size
    assert where.path == ""


def test_several_files_in_one_go_get_numbers(tmp_path: Path) -> None:
    outcome = place(tmp_path).perform([*steps(), *steps(), *steps(end=False)])
    assert files(tmp_path) == ["live/s-2.flv", "live/s-3.flv.part", "live/s.flv"]
    assert [Path(each.path).name for each in outcome.finished] == ["s.flv", "s-2.flv"]


def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "s.flv").write_text("mine")
    (tmp_path / "s-2.flv.part").write_text("somebody's")
    (tmp_path / "s-3.flv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "s-4.flv.part").symlink_to(tmp_path / "nowhere")
    place(tmp_path, "s.flv").perform(steps())
    assert files(tmp_path) == ["s-2.flv.part", "s-3.flv", "s-4.flv.part", "s-5.flv", "s.flv"]
    assert (tmp_path / "s.flv").read_text() == "mine"


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "rec").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "rec" / "live").symlink_to(tmp_path / "outside")
    outcome = place(tmp_path / "rec").perform(steps())
    assert outcome.error in (os.strerror(errno.ENOTDIR), os.strerror(errno.ELOOP))
    assert outcome.path == str(tmp_path / "rec/live/s.flv")
    assert outcome.lost == 50
    assert files(tmp_path / "outside") == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    outcome = place(tmp_path / "gone").perform(steps())
    assert outcome.error == os.strerror(errno.ENOENT)
    assert not (tmp_path / "gone").exists()
    with pytest.raises(FileNotFoundError):
        left_over(str(tmp_path / "gone"))


def test_a_write_that_was_cut_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(tmp_path)
    write, room = os.write, [3000]

    def full(fd: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(fd, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(_files.os, "write", full)
    monkeypatch.setattr(_files, "_JOINED", 500)
    outcome = where.perform(steps(gops=3, end=False))
    assert outcome.error == "No space left on device"
    assert outcome.lost > 0
    # What is there is finished as it stands: whole tags, and no word of how many.
    (done,) = outcome.finished
    found = tags(Path(done.path))
    assert 10 < len(found) < 150
    assert done.seconds == found[-1].timestamp / 1000
    assert files(tmp_path) == ["live/s.flv"]
    assert outcome.written == done.bytes
    # The disk is well again: the next file is another.
    room[0] = 10**9
    assert where.perform(steps()).error == ""
    assert files(tmp_path) == ["live/s-2.flv", "live/s.flv"]


def test_descriptors_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd"))
    place(tmp_path).perform(steps())
    place(tmp_path / "gone").perform(steps())
    (tmp_path / "link").symlink_to(tmp_path)
    place(tmp_path, "link", "s.flv").perform(steps())

    def broken(*args: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(_files.os, "fsync", broken)
    outcome = place(tmp_path, "other.flv").perform(steps())
    assert (outcome.error, outcome.path) == ("Input/output error", str(tmp_path / "other.flv"))
    assert files(tmp_path / "link")[-1].endswith("other.flv.part")
    monkeypatch.setattr(_files.os, "write", broken)
    assert place(tmp_path, "third.flv").perform(steps()).finished == ()
    assert not [each for each in files(tmp_path) if "third" in each]  # nothing was written, and nothing is left
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_was_left_over_is_told_from_what_grows(tmp_path: Path) -> None:
    grows = place(tmp_path)
    grows.perform(steps(end=False))
    (tmp_path / "dead.flv.part").write_bytes(b"x" * 7)
    (tmp_path / "link.part").symlink_to(tmp_path / "dead.flv.part")
    os.mkfifo(tmp_path / "pipe.part")
    assert left_over(str(tmp_path)) == [(str(tmp_path / "dead.flv.part"), 7)]


def test_it_is_forced_to_the_disk_as_often_as_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[str] = []
    monkeypatch.setattr(_files.os, "fdatasync", lambda fd: forced.append("data"))
    monkeypatch.setattr(_files.os, "fsync", lambda fd: forced.append("all"))
    now = [0.0]
    monkeypatch.setattr(_files.time, "monotonic", lambda: now[0])
    where = Place(str(tmp_path), lambda: ("s.flv",), sync=5)
    for now[0] in (0, 4, 6, 9, 12):
        where.perform(steps(end=False)[: None if now[0] == 0 else 0])
    assert forced == ["data", "data"]
    where.perform(steps()[-1:])
    assert forced == ["data", "data", "all", "all"]


def test_file_systems_that_can_do_less_are_recorded_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def for_files_alone(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(fd)

    def no_locks(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(_files.os, "fsync", for_files_alone)
    monkeypatch.setattr(_files.fcntl, "flock", no_locks)
    outcome = place(tmp_path).perform(steps())
    assert (outcome.error, files(tmp_path)) == ("", ["live/s.flv"])
