"""The HLS edge, one request at a time: what is asked of the origin, and what viewers get."""

from __future__ import annotations

import json
import pickle
import re

import pytest
import trio
import trio.testing
from attrs import fields
from trio.testing import MockClock

from tierkit._blob import GrowingBlob
from tierkit.codecs.hls import MAX_PLAYLIST
from tierkit.errors import ConnectionLost
from tierkit.events import ConnectionFailed, StreamFault, UpstreamBack, UpstreamLost
from tierkit.http import Request, Response
from tierkit.plugin import Descriptors, StoreStatistics
from tierkit.plugins.hls import HLS, HLSStatistics, tierkit_services
from tierkit.plugins.hls._objects import Memory
from tierkit.testing import MemoryNetwork

from .edge_rig import PLAYLIST, SEGMENT, TD, dripping, open_edge, plain, playlist


async def test_a_segment_is_fetched_once(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        for number in range(3):
            answer = await rig.get()
            assert (answer.status, answer.body) == (200, b"segment one")
            assert answer.get(b"content-type") == b"video/MP2T"
            assert answer.get(b"content-length") == b"11"
            assert answer.get(b"age") == b"%d" % (number * 2)
            assert answer.get(b"via") == b"1.1 tierkit-edge"
            status = answer.get(b"cache-status") or b""
            said = b"tierkit-edge; hit; ttl=%d" if number else b"tierkit-edge; fwd=uri-miss; stored; ttl=%d"
            assert status == said % (36 - number * 2)
            await trio.sleep(2)
        assert rig.origin.count(SEGMENT) == 1
        counted = rig.statistics()
        assert (counted.hits, counted.misses, counted.upstream_requests) == (2, 1, 1)
        assert counted.upstream_bytes > 11
        assert rig.handle.statistics()["tiers"]["edge"]["bytes_out"] > 33
        assert rig.handle.running("edge")["hls"].figures().hits == 2


async def test_what_goes_upstream_is_made_anew() -> None:
    async with open_edge() as rig:
        fields = ["X-Forwarded-For: 1.2.3.4", "Cookie: a=b", "Connection: X-Odd", "X-Odd: 1", "X-Original-URL: /admin"]
        await rig.get(SEGMENT + "?token=x", *fields, "Accept-Encoding: gzip", "Via: 1.0 cdn", "Range: bytes=0-1")
        (request,) = rig.origin.asked
        assert (request.method, request.path, request.query) == ("GET", SEGMENT, "token=x")
        assert request.host == "origin.example"
        assert [name for name, _ in request.headers] == [
            *(b"host", b"accept", b"accept-encoding", b"user-agent", b"via", b"x-request-id")
        ]
        assert request.get(b"accept-encoding") == b"identity"
        assert request.get(b"via") == b"1.0 cdn, 1.1 tierkit-edge"


async def test_what_comes_back_is_made_anew() -> None:
    async with open_edge() as rig:
        fields = [(b"Set-Cookie", b"a=b"), (b"Connection", b"X-Hop"), (b"X-Hop", b"1"), (b"Keep-Alive", b"timeout=5"),
                  (b"ETag", b'"1"'), (b"Cache-Control", b"max-age=60"), (b"Via", b"1.1 shield")]  # fmt: skip
        rig.origin.paths[SEGMENT] = plain(b"x", *fields)
        for _ in range(2):
            answer = await rig.get()
            assert answer.get(b"set-cookie") is None
            assert answer.get(b"x-hop") is None
            assert answer.get(b"keep-alive") is None
            assert (answer.get(b"etag"), answer.get(b"cache-control")) == (b'"1"', b"max-age=60")
            assert answer.get(b"via") == b"1.1 shield, 1.1 tierkit-edge"


@pytest.mark.parametrize("wish", ["Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache"])
async def test_reloads_past_the_cache_do_not_reach_the_origin(wish: str) -> None:
    """A player that reloads so is one of many thousands."""
    async with open_edge() as rig:
        for _ in range(3):
            assert (await rig.get(SEGMENT, wish)).status == 200
        assert rig.origin.count(SEGMENT) == 1
        assert rig.origin.asked[0].get(wish.partition(":")[0].lower().encode()) is None


async def test_head_is_answered_from_what_get_would_store() -> None:
    async with open_edge() as rig:
        for _ in range(2):
            answer = await rig.get(method="HEAD")
            assert (answer.status, answer.body, answer.get(b"content-length")) == (200, b"", b"11")
        assert (await rig.get()).body == b"segment one"
        assert [request.method for request in rig.origin.asked] == ["GET"]


async def test_options_is_answered_for_a_players_script() -> None:
    async with open_edge() as rig:
        answer = await rig.get(PLAYLIST, "Origin: https://site.example", "Access-Control-Request-Method: GET",
                               "Access-Control-Request-Headers: range", method="OPTIONS")  # fmt: skip
        assert (answer.status, answer.body) == (204, b"")
        assert answer.get(b"access-control-allow-origin") == b"*"
        assert b"Range" in (answer.get(b"access-control-allow-headers") or b"")
        assert (await rig.get()).get(b"access-control-allow-origin") == b"*"
        assert b"Content-Range" in ((await rig.get()).get(b"access-control-expose-headers") or b"")
        assert (await rig.get("/nowhere")).get(b"access-control-allow-origin") == b"*"


async def test_cors_can_be_another_origin_or_none() -> None:
    async with open_edge(cors="https://site.example") as rig:
        assert (await rig.get()).get(b"access-control-allow-origin") == b"https://site.example"
    async with open_edge(cors="") as rig:
        assert (await rig.get()).get(b"access-control-allow-origin") is None
    assert HLS(cors="*\r\nX: y").problems()
    assert not HLS(cors="https://site.example").problems()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PURGE", "TRACE"])
async def test_other_methods_are_not_for_a_cache(method: str) -> None:
    async with open_edge() as rig:
        answer = await rig.get(method=method)
        assert (answer.status, answer.get(b"allow")) == (405, b"GET, HEAD, OPTIONS")
        assert rig.origin.asked == []


@pytest.mark.parametrize(
    "path", ["/live/../x", "/live/%2e%2e/x", "/live/./x", "/a%00b", "/a%5cb", "/a%0ab", "/.%2e/x", "*"]
)
async def test_odd_paths_go_nowhere(path: str) -> None:
    async with open_edge() as rig:
        answer = await rig.get(path, method="OPTIONS" if path == "*" else "GET")
        assert answer.status == (204 if path == "*" else 400)
        assert rig.origin.asked == []


# --- lifetimes -----------------------------------------------------------------------------------


async def ask_at(rig: object, path: str, *times: float) -> list[bytes]:
    """The bodies that a viewer gets at these times, after all that follows from each has happened."""
    start, bodies = trio.current_time(), []
    for at in times:
        await trio.sleep(start + at - trio.current_time())
        bodies.append((await rig.get(path)).body)  # type: ignore[attr-defined]
        await trio.testing.wait_all_tasks_blocked()
    return bodies


def versions(*, td: int = TD) -> object:
    """A playlist that is another one each time it is fetched."""
    made = iter(range(1, 1000))

    def answer(request: Request) -> Response:
        return plain(playlist(next(made), td=td))

    return answer


async def test_a_playlist_lives_for_half_its_target_duration(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = versions()
        one, two, three = playlist(1), playlist(2), playlist(3)
        # Fresh for 3 s; then stale while one looks upstream; past 6 s, everybody waits for the new one.
        assert await ask_at(rig, PLAYLIST, 0, 2.9, 3.1, 3.2, 6, 13) == [one, one, one, two, two, three]
        assert rig.statistics().stale == 1


async def test_a_playlist_that_says_no_cache_lives_all_the_same(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        for path, body in ((PLAYLIST, playlist()), (SEGMENT, b"x")):
            rig.origin.paths[path] = plain(body, (b"Cache-Control", b"no-cache"))  # as Wowza does
            await ask_at(rig, path, 0, 1, 2)
            assert rig.origin.count(path) == 1


async def test_viewers_are_told_how_long_a_playlist_lives_whatever_the_origin_says() -> None:
    fields = [(b"Cache-Control", b"max-age=86400"), (b"Expires", b"Thu, 01 Jan 2099 00:00:00 GMT"),
              (b"CDN-Cache-Control", b"max-age=86400"), (b"Pragma", b"public")]  # fmt: skip
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(), *fields)
        for _ in range(2):
            answer = await rig.get(PLAYLIST)
            assert answer.get(b"cache-control") == b"max-age=3"
            assert [answer.get(each) for each in (b"expires", b"cdn-cache-control", b"pragma")] == [None] * 3


async def test_viewers_keep_no_refusal(autojump_clock: MockClock) -> None:
    """Some caches pin a 404 for minutes; the segment is there a moment later."""
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"", (b"Cache-Control", b"max-age=180"), status=404)
        assert (await rig.get()).get(b"cache-control") == b"no-store"


async def test_an_origin_may_shorten_a_playlists_life(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(), (b"Cache-Control", b"max-age=1"))
        await ask_at(rig, PLAYLIST, 0, 0.9, 1.1)
        assert rig.origin.count(PLAYLIST) == 2


async def test_a_segment_lives_longer_than_its_window(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        await ask_at(rig, SEGMENT, 0, 6 * TD - 1)
        assert rig.origin.count(SEGMENT) == 1
        await ask_at(rig, SEGMENT, 2)
        assert rig.origin.count(SEGMENT) == 2


@pytest.mark.parametrize("path", [PLAYLIST, SEGMENT])
@pytest.mark.parametrize("fields", [[], [(b"Cache-Control", b"max-age=3600")]])
async def test_not_there_yet_is_believed_for_a_second(
    path: str, fields: list[tuple[bytes, bytes]], autojump_clock: MockClock
) -> None:
    async with open_edge() as rig:
        there = rig.origin.paths[path]
        rig.origin.paths[path] = Response(404, fields, b"")
        assert (await rig.get(path)).status == 404
        assert (await rig.get(path)).status == 404
        assert rig.origin.count(path) == 1
        rig.origin.paths[path] = there
        await trio.sleep(1.01)
        assert (await rig.get(path)).status == 200


async def test_the_age_of_a_parents_answer_counts(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(), (b"Age", b"2"))
        assert (await rig.get(PLAYLIST)).get(b"age") == b"2"
        await trio.sleep(0.9)
        await ask_at(rig, PLAYLIST, 0)
        assert rig.origin.count(PLAYLIST) == 1
        await trio.sleep(0.2)
        await ask_at(rig, PLAYLIST, 0)
        assert rig.origin.count(PLAYLIST) == 2


async def test_what_a_parent_serves_stale_may_be_used_for_a_moment(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(), (b"Age", b"5"))
        await ask_at(rig, PLAYLIST, *(i / 100 for i in range(100)))
        assert rig.origin.count(PLAYLIST) == 2


async def test_not_there_is_not_remembered_where_it_says_no_store() -> None:
    async with open_edge() as rig:
        there = rig.origin.paths[PLAYLIST]
        rig.origin.paths[PLAYLIST] = Response(404, [(b"Cache-Control", b"no-store")], b"")
        assert (await rig.get(PLAYLIST)).status == 404
        rig.origin.paths[PLAYLIST] = there
        assert (await rig.get(PLAYLIST)).status == 200
        assert rig.origin.count(PLAYLIST) == 2
        assert (await rig.get(PLAYLIST)).get(b"cache-status") == b"tierkit-edge; hit; ttl=2"


@pytest.mark.parametrize("status", [301, 302, 400, 403, 414, 431])
async def test_other_refusals_and_redirections_are_not_kept(status: int) -> None:
    async with open_edge(prefetch=False) as rig:
        there = rig.origin.paths[SEGMENT]
        await rig.get(PLAYLIST)
        rig.origin.paths[SEGMENT] = Response(status, [(b"Location", b"/x"), (b"Cache-Control", b"max-age=60")], b"")
        assert (await rig.get()).status == status
        rig.origin.paths[SEGMENT] = there
        assert (await rig.get()).status == 200
        assert rig.origin.count(SEGMENT) == 2


# --- what is not for others ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", [(b"Cache-Control", b"no-store"), (b"Cache-Control", b"private"), (b"Vary", b"Cookie"), (b"Vary", b"*")]
)
async def test_what_is_not_for_others_is_passed_on_for_each(
    field: tuple[bytes, bytes], autojump_clock: MockClock
) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"for you alone", field)
        for why in (b"uri-miss", b"bypass", b"bypass"):
            answer = await rig.get()
            assert (answer.status, answer.body) == (200, b"for you alone")
            assert answer.get(b"cache-status") == b"tierkit-edge; fwd=" + why
        # The first one finds out, and has his answer by the same request; from then on it is remembered.
        assert rig.origin.count(SEGMENT) == 3
        await trio.sleep(11)
        rig.origin.paths[SEGMENT] = plain(b"for all")
        for _ in range(3):
            assert (await rig.get()).body == b"for all"
        assert rig.origin.count(SEGMENT) == 4
        assert rig.statistics().store.failed == 0


