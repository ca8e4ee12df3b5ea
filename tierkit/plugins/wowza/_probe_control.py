"""The probe's questions to a Wowza's control ports: how they ask who we are, and what their answers are made of."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterable
from typing import Final

import trio
from attrs import frozen

from tierkit.codecs.http_auth import Challenge, challenges
from tierkit.codecs.wowza_body import is_xml
from tierkit.codecs.wowza_rest import read_traffic, rest_path
from tierkit.codecs.wowza_xml import Element, read_xml
from tierkit.plugin import RemoteProtocolError

from ._client import Answer, WowzaClient, WowzaFailure
from ._probe_http import NOBODY, Target
from ._probe_rows import Answers

__all__ = ["ControlProbe"]

_HOST: Final = ("v2", "servers", "_defaultServer_", "vhosts", "_defaultVHost_")
#: Names that an element is described by at most.
SOME: Final = 80
_NONCE = re.compile(r"([0-9]{10,16}):([0-9a-fA-F]{8,64})\Z")

_ADMIN: Final = ("admin-realm", "counts", "connectioninfo")
_REST: Final = ("rest-challenge", "rest-xml", "rest-nonce", "unknown-stream-statistics")


@frozen
class ControlProbe:
    """Asks the two control ports; None is one that is not to be asked."""

    target: Target
    answers: Answers
    admin: WowzaClient | None
    rest: WowzaClient | None
    idle: float = 0.0

    async def run(self) -> None:
        """Ask everything; what fails is a row without an answer."""
        if self.admin is not None:
            await self._admin(self.admin)
        else:
            self.answers.cannot("no address of 8086 was given", *_ADMIN)
        if self.rest is not None:
            await self._rest(self.rest)
        else:
            self.answers.cannot("no address of 8087 was given", *_REST)

    # --- 8086 ------------------------------------------------------------------------------------

    async def _admin(self, client: WowzaClient) -> None:
        try:
            stranger = await client.as_stranger("/connectioncounts")
        except WowzaFailure as error:
            self.answers.cannot(error.reason, *_ADMIN)
            return
        self.answers.say("admin-realm", _challenge(stranger))
        for path in ("/connectioncounts", "/connectioncounts?flat", "/serverinfo"):
            where, _, query = path.partition("?")
            try:
                answer = await client.get(where, query)
                self.answers.say("counts", f"{path} {_made_of(answer)}")
            except (WowzaFailure, RemoteProtocolError) as error:
                self._failed(error, "counts")
        try:
            answer = await client.ask("GET", "/connectioninfo")
            self.answers.say("connectioninfo", f"{answer.status} {_media(answer)}, {_made_of(answer)}")
        except (WowzaFailure, RemoteProtocolError) as error:
            self._failed(error, "connectioninfo")

    # --- 8087 ------------------------------------------------------------------------------------

    async def _rest(self, client: WowzaClient) -> None:
        try:
            stranger = await client.as_stranger(rest_path(*_HOST, "applications"))
        except WowzaFailure as error:
            self.answers.cannot(error.reason, *_REST)
            return
        self.answers.say("rest-challenge", _challenge(stranger))
        await self._xml(client)
        await self._statistics(client)
        await self._nonce(client, stranger)

    async def _xml(self, client: WowzaClient) -> None:
        """What comes without asking for JSON."""
        app = self.target.app
        for what, path in (
            ("status", (*_HOST[:3], "status")),
            ("machine", ("v2", "machine", "monitoring", "current")),
            ("applications", (*_HOST, "applications")),
            ("instances", (*_HOST, "applications", app, "instances")),
            ("monitoring", (*_HOST, "applications", app, "monitoring", "current")),
        ):
            try:
                answer = await client.get(rest_path(*path))
                self.answers.say("rest-xml", f"{what} {_made_of(answer)}")
                if what == "status":
                    await self._version(client, path)
            except (WowzaFailure, RemoteProtocolError) as error:
                self._failed(error, "rest-xml")
                if isinstance(error, WowzaFailure) and error.kind in ("credentials", "unreachable", "loop"):
                    return

    async def _version(self, client: WowzaClient, path: tuple[str, ...]) -> None:
        answer = await client.get(rest_path(*path), accept="application/json")
        found = re.search(rb'"serverVersion"\s*:\s*"([^"]{1,40})"', answer.body)
        self.answers.say("version", f"REST {found.group(1).decode('utf-8', 'replace') if found else 'says none'}")

    async def _statistics(self, client: WowzaClient) -> None:
        stream = ("instances", self.target.instance or "_definst_", "incomingstreams", NOBODY)
        path = rest_path(*_HOST, "applications", self.target.app, *stream, "monitoring", "current")
        try:
            answer = await client.ask("GET", path, accept="application/json")
        except WowzaFailure as error:
            self._failed(error, "unknown-stream-statistics")
            return
        try:
            traffic = read_traffic(answer.body)
            zeros = not (traffic.bytes_in or traffic.connections or traffic.uptime)
            said = "zeros" if zeros else "figures that are not zero"
        except RemoteProtocolError as error:
            said = f"{_media(answer)}: {error}"
        self.answers.say("unknown-stream-statistics", f"{answer.status}, {said}")

    async def _nonce(self, client: WowzaClient, stranger: Answer) -> None:
        found = _best(stranger)
        if found is None or found.scheme != "digest":
            self.answers.cannot("REST does not ask by digest here", "rest-nonce")
            return
        self.answers.say("rest-nonce", _form(found.nonce))
        if not self.idle:
            self.answers.say("rest-nonce", "lifetime not asked: give --idle S to wait S seconds")
            return
        authentication = client.authentication
        before = None if authentication is None else authentication.challenge
        await trio.sleep(self.idle)
        try:
            await client.get(rest_path(*_HOST, "applications"), accept="application/json")
        except WowzaFailure as error:
            self._failed(error, "rest-nonce")
            return
        after = None if authentication is None else authentication.challenge
        kept = before is not None and after is before
        self.answers.say("rest-nonce", f"after {self.idle:g} s {'still good' if kept else 'no longer good'}")

    def _failed(self, error: Exception, *keys: str) -> None:
        self.answers.cannot(getattr(error, "reason", "") or str(error), *keys)


def _best(answer: Answer) -> Challenge | None:
    return max(challenges(answer.headers), key=lambda each: each.strength, default=None)


def _challenge(answer: Answer) -> str:
    """A challenge without its nonce, which is of use to nobody."""
    if answer.status != 401:
        return f"none: {answer.status} to a stranger"
    found = []
    for each in challenges(answer.headers):
        values = {**each.parameters, **({"nonce": _form(each.nonce)} if each.nonce else {})}
        found.append(f"{each.scheme} " + ", ".join(f'{name}="{value}"' for name, value in values.items()))
    return " and ".join(found) or "401 without a challenge that can be read"


def _form(nonce: str) -> str:
    """What a nonce is made of."""
    try:
        text = b64decode(nonce, validate=True).decode("ascii")
    except (NotBase64, ValueError):
        return f"{len(nonce)} characters"
    match = _NONCE.match(text)
    if match is None:
        return f"base64 of {len(text)} characters"
    return f"base64 of {len(match.group(1))} digits, a colon and {len(match.group(2))} hexadecimal digits"


def _media(answer: Answer) -> str:
    return answer.text(b"content-type").partition(";")[0] or "no Content-Type"


def _made_of(answer: Answer) -> str:
    """The names in a body, no values.  Raises RemoteProtocolError for XML that cannot be read."""
    if not is_xml(answer.body):
        return f"no XML but {len(answer.body)} bytes of {_media(answer)}"
    root = read_xml(answer.body)
    names = [_described(each) for each in _first_of_each(root)]
    return f"{_described(root)} of {', '.join(dict.fromkeys(names)) or 'nothing'}"


def _first_of_each(root: Element) -> Iterable[Element]:
    """Elements below a root, the first of each name, breadth first."""
    seen: set[str] = set()
    level = root.children
    while level and len(seen) < SOME:
        for each in level:
            if each.name not in seen and len(seen) < SOME:
                seen.add(each.name)
                yield each
        level = [child for each in level for child in each.children]


def _described(element: Element) -> str:
    name, *attributes = element.spelt
    return f"<{' '.join([name, *sorted(attributes)])[:200]}>"
