"""A low-latency HLS origin of its own (draft-pantos-hls-rfc8216bis): parts, blocking reload, hints, delta updates.

It takes ffmpeg's fragmented MP4 from a pipe and serves it twice: under /parts/ each part has a URI of its own,
under /ranges/ it is a byte range of the segment, which grows while it is being served.  What is asked for and is
next, a playlist by ``_HLS_msn`` and ``_HLS_part`` or the part of the preload hint, is answered when it is there.
It counts what is asked, so that a test can tell what an edge before it has asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from urllib.parse import parse_qs, urlsplit

import h11
import trio
from attrs import Factory, define, field

from .cmaf import Cutter, Part
from .media import QUIET

TARGET, PART_TARGET = 2, 0.52
#: The least that the specification allows: three parts (4.4.3.8), six target durations (4.4.3.8).
PART_HOLD_BACK, SKIP_UNTIL = 3 * PART_TARGET, 6.0 * TARGET
#: Segments that the playlist lists, segments that can still be had, segments that are listed with their parts.
LISTED, KEPT, IN_PARTS = 12, 24, 3
#: How far ahead a request may be before it is refused (6.2.5.2: "two").
AHEAD = 2

#: What the authors of the protocol advise for caches: six target durations for what was waited for, half of one
#: for what was not.
WAITED, AT_ONCE, MEDIA = f"max-age={6 * TARGET}", f"max-age={TARGET // 2}", "max-age=60"


@define
class Segment:
    """Parts so far, and whether there will be more."""

    number: int
    parts: list[Part] = Factory(list)
    whole: bool = False

    @property
    def duration(self) -> float:
        return sum(part.duration for part in self.parts)

    @property
    def data(self) -> bytes:
        return b"".join(part.data for part in self.parts)


@define
class Answer:
    """A status, a body (bytes, or a growing segment to be sent as it comes from an offset on) and its headers."""

    status: int
    body: bytes | tuple[Segment, int] = b""
    kind: str = "text/plain"
    cache: str = "no-store"
    headers: list[tuple[str, str]] = Factory(list)


@define
class LowLatencyOrigin:
    """The stream, and what was asked for it."""

    url: str = ""
    init: bytes = b""
    segments: list[Segment] = field(factory=lambda: [Segment(0)])
    #: Every request by its target, with its range where it has one.
    asked: Counter[str] = Factory(Counter)
    #: Requests that came before what they asked for and had to wait, likewise.
    waited: Counter[str] = Factory(Counter)
    #: Delta updates by playlist.
    deltas: Counter[str] = Factory(Counter)
    _news: trio.Event = Factory(trio.Event)

    @property
    def last(self) -> Segment:
        return self.segments[-1]

    def add(self, part: Part) -> None:
        """A part more; a keyframe begins the next segment where this one is long enough."""
        assert part.duration <= PART_TARGET + 0.001, f"a part of {part.duration} s"
        if part.independent and self.last.duration >= TARGET - 0.1:
            self.last.whole = True
            self.segments.append(Segment(self.last.number + 1))
            del self.segments[:-KEPT]
        self.last.parts.append(part)
        self._news.set()
        self._news = trio.Event()

    async def until(self, key: str, there: Callable[[], bool]) -> None:
        """Wait for news until something is there; give up after three target durations, as a server should."""
        if there():
            return
        self.waited[key] += 1
        with trio.move_on_after(3 * TARGET):
            while not there():
                await self._news.wait()

    def segment(self, number: int) -> Segment | None:
        return next((each for each in self.segments if each.number == number), None)

    def has(self, number: int, part: int) -> bool:
        """Whether a part of a segment is there, or the segment has ended before it, which counts for a wait."""
        if (found := self.segment(number)) is None:
            return number < self.last.number
        return part < len(found.parts) or found.whole

    async def answer(self, target: str, span: str | None) -> Answer:
        key = f"{target} {span}" if span else target
        self.asked[key] += 1
        parts = urlsplit(target)
        folder, _, name = parts.path.strip("/").partition("/")
        if folder not in ("parts", "ranges"):
            return Answer(404)
        if name == "live.m3u8":
            return await self._playlist(key, folder, parts.query)
        if name == "init.mp4":
            return Answer(200, self.init, "video/mp4", MEDIA)
        if found := re.fullmatch(r"seg(\d+)(?:\.(\d+))?\.m4s", name):
            number, index = int(found[1]), None if found[2] is None else int(found[2])
            return await self._media(key, number, index, span)
        return Answer(404)

    async def _playlist(self, key: str, folder: str, query: str) -> Answer:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        numbers = [asked.get(name, "0") for name in ("_HLS_msn", "_HLS_part")]
        if not all(re.fullmatch(r"[0-9]{1,9}", each) for each in numbers) or (
            "_HLS_part" in asked and "_HLS_msn" not in asked
        ):
            return Answer(400)
        number, part = map(int, numbers)
        if number > self.last.number + AHEAD:
            return Answer(400)
        if "_HLS_msn" in asked:
            there = partial(self.has, number, part) if "_HLS_part" in asked else partial(self._whole, number)
            await self.until(key, there)
            if not there():
                return Answer(503)
        skip = asked.get("_HLS_skip") in ("YES", "v2")
        text = "\n".join(playlist(self.segments, ranges=folder == "ranges", skip=skip)) + "\n"
        self.deltas[folder] += "#EXT-X-SKIP" in text
        cache = WAITED if "_HLS_msn" in asked else AT_ONCE
        return Answer(200, text.encode(), "application/vnd.apple.mpegurl", cache)

    def _whole(self, number: int) -> bool:
        return number < self.last.number or ((found := self.segment(number)) is not None and found.whole)

    async def _media(self, key: str, number: int, index: int | None, span: str | None) -> Answer:
        if number > self.last.number + 1:
            return Answer(404)
        await self.until(key, partial(self.has, number, index or 0))
        found = self.segment(number)
        if found is None or not found.parts or (index is not None and index >= len(found.parts)):
            return Answer(404)
        if index is not None:
            return Answer(200, found.parts[index].data, "video/mp4", MEDIA)
        if span and (asked := re.fullmatch(r"bytes=(\d+)-(\d+)", span)):
            return await self._range(key, found, int(asked[1]), int(asked[2]))
        return Answer(200, (found, 0), "video/mp4", MEDIA)

    async def _range(self, key: str, found: Segment, first: int, last: int) -> Answer:
        """A range of a segment that may still grow: its size is told once it is known (RFC 9110 14.4)."""
        await self.until(key, lambda: found.whole or len(found.data) > first)
        data = found.data
        if first >= len(data):
            return Answer(416, headers=[("Content-Range", f"bytes */{len(data)}")])
        if last >= len(data) and not found.whole:
            told = f"bytes {first}-{last}/*"
            return Answer(206, (found, first), "video/mp4", MEDIA, [("Content-Range", told)])
        last = min(last, len(data) - 1)
        size = len(data) if found.whole else "*"
        told = f"bytes {first}-{last}/{size}"
        return Answer(206, data[first : last + 1], "video/mp4", MEDIA, [("Content-Range", told)])

    async def growing(self, found: Segment, sent: int) -> AsyncIterator[bytes]:
        """A segment from an offset on, each part as soon as it is there."""
        while True:
            news, whole, data = self._news, found.whole, found.data[sent:]
            if data:
                yield data
                sent += len(data)
            if whole:
                return
            await news.wait()


def playlist(segments: list[Segment], *, ranges: bool, skip: bool) -> Iterator[str]:
    """The media playlist's lines; with `skip` those of old segments are one EXT-X-SKIP."""
    listed = segments[-LISTED:]
    skipped = _skippable(listed) if skip else 0
    control = f"CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={PART_HOLD_BACK:.2f},CAN-SKIP-UNTIL={SKIP_UNTIL:.1f}"
    yield from ("#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{TARGET}", "#EXT-X-INDEPENDENT-SEGMENTS")
    yield from (f"#EXT-X-SERVER-CONTROL:{control}", f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET}")
    yield f"#EXT-X-MEDIA-SEQUENCE:{listed[0].number}"
    if skipped:
        yield f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"
    else:
        yield '#EXT-X-MAP:URI="init.mp4"'
    for segment in listed[skipped:]:
        if segment.number > listed[-1].number - IN_PARTS:
            yield from _parts(segment, ranges=ranges)
        if segment.whole:
            yield f"#EXTINF:{segment.duration:.3f},"
            yield f"seg{segment.number}.m4s"
    yield _hint(listed[-1], ranges=ranges)


