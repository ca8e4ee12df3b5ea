"""What playlists list at other hosts: fetched through this edge, from a list of hosts that its operator gives.

A playlist is somebody else's text, so what it names is asked for only where the operator has named it too, and only at
an address that is public or his: a name on the list that leads to this machine, or to the network behind it, is not
followed.  The check is of the address that is connected to, after the look-up, so a name that is answered differently
from one moment to the next (DNS rebinding) gains nothing.

``https://media.example/a/1.ts`` is ``/-/media.example/a/1.ts`` here: in the playlists that viewers get, in keys, in
what is signed.  Relative URIs of a playlist from there stay below that by themselves; all others are written out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tierkit import AddressError
from tierkit.codecs.hls_rewrite import Child, rewrite
from tierkit.codecs.hls_uris import Target, resolve
from tierkit.plugin import Address, Candidate, LiveSource, NotServed, Trust

__all__ = ["Elsewhere", "PREFIX", "listed", "own_name"]

#: Of all paths that lead elsewhere; an origin's own paths below it cannot be had where hosts are listed.
PREFIX = "/-/"
#: Where a host that is a name may lead, besides what the operator adds.
ANYWHERE_PUBLIC = "public"
_SCHEMES = ("http", "https")


def listed(text: str) -> Address:
    """One of `fetch_from`: ``media.example``, ``media.example:8443`` or ``http://media.example``.

    Raises AddressError.
    """
    address = Address.parse(text if "://" in text else f"https://{text}")
    more = address.path.rstrip("/") or address.query or address.username or address.unix
    if address.scheme not in _SCHEMES or not address.host or address.wildcard or more:
        raise AddressError(f"{text!r} is no host over HTTP: write for instance media.example, or http://10.2.0.7:8080")
    return address.with_(host=address.host.lower(), path="")


def own_name(address: Address) -> str:
    """What a server calls itself in absolute URIs: lower case, without its scheme's usual port."""
    return address.authority.lower().removesuffix(":443" if address.secure else ":80")


class Elsewhere:
    """The hosts that may be fetched from.

    Args:
        hosts: as `listed` reads them.
        networks: where they may be, beside public addresses and their own where they are addresses.
    """

    def __init__(self, hosts: Iterable[str] = (), networks: Iterable[str] = ()) -> None:
        self._hosts: dict[str, tuple[str, Candidate]] = {}
        for address in map(listed, hosts):
            name, source = own_name(address), _Host(address)
            trust = Trust(networks=(ANYWHERE_PUBLIC, *networks, *_itself(address)))
            self._hosts[name] = address.scheme, Candidate(f"{address.scheme}://{name}", source, trust)

    def candidate(self, path: str) -> Candidate | None:
        """Whom a path is fetched from; None for the tier's upstreams.  Raises NotServed for a host that is not listed.

        Where no host is, no path leads elsewhere.
        """
        if not self._hosts or not path.startswith(PREFIX):
            return None
        name, slash, _ = path[len(PREFIX) :].partition("?")[0].partition("/")
        if not slash or name not in self._hosts:
            raise NotServed(f"fetch_from= does not list {name[:100]!r}")
        return self._hosts[name][1]

    def brought_home(self, path: str, playlist: bytes, hosts: Collection[str]) -> bytes:
        """The playlist at `path` with what it lists at `hosts`, its server's own names, and at listed ones as paths."""
        away = self._hosts and path.startswith(PREFIX)
        if b"//" not in playlist and not away:
            return playlist
        prefix, there = _split(path) if away else ("", path)

        def home(child: Child) -> str:
            target = resolve(there, child.uri, hosts=hosts)
            if target.here:
                # What neither names a host nor climbs means the same below the prefix.
                stays = not away or (child.uri[:1] != "/" and ".." not in child.uri)
                return child.uri if stays and "//" not in child.uri else f"{prefix}{target.path}"
            return self._path(target) or child.uri

        return rewrite(playlist, home)

    def _path(self, target: Target) -> str:
        """Where a target at another host is here; empty where it is not listed."""
        scheme, _ = self._hosts.get(target.authority, ("", None))
        if not scheme or not target.path or target.scheme not in ("", scheme):
            return ""
        return f"{PREFIX}{target.authority}{target.path}"


class _Host(LiveSource):
    """One host of the list, as a source."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.schemes = frozenset({address.scheme})

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        only, _, query = _split(path)[1].partition("?")
        return self.address.with_(path=only, query=query)


def _split(path: str) -> tuple[str, str]:
    """Prefix and path there of a path that leads elsewhere."""
    at = path.index("/", len(PREFIX))
    return path[:at], path[at:]


def _itself(address: Address) -> tuple[str, ...]:
    """The network of a host that is an address: whoever wrote that meant it."""
    digits = address.host.replace(":", "").replace(".", "")
    return (address.host,) if ":" in address.host or digits.isdigit() else ()
