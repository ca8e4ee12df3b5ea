"""Bytes that grow and are never rewritten: small ones as bytes, larger ones as one memfd.

Up to 64 KiB an object is bytes and leaves in one call with its head.  A larger one is a memfd that is
appended to as it arrives and sent by `os.sendfile`, also while it grows; pages that are in flight must not
change, so nothing is ever written over.  Where no memfd may be made (they get a quarter of the descriptors)
it stays bytes.

TLS has to read what it encrypts.  For that a finished memfd is mapped once, for all its readers: a copy by
`pread` was a sixth of what a segment over HTTPS cost.  The mapped pages are the memfd's own; they show in
the process's RSS (RssShmem) and are nowhere counted twice by the kernel.
"""

from __future__ import annotations

import mmap
import os

from ._ports import Blob, Descriptors

__all__ = ["SMALL", "GrowingBlob", "pages"]

#: Largest object kept as bytes: a memfd costs 19 µs, a descriptor and 5.9 kB of kernel memory for even 400 bytes.
SMALL = 65536
#: A mapping costs a descriptor more (Python's mmap keeps its own until `trackfd` of 3.13) and is counted as a
#: memfd; of the quarter that those may use, this part of all is left to objects that are yet to come.
MAPS_LEAVE = 8


class GrowingBlob(Blob):
    """Bytes that grow at their end.

    Attributes:
        size: bytes so far.
    """

    def __init__(self, descriptors: Descriptors) -> None:
        self.size = 0
        self._descriptors = descriptors
        self._bytes: bytearray | bytes = bytearray()
        self._fd = -1
        self._closed = False
        self._finished = False
        #: The whole of a finished memfd, once somebody has asked for a view of it.
        self._mapped = memoryview(b"")

    @property
    def in_kernel(self) -> bool:
        """Whether it is a memfd, which `os.sendfile` can send."""
        return self._fd >= 0

    @property
    def cost(self) -> int:
        """What it takes of a memory budget, bytes: a memfd is counted in whole pages."""
        return pages(self.size) if self.in_kernel else self.size

    def append(self, data: bytes) -> None:
        """Add to its end.  Raises OSError where the kernel has no memory for it."""
        if self._closed:
            raise ValueError("the blob is closed")
        if not self.in_kernel and self.size + len(data) > SMALL and self._descriptors.memfds_free > 0:
            self._move()
        if self.in_kernel:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
            self._descriptors.memfd_bytes += pages(self.size + len(data)) - pages(self.size)
        else:
            assert isinstance(self._bytes, bytearray)
            self._bytes += data
        self.size += len(data)

    def finish(self) -> None:
        """Nothing will be added: small ones become immutable, and are sent without a copy."""
        self._finished = True
        if not self.in_kernel:
            self._bytes = bytes(self._bytes)

    def fileno(self) -> int:
        """The memfd.  Raises ValueError where it is not one."""
        if self._fd < 0:
            raise ValueError("the blob is not in the kernel")
        return self._fd

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer at the end of what is there."""
        if self.in_kernel:
            return os.pread(self._fd, count, offset)
        if offset == 0 and count >= self.size and isinstance(self._bytes, bytes):
            return self._bytes
        return bytes(self._bytes[offset : offset + count])

    def view(self, offset: int, count: int) -> memoryview:
        """Like `read`; of a finished memfd without a copy, by a mapping that is made when first asked for."""
        if self._finished and not self._mapped and self.in_kernel:
            self._map()
        if offset + count <= len(self._mapped):
            return self._mapped[offset : offset + count]
        return memoryview(self.read(offset, count))

    def _map(self) -> None:
        if self._descriptors.memfds_free <= self._descriptors.limit // MAPS_LEAVE:
            return
        try:
            found = mmap.mmap(self._fd, self.size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
        except OSError:
            return  # mappings are bounded too (vm.max_map_count): reading by copies is slower, not wrong
        self._descriptors.memfds += 1
        self._mapped = memoryview(found)

    def close(self) -> None:
        """Give the memory back.  Idempotent.  What `view` gave lives until it is let go of."""
        self._closed = True
        self._bytes = b""
        if self._mapped:
            self._mapped = memoryview(b"")  # the last view of a mapping ends it
            self._descriptors.memfds -= 1
        if self._fd >= 0:
            os.close(self._fd)
            self._descriptors.memfds -= 1
            self._descriptors.memfd_bytes -= pages(self.size)
            self._fd = -1

    def _move(self) -> None:
        try:
            self._fd = os.memfd_create("tierkit", os.MFD_CLOEXEC)
        except OSError:
            return  # out of descriptors after all: bytes are dearer, not wrong
        self._descriptors.memfds += 1
        self._descriptors.memfd_bytes += pages(self.size)
        view = memoryview(self._bytes)
        while view:
            view = view[os.write(self._fd, view) :]
        self._bytes = b""


def pages(size: int) -> int:
    """A size in bytes rounded up to whole pages."""
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
