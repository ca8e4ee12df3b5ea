"""The HLS edge and many viewers at once: one fetch, first bytes at once, nobody takes a part for the whole."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.support_http import Answer
from tierkit import Edge, Origin
from tierkit.errors import ConnectionLost
from tierkit.events import ConnectionFailed, UpstreamLost
from tierkit.http import Request, Response
from tierkit.plugins.hls import HLS
from tierkit.testing import MemoryNetwork

from .edge_rig import ORIGIN, PLAYLIST, SEGMENT, TD, Rig, dripping, open_edge, plain, playlist

PIECE = b"\xff" * 5000


async def crowd(rig: Rig, count: int, path: str = SEGMENT, *fields: str) -> list[Answer]:
    """As many viewers at once."""
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await rig.get(path, *fields))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(ask)
    return answers


async def test_a_thousand_viewers_of_a_slow_cold_segment(autojump_clock: MockClock) -> None:
    """The origin takes 4 s for it: everybody has the head and the first piece at once, and each piece as it comes."""
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(*[PIECE] * 5)
        heads: list[float] = []
        arrivals: dict[int, list[float]] = {}
        start = trio.current_time()

        async def watch() -> None:
            viewer = await rig.viewer()
            await viewer.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            got = b""
            while not got.endswith(b"\r\n0\r\n\r\n"):
                piece = await viewer.connection.recv()
                now = trio.current_time() - start
                if not got:
                    heads.append(now)
                got += piece
                arrivals.setdefault(got.count(b"\xff") // len(PIECE), []).append(now)
            assert got.count(b"\xff") == 5 * len(PIECE)
            viewer.connection.close()

        async with trio.open_nursery() as nursery:
            for _ in range(1000):
                nursery.start_soon(watch)
        assert len(heads) == 1000
        assert max(heads) < 0.4
        # The nth piece left the origin after n - 1 seconds; nobody waits longer than one pace for it.
        for piece in range(1, 6):
            assert len(arrivals[piece]) >= 1000
            assert max(arrivals[piece]) <= piece - 1 + 0.4
        assert rig.origin.count(SEGMENT) == 1
        assert len([each for each in rig.network.connections if each.address.host == "origin.example"]) == 1
        counted = rig.statistics()
        assert (counted.misses, counted.collapsed, counted.upstream_requests) == (1, 999, 1)


async def test_who_asked_first_may_leave(autojump_clock: MockClock) -> None:
    """The fetch is the store's: those who joined it get what he began, for the one request."""
    async with open_edge() as rig:
        rig.origin.delay = 5.0
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await rig.get())

        async with trio.open_nursery() as nursery:
            with trio.move_on_after(2):
                async with trio.open_nursery() as first:
                    first.start_soon(ask)
                    await trio.sleep(1)
                    for _ in range(3):
                        nursery.start_soon(ask)
                    await trio.sleep_forever()
        assert [answer.body for answer in answers] == [b"segment one"] * 3
        assert rig.origin.count(SEGMENT) == 1


