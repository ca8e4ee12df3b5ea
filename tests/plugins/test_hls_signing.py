"""Signed URLs at an edge, and how a playlist hands its permission on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import ORIGIN, PLAYLIST, SEGMENT, TD, open_edge, plain, playlist
from tierkit import Edge, Graph, check
from tierkit.codecs.signed_url import SecureLink, SigningKey, sign
from tierkit.errors import TierkitError
from tierkit.plugins.hls import HLS

SOON = 4_000_000_000 - 2_000_000_000  # in 2033, well within what is believed
KEY = SigningKey("k1", b"hunter2")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    path.write_text("# id secret\nk1 hunter2\nk2 correct-horse\n")
    return str(path)


def rewrite(keys: str, text: str) -> None:
    """Other contents, and another time."""
    Path(keys).write_text(text)
    os.utime(keys, ns=(len(text), len(text)))


def media(body: bytes) -> list[str]:
    return [line for line in body.decode().splitlines() if line and not line.startswith("#")]


async def test_without_a_token_there_is_nothing(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        for query in ("", "?token=", "?token=x", f"?token={sign(PLAYLIST, SigningKey('k1', b'wrong'), SOON)}"):
            answer = await rig.get(PLAYLIST + query)
            assert answer.status == 403
            assert b"this URL is not signed for that: " in answer.body
            assert b"hunter2" not in answer.body
            assert answer.get(b"cache-control") == b"no-store"
        ended = await rig.get(f"{PLAYLIST}?token={sign(PLAYLIST, KEY, 1_000_000_000)}")
        assert (ended.status, b"it ended" in ended.body) == (403, True)
        assert rig.origin.asked == []


async def test_a_playlist_hands_its_token_on(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        tokens = [sign(PLAYLIST, KEY, SOON + n) for n in range(3)]
        for token in tokens:
            answer = await rig.get(f"{PLAYLIST}?token={token}")
            assert media(answer.body) == [f"media_{n}.ts?token={token}" for n in (1, 2, 3)]
            assert (answer.get(b"etag"), answer.get(b"cache-control")) == (None, b"private, no-cache")
            segment = await rig.get(f"{SEGMENT}?token={token}")
            assert segment.body == b"segment one"
        # One fetch of each, whatever the tokens, and upstream sees none.
        assert [(each.path, each.query) for each in rig.origin.asked] == [(PLAYLIST, ""), (SEGMENT, "")]


async def test_what_is_at_hand_is_not_for_strangers(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        viewer = await rig.viewer()
        token = sign(SEGMENT, KEY, SOON)
        for query, status in ((f"?token={token}", 200), (f"?token={token}", 200), ("?token=no", 403), ("", 403)):
            assert (await viewer.ask(SEGMENT + query)).status == status
        other = sign("/live/other/x.ts", KEY, SOON)
        assert (await viewer.ask(f"{SEGMENT}?token={other}")).status == 403


async def test_nginxs_form_gives_each_uri_its_own(keys: str) -> None:
    options = {"signing": "secure_link", "signing_keys": keys, "prefetch": False}
    async with open_edge(secure_link_expression="$secure_link_expires$uri $secret", **options) as rig:
        link = SecureLink("hunter2", "$secure_link_expires$uri $secret")
        answer = await rig.get(f"{PLAYLIST}?md5={link.sign(PLAYLIST, SOON)}&expires={SOON}")
        uris = media(answer.body)
        assert uris[0] == f"media_1.ts?md5={link.sign(SEGMENT, SOON)}&expires={SOON}"
        assert (await rig.get(f"/live/s/{uris[0]}")).body == b"segment one"
        assert (await rig.get(f"/live/s/{uris[0].replace('media_1', 'media_2')}")).status == 403


async def test_keys_are_read_again(keys: str, autojump_clock: MockClock) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        new = SigningKey("k3", b"battery")
        url = f"{SEGMENT}?token={sign(SEGMENT, new, SOON)}"
        assert (await rig.get(url)).status == 403
        rewrite(keys, "k3 battery\n")
        await trio.sleep(1.1)
        assert (await rig.get(url)).status == 200
        assert (await rig.get(f"{SEGMENT}?token={sign(SEGMENT, KEY, SOON)}")).status == 403
        rewrite(keys, "nonsense\n")
        await trio.sleep(1.1)
        assert (await rig.get(url)).status == 200  # what is no good leaves the old ones in force


@pytest.mark.parametrize(
    ("text", "reason"), [(None, "No such file"), ("", "no key"), ("one\n", "line 1"), ("a b\nc d e\n", "line 2")]
)
async def test_a_file_that_is_no_good_is_told_at_the_start(text: str | None, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    with pytest.RaisesGroup(pytest.RaisesExc(TierkitError, match=reason), flatten_subgroups=True, allow_unwrapped=True):
        async with open_edge(signing="token", signing_keys=str(path)):
            pass


def test_an_expression_that_anybody_could_sign_is_a_problem_of_the_graph(keys: str) -> None:
    serves = HLS(signing="secure_link", signing_keys=keys, secure_link_expression="$secure_link_expires $secret")
    (problem,) = check(Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=serves)))
    assert "secure_link_expression: $uri is missing" in str(problem)


def test_keys_without_a_form_are_a_problem_of_the_graph() -> None:
    graph = Graph.of(Edge("edge", upstream=ORIGIN, listen=":8080", serves=HLS(signing_keys="keys")))
    (problem,) = check(graph)
    assert "belong together" in str(problem)


async def test_a_playlist_that_changes_is_prepared_anew(keys: str, autojump_clock: MockClock) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        url = f"{PLAYLIST}?token={sign(PLAYLIST, KEY, SOON)}"
        await rig.get(url)
        rig.origin.paths[PLAYLIST] = plain(playlist(2))
        await trio.sleep(2 * TD)
        assert media((await rig.get(url)).body)[0].startswith("media_2.ts?token=")


async def test_a_token_of_ours_is_for_nobody_upstream(keys: str) -> None:
    options = {"signing": "token", "signing_keys": keys, "prefetch": False}
    async with open_edge(ignore_query=("x",), forward_ignored=True, **options) as rig:
        await rig.get(f"{SEGMENT}?x=1&token={sign(SEGMENT, KEY, SOON)}&a=2")
        assert [request.query for request in rig.origin.asked] == ["x=1&a=2"]


async def test_what_a_playlist_lists_elsewhere_is_signed_for_that(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist().replace(b"media_2.ts", b"/other/media_2.ts"))
        rig.origin.paths["/other/media_2.ts"] = plain(b"elsewhere")
        token = sign(PLAYLIST, KEY, SOON)
        uris = media((await rig.get(f"{PLAYLIST}?token={token}")).body)
        assert uris[0] == f"media_1.ts?token={token}"
        assert not uris[1].endswith(token)
        assert (await rig.get(uris[1])).body == b"elsewhere"


@pytest.mark.parametrize("query", ["&".join(["a=1"] * 150), "token=%FF&token", "=&=&;", "%"])
async def test_any_query_is_refused_in_order(query: str, keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        assert (await rig.get(f"{SEGMENT}?{query}")).status == 403
        assert (await rig.get(f"{SEGMENT}?{query}&token={sign(SEGMENT, KEY, SOON)}")).status in (200, 403)


@pytest.mark.parametrize(
    "define",
    [
        'NAME="cdn",VALUE="https://other.example"',
        'NAME="cdn",VALUE="//other.example"',
        'IMPORT="cdn"',
        'QUERYPARAM="cdn"',
    ],
)
@pytest.mark.parametrize("form", ["token", "secure_link"])
async def test_no_variable_takes_a_signature_to_another_host(keys: str, define: str, form: str) -> None:
    # One URI in another folder, so that each is signed by itself.
    written = playlist().replace(b"media_1.ts", b"{$cdn}/media_1.ts").replace(b"media_2.ts", b"/other/media_2.ts")
    written = written.replace(b"#EXTINF", b"#EXT-X-DEFINE:" + define.encode() + b"\n#EXTINF", 1)
    expression = "$secure_link_expires$uri $secret"
    options = {"signing": form, "signing_keys": keys, "secure_link_expression": expression, "prefetch": False}
    async with open_edge(**options) as rig:
        rig.origin.paths[PLAYLIST] = plain(written)
        md5 = SecureLink("hunter2", expression).sign(PLAYLIST, SOON)
        query = f"token={sign(PLAYLIST, KEY, SOON)}" if form == "token" else f"md5={md5}&expires={SOON}"
        uris = media((await rig.get(f"{PLAYLIST}?{query}")).body)
        assert uris[0] == "{$cdn}/media_1.ts"
        assert "?" in uris[1]
        assert "?" in uris[2]


@pytest.mark.parametrize("form", ["token", "secure_link"])
async def test_what_a_variable_leads_to_is_signed_for_where_it_leads(keys: str, form: str) -> None:
    written = playlist().replace(b"media_", b"{$folder}/media_")
    written = written.replace(b"#EXTINF", b'#EXT-X-DEFINE:NAME="folder",VALUE="/other"\n#EXTINF', 1)
    expression = "$secure_link_expires$uri $secret"
    options = {"signing": form, "signing_keys": keys, "secure_link_expression": expression, "prefetch": False}
    async with open_edge(**options) as rig:
        rig.origin.paths |= {PLAYLIST: plain(written), "/other/media_1.ts": plain(b"elsewhere")}
        md5 = SecureLink("hunter2", expression).sign(PLAYLIST, SOON)
        query = f"token={sign(PLAYLIST, KEY, SOON)}" if form == "token" else f"md5={md5}&expires={SOON}"
        uris = media((await rig.get(f"{PLAYLIST}?{query}")).body)
        assert (await rig.get(uris[0].replace("{$folder}", "/other"))).body == b"elsewhere"


async def test_a_token_that_ends_while_its_viewer_waits_is_told_so(keys: str, autojump_clock: MockClock) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        began = trio.current_time()
        signing = rig.handle.running("edge")["hls"].flow.signing  # type: ignore[attr-defined]
        signing.wall = lambda: 1_000_000_000 + trio.current_time() - began
        rig.origin.delay = 5
        answer = await rig.get(f"{PLAYLIST}?token={sign(PLAYLIST, KEY, 1_000_000_003)}")
        assert (answer.status, answer.get(b"cache-control")) == (403, b"no-store")
        assert b"it ended" in answer.body


@pytest.mark.parametrize("control", ["private", "no-store"])
async def test_a_playlist_that_is_nobody_elses_hands_its_token_on_as_well(keys: str, control: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        fields = (b"Cache-Control", control.encode()), (b"ETag", b'"a"')
        rig.origin.paths[PLAYLIST] = plain(playlist(), *fields)
        token = sign(PLAYLIST, KEY, SOON)
        for more in ((), (), ("Authorization: Basic xyz",), ("Range: bytes=0-99",)):
            answer = await rig.get(f"{PLAYLIST}?token={token}", *more)
            assert answer.status == 200
            assert media(answer.body) == [f"media_{n}.ts?token={token}" for n in (1, 2, 3)]
        assert (answer.get(b"etag"), answer.get(b"cache-control")) == (None, b"private, no-cache")
        assert rig.statistics().passed == 4
