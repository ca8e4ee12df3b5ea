"""A live test signal: H.264 and AAC made here, as the messages that an encoder would send over RTMP.

The picture is libavfilter's `testsrc2`, which carries its own running clock, the sound a tone that beeps each
second.  For tests (`TestSignal.messages`), for demonstrations and for trying a graph (`publish_signal`).
Needs PyAV (`pip install tierkit[ingest]`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Awaitable, Callable, Iterator
from fractions import Fraction
from typing import Any, Final

import trio
from attrs import field, frozen

try:
    import av
    import av.filter
except ImportError as exc:
    raise ImportError("the test signal needs PyAV, which is not installed: pip install 'tierkit[ingest]'") from exc

from tierkit.codecs.flv import FLVReader, Tag
from tierkit.plugin import Address, Network, Trust
from tierkit.rtmp import open_publisher

__all__ = ["TestSignal", "publish_signal"]

#: Samples of one AAC-LC frame.
_SAMPLES: Final = 1024


@frozen(kw_only=True)
class TestSignal:
    """What to make: the recipe.

    The defaults cost a few per cent of one core: 640x360 at 25 pictures a second, a keyframe every two seconds.
    """

    #: pytest is not to take this for a test.
    __test__ = False

    width: int = 640
    height: int = 360
    fps: int = 25
    #: Bits per second.
    video_bitrate: int = 800_000
    audio_bitrate: int = 96_000
    sample_rate: int = 44100
    #: Seconds from keyframe to keyframe.
    gop: float = 2.0
    #: Consecutive B-frames; 0 is what live encoders do, and the only way without delay.
    b_frames: int = 0
    #: Without one of them it is sound alone or picture alone.
    video: bool = True
    audio: bool = True
    #: Hz.
    tone: int = field(default=440)

    def messages(self, seconds: float) -> list[Tag]:
        """All messages of a signal of this length: metadata, headers, frames in the order of their times.

        Takes about a twentieth of `seconds` on one core; for long ones use `pieces` in a thread.
        """
        return [tag for piece in self.pieces(seconds) for tag in piece]

    def pieces(self, seconds: float = math.inf) -> Iterator[list[Tag]]:
        """The same, one list for each 1/fps second, encoded as it is asked for.  Blocks for some milliseconds."""
        sink = _Sink()
        reader = FLVReader()
        encoder = _Encoder(self, sink)
        for frame in range(math.ceil(seconds * self.fps) if seconds < math.inf else 1 << 62):
            encoder.make(frame)
            yield reader.receive(sink.take())
        encoder.finish()
        yield reader.receive(sink.take())

    async def play(
        self,
        send: Callable[[Tag], Awaitable[None]],
        *,
        seconds: float = math.inf,
        paced: bool = True,
    ) -> None:
        """Make the signal in a thread and `send` each message when its time has come.

        Args:
            send: awaited for each message; where it waits, so does the signal, which then catches up.
            seconds: how long; for ever where it is not said.
            paced: False sends as fast as it can be made.
        """
        limiter = trio.CapacityLimiter(1)
        pieces = self.pieces(seconds)
        start = trio.current_time()
        while True:
            piece = await trio.to_thread.run_sync(next, pieces, None, limiter=limiter)
            if piece is None:
                return
            for tag in piece:
                if paced:
                    await trio.sleep_until(start + tag.timestamp / 1000)
                await send(tag)


async def publish_signal(
    url: str | Address,
    *,
    network: Network,
    signal: TestSignal | None = None,
    seconds: float = math.inf,
    trust: Trust | None = None,
) -> None:
    """Publish a test signal over RTMP, in real time, until it ends or is cancelled.

    Args:
        url: ``rtmp://HOST[:PORT]/APP/NAME``.
        network: to dial on; `GraphHandle.network` is the one of a graph at work.

    Raises UpstreamError where the server cannot be reached, refuses, or ends the connection.
    """
    async with open_publisher(network, Address.parse(url), trust=trust) as publisher:

        async def send(tag: Tag) -> None:
            await publisher.send(tag.type_id, tag.timestamp, tag.payload)

        await (signal or TestSignal()).play(send, seconds=seconds)


class _Sink:
    """What libav writes into."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        return len(data)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class _Encoder:
    """Filters, encoders and libav's own FLV muxer, which knows best how to put its packets into messages."""

    def __init__(self, signal: TestSignal, sink: _Sink) -> None:
        self._signal = signal
        # duration and file size would be zeros in a live stream.
        options = {"flvflags": "no_duration_filesize+no_sequence_end", "flush_packets": "1"}
        self._out: Any = av.open(sink, "w", format="flv", container_options=options)
        self._samples = 0
        if signal.video:
            self._picture = self._video_stream()
            self._pictures = _graph(
                ("testsrc2", f"size={signal.width}x{signal.height}:rate={signal.fps}"), ("format", "yuv420p")
            )
        if signal.audio:
            self._sound = self._out.add_stream("aac", rate=signal.sample_rate, layout="stereo")
            self._sound.bit_rate = signal.audio_bitrate
            self._sounds = _graph(
                ("sine", f"frequency={signal.tone}:beep_factor=4:sample_rate={signal.sample_rate}"),
                ("aformat", f"sample_fmts=fltp:channel_layouts=stereo:sample_rates={signal.sample_rate}"),
                ("asetnsamples", f"n={_SAMPLES}"),
            )

    def _video_stream(self) -> Any:
        signal = self._signal
        gop = max(1, round(signal.gop * signal.fps))
        options = {
            "preset": "ultrafast",
            # Keyframes where they are due and nowhere else; one slice, as hardware encoders send.
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={signal.b_frames}:b-adapt=0"
            f":rc-lookahead=0:sync-lookahead=0:sliced-threads=0:threads=1:force-cfr=1",
        }
        if not signal.b_frames:
            options["tune"] = "zerolatency"
        stream = self._out.add_stream("libx264", rate=signal.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = signal.width, signal.height, "yuv420p"
        stream.bit_rate = signal.video_bitrate
        stream.codec_context.time_base = Fraction(1, signal.fps)
        return stream

    def make(self, frame: int) -> None:
        """The picture of this number, and the sound until its end."""
        if self._signal.video:
            picture = self._pictures.vpull()
            picture.pts = frame
            picture.time_base = Fraction(1, self._signal.fps)
            picture.pict_type = 0
            self._out.mux(self._picture.encode(picture))
        if self._signal.audio:
            until = (frame + 1) * self._signal.sample_rate // self._signal.fps
            while self._samples < until:
                self._out.mux(self._sound.encode(self._sounds.pull()))
                self._samples += _SAMPLES

    def finish(self) -> None:
        """What the encoders still hold."""
        if self._signal.video:
            self._out.mux(self._picture.encode(None))
        if self._signal.audio:
            self._out.mux(self._sound.encode(None))
        self._out.close()


def _graph(*filters: tuple[str, str]) -> Any:
    graph = av.filter.Graph()
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    nodes.append(graph.add("abuffersink" if filters[0][0] == "sine" else "buffersink"))
    for one, other in itertools.pairwise(nodes):
        one.link_to(other)
    graph.configure()
    return graph
