"""The control address: one for each process, where it can be asked how it is.

    GET /healthz       200 while the event loop runs
    GET /readyz        200 while every tier accepts connections, else 503 with their states
    GET /statistics    every `statistics()` of the process, JSON
    POST /purge        path=PATTERN [soft=1] [tier=NAME] [all=1]: have tiers forget what matches; JSON of how many
                       objects each had
    POST /kick         path=PATTERN [tier=NAME] [all=1]: close the connections that play or publish what matches

A PATTERN is a path, a prefix ending in *, stream:NAME, or, with all=1, * for everything.  Parameters come in the
query or as a form.  Where a tier has not done what it should, the status is 500 and the JSON names it.

Other plugins add paths with the hook `tierkit_control_routes`, companions by their own; the console's is /.  What
changes state needs the graph's `control_token` as ``Authorization: Bearer TOKEN``; a graph without a token allows no
changes at all.
"""

from __future__ import annotations

import hmac
import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import trio
from attrs import frozen

from tierkit.events import ConnectionFailed, Kicked, Purged
from tierkit.http import Request, Response, serve_http, text_response
from tierkit.plugin import (
    Bound,
    Companion,
    Connection,
    ConnectionLost,
    ControlAnswer,
    ControlRequest,
    ControlRoute,
    Handle,
    LocalProtocolError,
    Pattern,
    ProtocolError,
    hookimpl,
)

__all__ = ["Control"]

#: Connections at once: scrapers, a console, an operator; more is a mistake or an attack.
MAX_CONNECTIONS = 64
#: Seconds from accept to the first request.
FIRST_REQUEST = 10.0
#: Of one request, in its query and in its form each.
MAX_PARAMETERS = 64


async def _healthz(request: ControlRequest) -> ControlAnswer:
    return ControlAnswer(body=b"ok\n")


async def _readyz(request: ControlRequest) -> ControlAnswer:
    states = {name: tier["state"] for name, tier in request.handle.statistics()["tiers"].items()}
    lines = "".join(f"{name} {state}\n" for name, state in states.items())
    return ControlAnswer(200 if request.handle.ready else 503, lines.encode())


async def _statistics(request: ControlRequest) -> ControlAnswer:
    return _json(request.handle.statistics())


async def _purge(request: ControlRequest) -> ControlAnswer:
    wish = _Wish.of(request, "soft")
    found = await request.handle.purge(wish.pattern, soft=wish.soft, tiers=wish.tiers)
    request.handle.emit(Purged(by=request.peer, pattern=wish.pattern, soft=wish.soft, objects=tuple(found.items())))
    return _done("purged", found)


async def _kick(request: ControlRequest) -> ControlAnswer:
    wish = _Wish.of(request)
    found = await request.handle.kick(wish.pattern, tiers=wish.tiers)
    request.handle.emit(Kicked(by=request.peer, pattern=wish.pattern, connections=tuple(found.items())))
    return _done("kicked", found)


def _done(what: str, found: dict[str, int | None]) -> ControlAnswer:
    failed = [name for name, count in found.items() if count is None]
    return _json({what: found, "failed": failed}, 500 if failed else 200)


class _Refused(Exception):
    """What is asked cannot be done; the answer says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@frozen
class _Wish:
    """What a purge or a kick asks for."""

    pattern: str
    tiers: Sequence[str]
    soft: bool

    @classmethod
    def of(cls, request: ControlRequest, *more: str) -> _Wish:
        said = _parameters(request, frozenset({"path", "tier", "all", *more}))
        return cls(_pattern(said), _tiers(said, request.handle), _flag(said, "soft"))


def _parameters(request: ControlRequest, known: frozenset[str]) -> dict[str, str]:
    """Those of the query and of the form.  One that is not known is told: it may be a piece of a path's query."""
    said = {**request.query, **_parsed(request.body.decode("ascii", "replace"))}
    for name in said.keys() - known:
        kinds = " ".join(sorted(known))
        raise _Refused(400, f"{name[:80]!r} is no parameter: there are {kinds}; in a path write & as %26, + as %2B")
    return said


