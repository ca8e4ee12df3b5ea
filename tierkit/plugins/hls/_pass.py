"""Past the store: requests that are for one viewer alone, of any method, with their bodies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import trio
from attrs import frozen

from tierkit.codecs.cache_status import Fwd
from tierkit.codecs.hls import classify
from tierkit.codecs.http1 import Headers, content_length, get
from tierkit.codecs.http_forward import forwarded_trailers, one_forward_less
from tierkit.http import REQUEST_ID, BodySink, ClientResponse, Request, Response
from tierkit.plugin import Address, Candidate, ConnectionLost, UpstreamError

from ._afterwards import Afterwards
from ._answers import Answers
from ._ask import Asker
from ._places import Place
from ._policy import Policy
from ._reading import read_body
from ._told import Why

__all__ = ["Passer"]

#: Interim answers that wait for a viewer to take them, and the answer: they are hints, and one too many is lost.
MOST_HINTS = 16


@frozen
class _Hint:
    """An interim answer."""

    status: int
    fields: list[tuple[bytes, bytes]]


class Passer:
    """Asks for one viewer alone, and stores nothing.

    Args:
        name: of the tier.
        nursery: the tier's; it carries what is passed on while a viewer reads it.
        afterwards: what is stored may have to change by what passes.

    Attributes:
        passing: requests that are being passed on now.
    """

    def __init__(
        self, name: str, asker: Asker, answers: Answers, policy: Policy, nursery: trio.Nursery, afterwards: Afterwards
    ) -> None:
        self.name = name
        self.asker = asker
        self.answers = answers
        self.policy = policy
        self.passing = 0
        self._nursery = nursery
        self.afterwards = afterwards

    async def pass_on(self, place: Place, request: Request) -> Response:
        """The answer to this request, its body still coming.  Raises UpstreamError or NotServed."""
        exchange = _Exchange(self, place, request)
        self.passing += 1
        # The upstream's connection must stay open until the viewer has the body, so a task of its own holds
        # it, ended by `release` however the sending ends.
        self._nursery.start_soon(exchange.run, name=f"{self.name} passes {place.key}")
        return await exchange.answer()

    def fields(self, place: Place, request: Request) -> list[tuple[bytes, bytes]]:
        """Of the request upstream."""
        headers = [*self.policy.asks(request.headers, alone=True), self.answers.via(request.headers)]
        headers.append((REQUEST_ID, request.id.encode("ascii")))
        headers += place.host_field
        if request.method == "OPTIONS":
            headers = one_forward_less(headers)
        if self.asker.elsewhere.candidate(place.path) is not None:
            headers = without_credentials(headers)
        if self.policy.knows_streams and classify(place.only) == "playlist":
            headers = in_one_piece(headers)
        if not request.bodiless and (length := request.get(b"content-length")) is not None:
            headers.append((b"Content-Length", length))
        return headers

    async def playlist(
        self, place: Place, request: Request, candidate: Candidate, target: Address, response: ClientResponse
    ) -> bytes | None:
        """A playlist as its viewer may have it, like one that is stored; None for all else."""
        if not self.policy.knows_streams or request.method != "GET":
            return None
        kind = classify(place.path, (get(response.headers, b"content-type") or b"").decode("latin-1"))
        if kind != "playlist":
            return None
        asker = self.asker
        body, _ = await read_body(asker.ctx, asker.elsewhere, kind, place.path, candidate, target, response)
        return body


class _Exchange:
    """One request that is passed on: a task of the tier's asks, and the viewer's own takes the answer."""

    def __init__(self, passer: Passer, place: Place, request: Request) -> None:
        self._passer = passer
        self._place = place
        self._request = request
        self._give, self._answer = trio.open_memory_channel[Response | Exception | _Hint](MOST_HINTS)
        self._sent = trio.Event()
        self._taken = False
        self._broke: UpstreamError | None = None

    async def answer(self) -> Response:
        """The answer, after the interim ones that come before it."""
        try:
            while isinstance(result := await self._answer.receive(), _Hint):
                await self._request.inform(result.status, result.fields)
        except BaseException:
            self._sent.set()
            raise
        if isinstance(result, Exception):
            raise result
        return result

    async def run(self) -> None:
        """Ask upstream."""
        passer, place, request = self._passer, self._place, self._request
        body = None if request.bodiless else _body(request)
        try:
            await passer.asker.ask(
                request.method, place.path, place.key, passer.fields(place, request), self._take,
                begun=lambda: self._taken, body=body, relays_errors=passer.policy.relays_errors,
                inform=self._inform if passer.policy.all_methods else None,
            )  # fmt: skip
        except Exception as error:  # this is a task of the tier's: what went wrong is the viewer's to tell
            if not self._taken:
                self._give.send_nowait(error)
        finally:
            passer.passing -= 1

    async def _take(self, candidate: Candidate, target: Address, response: ClientResponse) -> None:
        passer, request = self._passer, self._request
        playlist = await passer.playlist(self._place, request, candidate, target, response)
        fields = passer.answers.passing(response.headers, Why(why(request.method)))
        self._taken = True
        if playlist is not None:
            self._give.send_nowait(Response(response.status, fields, playlist))
            return
        passer.afterwards.passed(self._place, request, response)
        # To HEAD, the length is that of the body which would have come.
        length = content_length(response.headers) if request.method == "HEAD" else response.length
        relay = partial(self._relay, response)
        self._give.send_nowait(Response(response.status, fields, relay, length, release=self._sent.set))
        await self._sent.wait()
        if self._broke is not None:
            raise self._broke  # whose fault it was is told once, and not by the viewer's connection

    def _inform(self, status: int, fields: Headers) -> None:
        if self._answer.statistics().current_buffer_used < MOST_HINTS - 1:  # the last place is the answer's
            self._give.send_nowait(_Hint(status, self._passer.answers.forward(fields, alone=True)))

    async def _relay(self, response: ClientResponse, sink: BodySink) -> None:
        try:
            await _relay(response, sink, trailers=takes_trailers(self._request))
        except UpstreamError as error:
            self._broke = error
            raise ConnectionLost(f"the answer broke off: {error}") from None


def in_one_piece(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without Range: a piece of a playlist cannot be read, and the next one would be of another version."""
    return [each for each in headers if each[0] not in (b"range", b"if-range")]


def without_credentials(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What was given for here is not for another host: a browser would not send it there either (Fetch, 4.6)."""
    return [each for each in headers if each[0] != b"authorization"]


def why(method: str) -> Fwd:
    """Why a request passes the store: by its method, or because it is not for others."""
    return Fwd.BYPASS if method == "GET" else Fwd.METHOD


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream_body():
        yield piece


def takes_trailers(request: Request) -> bool:
    """Whether who asks has said that trailers are not lost on him (RFC 9110 section 6.5.1)."""
    return any(each.strip().lower() == b"trailers" for each in (request.get(b"te") or b"").split(b","))


async def _relay(response: ClientResponse, sink: BodySink, *, trailers: bool) -> None:
    while data := await response.read_some(await sink.room()):
        await sink.write(data)
    if trailers:
        sink.trailers = forwarded_trailers(response.trailers)
