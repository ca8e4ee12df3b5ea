"""TLS: what a connection keeps in memory, and what is encrypted without being copied first."""

from __future__ import annotations

import mmap
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from tierkit import Certificate, Listener
from tierkit._blob import MAPS_LEAVE, SMALL, GrowingBlob
from tierkit._net import RealNetwork
from tierkit._ports import Descriptors
from tierkit._tls import BATCH, TLSConnection
from tierkit.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from tierkit.testing import pattern, read_exactly

from .conftest import Papers

#: What TLS 1.3 adds to a record: header, content type, tag (RFC 8446 section 5.2).
ADDED = 22


@asynccontextmanager
async def pairs(
    papers: Papers, certificate: Certificate, count: int
) -> AsyncIterator[list[tuple[TLSConnection, TLSConnection]]]:
    """Connections with both ends in this run: (near, far) each."""
    with trio.fail_after(20):
        network = RealNetwork()
        bound = await network.listen(Listener("https://127.0.0.1:0", (certificate,)))
        found = []

        async def accept() -> None:
            connection = await bound.accept()
            assert isinstance(connection, TLSConnection)
            far.append(connection)
            await connection.establish()

        for _ in range(count):
            far: list[TLSConnection] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(accept)
                near = await network.connect(bound.address, trust=papers.trust)
            assert isinstance(near, TLSConnection)
            found.append((near, far[0]))
        yield found
        for near, other in found:
            near.abort()
            other.abort()
        bound.close()


def blob_of(data: bytes, descriptors: Descriptors) -> GrowingBlob:
    blob = GrowingBlob(descriptors)
    blob.append(data)
    return blob


def descriptors_open() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- views of a blob -----------------------------------------------------------------------------


def test_a_finished_memfd_is_mapped_once_and_let_go() -> None:
    before, descriptors = descriptors_open(), Descriptors(limit=1024)
    data = pattern(300_000)
    blob = blob_of(data, descriptors)
    blob.finish()
    assert descriptors.memfds == 1
    view = blob.view(1000, 5000)
    assert view == data[1000:6000]
    assert isinstance(view.obj, mmap.mmap)
    assert view.readonly
    assert blob.view(0, 300_000).obj is view.obj
    assert descriptors.memfds == 2  # Python's mmap has a descriptor of its own
    assert descriptors_open() == before + 2
    blob.close()
    assert descriptors.memfds == 0
    assert view == data[1000:6000]  # a view outlives its blob, and keeps the pages
    del view
    assert descriptors_open() == before


def test_a_growing_memfd_is_not_mapped_yet() -> None:
    descriptors = Descriptors(limit=1024)
    blob = blob_of(pattern(100_000), descriptors)
    assert blob.view(90_000, 50_000) == pattern(100_000)[90_000:]
    blob.append(b"more")
    assert bytes(blob.view(100_000, 50_000)) == b"more"
    assert descriptors.memfds == 1
    blob.close()


def test_a_view_ends_where_the_blob_does() -> None:
    blob = blob_of(pattern(100_000), Descriptors(limit=1024))
    blob.finish()
    assert blob.view(0, 10) == pattern(10)  # it is mapped now
    assert blob.view(99_990, 100) == pattern(100_000)[99_990:]
    assert bytes(blob.view(100_000, 100)) == b""
    blob.close()


def test_small_blobs_are_viewed_where_they_are() -> None:
    blob = blob_of(b"0123456789", Descriptors(limit=1024))
    assert bytes(blob.view(2, 3)) == b"234"
    blob.finish()
    assert bytes(blob.view(0, SMALL)) == b"0123456789"
    blob.close()


def test_mappings_leave_descriptors_to_objects_yet_to_come() -> None:
    descriptors = Descriptors(limit=80)  # 20 memfds
    blob = blob_of(pattern(100_000), descriptors)
    blob.finish()
    descriptors.memfds = 20 - 80 // MAPS_LEAVE
    assert blob.view(0, 10) == pattern(10)
    assert descriptors.memfds == 20 - 80 // MAPS_LEAVE
    descriptors.memfds -= 1
    assert isinstance(blob.view(0, 10).obj, mmap.mmap)
    blob.close()


def test_where_the_kernel_has_no_mapping_left_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("tierkit._blob.mmap.mmap", none_left)
    descriptors = Descriptors(limit=1024)
    blob = blob_of(pattern(100_000), descriptors)
    blob.finish()
    assert blob.view(5, 10) == pattern(100)[5:15]
    assert descriptors.memfds == 1
    blob.close()


