"""Who may publish and play, by asking over HTTP what nginx-rtmp's `on_publish` and its kin ask: back ends made for it
go on to work.

The form of the calls is `tierkit.codecs.nginx_notify`.  Each call has a connection of its own, as nginx-rtmp's have:
a POST must not be sent twice, and one that meets a back end's idle timeout would be neither sent nor answered.

A back end that does not answer lets nobody in.  Of those who are in, only its word ends one: without `update_strict`
an update that gets no answer ends nobody, so that a back end may be started again while a parliament sits.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from tierkit.codecs import nginx_notify as notify
from tierkit.http import ClientTimeouts, HttpClient
from tierkit.plugin import (
    Action,
    Address,
    Allowed,
    Attempt,
    Authoriser,
    Context,
    Denied,
    LiveAuthoriser,
    Rewritten,
    TierkitError,
    Trust,
    UpstreamError,
    Verdict,
    Visit,
    hookimpl,
    option,
)

__all__ = ["Callbacks"]

_CALLS = (
    "on_connect",
    "on_publish",
    "on_play",
    "on_publish_done",
    "on_play_done",
    "on_done",
    "on_disconnect",
    "on_update",
)
#: What ends with which calls.
_ENDS: dict[Action, tuple[str, ...]] = {
    "connect": ("disconnect",),
    "publish": ("publish_done", "done"),
    "play": ("play_done", "done"),
}


def _url(value: str | Address | None) -> Address | None:
    return Address.parse(value) if value else None


@frozen
class Callbacks(Authoriser):
    """A back end decides, over HTTP, as with nginx-rtmp."""

    name: ClassVar[str] = "callbacks"

    on_publish: str | Address | None = option(
        None, "URL that is asked whether a stream may be published.", converter=_url
    )
    on_play: str | Address | None = option(None, "URL that is asked whether a stream may be played.", converter=_url)
    on_connect: str | Address | None = option(None, "URL that is asked whether a client may connect.", converter=_url)
    on_publish_done: str | Address | None = option(None, "URL that is told that a publisher has left.", converter=_url)
    on_play_done: str | Address | None = option(None, "URL that is told that a player has left.", converter=_url)
    on_done: str | Address | None = option(None, "URL that is told of either.", converter=_url)
    on_disconnect: str | Address | None = option(
        None, "URL that is told that a client has disconnected.", converter=_url
    )
    on_update: str | Address | None = option(
        None, "URL that is asked again and again whether who is there may stay.", converter=_url
    )
    update_every: float = option(
        30.0, "Time between two updates of one publisher or player.", minimum=1, maximum=86400, unit="s"
    )
    update_strict: bool = option(
        False, "An update that is not answered, or with 3xx, ends who it is about; else only an answer says no."
    )
    method: str = option("post", "How calls are sent: a form as the body, or in the URL.", choices=("post", "get"))
    ca: str = option("", "For https: PEM file of the authorities to believe; empty means the system's.")

    @property
    def calls(self) -> dict[str, Address]:
        """The URLs that are given, by their names without "on_"."""
        return {each[3:]: url for each in _CALLS if (url := getattr(self, each)) is not None}

    def problems(self) -> list[str]:
        """Ranges, and URLs that are none."""
        found = super().problems()
        for call, url in self.calls.items():
            if url.scheme not in ("http", "https") or not (url.host or url.unix):
                found.append(f"option on_{call}={url} is no URL to ask: write http://HOST/PATH")
        if not self.calls:
            found.append("no URL is given: give on_publish, on_play or another one")
        return found

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[LiveAuthoriser]:
        """Begin to ask."""
        yield _Live(self, ctx)


class _Live(LiveAuthoriser):
    def __init__(self, recipe: Callbacks, ctx: Context) -> None:
        self._recipe, self._calls, self._clock = recipe, recipe.calls, ctx.clock
        told = {action for action, ends in _ENDS.items() if not self._calls.keys().isdisjoint((action, *ends))}
        if "update" in self._calls:
            told |= {"publish", "play"}
            self.update_every = recipe.update_every
        self.actions = frozenset(told)
        self.told_of_ends = any(not self._calls.keys().isdisjoint(ends) for ends in _ENDS.values())
        # What bounds a call as a whole is the service's deadline.
        self._client = HttpClient(ctx.network, ctx.clock, timeouts=ClientTimeouts(first_byte=60), idle_connections=0)
        self._trust = Trust(ca=recipe.ca) if recipe.ca else None

    async def check(self, attempt: Attempt) -> Verdict:
        app, name = _parted(attempt)
        if (url := self._calls.get(attempt.action)) is None:
            return Allowed()
        answer = await self._ask(url, attempt, self._asked(attempt, name))
        if answer.elsewhere:
            what = "names a server to go to, and only names of streams are taken: answer 2xx, or 'Location: NAME'"
            raise TierkitError(f"on_{attempt.action} ({url}) {what}")
        if not answer.allowed:
            return Denied("the back end says no")
        if not answer.name:
            return Allowed()
        path = f"/{answer.name}" if attempt.action == "connect" or not app else f"/{app}/{answer.name}"
        return Rewritten(path, answer.query or None)

    def _asked(self, attempt: Attempt, name: str) -> notify.Fields:
        details = attempt.details
        if attempt.action == "connect":
            return notify.connect(int(self._clock() * 1000))
        if attempt.action == "publish":
            return notify.publish(name, str(details.get("type", "live")))
        numbers = {each: int(details.get(each, 0)) for each in ("start", "duration", "reset")}
        return notify.play(name, **numbers)

    async def update(self, visit: Visit) -> Verdict:
        url = self._calls.get("update")
        if url is None or visit.attempt.action == "connect":
            return Allowed()
        _, name = _parted(visit.attempt)
        what, seconds = visit.attempt.action, int(visit.seconds)
        fields = notify.update(what, name, seconds=seconds, timestamp=visit.timestamp)
        try:
            status, _ = await self._send(url, visit.attempt, fields)
        except UpstreamError:
            if not self._recipe.update_strict:
                raise
            return Denied("an update was not answered")
        # nginx-rtmp's notify_update_strict: without it, a redirect is no refusal.
        good = 200 <= status < (300 if self._recipe.update_strict else 400)
        return Allowed() if good else Denied("an update was answered with no")

    async def done(self, visit: Visit) -> None:
        _, name = _parted(visit.attempt)
        for call in _ENDS[visit.attempt.action]:
            if (url := self._calls.get(call)) is not None:
                await self._send(url, visit.attempt, notify.done(call, name))

    async def _ask(self, url: Address, attempt: Attempt, fields: notify.Fields) -> notify.Answer:
        status, location = await self._send(url, attempt, fields)
        if status >= 500:
            raise TierkitError(f"on_{attempt.action} ({url}) answers {status}")
        return notify.read_answer(status, location)

    async def _send(self, url: Address, attempt: Attempt, fields: notify.Fields) -> tuple[int, str]:
        """Send a call; gives the status and the Location of the answer.  Raises UpstreamError."""
        said = {**_session(attempt), **fields}
        form = notify.form(said, attempt.query)
        headers = [(b"Content-Type", notify.FORM.encode())]
        if url.username:
            secret = f"{url.username}:{url.password}".encode()
            headers.append((b"Authorization", b"Basic " + b64encode(secret)))
        if self._recipe.method == "get":
            target = url.with_(query=f"{url.query}&{form}" if url.query else form, username="", password="")
            asking = self._client.request("GET", target, headers, trust=self._trust)
        else:
            target = url.with_(username="", password="")
            asking = self._client.request("POST", target, headers, form.encode(), trust=self._trust)
        async with asking as answer:
            location = next((value for name, value in answer.headers if name.lower() == b"location"), b"")
            return answer.status, location.decode("utf-8", "replace")


def _parted(attempt: Attempt) -> tuple[str, str]:
    """Application and name: as the client parts them where it has said, else at the last slash."""
    path = attempt.path.strip("/")
    if attempt.action == "connect":
        return path, ""
    app = str(attempt.details.get("app", ""))
    if app and path.startswith(f"{app}/"):
        return app, path[len(app) + 1 :]
    app, _, name = path.rpartition("/")
    return app, name


def _session(attempt: Attempt) -> notify.Fields:
    app, _ = _parted(attempt)
    details = {each: str(attempt.details.get(each, "")) for each in ("swf_url", "tc_url")}
    return notify.session(
        app,
        flashver=attempt.agent,
        swfurl=details["swf_url"],
        tcurl=details["tc_url"],
        pageurl=attempt.page,
        addr=attempt.peer.host,
        clientid=attempt.id,
    )


@hookimpl
def tierkit_authorisers() -> Sequence[type[Authoriser]]:
    """Brings `Callbacks`."""
    return [Callbacks]
