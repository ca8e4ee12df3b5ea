"""URIs of playlists.  The invariants: what is not changed stays to the byte, and what is odd is never "here"."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tierkit.codecs.hls import read_playlist
from tierkit.codecs.hls_rewrite import URI_ATTRIBUTES, Child, QueryTemplate, children, inherit_query, rewrite
from tierkit.codecs.hls_uris import NOWHERE, Target, expand, resolve, with_query
from tierkit.errors import LocalProtocolError, RemoteProtocolError

BASE = "/live/s/playlist.m3u8"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("a.ts", "/live/s/a.ts"),
        ("./a.ts", "/live/s/a.ts"),
        ("../a.ts", "/live/a.ts"),
        ("../../../../a.ts", "/a.ts"),
        ("x/../a.ts", "/live/s/a.ts"),
        ("x/..", "/live/s/"),
        ("..", "/live/"),
        (".", "/live/s/"),
        ("%2e%2E/a.ts", "/live/a.ts"),
        (".%2e/a.ts", "/live/a.ts"),
        ("/a.ts", "/a.ts"),
        ("/x/./y/../a.ts", "/x/a.ts"),
        ("a.ts?x=../y", "/live/s/a.ts?x=../y"),
        ("?x=1", "/live/s/playlist.m3u8?x=1"),
        ("a.ts#f", "/live/s/a.ts"),
        ("a.ts?", "/live/s/a.ts?"),
        ("x//a.ts", "/live/s/x//a.ts"),
        ("a b.ts", "/live/s/a%20b.ts"),
        ("ä.ts?q=ö", "/live/s/%C3%A4.ts?q=%C3%B6"),
        ("a%20b.ts", "/live/s/a%20b.ts"),
        ("media_w1_12:30.ts", "/live/s/media_w1_12:30.ts"),
        ("\udcff.ts", "/live/s/%FF.ts"),
    ],
)
def test_relative_references_are_here(uri: str, path: str) -> None:
    assert resolve(BASE, uri) == Target(path=path)
    assert resolve(BASE, uri).here


def test_a_query_of_the_playlist_counts_only_for_an_empty_reference() -> None:
    assert resolve(BASE + "?t=/x", "a.ts").path == "/live/s/a.ts"
    assert resolve(BASE + "?t=/x", "#f").path == BASE + "?t=/x"
    assert resolve(BASE + "?t=/x", "?u").path == BASE + "?u"


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("http://wowza.example:1935/live/s/a.ts", Target(path="/live/s/a.ts")),
        ("HTTP://WOWZA.example:1935/live/../a.ts?x", Target(path="/a.ts?x")),
        ("//wowza.example:1935/a.ts", Target(path="/a.ts")),
        ("https://edge.example:443/a.ts", Target(path="/a.ts")),
        ("http://edge.example:80", Target(path="/")),
        ("http://edge.example:443/a.ts", Target(scheme="http", authority="edge.example:443", path="/a.ts")),
        ("https://cdn.example/a.ts?x", Target(scheme="https", authority="cdn.example", path="/a.ts?x")),
        ("//cdn.example/a.ts", Target(authority="cdn.example", path="/a.ts")),
        ("http://[::1]:8080/a", Target(scheme="http", authority="[::1]:8080", path="/a")),
        ("data:text/plain;base64,QQ==", Target(scheme="data")),
        ("skd://key", Target(scheme="skd")),
        ("urn:uuid:1", Target(scheme="urn")),
        ("javascript:alert(1)", Target(scheme="javascript")),
    ],
)
def test_what_names_a_host_is_here_only_by_our_names(uri: str, target: Target) -> None:
    assert resolve(BASE, uri, hosts={"wowza.example:1935", "edge.example"}) == target


@pytest.mark.parametrize(
    "uri",
    ["///evil.example/x", "http:///evil.example/x", "http:x", "https:/x", "\\\\evil.example/x", "/\\evil.example/x",
     "ht\ttp://evil.example/", "a\x00.ts", "//user@edge.example/x", "http://edge.example@evil.example/x",
     "http://edge.example:99999999/x", "http:///", "//", "http://ev il/", "\ud800.ts", "a\rb"],
)  # fmt: skip
def test_what_two_readers_take_for_two_things_is_nowhere(uri: str) -> None:
    assert resolve(BASE, uri, hosts={"edge.example"}) == NOWHERE
    assert not resolve(BASE, uri, hosts={"edge.example"}).here


@pytest.mark.parametrize("uri", ["/.//evil.example/x", "/x/..//evil.example", "/%2e//evil.example/x"])
def test_no_path_begins_like_an_authority(uri: str) -> None:
    assert resolve(BASE, uri) == NOWHERE
    assert resolve("/x/y.m3u8", "..//evil.example/x") == NOWHERE


@given(st.from_regex(r"[a-z0-9._/-]{0,20}(\?[a-z=/.]{0,6})?", fullmatch=True))
def test_the_same_as_the_standard_library_on_plain_references(uri: str) -> None:
    target = resolve(BASE, uri)
    if target.here:
        assert urljoin("http://edge.example" + BASE, uri).rstrip("?") == ("http://edge.example" + target.path).rstrip(
            "?"
        )


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_text_means_something_or_nothing(base: str, uri: str) -> None:
    target = resolve("/" + base, uri)
    assert not target.here or (
        target.path.startswith("/") and not target.path.startswith("//") and target.path.isascii()
    )


# --- queries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "signed"),
    [
        ("a.ts", "a.ts?e=5&s=x%3D"),
        ("a.ts?q=1", "a.ts?q=1&e=5&s=x%3D"),
        ("a.ts?s=old&q=%2F&%65=7", "a.ts?q=%2F&e=5&s=x%3D"),
        ("a.ts#f?s=1", "a.ts?e=5&s=x%3D#f?s=1"),
        ("?q", "?q&e=5&s=x%3D"),
        ("a.ts?", "a.ts?e=5&s=x%3D"),
    ],
)
def test_parameters_are_added_or_replaced_and_the_rest_stays(uri: str, signed: str) -> None:
    assert with_query(uri, [("e", "5"), ("s", "x=")]) == signed
    assert with_query(signed, [("e", "5"), ("s", "x=")]) == signed


def test_no_value_breaks_out_of_its_parameter() -> None:
    assert with_query("a", [("t", 'x&y=1#\r\n"')]) == "a?t=x%26y%3D1%23%0D%0A%22"


# --- rewriting -----------------------------------------------------------------------------------

EVERYTHING = b"""\xef\xbb\xbf#EXTM3U\r
#EXT-X-VERSION:3
# a comment with URI="no"
#EXT-X-UNKNOWN:URI="no"
#EXTINF:4,URI="no"
  seg 1.ts\t\r
