"""Signed URLs for RTMP: the tokens of HLS edges, and nginx's links."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from trio.testing import MockClock

from tests.access.fakes import at_work, attempt
from tests.plugins.access_rig import everything, guarded, refused, told
from tests.rtmp.media import gop
from tests.rtmp.rig import published, send, url, viewer
from tierkit import Graph, Relay, check
from tierkit.access import AccessDenied
from tierkit.codecs.signed_url import SecureLink, SigningKey, sign
from tierkit.codecs.wowza_token import SecureToken
from tierkit.errors import TierkitError
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.signed_urls import SignedURLs

KEY = SigningKey("k1", b"hunter2")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    path.write_text("k1 hunter2\nk2 correct-horse\n")
    return str(path)


def soon(seconds: int = 1000) -> int:
    return int(time.time()) + seconds


async def denied(recipe: SignedURLs, path: str, query: str, host: str = "192.0.2.7") -> str:
    async with at_work(recipe) as (access, _):
        try:
            entry = await access.admit(attempt("play", path, query, host), lambda reason: None)
        except AccessDenied as error:
            return str(error).removeprefix("this URL is not signed for that: ")
        assert entry.attempt.path == path
        assert entry.attempt.query in ("", "a=1")
        return ""


async def test_a_token_for_the_streams_folder_is_that_of_hls(keys: str, autojump_clock: MockClock) -> None:
    recipe = SignedURLs(keys=keys)
    for signed in ("/live/s/", "/live/s/playlist.m3u8"):
        token = sign(signed, KEY, soon())
        assert await denied(recipe, "/live/s", f"a=1&token={token}") == ""
        assert "not that of this path" in await denied(recipe, "/live/other", f"token={token}")
        assert "not that of this path" in await denied(recipe, "/live/s2", f"token={token}")
    everything_in_live = sign("/live/s", KEY, soon())
    assert await denied(recipe, "/live/other", f"token={everything_in_live}") == ""
    assert await denied(recipe, "/vod/s", f"token={everything_in_live}") != ""


async def test_tokens_that_are_no_good(keys: str, autojump_clock: MockClock) -> None:
    recipe = SignedURLs(keys=keys)
    assert await denied(recipe, "/live/s", "") == "there is no token"
    assert (await denied(recipe, "/live/s", f"token={sign('/live/s/', KEY, soon(-10))}")).startswith("it ended")
    assert await denied(SignedURLs(keys=keys, slack=60.0), "/live/s", f"token={sign('/live/s/', KEY, soon(-10))}") == ""
    assert "is not known here" in await denied(
        recipe, "/live/s", f"token={sign('/live/s/', SigningKey('k9', b'x'), soon())}"
    )
    forged = sign("/live/s/", SigningKey("k1", b"x"), soon())
    assert "not that of this path" in await denied(recipe, "/live/s", f"token={forged}")
    bound = sign("/live/s/", KEY, soon(), address="192.0.2.7")
    assert await denied(recipe, "/live/s", f"token={bound}") == ""
    assert "and address" in await denied(recipe, "/live/s", f"token={bound}", host="192.0.2.8")


async def test_nginxs_links(keys: str, autojump_clock: MockClock) -> None:
    recipe = SignedURLs(keys=keys, form="secure_link")
    for secret in ("hunter2", "correct-horse"):
        query = SecureLink(secret).query("/live/s", soon(), "192.0.2.7")
        assert await denied(recipe, "/live/s", query) == ""
        assert "not that of this path" in await denied(recipe, "/live/s2", query)
        assert "not that of this path" in await denied(recipe, "/live/s", query, host="192.0.2.8")
    assert "no md5" in await denied(recipe, "/live/s", "")
    assert "it ended" in await denied(recipe, "/live/s", SecureLink("hunter2").query("/live/s", 1000, "192.0.2.7"))


async def test_at_a_relay(keys: str, autojump_clock: MockClock) -> None:
    token = sign("/live/s/", KEY, soon())
    async with guarded(SignedURLs(keys=keys)) as rig:
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
            assert await told(rig, "/live/s") == "NetStream.Play.Failed"
            assert await told(rig, "/live/s?token=x") == "NetStream.Play.Failed"
            async with viewer(rig.network, url("relay", f"/live/s?token={token}")) as player:
                await player.until(lambda v: "K" in v.letters)
        assert token not in everything(rig)
    async with guarded(SignedURLs(keys=keys, on="publish")) as rig:
        assert "there is no token" in await refused(rig, "/live/s")
        assert await refused(rig, f"/live/s?token={token}") == ""


async def test_wowzas_tokens(keys: str, autojump_clock: MockClock) -> None:
    recipe = SignedURLs(keys=keys, form="wowza")
    for secret in ("hunter2", "correct-horse"):
        for content in ("live/s", "live/_definst_/s"):
            query = SecureToken(secret).sign(content, end=soon(), custom={"user": "7"})
            assert await denied(recipe, "/live/s", f"a=1&{query}") == ""
            assert "is not that of this stream" in await denied(recipe, "/live/s2", query)
            assert "is not that of this stream" in await denied(recipe, "/live/s/t", query)
    assert "there is no wowzatokenhash" in await denied(recipe, "/live/s", "a=1")
    query = SecureToken("hunter2").sign("live/s", start=soon(), end=soon())
    assert re.fullmatch(r"it begins in (999|1000) s: is a clock off\?", await denied(recipe, "/live/s", query))
    query = SecureToken("hunter2").sign("live/s", end=soon(-10))
    assert re.fullmatch(r"it ended 1[01] s ago", await denied(recipe, "/live/s", query))
    assert await denied(SignedURLs(keys=keys, form="wowza", slack=60.0), "/live/s", query) == ""


async def test_wowzas_tokens_as_a_server_has_them_set_up(keys: str, autojump_clock: MockClock) -> None:
    recipe = SignedURLs(keys=keys, form="wowza", prefix="t", algorithm="sha512", address=True)
    query = SecureToken("hunter2", "t", "sha512", bound=True).sign("live/s", end=soon(), address="192.0.2.7")
    assert await denied(recipe, "/live/s", query) == ""
    assert "and address" in await denied(recipe, "/live/s", query, host="192.0.2.8")
    serves = RTMP(authorise=(SignedURLs(keys=keys, form="wowza", prefix="=", algorithm="md5"),))
    problems = check(Graph.of(Relay("r", listen=":1935", serves=serves)))
    assert [each.partition("signed_urls: ")[2][:30] for each in problems] == [
        "option algorithm='md5': choose",
        "option prefix: '=' begins no p",
    ]


async def test_a_token_of_wowzas_at_a_relay(keys: str, autojump_clock: MockClock) -> None:
    good = SecureToken("hunter2").sign("live/s", end=soon())
    long = SecureToken("hunter2").sign("live/_definst_/mp4:s", end=soon())
    async with guarded(SignedURLs(keys=keys, form="wowza")) as rig:
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
            assert await told(rig, "/live/s") == "NetStream.Play.Failed"
            assert await told(rig, f"/live/s?{long}") == "NetStream.Play.Failed"
            for path in (f"/live/s?{good}", f"/live/_definst_/s?{good}", f"/live/_definst_/mp4:s?{long}"):
                async with viewer(rig.network, url("relay", path)) as player:
                    await player.until(lambda v: "K" in v.letters)
        said = everything(rig)
        assert "wowzatokenhash=" not in said
        assert good.partition("hash=")[2] not in said


async def test_a_file_that_is_not_there_keeps_the_tier_from_starting(autojump_clock: MockClock) -> None:
    with pytest.raises(TierkitError, match="keys=/nowhere/keys: No such file or directory"):
        async with guarded(SignedURLs(keys="/nowhere/keys")):
            raise AssertionError("not reached")


def test_options_that_do_not_go_together() -> None:
    serves = RTMP(authorise=(SignedURLs(expression="$uri", form="md4"),))
    problems = check(Graph.of(Relay("r", listen=":1935", serves=serves)))
    assert [each.partition("signed_urls: ")[2][:29] for each in problems] == [
        "option form='md4': choose one",
        "option keys is missing: give ",
        "option expression: $secret is",
    ]