def _skippable(listed: list[Segment]) -> int:
    """Segments further from the end than the skip boundary."""
    rest = 0.0
    for number, segment in reversed(list(enumerate(listed))):
        rest += segment.duration
        if rest > SKIP_UNTIL:
            return number + 1 if number else 0
    return 0


def _parts(segment: Segment, *, ranges: bool) -> Iterator[str]:
    at = 0
    for index, part in enumerate(segment.parts):
        where = f'URI="seg{segment.number}.{index}.m4s"'
        if ranges:
            where = f'URI="seg{segment.number}.m4s",BYTERANGE="{len(part.data)}@{at}"'
        at += len(part.data)
        yield f"#EXT-X-PART:DURATION={part.duration:.3f},{where}" + ",INDEPENDENT=YES" * part.independent


def _hint(last: Segment, *, ranges: bool) -> str:
    where = f'URI="seg{last.number}.{len(last.parts)}.m4s"'
    if ranges:
        where = f'URI="seg{last.number}.m4s",BYTERANGE-START={len(last.data)}'
    return f"#EXT-X-PRELOAD-HINT:TYPE=PART,{where}"


async def _serve(origin: LowLatencyOrigin, stream: trio.SocketStream) -> None:
    connection = h11.Connection(h11.SERVER)
    async with stream:
        try:
            while True:
                request = await _request(connection, stream)
                if request is None:
                    return
                spans = [value.decode() for name, value in request.headers if name == b"range"]
                answer = await origin.answer(request.target.decode(), spans[0] if spans else None)
                await _send(origin, connection, stream, answer)
                if connection.our_state is not h11.DONE:
                    return
                connection.start_next_cycle()
        except (trio.BrokenResourceError, h11.RemoteProtocolError):
            return


