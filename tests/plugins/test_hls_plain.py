"""`HLS(policy="rfc9111")` on the wire: what the public test suite for HTTP caches asks of a cache before an origin."""

from __future__ import annotations

import re
import time

import pytest
import trio
from trio.testing import MockClock

from tests.support_http import Answer
from tierkit import Edge, Graph, check
from tierkit.codecs.http_fields import format_date
from tierkit.http import Request, Response
from tierkit.plugins.hls import HLS
from tierkit.plugins.hls._objects import REMEMBERED

from .edge_rig import ORIGIN, Rig, open_edge

PATH = "/thing"
BODY = b"0123456789"


def fields(*lines: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.strip().encode()) for name, _, value in (line.partition(":") for line in lines)]


def at(offset: float) -> str:
    """A date so many seconds from now."""
    return format_date(time.time() + offset).decode()


def say(rig: Rig, *lines: str, status: int = 200, body: bytes = BODY, path: str = PATH) -> None:
    """Have the origin say this: 304 to who has it already."""

    def answer(request: Request) -> Response:
        said = fields(*lines)
        known = {name.lower(): value for name, value in said}
        tag = request.get(b"if-none-match")
        same = tag == known.get(b"etag") if tag else request.get(b"if-modified-since") == known.get(b"last-modified", 0)
        return Response(304, said) if same and status == 200 else Response(status, said, body)

    rig.origin.paths[path] = answer


def kind(rig: Rig, before: int) -> str:
    """How the origin was asked since `before`."""
    asked = rig.origin.asked[before:]
    if not asked:
        return "cached"
    if asked[0].get(b"if-none-match") is not None:
        return "etag_validated"
    return "lm_validated" if asked[0].get(b"if-modified-since") is not None else "not_cached"


async def ask(rig: Rig, *lines: str, path: str = PATH, method: str = "GET") -> tuple[str, Answer]:
    before = len(rig.origin.asked)
    answer = await rig.get(path, *lines, method=method)
    return kind(rig, before), answer


def told(answer: Answer) -> str:
    """Cache-Status without the seconds, which depend on how late in its second the origin has made its Date."""
    return re.sub(r"ttl=-?[0-9]+", "ttl", (answer.get(b"cache-status") or b"").decode())


