"""Signed URLs at an edge: who may have what, and how a playlist hands its permission on to what it lists.

The secrets stand in a file (`tierkit.access.KeyFile`), which is read again when it changes, so that a key is added
before URLs are signed with it, and taken out when the last of those has ended.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager

from attrs import frozen

from tierkit.access import KeyFile
from tierkit.codecs.hls_rewrite import Child, QueryTemplate, children, meanings, rewrite
from tierkit.codecs.hls_uris import with_query
from tierkit.codecs.query import values
from tierkit.codecs.signed_url import SecureLink, Unsigned, inherited, verify

from ._places import Refused

__all__ = ["LinkSigning", "Prepared", "Signing", "TokenSigning", "refusing"]


@contextmanager
def refusing() -> Iterator[None]:
    """Tell a viewer what is not signed."""
    try:
        yield
    except Unsigned as error:
        raise Refused(403, f"this URL is not signed for that: {error}") from None


class Signing(ABC):
    """One form of signed URLs."""

    #: The query parameters that carry it: names, or patterns as `tierkit.codecs.query` has them.
    parameters: tuple[str, ...]

    def __init__(self, keys: KeyFile, wall: Callable[[], float]) -> None:
        self.keys = keys
        self.wall = wall

    def admit(self, path: str, query: str, address: str) -> None:
        """Raise Refused (403) where a URL is not good."""
        with refusing():
            self.check(path, query, address)

    @abstractmethod
    def check(self, path: str, query: str, address: str) -> None:
        """Raise Unsigned where a query is not good for a path."""

    @abstractmethod
    def inherit(self, path: str, playlist: bytes, query: str, address: str) -> bytes:
        """The playlist at `path` with the permission of the request that asked for it on all its URIs here.

        Raises Refused (403) where that is over by now.
        """


class TokenSigning(Signing):
    """The project's own tokens: one for a folder and all below."""

    parameters = ("token",)

    def __init__(self, keys: KeyFile, wall: Callable[[], float]) -> None:
        super().__init__(keys, wall)
        self._prepared = Prepared(self.parameters)

    def check(self, path: str, query: str, address: str) -> None:
        told = values(query, self.parameters)
        verify(told.get("token", ""), path, self.keys.keys(), self.wall(), address=address)

    def inherit(self, path: str, playlist: bytes, query: str, address: str) -> bytes:
        keys, token = self.keys.keys(), values(query, self.parameters)["token"]
        with refusing():  # it was good when he asked, and may have ended while he waited
            grant = verify(token, path, keys, self.wall(), address=address)
        version = self._prepared.of(playlist, path)
        if all(map(grant.covers, version.samples)):
            return version.template.render([("token", token)])

        meant = meanings(playlist, path)

        def signed(child: Child) -> str:
            target = meant(child.uri)
            own = inherited(token, grant, target.path, key=keys.get(grant.key), address=address) if target.here else ""
            return with_query(child.uri, [("token", own)]) if own else child.uri

        return rewrite(playlist, signed)


@frozen
class Version:
    """A playlist that waits for its viewers' tokens."""

    playlist: bytes
    template: QueryTemplate
    #: One path in each folder that it lists something of.
    samples: tuple[str, ...]


class Prepared:
    """The version of a playlist that was asked for last.

    Viewers come in crowds for one version: what is prepared for the last one mostly serves the next.

    Args:
        names: the parameters that its URIs get.
    """

    def __init__(self, names: Container[str]) -> None:
        self.names = names
        self._last: Version | None = None

    def of(self, playlist: bytes, path: str) -> Version:
        """The playlist at `path`, prepared."""
        last = self._last
        if last is None or last.playlist is not playlist:
            targets = map(meanings(playlist, path), (child.uri for child in children(playlist)))
            folders = {target.path.partition("?")[0].rpartition("/")[0] for target in targets if target.here}
            template = QueryTemplate.of(playlist, path, self.names)
            last = self._last = Version(playlist, template, tuple(f"{folder}/x" for folder in folders))
        return last


class LinkSigning(Signing):
    """nginx's ``secure_link``: an MD5 for each path."""

    parameters = ("md5", "expires")

    def __init__(self, keys: KeyFile, wall: Callable[[], float], expression: str) -> None:
        super().__init__(keys, wall)
        self.expression = expression

    def _links(self) -> list[SecureLink]:
        return [SecureLink(key.secret.decode(), self.expression) for key in self.keys.keys().values()]

    def check(self, path: str, query: str, address: str) -> None:
        told = values(query, self.parameters)
        failure = Unsigned("there is no key")
        for link in self._links():
            try:
                return link.verify(told.get("md5", ""), told.get("expires", ""), path, self.wall(), address)
            except Unsigned as error:
                failure = error
        raise failure

    def inherit(self, path: str, playlist: bytes, query: str, address: str) -> bytes:
        expires = values(query, self.parameters)["expires"]
        link = self._links()[0]
        meant = meanings(playlist, path)

        def signed(child: Child) -> str:
            target = meant(child.uri)
            if not target.here:
                return child.uri
            md5 = link.sign(target.path, int(expires), address)
            return with_query(child.uri, [("md5", md5), ("expires", expires)])

        return rewrite(playlist, signed)
