"""Parts of objects at the edge: several at once, conditions of many kinds, also of what lies in the kernel."""

from __future__ import annotations

from email import message_from_bytes

import pytest
import trio
from trio.testing import MockClock

from tests.support_http import Answer

from .edge_rig import PLAYLIST, SEGMENT, dripping, open_edge, plain

LARGE = bytes(i * 7 % 251 for i in range(200_000))
MODIFIED = (b"Last-Modified", b"Sat, 23 Nov 2013 20:00:00 GMT")
DATE = (b"Date", b"Sat, 23 Nov 2013 21:00:00 GMT")


def parts(answer: Answer) -> list[tuple[str, str, bytes]]:
    """Content-Type, Content-Range and bytes of each part, as Python's own reader of MIME has them."""
    kind = answer.get(b"content-type") or b""
    message = message_from_bytes(b"Content-Type: " + kind + b"\r\n\r\n" + answer.body)
    found = []
    for each in message.walk():
        if not each.is_multipart():
            payload = each.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append((each["content-type"], each["content-range"], payload))
    return found


@pytest.mark.parametrize("stored", [True, False])
async def test_several_ranges_come_in_parts(stored: bool, autojump_clock: MockClock) -> None:
    text = b"0123456789"
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(text)
        if stored:
            await rig.get()
        answer = await rig.get(SEGMENT, "Range: bytes=0-1, 4-5, -2")
        assert answer.status == 206
        assert answer.get(b"content-range") is None
        assert answer.get(b"content-length") == b"%d" % len(answer.body)
        assert parts(answer) == [
            ("video/MP2T", "bytes 0-1/10", b"01"),
            ("video/MP2T", "bytes 4-5/10", b"45"),
            ("video/MP2T", "bytes 8-9/10", b"89"),
        ]
        assert rig.origin.count(SEGMENT) == 1
        assert rig.origin.asked[0].get(b"range") is None


async def test_parts_of_what_lies_in_the_kernel(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(LARGE)
        await rig.get()
        answer = await rig.get(SEGMENT, "Range: bytes=5-6,100000-199999")
        assert answer.get(b"content-length") == b"%d" % len(answer.body)
        frame = answer.body
        assert LARGE[100_000:] in frame
        assert b"bytes 100000-199999/200000\r\n\r\n" + LARGE[100_000:] + b"\r\n--" in frame
        assert b"bytes 5-6/200000\r\n\r\n" + LARGE[5:7] + b"\r\n--" in frame


async def test_parts_of_what_still_grows(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", b"56789", pause=2, length=10)
        start = trio.current_time()
        answer = await rig.get(SEGMENT, "Range: bytes=1-2,7-8")
        assert [each[1:] for each in parts(answer)] == [("bytes 1-2/10", b"12"), ("bytes 7-8/10", b"78")]
        assert trio.current_time() - start == pytest.approx(2, abs=0.5)


async def test_boundaries_cannot_be_foreseen() -> None:
    async with open_edge() as rig:
        kinds = {(await rig.get(SEGMENT, "Range: bytes=0-1,3-4")).get(b"content-type") for _ in range(5)}
        assert len(kinds) == 5


async def test_several_ranges_of_an_object_of_unknown_length_get_the_whole(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", b"56789")
        answer = await rig.get(SEGMENT, "Range: bytes=1-2,7-8")
        assert (answer.status, answer.body) == (200, b"0123456789")


@pytest.mark.parametrize("wanted", ["0-1,1-2", "4-5,0-1", ",".join(f"{i}-{i}" for i in range(9))])
async def test_ranges_that_multiply_work_get_the_whole(wanted: str) -> None:
    async with open_edge() as rig:
        answer = await rig.get(SEGMENT, f"Range: bytes={wanted}")
        assert (answer.status, answer.body) == (200, b"segment one")


@pytest.mark.parametrize("wanted", ["0-1", "0-1,3-4"])
async def test_a_playlist_comes_whole(wanted: str) -> None:
    async with open_edge() as rig:
        for _ in range(2):
            assert (await rig.get(PLAYLIST, f"Range: bytes={wanted}")).status == 200


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"1"', 206),
        ('W/"1"', 200),
        ('"2"', 200),
        ("Sat, 23 Nov 2013 20:00:00 GMT", 206),
        ("Sat, 23 Nov 2013 20:00:01 GMT", 200),
    ],
)
async def test_if_range(condition: str, status: int) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"0123456789", (b"ETag", b'"1"'), MODIFIED, DATE)
        for _ in range(2):
            assert (await rig.get(SEGMENT, "Range: bytes=0-1", f"If-Range: {condition}")).status == status


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("If-Modified-Since: Sat, 23 Nov 2013 20:00:00 GMT", 304),
        ("If-Modified-Since: Sat, 23 Nov 2013 22:00:00 GMT", 304),
        ("If-Modified-Since: Saturday, 23-Nov-13 22:00:00 GMT", 304),
        ("If-Modified-Since: Sat Nov 23 22:00:00 2013", 304),
        ("If-Modified-Since: Sat, 23 Nov 2013 19:00:00 GMT", 200),
        ("If-Modified-Since: yesterday", 200),
        ('If-None-Match: "x", W/"1"', 304),
        ('If-None-Match: "a,b"', 200),
        ("If-None-Match: 1", 200),
    ],
)
async def test_conditions(condition: str, status: int) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"0123456789", (b"ETag", b'"1"'), MODIFIED, DATE, (b"X-Other", b"y"))
        for _ in range(2):
            answer = await rig.get(SEGMENT, condition)
            assert answer.status == status
            assert (answer.get(b"etag"), answer.get(b"date")) == (b'"1"', DATE[1])
            assert (answer.get(b"content-type") is None) == (answer.get(b"x-other") is None) == (status == 304)
            assert answer.get(b"age") is not None
            assert answer.get(b"access-control-allow-origin") == b"*"


async def test_what_came_in_upstreams_cache_status_stays_in_front() -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"0123456789", (b"Cache-Status", b"Far; hit; ttl=3"))
        await rig.get()
        answer = await rig.get()
        assert (answer.get(b"cache-status") or b"").startswith(b"Far; hit; ttl=3, tierkit-edge; hit; ttl=")
