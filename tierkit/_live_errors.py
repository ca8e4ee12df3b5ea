"""Why somebody does not get a stream."""

from __future__ import annotations

from .errors import TierkitError

__all__ = ["Busy", "Unavailable"]


class Busy(TierkitError):
    """Somebody publishes under this name already."""


class Unavailable(TierkitError):
    """A stream cannot be had; `code` is RTMP's status code for why, such as "NetStream.Play.StreamNotFound"."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        super().__init__(description)
