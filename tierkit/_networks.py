"""Sets of networks, as people write them: CIDR, and words for what has no number."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["Networks", "network_problem"]

#: Connections of unix sockets.
UNIX = "unix"
#: What is reachable from everywhere: neither private nor loopback, link-local, shared (RFC 6598) or multicast.
PUBLIC = "public"
#: Where IPv6 addresses that are everybody's are given out from (IANA, RFC 4291 section 2.4): all others have a use of
#: their own, such as old ways to write an IPv4 address, whatever a table of special ones has forgotten.
UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")


def network_problem(spelt: str) -> str:
    """Why this is no network, or ""."""
    if spelt in (UNIX, PUBLIC):
        return ""
    try:
        ip_network(spelt, strict=False)
    except ValueError:
        return f"{spelt!r} is no network: write for instance 10.0.0.0/8"
    return ""


class Networks:
    """Some networks.  Raises ValueError for what `network_problem` has something to say of."""

    def __init__(self, spelt: Iterable[str]) -> None:
        words = tuple(spelt)
        self._unix, self._public = UNIX in words, PUBLIC in words
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(each, strict=False) for each in words if each not in (UNIX, PUBLIC)
        ]

    def __bool__(self) -> bool:
        return self._unix or self._public or bool(self._networks)

    def __contains__(self, host: str) -> bool:
        """Whether a host, "unix" or an IP address with or without its zone, is in one of them."""
        if host == UNIX:
            return self._unix
        address = ip_address(host.partition("%")[0])
        same = plain(address)
        listed = any(each in network for each in {address, same} for network in self._networks)
        return listed or (self._public and is_public(same))


def plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The same machine, by its IPv4 address where that is written as an IPv6 one (RFC 4291 section 2.5.5.2)."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether everybody may have it (the IANA special-purpose registries), and it is one machine's."""
    if isinstance(address, IPv6Address):
        if (inner := translated(address)) is not None:
            return is_public(inner)
        if address not in UNICAST:
            return False
    return address.is_global and not address.is_multicast


def translated(address: IPv6Address) -> IPv4Address | None:
    """The machine behind a gateway between the two: NAT64 (RFC 6052) or 6to4 (RFC 3056)."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.sixtofour
