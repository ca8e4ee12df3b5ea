from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.rtmp_url import Dial, Route, dial, route
from tierkit.errors import AddressError, RemoteProtocolError

TC = "rtmp://h/live"


@pytest.mark.parametrize(
    ("app", "name", "tc_url", "expected"),
    [
        ("live", "s", TC, Route("/live/s")),
        # however the client divides it
        ("a/b", "c", "", Route("/a/b/c")),
        ("a", "b/c", "", Route("/a/b/c")),
        ("a/b/c", "", "", Route("/a/b/c")),
        ("", "a/b/c", "", Route("/a/b/c")),
        ("live/", "/s/", "", Route("/live/s")),
        ("live//x", "s", "", Route("/live/x/s")),
        # queries in either place, a name that is only a query, a tcUrl in place of the application
        ("live?token=1", "s?x=2", "", Route("/live/s", "token=1&x=2")),
        ("live/s", "?key=1", "", Route("/live/s", "key=1")),
        ("", "s", "rtmp://h:1935/live?k=v", Route("/live/s", "k=v")),
        ("live", "s", "rtmp://h/live?k=v", Route("/live/s", "k=v")),
        ("live?k=1", "s", "rtmp://h/live?k=2", Route("/live/s", "k=1")),
        ("", "s", "'rtmp://h/live'", Route("/live/s")),
        ("", "s", "nonsense", Route("/s")),
        ("live", "s?a=1?b=2", "", Route("/live/s", "a=1?b=2")),
        # Wowza's default instance, and container prefixes
        ("live/_definst_", "s", "", Route("/live/s")),
        ("live", "_definst_/s", "", Route("/live/s")),
        ("live", "mp4:s", "", Route("/live/s", "", "mp4")),
        ("live", "FLV:dir/s", "", Route("/live/dir/s", "", "flv")),
        ("vod", "mp4:sample.mp4?k=1", "", Route("/vod/sample.mp4", "k=1", "mp4")),
        # ffmpeg and librtmp leave these endings out of what they ask for, GStreamer does not
        ("live", "s.flv", "", Route("/live/s")),
        ("live", "flv:s.FLV?k=1", "", Route("/live/s", "k=1", "flv")),
        ("live", "mp3:s.mp3", "", Route("/live/s", "", "mp3")),
        ("live.flv", "s", "", Route("/live.flv/s")),
        ("live", ".flv", "", Route("/live/.flv")),
        ("live", "_definst_.flv", "", Route("/live/_definst_.flv")),
        ("live", "s:1", "", Route("/live/s:1")),
        ("live", "βίντεο", "", Route("/live/βίντεο")),
        ("live", "a%20b", "", Route("/live/a%20b")),
    ],
)
def test_the_stream_that_a_client_means(app: str, name: str, tc_url: str, expected: Route) -> None:
    assert route(app, name, tc_url) == expected


def test_parameters_of_a_route() -> None:
    got = route("live", "s?user=a&pass=b%20c&empty=&user=z")
    assert got.parameters == {"user": "z", "pass": "b c", "empty": ""}


def test_of_a_flood_of_parameters_the_first_64_count() -> None:
    # Found by fuzzing: it raised ValueError.
    found = Route("/live/s", "&".join(f"k{n}={n}" for n in range(1000))).parameters
    assert list(found) == [f"k{n}" for n in range(64)]


@pytest.mark.parametrize(
    ("app", "name"),
    [
        ("live", "../s"),
        ("live", "a/../../s"),
        ("..", "s"),
        ("live", "."),
        ("live", "mp4:.."),
        ("live", "..flv"),  # found by fuzzing
        ("live", "...flv"),
        ("live", "%2e%2e.mp3"),
        ("live", "%2e%2e/s"),
        ("live", "..%2fs"),
        ("live", "a\x00b"),
        ("live", "a%00b"),
        ("live", "a\nb"),
        ("live", "a\x7fb"),
        ("live", "a\x9b31mb"),
        ("live", "a\u2028b"),
        ("live", "a%C2%85b"),
        ("live", "a\\b"),
        ("live", "s?x=\r\n"),
        ("", ""),
        ("/", "///"),
        ("_definst_", ""),
        ("live", "x" * 3000),
    ],
)
def test_dangerous_and_empty_names_are_refused(app: str, name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="the stream's name"):
        route(app, name)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_clean_route_or_refused(app: str, name: str, tc_url: str) -> None:
    try:
        got = route(app, name, tc_url)
    except RemoteProtocolError:
        return
    assert got.path.startswith("/")
    assert not {"", ".", ".."} & set(got.path[1:].split("/"))
    assert got.path.isprintable() or not any(ord(letter) < 32 for letter in got.path)
    _ = got.parameters


@pytest.mark.parametrize(
    ("url", "app", "expected"),
    [
        ("rtmp://h/live/s", None, Dial("rtmp", "h", 1935, "live", "s", "rtmp://h/live")),
        ("rtmps://h/live/s", None, Dial("rtmps", "h", 443, "live", "s", "rtmps://h/live")),
        ("rtmp://h:19350/live/s?k=1", None, Dial("rtmp", "h", 19350, "live", "s?k=1", "rtmp://h:19350/live")),
        ("rtmp://u:p@h/live/s", None, Dial("rtmp", "h", 1935, "live", "s", "rtmp://h/live")),
        ("rtmp://[::1]:1936/live/s", None, Dial("rtmp", "::1", 1936, "live", "s", "rtmp://[::1]:1936/live")),
        ("rtmp://h/app/inst/s", None, Dial("rtmp", "h", 1935, "app/inst", "s", "rtmp://h/app/inst")),
        ("rtmp://h/app/mp4:a/b.mp4", None, Dial("rtmp", "h", 1935, "app", "mp4:a/b.mp4", "rtmp://h/app")),
        ("rtmp://h/app/a/b", "app", Dial("rtmp", "h", 1935, "app", "a/b", "rtmp://h/app")),
        ("rtmp://h/app", None, Dial("rtmp", "h", 1935, "app", "", "rtmp://h/app")),
    ],
)
def test_how_a_url_is_dialled(url: str, app: str | None, expected: Dial) -> None:
    assert dial(url, app=app) == expected


@pytest.mark.parametrize(
    "url", ["", "h/live/s", "http://h/live/s", "rtmp:///live/s", "rtmp://h:99999/a/b", "rtmp://h/a/%00"]
)
def test_other_urls_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(AddressError, match="RTMP URL"):
        dial(url)


@given(st.text(max_size=40))
def test_any_text_is_dialled_or_refused(tail: str) -> None:
    for url in (tail, "rtmp://" + tail, "rtmp://h/" + tail):
        try:
            got = dial(url)
        except AddressError:
            continue
        assert got.host


def test_what_is_dialled_routes_to_the_same_stream() -> None:
    for url in ("rtmp://h/live/s?k=1", "rtmp://h/a/b/c?k=1", "rtmp://h/live/mp4:a/b?k=1"):
        to = dial(url)
        assert route(to.app, to.name).path == url.partition("h")[2].partition("?")[0].replace("mp4:", "")
