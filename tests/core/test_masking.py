"""How much of an address is told."""

from __future__ import annotations

import pytest

from tierkit._masking import mask, mask_host
from tierkit.plugin import Peer

CASES = [
    (Peer("198.51.100.77", 40312), "198.51.100.77:40312", "198.51.100.0", "-"),
    (Peer("198.51.100.77"), "198.51.100.77", "198.51.100.0", "-"),
    (Peer("2001:db8:12:3456::9", 5), "[2001:db8:12:3456::9]:5", "2001:db8:12::", "-"),
    (Peer("2001:db8:12:3456::9"), "[2001:db8:12:3456::9]", "2001:db8:12::", "-"),
    (Peer("::ffff:198.51.100.77", 5), "[::ffff:198.51.100.77]:5", "198.51.100.0", "-"),
    (Peer("fe80::1%eth0", 5), "[fe80::1%eth0]:5", "fe80::", "-"),
    (Peer("127.0.0.1", 5), "127.0.0.1:5", "127.0.0.1", "-"),
    (Peer("::1", 5), "[::1]:5", "::1", "-"),
    (Peer("unix"), "unix", "unix", "unix"),
    (Peer("viewer", 7), "viewer:7", "viewer:7", "viewer:7"),
    ("", "", "", ""),
    ("-", "-", "-", "-"),
    ("rtmp://wowza.example:1935", *("rtmp://wowza.example:1935",) * 3),
]


@pytest.mark.parametrize(("peer", "full", "truncated", "none"), CASES)
def test_a_peer_is_told(peer: object, full: str, truncated: str, none: str) -> None:
    assert [mask(str(peer), how) for how in ("full", "truncated", "none")] == [full, truncated, none]


def test_a_host_alone() -> None:
    assert mask_host("2001:db8:12:3456::9", "truncated") == "2001:db8:12::"
    assert mask_host("192.0.2.9", "truncated") == "192.0.2.0"
    assert mask_host("unix", "none") == "unix"


def test_what_is_told_once_is_told_the_same_again() -> None:
    for peer, *_ in CASES:
        once = mask(str(peer), "truncated")
        assert mask(once, "truncated") == once
