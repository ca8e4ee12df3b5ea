"""The PROXY protocol, versions 1 and 2: who is really at the other end, told by a load balancer.

Source: https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, sections 2.1 (version 1) and 2.2
(version 2).

One contract: `parse_proxy` takes all bytes received so far and returns the header with its size, or None
where more bytes are needed, or raises RemoteProtocolError.  It is total: any bytes lead to one of the
three, and what cannot become a header any more is refused at once, not when a deadline strikes.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from attrs import frozen

from tierkit.errors import RemoteProtocolError

__all__ = ["MAX_HEADER", "MAX_V1", "MAX_V2", "ProxyHeader", "parse_proxy"]

#: Section 2.1: the longest version 1 line is 107 bytes with its CRLF.
MAX_V1 = 107
#: Section 2.2 allows 16 + 65,535; certificates in TLVs make a few hundred bytes, and 4 KiB is a page.
MAX_V2 = 4096
#: The most that a receiver ever needs to hold.
MAX_HEADER = max(MAX_V1, MAX_V2)

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
# Low byte of the family: address block size, section 2.2.
_INET, _INET6, _UNIX = 1, 2, 3
_BLOCK = {_INET: 12, _INET6: 36, _UNIX: 216}


@frozen
class ProxyHeader:
    """What a PROXY header tells.

    `source` and `destination` are (host, port), both None where the sender says that it speaks for itself
    (LOCAL: a health check) or does not know (UNKNOWN, UNSPEC): the connection's own peer then holds.  The
    host of a unix socket is "unix" with port 0.
    """

    version: int
    local: bool = False
    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None


def parse_proxy(data: bytes) -> tuple[ProxyHeader, int] | None:
    """Read a header from the beginning of `data`.

    Returns:
        The header and the number of bytes that it took, or None where more bytes are needed.

    Raises:
        RemoteProtocolError: these bytes do not begin a PROXY header.
    """
    if data.startswith(_V2[: len(data)]):
        return _parse_v2(data) if len(data) >= 16 else None
    if data.startswith(_V1[: len(data)]):
        return _parse_v1(data) if len(data) > len(_V1) else None
    raise _refused("does not begin with a PROXY header, which this listener requires (proxy_from)")


def _refused(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the connection {what}")


# --- version 1 -----------------------------------------------------------------------------------


def _parse_v1(data: bytes) -> tuple[ProxyHeader, int] | None:
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise _refused(f"has a PROXY line of more than {MAX_V1} bytes")
        return None
    words = data[:end].split(b" ")
    size = end + 2
    if words[1] == b"UNKNOWN":  # the rest of the line is to be ignored (section 2.1)
        return ProxyHeader(1), size
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise _refused("has a PROXY line that is not TCP4, TCP6 or UNKNOWN with two addresses and two ports")
    family = _INET if words[1] == b"TCP4" else _INET6
    source = (_v1_host(family, words[2]), _v1_port(words[4]))
    destination = (_v1_host(family, words[3]), _v1_port(words[5]))
    return ProxyHeader(1, source=source, destination=destination), size


def _v1_host(family: int, word: bytes) -> str:
    try:
        text = word.decode("ascii")
        # A zone ("%eth0") is no part of the grammar, though Python's class takes one.
        if "%" in text:
            raise ValueError(text)
        return _shown(IPv4Address(text) if family == _INET else IPv6Address(text))
    except ValueError:
        raise _refused("has a PROXY line with an odd address") from None


def _v1_port(word: bytes) -> int:
    # Section 2.1: decimal, no leading zeroes.
    if not word.isdigit() or len(word) > 5 or (word[:1] == b"0" and word != b"0") or int(word) > 65535:
        raise _refused("has a PROXY line with an odd port")
    return int(word)


# --- version 2 -----------------------------------------------------------------------------------


def _parse_v2(data: bytes) -> tuple[ProxyHeader, int] | None:
    command, family, transport = data[12], data[13] >> 4, data[13] & 0x0F
    if command not in (0x20, 0x21):
        raise _refused("has a PROXY header of an unknown version or command")
    size = 16 + int.from_bytes(data[14:16], "big")
    if size > MAX_V2:
        raise _refused(f"has a PROXY header of more than {MAX_V2} bytes")
    if family > _UNIX or transport > 2:
        raise _refused("has a PROXY header with an unassigned address family")
    if len(data) < size:
        return None
    if command == 0x20:
        return ProxyHeader(2, local=True), size
    # Anything but a stream cannot have brought this connection; like UNSPEC, it tells us nothing.
    if family not in _BLOCK or transport != 1:
        return ProxyHeader(2), size
    if size - 16 < _BLOCK[family]:
        raise _refused("has a PROXY header that is too short for its addresses")
    source, destination = _v2_addresses(family, data[16 : 16 + _BLOCK[family]])
    # Whatever follows the addresses are TLVs, which nobody here asks for.
    return ProxyHeader(2, source=source, destination=destination), size


def _v2_addresses(family: int, block: bytes) -> tuple[tuple[str, int], tuple[str, int]]:
    if family == _UNIX:
        return ("unix", 0), ("unix", 0)
    size = 4 if family == _INET else 16
    hosts = [_shown(_packed(block[i : i + size])) for i in (0, size)]
    ports = [int.from_bytes(block[i : i + 2], "big") for i in (2 * size, 2 * size + 2)]
    return (hosts[0], ports[0]), (hosts[1], ports[1])


def _packed(raw: bytes) -> IPv4Address | IPv6Address:
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def _shown(address: IPv4Address | IPv6Address) -> str:
    # An IPv4 viewer behind a dual-stack balancer must be one address, however it is told.
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)
