"""One publisher over RTMP: its stream comes, has messages, and goes."""

from __future__ import annotations

import math
from typing import Final

from tierkit.codecs.rtmp_session import Media

from ._rtmp_media import Publication
from ._rtmp_stage import Stage
from ._sessions import Place
from ._shown_rtmp import DUPLICATE, ENCODERS, NO_PUBLISH, PUBLISHED, PUBLISHED_HLS

__all__ = ["Publisher"]

#: Instances of one application: whoever may publish can make some.
MAX_INSTANCES: Final = 100


class Publisher:
    """What one connection publishes, from `begin` to `end`."""

    def __init__(self, stage: Stage, stream_id: int, place: Place) -> None:
        self.stream_id = stream_id
        self.place = place
        self._stage = stage
        self._server = stage.server
        self._publication = Publication()

    @DUPLICATE.shown
    @NO_PUBLISH.shown
    def refusal(self, *, allowed: bool) -> tuple[str, str] | None:
        """The code and the words with which it is refused; `allowed` is whether it has proved who it is."""
        found = self._server.find(self.place)
        if not allowed:
            self._stage.shows(NO_PUBLISH, ENCODERS)
            return "NetStream.Publish.Denied", "only encoders that have proved who they are may publish"
        if found is not None and found.is_connected:
            self._stage.shows(DUPLICATE)
            return "NetStream.Publish.BadName", f"{self.place.stream} is already being published"
        if len(self._server.applications[self.place.application].instances) >= MAX_INSTANCES:
            return "NetStream.Publish.BadName", "there are too many instances"
        return None

    @PUBLISHED.shown
    @PUBLISHED_HLS.shown
    def begin(self, source_ip: str) -> None:
        """The stream is on the air."""
        self._stage.shows(PUBLISHED, PUBLISHED_HLS)
        self._stage.publications[self.place] = self._publication
        stream = self._server.publish(self.place, source_ip=source_ip)
        stream.packetized_after = math.inf
        stream.received = lambda: self._publication.bytes_in

    def receive(self, media: Media) -> None:
        """A message of it."""
        self._publication.receive(media)
        stream, now = self._server.find(self.place), self._server.now()
        if stream is not None and now > stream.since:
            stream.bitrate = int(self._publication.bytes_in * 8 / (now - stream.since))

    def end(self) -> None:
        """It is off the air."""
        if self._stage.publications.get(self.place) is not self._publication:
            return
        del self._stage.publications[self.place]
        if self._server.find(self.place) is not None:  # else somebody has disconnected it through REST
            self._server.forget(self.place)
