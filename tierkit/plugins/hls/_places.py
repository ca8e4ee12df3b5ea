"""Where a request wants to go: the gate that it must pass, and the one spelling of what it asks for.

A key is made from the target that goes upstream and from nothing else, so nothing that an origin sees can differ
between two requests with one key.  What may not go upstream is refused here, before anything is looked up.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from attrs import frozen

from tierkit.codecs.hls_query import Directives, split_query
from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.path_rule import PathRule
from tierkit.codecs.query import QueryRule
from tierkit.http import Fields, Head
from tierkit.plugin import RemoteProtocolError, TierkitError, Upstreams

from ._elsewhere import Elsewhere
from ._objects import Memory

__all__ = ["NOTHING", "Gate", "Place", "Refused", "check_path", "folder_of"]

#: Proxies that a request may have come through before it is taken for a loop.
MAX_HOPS = 16
NOTHING = Directives()
_FORBIDDEN = re.compile(rb"[\x00-\x1f\x7f\\]")
#: A path without any of this cannot be spelt in two ways.
_PLAIN = re.compile(r"(?:/(?!\.)[^%\\/]*)+\Z")


class Refused(TierkitError):
    """A request that gets an error, and the status and fields of that."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers


@frozen
class Place:
    """What a request asks for."""

    #: Path and query as they go upstream.
    path: str
    #: What it is stored under.
    key: str
    #: What a playlist of low latency is asked for (RFC 8216bis section 6.2.5), and path and key without that.
    directives: Directives = NOTHING
    plain: str = ""
    base: str = ""
    #: The host that upstream is asked for; empty for its own.
    host: str = ""

    @property
    def only(self) -> str:
        """The path alone."""
        return self.path.partition("?")[0]

    def directed(self, directives: Directives) -> Place:
        """The same, with other directives."""
        return _place(self.plain, self.base, directives, self.host)

    @property
    def host_field(self) -> list[tuple[bytes, bytes]]:
        """The field that asks upstream for it; none where that is upstream's own."""
        return [(b"Host", self.host.encode("ascii"))] if self.host else []

    @property
    def stream(self) -> str:
        """Whose share of the store it is counted in, and whose viewers: the folder that it is in."""
        return folder_of(self.base)


def folder_of(key: str) -> str:
    """The folder of what is stored under a key."""
    return key.partition("\n")[0].partition("?")[0].rpartition("/")[0]


def _place(plain: str, base: str, directives: Directives, host: str = "") -> Place:
    if not (said := directives.render()):
        return Place(plain, base, directives, plain, base, host)
    return Place(_with(plain, said), _with(base, said), directives, plain, base, host)