async def test_credentials_are_passed_on_and_nothing_is_stored() -> None:
    async with open_edge() as rig:
        for _ in range(2):
            await rig.get(SEGMENT, "Authorization: Basic xyz")
        assert [request.get(b"authorization") for request in rig.origin.asked] == [b"Basic xyz"] * 2
        await rig.get()
        assert rig.origin.asked[-1].get(b"authorization") is None
        assert rig.statistics().store.objects == 1


async def test_head_of_what_is_passed_on() -> None:
    async with open_edge() as rig:
        answer = await rig.get(SEGMENT, "Authorization: Basic xyz", method="HEAD")
        assert (answer.status, answer.body, answer.get(b"content-length")) == (200, b"", b"11")
        assert rig.origin.asked[0].method == "HEAD"


async def test_a_range_and_a_condition_of_what_is_passed_on() -> None:
    async with open_edge() as rig:
        seen = rig.origin.asked
        rig.origin.paths[SEGMENT] = Response(206, [(b"Content-Range", b"bytes 0-1/11")], b"se")
        answer = await rig.get(SEGMENT, "Authorization: x", "Range: bytes=0-1", 'If-Range: "1"')
        assert (answer.status, answer.body, answer.get(b"content-range")) == (206, b"se", b"bytes 0-1/11")
        assert (seen[0].get(b"range"), seen[0].get(b"if-range")) == (b"bytes=0-1", b'"1"')
        rig.origin.paths[SEGMENT] = Response(304)
        assert (await rig.get(SEGMENT, "Authorization: x", 'If-None-Match: "1"')).status == 304