async def _request(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """The next request, its body read; None where the client has closed."""
    request = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _send(
    origin: LowLatencyOrigin, connection: h11.Connection, stream: trio.SocketStream, answer: Answer
) -> None:
    headers = [("Content-Type", answer.kind), ("Cache-Control", answer.cache), ("Access-Control-Allow-Origin", "*")]
    headers += answer.headers
    body = answer.body
    if isinstance(body, tuple) and body[0].whole:
        body = body[0].data[body[1] :]
    if isinstance(body, bytes):
        headers.append(("Content-Length", str(len(body))))
        head = connection.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        await stream.send_all(head + (connection.send(h11.Data(data=body)) or b""))
    else:
        headers.append(("Transfer-Encoding", "chunked"))
        await stream.send_all(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        async with aclosing(origin.growing(*body)) as pieces:
            async for data in pieces:
                await stream.send_all(connection.send(h11.Data(data=data)) or b"")
    await stream.send_all(connection.send(h11.EndOfMessage()) or b"")


async def _publish(origin: LowLatencyOrigin, clip: Path) -> None:
    """Feed the clip in real time, fragment by fragment, as ffmpeg cuts it."""
    movie = ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-frag_duration", "500000"]
    command = [*QUIET, "-re", "-i", str(clip), "-c", "copy", *movie, "-flush_packets", "1", "pipe:1"]
    cutter = Cutter()
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdout=PIPE, check=False, deliver_cancel=kill)
        process: trio.Process = await nursery.start(run)
        assert process.stdout is not None
        async for data in process.stdout:
            for part in cutter.feed(bytes(data)):
                origin.init = cutter.init
                origin.add(part)


async def kill(process: trio.Process) -> None:
    """How a publisher ends: one that nobody reads any more hears no SIGTERM."""
    process.kill()


@asynccontextmanager
async def open_low_latency_origin(clip: Path | None = None) -> AsyncIterator[LowLatencyOrigin]:
    """The origin, on a port of its own; without a clip the test gives it its parts."""
    origin = LowLatencyOrigin()
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(_serve, origin), 0, host="127.0.0.1")
        listeners: list[trio.SocketListener] = await nursery.start(serve)
        origin.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        if clip is not None:
            nursery.start_soon(_publish, origin, clip)
        yield origin
        nursery.cancel_scope.cancel()
