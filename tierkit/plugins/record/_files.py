"""Files that grow, on a disk that may be slow, full or gone.  Everything here blocks, and runs in a thread.

* While a file grows it is called ``NAME.part``; finished, it is renamed.  Who watches the folder never sees half a file
  under its own name.
* What is there is only appended to, whole tags in one write; a write that was cut short is taken back.  At the end the
  head is written over in place, by one write, and the file is forced to the disk before it is renamed.
* Each folder on the way is opened without following links, so that no link in the folder leads out of it.  The folder
  itself is never made: where a disk is not mounted, the one below it is not to be filled.
* A file that grows is locked, so that what nobody writes any more can be told from what somebody does.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

from tierkit.codecs.flv_file import Begin, End, Step

from ._names import PART

__all__ = ["Finished", "Outcome", "Place", "left_over"]

#: Names that are tried before that is given up: recordings of one stream that begin in one second.
_TRIES: Final = 1000
#: Bytes joined for one write.
_JOINED: Final = 1 << 20
#: Files looked at for what was left over.
_LOOKED_AT: Final = 100_000


@frozen
class Finished:
    """A file that is done."""

    path: str
    seconds: float
    bytes: int


@frozen
class Outcome:
    """What became of some steps: `error` is empty where all of it is written, `lost` the messages that are not."""

    written: int = 0
    lost: int = 0
    finished: tuple[Finished, ...] = ()
    path: str = ""
    error: str = ""


class Place:
    """Where one stream's files are written.  `name` gives the parts of the next one's path below `folder`.

    Args:
        sync: seconds after which a growing file is forced to the disk; 0 leaves that to the kernel.
    """

    def __init__(self, folder: str, name: Callable[[], Sequence[str]], *, sync: float = 0.0) -> None:
        self.folder = folder
        self.sync = sync
        self._name = name
        self._file: _Growing | None = None

    @property
    def path(self) -> str:
        """The file that grows now; empty for none."""
        return "" if self._file is None else self._file.path

    def perform(self, steps: Sequence[Step]) -> Outcome:
        """Take these steps.  Where one fails, the file that was open is finished as it stands."""
        written, finished, path = 0, list[Finished](), ""
        lost = sum(isinstance(step, bytes) for step in steps)
        try:
            for count, step in _joined(steps):
                match step:
                    case Begin(data):
                        path = os.path.join(self.folder, *(parts := self._name()))
                        self._file = _Growing(self.folder, parts)
                        written += self._file.append(data)
                    case End(head, seconds):
                        if (file := self._file) is not None:
                            self._file, path = None, file.path
                            finished.append(file.finish(head, seconds))
                    case data if self._file is not None:
                        written += self._file.append(data)
                lost -= count
            if self._file is not None and self.sync:
                self._file.force(self.sync)
        except OSError as error:
            path = self.path or path
            finished += self._give_up()
            return Outcome(written, lost, tuple(finished), path, error.strerror or type(error).__name__)
        return Outcome(written, finished=tuple(finished))

    def _give_up(self) -> list[Finished]:
        """Finish what is open as it stands, if the disk lets us: its numbers stay 0, and it plays."""
        file, self._file = self._file, None
        try:
            if file is None or file.discarded():
                return []
            return [file.finish(b"", file.latest / 1000)]
        except OSError:
            return []  # it keeps the name that it has


class _Growing:
    """One file that grows."""

    def __init__(self, folder: str, parts: Sequence[str]) -> None:
        self._folder = _open_folder(folder, parts[:-1])
        try:
            self._name, self._fd = _create(self._folder, parts[-1])
        except BaseException:
            os.close(self._folder)
            raise
        self.path = os.path.join(folder, *parts[:-1], self._name)
        #: Milliseconds, of the last tag.
        self.latest = 0
        self._size = 0
        self._forced = time.monotonic()

    def append(self, data: bytes) -> int:
        view = memoryview(data)
        done = 0
        try:
            while done < len(view):
                done += os.write(self._fd, view[done:])
        except OSError:
            os.ftruncate(self._fd, self._size)  # whole tags only
            raise
        self._size += done
        self.latest = _time_of_last(data)
        return done

    def force(self, seconds: float) -> None:
        if time.monotonic() - self._forced >= seconds:
            os.fdatasync(self._fd)
            self._forced = time.monotonic()

    def discarded(self) -> bool:
        """Whether nothing is in it, so that it need not be there."""
        if self._size:
            return False
        try:
            os.unlink(self._name + PART, dir_fd=self._folder)
        finally:
            self._close()
        return True

    def finish(self, head: bytes, seconds: float) -> Finished:
        try:
            if head:
                os.pwrite(self._fd, head, 0)
            os.fsync(self._fd)
            os.rename(self._name + PART, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            try:
                os.fsync(self._folder)
            except OSError:
                pass  # not every file system can; the file itself is there
        finally:
            self._close()
        return Finished(self.path, seconds, self._size)

    def _close(self) -> None:
        os.close(self._fd)
        os.close(self._folder)


def _time_of_last(data: bytes) -> int:
    """Of the last of some whole tags: behind each stands how long it is."""
    start = len(data) - 4 - int.from_bytes(data[-4:], "big")
    return data[start + 7] << 24 | int.from_bytes(data[start + 4 : start + 7], "big")


def left_over(folder: str) -> list[tuple[str, int]]:
    """Path and size of each file that was growing when its process ended.  Raises OSError where there is no folder."""
    os.close(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    found = []
    for path in _parts_below(folder):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if stat.S_ISREG((about := os.fstat(fd)).st_mode):
                found.append((path, about.st_size))
        except OSError:
            pass  # somebody writes it
        finally:
            os.close(fd)
    return sorted(found)


def _parts_below(folder: str) -> Iterator[str]:
    looked_at = 0
    for where, _, names in os.walk(folder):  # follows no links
        for name in names:
            looked_at += 1
            if looked_at > _LOOKED_AT:
                return
            if name.endswith(PART):
                yield os.path.join(where, name)


def _open_folder(folder: str, parts: Sequence[str]) -> int:
    """A descriptor of the folder below `folder`, made where it is not there."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    here = os.open(folder, flags)
    for part in parts:
        try:
            try:
                os.mkdir(part, dir_fd=here)
            except FileExistsError:
                pass
            deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=here)
        finally:
            os.close(here)
        here = deeper
    return here


