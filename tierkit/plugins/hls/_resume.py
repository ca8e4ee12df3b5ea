"""A body on its way into the store, over as many upstreams as it takes.

An upstream that breaks off or stalls in the middle of a body leaves a growing object behind it that viewers are
reading already.  The rest may come from elsewhere only where it is provably of the same object:

* both answers have the same strong ETag; or
* neither contradicts, Last-Modified is the same, strong as RFC 9110 section 8.8.2.2 has it, and so is the length; or
* the object is a segment, the user has said that its upstreams give the same bytes under the same name
  (`same_bytes`), the length is the same, no validator differs, and the last bytes that we have come again.

What differs disproves: a Content-Encoding, a length, a Last-Modified, an ETag, weak or strong.  Equal bytes alone
prove nothing: transport streams are padded.

The rest is asked for with Range and, where there is a strong validator, If-Range.  A 206 goes on from its first byte;
a 200 of the same object goes on behind the bytes that we have, which are compared and bounded.  Whatever else comes is
another object: the fill fails, every reader is reset, nothing is stored, and the next request begins anew.
"""

from __future__ import annotations

import time

import trio
from attrs import frozen

from tierkit.codecs.http1 import Headers, content_length, get
from tierkit.codecs.http_fields import parse_date
from tierkit.codecs.http_range import parse_content_range
from tierkit.http import ClientResponse
from tierkit.plugin import Filler, StoreFull, UpstreamError

from ._health import BadAnswer

__all__ = ["MAX_SKIP", "OVERLAP", "BrokeOff", "Copy", "Identity", "TooLarge", "copy_body", "different"]

#: Bytes that we have and read again from an upstream that knows no ranges: a segment of 10 s at 6 Mbit/s.
MAX_SKIP = 8 << 20
#: Bytes that are asked for again where only the user's word stands for the object: 21 TS packets.
OVERLAP = 4096
#: Seconds that the upstream is left waiting while the store has no room for more, in all; far below what an upstream
#: takes for a stalled reader (nginx's send_timeout is 60 s).
ROOM_SECONDS = 1.5
ROOM_LOOK = 0.1


class TooLarge(BadAnswer):
    """A body that outgrows what is stored."""


class BrokeOff(UpstreamError):
    """A body that ended before its end; `copy` may go on from elsewhere."""

    def __init__(self, upstream: str, reason: str, copy: Copy) -> None:
        super().__init__(upstream, reason)
        self.copy = copy


@frozen
class Identity:
    """What tells an object from others of its name."""

    #: Bytes in all, None where that is not known.
    total: int | None
    #: Strong or weak, b"" where there is none.
    etag: bytes
    modified: bytes
    #: Whether `modified` was at least a second old when the answer was made: nothing changed it since, unseen.
    settled: bool
    encoding: bytes

    @classmethod
    def of(cls, headers: Headers, total: int | None) -> Identity:
        """From an answer's fields and the length of the whole object."""
        modified = get(headers, b"last-modified") or b""
        changed, made = (parse_date(each, time.time()) for each in (modified, get(headers, b"date") or b""))
        settled = changed is not None and made is not None and made - changed >= 1
        encoding = (get(headers, b"content-encoding") or b"identity").lower()
        return cls(total, get(headers, b"etag") or b"", modified, settled, encoding)

    @property
    def strong(self) -> bool:
        """Whether its ETag names one sequence of bytes."""
        return self.etag.startswith(b'"')

    @property
    def condition(self) -> bytes:
        """For If-Range, which takes strong validators alone (RFC 9110 section 13.1.5); b"" where there is none."""
        if self.strong:
            return self.etag
        return self.modified if self.settled and not self.etag else b""


def contradiction(one: Identity, other: Identity) -> str:
    """What shows that they are two objects, for a person; "" where nothing does."""
    if one.encoding != other.encoding:
        return "another Content-Encoding"
    if None not in (one.total, other.total) and one.total != other.total:
        return f"{other.total} bytes instead of {one.total}"
    if one.etag and other.etag and one.etag.removeprefix(b"W/") != other.etag.removeprefix(b"W/"):
        return "another ETag"
    if one.modified and other.modified and one.modified != other.modified and not (one.strong and other.strong):
        return "another Last-Modified"
    return ""


def same_etag(one: Identity, other: Identity) -> bool:
    """Whether a strong ETag proves them one object."""
    return one.strong and one.etag == other.etag


def same_date(one: Identity, other: Identity) -> bool:
    """Whether Last-Modified and the length prove them one object."""
    dated = bool(one.modified) and one.modified == other.modified and one.settled and other.settled
    return dated and one.total is not None and one.total == other.total


def same_name(one: Identity, other: Identity) -> bool:
    """Whether the user's word is enough: the length is known and the same."""
    return one.total is not None and one.total == other.total


def different(one: Identity, other: Identity, *, trusted: bool) -> str:
    """Why the rest of one cannot be the other's, for a person; "" where it can."""
    if why := contradiction(one, other):
        return f"has {why}"
    if same_etag(one, other) or same_date(one, other) or (trusted and same_name(one, other)):
        return ""
    return "does not say enough to know its object for the same: it needs a strong ETag, or same_bytes=True"


