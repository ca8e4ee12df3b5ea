"""The access logs of a process: what has ended is kept in a list, and written in batches by a thread.

Theory of operation:

* A service notes what has ended by appending to a list: under a microsecond.  What is noted holds values alone.
* Every `EVERY` seconds, or once half of `WAITING` is there, a thread makes the lines of a batch and appends them to
  the files.  The event loop waits for none of that; the thread takes its share of the interpreter meanwhile.
* The list is bounded: at most `WAITING` notes, of some 4 KB each where heads are as long as they may be, so 64 MB at
  the very worst and a few MB at 20,000 usual requests a second.  What comes beyond that is lost, and counted.
* A file that cannot be written is told once, when that begins and when it ends, with how many lines were lost; the
  count of all that were stands in the statistics.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from ._accesslog import AccessLog, AccessRecorder, Making
from ._events import AccessLogBack, AccessLogFailed, Event
from ._logfile import LogFile
from ._masking import mask_host
from .codecs.access_line import Entry, combined_line, hide_values, json_line
from .errors import GraphError

__all__ = ["AccessLogs"]

#: Seconds between two batches: a person who follows a file does not see them.
EVERY = 0.25
#: Notes that may wait.
WAITING = 16_384


class Recorder(AccessRecorder):
    """One tier's."""

    def __init__(self, logs: AccessLogs, log: AccessLog, tier: str, site: str, addresses: str, file: LogFile) -> None:
        self.tier = tier
        self.site = site
        self.sample = log.sample
        self.file = file
        self.line = json_line if log.form == "json" else combined_line
        self._logs = logs
        self._addresses = log.addresses or addresses
        self._hides = log.queries != "full"
        self._count = 0

    # --- for services ----------------------------------------------------------------------------

    def due(self, status: int = 200) -> bool:
        if status >= 500:
            return True
        self._count += 1
        if self._count < self.sample:
            return False
        self._count = 0
        return True

    def note(self, making: Making) -> None:
        self._logs.note(self, making)

    # --- for who makes a line --------------------------------------------------------------------

    def address(self, host: str) -> str:
        """As much of it as may be told."""
        return mask_host(host, self._addresses)

    def target(self, text: str) -> str:
        """A path or URL, without what is secret in its query."""
        return hide_values(text) if self._hides else text


class AccessLogs:
    """All access logs of a process.

    Args:
        log: the graph's; None for none, and then nothing is done.
        addresses: how much of viewers' addresses is told where `log` does not say.
        emit: takes the events.
        run_sync: runs in a thread what may wait for a disk.
    """

    def __init__(
        self,
        log: AccessLog | None,
        addresses: str,
        emit: Callable[[Event], None],
        run_sync: Callable[..., Awaitable[Any]],
    ) -> None:
        self._log = log
        self._addresses = addresses
        self._emit = emit
        self._run_sync = run_sync
        self._files: dict[str, LogFile] = {}
        self._waiting: list[tuple[Recorder, Making]] = []
        self._many = trio.Event()
        self._again = False
        #: Files that were told to have trouble, and what each had lost when it was last well.
        self._told: set[str] = set()
        self._well: dict[str, int] = {}
        #: Lines of each file for which there was no room; the files' own counts are the thread's.
        self._overflown: Counter[str] = Counter()

    def recorder(self, tier: str, site: str) -> AccessRecorder | None:
        """What a tier's services note by.  Raises GraphError where its file cannot be opened."""
        if self._log is None:
            return None
        path = self._log.file_of(tier)
        if (file := self._files.get(path)) is None:
            file = self._files[path] = LogFile(path)
            try:
                file.open()
            except OSError as error:
                if error.errno != errno.ENXIO:  # a pipe that nobody reads yet
                    why = error.strerror or str(error)
                    raise GraphError([f"access log {path}: {why}: make its folder writable, or name another"]) from None
        return Recorder(self, self._log, tier, site, self._addresses, file)

    def note(self, recorder: Recorder, making: Making) -> None:
        """Keep what has ended until the next batch."""
        waiting = self._waiting
        if len(waiting) >= WAITING:
            path = recorder.file.path
            self._overflown[path] += 1
            if path not in self._told:
                self._told.add(path)
                self._emit(AccessLogFailed(file=path, reason=f"{WAITING} lines wait to be written"))
            return
        waiting.append((recorder, making))
        if len(waiting) == WAITING // 2:
            self._many.set()

    async def run(self) -> None:
        """Write batches until cancelled."""
        if self._log is None:
            return
        while True:
            with trio.move_on_after(EVERY):
                await self._many.wait()
            self._many = trio.Event()
            if (batch := self._take()) or self._again:
                await self._run_sync(self._write, batch)
                self._tell()

    def reopen(self) -> None:
        """Open every file anew with the next batch, or in `EVERY` seconds: its name may lead elsewhere by now."""
        self._again = True

    def close(self) -> None:
        """Write what waits, and let go of the files: for the end of the process, when nobody is kept waiting."""
        self._write(self._take())
        for file in self._files.values():
            file.close()

    def statistics(self) -> dict[str, int]:
        """Lines and bytes written so far, and lines lost; empty where there is no access log."""
        files = self._files.values()
        if not files:
            return {}
        lines, size = sum(each.lines for each in files), sum(each.bytes for each in files)
        return {"lines": lines, "bytes": size, "lost": sum(self._lost(each) for each in files)}

    def _lost(self, file: LogFile) -> int:
        return file.lost + self._overflown[file.path]

    def _take(self) -> list[tuple[Recorder, Making]]:
        batch, self._waiting = self._waiting, []
        return batch

    def _write(self, batch: list[tuple[Recorder, Making]]) -> None:
        lines: dict[LogFile, list[bytes]] = {}
        if self._again:
            self._again = False
            for file in self._files.values():
                file.close()
                lines[file] = []
        for recorder, making in batch:
            try:
                entry = making(recorder)
                assert isinstance(entry, Entry)
                line = recorder.line(entry)
            except Exception:  # of a stranger's plugin: one line, and not the log
                recorder.file.lost += 1
            else:
                lines.setdefault(recorder.file, []).append(line)
        for file, its in lines.items():
            file.write(its)

    def _tell(self) -> None:
        for path, file in self._files.items():
            if file.trouble:
                if path not in self._told:
                    self._told.add(path)
                    self._emit(AccessLogFailed(file=path, reason=file.trouble))
                continue
            if path in self._told:
                self._told.discard(path)
                self._emit(AccessLogBack(file=path, lost=self._lost(file) - self._well.get(path, 0)))
            self._well[path] = self._lost(file)