async def test_several_ranges_of_what_is_passed_on_are_asked_for_as_the_whole() -> None:
    """Each of them could cost the origin the object once more."""
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"x" * 100, (b"Cache-Control", b"private"))
        await rig.get(SEGMENT)  # from now on it is known that each gets his own
        answer = await rig.get(SEGMENT, "Range: bytes=0-,0-,0-,0-")
        assert (answer.status, len(answer.body)) == (200, 100)
        assert rig.origin.asked[-1].get(b"range") is None
        await rig.get(SEGMENT, "Range: bytes=5-9")
        assert rig.origin.asked[-1].get(b"range") == b"bytes=5-9"


async def test_a_compressed_playlist_is_not_unpacked() -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(), (b"Content-Encoding", b"gzip"))
        answer = await rig.get(PLAYLIST)
        assert answer.status == 502
        assert b"compressed" in answer.body


async def test_a_304_that_nobody_asked_for_is_a_bad_answer() -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = Response(304)
        answer = await rig.get()
        assert answer.status == 502
        assert b"answered 304" in answer.body


async def test_a_source_that_fails_is_one_viewers_500(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:

        def broken(*args: object) -> bool:
            raise ValueError("a bug in a plugin")

        edge = rig.handle.running("edge")["hls"]
        (candidate,) = edge.ctx.upstream.candidates(("http",))  # type: ignore[attr-defined]
        candidate.source.observe = broken
        for fields in ([], ["Authorization: x"]):
            assert (await rig.get(SEGMENT, *fields)).status == 500
        del candidate.source.observe
        for fields in ([], ["Authorization: x"]):
            assert (await rig.get(SEGMENT, *fields)).status == 200


async def test_a_set_cookie_reaches_only_whom_it_was_for() -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"x", (b"Set-Cookie", b"me=1"))
        assert (await rig.get(SEGMENT, "Authorization: Basic xyz")).get(b"set-cookie") == b"me=1"
        assert (await rig.get()).get(b"set-cookie") is None