def _create(folder: int, wanted: str) -> tuple[str, int]:
    """A name that nobody has, and a descriptor of its growing file."""
    stem, dot, ending = wanted.rpartition(".")
    for number in range(1, _TRIES):
        name = wanted if number == 1 else f"{stem}-{number}{dot}{ending}" if stem else f"{wanted}-{number}"
        if _exists(folder, name):
            continue
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(name + PART, flags, 0o644, dir_fd=folder)
        except FileExistsError:
            continue
        # Another process may have finished a file of this name between the look and the open.
        if _exists(folder, name):
            os.close(fd)
            os.unlink(name + PART, dir_fd=folder)
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass  # a file system without locks: what is left over there is told by nobody
        return name, fd
    raise FileExistsError(0, f"{_TRIES} recordings have this name: put {{start}} into the template")


def _exists(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _joined(steps: Sequence[Step]) -> Iterator[tuple[int, Step]]:
    """The same with neighbouring tags in one piece, each with the number of messages in it."""
    pieces: list[bytes] = []
    size = 0
    for step in steps:
        if pieces and (not isinstance(step, bytes) or size >= _JOINED):
            yield len(pieces), b"".join(pieces)
            pieces, size = [], 0
        if isinstance(step, bytes):
            pieces.append(step)
            size += len(step)
        else:
            yield 0, step
    if pieces:
        yield len(pieces), b"".join(pieces)
