"""What a stream tells of itself."""

from __future__ import annotations

from attrs import field, frozen

from ._fanout import RingStatistics
from ._live_rings import EncodingStatistics

__all__ = ["StreamStatistics"]


@frozen(kw_only=True)
class StreamStatistics:
    """One live stream now and so far."""

    name: str = field(metadata={"merge": "last"})
    on_air: bool = field(metadata={"merge": "max"})
    #: Who publishes it, empty when nobody does.
    publisher: str = field(metadata={"merge": "last"})
    #: What is shown now: "live", "off_air" for the clip (also until a publisher's first keyframe), or nothing.
    source: str = field(default="", metadata={"merge": "last"})
    #: Who plays it or waits for it.
    players: int = field(metadata={"merge": "sum"})
    #: How many publishers it has had.
    epochs: int = field(metadata={"merge": "sum"})
    messages: int = field(metadata={"merge": "sum"})
    bytes_in: int = field(metadata={"merge": "sum"})
    #: Messages kept from players because an epoch did not begin with a keyframe.
    held: int = field(default=0, metadata={"merge": "sum"})
    #: How often a publisher's clock leapt and was taken up anew.
    leaps: int = field(default=0, metadata={"merge": "sum"})
    #: What its players read: those of RTMP ...
    ring: RingStatistics = field(metadata={"merge": "sum"})
    #: ... and those of each other encoding that is played now.
    encodings: tuple[EncodingStatistics, ...] = field(default=(), metadata={"merge": "last"})
