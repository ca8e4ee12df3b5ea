"""The bytes of chunks, a function of stream, epoch, rendition and number; made when asked for, and kept a while."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ._media import the_loop
from ._model import Server
from ._sessions import Place
from ._streams import Rendition

__all__ = ["Chunks"]

#: Bytes that are kept: some 150 chunks.
KEPT: Final = 64 << 20


class Chunks:
    """The chunks of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def bytes(self, place: Place, rendition: Rendition, number: int) -> bytes:
        """A chunk of the stream's present epoch, whether it can be fetched or not.  KeyError for no stream."""
        stream = self._server.find(place)
        if stream is None:
            raise KeyError(f"no stream at {place}")
        epoch = stream.epoch
        label = f"stand-in {self._server.seed} epoch {epoch.index} chunk {number} b{rendition.bitrate} {place}"
        if (kept := self._kept.get(label)) is not None:
            self._kept.move_to_end(label)
            return kept
        made = self._kept[label] = the_loop().chunk(epoch.chunk(number), label)
        self._size += len(made)
        while self._size > KEPT:
            self._size -= len(self._kept.popitem(last=False)[1])
        return made