def _with(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


class Gate:
    """What may pass at one tier.

    Args:
        tier: its name, for people.
        pseudonym: its name in Via.
        upstream: whose first source knows the canonical spelling of a path.
        hosts: names that it answers for, in lower case and without a port; empty for any.
        rule: which parameters of a query are no part of what is asked for; None where all are.
        elsewhere: other hosts that paths may lead to.
        paths: what of a path is no part of what is asked for; None where all is.
        by_host: whether upstream is asked for the host that the viewer asks for, which is then a part of the key.
    """

    def __init__(
        self,
        tier: str,
        pseudonym: bytes,
        upstream: Upstreams,
        hosts: frozenset[str],
        rule: QueryRule | None = None,
        elsewhere: Elsewhere | None = None,
        *,
        paths: PathRule | None = None,
        by_host: bool = False,
    ) -> None:
        self.tier = tier
        self.pseudonym = pseudonym
        self.upstream = upstream
        self.hosts = hosts
        self.rule = rule
        self.elsewhere = elsewhere or Elsewhere()
        self.paths = paths
        self.by_host = by_host
        #: The places of targets that have passed, without what the rule takes out.
        self.known: Memory[bytes, Place] = Memory()

    def at_hand(self, target: bytes, host: str) -> Place | None:
        """The place of a target like one that has passed; its `path` may be another's."""
        if self.by_host:
            return self.known.get(_for_host(self.canonical(target), host))
        place = self.known.get(target)
        if place is None and self.rule is not None:
            place = self.known.get(self.rule.canonical(target))
        return place

    def canonical(self, target: bytes) -> bytes:
        """A target without what is no part of what is asked for."""
        return target if self.rule is None else self.rule.canonical(target)

    def place(self, head: Head) -> Place:
        """Where a request goes.  Raises Refused or NotServed."""
        self.check_host(head.host)
        if b"via" in head.fields.names:
            self.check_loop(head.fields.headers)
        if _PLAIN.match(head.path) is None:
            check_path(head.path)
        target = (f"{head.path}?{head.query}" if head.query else head.path).encode("ascii")
        place = self._remembered(self.canonical(target), head.host.lower() if self.by_host else "")
        if self.rule is None or not self.rule.forward:
            return place
        query = self.rule.forwarded(head.query.encode("ascii")).decode("ascii")
        if place.directives != NOTHING:
            _, query = split_query(query)
        plain = f"{head.path}?{query}" if query else head.path
        return _place(plain, place.base, place.directives, place.host)

    def _remembered(self, target: bytes, host: str) -> Place:
        known = _for_host(target, host) if self.by_host else target
        place = self.known.get(known)
        if place is None:
            path, _, query = target.decode("ascii").partition("?")
            place = self.spell(path, query, host)
            self.known.put(known, place)
        return place

    def spell(self, path: str, query: str, host: str = "") -> Place:
        """The one spelling of a path and a query.

        Raises Refused (400) for malformed delivery directives, NotServed for a host that is not listed.
        """
        try:
            directives, rest = split_query(query)
        except RemoteProtocolError as error:
            raise Refused(400, str(error)) from None
        plain = f"{path}?{rest}" if rest else path
        if self.elsewhere.candidate(plain) is not None:
            return _place(plain, plain, directives)
        key = self.name(plain)
        return _place(plain, f"{key}\n{host}" if host else key, directives, host)

    def name(self, target: str) -> str:
        """What a path and its query are called, whoever's ids are in them."""
        key = self.upstream.key(target)
        return key if self.paths is None else self.paths.canonical(key)

    def called(self, target: str) -> str:
        """The same, without the parameters that are no part of what is asked for."""
        return self.name(self.canonical(target.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass"))

    def child(self, target: str, host: str = "") -> Place:
        """The place of a path and its query, as they stand in a playlist or a Location."""
        path, _, query = self.canonical(target.encode("utf-8")).decode("utf-8").partition("?")
        return self.spell(path, query, host)

    def welcomes(self, fields: Fields) -> bool:
        """Whether a request with these fields may pass, as far as they say."""
        return self._answers_for(fields.host)

    def check_host(self, host: str) -> None:
        """A name that is not ours is misdirected (RFC 9110 section 15.5.20): it must not choose what is stored."""
        if not self._answers_for(host):
            raise Refused(421, f"{self.tier} does not answer for this host: see hosts=")

    def _answers_for(self, host: str) -> bool:
        return not self.hosts or bare(host) in self.hosts

    def check_loop(self, headers: Headers) -> None:
        """A request that has been here before, or that came through too many proxies."""
        hops = [each.split()[1:2] for each in (get(headers, b"via") or b"").split(b",")]
        if [self.pseudonym] in hops:
            raise Refused(508, f"a loop: this request has been at {self.tier} before: mend upstream=")
        if len(hops) > MAX_HOPS:
            raise Refused(508, f"a loop: this request has come through more than {MAX_HOPS} proxies")


def _for_host(target: bytes, host: str) -> bytes:
    return host.lower().encode("ascii") + b" " + target


def check_path(path: str) -> None:
    """Dot segments, backslashes and controls, also percent-encoded, are read differently by different servers."""
    plain = unquote_to_bytes(path)
    if _FORBIDDEN.search(plain) or any(part in (b".", b"..") for part in plain.split(b"/")) or plain[:1] != b"/":
        raise Refused(400, "the path has dot segments, backslashes or control characters")


def bare(host: str) -> str:
    """A host without its port, in lower case."""
    name = host.lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].rstrip(".")
