"""The PROXY protocol's headers: whole, byte by byte, with what follows; and that parsing is total."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.proxy import MAX_V1, MAX_V2, ProxyHeader, parse_proxy
from tierkit.errors import RemoteProtocolError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big") + body


def tcp4(source: tuple[str, int], destination: tuple[str, int], tlvs: bytes = b"") -> bytes:
    hosts = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    ports = source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
    return v2(0x21, 0x11, hosts + ports + tlvs)


def tcp6(source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    hosts = b"".join(socket.inet_pton(socket.AF_INET6, host) for host in (source[0], destination[0]))
    return v2(0x21, 0x21, hosts + source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big"))


V4 = ("198.51.100.7", 56324), ("192.0.2.1", 443)
V6 = ("2001:db8::7", 65535), ("2001:db8::1", 0)
MAPPED = ("::ffff:198.51.100.7", 5), ("::ffff:192.0.2.1", 6)
KNOWN4 = {"source": V4[0], "destination": V4[1]}
KNOWN6 = {"source": V6[0], "destination": V6[1]}

GOOD = {
    "v1-tcp4": (b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n", ProxyHeader(1, **KNOWN4)),
    "v1-tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 0\r\n", ProxyHeader(1, **KNOWN6)),
    "v1-unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader(1)),
    # The longest line of the specification (section 2.1): 107 bytes with its end.
    "v1-unknown-longest": (
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replace(b"f...f", b"ffff:" * 5 + b"ffff"),
        ProxyHeader(1),
    ),
    "v2-tcp4": (tcp4(*V4), ProxyHeader(2, **KNOWN4)),
    "v2-tcp4-tlvs": (tcp4(*V4, tlvs=b"\x02\x00\x0ba1.examples" * 9), ProxyHeader(2, **KNOWN4)),
    "v2-tcp6": (tcp6(*V6), ProxyHeader(2, **KNOWN6)),
    "v2-mapped": (
        tcp6(*MAPPED),
        ProxyHeader(2, source=("198.51.100.7", 5), destination=("192.0.2.1", 6)),
    ),
    "v2-unix": (v2(0x21, 0x31, bytes(216)), ProxyHeader(2, source=("unix", 0), destination=("unix", 0))),
    "v2-local": (v2(0x20, 0x00, b""), ProxyHeader(2, local=True)),
    "v2-local-with-addresses": (v2(0x20, 0x11, bytes(12)), ProxyHeader(2, local=True)),
    "v2-unspec": (v2(0x21, 0x00, b"anything"), ProxyHeader(2)),
    "v2-udp": (v2(0x21, 0x12, bytes(12)), ProxyHeader(2)),
    "v2-largest": (v2(0x21, 0x00, bytes(MAX_V2 - 16)), ProxyHeader(2)),
}
BAD = {
    "http": b"GET / HTTP/1.1\r\n",
    "tls": b"\x16\x03\x01\x02\x00",
    "one byte": b"X",
    "v1 in small letters": b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 no transport": b"PROXY \r\n",
    "v1 udp": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 missing port": b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "v1 one word more": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    "v1 two spaces": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 address of the other family": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "v1 zone": b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    "v1 octal address": b"PROXY TCP4 010.2.3.4 1.2.3.4 1 2\r\n",
    "v1 port with zero before it": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "v1 port too large": b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    "v1 port with sign": b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
    "v1 not ascii": b"PROXY TCP4 \xd9\xa1.2.3.4 1.2.3.4 1 2\r\n",
    "v1 endless": b"PROXY UNKNOWN " + b"x" * 100,
    "v1 bare line feed": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + b" " * 100,
    "v2 version 1": v2(0x11, 0x11, bytes(12)),
    "v2 unknown command": v2(0x22, 0x11, bytes(12)),
    "v2 unassigned family": v2(0x21, 0x41, bytes(12)),
    "v2 unassigned transport": v2(0x21, 0x13, bytes(12)),
    "v2 too short for its addresses": v2(0x21, 0x21, bytes(12)),
    "v2 too long": SIGNATURE + b"\x21\x11" + (MAX_V2 - 15).to_bytes(2, "big"),
    "v2 broken signature": SIGNATURE[:-1] + b"\r" + bytes(4),
}


@pytest.mark.parametrize("name", GOOD)
def test_header(name: str) -> None:
    data, expected = GOOD[name]
    assert parse_proxy(data) == (expected, len(data))
    for cut in range(len(data)):
        assert parse_proxy(data[:cut]) is None
    for tail in (b"\x00", b"GET / HTTP/1.1\r\n\r\n", data):
        assert parse_proxy(data + tail) == (expected, len(data))


@pytest.mark.parametrize("name", BAD)
def test_not_a_header(name: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_proxy(BAD[name])
    assert "\n" not in str(caught.value)


def test_the_longest_line_is_the_specifications() -> None:
    line = b"PROXY UNKNOWN " + b"f" * (MAX_V1 - 16) + b"\r\n"
    assert len(line) == MAX_V1
    assert parse_proxy(line) == (ProxyHeader(1), MAX_V1)
    with pytest.raises(RemoteProtocolError):
        parse_proxy(line.replace(b"\r\n", b"f\r\n"))


ports = st.integers(0, 65535)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), ports, ports)
def test_both_versions_tell_the_same_ipv4(source, destination, port, other) -> None:
    line = f"PROXY TCP4 {source} {destination} {port} {other}\r\n".encode()
    binary = tcp4((str(source), port), (str(destination), other))
    one, two = parse_proxy(line), parse_proxy(binary)
    assert one is not None
    assert two is not None
    assert one[0].source == two[0].source == (str(source), port)
    assert one[0].destination == two[0].destination == (str(destination), other)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), ports, ports)
def test_both_versions_tell_the_same_ipv6(source, destination, port, other) -> None:
    line = f"PROXY TCP6 {source} {destination} {port} {other}\r\n".encode()
    one, two = parse_proxy(line), parse_proxy(tcp6((str(source), port), (str(destination), other)))
    assert one is not None
    assert two is not None
    assert (one[0].source, one[0].destination) == (two[0].source, two[0].destination)


# Any bytes lead to a header, to "more", or to RemoteProtocolError; and once it is one of the last two for
# good, more bytes do not change it.
_noise = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.sampled_from([data for data, _ in GOOD.values()]), st.integers(0, 300), st.binary(max_size=64)).map(
        lambda each: each[0][: each[1]] + each[2]
    ),
)


@given(_noise, st.binary(max_size=64))
def test_parsing_is_total_and_settles(data: bytes, more: bytes) -> None:
    try:
        found = parse_proxy(data)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            parse_proxy(data + more)
        return
    if found is None:
        assert len(data) < MAX_V2
    else:
        assert 0 < found[1] <= len(data)
        assert parse_proxy(data + more) == found
