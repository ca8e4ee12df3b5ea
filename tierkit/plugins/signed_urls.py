"""Who may publish and play, by URLs that are signed and end: those that an HLS edge takes, for RTMP and its kin.

A token is good for a stream when it is good for what lies below it as a folder: ``sign("/live/s/", ...)`` and
``sign("/live/s/playlist.m3u8", ...)`` make the same token, which lets a viewer have ``/live/s`` by HLS and by RTMP;
``sign("/live/s", ...)``, by its default depth, one for all of ``/live/``.

Wowza's SecureToken is for a stream anyway.  RTMP knows a stream by less than its URL says: the default instance is left
out of its path, and the prefix too (``mp4:``), so a token for any of those spellings is good.
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
from tierkit.codecs.wowza_token import ALGORITHMS, DEFAULT_PREFIX, SecureToken, prefix_problem, spellings, verify_any
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

_FORMS = ("token", "secure_link", "wowza")


@frozen
class SignedURLs(Authoriser):
    """URLs with a signature and an end: tokens, nginx's secure_link, or Wowza's SecureToken."""

    name: ClassVar[str] = "signed_urls"

    keys: str = option("", "The file of secrets: lines of an id and a secret; read again when it changes.")
    form: str = option(
        "token",
        "What is signed how: 'token' is the project's own, 'secure_link' nginx's MD5 for each path, 'wowza' "
        "SecureToken version 2.",
        choices=_FORMS,
    )
    expression: str = option(
        DEFAULT_EXPRESSION, "For 'secure_link': that of nginx's secure_link_md5, with the secret as $secret."
    )
    prefix: str = option(
        DEFAULT_PREFIX, "For 'wowza': how the token's parameters begin, its hash query parameter prefix."
    )
    algorithm: str = option("sha256", "For 'wowza': the hash algorithm.", choices=ALGORITHMS)
    address: bool = option(
        False, "For 'wowza': whether the player's address goes into the hash (include client IP address)."
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
        if wrong := prefix_problem(str(self.prefix)):
            found.append(f"option prefix: {wrong}")
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
        self._check, ours = {
            "token": (self._token, ("token",)),
            "secure_link": (self._link, ("md5", "expires")),
            "wowza": (self._secure_token, (f"{recipe.prefix}*",)),
        }[recipe.form]
        self._others = QueryRule((), drop=ours)

    async def check(self, attempt: Attempt) -> Verdict:
        try:
            self._check(attempt)
        except Unsigned as error:
            return Denied(f"this URL is not signed for that: {error}")
        # Nobody behind this has a use for the signature.
        return Rewritten(attempt.path, self._others.kept(attempt.query.encode("utf-8", "replace")).decode())

    def _token(self, attempt: Attempt) -> None:
        token = values(attempt.query, ("token",)).get("token", "")
        folder, address, slack = attempt.path.rstrip("/") + "/", attempt.peer.host, self._recipe.slack
        verify(token, folder, self._keys.keys(), self._wall(), address=address, slack=slack)

    def _link(self, attempt: Attempt) -> None:
        told = values(attempt.query, ("md5", "expires"))
        md5, expires, address = told.get("md5", ""), told.get("expires", ""), attempt.peer.host
        failure = Unsigned("there is no key")
        for secret in self._secrets():
            link = SecureLink(secret, self._recipe.expression)
            try:
                return link.verify(md5, expires, attempt.path, self._wall(), address, slack=self._recipe.slack)
            except Unsigned as error:
                failure = error
        raise failure

    def _secure_token(self, attempt: Attempt) -> None:
        recipe = self._recipe
        tokens = [SecureToken(each, recipe.prefix, recipe.algorithm, recipe.address) for each in self._secrets()]
        names = spellings(attempt.path, str(attempt.details.get("prefix", "")))
        verify_any(tokens, names, attempt.query, self._wall(), attempt.peer.host, slack=recipe.slack)

    def _secrets(self) -> list[str]:
        return [key.secret.decode() for key in self._keys.keys().values()]


@hookimpl
def tierkit_authorisers() -> Sequence[type[Authoriser]]:
    """Brings `SignedURLs`."""
    return [SignedURLs]
