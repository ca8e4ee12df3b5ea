"""Who may publish and play, by URLs that are signed and end: those that an HLS edge takes, for RTMP and its kin.

A token is good for a stream when it is good for what lies below it as a folder: ``sign("/live/s/", ...)`` and
``sign("/live/s/playlist.m3u8", ...)`` make the same token, which lets a viewer have ``/live/s`` by HLS and by RTMP;
``sign("/live/s", ...)``, by its default depth, one for all of ``/live/``.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from tierkit.access import KeyFile, chosen_actions, on_option
from tierkit.codecs.query import QueryRule, values
from tierkit.codecs.secure_link import expression_problem
from tierkit.codecs.signed_url import DEFAULT_EXPRESSION, SecureLink, Unsigned, verify
from tierkit.events import PluginFailed
from tierkit.plugin import (
    Attempt,
    Authoriser,
    Context,
    Denied,
    LiveAuthoriser,
    Rewritten,
    Verdict,
    hookimpl,
    option,
)

__all__ = ["SignedURLs"]

_PARAMETERS = {"token": ("token",), "secure_link": ("md5", "expires")}


@frozen
class SignedURLs(Authoriser):
    """URLs with a signature and an end: tokens, or nginx's secure_link."""

    name: ClassVar[str] = "signed_urls"

    keys: str = option("", "The file of secrets: lines of an id and a secret; read again when it changes.")
    form: str = option(
        "token",
        "What is signed how: 'token' is the project's own, 'secure_link' nginx's MD5 for each path.",
        choices=tuple(_PARAMETERS),
    )
    expression: str = option(
        DEFAULT_EXPRESSION, "For 'secure_link': that of nginx's secure_link_md5, with the secret as $secret."
    )
    slack: float = option(0.0, "By how much clocks may differ.", minimum=0, maximum=300, unit="s")
    on: str = on_option("play")

    def problems(self) -> list[str]:
        """Ranges, and what goes together."""
        found = super().problems()
        if not self.keys:
            found.append("option keys is missing: give the file of secrets")
        if wrong := expression_problem(self.expression):
            found.append(f"option expression: {wrong}")
        return found

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[LiveAuthoriser]:
        """Begin to decide.  Raises TierkitError where the file of keys is no good."""

        def tell(reason: str) -> None:
            ctx.emit(PluginFailed(plugin=self.name, reason=reason))

        yield _Live(self, KeyFile(self.keys, ctx.clock, option="keys", tell=tell), time.time)


class _Live(LiveAuthoriser):
    def __init__(self, recipe: SignedURLs, keys: KeyFile, wall: Callable[[], float]) -> None:
        self.actions = chosen_actions(recipe.on)
        self._recipe, self._keys, self._wall = recipe, keys, wall
        self._parameters = _PARAMETERS[recipe.form]
        self._others = QueryRule((), drop=self._parameters)

    async def check(self, attempt: Attempt) -> Verdict:
        told = values(attempt.query, self._parameters)
        check = self._token if self._recipe.form == "token" else self._link
        try:
            check(attempt.path, told, attempt.peer.host)
        except Unsigned as error:
            return Denied(f"this URL is not signed for that: {error}")
        # Nobody behind this has a use for the signature.
        return Rewritten(attempt.path, self._others.kept(attempt.query.encode("utf-8", "replace")).decode())

    def _token(self, path: str, told: dict[str, str], address: str) -> None:
        token, keys = told.get("token", ""), self._keys.keys()
        verify(token, path.rstrip("/") + "/", keys, self._wall(), address=address, slack=self._recipe.slack)

    def _link(self, path: str, told: dict[str, str], address: str) -> None:
        failure = Unsigned("there is no key")
        md5, expires, slack = told.get("md5", ""), told.get("expires", ""), self._recipe.slack
        for key in self._keys.keys().values():
            link = SecureLink(key.secret.decode(), self._recipe.expression)
            try:
                return link.verify(md5, expires, path, self._wall(), address, slack=slack)
            except Unsigned as error:
                failure = error
        raise failure


@hookimpl
def tierkit_authorisers() -> Sequence[type[Authoriser]]:
    """Brings `SignedURLs`."""
    return [SignedURLs]
