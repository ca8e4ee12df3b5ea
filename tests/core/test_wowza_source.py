"""Where things are on a Wowza, by the vendor's table of URLs; and what is refused before it is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Address, Edge, Graph, Origin
from tierkit._check import check
from tierkit._config_options import make
from tierkit.plugin import NotServed, RemoteProtocolError, UpstreamError
from tierkit.plugins.wowza import LiveWowza, Wowza

from .fakes import Echo


def live(recipe: Wowza, address: str = "wowza.example:1935") -> LiveWowza:
    return LiveWowza(recipe, "wowza", Address.parse(address), clock=lambda: 0.0)


async def target(path: str, *schemes: str, recipe: Wowza = Wowza(), address: str = "wowza.example:1935") -> str:  # noqa: B008
    return (await live(recipe, address).target(path, schemes or ("http", "https"))).reveal()


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/live/myStream/playlist.m3u8", "http://wowza.example:1935/live/myStream/playlist.m3u8"),
        ("/live/myStream/playlist.m3u8?DVR", "http://wowza.example:1935/live/myStream/playlist.m3u8?DVR"),
        ("/live/_definst_/myStream/playlist.m3u8", "http://wowza.example:1935/live/myStream/playlist.m3u8"),
        ("/live/foo.stream/playlist.m3u8", "http://wowza.example:1935/live/foo.stream/playlist.m3u8"),
        ("/vod/mp4:sample.mp4/playlist.m3u8", "http://wowza.example:1935/vod/mp4:sample.mp4/playlist.m3u8"),
        ("/vod/_definst_/mp4:sample.mp4/playlist.m3u8", "http://wowza.example:1935/vod/mp4:sample.mp4/playlist.m3u8"),
        # A name with a directory in it: the instance may not be left out.
        (
            "/vod/_definst_/mp4:2013/sample.mp4/playlist.m3u8",
            "http://wowza.example:1935/vod/_definst_/mp4:2013/sample.mp4/playlist.m3u8",
        ),
        ("/live/smil:ch1.smil/playlist.m3u8", "http://wowza.example:1935/live/smil:ch1.smil/playlist.m3u8"),
        ("/live/ngrp:ch1_all/playlist.m3u8", "http://wowza.example:1935/live/ngrp:ch1_all/playlist.m3u8"),
        ("/dvr/bnt1.smil/playlist.m3u8", "http://wowza.example:1935/dvr/bnt1.smil/playlist.m3u8"),
        # The id of a viewer's own session says nothing about what he wants.
        ("/live/s/chunklist_w929118404.m3u8", "http://wowza.example:1935/live/s/chunklist.m3u8"),
        ("/live/_definst_/s/media_w9_26383.ts", "http://wowza.example:1935/live/s/media_26383.ts"),
        ("/live/s/playlist.m3u8?a=1&DVR&_HLS_msn=4", "http://wowza.example:1935/live/s/playlist.m3u8?DVR&_HLS_msn=4"),
        ("/live/other/s/playlist.m3u8", "http://wowza.example:1935/live/other/s/playlist.m3u8"),
        ("/live/s/playlist_sfm4s.m3u8", "http://wowza.example:1935/live/s/playlist_sfm4s.m3u8"),
        ("/live/s/manifest.mpd", "http://wowza.example:1935/live/s/manifest.mpd"),
    ],
)
async def test_hls_urls(path: str, url: str) -> None:
    assert await target(path) == url


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/live/myStream", "rtmp://wowza.example:1935/live/myStream"),
        ("/live/_definst_/myStream", "rtmp://wowza.example:1935/live/myStream"),
        ("/live/foo.stream", "rtmp://wowza.example:1935/live/foo.stream"),
        ("/live/_definst_/foo.stream", "rtmp://wowza.example:1935/live/foo.stream"),
        ("/vod/_definst_/mp4:sample.mp4", "rtmp://wowza.example:1935/vod/mp4:sample.mp4"),
        ("/live/s?token=1", "rtmp://wowza.example:1935/live/s?token=1"),
    ],
)
async def test_rtmp_urls(path: str, url: str) -> None:
    assert await target(path, "rtmp") == url


@pytest.mark.parametrize(
    ("address", "recipe", "hls", "rtmp"),
    [
        ("h", Wowza(), "http://h:1935", "rtmp://h:1935"),
        ("h:80", Wowza(), "http://h:80", "rtmp://h:80"),
        ("h", Wowza(http_port=80), "http://h:80", "rtmp://h:1935"),
        ("h:1935", Wowza(http_port=8080, rtmp_port=1936), "http://h:8080", "rtmp://h:1936"),
        ("h", Wowza(tls=True), "https://h:443", "rtmps://h:443"),
        ("https://h", Wowza(), "https://h:443", "rtmps://h:443"),
        ("h:8443", Wowza(tls=True), "https://h:8443", "rtmps://h:8443"),
        ("[::1]:1935", Wowza(), "http://[::1]:1935", "rtmp://[::1]:1935"),
        ("rtmp://h", Wowza(), "http://h:1935", "rtmp://h:1935"),
    ],
)
async def test_ports(address: str, recipe: Wowza, hls: str, rtmp: str) -> None:
    every = ("http", "https")
    assert (
        await target("/live/s/playlist.m3u8", *every, recipe=recipe, address=address) == f"{hls}/live/s/playlist.m3u8"
    )
    assert await target("/live/s", "rtmp", "rtmps", recipe=recipe, address=address) == f"{rtmp}/live/s"
    assert live(recipe, address).urls("s") == {"hls": f"{hls}/live/s/playlist.m3u8", "rtmp": f"{rtmp}/live/s"}


def test_urls_of_a_stream() -> None:
    source = live(Wowza(app="tv", instance="greek"))
    assert source.urls("ngrp:ch1_all", dvr=True) == {
        "hls": "http://wowza.example:1935/tv/greek/ngrp:ch1_all/playlist.m3u8?DVR",
        "rtmp": "rtmp://wowza.example:1935/tv/greek/ngrp:ch1_all",
    }


async def test_another_instance_is_put_in_where_a_path_names_none() -> None:
    recipe = Wowza(instance="greek")
    for path, there in (
        ("/live/s/playlist.m3u8", "/live/greek/s/playlist.m3u8"),
        ("/live/greek/s/playlist.m3u8", "/live/greek/s/playlist.m3u8"),
        ("/live/_definst_/s/playlist.m3u8", "/live/_definst_/s/playlist.m3u8"),
        ("/live/_definst_/s", "/live/_definst_/s"),
    ):
        assert await target(path, recipe=recipe) == f"http://wowza.example:1935{there}"


async def test_one_application_only() -> None:
    recipe = Wowza(app="live")
    assert await target("/live/s", "rtmp", recipe=recipe) == "rtmp://wowza.example:1935/live/s"
    for path in ("/vod/s/playlist.m3u8", "/live2/s", "/", "/Live/s"):
        with pytest.raises(NotServed, match=r"is not in application 'live', the only one that wowza is asked for"):
            await target(path, recipe=recipe)


async def test_an_address_may_name_the_application() -> None:
    assert await target("/live/s", "rtmp", address="rtmp://h/live") == "rtmp://h:1935/live/s"
    with pytest.raises(NotServed, match="application 'live'"):
        await target("/vod/s", "rtmp", address="rtmp://h/live")
    assert await target("/vod/s", "rtmp", address="rtmp://h/live", recipe=Wowza(app="vod")) == "rtmp://h:1935/vod/s"
    assert live(Wowza(), "rtmp://h/tv").urls("s")["rtmp"] == "rtmp://h:1935/tv/s"


@pytest.mark.parametrize("path", ["/live/../secret/s", "/live/%2e%2e/secret/s", "/live/s/.%2E/../x.m3u8", "/live/./s"])
async def test_dots_lead_nowhere(path: str) -> None:
    with pytest.raises(NotServed, match="dots"):
        await target(path, recipe=Wowza(app="live"))


async def test_a_scheme_that_it_does_not_speak() -> None:
    with pytest.raises(UpstreamError, match="upstream wowza: speaks http, rtmp, not srt"):
        await target("/live/s", "srt")
    with pytest.raises(UpstreamError, match="speaks https, rtmps, not http"):
        await target("/live/s", "http", recipe=Wowza(tls=True))


segments = st.from_regex(r"(mp4:|ngrp:)?[a-z0-9_]{1,6}(\.stream|\.mp4|\.ts|\.m3u8)?", fullmatch=True)
whole = st.lists(segments | st.just("_definst_"), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(whole, st.sampled_from(["_definst_", "greek"]))
def test_a_key_is_its_own_key(path: str, instance: str) -> None:
    source = live(Wowza(instance=instance))
    assert source.key(source.key(path)) == source.key(path)


@pytest.mark.parametrize(
    ("recipe", "line"),
    [
        (Wowza(app="live/_definst_"), "option app='live/_definst_' is no single name: give for instance 'live'"),
        (Wowza(app=".."), "option app='..' is no single name: give for instance 'live'"),
        (Wowza(instance="a/b"), "option instance='a/b' is no single name: give for instance 'live'"),
        (Wowza(http_port=70000), "option http_port=70000 is too large: give at most 65535"),
        (Wowza(tls="yes"), "option tls='yes' is of the wrong type: give true or false"),  # type: ignore[arg-type]
    ],
)
def test_options_are_checked_with_the_graph(recipe: Wowza, line: str) -> None:
    origin = Origin("w", "wowza.example:1935", speaks=recipe)
    assert check(Graph.of(Edge("e", upstream=origin, listen=":80", serves=Echo()))) == [f"w: wowza: {line}"]


def test_its_secret_is_shown_nowhere() -> None:
    recipe = Wowza(token="s3cret")
    assert "s3cret" not in repr(recipe)
    assert "s3cret" not in "".join(Wowza(token=b"s3cret").problems())  # type: ignore[arg-type]
    assert Wowza(token=b"s3cret").problems() == ["option token=*** is of the wrong type: give a string"]  # type: ignore[arg-type]
    _, problems = make(Wowza, {"token": 31337})
    assert problems == ["option token=*** is of the wrong kind: give a string, in quotes"]


def test_a_secure_token_is_answered_only_where_both_are_there() -> None:
    asked = {"secureToken": "9980e2f3f615b613871adcd3a7dc6608"}
    assert live(Wowza(token="#ed%h0#w@1")).greeting(asked) == (("secureTokenResponse", "0123456789abcdef"),)
    assert live(Wowza(token="#ed%h0#w@1")).greeting({}) == ()
    assert live(Wowza()).greeting(asked) == ()
    with pytest.raises(RemoteProtocolError, match="mend the option token"):
        live(Wowza(token="another")).greeting(asked)