#EXT-X-KEY:METHOD=AES-128,URI="k?a,b",IV=0x1\r
#EXT-X-MAP:BYTERANGE="1@0", URI = "init.mp4"
#EXT-X-MEDIA:TYPE=AUDIO,NAME="URI=no",URI="a.m3u8"
#EXT-X-I-FRAME-STREAM-INF:URI="i.m3u8",BANDWIDTH=1
#EXT-X-IMAGE-STREAM-INF:URI="img.m3u8",BANDWIDTH=1
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="sk"
#EXT-X-SESSION-DATA:DATA-ID="x",URI="sd.json"
#EXT-X-PART:DURATION=1,URI="p1.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p2.mp4"
#EXT-X-RENDITION-REPORT:URI="../r.m3u8",LAST-MSN=1
#EXT-X-DATERANGE:ID="ad",X-ASSET-URI="ad.m3u8",X-ASSET-LIST="ads.json"
#EXT-X-CONTENT-STEERING:SERVER-URI="/steer",PATHWAY-ID="URI"
#EXT-X-STREAM-INF:BANDWIDTH=1

v.m3u8
bare\xff.ts
#EXT-X-KEY:METHOD=AES-128,URI=unquoted,IV=0x1
#EXT-X-ENDLIST"""
CHILDREN = (
    Child("seg 1.ts", "#EXTINF"),
    Child("k?a,b", "#EXT-X-KEY"),
    Child("init.mp4", "#EXT-X-MAP"),
    Child("a.m3u8", "#EXT-X-MEDIA"),
    Child("i.m3u8", "#EXT-X-I-FRAME-STREAM-INF"),
    Child("img.m3u8", "#EXT-X-IMAGE-STREAM-INF"),
    Child("sk", "#EXT-X-SESSION-KEY"),
    Child("sd.json", "#EXT-X-SESSION-DATA"),
    Child("p1.mp4", "#EXT-X-PART"),
    Child("p2.mp4", "#EXT-X-PRELOAD-HINT"),
    Child("../r.m3u8", "#EXT-X-RENDITION-REPORT"),
    Child("ad.m3u8", "#EXT-X-DATERANGE"),
    Child("ads.json", "#EXT-X-DATERANGE"),
    Child("/steer", "#EXT-X-CONTENT-STEERING"),
    Child("v.m3u8", "#EXT-X-STREAM-INF"),
    Child("bare\udcff.ts", ""),
    Child("unquoted", "#EXT-X-KEY"),
)


