"""Requests that two servers could read in two ways never get past an edge, whatever its policy."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.codecs.test_http1 import EVERY

from .edge_rig import SEGMENT, open_edge

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
#: Bodies whose framing is broken: (head fields, body).
BODIES = {
    "a chunk size of another base": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with a plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size with an underscore": b"1_0\r\nhello\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": b"5\r\nhelloXX\r\n0\r\n\r\n",
    "a chunk without a size": b"\r\nhello\r\n0\r\n\r\n",
    "a bare LF behind the size": b"5\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("policy", ["live", "rfc9111"])
@pytest.mark.parametrize("name", EVERY)
async def test_what_can_be_read_in_two_ways_reaches_nobody(name: str, policy: str, autojump_clock: MockClock) -> None:
    data, status = EVERY[name]
    async with open_edge(policy=policy) as rig:
        viewer = await rig.viewer()
        await viewer.say(data + SMUGGLED)
        said = await viewer.rest()
        assert said.startswith(b"HTTP/1.1 %d " % status)
        assert said.count(b"HTTP/1.1 ") == 1  # and nothing behind it is answered
        assert b"connection: close" in said.lower()
        assert rig.origin.asked == []


@pytest.mark.parametrize("name", BODIES)
async def test_a_broken_body_ends_the_connection_and_the_request(name: str, autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        viewer = await rig.viewer()
        head = b"POST %s HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n" % SEGMENT.encode()
        await viewer.say(head + BODIES[name] + SMUGGLED)
        said = await viewer.rest()
        assert said.count(b"HTTP/1.1 ") <= 1
        assert b"HTTP/1.1 200" not in said
        assert all(request.path != "/smuggled" for request in rig.origin.asked)
