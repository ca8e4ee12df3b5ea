"""HLS of the stand-in: its names, its playlists and its fields are those of the recordings."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from importlib.resources import files
from urllib.parse import quote, urljoin

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.wowza_token import SecureToken
from tierkit.testing.wowza import CacheControl, Kind, Rendition, Server
from tierkit.testing.wowza._hls import Hls
from tierkit.testing.wowza._names import Names, asked_for
from tierkit.testing.wowza._playlists import Entry, MediaPlaylist, master_playlist

from .stand_in import PLAYLIST, Answer, opened

PROFILES = ["wms3", "wse42", "wse47", "wse49"]
MODES = ["sessions", "origin", "origin-fixed"]


def recording(name: str) -> str:
    return files("tierkit.testing.wowza").joinpath("payloads", name).read_text("utf-8")


# --- bodies as they were recorded ------------------------------------------------------------------


def test_a_playlist_of_a_session_is_the_recorded_one() -> None:
    names = Names(rendition=Rendition(), session=929118404)
    made = master_playlist([Entry(uri=names.chunklist, bandwidth=2593564, codecs="avc1.100.40")])
    assert made == recording("hls_sessions_master.m3u8")


def test_a_chunklist_of_a_session_is_the_recorded_one() -> None:
    names = Names(rendition=Rendition(), session=929118404)
    chunks = [(9.433, names.uri(names.chunk(87665)))]
    made = MediaPlaylist(target=11, sequence=87665, chunks=chunks, allow_cache=True).render()
    assert made == recording("hls_sessions_chunklist.m3u8")


def test_a_playlist_of_origin_mode_is_the_recorded_one() -> None:
    names = Names(rendition=Rendition(bitrate=764000, language="bul"))
    made = master_playlist([Entry(uri=names.chunklist, bandwidth=764000, resolution=(640, 360))])
    assert made == recording("hls_origin_master.m3u8")


def test_a_chunklist_of_origin_mode_is_the_recorded_one() -> None:
    names = Names(rendition=Rendition(bitrate=764000, language="bul"))
    chunks = [(5.0, names.uri(names.chunk(26383)))]
    made = MediaPlaylist(target=5, sequence=26383, chunks=chunks, key_uri="http://keys.example/key").render()
    assert made == recording("hls_origin_chunklist.m3u8")


@pytest.mark.parametrize(
    ("rendition", "options", "expected"),
    [
        (Rendition(), {}, "chunklist.m3u8 media_7.ts"),
        (Rendition(), {"session": 4135965}, "chunklist_w4135965.m3u8 media_w4135965_7.ts"),
        (Rendition(), {"dvr": True}, "chunklist_DVR.m3u8 media_DVR_7.ts"),
        (Rendition(bitrate=2500000), {}, "chunklist_b2500000.m3u8 media_b2500000_7.ts"),
        (Rendition(bitrate=1, label="Main"), {}, "chunklist_b1_t64TWFpbg==.m3u8 media_b1_t64TWFpbg==_7.ts"),
        (
            Rendition(bitrate=1, video_only=True, language="eng"),
            {},
            "chunklist_b1_vo_sleng.m3u8 media_b1_vo_sleng_7.ts",
        ),
        (
            Rendition(bitrate=1, label="Main", video_only=True, order=("w", "t64", "b", "vo", "sl", "tk", "DVR")),
            {"session": 5},
            "chunklist_w5_t64TWFpbg==_b1_vo.m3u8 media_w5_t64TWFpbg==_b1_vo_7.ts",
        ),
        (Rendition(bitrate=1089536), {"session": 9, "by_query": True}, "chunklist-b1089536.m3u8 media-b1089536_7.ts"),
        (Rendition(), {"random": "42", "session": 9}, "chunklist_w9.m3u8 media-u42_w9_7.ts"),
    ],
)
def test_names(rendition: Rendition, options: dict[str, object], expected: str) -> None:
    names = Names(rendition=rendition, **options)  # type: ignore[arg-type]
    assert f"{names.chunklist} {names.chunk(7)}" == expected
    assert names.number_of(names.chunk(7)) == 7
    assert names.number_of("media_x_7.ts") is None


# --- sessions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
async def test_every_playlist_begins_a_session(autojump_clock: trio.testing.MockClock, profile: str) -> None:
    async with opened(profile=profile) as (stand_in, viewer):
        one, other = await viewer.get(PLAYLIST), await viewer.get(PLAYLIST)
        assert one.status == other.status == 200
        assert one.uris != other.uris
        pattern = r"chunklist\.m3u8\?wowzasessionid=\d+" if profile == "wms3" else r"chunklist_w\d+\.m3u8"
        assert re.fullmatch(f"/live/myStream/{pattern}", one.uris[0])
        chunklist = await viewer.get(one.uris[0])
        pattern = r"media_\d+\.ts\?wowzasessionid=\d+" if profile == "wms3" else r"media_w\d+_\d+\.ts"
        assert len(chunklist.uris) == 3
        assert all(re.fullmatch(f"/live/myStream/{pattern}", each) for each in chunklist.uris)
        numbers = [int(re.search(r"_(\d+)\.ts", each)[1]) for each in chunklist.uris]  # type: ignore[index]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        assert f"#EXT-X-MEDIA-SEQUENCE:{numbers[0]}" in chunklist.lines
        chunk = await viewer.get(chunklist.uris[0])
        assert chunk.body == stand_in.chunk("live/myStream", numbers[0])
        assert len(stand_in.server.hls()) == 2


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_old_releases_say_in_playlists(autojump_clock: trio.testing.MockClock, profile: str) -> None:
    async with opened(profile=profile) as (_, viewer):
        playlist, chunklist = await viewer.get(PLAYLIST), await viewer.chunklist()
        assert ("PROGRAM-ID=1" in playlist.body.decode()) == (profile == "wms3")
        assert ("#EXT-X-ALLOW-CACHE:NO" in chunklist.lines) == (profile in ("wms3", "wse42"))
        assert re.search(r'CODECS="avc1\.66\.\d+,mp4a\.40\.2"', playlist.body.decode())


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", MODES)
async def test_fields(autojump_clock: trio.testing.MockClock, profile: str, mode: str) -> None:
    async with opened(profile=profile, mode=mode) as (stand_in, viewer):
        playlist, chunklist = await viewer.get(PLAYLIST), await viewer.chunklist()
        chunk, missing = await viewer.get(chunklist.uris[-1]), await viewer.get("/live/nothing/playlist.m3u8")
        for each in (playlist, chunklist, chunk, missing):
            assert each.field("server") == stand_in.server.profile.server
            assert each.field("accept-ranges") == "bytes"
            assert each.field("content-length") == str(len(each.body))
            assert each.field("access-control-allow-origin") == ("*" if profile in ("wse47", "wse49") else None)
            for never in ("etag", "last-modified", "set-cookie", "transfer-encoding"):
                assert each.field(never) is None
        types = [each.field("content-type") for each in (playlist, chunklist, chunk, missing)]
        assert types == ["application/vnd.apple.mpegurl"] * 2 + ["video/MP2T", None]
        told = [each.field("cache-control") for each in (playlist, chunklist, chunk, missing)]
        if mode == "sessions":
            assert told == ["no-cache", "no-cache", "no-cache", None]
        else:
            assert told == ["max-age=1", "max-age=1", "max-age=3600", None]
        assert (missing.status, missing.body) == (404, b"")


async def test_cors_as_it_was_recorded(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (_, viewer):
        answer = await viewer.get(PLAYLIST)
        assert answer.field("access-control-allow-credentials") == "true"
        assert answer.field("access-control-allow-methods") == "OPTIONS, GET, POST, HEAD"
        assert answer.field("access-control-expose-headers") == "Date, Server, Content-Type, Content-Length"
        wanted = "Content-Type, User-Agent, If-Modified-Since, Cache-Control, Range"
        assert answer.field("access-control-allow-headers") == wanted


@pytest.mark.parametrize("profile", ["wms3", "wse47"])
@pytest.mark.parametrize("status", [403, 404])
async def test_an_idle_session_is_reaped(autojump_clock: trio.testing.MockClock, profile: str, status: int) -> None:
    async with opened(profile=profile, idle=30.0, reaped_status=status) as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        for _ in range(3):
            await trio.sleep(29)
            assert (await viewer.get(chunklist.target)).status == 200
        await trio.sleep(30)
        for target in (chunklist.target, chunklist.uris[0]):
            answer = await viewer.get(target)
            assert (answer.status, answer.body, answer.field("cache-control")) == (status, b"", None)
        assert stand_in.server.hls() == []
        assert (await viewer.chunklist()).status == 200


@pytest.mark.parametrize("profile", ["wms3", "wse47"])
async def test_children_are_for_their_session_alone(autojump_clock: trio.testing.MockClock, profile: str) -> None:
    async with opened(profile=profile, streams=["live/myStream", "live/other"]) as (_, viewer):
        target = (await viewer.chunklist()).target
        assert (await viewer.get(target.replace("myStream", "other"))).status == 403
        assert (await viewer.get(re.sub(r"(_w|id=)\d+", r"\g<1>12345", target))).status == 403
        assert (await viewer.get("/live/myStream/chunklist.m3u8")).status == 404
        assert (await viewer.get(target.replace("chunklist", "chunklist_b1"))).status == 404


async def test_a_playlist_with_a_living_id_goes_on_with_its_session(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(profile="wms3") as (stand_in, viewer):
        uri = (await viewer.get(PLAYLIST)).uris[0]
        again = await viewer.get(f"{PLAYLIST}?{uri.partition('?')[2]}")
        assert again.uris == [uri]
        assert len(stand_in.server.hls()) == 1


@pytest.mark.parametrize("mode", MODES)
async def test_the_window_moves(autojump_clock: trio.testing.MockClock, mode: str) -> None:
    async with opened(mode=mode) as (_, viewer):
        chunklist = await viewer.chunklist()
        first, seen = chunklist.uris[0], list(chunklist.uris)
        gone_after = 0.0
        while (await viewer.get(first)).status == 200:
            await trio.sleep(1)
            gone_after += 1
            seen += (await viewer.get(chunklist.target)).uris
        # Ten are kept, and the first of three was the third newest: it goes when seven more have come.
        assert 50 < gone_after < 75
        assert len(set(seen)) == 3 + 8


async def test_lengths_vary_and_are_decimals(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(idle=1e9) as (_, viewer):
        target, seen = (await viewer.chunklist()).target, set[str]()
        for _ in range(60):
            await trio.sleep(1)
            seen |= {each for each in (await viewer.get(target)).lines if each.startswith("#EXTINF")}
        assert seen == {"#EXTINF:9.6,", "#EXTINF:10.56,", "#EXTINF:0.96,", "#EXTINF:8.64,"}


# --- what a query does ---------------------------------------------------------------------------------------


async def test_the_query_is_echoed_onto_children(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (_, viewer):
        playlist = await viewer.get(f"{PLAYLIST}?a=1&b")
        assert playlist.uris[0].endswith(".m3u8?a=1&b")
        path = playlist.uris[0].partition("?")[0]
        chunklist = await viewer.get(f"{path}?nc=0.39&_HLS_msn=5&_HLS_skip=YES")
        assert all(each.endswith(".ts?nc=0.39") for each in chunklist.uris)
        assert (await viewer.get(chunklist.uris[0])).status == 200


async def test_of_low_latency_directives_leak_into_reports(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(streams=[]) as (stand_in, viewer):
        renditions = (Rendition(bitrate=800_000), Rendition(bitrate=400_000))
        stand_in.publish("live/ll", renditions=renditions, low_latency=True, pattern=(2,), on_air_for=60.0)
        playlist = await viewer.get("/live/ll/playlist.m3u8")
        plain = await viewer.get(playlist.uris[0])
        newest = int(re.search(r"_(\d+)\.ts", plain.uris[-1])[1])  # type: ignore[index]
        started = trio.current_time()
        answer = await viewer.get(f"{playlist.uris[0]}?_HLS_msn={newest + 1}&nc=0.39")
        assert 0 < trio.current_time() - started <= 1.92
        assert answer.uris[-1].endswith(f"_{newest + 1}.ts?nc=0.39")
        other = playlist.uris[1].rpartition("/")[2]
        query = f"_HLS_msn={newest + 1}&nc=0.39"
        assert answer.lines[-1] == f'#EXT-X-RENDITION-REPORT:URI="{other}?{query}",LAST-MSN={newest + 1}'
        assert "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES" in answer.lines
        started = trio.current_time()
        for ahead in (newest + 100, 10**14):  # too far to be waited for
            assert (await viewer.get(f"{playlist.uris[0]}?_HLS_msn={ahead}")).uris[-1].endswith(f"_{newest + 1}.ts")
        assert trio.current_time() == started


async def test_in_origin_mode_the_first_query_holds(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(mode="origin") as (_, viewer):
        for query, dvr in (("?a=1", ""), ("?b=2", ""), ("", ""), ("?DVR", "_DVR")):
            playlist = await viewer.get(PLAYLIST + query)
            assert playlist.uris == [f"/live/myStream/chunklist{dvr}.m3u8?a=1"]


@pytest.mark.parametrize("mode", MODES)
async def test_dvr(autojump_clock: trio.testing.MockClock, mode: str) -> None:
    async with opened(mode=mode) as (_, viewer):
        chunklist = await viewer.chunklist(f"{PLAYLIST}?DVR")
        assert chunklist.target.endswith("_DVR.m3u8")
        assert len(chunklist.uris) == 60
        assert (await viewer.get(chunklist.uris[0])).status == 200
        # Beside the DVR it is gone.
        assert (await viewer.get(chunklist.uris[0].replace("_DVR", ""))).status == 404


# --- origin mode -----------------------------------------------------------------------------------------------


async def test_origin_mode_has_one_name_for_everybody(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(mode="origin") as (stand_in, viewer):
        one, other = await viewer.get(PLAYLIST), await viewer.get(PLAYLIST)
        assert one.body == other.body
        assert one.uris == ["/live/myStream/chunklist.m3u8"]
        chunklist = await viewer.get(one.uris[0])
        assert all(re.fullmatch(r"/live/myStream/media_\d+\.ts", each) for each in chunklist.uris)
        assert (await viewer.get(chunklist.uris[0])).status == 200
        assert stand_in.server.hls() == []


@pytest.mark.parametrize("profile", ["wms3", "wse47"])
async def test_origin_fixed_has_one_id_on_each_server(autojump_clock: trio.testing.MockClock, profile: str) -> None:
    options = {"mode": "origin-fixed", "profile": profile}
    async with opened(**options) as (_, one), opened(**options, seed=1) as (_, other):
        mine, again, theirs = await one.get(PLAYLIST), await one.get(PLAYLIST), await other.get(PLAYLIST)
        assert mine.body == again.body
        assert mine.uris != theirs.uris
        assert (await one.chunklist()).status == (await other.chunklist()).status == 200
        assert (await other.get(mine.uris[0])).status == 404
        await trio.sleep(3600)  # it is nobody's session, so it is not reaped
        assert (await one.get(mine.uris[0])).status == 200


async def test_cache_control_of_origin_mode_is_configured(autojump_clock: trio.testing.MockClock) -> None:
    control = CacheControl(playlist="max-age=3", chunk=None, status_4xx="max-age=1")
    async with opened(mode="origin", cache_control=control) as (_, viewer):
        chunklist = await viewer.chunklist()
        told = [chunklist, await viewer.get(chunklist.uris[0]), await viewer.get("/live/x/playlist.m3u8")]
        assert [each.field("cache-control") for each in told] == ["max-age=3", None, "max-age=1"]
    async with opened(cache_control=control) as (_, viewer):
        told = [await viewer.get(PLAYLIST), await viewer.get("/live/x/playlist.m3u8")]
        assert [each.field("cache-control") for each in told] == ["no-cache", None]


# --- names of streams ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/live/myStream/playlist.m3u8", 200),
        ("/live/_definst_/myStream/playlist.m3u8", 200),
        ("/live/mp4:myStream/playlist.m3u8", 200),
        ("/live/%6dyStream/playlist.m3u8", 200),
        ("/live/inst/myStream/playlist.m3u8", 404),
        ("/live/other/playlist.m3u8", 404),
        ("/other/myStream/playlist.m3u8", 404),
        ("/live/myStream/manifest.mpd", 404),
        ("/live/myStream/", 404),
        ("/live/playlist.m3u8", 404),
        ("/live//playlist.m3u8", 404),
    ],
)
async def test_paths(autojump_clock: trio.testing.MockClock, path: str, status: int) -> None:
    async with opened() as (_, viewer):
        assert (await viewer.get(path)).status == status


async def test_odd_names_and_other_instances(autojump_clock: trio.testing.MockClock) -> None:
    streams = ["live/a b+c.stream", "live/inst/cam", "live/_definst_/dir/cam"]
    async with opened(streams=streams) as (_, viewer):
        for path in ("/live/a%20b+c.stream", "/live/inst/cam", "/live/_definst_/dir/cam"):
            chunklist = await viewer.chunklist(f"{path}/playlist.m3u8")
            assert (await viewer.get(chunklist.uris[0])).status == 200
        assert (await viewer.get("/live/dir/cam/playlist.m3u8")).status == 404


@pytest.mark.parametrize("name", ["ünï", "a%b", "a'b(c)!*", "a&b=c;d,e@f", "~x$", "a#b?c", "[1]", "日本", "x" * 200])
@pytest.mark.parametrize("profile", ["wms3", "wse47"])
async def test_every_odd_character(autojump_clock: trio.testing.MockClock, name: str, profile: str) -> None:
    async with opened(streams=[], profile=profile) as (stand_in, viewer):
        stand_in.publish(f"live/{name}", on_air_for=60.0)
        chunklist = await viewer.chunklist(f"/live/{quote(name, safe='')}/playlist.m3u8")
        chunk = await viewer.get(chunklist.uris[0])
        number = int(re.search(r"_(\d+)\.ts", chunk.target)[1])  # type: ignore[index]
        assert chunk.body == stand_in.chunk(f"live/{name}", number)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["smil:ch1.smil", "ch1.smil", "ngrp:ch1_all"])
async def test_groups(autojump_clock: trio.testing.MockClock, mode: str, name: str) -> None:
    async with opened(mode=mode, streams=["live/ch1_hi", "live/ch1_lo"]) as (stand_in, viewer):
        renditions = (
            Rendition(of="ch1_hi", bitrate=764000, language="bul"),
            Rendition(of="ch1_lo", bitrate=300000, label="Main", order=("w", "t64", "b", "sl", "vo", "tk", "DVR")),
        )
        stand_in.group(f"live/{name}", *renditions)
        playlist = await viewer.get(f"/live/{name}/playlist.m3u8")
        assert "CODECS" not in playlist.body.decode()
        assert re.search(r"chunklist(_w\d+)?_b764000_slbul\.m3u8\Z", playlist.uris[0])
        assert re.search(r"chunklist(_w\d+)?_t64TWFpbg==_b300000\.m3u8\Z", playlist.uris[1])
        chunks = [(await viewer.get((await viewer.get(uri)).uris[0])).body for uri in playlist.uris]
        assert b"live/_definst_/ch1_hi" in chunks[0][-188:]
        assert b"live/_definst_/ch1_lo" in chunks[1][-188:]


async def test_the_key_of_a_session(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        stand_in.publish("live/sealed", on_air_for=60.0, key_uri="http://keys.example/key")
        chunklist = await viewer.chunklist("/live/sealed/playlist.m3u8")
        session = re.search(r"_w(\d+)", chunklist.target)[1]  # type: ignore[index]
        line = f'#EXT-X-KEY:METHOD=AES-128,URI="http://keys.example/key?wowzasessionid={session}"'
        assert line in chunklist.lines


# --- other pages -----------------------------------------------------------------------------------------------


async def test_pages_and_methods(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(profile="wse42") as (stand_in, viewer):
        assert stand_in.server.profile.product in (await viewer.get("/")).body.decode()
        for path in ("/crossdomain.xml", "/clientaccesspolicy.xml"):
            answer = await viewer.get(path)
            assert (answer.status, answer.field("content-type")) == (200, "text/xml")
        assert (await viewer.get(PLAYLIST, "OPTIONS")).status == 200
        head = await viewer.get(PLAYLIST, "HEAD")
        assert (head.status, head.body) == (200, b"")
        ranged = await viewer.get((await viewer.chunklist()).uris[0], headers=[(b"Range", b"bytes=0-1")])
        assert ranged.status == 200
        assert len(ranged.body) > 1000


PIECES = [
    "/",
    "live",
    "myStream",
    "_definst_",
    "playlist.m3u8",
    "chunklist",
    "media",
    "_w",
    "1",
    "_1.ts",
    "_67.ts",
    ".m3u8",
    "%2f",
    "%ff",
    "%00",
    ":",
    "smil:",
    "mp4:",
    "..",
    "_DVR",
    "_tk",
    "?",
    "&",
    "DVR",
    "wowzasessionid=",
    "_HLS_msn=",
    "=",
    "+",
    "~",
    "_b1",
    "999999999999999999999999",
]
TARGETS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "/", "/live/myStream/", "/live/_definst_/myStream/playlist.m3u8?"]),
        st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
    ),
)


@given(TARGETS, st.sampled_from(MODES), st.sampled_from(["wms3", "wse47"]))
def test_whatever_is_asked_is_answered(target: str, mode: str, profile: str) -> None:
    server = Server(lambda: 5.0, mode=mode, profile=profile)
    server.publish("live/myStream", on_air_for=60.0)
    hls = Hls(server)
    asked = asked_for(*target.partition("?")[::2])
    if asked is not None:
        kind, reply = hls.answer(asked, "10.0.0.1")
        assert reply.response.status in ({200, 403, 404} if mode == "sessions" else {200, 404})
        assert reply.shows
        assert 0.0 <= hls.waits(asked) < 60.0
        if reply.response.status == 200 and kind is Kind.master:
            uri = reply.response.body.decode().splitlines()[-1]  # type: ignore[union-attr]
            child = asked_for(*urljoin(target.partition("?")[0], uri).partition("?")[::2])
            assert child is not None
            assert hls.answer(child, "10.0.0.1")[1].response.status == 200


# --- tokens ----------------------------------------------------------------------------------------------------

TOKEN = SecureToken("mySharedSecret")


def children(answer: Answer) -> Iterable[str]:
    return [each.rpartition("/")[2] for each in answer.uris]


@pytest.mark.parametrize("mode", MODES)
async def test_tokens(autojump_clock: trio.testing.MockClock, mode: str) -> None:
    async with opened(mode=mode) as (stand_in, viewer):
        stand_in.server.applications["live"].token = TOKEN
        now = int(stand_in.server.wall())
        good = TOKEN.sign("live/myStream", start=now - 5, end=now + 60)
        for query in (
            "",
            "?wowzatokenhash=x",
            "?" + TOKEN.sign("live/other"),
            "?" + TOKEN.sign("live/myStream", end=1),
        ):
            answer = await viewer.get(PLAYLIST + query)
            assert (answer.status, answer.body, answer.field("cache-control")) == (403, b"", None)
        playlist = await viewer.get(f"{PLAYLIST}?{good}&x=1")
        assert playlist.status == 200
        match = re.search(r"_tk([A-Za-z0-9+=]+)\.m3u8\?x=1\Z", playlist.uris[0])
        assert match is not None
        assert sorted(good.split("&")) == base64.b64decode(match[1]).decode().split("&")
        chunklist = await viewer.get(playlist.uris[0])
        assert "_tk" in chunklist.uris[0]
        assert (await viewer.get(chunklist.uris[0])).status == 200
        without = re.sub(r"_tk[A-Za-z0-9+=]+", "", playlist.uris[0])
        assert (await viewer.get(without)).status == 404


async def test_a_session_goes_on_with_another_token(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(profile="wms3") as (stand_in, viewer):
        stand_in.server.applications["live"].token = TOKEN
        now = int(stand_in.server.wall())
        one, other = (TOKEN.sign("live/myStream", end=now + each) for each in (60, 120))
        first = await viewer.get(f"{PLAYLIST}?{one}")
        again = await viewer.get(f"{PLAYLIST}?{first.uris[0].partition('?')[2]}&{other}")
        assert again.uris != first.uris
        assert [(await viewer.get(each.uris[0])).status for each in (first, again)] == [404, 200]


async def test_a_token_for_one_address(autojump_clock: trio.testing.MockClock) -> None:
    token = SecureToken("mySharedSecret", algorithm="sha512", bound=True)
    async with opened() as (stand_in, viewer):
        stand_in.server.applications["live"].token = token
        here = token.sign("live/_definst_/myStream", address="127.0.0.1")
        there = token.sign("live/_definst_/myStream", address="192.168.1.2")
        path = "/live/_definst_/myStream/playlist.m3u8"
        assert [(await viewer.get(f"{path}?{each}")).status for each in (here, there)] == [200, 403]
