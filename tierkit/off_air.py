"""The off-air kit: a clip that players are shown while nobody publishes.

`OffAir` loops one FLV clip on those of a tier's streams that have no publisher, in real time and through the live
kit, so that whoever reads a stream (players, pushes, packagers) sees one that goes on.  Rules:

* A stream is *covered* where its name is known: it has had a publisher and has not been forgotten since, or it is
  one of `standing`, which are programmes also before their first publisher.  A misspelt name is neither.
* Only while somebody watches (`Stream.watched`): a stream that nobody watches costs nothing.
* Only where the clip has the same kinds of media in the same codecs as what was there before it: a decoder cannot go
  on otherwise.  A stream that it does not fit is told of, once, and waits as it would without a clip.
* It begins `after` seconds off air, so that an encoder which comes straight back, or the next upstream, is not
  preceded by a flash of it; and it goes on until the publisher's first keyframe is there.
* It also stands in for a publisher who is there and has had nothing to show for SILENT seconds, until the next
  keyframe.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

import trio
from attrs import frozen

from ._events import PluginFailed, StreamFault
from ._plugin import Context
from ._recipe import option
from .codecs.flv_clip import Clip, parse_clip
from .codecs.rtmp_message import AUDIO, VIDEO
from .errors import RemoteProtocolError, TierkitError
from .live import Publication, Stream, streams_of

__all__ = [
    "MAX_CLIP_BYTES",
    "OffAir",
    "OffAirOptions",
    "clip_problem",
    "load_clip",
    "names",
    "off_air_after_option",
    "off_air_for_option",
    "off_air_option",
    "read_clip",
]

#: Largest file: it stands in memory.
MAX_CLIP_BYTES = 64 << 20
PIECE = 1 << 20
#: Seconds between two looks, and so by how much a message may come late.
STEP = 0.1
#: Seconds without anything to show after which a publisher who is still there has fallen silent: his line is cut, and
#: nobody will know for a minute, or the upstream waits for him.  A stall of TCP on a mobile line takes one or two.
SILENT = 5.0
#: Seconds by which the clip may be behind before what is missing is left out: the process was asleep.
LATE = 2.0
_ADVICE = (
    "make one with ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -g 50 -c:a aac -ar 44100 -t 30 -f flv OUT.flv, "
    "in the codecs of your streams"
)
_WORDS = {AUDIO: "sound", VIDEO: "pictures"}


def off_air_option() -> Any:
    """The option of a service's recipe that names the clip."""
    help = (
        "An FLV file that is shown in a loop while nobody publishes: a clip with the same kinds of media, in the same "
        "codecs, as the streams; empty for none."
    )
    return option("", help)


def off_air_for_option() -> Any:
    """The option that names the standing streams."""
    help = (
        "Names, such as 'live/hall', that are shown the clip also before their first publisher; all others once they "
        "have had one."
    )
    return option((), help, converter=names)


def off_air_after_option() -> Any:
    """The option that says when the clip begins."""
    help = "Time off air after which the clip begins; encoders that come straight back are not preceded by it."
    return option(1.0, help, minimum=0, maximum=5, unit="s")


@frozen
class OffAirOptions:
    """What a service's options `off_air`, `off_air_for` and `off_air_after` say."""

    #: The clip's file; empty for none.
    path: str = ""
    #: Names as users write them, "live/hall".
    standing: tuple[str, ...] = ()
    #: Seconds.
    after: float = 1.0

    @property
    def names(self) -> frozenset[str]:
        """The standing streams by the names that they have here, "/live/hall"."""
        return frozenset("/" + each.strip("/") for each in self.standing)

    def problems(self) -> list[str]:
        """What is wrong with them whatever is in the file, one line each."""
        found = [
            f"option off_air_for={each!r} is no name of a stream: give for instance 'live/hall'"
            for each in self.standing
            if not each.strip("/") or not {"*", "?"}.isdisjoint(each)
        ]
        if self.standing and not self.path:
            found.append("option off_air_for is for off_air: give the clip, too")
        return found


def names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Names of streams as an option takes them: one alone is one, not its letters."""
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def read_clip(path: str) -> Clip:
    """The clip in a file.  It blocks: call it by `ctx.run_sync`.

    Raises:
        TierkitError: one line: what is wrong with the file and how to make a right one.
    """
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise RemoteProtocolError("it is no file")  # a pipe would have us wait for ever
        if about.st_size > MAX_CLIP_BYTES:
            raise RemoteProtocolError(f"it has {about.st_size >> 20} MiB, and a clip {MAX_CLIP_BYTES >> 20} at most")
        with open(path, "rb") as file:
            return parse_clip(iter(partial(file.read, PIECE), b""))
    except OSError as error:
        raise TierkitError(f"off_air={path}: {error.strerror}: {_ADVICE}") from None
    except RemoteProtocolError as error:
        raise TierkitError(f"off_air={path}: {error}: {_ADVICE}") from None


def clip_problem(path: str) -> list[str]:
    """What is wrong with a clip's file on this machine, for `Recipe.problems_here`; empty where nothing is."""
    try:
        if path:
            read_clip(path)
    except TierkitError as error:
        return [str(error)]
    return []