# --- what is sent --------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [True, False])
async def test_blobs_arrive_to_the_byte(papers: Papers, local_certificate: Certificate, finished: bool) -> None:
    data = random.Random(3).randbytes(700_001)
    blob = blob_of(data, Descriptors(limit=1024))
    if finished:
        blob.finish()
    async with pairs(papers, local_certificate, 1) as [(near, far)], trio.open_nursery() as nursery:
        nursery.start_soon(far.sendfile_all, blob, 1, 700_000)
        assert await read_exactly(near, 700_000) == data[1:]
    blob.close()


async def test_a_blob_that_ends_early_is_our_own_mistake(papers: Papers, local_certificate: Certificate) -> None:
    blob = blob_of(pattern(100_000), Descriptors(limit=1024))
    blob.finish()
    async with pairs(papers, local_certificate, 1) as [(_, far)]:
        with pytest.raises(LocalProtocolError, match="asked to send 200 bytes at 99900 of a blob that ends before"):
            far.sendfile_nowait(blob, 99_900, 200)
    blob.close()


async def test_connections_that_share_the_buffer_never_mix(papers: Papers, local_certificate: Certificate) -> None:
    chance = random.Random(5)
    async with pairs(papers, local_certificate, 6) as ends:
        sent = [bytearray() for _ in ends]

        async def write(index: int) -> None:
            for _ in range(25):
                data = chance.randbytes(chance.choice([1, 300, 16_384, 16_385, 41_000, 100_000]))
                sent[index] += data
                await ends[index][1].send_all(data)
                await trio.lowlevel.checkpoint()
            ends[index][1].end_output()

        async def read(index: int) -> None:
            found = bytearray()
            while data := await ends[index][0].recv():
                found += data
            assert found == sent[index]

        async with trio.open_nursery() as nursery:
            for index in range(len(ends)):
                nursery.start_soon(write, index)
                nursery.start_soon(read, index)


async def test_nothing_stays_in_the_shared_buffer(papers: Papers, local_certificate: Certificate) -> None:
    async with pairs(papers, local_certificate, 2) as [(near, far), (other, another)]:
        shared = far._outgoing
        assert all(each._outgoing is shared for each in (near, other, another))
        assert not shared.pending
        near.send_nowait(b"request")
        assert not shared.pending
        assert await far.recv() == b"request"
        far.send_nowait(pattern(50_000_000))
        assert not shared.pending
        far.end_output()
        assert not shared.pending
        other._inner.send_nowait(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(RemoteProtocolError):
            await another.recv()
        assert not shared.pending  # the alert has been taken out
        near.close()
        assert not shared.pending


async def test_a_broken_record_is_told_to_its_sender(papers: Papers, local_certificate: Certificate) -> None:
    async with pairs(papers, local_certificate, 1) as [(near, far)]:
        near._inner.send_nowait(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(RemoteProtocolError):
            await far.recv()
        with pytest.raises(RemoteProtocolError, match="ended TLS with an error"):
            await near.recv()


async def test_a_stalled_viewer_keeps_one_batch_and_not_a_byte_more(
    papers: Papers, local_certificate: Certificate
) -> None:
    blob = blob_of(pattern(20_000_000), Descriptors(limit=1024))
    blob.finish()
    async with pairs(papers, local_certificate, 1) as [(_, far)]:
        taken = far.sendfile_nowait(blob, 0, 20_000_000)
        assert 0 < taken < 20_000_000
        assert far.sendfile_nowait(blob, taken, 100) == 0
        kept = far._rest
        assert 0 < len(kept) <= BATCH + 2 * ADDED
        assert isinstance(kept.obj, bytes)
        assert sys.getsizeof(kept.obj) < len(kept) + 100  # nothing larger hides behind it
    blob.close()


async def test_what_may_wait_for_more_arrives_without_it(papers: Papers, local_certificate: Certificate) -> None:
    async with pairs(papers, local_certificate, 1) as [(near, far)]:
        far.send_nowait(b"head", more=True)
        assert await near.recv() == b"head"


async def test_a_connection_that_is_closed_encrypts_nothing(papers: Papers, local_certificate: Certificate) -> None:
    async with pairs(papers, local_certificate, 1) as [(_, far)]:
        far.close()
        with pytest.raises(ConnectionLost, match="closed by ourselves"):
            far.send_nowait(b"x")
        assert not far._outgoing.pending