async def test_what_is_larger_than_max_object_passes_through() -> None:
    async with open_edge(max_object=65536) as rig:
        body = bytes(100_000)
        rig.origin.paths[SEGMENT] = plain(body)
        for _ in range(2):
            assert (await rig.get()).body == body
        counted = rig.statistics()
        assert (counted.passed, counted.store.objects, counted.store.used) == (2, 0, 0)


async def test_what_is_kept_beside_small_objects_counts() -> None:
    async with open_edge() as rig:
        for number in range(50):
            rig.origin.paths[f"/live/s/{number}.ts"] = plain(b"x")
            await rig.get(f"/live/s/{number}.ts")
        store = rig.statistics().store
        assert store.objects == 50
        assert store.used > 50 * 4000  # an entry, its fields and its heads are some kilobytes


@pytest.mark.parametrize(("query", "field"), [("q" * 6000, b""), ("", b"x" * 6000)])
async def test_long_names_and_long_fields_count(query: str, field: bytes) -> None:
    """A stranger chooses the name, and an origin the fields: neither is a way around the bound."""
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"x", (b"X-Long", field))
        await rig.get(SEGMENT)
        before = rig.statistics().store.used
        for number in range(10):
            await rig.get(f"{SEGMENT}?{number}{query}")
        each = (rig.statistics().store.used - before) / 10
        assert each > 4096 + 2 * 5000  # once as it came and once as it goes out, but for what is usual


