"""Recording: the streams of a tier as FLV files, beside whatever else the tier serves.

    Relay("r", listen="rtmp://:1935", serves=(RTMP(), Record(folder="/var/rec", streams=("live/*",))))

It needs no door: it follows the tier's streams, whoever brings them there.  What a file is, and where it is cut, is in
`tierkit.codecs.flv_file`; how it grows on the disk, in `_files`; what it is called, in `_names`.

* A publisher's presence is a file of its own, or several: who comes back under the same name begins another.
* Streams are recorded while they are on air at this tier.  What is pulled on demand is so while somebody plays it.
* Memory: for each stream at most `queue_bytes` that wait for the disk, one message on top.  At 1.1 Mbit/s the default
  holds two minutes, at 50 Mbit/s 2.6 s.
* Nothing is ever deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import ClassVar

import trio
from attrs import field, frozen

from tierkit.codecs.flv_file import FLVCutter
from tierkit.events import RecordingFailed, RecordingLeft
from tierkit.live import Stream, Streams, streams_of
from tierkit.plugin import Connection, Context, LocalProtocolError, Node, Running, Service, hookimpl, option

from ._files import left_over
from ._names import template_problem
from ._recording import FAREWELL, Disk, Recording, RecordingState

__all__ = ["Record", "RecordStatistics", "RecordingState"]

_TEMPLATE = "{app}/{name}-{start:%Y%m%dT%H%M%SZ}.flv"
#: Left-over files that are told one by one.
_TOLD = 100


@frozen
class Record(Service):
    """Streams recorded to FLV files."""

    name: ClassVar[str] = "record"
    roles: ClassVar = frozenset({"origin", "relay"})
    schemes: ClassVar[tuple[str, ...]] = ()

    folder: str = option("", "The folder that files are written below; it must exist, folders in it are made.")
    streams: tuple[str, ...] = option(
        ("*",), "Which streams, such as 'live/news' or 'live/*'; '*' stands for anything, slashes too."
    )
    file: str = option(
        _TEMPLATE,
        "What a file is called below the folder, of {app}, {name}, {tier} and {start}, which is in UTC and takes a "
        "format of strftime. '/' makes folders. What is taken already gets a number.",
    )
    rotate_seconds: float = option(
        3600.0,
        "Length after which a file ends at the next keyframe, and the next begins there.",
        minimum=1,
        maximum=7 * 86400,
        unit="s",
    )
    rotate_bytes: int = option(
        0, "Bytes after which it does so too; 0 for any number.", minimum=0, maximum=1 << 50, unit="bytes"
    )
    sync_seconds: float = option(
        0.0,
        "Time after which a growing file is forced to the disk (fsync), so that a power failure costs no more; 0 does "
        "so when the file is finished.",
        minimum=0,
        maximum=86400,
        unit="s",
    )
    queue_bytes: int = option(
        16 << 20,
        "Bytes of one stream that may wait for the disk; what comes then is lost by whole GOPs, and counted.",
        minimum=1 << 20,
        maximum=1 << 32,
        unit="bytes",
    )

    def problems(self) -> list[str]:
        """The ranges of the options, and whether the template keeps to the folder."""
        found = super().problems()
        if not self.folder:
            found.append("option folder is missing: say where recordings go, for instance folder='/var/rec'")
        if not self.streams:
            found.append("option streams=() records nothing: name streams, or leave the service out")
        if wrong := template_problem(self.file):
            found.append(f"option file={self.file!r}: {wrong}")
        return found

    def wants(self, stream: str) -> bool:
        """Whether a stream of this name is recorded."""
        return any(fnmatchcase(stream.strip("/"), each.strip("/")) for each in self.streams)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to record in `tier`."""
        async with trio.open_nursery() as nursery:
            recorder = _Recorder(self, ctx, nursery)
            try:
                nursery.start_soon(recorder.look_around, name=f"{ctx.tier} looks for what was left over")
                yield recorder
            finally:
                recorder.close()
                # What is still to be written has a moment; then each recording has one of its own.
                nursery.cancel_scope.deadline = trio.current_time() + FAREWELL


