"""Upstreams that break off in the middle of a body: when the rest comes from elsewhere, and when readers are reset."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import Rig
from tests.plugins.upstreams_rig import BODY, DATE, OLDER, SEGMENT, Mirror, asker, mirrored
from tests.support_http import Viewer
from tierkit.errors import ConnectionLost
from tierkit.events import StreamFault, UpstreamBack, UpstreamLost
from tierkit.http import Request, Response
from tierkit.plugins.hls._ask import RESUMPTIONS
from tierkit.plugins.hls._resume import OVERLAP, Identity, different

CUT = 40_000


async def read(rig: Rig, path: str = SEGMENT) -> bytes | None:
    """The body as a viewer gets it; None where he is reset."""
    viewer = await rig.viewer()
    try:
        answer = await viewer.ask(path)
        assert answer.status == 200
        return answer.body
    except ConnectionLost:
        return None
    finally:
        viewer.connection.close()


def broken(**how: object) -> Mirror:
    return Mirror(breaks=[CUT], **how)  # type: ignore[arg-type]


def gone(**how: object) -> Mirror:
    """Breaks off, and has nothing any more when it is asked for the rest."""
    return broken(rest=lambda request: Response(404), **how)


# --- going on --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["abort", "stall"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_breaks_off_goes_on_at_the_next_upstream(
    how: str, framing: str, autojump_clock: MockClock
) -> None:
    a, b = broken(how=how, framing=framing), Mirror(framing=framing)
    async with mirrored(a, b, between_bytes_timeout=5) as rig:
        bodies: list[bytes | None] = []

        async def viewer() -> None:
            bodies.append(await read(rig))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(viewer)
        assert bodies == [BODY] * 5
        assert (a.ranges_asked(), b.ranges_asked()) == ([None], [b"bytes=%d-" % CUT])
        assert b.asked[0].get(b"if-range") == b'"one"'
        assert b.sent == len(BODY) - CUT
        assert await read(rig) == BODY  # it was stored whole
        assert len(a.asked) + len(b.asked) == 2
        assert (asker(rig).resumed, asker(rig).broken) == (1, 0)
        # One line for the break.
        (lost,) = rig.events.of(UpstreamLost)
        assert lost.upstream == "a"
        assert not rig.events.of(StreamFault)


async def test_a_body_goes_on_at_the_same_upstream_where_there_is_no_other(autojump_clock: MockClock) -> None:
    a = broken()
    async with mirrored(a) as rig:
        assert await read(rig) == BODY
        assert a.ranges_asked() == [None, b"bytes=%d-" % CUT]
        assert len(rig.network.connections) == 3  # the viewer's, and a fresh one behind the one that broke
        assert (len(rig.events.of(UpstreamLost)), len(rig.events.of(UpstreamBack))) == (1, 1)


async def test_a_body_that_breaks_off_again_and_again_goes_on_so_often_and_no_more(autojump_clock: MockClock) -> None:
    often = Mirror(breaks=[1000] * RESUMPTIONS)
    async with mirrored(often) as rig:
        assert await read(rig) == BODY
        assert often.ranges_asked() == [None, *(b"bytes=%d000-" % (i + 1) for i in range(RESUMPTIONS))]
    endless = Mirror(breaks=[1000] * 100)
    async with mirrored(endless) as rig:
        assert await read(rig) is None
        assert len(endless.asked) == RESUMPTIONS + 1
        assert asker(rig).broken == 1


async def test_a_body_that_breaks_off_before_its_first_byte_is_asked_for_anew(autojump_clock: MockClock) -> None:
    a, b = Mirror(breaks=[0]), Mirror()
    async with mirrored(a, b) as rig:
        assert await read(rig) == BODY
        assert b.ranges_asked() == [None]


async def test_an_upstream_that_fails_before_its_head_is_not_waited_for(autojump_clock: MockClock) -> None:
    b = Mirror()
    async with mirrored(None, b) as rig:
        assert await read(rig) == BODY
        assert b.ranges_asked() == [None]
        assert asker(rig).resumed == 0


async def test_the_rest_is_asked_of_who_is_up(autojump_clock: MockClock) -> None:
    a, c = broken(), Mirror()
    async with mirrored(a, None, c) as rig:
        assert await read(rig) == BODY
        assert c.ranges_asked() == [b"bytes=%d-" % CUT]
        assert sorted(event.upstream for event in rig.events.of(UpstreamLost)) == ["a", "b"]


async def test_conditions_of_a_revalidation_do_not_stand_beside_a_range(autojump_clock: MockClock) -> None:
    a = Mirror(fields=[(b"Cache-Control", b"max-age=1")])
    path = "/live/s/poster.jpg"
    async with mirrored(a) as rig:
        assert await read(rig, path) == BODY
        await trio.sleep(1000)
        a.etag, a.breaks = b'"two"', [CUT]
        assert await read(rig, path) == BODY
        revalidation, rest = a.asked[1:]
        assert revalidation.get(b"if-none-match") == b'"one"'
        assert (rest.get(b"if-none-match"), rest.get(b"if-range")) == (None, b'"two"')


# --- a whole answer instead of a part ----------------------------------------------------------------


async def test_a_whole_answer_of_the_same_object_is_read_over_up_to_where_we_are(autojump_clock: MockClock) -> None:
    a, b = broken(), Mirror(ranges=False)
    async with mirrored(a, b) as rig:
        assert await read(rig) == BODY
        assert b.sent == len(BODY)


@pytest.mark.parametrize("piece", [1, 999, 100_000])
async def test_what_is_read_over_may_end_within_a_piece(piece: int, autojump_clock: MockClock) -> None:
    body = BODY[:5000]
    a, b = gone(body=body), Mirror(ranges=False, body=body, piece=piece)
    a.breaks = [2500]
    async with mirrored(a, b) as rig:
        assert await read(rig) == body
        assert (len(a.asked), len(b.asked), asker(rig).resumed) == (1, 1, 1)


async def test_what_has_all_its_bytes_is_complete_however_it_ends(autojump_clock: MockClock) -> None:
    """The rest comes in chunks, and the last one, which only says so, never does."""
    a, b = gone(), Mirror(framing="chunked", breaks=[len(BODY) - CUT], how="stall")
    async with mirrored(a, b) as rig:
        assert await read(rig) == BODY
        await trio.sleep(1)
        assert (rig.statistics().store.filling, asker(rig).resumed, asker(rig).broken) == (0, 1, 0)


async def test_what_is_read_over_is_bounded(autojump_clock: MockClock) -> None:
    body = bytes(9 << 20)
    a, b = gone(body=body), Mirror(ranges=False, body=body)
    a.breaks, a.piece, b.piece = [len(body) - 1], 1 << 18, 1 << 18
    async with mirrored(a, b) as rig:
        assert await read(rig) is None
        assert len(b.asked) == 1
        assert b.sent < len(body)


async def test_what_is_read_over_must_be_the_same_bytes(autojump_clock: MockClock) -> None:
    other = bytearray(BODY)
    other[CUT - 1] ^= 1
    async with mirrored(gone(), Mirror(ranges=False, body=bytes(other))) as rig:
        assert await read(rig) is None


# --- another object ------------------------------------------------------------------------------------


def part(start: int, end: int, total: bytes, *, body: bytes | None = None, etag: bytes = b'"one"') -> Response:
    fields = [(b"ETag", etag), (b"Content-Range", b"bytes %d-%d/%b" % (start, end - 1, total))]
    return Response(206, fields, BODY[start:end] if body is None else body)


SIZE = len(BODY)
TOTAL = b"%d" % SIZE


@pytest.mark.parametrize(
    "rest",
    [
        Response(416, [(b"Content-Range", b"bytes */" + TOTAL)]),
        Response(404),
        Response(500),
        Response(200, [(b"ETag", b'"other"')], BODY),
        Response(200, [(b"ETag", b'"one"')], BODY + b"x"),
        Response(200, [], BODY),
        Response(206, [(b"ETag", b'"one"')], BODY[CUT:]),
        Response(206, [(b"ETag", b'"one"'), (b"Content-Type", b"multipart/byteranges; boundary=x")], b"--x--"),
        part(CUT, SIZE, TOTAL, etag=b'"other"'),
        part(CUT, SIZE, TOTAL, etag=b'W/"one"'),
        part(CUT, SIZE, TOTAL, etag=b""),
        part(CUT, SIZE, b"%d" % (SIZE + 1)),
        part(CUT - 1, SIZE, TOTAL),
        part(CUT + 1, SIZE, TOTAL),
        part(0, CUT, TOTAL),
        part(CUT, SIZE, TOTAL, body=BODY[CUT:-1]),
        part(CUT, SIZE, TOTAL, body=BODY[CUT:] + b"x"),
        Response(206, [*part(CUT, SIZE, TOTAL).headers, (b"Content-Encoding", b"gzip")], BODY[CUT:]),
    ],
)  # fmt: skip
async def test_anything_else_resets_every_reader_and_stores_nothing(rest: Response, autojump_clock: MockClock) -> None:
    a, b = broken(), Mirror(rest=lambda request: rest)
    a.rest = b.rest
    async with mirrored(a, b) as rig:
        assert await read(rig) is None
        assert (len(b.asked), asker(rig).resumed, asker(rig).broken) == (1, 0, 1)
        assert rig.statistics().store.objects == rig.statistics().store.used == 0
        lines = [*rig.events.of(UpstreamLost), *rig.events.of(StreamFault)]
        assert len(lines) == 1
        # And the next request begins anew.
        a.rest = b.rest = None
        assert await read(rig) == BODY


async def test_a_part_of_the_rest_is_taken_and_the_rest_of_it_asked_for(autojump_clock: MockClock) -> None:
    a, b = broken(), Mirror()

    def half(request: Request) -> Response:
        b.rest = None
        return part(CUT, SIZE - 100, TOTAL)

    b.rest = half
    async with mirrored(a, b) as rig:
        assert await read(rig) == BODY
        # Whoever gave less than there is goes behind the other.
        assert a.ranges_asked() == [None, b"bytes=%d-" % (SIZE - 100)]


async def test_without_proof_nobody_is_asked(autojump_clock: MockClock) -> None:
    a, b = broken(etag=b""), Mirror(etag=b"")
    async with mirrored(a, b) as rig:
        assert await read(rig) is None
        assert len(a.asked) + len(b.asked) == 1


async def test_what_is_not_a_200_does_not_go_on(autojump_clock: MockClock) -> None:
    a, b = Mirror(), Mirror()

    async def missing(request: Request) -> Response:
        made = a.answer()
        made.status = 404
        a.asked.append(request)
        return made

    a.breaks = [CUT]
    async with mirrored(missing, b) as rig:
        viewer = await rig.viewer()
        with pytest.raises(ConnectionLost):
            await viewer.ask(SEGMENT)
        assert (len(a.asked), len(b.asked)) == (1, 0)
        viewer.connection.close()


# --- Last-Modified -------------------------------------------------------------------------------------


async def test_the_same_date_and_length_are_proof(autojump_clock: MockClock) -> None:
    a, b = broken(etag=b"", modified=OLDER), Mirror(etag=b"", modified=OLDER)
    async with mirrored(a, b) as rig:
        assert await read(rig) == BODY
        assert b.asked[0].get(b"if-range") == OLDER


OLD, NEW = b"Mon, 23 Nov 2026 11:59:50 GMT", b"Mon, 23 Nov 2026 12:00:00 GMT"


def identity(total: int | None = 10, *, date: bytes = NEW, **fields: bytes) -> Identity:
    named = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    return Identity.of([*named, (b"date", date)] if date else named, total)


PLAIN = identity()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (identity(etag=b'"a"'), identity(etag=b'"a"'), "proved"),
        (identity(etag=b'"a"'), identity(None, etag=b'"a"'), "proved"),
        (identity(None, etag=b'"a"'), identity(etag=b'"a"'), "proved"),
        (identity(etag=b'"a"', last_modified=OLD), identity(etag=b'"a"', last_modified=NEW), "proved"),
        (identity(etag=b'"a"'), identity(11, etag=b'"a"'), "no"),
        (identity(etag=b'"a"'), identity(etag=b'"b"'), "no"),
        (identity(etag=b'"a"'), identity(etag=b'W/"a"'), "trusted"),
        (identity(etag=b'W/"a"'), identity(etag=b'W/"a"'), "trusted"),
        (identity(etag=b'W/"a"'), identity(etag=b'W/"b"'), "no"),
        (identity(etag=b'"a"'), identity(), "trusted"),
        (identity(last_modified=OLD), identity(last_modified=OLD), "proved"),
        (identity(last_modified=OLD), identity(None, last_modified=OLD), "no"),
        (identity(last_modified=OLD), identity(11, last_modified=OLD), "no"),
        (identity(last_modified=OLD), identity(last_modified=NEW, date=b""), "no"),
        # Within the second in which it was made it may have changed unseen.
        (identity(last_modified=NEW), identity(last_modified=NEW), "trusted"),
        (identity(last_modified=OLD, date=b""), identity(last_modified=OLD), "trusted"),
        (identity(last_modified=b"yesterday"), identity(last_modified=b"yesterday"), "trusted"),
        (identity(etag=b'"a"'), identity(etag=b'"a"', content_encoding=b"gzip"), "no"),
        (identity(etag=b'"a"', content_encoding=b"identity"), identity(etag=b'"a"'), "proved"),
        (PLAIN, PLAIN, "trusted"),
        (PLAIN, identity(None), "no"),
        (identity(None), identity(None), "no"),
    ],
)
def test_what_is_provable(one: Identity, other: Identity, same: str) -> None:
    assert (different(one, other, trusted=False) == "") == (same == "proved")
    assert (different(one, other, trusted=True) == "") == (same != "no")


# --- the user's word -------------------------------------------------------------------------------------


async def test_the_users_word_stands_for_a_segment_of_the_same_length(autojump_clock: MockClock) -> None:
    a, b = broken(etag=b""), Mirror(etag=b"")
    async with mirrored(a, b, same_bytes=True) as rig:
        assert await read(rig) == BODY
        # The last bytes that we have come again, and are compared.
        assert b.ranges_asked() == [b"bytes=%d-" % (CUT - OVERLAP)]
        assert b.asked[0].get(b"if-range") is None


async def test_a_weak_validator_is_no_condition_of_a_range(autojump_clock: MockClock) -> None:
    a, b = broken(etag=b'W/"one"', modified=DATE), Mirror(etag=b'W/"one"', modified=DATE)
    async with mirrored(a, b, same_bytes=True) as rig:
        assert await read(rig) == BODY
        assert (b.asked[0].get(b"if-range"), b.ranges_asked()) == (None, [b"bytes=%d-" % (CUT - OVERLAP)])


@pytest.mark.parametrize("change", ["length", "bytes", "ETag", "path"])
async def test_the_users_word_does_not_stand_against_what_differs(change: str, autojump_clock: MockClock) -> None:
    a, b = gone(etag=b""), Mirror(etag=b"")
    if change == "length":
        b.body = BODY + b"x"
    elif change == "bytes":
        b.body = BODY[: CUT - 1] + b"\0" + BODY[CUT:]
    elif change == "ETag":
        a.etag, b.etag = b'W/"one"', b'W/"two"'
    async with mirrored(a, b, same_bytes=True) as rig:
        assert await read(rig, "/live/s/init.bin" if change == "path" else SEGMENT) is None


# --- memory ------------------------------------------------------------------------------------------------


async def test_a_stalled_upstream_gives_its_room_back(autojump_clock: MockClock) -> None:
    a = Mirror(breaks=[CUT], how="stall", etag=b"")
    async with mirrored(a, between_bytes_timeout=5) as rig:
        async with trio.open_nursery() as nursery:

            async def reset() -> None:
                assert await read(rig) is None

            nursery.start_soon(reset)
            await trio.sleep(3)
            assert rig.statistics().store.used >= SIZE
        assert rig.statistics().store.used == 0
        assert trio.current_time() < 10


async def test_an_upstream_waits_while_the_store_has_no_room(autojump_clock: MockClock) -> None:
    """Viewers read an object that fills the store; another one, of unknown length, waits until they have read."""
    budget = 1 << 20
    big, small = bytes(700_000), bytes(600_000)
    paths = {"/big.ts": big, "/small.ts": small}

    async def origin(request: Request) -> Response:
        async def write(sink: object) -> None:
            body = paths[request.path]
            for at in range(0, len(body), 50_000):
                await sink.write(body[at : at + 50_000])  # type: ignore[attr-defined]

        return Response(200, [(b"Content-Type", b"video/MP2T")], write)

    async with mirrored(origin, cache_bytes=budget) as rig:
        slow = await rig.viewer()
        await slow.say(b"GET /big.ts HTTP/1.1\r\nHost: x\r\n\r\n")
        await trio.sleep(0.5)

        async def finish() -> None:
            await trio.sleep(0.4)
            assert (await Viewer(slow.connection).answer()).body == big
            slow.connection.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(finish)
            assert await read(rig, "/small.ts") == small
        assert rig.statistics().store.used <= budget
        assert rig.statistics().store.evicted == 1