def test_what_strangers_can_have_remembered_is_bounded() -> None:
    memory: Memory[int, int] = Memory()
    for number in range(5000):
        memory.put(number, number)
    assert len(memory) < 2000
    assert memory.get(4999) == 4999


async def test_what_finds_no_room_passes_through() -> None:
    async with open_edge(cache_bytes=1 << 20) as rig:
        body = bytes(2 << 20)
        rig.origin.paths[SEGMENT] = plain(body)
        assert (await rig.get()).body == body
        assert rig.statistics().store.refused == 1


@pytest.mark.parametrize("options", [{"max_object": 1 << 20}, {"cache_bytes": 1 << 20}])
async def test_what_outgrows_the_store_without_a_length_is_told_once_and_passes_from_then_on(
    options: dict[str, int], autojump_clock: MockClock
) -> None:
    """Whoever reads it is reset, because it has begun; so that must not come again with each pause."""
    async with open_edge(**options) as rig:
        body = [bytes(100_000)] * 20
        rig.origin.paths[SEGMENT] = dripping(*body, pause=0.01)
        lost = []

        async def ask() -> None:
            with pytest.raises(ConnectionLost):
                await rig.get()
            lost.append(1)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert (len(lost), rig.statistics().broken) == (3, 1)
        (told,) = rig.events.of(StreamFault)
        assert re.search("raise (max_object|cache_bytes)", told.reason)
        assert not rig.events.of(ConnectionFailed)
        for _ in range(5):
            await trio.sleep(60)
            assert (await rig.get()).body == b"".join(body)


async def test_a_range_that_waits_for_an_end_there_is_no_room_for(autojump_clock: MockClock) -> None:
    async with open_edge(cache_bytes=1 << 20) as rig:
        rig.origin.paths[SEGMENT] = dripping(*[bytes(100_000)] * 20, pause=0.01)
        answer = await rig.get(SEGMENT, "Range: bytes=0-1900000")
        assert (answer.status, answer.get(b"retry-after")) == (503, b"1")
        assert not rig.events.of(ConnectionFailed)
        assert (await rig.get(SEGMENT, "Range: bytes=0-1900000")).status == 200


async def test_who_stalls_holds_what_he_is_sent_at_hand_or_not(autojump_clock: MockClock) -> None:
    """Evicted or not: it is in memory for as long as it has not left."""
    async with open_edge(network=MemoryNetwork(buffer_bytes=20_000)) as rig:
        rig.origin.paths[SEGMENT] = plain(bytes(60_000))
        reader = await rig.viewer()
        for _ in range(2):  # a head that is known is answered from what is at hand
            await reader.ask(SEGMENT)
        stalled = await rig.viewer()
        await stalled.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
        await trio.testing.wait_all_tasks_blocked()
        assert rig.statistics().hits == 2
        rig.handle.running("edge")["hls"].purge(SEGMENT)
        assert rig.statistics().store.used >= 60_000
        stalled.connection.abort()
        await trio.testing.wait_all_tasks_blocked()
        assert rig.statistics().store.used == 0