@frozen(kw_only=True)
class RecordStatistics:
    """A recorder now and so far."""

    #: Files finished, and bytes written, those of files that grow too.
    files: int = field(metadata={"merge": "sum"})
    bytes: int = field(metadata={"merge": "sum"})
    #: Messages that the disk was too slow for or could not take, and GOPs lost from their beginning.
    lost: int = field(metadata={"merge": "sum"})
    lost_gops: int = field(metadata={"merge": "sum"})
    #: How often a file could not be written.
    failures: int = field(metadata={"merge": "sum"})
    #: Files found at the start that another process has left in the middle.
    left_over: int = field(metadata={"merge": "max"})
    #: What is recorded now.
    recordings: tuple[RecordingState, ...] = field(metadata={"merge": "last"})


class _Recorder(Running):
    def __init__(self, recipe: Record, ctx: Context, nursery: trio.Nursery) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.disk = Disk(ctx)
        self.live: Streams = streams_of(ctx)
        self._nursery = nursery
        self._left_over = 0
        #: By stream: what is recorded, and what is still on its way to the disk.
        self._now: dict[Stream, Recording] = {}
        self._all: set[Recording] = set()
        self._unwatch = self.live.follow(self.follow)
        for stream in self.live:
            self.follow(stream)

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        raise LocalProtocolError("a recorder has no door")

    def statistics(self) -> RecordStatistics:
        return RecordStatistics(
            files=self.disk.files,
            bytes=self.disk.bytes,
            lost=self.disk.lost + sum(each.cutter.lost for each in self._all),
            lost_gops=self.disk.lost_gops + sum(each.cutter.lost_gops for each in self._all),
            failures=self.disk.failures,
            left_over=self._left_over,
            recordings=tuple(each.state() for each in self._now.values()),
        )

    def replace(self, service: Service) -> bool:
        if not isinstance(service, Record):
            return False
        # Files that grow keep their folder; where they end is as it now stands.
        self.recipe = service
        for recording in self._all:
            recording.cutter.seconds, recording.cutter.size = service.rotate_seconds, service.rotate_bytes
        for stream in self.live:
            self.follow(stream)
        return True

    # --- following streams -----------------------------------------------------------------------

    def follow(self, stream: Stream) -> None:
        """Begin to record a stream that is on air, end what is off."""
        recording = self._now.get(stream)
        if not stream.on_air:
            if recording is not None:
                del self._now[stream]
                recording.finish()
        elif recording is None and self.recipe.wants(stream.name):
            self._now[stream] = recording = self._begin(stream)
            self._all.add(recording)
            self._nursery.start_soon(self._run, recording, name=f"{self.ctx.tier} records {stream.name}")

    def _begin(self, stream: Stream) -> Recording:
        recipe = self.recipe
        return Recording(
            self.disk,
            stream,
            folder=recipe.folder,
            template=recipe.file,
            cutter=FLVCutter(recipe.rotate_seconds, recipe.rotate_bytes),
            limit=recipe.queue_bytes,
            sync=recipe.sync_seconds,
        )

    async def _run(self, recording: Recording) -> None:
        try:
            await recording.run()
        except Exception as error:  # whatever it is, it is not for those who watch to pay for
            reason = f"{type(error).__name__}: {error}"
            self.ctx.emit(RecordingFailed(stream=recording.stream.name, file="its file", reason=reason, retry_in=0.0))
        finally:
            recording.finish()
            self._all.discard(recording)

    def close(self) -> None:
        """Record nothing new, and finish what is open."""
        self._unwatch()
        for recording in tuple(self._all):
            recording.finish()
        self._now.clear()

    # --- at the start ----------------------------------------------------------------------------

    async def look_around(self) -> None:
        """Tell what another process has left in the middle, and whether there is a folder at all."""
        folder = self.recipe.folder
        try:
            found = await self.ctx.run_sync(left_over, folder)
        except OSError as error:
            reason = f"{error.strerror}: make the folder, or mount its disk"
            self.ctx.emit(RecordingFailed(stream="everything", file=folder, reason=reason, retry_in=0.0))
            return
        self._left_over = len(found)
        for path, size in found[:_TOLD]:
            self.ctx.emit(RecordingLeft(file=path, bytes=size))


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `Record`."""
    return [Record]