async def test_who_asked_alone_may_leave_too(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.delay = 5.0
        with trio.move_on_after(2):
            await rig.get()
        await trio.sleep(5)
        assert (await rig.get()).body == b"segment one"
        assert rig.origin.count(SEGMENT) == 1


async def test_a_body_arrives_though_nobody_reads_it(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(*[PIECE] * 5)
        viewer = await rig.viewer()
        await viewer.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        await viewer.connection.recv()
        viewer.connection.close()
        await trio.sleep(10)
        assert (await rig.get()).body == 5 * PIECE
        assert rig.origin.count(SEGMENT) == 1


async def test_who_comes_late_to_a_growing_segment_has_its_beginning_at_once(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"one", b"two", b"three", pause=10)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.get)
            await trio.sleep(15)
            start = trio.current_time()
            viewer = await rig.viewer()
            await viewer.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            got = b""
            while b"two" not in got:
                got += await viewer.connection.recv()
            assert trio.current_time() - start == 0
            assert b"one" in got
        assert rig.origin.count(SEGMENT) == 1


@pytest.mark.parametrize("length", [None, 20000])
async def test_a_fetch_that_fails_resets_everybody_and_stores_nothing(
    length: int | None, autojump_clock: MockClock
) -> None:
    async with open_edge() as rig:
        good = rig.origin.paths[SEGMENT]
        rig.origin.paths[SEGMENT] = dripping(PIECE, PIECE, length=length, fail=ValueError("the origin dies"))
        ends: list[str] = []

        async def watch(minor: int) -> None:
            viewer = await rig.viewer()
            await viewer.say(f"GET {SEGMENT} HTTP/1.{minor}\r\nHost: edge\r\n\r\n".encode())
            try:
                await viewer.rest()
            except ConnectionLost:
                ends.append("reset")
            else:
                ends.append("clean")

        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(watch, number % 2)
        assert ends == ["reset"] * 100
        assert rig.origin.count(SEGMENT) == 1
        counted = rig.statistics().store
        assert (counted.objects, counted.used, counted.failed, counted.filling) == (0, 0, 1, 0)
        # Told once, by whoever fills: not a line for each of those who read.
        (lost,) = rig.events.of(UpstreamLost)
        assert "upstream origin" in lost.text
        assert rig.events.of(ConnectionFailed) == []
        rig.origin.paths[SEGMENT] = good
        assert (await rig.get()).body == b"segment one"


async def test_a_fetch_that_fails_before_its_head_is_an_answer_to_everybody(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.delay = 1
        rig.network.fault("http://origin.example:80", cut_after=10)
        assert [answer.status for answer in await crowd(rig, 50)] == [502] * 50
        assert rig.origin.count(SEGMENT) == 1
        assert len(rig.events.of(UpstreamLost)) == 1


async def test_a_fetch_does_not_end_with_who_began_it(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(*[PIECE] * 5)
        leader = await rig.viewer()
        await leader.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
        await leader.connection.recv()
        answers: list[Answer] = []

        async def follow() -> None:
            answers.append(await rig.get())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.sleep(1.5)
            leader.connection.abort()
        assert answers[0].body == PIECE * 5
        assert rig.origin.count(SEGMENT) == 1


async def test_a_fetch_that_everybody_has_left_is_there_for_the_next(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.delay = 2
        with trio.move_on_after(1):
            await rig.get()
        await trio.sleep(2)
        assert ((await rig.get()).get(b"cache-status") or b"").startswith(b"tierkit-edge; hit; ttl=")
        assert rig.origin.count(SEGMENT) == 1


@pytest.mark.parametrize("size", [100, 300_000])
async def test_a_viewer_who_takes_nothing_keeps_nobody_waiting(size: int, autojump_clock: MockClock) -> None:
    async with open_edge(stall_timeout=30.0) as rig:
        body = bytes(size)
        rig.origin.paths[SEGMENT] = dripping(*[body] * 10)
        stalled = await rig.viewer()
        await stalled.say(f"GET {SEGMENT} HTTP/1.1\r\nHost: edge\r\n\r\n".encode() * 20)
        start = trio.current_time()
        assert (await rig.get()).body == body * 10
        assert trio.current_time() - start < 9.5


async def test_one_revalidation_for_a_crowd_that_is_served_stale(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(playlist(2))
        rig.origin.delay = 1
        await trio.sleep(0.6 * TD)
        start = trio.current_time()
        assert {answer.body for answer in await crowd(rig, 200, PLAYLIST)} == {playlist(1)}
        assert trio.current_time() - start == 0
        await trio.sleep(1.1)
        assert {answer.body for answer in await crowd(rig, 200, PLAYLIST)} == {playlist(2)}
        assert rig.origin.count(PLAYLIST) == 2
        assert rig.statistics().stale == 200


async def test_a_failing_origin_is_not_asked_by_everybody_again(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = Response(503)
        await trio.sleep(0.6 * TD)
        start = trio.current_time()
        for _ in range(100):
            assert (await rig.get(PLAYLIST)).body == playlist()
            await trio.sleep(0.1)
        assert trio.current_time() - start < 10.5  # nobody waited
        assert rig.origin.count(PLAYLIST) <= 12  # once a second
        rig.origin.paths[PLAYLIST] = plain(playlist(9))
        await trio.sleep(1)
        await rig.get(PLAYLIST)  # looks whether upstream is back, and waits for nobody
        await trio.sleep(0.1)
        assert (await rig.get(PLAYLIST)).body == playlist(9)


async def test_one_fetch_for_a_crowd_that_finds_nothing_usable(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        await rig.get(PLAYLIST)
        rig.origin.paths[PLAYLIST] = plain(playlist(5))
        rig.origin.delay = 1
        await trio.sleep(2 * TD)
        assert {answer.body for answer in await crowd(rig, 200, PLAYLIST)} == {playlist(5)}
        assert rig.origin.count(PLAYLIST) == 2


@pytest.mark.parametrize("status", [404, 410, 403, 302])
@pytest.mark.parametrize("fields", [[], [(b"Cache-Control", b"no-store")]])
async def test_one_refusal_for_a_crowd(
    status: int, fields: list[tuple[bytes, bytes]], autojump_clock: MockClock
) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = Response(status, fields, b"")
        rig.origin.delay = 1
        assert {answer.status for answer in await crowd(rig, 100)} == {status}
        shared = not fields or status in (404, 410)
        assert rig.origin.count(SEGMENT) == (1 if shared else 101)


async def test_a_crowd_does_not_queue_behind_what_is_not_for_others(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:

        async def own(request: Request) -> Response:
            await trio.sleep(1)
            return plain(b"own", (b"Cache-Control", b"private"))

        rig.origin.paths[SEGMENT] = own
        start = trio.current_time()
        assert {answer.body for answer in await crowd(rig, 50)} == {b"own"}
        assert trio.current_time() - start == 2  # one to find out, then all of them at once
        assert rig.origin.count(SEGMENT) == 51
        assert {answer.body for answer in await crowd(rig, 50)} == {b"own"}
        assert trio.current_time() - start == 3
        assert rig.origin.count(SEGMENT) == 101


async def test_those_who_wait_are_bounded(autojump_clock: MockClock) -> None:
    async with open_edge(max_waiters=10) as rig:
        rig.origin.delay = 1
        statuses = [answer.status for answer in await crowd(rig, 30)]
        assert (statuses.count(200), statuses.count(503)) == (10, 20)


async def test_what_is_asked_upstream_is_bounded(autojump_clock: MockClock) -> None:
    async with open_edge(max_fetches=5) as rig:
        rig.origin.delay = 1
        answers: list[Answer] = []

        async def ask(number: int, *fields: str) -> None:
            answers.append(await rig.get(f"/live/{number}.ts", *fields))

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ask, number)
                nursery.start_soon(ask, number, "Authorization: Basic x")
        assert sorted(answer.status for answer in answers) == [404] * 5 + [503] * 15
        assert all(answer.get(b"retry-after") == b"1" for answer in answers if answer.status == 503)
        assert len(rig.origin.asked) == 5
        assert (await rig.get("/live/8.ts")).status == 404


async def test_what_is_fetched_for_one_alone_is_bounded_too(autojump_clock: MockClock) -> None:
    """Nobody may join a fetch of what is private, but it is a request under way all the same, to its last byte."""
    async with open_edge(policy="rfc9111", max_fetches=5) as rig:
        statuses = []

        def private(request: Request) -> Response:
            answer = dripping(*[b"x"] * 10, pause=1, length=10)
            answer.headers.append((b"Cache-Control", b"private"))
            return answer

        async def ask(number: int) -> None:
            rig.origin.paths[f"/{number}"] = private
            statuses.append((await rig.get(f"/{number}")).status)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask, number)
                await trio.sleep(0.1)
            assert rig.statistics().store.filling == 5
        assert (statuses.count(200), statuses.count(503)) == (5, 15)
        assert rig.statistics().store.filling == 0


async def test_those_who_drain_what_passes_slowly_leave_room_for_what_all_want(autojump_clock: MockClock) -> None:
    """A fetch goes at upstream's pace, but what passes at its viewer's: nobody may hold all places by being slow."""
    async with open_edge(max_fetches=8, network=MemoryNetwork(buffer_bytes=10_000)) as rig:
        rig.origin.paths["/live/s/large.ts"] = plain(bytes(1 << 20))
        slow = [await rig.viewer() for _ in range(8)]
        for viewer in slow:
            await viewer.say(b"GET /live/s/large.ts HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        assert (rig.statistics().passed, rig.statistics().errors) == (6, 2)
        assert (await rig.get(PLAYLIST)).status == 200
        for viewer in slow:
            viewer.connection.abort()
        await trio.testing.wait_all_tasks_blocked()
        assert (await rig.get(SEGMENT, "Authorization: x")).status == 200


# --- ranges of what is still growing -------------------------------------------------------------


@pytest.mark.parametrize("length", [None, 15])
async def test_a_range_of_a_growing_object_leaves_when_its_bytes_are_there(
    length: int | None, autojump_clock: MockClock
) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", b"56789", b"abcde", length=length)
        start = trio.current_time()
        answer = await rig.get(SEGMENT, "Range: bytes=3-6")
        assert (answer.status, answer.body) == (206, b"3456")
        assert answer.get(b"content-range") == b"bytes 3-6/" + (b"*" if length is None else b"15")
        assert 1 <= trio.current_time() - start < 1.4
        assert (await rig.get(SEGMENT, "Range: bytes=13-")).body in (b"de", b"0123456789abcde")
        await trio.sleep(3)
        assert (await rig.get(SEGMENT, "Range: bytes=13-")).get(b"content-range") == b"bytes 13-14/15"
        assert rig.origin.count(SEGMENT) == 1


async def test_a_range_that_turns_out_to_end_early(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", b"56789")
        answer = await rig.get(SEGMENT, "Range: bytes=8-99")
        assert (answer.status, answer.body, answer.get(b"content-range")) == (206, b"89", b"bytes 8-9/10")
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", b"56789")
        answer = await rig.get(SEGMENT, "Range: bytes=90-99")
        assert (answer.status, answer.get(b"content-range")) == (416, b"bytes */10")


async def test_a_range_of_a_fetch_that_fails_is_an_error(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        rig.origin.paths[SEGMENT] = dripping(b"01234", fail=ValueError())
        assert (await rig.get(SEGMENT, "Range: bytes=8-9")).status == 502


# --- several upstreams, several tiers ------------------------------------------------------------

A = Origin("a", "http://a.example:80")


async def test_the_next_upstream_takes_over(autojump_clock: MockClock) -> None:
    second = Edge("second", upstream=(A, ORIGIN), listen="http://second.example:80", serves=HLS())
    async with open_edge(second) as rig:
        assert (await rig.get(tier="second")).body == b"segment one"
        assert [each.upstream for each in rig.events.of(UpstreamLost)] == ["a"]


async def test_no_upstream_takes_over_what_has_begun(autojump_clock: MockClock) -> None:
    second = Edge("second", upstream=(ORIGIN, A), listen="http://second.example:80", serves=HLS())
    async with open_edge(second) as rig:
        rig.origin.paths[SEGMENT] = dripping(PIECE, fail=ValueError())
        with pytest.raises(ConnectionLost):
            await rig.get(tier="second")
        assert [each.upstream for each in rig.events.of(UpstreamLost)] == ["origin"]


async def test_two_levels_cost_the_origin_one_fetch(autojump_clock: MockClock) -> None:
    shield = Edge("shield", upstream=ORIGIN, listen="http://shield.example:80", serves=HLS())
    leaves = [Edge(f"leaf-{i}", upstream=shield, listen=f"http://leaf-{i}.example:80", serves=HLS()) for i in range(3)]
    async with open_edge(*leaves) as rig:
        rig.origin.paths[SEGMENT] = dripping(*[PIECE] * 5)
        answers: list[Answer] = []

        async def ask(tier: str) -> None:
            answers.append(await rig.get(tier=tier))

        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(ask, f"leaf-{number % 3}")
        assert trio.current_time() - start < 5  # cut through, level by level
        assert {answer.body for answer in answers} == {PIECE * 5}
        assert {answer.get(b"via") for answer in answers} == {
            b"1.1 tierkit-shield, 1.1 tierkit-leaf-%d" % number for number in range(3)
        }
        assert rig.origin.count(SEGMENT) == 1
        assert rig.statistics("shield").upstream_requests == 1
        await trio.sleep(2)
        assert (await rig.get(tier="leaf-0")).get(b"age") == b"6"


async def test_a_truncated_fetch_is_reset_through_all_levels(autojump_clock: MockClock) -> None:
    shield = Edge("shield", upstream=ORIGIN, listen="http://shield.example:80", serves=HLS())
    leaf = Edge("leaf", upstream=shield, listen="http://leaf.example:80", serves=HLS())
    async with open_edge(leaf) as rig:
        rig.origin.paths[SEGMENT] = dripping(PIECE, fail=ValueError())
        with pytest.raises(ConnectionLost):
            await rig.get(tier="leaf")
        for tier in ("shield", "leaf"):
            assert rig.statistics(tier).store.objects == 0


async def test_a_loop_through_an_origin_that_is_ourselves() -> None:
    ring = Origin("ring", "http://two.example:80")
    one = Edge("one", upstream=ring, listen="http://one.example:80", serves=HLS())
    two = Edge("two", upstream=Origin("back", "http://one.example:80"), listen="http://two.example:80", serves=HLS())
    async with open_edge(one, two) as rig:
        answer = await rig.get(tier="one")
        assert answer.status in (502, 508)
        assert rig.statistics("one").upstream_requests == 1
        assert rig.statistics("two").upstream_requests == 1


async def test_the_tier_ends_in_the_middle_of_everything(autojump_clock: MockClock) -> None:
    ends: list[BaseException | None] = []
    async with trio.open_nursery() as nursery:
        async with open_edge() as rig:
            rig.origin.paths[SEGMENT] = dripping(*[PIECE] * 100)
            rig.origin.paths["/own.ts"] = lambda request: dripping(*[PIECE] * 100)

            async def watch(path: str, *fields: str) -> None:
                viewer = await rig.viewer()
                try:
                    await viewer.ask(path, *fields)
                except ConnectionLost as error:
                    ends.append(error)

            nursery.start_soon(watch, SEGMENT)
            nursery.start_soon(watch, "/own.ts", "Authorization: x")
            await trio.sleep(3)
        nursery.cancel_scope.deadline = trio.current_time() + 5
    assert len(ends) == 2
    assert rig.network.descriptors.memfds == 0