def test_every_uri_is_found_and_nothing_else() -> None:
    assert children(EVERYTHING) == CHILDREN
    assert {child.tag for child in CHILDREN} >= set(URI_ATTRIBUTES)


def test_only_the_uris_change() -> None:
    rewritten = rewrite(EVERYTHING, lambda child: f"<{child.uri}>")
    expected = EVERYTHING
    for child in CHILDREN:
        old = child.uri.encode("utf-8", "surrogateescape")
        quoted, line = b'"' + old + b'"', old
        for before in (b"  " + line + b"\t", quoted, b"\n" + line + b"\n", b"=" + line + b","):
            expected = expected.replace(before, before.replace(old, b"<" + old + b">"))
    assert rewritten == expected
    assert rewrite(rewritten, lambda child: child.uri[1:-1]) == EVERYTHING


PIECES = st.sampled_from(
    [*EVERYTHING.split(b"\n"), b'URI="', b'"', b",", b"\r", b"\n", b"\xef\xbb\xbf", b"#EXT-X-KEY:"]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=20), st.sampled_from([b"\n", b"", b"\r\n"]), st.booleans())
@example([b"\xed\xa0\x80"], b"\n", False)
def test_nothing_changes_where_no_uri_does(pieces: list[bytes], between: bytes, mark: bool) -> None:
    playlist = b"\xef\xbb\xbf" * mark + b"#EXTM3U" + between.join([b"", *pieces])
    assert rewrite(playlist, lambda child: child.uri) == playlist


@given(st.lists(PIECES | st.binary(max_size=20), max_size=20))
def test_what_is_read_is_what_is_rewritten(pieces: list[bytes]) -> None:
    playlist = b"\n".join([b"#EXTM3U", *pieces])
    found = {child.uri for child in children(playlist)}
    try:
        facts = read_playlist(playlist)
    except RemoteProtocolError:
        return
    told = {each.uri for each in (*facts.segments,)} | {each.uri for each in facts.parts}
    told |= {each.uri for each in facts.hints} | {each.uri for each in facts.reports} | {*facts.maps, *facts.keys}
    told |= {*facts.variants, *facts.renditions, *facts.i_frame_playlists, *facts.session_keys}
    assert told <= found
    after = rewrite(playlist, lambda child: "new")
    assert {child.uri for child in children(after)} <= {"new"}


@pytest.mark.parametrize(
    "new", ["", "a\nb", "a\rb", "a\0b", 'a"b', "a\x0bb", "a\x85b", "a\u2028b", " a", "a\t", "\ud800"]
)
@pytest.mark.parametrize("old", ["a.ts", "k?a,b", "unquoted"])
def test_no_uri_breaks_out_of_its_place(old: str, new: str) -> None:
    with pytest.raises(LocalProtocolError):
        rewrite(EVERYTHING.replace(b"seg 1.ts", b"a.ts"), lambda child: new if child.uri == old else child.uri)


@pytest.mark.parametrize("new", ["#EXT-X-ENDLIST", "\ufeffa"])
def test_no_uri_becomes_a_tag(new: str) -> None:
    with pytest.raises(LocalProtocolError):
        rewrite(b"#EXTM3U\na.ts", lambda _: new)


def test_one_odd_uri_of_the_origin_does_not_refuse_the_playlist() -> None:
    playlist = '#EXTM3U\n\ufeffa.ts\nb"c.ts\nd\x0be.ts\n'.encode()
    assert inherit_query(playlist, BASE, [("t", "x")]) == '#EXTM3U\n\ufeffa.ts?t=x\nb"c.ts?t=x\nd\x0be.ts\n'.encode()


def test_a_comma_ends_an_unquoted_attribute_only() -> None:
    assert rewrite(b"#EXTM3U\na.ts", lambda _: "a,b") == b"#EXTM3U\na,b"
    assert rewrite(b'#EXTM3U\n#EXT-X-KEY:URI="a"', lambda _: "a,b") == b'#EXTM3U\n#EXT-X-KEY:URI="a,b"'
    with pytest.raises(LocalProtocolError):
        rewrite(b"#EXTM3U\n#EXT-X-KEY:URI=a", lambda _: "a,b")


