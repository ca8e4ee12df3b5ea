"""What is asked of upstream, and what may be done with its answer."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define

from tierkit.codecs.hls import PlaylistFacts
from tierkit.codecs.hls_query import Directives, satisfied
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Lifetime, age_value
from tierkit.codecs.http_forward import stored_fields
from tierkit.http import ClientResponse

from ._about import About
from ._answers import Answers
from ._live import Streams
from ._objects import Meta
from ._places import Place
from ._policy import Arrival, Policy

__all__ = ["Asked", "Lead", "Terms"]


@define(eq=False)
class Lead:
    """The viewer whose request began a fetch.

    Attributes:
        here: while he waits for its answer.
        own: fields of that answer which nobody else gets.
    """

    here: bool = True
    own: Headers = ()


@define(eq=False)
class Asked:
    """What upstream is asked for, with which fields of whose request, and when."""

    place: Place
    request: Headers
    at: float
    #: Seconds for which "not there" is not believed.
    patience: float = 0.0
    #: The viewer whose request it is, where one waits for it.
    lead: Lead | None = None


class Terms:
    """The terms on which answers are kept, served and told on.

    Args:
        clock: the tier's, seconds.
        wall: Unix seconds.
        streams: the playlists that have come: what they list lives as they say.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        wall: Callable[[], float],
        policy: Policy,
        answers: Answers,
        streams: Streams,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._policy = policy
        self._answers = answers
        self._streams = streams

    def meta(self, asked: Asked, status: int, fields: Headers, lifetime: Lifetime, about: About) -> Meta:
        """What is kept beside an object of upstream's, from the fields of its answer."""
        kept = tuple(stored_fields(fields, now=self._wall(), strip=lifetime.strip))
        arrival = self._arrival(asked, status, fields, about)
        headers = tuple(self._policy.tells(arrival, lifetime, self._answers.forward(kept)))
        return Meta(status=status, fields=kept, headers=headers, lifetime=lifetime, arrived=self._clock(), about=about)

    def of_one(self, response: ClientResponse, about: About) -> Meta:
        """The same for an answer that is for the one who asked, alone."""
        fields = tuple(each for each in self._answers.forward(response.headers, alone=True) if each[0] != b"age")
        lifetime = Lifetime(shared=False, age=age_value(response.headers))
        return Meta(
            status=response.status,
            fields=fields,
            headers=fields,
            lifetime=lifetime,
            arrived=self._clock(),
            about=about,
        )

    def lifetime(self, asked: Asked, status: int, headers: Headers, about: About) -> Lifetime:
        """What may be done with an answer of upstream's."""
        return self._policy.lifetime(self._arrival(asked, status, headers, about))

    def _arrival(self, asked: Asked, status: int, headers: Headers, about: About) -> Arrival:
        programme = self._streams.of(asked.place.only)
        wanted = asked.place.directives
        return Arrival(
            about=about,
            status=status,
            headers=headers,
            request=asked.request,
            wall=self._wall(),
            delay=self._clock() - asked.at,
            stream=programme.facts if programme is not None else None,
            blocking=was_waited_for(wanted, about.facts),
        )


def was_waited_for(wanted: Directives, facts: PlaylistFacts | None) -> bool:
    """Whether this is the version that was asked for: some answer at once what they offer to wait for, and that is soon
    old."""
    return wanted.blocking and facts is not None and satisfied(wanted, facts)
