"""How much of a viewer's address is told: all of it, the network that it is in, or nothing.

What is cut off is what the law in most of Europe counts as personal: the last byte of an IPv4 address, and all but the
site prefix of an IPv6 one (/48, RFC 6177 section 2; Matomo and Google Analytics cut at the same places).  Ports go with
it: behind a NAT a port and a time name one subscriber (RFC 6302).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

__all__ = ["FULL", "MASKS", "NONE", "TRUNCATED", "mask", "mask_host"]

FULL, TRUNCATED, NONE = "full", "truncated", "none"
#: How addresses may be told.
MASKS = (FULL, TRUNCATED, NONE)
#: Bits that are kept of each kind when it is truncated.
KEPT = {4: 24, 6: 48}
#: Addresses whose telling is remembered: an access log has each viewer's again and again, at 8 µs each otherwise.
REMEMBERED = 4096
#: What stands for an address that is not told, as in every access log.
HIDDEN = "-"


@lru_cache(REMEMBERED)
def mask_host(host: str, how: str) -> str:
    """An IP address as it may be told.  What is none, "unix" or a test's name, names nobody and stays."""
    if how == FULL:
        return host
    address = _address(host)
    if address is None:
        return host
    if how == NONE:
        return HIDDEN
    if address.is_loopback:
        return host  # this machine: nobody's home
    return str(ip_network((address, KEPT[address.version]), strict=False).network_address)


def mask(peer: str, how: str) -> str:
    """The same for ``HOST:PORT`` as `str(Peer)` spells it: the port is told with the whole address alone."""
    if how == FULL:
        return peer
    host = peer
    if peer.startswith("["):
        host = peer[1:].partition("]")[0]
    elif peer.count(":") == 1:
        host = peer.partition(":")[0]
    shown = mask_host(host, how)
    return peer if shown == host and _address(host) is None else shown


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        # Of a scope (fe80::1%eth0) nothing is left in the network's address.
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # An IPv4 viewer at a socket for both kinds would else be all of the IPv4 internet at /48.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
