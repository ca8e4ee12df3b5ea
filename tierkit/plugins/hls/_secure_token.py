"""Wowza's SecureToken at an edge: the viewer's token goes on to what a playlist lists, and never upstream.

A token is for a stream, which is a folder, so what lies beside a playlist gets the token of the request for it, to the
letter.  For what lies in another folder a token is made by the same secret, with the same times and custom parameters
and for the same address: whoever may see the playlist may see what it lists.
"""

from __future__ import annotations

from collections.abc import Callable, Container

from attrs import frozen

from tierkit.access import KeyFile
from tierkit.codecs.hls_rewrite import Child, meanings, rewrite
from tierkit.codecs.hls_uris import with_pairs
from tierkit.codecs.signing import Unsigned
from tierkit.codecs.wowza_token import SecureToken, Ticket, content_path, verify_any

from ._signing import Prepared, Signing, refusing

__all__ = ["SecureTokenSigning"]


@frozen
class _Beginning(Container[str]):
    """All names that begin so: upstream may have echoed a token of its own into what a playlist lists."""

    prefix: str

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.startswith(self.prefix)


class SecureTokenSigning(Signing):
    """SecureToken, version 2: a hash for each stream."""

    def __init__(
        self, keys: KeyFile, wall: Callable[[], float], *, prefix: str, algorithm: str, with_address: bool
    ) -> None:
        super().__init__(keys, wall)
        self.parameters = (f"{prefix}*",)
        self._prefix, self._algorithm, self._bound = prefix, algorithm, with_address
        self._prepared = Prepared(_Beginning(prefix))

    def _tokens(self) -> list[SecureToken]:
        secrets = (key.secret.decode() for key in self.keys.keys().values())
        return [SecureToken(secret, self._prefix, self._algorithm, self._bound) for secret in secrets]

    def _verified(self, path: str, query: str, address: str) -> tuple[SecureToken, Ticket]:
        return verify_any(self._tokens(), (content_path(path),), query, self.wall(), address)

    def check(self, path: str, query: str, address: str) -> None:
        self._verified(path, query, address)

    def inherit(self, path: str, playlist: bytes, query: str, address: str) -> bytes:
        with refusing():  # it was good when he asked, and may have ended while he waited
            token, ticket = self._verified(path, query, address)
        version = self._prepared.of(playlist, path)
        if all(_content(each) == ticket.content for each in version.samples):
            return version.template.joined(ticket.query)

        meant = meanings(playlist, path)

        def signed(child: Child) -> str:
            target = meant(child.uri)
            own = _inherited(token, ticket, target.path, address) if target.here else ""
            return with_pairs(child.uri, self._prepared.names, own) if own else child.uri

        return rewrite(playlist, signed)


def _inherited(token: SecureToken, ticket: Ticket, path: str, address: str) -> str:
    """The query of a token for what a playlist lists; "" for a path that none is good for."""
    content = _content(path)
    if content is None:
        return ""
    return ticket.query if content == ticket.content else token.again(ticket, content, address)


def _content(path: str) -> str | None:
    try:
        return content_path(path)
    except Unsigned:
        return None
