"""Wowza's SecureToken at an edge: looked at before anything is fetched, handed on to what playlists list."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import ORIGIN, PLAYLIST, SEGMENT, Rig, open_edge, plain, playlist
from tests.support_http import Viewer
from tierkit import Address, Edge, Graph, check
from tierkit.codecs.wowza_token import SecureToken
from tierkit.config import load_graph
from tierkit.plugins.hls import HLS

SOON = 2_000_000_000
TOKEN = SecureToken("hunter2")
GOOD = TOKEN.sign("live/s", end=SOON)


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    path.write_text("wowza hunter2\nolder correct-horse\n")
    return str(path)


@asynccontextmanager
async def signed_edge(keys: str, **options: Any) -> AsyncIterator[Rig]:
    async with open_edge(signing="wowza", signing_keys=keys, prefetch=False, **options) as rig:
        yield rig


def media(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line and not line.startswith("#")]


def shown(rig: Rig) -> str:
    return repr(rig.events) + "".join(each.text for each in rig.events) + repr(rig.handle.statistics())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "there is no wowzatokenhash in the query"),
        ("?wowzatokenhash=x", "wowzatokenhash is not that of this stream"),
        (f"?{SecureToken('wrong').sign('live/s', end=SOON)}", "wowzatokenhash is not that of this stream"),
        (f"?{TOKEN.sign('live/other', end=SOON)}", "wowzatokenhash is not that of this stream"),
        (f"?{GOOD}&wowzatokenuser=1", "wowzatokenhash is not that of this stream"),
        (f"?{GOOD}&{GOOD}", "wowzatokenendtime is given twice"),
        ("?" + "&".join(["a=1"] * 150), "the query has more than 100 parameters"),
    ],
)
async def test_without_a_good_token_there_is_nothing(query: str, reason: str, keys: str) -> None:
    async with signed_edge(keys) as rig:
        for path in (PLAYLIST, SEGMENT):
            answer = await rig.get(path + query)
            assert answer.status == 403
            assert answer.body.decode().strip().endswith(reason)
            assert len(answer.body.splitlines()) == 1
            assert answer.get(b"cache-control") == b"no-store"
        assert rig.origin.asked == []
        for secret in ("hunter2", *re.findall("hash=([^&]{2,})", query)):
            assert secret not in shown(rig) + answer.body.decode()


async def test_a_clock_that_is_off_is_told_by_how_much(keys: str) -> None:
    async with signed_edge(keys) as rig:
        signing = rig.handle.running("edge")["hls"].flow.signing  # type: ignore[attr-defined]
        signing.wall = lambda: 1_000_000.0
        early = await rig.get(f"{PLAYLIST}?{TOKEN.sign('live/s', start=1_000_300, end=1_009_000)}")
        assert (early.status, b"it begins in 300 s: is a clock off?" in early.body) == (403, True)
        late = await rig.get(f"{PLAYLIST}?{TOKEN.sign('live/s', end=999_940)}")
        assert (late.status, b"it ended 60 s ago" in late.body) == (403, True)
        assert rig.origin.asked == []


async def test_a_playlist_hands_its_token_on_to_the_letter(keys: str) -> None:
    async with signed_edge(keys) as rig:
        tokens = [TOKEN.sign("live/s", end=SOON, custom={"user": str(n)}) for n in range(3)]
        tokens.append(SecureToken("correct-horse").sign("live/s", end=SOON))
        for token in tokens:
            answer = await rig.get(f"{PLAYLIST}?{token}")
            assert media(answer.body) == [f"media_{n}.ts?{token}" for n in (1, 2, 3)]
            assert (answer.get(b"etag"), answer.get(b"cache-control")) == (None, b"private, no-cache")
            assert (await rig.get(f"/live/s/{media(answer.body)[0]}")).body == b"segment one"
        # One fetch of each, whatever the tokens, and upstream sees none.
        assert [(each.path, each.query) for each in rig.origin.asked] == [(PLAYLIST, ""), (SEGMENT, "")]
        assert all(token not in shown(rig) for token in tokens)


async def test_from_the_multivariant_playlist_down(keys: str) -> None:
    async with signed_edge(keys) as rig:
        master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nchunklist_b1.m3u8\n"
        rig.origin.paths |= {PLAYLIST: plain(master), "/live/s/chunklist_b1.m3u8": plain(playlist())}
        chunklist = media((await rig.get(f"{PLAYLIST}?DVR&{GOOD}")).body)[0]
        assert chunklist == f"chunklist_b1.m3u8?{GOOD}"
        segment = media((await rig.get(f"/live/s/{chunklist}")).body)[0]
        assert (await rig.get(f"/live/s/{segment}")).body == b"segment one"
        assert [(each.path, each.query) for each in rig.origin.asked] == [
            (PLAYLIST, "DVR"),
            ("/live/s/chunklist_b1.m3u8", ""),
            (SEGMENT, ""),
        ]


async def test_what_is_at_hand_is_not_for_strangers(keys: str) -> None:
    async with signed_edge(keys) as rig:
        viewer = await rig.viewer()
        other = TOKEN.sign("live/other", end=SOON)
        for query, status in ((f"?{GOOD}", 200), (f"?{GOOD}", 200), (f"?{other}", 403), ("", 403)):
            assert (await viewer.ask(SEGMENT + query)).status == status


@pytest.mark.parametrize("path", ["/live/s/..%2Fother%2Fmedia_1.ts", "/live/s/other%2Fmedia_1.ts"])
async def test_a_path_that_leads_elsewhere_upstream_is_not_its_stream(path: str, keys: str) -> None:
    async with signed_edge(keys) as rig:
        assert (await rig.get(f"{path}?{GOOD}")).status in (400, 403)
        assert rig.origin.asked == []


async def test_the_settings_are_those_of_the_server(keys: str) -> None:
    options = {"wowza_prefix": "myPrefix", "wowza_algorithm": "sha512", "wowza_address": True}
    async with signed_edge(keys, **options) as rig:
        token = SecureToken("hunter2", "myPrefix", "sha512", bound=True)
        query = token.sign("live/s", end=SOON, address="192.0.2.7")
        (address, *_) = rig.handle.addresses("edge")

        async def status(path: str, source: str) -> int:
            viewer = Viewer(await rig.network.connect(Address.parse(str(address)), source=source))
            answer = await viewer.ask(path)
            viewer.connection.close()
            if answer.body.startswith(b"#EXTM3U"):
                return await status(f"/live/s/{media(answer.body)[0]}", source)
            return answer.status

        assert await status(f"{PLAYLIST}?{query}", "192.0.2.7") == 200
        assert await status(f"{PLAYLIST}?{query}", "192.0.2.8") == 403
        assert await status(f"{PLAYLIST}?{GOOD}", "192.0.2.7") == 403
        assert [each.query for each in rig.origin.asked] == ["", ""]


async def test_a_token_that_upstream_has_echoed_does_not_stay(keys: str) -> None:
    async with signed_edge(keys) as rig:
        echoed = playlist().replace(b".ts", b".ts?wowzatokenendtime=1&a=2&wowzatokenhash=theirs")
        rig.origin.paths[PLAYLIST] = plain(echoed)
        assert media((await rig.get(f"{PLAYLIST}?{GOOD}")).body)[0] == f"media_1.ts?a=2&{GOOD}"


async def test_what_a_playlist_lists_elsewhere_is_signed_for_that(keys: str) -> None:
    async with signed_edge(keys) as rig:
        written = playlist().replace(b"media_2.ts", b"/other/t/media_2.ts").replace(b"media_3.ts", b"/b%2Fc/..;/x")
        rig.origin.paths |= {PLAYLIST: plain(written), "/other/t/media_2.ts": plain(b"elsewhere")}
        token = TOKEN.sign("live/s", end=SOON, custom={"user": "7"})
        uris = media((await rig.get(f"{PLAYLIST}?{token}")).body)
        assert uris[0] == f"media_1.ts?{token}"
        assert "wowzatokenuser=7" in uris[1]
        assert token not in uris[1]
        assert uris[2] == "/b%2Fc/..;/x"
        assert (await rig.get(uris[1])).body == b"elsewhere"


async def test_no_variable_takes_a_token_to_another_host(keys: str) -> None:
    async with signed_edge(keys) as rig:
        written = playlist().replace(b"media_1.ts", b"{$cdn}/media_1.ts").replace(b"media_2.ts", b"/other/media_2.ts")
        written = written.replace(b"#EXTINF", b'#EXT-X-DEFINE:NAME="cdn",VALUE="//other.example"\n#EXTINF', 1)
        rig.origin.paths[PLAYLIST] = plain(written)
        uris = media((await rig.get(f"{PLAYLIST}?{GOOD}")).body)
        assert ["wowzatoken" in each for each in uris] == [False, True, True]


async def test_a_token_that_ends_while_its_viewer_waits_is_told_so(keys: str, autojump_clock: MockClock) -> None:
    async with signed_edge(keys) as rig:
        began = trio.current_time()
        signing = rig.handle.running("edge")["hls"].flow.signing  # type: ignore[attr-defined]
        signing.wall = lambda: 1_000_000_000 + trio.current_time() - began
        rig.origin.delay = 5
        answer = await rig.get(f"{PLAYLIST}?{TOKEN.sign('live/s', end=1_000_000_003)}")
        assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
        assert b"it ended 2 s ago" in answer.body


async def test_one_playlist_by_two_spellings_of_its_stream(keys: str) -> None:
    """What is prepared for the viewers of one spelling is not for those of the other."""
    async with signed_edge(keys, ignore_path=("/_definst_",)) as rig:
        long = TOKEN.sign("live/_definst_/s", end=SOON)
        for _ in range(2):
            for path, token in ((PLAYLIST, GOOD), ("/live/_definst_/s/playlist.m3u8", long)):
                uris = media((await rig.get(f"{path}?{token}")).body)
                assert uris[0] == f"media_1.ts?{token}"
        assert rig.origin.count(PLAYLIST) == 1
        assert (await rig.get(f"{PLAYLIST}?{long}")).status == 403


def test_a_prefix_that_no_parameter_begins_with_is_a_problem_of_the_graph(keys: str) -> None:
    serves = HLS(signing="wowza", signing_keys=keys, wowza_prefix="a&b", wowza_algorithm="md5")
    problems = [str(each) for each in check(Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=serves)))]
    assert len(problems) == 2
    assert "option wowza_algorithm='md5': choose one of 'sha256', 'sha384', 'sha512'" in problems[0]
    assert "option wowza_prefix: 'a&b' begins no parameter" in problems[1]


# --- the page ----------------------------------------------------------------------------------------


def of_the_page(language: str) -> str:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "wowza.md").read_text("utf-8")
    section = page.partition("\n## Tokens\n")[2].partition("\n## ")[0]
    return str(re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[-1])


async def test_the_recipe_of_the_how_to_makes_a_url_that_is_good(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("wowza mySharedSecret\n")
    told: dict[str, str] = {}
    exec(of_the_page("python"), told)
    async with signed_edge(str(tmp_path / "keys")) as rig:
        rig.origin.paths["/live/myStream/playlist.m3u8"] = plain(playlist())
        assert (await rig.get(told["url"].removeprefix("http://edge.example"))).status == 200


def test_the_graph_of_the_how_to_can_run(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text(of_the_page("toml"))
    assert check(load_graph(path)) == []
