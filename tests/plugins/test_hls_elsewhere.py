"""What playlists list at other hosts: fetched through the edge where its operator has listed them too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from tests.core.fakes import Record
from tests.plugins.edge_rig import ORIGIN, PLAYLIST, SEGMENT, FakeOrigin, Rig, open_edge, plain
from tests.support_http import Viewer, open_server
from tierkit import Address, Edge, Graph, Origin, check
from tierkit._net import RealNetwork
from tierkit._registry import Registry
from tierkit._serve import open_graph
from tierkit.codecs.http1 import get
from tierkit.codecs.signed_url import SigningKey, sign
from tierkit.http import Request, Response
from tierkit.plugins.hls import HLS
from tierkit.plugins.hls._elsewhere import Elsewhere
from tierkit.testing import MemoryNetwork

HEAD = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:6\n"
THERE = "/-/media.example"


def listing(*uris: str) -> Response:
    return plain((HEAD + "".join(f"#EXTINF:6,\n{uri}\n" for uri in uris)).encode())


def media(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line and not line.startswith("#")]


@asynccontextmanager
async def open_both(*, fetch_from: tuple[str, ...] = ("http://media.example",), **options: object) -> AsyncIterator[
    tuple[Rig, FakeOrigin]
]:  # fmt: skip
    """An edge, and a second server that is none of its upstreams."""
    network, there = MemoryNetwork(), FakeOrigin({"/a/1.ts": plain(b"from there")})
    options = {"prefetch": False, **options}
    async with (
        open_server(network, there, "http://media.example:80"),
        open_edge(network=network, fetch_from=fetch_from, **options) as rig,
    ):
        yield rig, there


async def test_what_is_listed_there_is_fetched_through_here_and_once() -> None:
    async with open_both() as (rig, there):
        rig.origin.paths[PLAYLIST] = listing("http://media.example/a/1.ts", "//media.example/a/2.ts?x=1", "media_1.ts")
        shown = media((await rig.get(PLAYLIST)).body)
        assert shown == [f"{THERE}/a/1.ts", f"{THERE}/a/2.ts?x=1", "media_1.ts"]
        for _ in range(3):
            assert (await rig.get(shown[0])).body == b"from there"
        assert [request.path for request in there.asked] == ["/a/1.ts"]
        assert there.asked[0].host == "media.example"
        assert rig.statistics().hits == 2


async def test_it_is_fetched_ahead_like_what_is_listed_here() -> None:
    async with open_both(prefetch=True) as (rig, there):
        rig.origin.paths[PLAYLIST] = listing(*(f"http://media.example/a/{n}.ts" for n in (1, 2)))
        await rig.get(PLAYLIST)
        await wait_all_tasks_blocked()
        assert {request.path for request in there.asked} == {"/a/1.ts", "/a/2.ts"}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("2.ts?x=1", "2.ts?x=1"),
        ("sub/2.ts", "sub/2.ts"),
        ("/b/2.ts", f"{THERE}/b/2.ts"),
        ("../b/2.ts", f"{THERE}/a/b/2.ts"),
        ("../../../../b/2.ts", f"{THERE}/b/2.ts"),
        ("http://media.example/b/2.ts", f"{THERE}/b/2.ts"),
        ("http://other.example/b/2.ts", "http://other.example/b/2.ts"),
        ("https://media.example/b/2.ts", f"{THERE}/b/2.ts"),  # its own name, by whatever scheme
    ],
)
async def test_a_playlist_from_there_lists_what_is_there(written: str, shown: str) -> None:
    async with open_both() as (rig, there):
        there.paths["/a/c/p.m3u8"] = listing(written)
        assert media((await rig.get(f"{THERE}/a/c/p.m3u8")).body) == [shown]


@pytest.mark.parametrize(
    "path",
    ["/-/other.example/a/1.ts", "/-/media.example", "/-/media.example:8080/a/1.ts", "/-/MEDIA.example/a/1.ts", "/-//a",
     "/-/media.example?/a", "/-/media.example@other.example/a"],
)  # fmt: skip
async def test_nobody_else_is_asked(path: str) -> None:
    async with open_both() as (rig, there):
        answer = await rig.get(path)
        assert answer.status == 404
        assert b"fetch_from" in answer.body
        assert (rig.origin.asked, there.asked) == ([], [])


@pytest.mark.parametrize("path", [f"{THERE}/../origin", f"{THERE}/%2e%2e/x", f"{THERE}/a\\b"])
async def test_no_path_climbs_out(path: str) -> None:
    async with open_both() as (rig, there):
        assert (await rig.get(path)).status == 400
        assert (rig.origin.asked, there.asked) == ([], [])


async def test_what_is_not_listed_stays_as_it_is_written() -> None:
    async with open_both(fetch_from=()) as (rig, there):
        rig.origin.paths[PLAYLIST] = listing("http://media.example/a/1.ts")
        rig.origin.paths[f"{THERE}/a/1.ts"] = plain(b"the origin's own")
        assert media((await rig.get(PLAYLIST)).body) == ["http://media.example/a/1.ts"]
        assert (await rig.get(f"{THERE}/a/1.ts")).body == b"the origin's own"
        assert there.asked == []


async def test_credentials_for_here_are_not_for_there() -> None:
    async with open_both() as (rig, there):
        for path in (f"{THERE}/a/1.ts", SEGMENT):
            await rig.get(path, "Authorization: Basic eA==")
        assert get(there.asked[0].headers, b"authorization") is None
        assert get(rig.origin.asked[0].headers, b"authorization") == b"Basic eA=="


async def test_a_host_that_is_down_is_no_upstream_that_is_down(autojump_clock: MockClock) -> None:
    async with open_both(fetch_from=("http://media.example", "http://gone.example")) as (rig, _):
        assert (await rig.get("/-/gone.example/a.ts")).status == 502
        assert (await rig.get("/-/gone.example/b.ts")).status == 502
        assert (await rig.get(SEGMENT)).status == 200
        assert (await rig.get(f"{THERE}/a/1.ts")).status == 200


async def test_what_it_lists_there_is_signed_for_that(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("k1 hunter2\n")
    async with open_both(signing="token", signing_keys=str(tmp_path / "keys")) as (rig, there):
        rig.origin.paths[PLAYLIST] = listing("http://media.example/a/1.ts")
        answer = await rig.get(f"{PLAYLIST}?token={sign(PLAYLIST, SigningKey('k1', b'hunter2'), 2_000_000_000)}")
        (uri,) = media(answer.body)
        assert (await rig.get(uri)).body == b"from there"
        assert (await rig.get(uri.partition("?")[0])).status == 403
        assert there.asked[0].query == ""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"fetch_from": ("ftp://media.example",)}, "is no host over HTTP"),
        ({"fetch_from": ("http://media.example/folder",)}, "is no host over HTTP"),
        ({"fetch_from": ("a b",)}, "fetch_from"),
        ({"fetch_networks": ("10.2",)}, "'10.2' is no network"),
        ({"fetch_from": ("media.example",), "policy": "rfc9111"}, "a plain cache reads no playlists"),
    ],
)
def test_odd_options_are_told(options: dict[str, object], told: str) -> None:
    graph = Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=HLS(**options)))
    assert any(told in str(problem) for problem in check(graph))


def test_a_host_without_a_scheme_is_https() -> None:
    elsewhere = Elsewhere(["media.example", "http://10.2.0.7:8080"])
    secure, plain_one = elsewhere.candidate(f"{THERE}/a"), elsewhere.candidate("/-/10.2.0.7:8080/a")
    assert secure is not None
    assert plain_one is not None
    assert (secure.name, plain_one.name) == ("https://media.example", "http://10.2.0.7:8080")
    assert secure.trust is not None
    assert secure.trust.networks == ("public",)
    assert plain_one.trust is not None
    assert plain_one.trust.networks == ("public", "10.2.0.7")


@pytest.mark.parametrize("networks", [(), ("127.0.0.0/8", "::1")])
async def test_a_name_that_leads_to_this_machine_is_not_followed(networks: tuple[str, ...]) -> None:
    """On the sockets of this machine: the address that is connected to counts, whatever the name."""

    asked: list[str] = []

    async def give(request: Request) -> Response:
        asked.append(request.path)
        return Response(200, [], b"inside")

    network = RealNetwork()
    async with open_server(network, give, "http://127.0.0.1:0") as server:  # type: ignore[arg-type]
        name = f"localhost:{server.address.port}"
        serves = HLS(fetch_from=(f"http://{name}",), fetch_networks=networks)
        edge = Edge("edge", upstream=Origin("origin", "http://127.0.0.1:9"), listen="127.0.0.1:0", serves=serves)
        async with open_graph(
            Graph.of(edge), network=network, registry=Registry(), observers=[Record()], drain=1
        ) as handle:
            viewer = Viewer(await network.connect(Address.parse(handle.url("edge", scheme="http"))))
            answer = await viewer.ask(f"/-/{name}/x.ts")
            viewer.connection.close()
    assert (answer.status, asked) == ((200, ["/x.ts"]) if networks else (502, []))
    if not networks:
        assert b"127.0.0.1" in answer.body