def _fields(request: Request) -> dict[str, str]:
    """The request's fields as a route gets them, without what has let it in."""
    found: dict[str, str] = {}
    for name, value in request.headers:
        if name not in (b"authorization", b"proxy-authorization"):
            key, text = name.decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _parsed(form: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise _Refused(400, f"more than {MAX_PARAMETERS} parameters: there are too many") from None


def _pattern(said: dict[str, str]) -> str:
    text = said.get("path", "")
    try:
        pattern = Pattern.parse(text)
    except LocalProtocolError as error:
        raise _Refused(400, f"path: {error}") from None
    if pattern.everything and not _flag(said, "all"):
        raise _Refused(400, f"path: {text!r} is everything there is: say all=1 too if that is meant")
    return text


def _tiers(said: dict[str, str], handle: Handle) -> Sequence[str]:
    names = [node.name for node in handle.graph.running]
    tier = said.get("tier")
    if tier is None:
        return names
    if tier not in names:
        raise _Refused(404, f"there is no tier {tier[:80]!r} here; there are {' '.join(names)}")
    return [tier]


def _flag(said: dict[str, str], name: str) -> bool:
    value = said.get(name, "0")
    if value not in ("0", "1"):
        raise _Refused(400, f"{name} is 1 or 0, not {value[:80]!r}")
    return value == "1"


def _json(value: Any, status: int = 200) -> ControlAnswer:
    return ControlAnswer(status, json.dumps(value, indent=1).encode() + b"\n", "application/json")


_ROUTES = (
    ControlRoute("GET", "/healthz", _healthz),
    ControlRoute("GET", "/readyz", _readyz),
    ControlRoute("GET", "/statistics", _statistics),
    ControlRoute("POST", "/purge", _purge, changes=True),
    ControlRoute("POST", "/kick", _kick, changes=True),
)


class Control(Companion):
    """Serves the control address of a graph that has one."""

    @asynccontextmanager
    async def open(self, handle: Handle) -> AsyncIterator[None]:
        """Listen for as long as the block lasts.  Raises ListenError."""
        listener = handle.graph.control
        if listener is None:
            yield
            return
        address = listener.address
        filled = type(listener)(
            address.with_(port=address.dial_port if not address.unix else None),
            listener.certificates,
            listener.proxy_from,
        )
        bound = await handle.network.listen(filled)
        desk = _Desk(handle)
        handle.control = bound.address
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(desk.accept, bound, nursery, name="control accepts")
                yield
                nursery.cancel_scope.cancel()
        finally:
            handle.control = None
            bound.close()


class _Desk:
    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.open = 0
        self.routes: dict[str, dict[str, ControlRoute]] = {}
        for route in (*_ROUTES, *handle.control_routes()):
            self.routes.setdefault(route.path, {}).setdefault(route.method, route)

    async def accept(self, bound: Bound, nursery: trio.Nursery) -> None:
        while True:
            try:
                connection = await bound.accept()
            except ConnectionLost:
                return
            except OSError:
                await trio.sleep(0.5)  # no descriptor is free: viewers come first
                continue
            if self.open >= MAX_CONNECTIONS:
                connection.abort()
                continue
            self.open += 1
            nursery.start_soon(self.guard, connection, name="control")

    async def guard(self, connection: Connection) -> None:
        scope = trio.CancelScope(deadline=trio.current_time() + FIRST_REQUEST)

        def settled() -> None:
            scope.deadline = math.inf

        connection.when_settled = settled
        try:
            with scope:
                await connection.establish()
                await serve_http(connection, self.answer)
        except (ProtocolError, ConnectionLost):
            pass
        except Exception as error:
            reason = f"control address: {type(error).__name__}: {error}"
            self.handle.emit(ConnectionFailed(peer=str(connection.peer), reason=reason))
        finally:
            self.open -= 1
            connection.close()

    async def answer(self, request: Request) -> Response:
        methods = self.routes.get(request.path)
        if methods is None:
            return text_response(404, f"nothing is here; there are {' '.join(sorted(self.routes))}")
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            return text_response(405, "not by this method", (b"Allow", ", ".join(sorted(methods)).encode()))
        if route.changes and (refusal := self.refuse(request)) is not None:
            return refusal
        body = await request.read_body()
        try:
            query = _parsed(request.query)
            answer = await route.answer(self.asked(request, query, body))
        except _Refused as refused:
            return text_response(refused.status, str(refused))
        fields = [(b"Content-Type", answer.content_type.encode()), (b"Cache-Control", b"no-store"), *answer.headers]
        return Response(answer.status, fields, answer.body)

    def asked(self, request: Request, query: dict[str, str], body: bytes) -> ControlRequest:
        peer = str(request.connection.peer)
        return ControlRequest(self.handle, request.method, request.path, query, body, peer, _fields(request))

    def refuse(self, request: Request) -> Response | None:
        token = self.handle.graph.control_token
        if not token:
            return text_response(403, "this graph has no control_token, so nothing can be changed here: give it one")
        scheme, _, shown = (request.get(b"authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(shown.strip(), token.encode()):
            return text_response(
                401, "show the graph's control_token: Authorization: Bearer TOKEN", (b"WWW-Authenticate", b"Bearer")
            )
        return None


@hookimpl
def tierkit_companions() -> Sequence[Companion]:
    """Brings the control address."""
    return [Control()]