async def load_clip(ctx: Context, options: OffAirOptions) -> Clip | None:
    """The clip for a tier that opens, None for none.  Raises TierkitError, one line, where it is no good."""
    return await ctx.run_sync(read_clip, options.path) if options.path else None


class OffAir:
    """The clip of one tier at work.  Begin with `start`, and have `run` as a task.

    Args:
        service: who tells of what goes wrong, such as "rtmp".
        begun: called with each stream that the clip begins on.
    """

    def __init__(self, ctx: Context, service: str, *, begun: Callable[[Stream], None] | None = None) -> None:
        self.clip: Clip | None = None
        self._ctx = ctx
        self._service = service
        self._begun = begun
        self._live = streams_of(ctx)
        self._options = OffAirOptions()
        self._read = ""
        self._changed = trio.Event()
        self._showing: dict[str, _Showing] = {}
        #: Streams that the clip does not fit, with what they have: told once.
        self._told: dict[str, Mapping[int, str]] = {}

    def start(self, options: OffAirOptions, clip: Clip | None) -> None:
        """Go by these options; `clip` is what `load_clip` has read for them."""
        self.adopt(options)
        self.clip, self._read = clip, options.path
        self._live.cover = self

    def adopt(self, options: OffAirOptions) -> None:
        """Go by these options from now on; another file is read by `run`, and until then the old clip is shown."""
        self._options = options
        self._live.standing = options.names
        self._changed.set()

    def covers(self, stream: Stream) -> bool:
        """Whether a stream is shown the clip while there is nothing else to show."""
        clip = self.clip
        known = stream.epochs > 0 or stream.standing
        return clip is not None and known and stream.watched and self._fits(clip, stream)

    async def run(self) -> None:
        """Show the clip where it is wanted, until cancelled."""
        while True:
            if self._read != self._options.path:
                await self._read_again()
                continue
            if self.clip is None and not self._showing:
                self._changed = trio.Event()
                await self._changed.wait()
                continue
            now = self._ctx.clock()
            self._look(now)
            for showing in tuple(self._showing.values()):
                showing.play(now)
                await showing.publication.room()
            await trio.sleep(STEP)

    async def _read_again(self) -> None:
        path = self._options.path
        try:
            self.clip = await self._ctx.run_sync(read_clip, path) if path else None
        except TierkitError as error:
            self._ctx.emit(PluginFailed(plugin=self._service, reason=f"{error}; the clip before it is kept"))
        self._read = path

    def _look(self, now: float) -> None:
        for name, showing in tuple(self._showing.items()):
            if not showing.publication.live:
                del self._showing[name]  # its place is taken, or the stream is forgotten
            elif self.clip is None or not showing.stream.watched:
                showing.publication.end("nobody watches")
                del self._showing[name]
        for stream in self._live:
            if self._is_due(stream, now) and self.covers(stream):
                self._begin(stream, now)
        for name in [each for each in self._told if self._live.get(each) is None]:
            del self._told[name]

    def _is_due(self, stream: Stream, now: float) -> bool:
        if stream.off_since is not None:
            return now - stream.off_since >= self._options.after
        return stream.slate is None and now - stream.last_shown >= SILENT

    def _begin(self, stream: Stream, now: float) -> None:
        assert self.clip is not None, "covers() has said so"
        self._showing[stream.name] = _Showing(self.clip, stream, stream.show_off_air(), now)
        if self._begun is not None:
            self._begun(stream)

    def _fits(self, clip: Clip, stream: Stream) -> bool:
        had = stream.codecs
        if not had or had == clip.codecs:
            return True
        if self._told.get(stream.name) != had:
            self._told[stream.name] = dict(had)
            reason = f"the off-air clip has {_said(clip.codecs)} and the stream {_said(had)}: it is not shown"
            self._ctx.emit(StreamFault(stream=stream.name, reason=f"{reason}; make one in the same codecs"))
        return False


class _Showing:
    """The clip on one stream, from its beginning."""

    def __init__(self, clip: Clip, stream: Stream, publication: Publication, now: float) -> None:
        self.stream = stream
        self.publication = publication
        self._clip = clip
        self._began = now
        self._next = 0
        #: Timestamp of the beginning of this round.
        self._round = 0
        for tag in clip.headers:
            publication.send(tag.type_id, 0, tag.payload)

    def play(self, now: float) -> None:
        """Send what is due."""
        due = (now - self._began) * 1000
        frames = self._clip.frames
        late = due - (self._round + frames[self._next].timestamp) - LATE * 1000
        if late > 0:
            self._began += late / 1000
            due -= late
        while self.publication.live:
            tag = frames[self._next]
            if self._round + tag.timestamp > due + 1e-6:
                return
            self.publication.send(tag.type_id, self._round + tag.timestamp & 0xFFFFFFFF, tag.payload)
            self._next += 1
            if self._next == len(frames):
                self._next, self._round = 0, self._round + self._clip.duration


def _said(codecs: Mapping[int, str]) -> str:
    kinds: Collection[int] = sorted(codecs, reverse=True)
    return " and ".join(f"{_WORDS[kind]} in {codecs[kind] or 'an unknown codec'}" for kind in kinds) or "nothing"