LM = "Last-Modified: Sat, 23 Nov 2013 20:00:00 GMT"
REUSE = {
    "max-age": (["Cache-Control: max-age=3600"], [], 3, "cached"),
    "max-age 0": (["Cache-Control: max-age=0"], [], 1, "not_cached"),
    "max-age stale": (["Cache-Control: max-age=2"], [], 3, "not_cached"),
    "max-age and age": (["Cache-Control: max-age=3600", "Age: 7200"], [], 1, "not_cached"),
    "an old date": (["Cache-Control: max-age=60", "Date: {-100}"], [], 1, "not_cached"),
    "expires": (["Expires: {60}"], [], 3, "cached"),
    "expires past": (["Expires: {-60}"], [], 1, "not_cached"),
    "expires odd": (["Expires: 0"], [], 1, "not_cached"),
    "s-maxage over max-age": (["Cache-Control: s-maxage=1, max-age=3600"], [], 3, "not_cached"),
    "s-maxage longer": (["Cache-Control: s-maxage=3600, max-age=1"], [], 3, "cached"),
    "no lifetime": (["X: y"], [], 1, "not_cached"),
    "no-store": (["Cache-Control: max-age=60, no-store"], [], 1, "not_cached"),
    "private": (["Cache-Control: max-age=60, private"], [], 1, "not_cached"),
    "no-cache": (["Cache-Control: max-age=60, no-cache", 'ETag: "a"'], [], 1, "etag_validated"),
    "must-revalidate": (["Cache-Control: max-age=2, must-revalidate", 'ETag: "a"'], [], 3, "etag_validated"),
    "targeted": (["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], [], 5, "cached"),
    "targeted at us": (["Tierkit-Cache-Control: max-age=60", "CDN-Cache-Control: no-store"], [], 5, "cached"),
    "targeted unreadable": (["CDN-Cache-Control: max-age=60, &", "Cache-Control: no-store"], [], 1, "not_cached"),
    "cookie": (["Cache-Control: max-age=60", "Set-Cookie: a=b"], [], 1, "not_cached"),
    "cookie in request": (["Cache-Control: max-age=60"], ["Cookie: a=b"], 1, "cached"),
    "request max-age=0": (["Cache-Control: max-age=60"], ["Cache-Control: max-age=0"], 3, "not_cached"),
    "request no-cache": (["Cache-Control: max-age=60", LM], ["Cache-Control: no-cache"], 1, "lm_validated"),
    "request no-store": (["Cache-Control: max-age=60"], ["Cache-Control: no-store"], 1, "not_cached"),
    "request pragma": (["Cache-Control: max-age=60"], ["Pragma: no-cache"], 1, "not_cached"),
    "request max-stale": (["Cache-Control: max-age=1"], ["Cache-Control: max-stale=1000"], 3, "cached"),
    "request min-fresh": (["Cache-Control: max-age=60"], ["Cache-Control: min-fresh=99"], 1, "not_cached"),
    "authorization": (["Cache-Control: max-age=60"], ["Authorization: Basic x"], 1, "cached"),
    "vary on all": (["Cache-Control: max-age=60", "Vary: *"], [], 1, "not_cached"),
    "vary the same": (["Cache-Control: max-age=60", "Vary: X-Kind"], [], 1, "cached"),
    "vary otherwise": (["Cache-Control: max-age=60", "Vary: X-Kind"], ["X-Kind: b"], 1, "not_cached"),
    "an error with a lifetime": (["Cache-Control: max-age=60"], ["If-None-Match: x"], 1, "cached"),
}  # fmt: skip


@pytest.mark.parametrize("what", REUSE)
async def test_reuse(what: str, autojump_clock: MockClock) -> None:
    lines, second, after, expected = REUSE[what]
    lines = [line.replace("{60}", at(60)).replace("{-60}", at(-60)).replace("{-100}", at(-100)) for line in lines]
    async with open_edge(policy="rfc9111") as rig:
        say(rig, *lines)
        assert (await ask(rig))[0] == "not_cached"
        await trio.sleep(after)
        found, answer = await ask(rig, *second)
        assert (found, answer.status, answer.body) == (expected, 200, BODY)


async def test_what_came_with_credentials_is_for_others_only_if_it_says_so(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60")
        await ask(rig, "Authorization: Basic x")
        assert rig.origin.asked[0].get(b"authorization") == b"Basic x"
        await trio.sleep(11)
        say(rig, "Cache-Control: max-age=60, public")
        assert (await ask(rig, "Authorization: Basic x"))[0] == "not_cached"
        assert (await ask(rig))[0] == "cached"


async def test_a_cookie_reaches_the_one_who_asked_and_nobody_else(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", "Set-Cookie: a=b")
        assert (await ask(rig))[1].get(b"set-cookie") == b"a=b"
        await trio.sleep(11)
        say(rig, 'Cache-Control: max-age=60, no-cache="set-cookie"', "Set-Cookie: a=b")
        await ask(rig)
        found, answer = await ask(rig)
        assert (found, answer.get(b"set-cookie")) == ("cached", None)


async def test_age_counts_across_two_tiers(autojump_clock: MockClock) -> None:
    shield = Edge("shield", upstream=ORIGIN, listen="http://shield.example:80", serves=HLS(policy="rfc9111"))
    async with open_edge(shield, origin=shield, policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", "Age: 10")
        await rig.get(PATH, tier="shield")
        await trio.sleep(4)
        await rig.get(PATH)
        await trio.sleep(3)
        answer = await rig.get(PATH)
        assert (answer.get(b"age"), len(rig.origin.asked)) == (b"17", 1)
        assert answer.get(b"via") == b"1.1 tierkit-shield, 1.1 tierkit-edge"
        assert told(answer) == "tierkit-shield; hit; ttl, tierkit-edge; hit; ttl"
        await trio.sleep(44)
        assert rig.origin.count(PATH) == 1
        await rig.get(PATH)
        assert rig.origin.count(PATH) == 2


async def test_variants_live_beside_each_other(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        for each in ("gzip", "br"):
            say(rig, "Cache-Control: max-age=60", "Vary: Accept-Encoding", body=each.encode())
            await ask(rig, f"Accept-Encoding: {each}")
        assert rig.origin.asked[1].get(b"accept-encoding") == b"br"
        for each in ("gzip", "br"):
            found, answer = await ask(rig, f"Accept-Encoding: {each}")
            assert (found, answer.body) == ("cached", each.encode())
        found, answer = await ask(rig, "Accept-Encoding: identity")
        assert (found, told(answer)) == ("not_cached", "tierkit-edge; fwd=vary-miss; stored; ttl")


async def test_what_varies_is_found_for_as_long_as_it_is_stored() -> None:
    """All that is compressed varies, and a plain cache holds more of it than what a stranger may have remembered."""
    async with open_edge(policy="rfc9111") as rig:
        for number in range(2 * REMEMBERED):
            say(rig, "Cache-Control: max-age=600", "Vary: Accept-Encoding", path=f"/{number}")
            await ask(rig, path=f"/{number}")
        for number in (0, REMEMBERED, 2 * REMEMBERED - 1):
            assert (await ask(rig, path=f"/{number}"))[0] == "cached"


async def test_what_it_varies_by_goes_with_what_is_stored() -> None:
    async with open_edge(policy="rfc9111", cache_bytes=1 << 20) as rig:
        varies = rig.handle.running("edge")["hls"].flow.fetcher.varies
        for number in range(200):
            say(rig, "Cache-Control: max-age=600", "Vary: X", path=f"/{number}", body=bytes(20_000))
            for flavour in "ab":
                await ask(rig, f"X: {flavour}", path=f"/{number}")
        assert rig.statistics().store.evicted > 300
        assert sum(varies.get(f"/{number}") is not None for number in range(200)) <= rig.statistics().store.objects
        say(rig, "Cache-Control: max-age=600", path="/199")
        await ask(rig, "Cache-Control: no-cache", path="/199")
        assert varies.get("/199") is None
        assert (await ask(rig, "X: a", path="/199"))[0] == "cached"


async def test_a_variant_that_is_replaced_still_varies(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        for _ in range(2):
            say(rig, "Cache-Control: max-age=2", "Vary: X")
            await ask(rig, "X: a")
            await trio.sleep(3)
        say(rig, "Cache-Control: max-age=2", "Vary: X")
        await ask(rig, "X: a")
        assert (await ask(rig, "X: a"))[0] == "cached"
        assert (await ask(rig, "X: b"))[0] == "not_cached"


async def test_a_variant_on_its_way_is_invalidated_too(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=600", "Vary: X")
        await ask(rig, "X: a")
        rig.origin.delay = 2
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, rig, "X: b")
            await trio.sleep(1)
            await ask(rig, method="POST")
        rig.origin.delay = 0
        assert (await ask(rig, "X: b"))[0] == "not_cached"


@pytest.mark.parametrize("validator", ['ETag: "a"', LM])
async def test_a_304_updates_what_is_stored(validator: str, autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1", validator, "X: a", "Y: y")
        await ask(rig)
        await trio.sleep(3)
        say(rig, "Cache-Control: max-age=3600", validator, "X: b")
        answer = (await ask(rig))[1]
        assert (answer.status, answer.get(b"x"), answer.get(b"y"), answer.body) == (200, b"b", b"y", BODY)
        assert told(answer) == "tierkit-edge; fwd=stale; fwd-status=304; stored; ttl"
        await trio.sleep(3)
        found, answer = await ask(rig)
        assert (found, answer.get(b"x"), answer.get(b"age")) == ("cached", b"b", b"3")


async def test_a_head_updates_or_ends_what_is_stored(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=2", 'ETag: "a"', "X: 1")
        await ask(rig)
        await trio.sleep(3)
        say(rig, "Cache-Control: max-age=1000", 'ETag: "a"', "X: 2")
        found, answer = await ask(rig, method="HEAD")
        assert (found, answer.get(b"content-length"), answer.body) == ("not_cached", b"10", b"")
        assert told(answer) == "tierkit-edge; fwd=method"
        found, answer = await ask(rig)
        assert (found, answer.get(b"x"), answer.get(b"age")) == ("cached", b"2", b"0")
        assert (await ask(rig, method="HEAD"))[0] == "cached"
        say(rig, 'ETag: "b"', body=b"other")
        await ask(rig, "Cache-Control: no-cache", method="HEAD")
        assert (await ask(rig))[1].body == b"other"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "M-SEARCH"])
async def test_unsafe_methods_invalidate(method: str, autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        for path in (PATH, "/other"):
            say(rig, "Cache-Control: max-age=60", path=path)
            await ask(rig, path=path)
        say(rig, "Location: /other", status=500)
        assert (await ask(rig, "Content-Length: 0", method=method))[1].status == 500
        say(rig, "Cache-Control: max-age=60")
        assert (await ask(rig))[0] == "cached"
        say(rig, "Location: /other", status=201)
        assert (await ask(rig, "Content-Length: 0", method=method))[1].status == 201
        say(rig, "Cache-Control: max-age=60")
        assert (await ask(rig))[0] == "not_cached"
        assert (await ask(rig, path="/other"))[0] == "not_cached"


async def test_only_if_cached(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1")
        assert (await ask(rig, "Cache-Control: only-if-cached"))[1].status == 504
        await ask(rig)
        assert (await ask(rig, "Cache-Control: only-if-cached"))[1].status == 200
        await trio.sleep(3)
        found, answer = await ask(rig, "Cache-Control: only-if-cached")
        assert (found, answer.status) == ("cached", 504)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_stale_if_error(status: int, autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1, stale-if-error=60")
        await ask(rig)
        await trio.sleep(3)
        say(rig, "X: as it is", status=status, body=b"broken")
        answer = (await ask(rig))[1]
        assert (answer.status, answer.body) == (200, BODY)
        assert told(answer) == "tierkit-edge; hit; ttl; detail=stale-if-error"
        await trio.sleep(62)
        answer = (await ask(rig))[1]
        assert (answer.status, answer.body, answer.get(b"x")) == (status, b"broken", b"as it is")


def by_host(request: Request) -> Response:
    said = fields("Cache-Control: max-age=60")
    return Response(200, said, request.host.encode() + b" " + request.method.encode())


@pytest.mark.parametrize("rule", [{}, {"ignore_query": ("token",)}])
async def test_each_host_has_a_cache_of_its_own(rule: dict[str, object]) -> None:
    async with open_edge(policy="rfc9111", host="viewer", **rule) as rig:
        rig.origin.paths[PATH] = by_host
        for _ in range(3):
            for name in ("a.example", "b.example:8080"):
                assert (await ask(rig, f"Host: {name}"))[1].body == f"{name} GET".encode()
                assert (await ask(rig, f"Host: {name.upper()}"))[1].body == f"{name} GET".encode()
        assert len(rig.origin.asked) == 2
        assert rig.statistics().hits == 10


async def test_what_is_changed_at_one_host_is_forgotten_there_alone() -> None:
    async with open_edge(policy="rfc9111", host="viewer") as rig:
        rig.origin.paths[PATH] = by_host
        for name in ("a.example", "b.example"):
            await ask(rig, f"Host: {name}")
        assert (await ask(rig, "Host: a.example", "Content-Length: 0", method="POST"))[1].body == b"a.example POST"
        assert (await ask(rig, "Host: b.example"))[0] == "cached"
        assert (await ask(rig, "Host: a.example"))[0] == "not_cached"
        rig.handle.running("edge")["hls"].purge(PATH)
        for name in ("a.example", "b.example"):
            assert (await ask(rig, f"Host: {name}"))[0] == "not_cached"


async def test_upstream_is_asked_for_its_own_host_else() -> None:
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.paths[PATH] = by_host
        for name in ("a.example", "b.example"):
            assert (await ask(rig, f"Host: {name}"))[1].body == b"origin.example GET"
        assert len(rig.origin.asked) == 1


def test_a_host_of_the_viewers_is_for_a_plain_cache() -> None:
    graph = Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=HLS(host="viewer")))
    assert any("host='viewer' is for policy='rfc9111'" in str(problem) for problem in check(graph))


@pytest.mark.parametrize(("line", "asked"), [("X: y", 1), ("Cache-Control: private", 20), ("Set-Cookie: a=b", 20)])
async def test_a_crowd_gets_an_error_for_one_question(line: str, asked: int, autojump_clock: MockClock) -> None:
    """Each by himself would be how a broken origin is kept broken; what may be one user's is still for him alone."""
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.delay = 1.0
        say(rig, line, status=503, body=b"broken")
        answers = [answer for _, answer in await crowd(rig, 20)]
        assert {(answer.status, answer.body) for answer in answers} == {(503, b"broken")}
        assert len(rig.origin.asked) in (asked, asked + 1)
        await ask(rig)
        assert len(rig.origin.asked) > asked  # nothing of it was stored


async def crowd(rig: Rig, count: int) -> list[tuple[str, Answer]]:
    answers = []

    async def one() -> None:
        answers.append(await ask(rig))

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)
    return answers


@pytest.mark.parametrize(("directives", "status"), [("must-revalidate", 504), ("proxy-revalidate", 504), ("x", 200)])
async def test_what_must_be_confirmed_is_not_served_where_upstream_is_dead(
    directives: str, status: int, autojump_clock: MockClock
) -> None:
    async with open_edge(policy="rfc9111") as rig:
        said = fields(f"Cache-Control: max-age=1, stale-if-error=60, {directives}")
        rig.origin.paths[PATH] = Response(200, said, BODY, close=True)
        await ask(rig)
        rig.network.fault("http://origin.example:80", refuse=True)
        await trio.sleep(3)
        for _ in range(2):  # also while the origin is left alone
            assert (await ask(rig))[1].status == status


async def test_an_error_is_relayed_though_what_is_stored_must_be_confirmed(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1, stale-if-error=60, must-revalidate")
        await ask(rig)
        await trio.sleep(3)
        say(rig, status=503, body=b"broken")
        answer = (await ask(rig))[1]
        assert (answer.status, answer.body) == (503, b"broken")


async def test_stale_while_revalidate_asks_behind(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1, stale-while-revalidate=60")
        await ask(rig)
        await trio.sleep(3)
        say(rig, "Cache-Control: max-age=60", body=b"new")
        answer = (await ask(rig))[1]
        assert answer.body == BODY
        assert told(answer) == "tierkit-edge; hit; ttl; detail=stale-while-revalidate"
        await trio.sleep(1)
        found, answer = await ask(rig)
        assert (found, answer.body) == ("cached", b"new")


# --- fields ----------------------------------------------------------------------------------------


async def test_unknown_fields_pass_both_ways_and_those_of_the_hop_do_not(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", "X-Odd: yes", "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5")
        answer = (await ask(rig, "X-Mine: yes", "Connection: X-Drop, Cookie", "X-Drop: 1", "Cookie: c", "TE: trailers",
                            "Proxy-Authorization: x", "Upgrade: h2c"))[1]  # fmt: skip
        assert (answer.status, answer.get(b"x-odd"), answer.get(b"x-hop"), answer.get(b"keep-alive")) == (
            200, b"yes", None, None,
        )  # fmt: skip
        (request,) = rig.origin.asked
        assert (request.get(b"x-mine"), request.get(b"cookie")) == (b"yes", b"c")
        for gone in (b"x-drop", b"te", b"proxy-authorization", b"upgrade"):
            assert request.get(gone) is None
        assert request.get(b"via") == b"1.1 tierkit-edge"


async def test_what_is_no_part_of_the_key_does_not_choose_what_is_stored(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60")
        odd = ("X-Forwarded-Host: evil", "X-Forwarded-For: 127.0.0.1", "X-Original-URL: /evil")
        await ask(rig, *odd, "X-HTTP-Method-Override: POST")
        (request,) = rig.origin.asked
        for name in (b"x-forwarded-host", b"x-forwarded-for", b"x-original-url", b"x-http-method-override"):
            assert request.get(name) is None
        await ask(rig, "X-Forwarded-Host: mine", "Content-Length: 0", method="POST")
        assert rig.origin.asked[-1].get(b"x-forwarded-host") == b"mine"  # its answer is for nobody else


SPELLINGS = ("/a/b", "/a%2fb", "/a%2Fb", "/a//b", "/a;x", "/a%3bx", "/a", "/a?", "/a?b", "/a?b=", "/a%3fb", "/a%23b")


async def test_what_the_origin_may_tell_apart_is_stored_apart(autojump_clock: MockClock) -> None:
    """Key and upstream have one spelling: who decoded for the one alone would mix two objects."""

    def answer(request: Request) -> Response:
        target = f"{request.path}?{request.query}".encode()
        return Response(200, fields("Cache-Control: max-age=60"), target)

    async with open_edge(policy="rfc9111") as rig:
        for each in SPELLINGS:
            rig.origin.paths[each.partition("?")[0]] = answer
        for _ in range(2):
            for each in SPELLINGS:
                path, _, query = each.partition("?")
                assert (await ask(rig, path=each))[1].body == f"{path}?{query}".encode()
        asked = [f"{each.path}?{each.query}" for each in rig.origin.asked]
        assert len(asked) == len(set(asked)) == len(SPELLINGS) - 1  # an empty query is none


async def test_the_conditions_of_one_viewer_do_not_fill_the_store(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", 'ETag: "a"')
        found, answer = await ask(rig, 'If-None-Match: "a"', "Range: bytes=0-1")
        assert (found, answer.status) == ("not_cached", 304)
        assert rig.origin.asked[0].get(b"range") is None
        found, answer = await ask(rig)
        assert (found, answer.body) == ("cached", BODY)


@pytest.mark.parametrize("condition", ['If-Match: "x"', f"If-Unmodified-Since: {LM[15:]}"])
async def test_what_only_the_origin_can_judge_passes_and_fills_nothing(
    condition: str, autojump_clock: MockClock
) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", status=412)
        assert (await ask(rig, condition))[1].status == 412
        name, _, value = condition.partition(": ")
        assert rig.origin.asked[0].get(name.lower().encode()) == value.encode()
        say(rig, "Cache-Control: max-age=60")
        assert (await ask(rig))[0] == "not_cached"
        assert (await ask(rig, condition))[0] == "cached"


async def test_a_request_that_wants_more_than_freshness_is_told_so(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=60", 'ETag: "a"')
        assert told((await ask(rig))[1]) == "tierkit-edge; fwd=uri-miss; stored; ttl"
        answer = (await ask(rig, "Cache-Control: no-cache"))[1]
        assert told(answer) == "tierkit-edge; fwd=request; fwd-status=304; stored; ttl"


async def test_a_304_about_another_version_updates_nothing(autojump_clock: MockClock) -> None:
    """RFC 9111 section 4.3.4: a strong validator that nothing stored has selects nothing, so the whole is asked for."""
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1", 'ETag: "a"')
        await ask(rig)

        def answer(request: Request) -> Response:
            said = fields("Cache-Control: max-age=60", 'ETag: "b"')
            return Response(304, said) if request.get(b"if-none-match") else Response(200, said, b"another")

        rig.origin.paths[PATH] = answer
        await trio.sleep(2)
        for _ in range(2):
            got = await rig.get(PATH)
            assert (got.status, got.get(b"etag"), got.body) == (200, b'"b"', b"another")
        assert [each.get(b"if-none-match") for each in rig.origin.asked] == [None, b'"a"', None]


async def test_digests_stay_with_the_bytes_that_they_are_of(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        say(rig, "Cache-Control: max-age=1", 'ETag: "a"', "Content-Digest: old", "Content-MD5: old", "X: old")
        await ask(rig)
        say(rig, "Cache-Control: max-age=60", 'ETag: "a"', "Content-Digest: new", "Content-MD5: new", "X: new")
        await trio.sleep(2)
        how, got = await ask(rig)
        assert (how, got.get(b"x")) == ("etag_validated", b"new")
        assert (got.get(b"content-digest"), got.get(b"content-md5")) == (b"old", b"old")


@pytest.mark.parametrize("control", ['private="x-user"', 'no-cache="X-User"', 'private="x-user, set-cookie"'])
async def test_what_is_withheld_from_others_goes_to_the_one_who_asked(autojump_clock: MockClock, control: str) -> None:
    """RFC 9111 sections 5.2.2.4 and 5.2.2.7: the fields are his, or were validated a moment ago."""
    async with open_edge(policy="rfc9111") as rig:
        cookie = ("Set-Cookie: s=1",) if "cookie" in control else ()
        say(rig, f"Cache-Control: max-age=2, {control}", "X-User: ada", 'ETag: "a"', *cookie)
        _, first = await ask(rig)
        how, second = await ask(rig)
        await trio.sleep(3)
        again, third = await ask(rig)
        assert [first.get(b"x-user"), second.get(b"x-user"), third.get(b"x-user")] == [b"ada", None, b"ada"]
        assert [each.get(b"set-cookie") for each in (first, second)] == [b"s=1" if cookie else None, None]
        assert (how, again) == ("cached", "etag_validated")
        assert len([name for name, _ in first.headers if name == b"via"]) == 1


async def test_who_joins_a_fetch_gets_nothing_of_the_one_who_began_it(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:

        async def answer(request: Request) -> Response:
            await trio.sleep(1)
            return Response(200, fields('Cache-Control: max-age=9, private="set-cookie"', "Set-Cookie: s=1"), BODY)

        rig.origin.paths[PATH] = answer
        got: list[bytes | None] = []

        async def come() -> None:
            got.append((await rig.get(PATH)).get(b"set-cookie"))

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(come)
        assert len(rig.origin.asked) == 1
        assert sorted(got, key=repr) == [None, None, b"s=1"]
