"""What a pattern means."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.errors import LocalProtocolError
from tierkit.plugin import Pattern


@pytest.mark.parametrize(
    ("pattern", "path", "meant"),
    [
        ("/live/s/x.ts", "/live/s/x.ts", True),
        ("/live/s/x.ts", "/live/s/x.ts?a=1", True),
        ("/live/s/x.ts?a=1", "/live/s/x.ts?a=1", True),
        ("/live/s/x.ts?a=1", "/live/s/x.ts", False),
        ("/live/s/x.ts", "/live/s/x.tsx", False),
        ("/live/s*", "/live/s2/x.ts", True),
        ("/live/s/*", "/live/s2/x.ts", False),
        ("stream:live/s", "/live/s/x.ts", True),
        ("stream:/live/s/", "/live/s/deep/x.ts?a", True),
        ("stream:live/s", "/live/s2/x.ts", False),
        ("*", "/anything", True),
        ("/*", "/anything", True),
        ("https://edge.example:8443/live/s/x.ts", "/live/s/x.ts?a=1", True),
        ("HTTP://[::1]/live/*", "/live/s/x.ts", True),
        ("/http://edge.example/x", "/x", False),
        ("/live/x.ts?a=*", "/live/x.ts?a=17", True),
        ("/live/x.ts?a=*", "/live/x.ts?b=17", False),
        ("/%7Ea", "/~a", False),
    ],
)
def test_what_is_meant(pattern: str, path: str, meant: bool) -> None:
    assert Pattern.parse(pattern).matches(path) is meant


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("", "give a path, a prefix"),
        ("live/s", "give a path, a prefix"),
        ("/a*b", "give a path, a prefix"),
        ("**", "give a path, a prefix"),
        ("https://edge.example", "give a path, a prefix"),
        ("https://edge.*/x", "give a path, a prefix"),
        ("ftp://edge.example/x", "give a path, a prefix"),
        ("stream:", "names no stream"),
        ("stream:*", "names no stream"),
        ("stream:live/s?a", "names no stream"),
        ("/é", "percent-encoded"),
        ("/a\n", "percent-encoded"),
        ("/a b", "percent-encoded"),
        ("/a#b", "percent-encoded"),
        ("/" + "a" * 8192, "too long: 8192"),
    ],
)
def test_what_is_no_pattern(pattern: str, told: str) -> None:
    with pytest.raises(LocalProtocolError, match=re.escape(told)):
        Pattern.parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "everything", "name"),
    [
        ("*", True, "*"),
        ("/*", True, "*"),
        ("http://e/*", True, "*"),
        ("/live/*", False, "live/*"),
        ("/live/s", False, "live/s"),
        ("/live/s?token=1", False, "live/s"),
        ("stream:/live/s/", False, "live/s"),
    ],
)
def test_everything_and_the_names_of_streams(pattern: str, everything: bool, name: str) -> None:
    found = Pattern.parse(pattern)
    assert (found.everything, found.name) == (everything, name)


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_pattern_or_told(pattern: str, path: str) -> None:
    try:
        found = Pattern.parse(pattern)
    except LocalProtocolError:
        return
    assert found.matches("/" + path) in (True, False)