async def test_who_stalls_has_no_copy_of_a_large_object_that_is_no_memfd(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where memfds are used up large objects are bytes, and a range of those is not the viewer's own."""
    copied = []
    read = GrowingBlob.read

    def counted(self: GrowingBlob, offset: int, count: int) -> bytes:
        data = read(self, offset, count)
        copied.append(len(data))
        return data

    async with open_edge(network=MemoryNetwork(descriptors=Descriptors(limit=400, memfds=100))) as rig:
        rig.origin.paths[SEGMENT] = plain(bytes(1 << 20))
        await rig.get()
        monkeypatch.setattr(GrowingBlob, "read", counted)
        stalled = await rig.viewer()
        await stalled.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: x\r\nVia: 1.0 x\r\nRange: bytes=1-\r\n\r\n".encode())
        await trio.testing.wait_all_tasks_blocked()
        assert 0 < max(copied) <= 30 * 1024
        assert len((await stalled.answer()).body) == (1 << 20) - 1


# --- validators ----------------------------------------------------------------------------------


async def test_a_revalidation_costs_no_body(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:

        def answer(request: Request) -> Response:
            if request.get(b"if-none-match") == b'"1"':
                return Response(304, [(b"ETag", b'"1"'), (b"X-New", b"yes")])
            return plain(playlist(), (b"ETag", b'"1"'))

        rig.origin.paths[PLAYLIST] = answer
        assert await ask_at(rig, PLAYLIST, 0, 4, 4.5, 20) == [playlist()] * 4
        assert rig.origin.count(PLAYLIST) == 3
        assert rig.statistics().revalidated == 2
        again = await rig.get(PLAYLIST)
        assert (again.get(b"x-new"), again.get(b"age"), again.get(b"via")) == (b"yes", b"0", b"1.1 tierkit-edge")


@pytest.mark.parametrize(
    ("field", "status"),
    [
        ('If-None-Match: "1"', 304),
        ('If-None-Match: W/"1"', 304),
        ('If-None-Match: "0", "1"', 304),
        ("If-None-Match: *", 304),
        ('If-None-Match: "2"', 200),
        ("If-Modified-Since: Sat, 23 Nov 2013 20:00:00 GMT", 304),
        ("If-Modified-Since: Sat, 23 Nov 2013 19:00:00 GMT", 200),
    ],
)
async def test_a_viewers_condition(field: str, status: int) -> None:
    async with open_edge() as rig:
        modified = (b"Last-Modified", b"Sat, 23 Nov 2013 20:00:00 GMT")
        rig.origin.paths[SEGMENT] = plain(b"x", (b"ETag", b'"1"'), modified)
        await rig.get()
        answer = await rig.get(SEGMENT, field)
        assert (answer.status, answer.body) == (status, b"x" if status == 200 else b"")
        assert answer.get(b"etag") == b'"1"'


# --- ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1000, 100_000])  # bytes, and a memfd
@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("0-0", 0, 1),
        ("10-19", 10, 20),
        ("990-", 990, None),
        ("-10", -10, None),
        ("0-", 0, None),
        ("10-999999", 10, None),
    ],
)
async def test_one_range(size: int, wanted: str, start: int, end: int | None) -> None:
    body = bytes(i * 7 % 251 for i in range(size))
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(body)
        for _ in range(2):
            answer = await rig.get(SEGMENT, f"Range: bytes={wanted}")
            expected = body[start:end]
            first = start % size
            assert (answer.status, answer.body) == (206, expected)
            assert answer.get(b"content-range") == b"bytes %d-%d/%d" % (first, first + len(expected) - 1, size)
            assert answer.get(b"content-length") == b"%d" % len(expected)
        assert rig.origin.count(SEGMENT) == 1


@pytest.mark.parametrize(
    "wanted", ["bytes=0-3,3-4", "bytes=5-3", "bytes=", "bytes=a-b", "lines=1-2", "bytes=--1", "bytes=-"]
)
async def test_ranges_that_make_no_sense_get_the_whole(wanted: str) -> None:
    async with open_edge() as rig:
        answer = await rig.get(SEGMENT, f"Range: {wanted}")
        assert (answer.status, answer.body) == (200, b"segment one")


@pytest.mark.parametrize("wanted", ["11-", "100-200", "-0"])
async def test_ranges_behind_the_end(wanted: str) -> None:
    async with open_edge() as rig:
        await rig.get()
        answer = await rig.get(SEGMENT, f"Range: bytes={wanted}")
        assert (answer.status, answer.get(b"content-range")) == (416, b"bytes */11")


@pytest.mark.parametrize(("condition", "status"), [('"1"', 206), ('"2"', 200), ('W/"1"', 200)])
async def test_if_range(condition: str, status: int) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = plain(b"0123456789", (b"ETag", b'"1"'))
        assert (await rig.get(SEGMENT, "Range: bytes=0-1", f"If-Range: {condition}")).status == status


# --- upstreams that fail -------------------------------------------------------------------------