class Copy:
    """One body into one growing object.

    Args:
        filler: it has been started.
        response: the answer that began it.
        limit: bytes that may be stored.
    """

    def __init__(self, filler: Filler, response: ClientResponse, limit: int) -> None:
        #: Whether the user says that a name means the same bytes everywhere.
        self.trusted = False
        #: Bytes that are in the store.
        self.at = 0
        self._fields, self._total = response.headers, response.length
        self._filler = filler
        self._limit = limit
        self._whole = response.status == 200

    @property
    def identity(self) -> Identity:
        """What tells its object from others."""
        return Identity.of(self._fields, self._total)

    def may_go_on(self) -> bool:
        """Whether anything could prove another answer to be of the same object."""
        known = self.identity
        provable = known.strong or ((known.settled or self.trusted) and known.total is not None)
        return self._whole and provable

    @property
    def _overlap(self) -> int:
        return 0 if self.identity.condition else min(self.at, OVERLAP)

    def ask_for(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The fields of a request for the rest, made from those of the first one."""
        fields = [each for each in headers if not each[0].lower().startswith(b"if-")]
        if self.at:
            fields.append((b"Range", b"bytes=%d-" % (self.at - self._overlap)))
            if condition := self.identity.condition:
                fields.append((b"If-Range", condition))
        return fields

    async def go_on(self, name: str, response: ClientResponse) -> None:
        """Take the rest from another answer.

        Raises BadAnswer where it is not of the same object; BrokeOff where it ends early, too.
        """
        if response.status == 206 and self.at:
            end = await self._from_part(name, response)
            await self.run(name, response, end)
            if end < (self._total or end):
                raise BrokeOff(name, f"gave no more than {end} of {self._total} bytes", self)
        elif response.status == 200:
            await self._from_whole(name, response)
            await self.run(name, response)
        else:
            raise BadAnswer(name, f"answered {response.status} when asked for the rest")

    async def _from_part(self, name: str, response: ClientResponse) -> int:
        """Check a 206 and skip what overlaps; where it ends."""
        part = parse_content_range(response.headers)
        if part is None:
            raise BadAnswer(name, "answered 206 without a Content-Range that can be read")
        start, end, total = part.start, part.end, part.length
        declared = content_length(response.headers)
        if start != self.at - self._overlap or end <= self.at:
            raise BadAnswer(name, f"answered with bytes {start} to {end} when asked for those from {self.at}")
        if declared is not None and declared != end - start:
            raise BadAnswer(name, f"answered 206 with {declared} bytes for a range of {end - start}")
        # "*" contradicts no length, and proves none.
        self._check(name, Identity.of(response.headers, total))
        if self._total is None:
            self._total = total
        await self._skip(name, response, start, end)
        return end

    async def _from_whole(self, name: str, response: ClientResponse) -> None:
        self._check(name, Identity.of(response.headers, response.length))
        if self.at > MAX_SKIP:
            raise BadAnswer(name, f"knows no ranges, and {self.at} bytes are too many to read again")
        await self._skip(name, response, 0, self._total)

    def _check(self, name: str, other: Identity) -> None:
        if why := different(self.identity, other, trusted=self.trusted):
            raise BadAnswer(name, why)

    async def _skip(self, name: str, response: ClientResponse, at: int, end: int | None) -> None:
        """Read what we have already, from byte `at` on: it must be the same bytes."""
        entry, have = self._filler.entry, self.at
        assert entry is not None
        while at < have:
            data = await response.read_some()
            if not data:
                raise BadAnswer(name, "has fewer bytes than we have")
            ours = entry.blob.read(at, min(len(data), have - at))
            if not data.startswith(ours):
                raise BadAnswer(name, "has other bytes under the same name")
            at += len(ours)
            if len(data) > len(ours):
                await self._keep(name, data[len(ours) :], end)

    async def run(self, name: str, response: ClientResponse, end: int | None = None) -> None:
        """Copy until byte `end`, or to the end of the object.  Raises BrokeOff, TooLarge or StoreFull."""
        end = self._total if end is None else end
        # What has all its bytes is complete, however its last frame ends.
        while end is None or self.at < end:
            try:
                data = await response.read_some()
            except UpstreamError as error:
                raise BrokeOff(name, error.reason, self) from error
            if not data:
                break
            await self._keep(name, data, end)
        if end is not None and self.at < end:
            raise BrokeOff(name, f"ended {end - self.at} bytes early", self)

    async def _keep(self, name: str, data: bytes, end: int | None) -> None:
        if end is not None and self.at + len(data) > end:
            raise BadAnswer(name, f"sent more than the {end} bytes that there are")
        if self.at + len(data) > self._limit:
            raise TooLarge(name, f"sent more than {self._limit} bytes: raise max_object")
        await self._write(data)
        self.at += len(data)

    async def _write(self, data: bytes) -> None:
        """Into the store; while that has no room, nothing is read from upstream, which so has to wait."""
        pause, waited = ROOM_LOOK, 0.0
        while True:
            try:
                return self._filler.write(data)
            except StoreFull:
                if waited >= ROOM_SECONDS:
                    raise
            await trio.sleep(pause)
            waited, pause = waited + pause, 2 * pause


async def copy_body(filler: Filler, name: str, response: ClientResponse, limit: int) -> None:
    """Copy a body, from the upstream of that name, into an object that has been started.

    Raises:
        BrokeOff: it ended early; `Asker` goes on elsewhere where that can be.
        TooLarge: it is longer than `limit` bytes.
        StoreFull: there is no room, and none came free in time.
    """
    await Copy(filler, response, limit).run(name, response)
