"""A file that lines are appended to by several processes at once, and that may be moved or filled meanwhile.

* It is opened with O_APPEND, and a batch of whole lines is one `write`: on a local file system the kernel puts it at
  the end in one piece (POSIX `write`, O_APPEND), so processes need not know of each other.  A pipe takes PIPE_BUF bytes
  in one piece and no more, so there a batch goes out in pieces of whole lines.
* A pipe is opened and written without waiting: one that nobody reads loses lines, not viewers.
* A disk that fills up in the middle of a batch leaves half a line; what is written next begins on a line of its own.
* Where the name leads elsewhere than to what is open, it was moved (logrotate), and is opened anew.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress

__all__ = ["LogFile"]

#: What a pipe takes in one piece: Linux has 4096, POSIX promises 512.
PIPE_PIECE = 4096
#: Owner and group: what viewers watch is not for everybody on the machine.
MODE = 0o640


class LogFile:
    """One such file; opened when it is written, so that it can come back by itself.

    Attributes:
        lines, bytes: written so far.
        lost: lines that could not be written.
        trouble: why the last batch was not written whole; empty where it was.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines = self.bytes = self.lost = 0
        self.trouble = ""
        self._fd = -1
        self._piece = 0
        self._torn = False

    def open(self) -> None:
        """Open it where it is not open.  Raises OSError."""
        if self._fd >= 0:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        self._fd = os.open(self.path, flags, MODE)
        self._piece = 0 if stat.S_ISREG(os.fstat(self._fd).st_mode) else PIPE_PIECE

    def close(self) -> None:
        """Let go of it; it is opened again by the next batch."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with suppress(OSError):  # what a network's file system tells only now: the lines are gone
                os.close(fd)

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines, each with its end; what cannot be written is counted, and `trouble` says why."""
        written = 0
        try:
            if self._moved():
                self.close()
                self._torn = False
            self.open()
            for piece in self._pieces(lines):
                written += self._write(piece)
                if self._torn:
                    # The rest would follow at once where there is room: only a full disk or pipe takes a part.
                    raise OSError(errno.EAGAIN if self._piece else errno.ENOSPC, "")
            self.trouble = ""
        except OSError as error:
            self.trouble = _reason(error)
            self.close()
        self.lines += written
        self.lost += len(lines) - written

    def _moved(self) -> bool:
        if self._fd < 0:
            return False
        here = os.fstat(self._fd)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return True
        return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)

    def _pieces(self, lines: Sequence[bytes]) -> Iterator[bytes]:
        if not self._piece:
            if lines:
                yield b"".join(lines)
            return
        waiting: list[bytes] = []
        size = 0
        for line in lines:
            if waiting and size + len(line) > self._piece:
                yield b"".join(waiting)
                waiting, size = [], 0
            waiting.append(line)
            size += len(line)
        if waiting:
            yield b"".join(waiting)

    def _write(self, data: bytes) -> int:
        """Write a piece, or as much of it as is taken; returns how many whole lines that were."""
        start = b"\n" if self._torn else b""
        data = start + data
        sent = os.write(self._fd, data)
        self.bytes += sent
        self._torn = sent < len(data)  # where nothing at all was taken, an empty line too many harms nobody
        return data.count(b"\n", len(start), sent)


def _reason(error: OSError) -> str:
    if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
        return "who reads the pipe does not keep up"
    if error.errno == errno.ENXIO:
        return "nobody reads the pipe, or it is a socket, which cannot be opened as a file"
    return os.strerror(error.errno) if error.errno else str(error)