async def test_nobody_upstream_is_one_clear_line(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.network.fault("http://origin.example:80", refuse=True)
        answer = await rig.get()
        assert answer.status == 502
        assert answer.body.startswith(b"upstream origin: ")
        assert answer.body.count(b"\n") == 1
        assert answer.get(b"cache-control") == b"no-store"
        rig.network.heal("http://origin.example:80")
        assert (await rig.get()).status == 200
        assert [each.upstream for each in rig.events.of(UpstreamLost)] == ["origin"]
        assert [each.upstream for each in rig.events.of(UpstreamBack)] == ["origin"]


async def test_a_silent_upstream_is_504(autojump_clock: MockClock) -> None:
    async with open_edge(first_byte_timeout=3.0) as rig:
        rig.origin.delay = 4
        start = trio.current_time()
        assert (await rig.get()).status == 504
        assert trio.current_time() - start == 3
    async with open_edge(connect_timeout=2.0) as rig:
        rig.network.fault("http://origin.example:80", black_hole=True)
        assert (await rig.get()).status == 504


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_errors_are_never_stored(status: int) -> None:
    async with open_edge() as rig:
        good = rig.origin.paths[SEGMENT]
        rig.origin.paths[SEGMENT] = Response(status, [(b"Cache-Control", b"max-age=60")], b"oops")
        answer = await rig.get()
        assert answer.status == 502
        assert b"origin: answered %d" % status in answer.body
        rig.origin.paths[SEGMENT] = good
        assert (await rig.get()).status == 200
        assert rig.events.of(UpstreamLost) == []  # it works, but has nothing good to say of this path


@pytest.mark.parametrize("how", ["refuse", "status", "truncated"])
async def test_a_stale_playlist_is_served_while_upstream_fails(how: str, autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = Response(200, [], playlist(), close=True)
        assert (await rig.get(PLAYLIST)).status == 200
        if how == "refuse":
            rig.network.fault("http://origin.example:80", refuse=True)
        elif how == "status":
            rig.origin.paths[PLAYLIST] = Response(503)
        else:
            rig.origin.paths[PLAYLIST] = dripping(b"#EXTM3U\n", fail=ValueError(), kind=b"audio/mpegurl")
        await trio.sleep(2.5 * TD)
        answer = await rig.get(PLAYLIST)
        assert (answer.status, answer.body) == (200, playlist())
        status = answer.get(b"cache-status") or b""
        assert re.fullmatch(rb"tierkit-edge; hit; ttl=-[0-9]+; detail=stale-if-error", status)
        assert answer.get(b"age") in (b"15", b"16")
        await trio.sleep(1.5 * TD)  # beyond half and three of its target durations: too old to be of use
        assert (await rig.get(PLAYLIST)).status == 502


async def test_nobody_waits_for_an_upstream_that_is_known_to_be_down(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False, connect_timeout=5.0) as rig:
        rig.origin.paths[PLAYLIST] = Response(200, [], playlist(), close=True)
        await rig.get(PLAYLIST)
        rig.network.fault("http://origin.example:80", black_hole=True)
        await trio.sleep(7)
        waits = []
        for _ in range(5):
            start = trio.current_time()
            assert (await rig.get(PLAYLIST)).status == 200
            waits.append(trio.current_time() - start)
        assert waits == [5, 0, 0, 0, 0]


async def test_while_all_are_down_one_request_a_second_looks_who_is_back(autojump_clock: MockClock) -> None:
    """Rests grow to many seconds; a live stream must not stand still for that long once upstream is there again."""
    async with open_edge(prefetch=False) as rig:

        def answer(body: bytes) -> Response:
            return Response(200, [(b"Content-Type", b"application/vnd.apple.mpegurl")], body, close=True)

        rig.origin.paths[PLAYLIST] = answer(playlist(td=20))
        await rig.get(PLAYLIST)
        rig.network.fault("http://origin.example:80", refuse=True)
        for _ in range(100):
            await trio.sleep(0.5)
            assert (await rig.get(PLAYLIST)).body == playlist(td=20)
        rig.origin.paths[PLAYLIST] = answer(playlist(2, td=20))
        rig.network.heal("http://origin.example:80")
        for _ in range(3):
            await trio.sleep(0.5)
            last = await rig.get(PLAYLIST)
        assert last.body == playlist(2, td=20)


async def test_an_endless_playlist_is_no_playlist() -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(b"#EXTM3U\n" + b"#\n" * (MAX_PLAYLIST // 2))
        answer = await rig.get(PLAYLIST)
        assert answer.status == 502
        assert b"longer than" in answer.body


async def test_a_playlist_that_is_none_is_not_passed_for_one() -> None:
    async with open_edge() as rig:
        rig.origin.paths[PLAYLIST] = plain(b"<html>login</html>", kind=b"application/vnd.apple.mpegurl")
        answer = await rig.get(PLAYLIST)
        assert answer.status == 502
        assert b"does not begin with #EXTM3U" in answer.body


async def test_an_idle_upstream_connection_that_was_closed_is_no_failure(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        for number in range(3):
            rig.origin.paths[f"/live/s/{number}.ts"] = Response(200, [], b"x", close=True)
            assert (await rig.get(f"/live/s/{number}.ts")).status == 200
        assert rig.events.of(UpstreamLost) == []
        assert rig.statistics().upstream_connections == 0


# --- the rest ------------------------------------------------------------------------------------


async def test_a_loop_is_found() -> None:
    async with open_edge() as rig:
        answer = await rig.get(SEGMENT, "Via: 1.1 cdn, 1.1 tierkit-edge")
        assert (answer.status, answer.body[:6]) == (508, b"a loop")
        assert (await rig.get(SEGMENT, "Via: " + ", ".join(f"1.1 hop{i}" for i in range(17)))).status == 508
        assert rig.origin.asked == []


async def test_purge() -> None:
    async with open_edge(prefetch=False) as rig:
        edge = rig.handle.running("edge")["hls"]
        rig.origin.paths["/vod/x.ts"] = plain(b"x")
        for path in (SEGMENT, SEGMENT + "?a=1", PLAYLIST, "/vod/x.ts"):
            await rig.get(path)
        assert edge.purge(SEGMENT) == 2
        assert edge.purge("/live/*") == 1
        assert edge.purge("/nowhere/*") == 0
        assert rig.statistics().store.objects == 1
        await rig.get(SEGMENT)
        assert rig.origin.count(SEGMENT) == 3


async def test_a_soft_purge_leaves_something_to_serve() -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(playlist(2))
        assert rig.handle.running("edge")["hls"].purge("/live/*", soft=True) == 1
        assert (await rig.get(PLAYLIST)).body == playlist(1)
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.get(PLAYLIST)).body == playlist(2)


async def test_a_soft_purge_makes_nobody_wait(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths["/x"] = plain(b"old", (b"Cache-Control", b"max-age=60"), kind=b"text/css")
        for path in (PLAYLIST, SEGMENT, "/x"):
            await rig.get(path)
        rig.handle.running("edge")["hls"].purge("*", soft=True)
        rig.origin.delay = 5
        rig.origin.paths |= {SEGMENT: plain(b"new"), "/x": plain(b"new", (b"Cache-Control", b"max-age=60"))}
        for path, old in ((SEGMENT, b"segment one"), ("/x", b"old")):
            began = trio.current_time()
            assert (await rig.get(path)).body == old
            assert trio.current_time() == began
            await trio.sleep(6)
            assert (await rig.get(path)).body == b"new"


async def test_what_was_purged_softly_is_not_served_for_longer_than_it_would_have_been(
    autojump_clock: MockClock,
) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths["/x"] = plain(b"old", (b"Cache-Control", b"max-age=60"), kind=b"text/css")
        await rig.get("/x")
        await trio.sleep(30)
        for _ in range(2):
            rig.handle.running("edge")["hls"].purge("*", soft=True)
        rig.origin.paths["/x"] = plain(b"new", (b"Cache-Control", b"max-age=60"))
        await trio.sleep(31)
        assert (await rig.get("/x")).body == b"new"


async def test_streams_are_known_by_their_playlists(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        (stream,) = rig.handle.running("edge")["hls"].streams()
        assert (stream.name, stream.path, stream.on_air) == (PLAYLIST.rpartition("/")[0].strip("/"), PLAYLIST, True)
        await trio.sleep(4 * TD)
        (stream,) = rig.handle.running("edge")["hls"].streams()
        assert not stream.on_air


async def test_a_draining_edge_sends_its_viewers_away() -> None:
    async with open_edge() as rig:
        viewer = await rig.viewer()
        assert (await viewer.ask(SEGMENT)).get(b"connection") is None
        rig.handle.running("edge")["hls"].draining()
        assert (await viewer.ask(SEGMENT)).get(b"connection") == b"close"
        assert await viewer.rest() == b""


# --- the recipe ----------------------------------------------------------------------------------


def test_the_recipe_is_a_value() -> None:
    recipe = HLS(cache_bytes=64 << 20)
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert len({recipe, HLS(cache_bytes=64 << 20), HLS()}) == 2
    assert HLS().problems() == []
    assert [problem.partition("=")[0] for problem in HLS(cache_bytes=1, max_waiters=0).problems()] == [
        "option cache_bytes",
        "option max_waiters",
    ]
    assert list(tierkit_services()) == [HLS]


async def test_every_figure_says_how_it_adds_up_and_json_can_carry_it() -> None:
    async with open_edge() as rig:
        await rig.get()
        found = rig.handle.statistics()
        told = json.loads(json.dumps(found))["tiers"]["edge"]["services"]["hls"]
        assert (told["misses"], told["store"]["objects"]) == (1, 1)
        for kind in (HLSStatistics, StoreStatistics):
            assert all(each.metadata.get("merge") in ("sum", "max", "last") for each in fields(kind)), kind
