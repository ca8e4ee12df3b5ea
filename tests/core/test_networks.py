"""Sets of networks: what is in them, whatever it is spelt like."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Address, AddressError, Trust
from tierkit._net import RealNetwork
from tierkit.errors import ConnectionLost
from tierkit.plugin import Networks


@pytest.mark.parametrize("host", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_public(host: str) -> None:
    assert host in Networks(["public"])


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "2002:7f00:1::", "2002:a00:1::1",
     "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::10.0.0.1", "fec0::1", "unix"],
)  # fmt: skip
def test_not_public(host: str) -> None:
    assert host not in Networks(["public"])


def test_a_network_has_its_addresses_in_either_spelling() -> None:
    ours = Networks(["10.0.0.0/8"])
    for spelt in ("10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"):
        assert spelt in ours
    assert "::ffff:11.1.2.3" not in ours


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_the_same_one_in_its_ipv6_spelling(address: IPv4Address) -> None:
    for spelt in (["public"], ["10.0.0.0/8", "127.0.0.0/8"], ["0.0.0.0/1"]):
        assert (str(address) in Networks(spelt)) == (f"::ffff:{address}" in Networks(spelt))


@given(st.ip_addresses(), st.integers(0, 32))
def test_an_address_is_in_each_network_around_it(address: object, bits: int) -> None:
    assert str(ip_address(str(address))) in Networks([f"{address}/{bits}"])


@pytest.mark.parametrize("spelt", ["10.2", "10.0.0.0/33", "example", ""])
def test_what_is_no_network_is_told(spelt: str) -> None:
    with pytest.raises(AddressError, match="is no network"):
        Trust(networks=spelt or ("",))


async def test_nothing_else_is_dialled() -> None:
    network = RealNetwork()
    for host in ("127.0.0.1", "localhost", "[::1]"):
        with pytest.raises(ConnectionLost, match=r"was not dialled: .* is not in public"):
            await network.connect(Address.parse(f"http://{host}:9"), trust=Trust(networks="public"))
    with pytest.raises(ConnectionLost, match="refuses"):
        await network.connect(Address.parse("http://127.0.0.1:9"), trust=Trust(networks=("public", "127.0.0.1")))
    assert network.descriptors.connections == 0
