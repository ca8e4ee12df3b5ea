"""Chunks that play: real MPEG-TS, made once from the test signal, and the same bytes whenever they are asked for.

Theory of operation:

* A few seconds of the test signal go through the packaging kit, which cuts them at each keyframe: one piece for each
  GOP.  Pictures and sound have a whole number of frames in a GOP (`GOP_SECONDS`), so the first piece goes on where the
  last one ends: together they are a loop without an end.
* GOP number g of a stream is piece g modulo their number, with its times moved on by as many rounds.  A chunk is some
  GOPs in a row, its continuity counters counted through.
* What makes a chunk another one than the same number of another stream or epoch is its last packet: a null packet
  (PID 0x1FFF), which players skip, with a line that says what it is.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import Final

from attrs import field, frozen

from tierkit.codecs.flv import Tag
from tierkit.codecs.rtmp_message import VIDEO
from tierkit.errors import TierkitError

from ._streams import GOP_SECONDS, Chunk

__all__ = ["Loop", "the_loop", "the_signal"]

#: Small and cheap: it takes a third of a second to encode, and 10 s of it are 400 KB.
_WIDTH: Final = 320
_HEIGHT: Final = 180
_VIDEO_BITRATE: Final = 250_000
_AUDIO_BITRATE: Final = 64_000
#: 45 AAC frames of 1,024 samples are 0.96 s.
_SAMPLE_RATE: Final = 48_000
_PIECES: Final = 8

_PACKET: Final = 188
_WRAP: Final = 1 << 33
_GOP_TICKS: Final = round(GOP_SECONDS * 90_000)


@frozen
class Loop:
    """The pieces, and what is in them."""

    pieces: tuple[bytes, ...] = field(repr=False)
    #: As old releases write it, in decimals: ``avc1.66.13,mp4a.40.2``.
    codecs: str
    resolution: tuple[int, int]

    def chunk(self, chunk: Chunk, label: str) -> bytes:
        """The bytes of a chunk; `label` is what its last packet says, in ASCII."""
        made = bytearray()
        for gop in range(chunk.gop, chunk.gop + chunk.gops):
            rounds, place = divmod(gop, len(self.pieces))
            made += _moved(self.pieces[place], rounds * len(self.pieces) * _GOP_TICKS)
        _count_through(made)
        return bytes(made) + _null_packet(label)


@cache
def the_signal() -> tuple[Tag, ...]:
    """The messages that the pieces are made of: three GOPs more than there are pieces.

    Raises TierkitError, with a line for people, where PyAV is not installed.
    """
    # Not at the head: whoever only looks at what there is needs no PyAV.
    try:
        from tierkit.testing.signal import TestSignal
    except ImportError as error:
        raise TierkitError(
            "a stand-in's chunks need PyAV, which is not installed: pip install 'tierkit[ingest]'"
        ) from error

    signal = TestSignal(
        width=_WIDTH,
        height=_HEIGHT,
        fps=25,
        gop=GOP_SECONDS,
        video_bitrate=_VIDEO_BITRATE,
        audio_bitrate=_AUDIO_BITRATE,
        sample_rate=_SAMPLE_RATE,
    )
    return tuple(signal.messages((_PIECES + 3) * GOP_SECONDS))


@cache
def the_loop() -> Loop:
    """The one that all streams have; made at the first call, in a third of a second.

    Raises TierkitError, with a line for people, where PyAV is not installed.
    """
    signal = the_signal()
    from tierkit.packaging import Packager, Packaging

    packager = Packager(Packaging(target=GOP_SECONDS / 2, window=_PIECES + 4), clock=lambda: 0.0, wall=lambda: 0.0)
    profile = b""
    for tag in signal:
        packager.receive(tag.type_id, tag.timestamp, tag.payload)
        if not profile and tag.type_id == VIDEO:
            profile = tag.payload[6:9]  # of the AVCDecoderConfigurationRecord: profile, constraints, level
    packager.finish()
    # The first has no sound from before its first picture, and the last ones may be short.
    pieces = [each.data for each in packager.window.listed[1 : 1 + _PIECES]]
    codecs = f"avc1.{profile[0]}.{profile[2]},mp4a.40.2"
    return Loop(tuple(bytes(_moved(each, -_GOP_TICKS)) for each in pieces), codecs, (_WIDTH, _HEIGHT))


def _moved(data: bytes, ticks: int) -> bytearray:
    """Some packets with all times (PCR and PTS) moved on by some ticks of 90 kHz (ISO/IEC 13818-1 2.4.3)."""
    made = bytearray(data)
    if ticks == 0:
        return made
    for at in range(0, len(made), _PACKET):
        payload = at + 4
        if made[at + 3] & 0x20:
            length = made[payload]
            if length and made[payload + 1] & 0x10:
                _move_clock(made, payload + 2, ticks)
            payload += 1 + length
        # A packet that begins a PES packet: its PTS stands behind the nine bytes of its head.  There are no B-frames,
        # so it has no DTS of its own.
        if made[at + 1] & 0x40 and made[payload : payload + 3] == b"\0\0\1" and made[payload + 7] & 0xC0 == 0x80:
            _move_stamp(made, payload + 9, ticks)
    return made


def _move_clock(made: bytearray, at: int, ticks: int) -> None:
    base = int.from_bytes(made[at : at + 5], "big")
    moved = ((base >> 7) + ticks) % _WRAP
    made[at : at + 5] = (moved << 7 | base & 0x7F).to_bytes(5, "big")


def _move_stamp(made: bytearray, at: int, ticks: int) -> None:
    a, b, c = made[at], int.from_bytes(made[at + 1 : at + 3], "big"), int.from_bytes(made[at + 3 : at + 5], "big")
    moved = (((a >> 1 & 7) << 30 | (b >> 1) << 15 | c >> 1) + ticks) % _WRAP
    made[at] = a & 0xF1 | moved >> 29 & 0x0E
    made[at + 1 : at + 3] = ((moved >> 14 & 0xFFFE) | 1).to_bytes(2, "big")
    made[at + 3 : at + 5] = ((moved << 1 & 0xFFFE) | 1).to_bytes(2, "big")


def _count_through(made: bytearray) -> None:
    """Have the continuity counters go on from piece to piece, and the first packets alone say that they begin."""
    counters: dict[int, int] = {}
    for at in range(0, len(made), _PACKET):
        pid = (made[at + 1] & 0x1F) << 8 | made[at + 2]
        begun = pid in counters
        counter = counters.get(pid, -1)
        if made[at + 3] & 0x10:
            counter = counter + 1 & 15
        made[at + 3] = made[at + 3] & 0xF0 | max(counter, 0)
        if begun and made[at + 3] & 0x20 and made[at + 4]:
            made[at + 5] &= 0x7F
        counters[pid] = counter


def _null_packet(label: str) -> bytes:
    # A digest first: of a long label there is room for a part alone.
    text = f"{blake2b(label.encode(), digest_size=12).hexdigest()} {label}".encode("ascii", "backslashreplace")
    text = text[: _PACKET - 4]
    return b"\x47\x1f\xff\x10" + text.ljust(_PACKET - 4, b"\xff")