def test_what_is_no_playlist_is_not_rewritten() -> None:
    with pytest.raises(RemoteProtocolError, match="#EXTM3U"):
        rewrite(b"<html>", lambda child: child.uri)


# --- signed URLs ---------------------------------------------------------------------------------


def test_a_token_goes_to_what_is_here_and_nowhere_else() -> None:
    playlist = (
        b"#EXTM3U\n"
        b'#EXT-X-KEY:METHOD=AES-128,URI="data:text/plain;base64,QQ=="\n'
        b'#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k"\n'
        b'#EXT-X-MAP:URI="init.mp4?t=old"\n'
        b"a.ts\nhttp://origin.example:1935/live/b.ts\nhttp://cdn.example/c.ts\n//cdn.example/d.ts\n\\\\evil.example\\e.ts\n"
    )
    assert inherit_query(playlist, BASE, [("t", "x")], hosts={"origin.example:1935"}) == (
        b"#EXTM3U\n"
        b'#EXT-X-KEY:METHOD=AES-128,URI="data:text/plain;base64,QQ=="\n'
        b'#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k"\n'
        b'#EXT-X-MAP:URI="init.mp4?t=x"\n'
        b"a.ts?t=x\nhttp://origin.example:1935/live/b.ts?t=x\nhttp://cdn.example/c.ts\n//cdn.example/d.ts\n"
        b"\\\\evil.example\\e.ts\n"
    )


def test_a_token_looks_through_variables_whose_value_is_told() -> None:
    playlist = (
        b'#EXTM3U\n#EXT-X-DEFINE:NAME="in",VALUE="seg"\n#EXT-X-DEFINE:NAME="out",VALUE="//cdn.example"\n'
        b'#EXT-X-DEFINE:IMPORT="main"\n#EXT-X-DEFINE:QUERYPARAM="dir"\n'
        b"{$in}/1.ts\n{$out}/2.ts\n{$main}/3.ts\n{$dir}4.ts\n"
    )
    lines = inherit_query(playlist, BASE + "?dir=sub%2F", [("t", "x")]).split(b"\n")[-5:]
    assert lines == [b"{$in}/1.ts?t=x", b"{$out}/2.ts", b"{$main}/3.ts", b"{$dir}4.ts?t=x", b""]
    lines = inherit_query(playlist, BASE + "?dir=%2F%2Fevil.example%2F", [("t", "x")]).split(b"\n")[-2:]
    assert lines == [b"{$dir}4.ts", b""]


def test_a_variable_that_is_not_known_stays_unknown() -> None:
    assert expand("a.ts", {}) == "a.ts"
    assert expand("{$a}/{$b}.ts", {"a": "1", "b": "2"}) == "1/2.ts"
    assert expand("{$a}/{$b}.ts", {"a": "1"}) is None


def test_variables_make_no_endless_uri() -> None:
    assert expand("{$a}", {"a": "x" * 8188}) == "x" * 8188
    assert expand("{$a}", {"a": "x" * 8189}) is None
    assert expand("{$a}" * 2000, {"a": "x" * 4_000_000}) is None
    assert expand("{$a}" * 1_000_000, {"a": "x"}) is None


@given(st.lists(PIECES | st.binary(max_size=20), max_size=12), st.text(max_size=8), st.text(max_size=8))
def test_a_template_gives_each_viewer_what_rewriting_would(pieces: list[bytes], e: str, t: str) -> None:
    playlist = b"\n".join([b"#EXTM3U", *pieces, b"%000%00.ts", b"a.ts?t=%001%00"])
    params = [("e", e.encode("utf-8", "replace").decode()), ("t", t.encode("utf-8", "replace").decode())]

    def signed(child: Child) -> str:
        return with_query(child.uri, params) if resolve(BASE, child.uri).here else child.uri

    assert QueryTemplate.of(playlist, BASE, ["e", "t"]).render(params) == rewrite(playlist, signed)


def test_a_template_is_for_its_own_parameters() -> None:
    template = QueryTemplate.of(b"#EXTM3U\na.ts?e=1", BASE, ["e"])
    assert template.render([("e", "2")]) == b"#EXTM3U\na.ts?e=2"
    for params in ([], [("t", "2")], [("e", "2"), ("t", "2")]):
        with pytest.raises(LocalProtocolError, match="prepared for other parameters"):
            template.render(params)
