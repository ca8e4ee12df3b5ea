"""Parameters that are no part of a key."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.query_rule import QueryRule, pattern_problem

RULE = QueryRule(("token", "CMCD", "utm_*", "*_session"))


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("token=a", ""),
        ("token", ""),
        ("token=", ""),
        ("a=b", "a=b"),
        ("a=b&token=x", "a=b"),
        ("token=x&a=b", "a=b"),
        ("a=1&token=x&b=2", "a=1&b=2"),
        ("token=x&token=y&a=1&token=z", "a=1"),
        ("tokens=x", "tokens=x"),
        ("xtoken=x", "xtoken=x"),
        ("a=token=x", "a=token=x"),
        ("Token=x", "Token=x"),  # names are case-sensitive, as they are to origins
        ("utm_source=a&utm_=b&utm=c", "utm=c"),
        ("wowza_session=1&session=2", "session=2"),
        ("%74oken=x&a=%26b", "a=%26b"),
        ("%63=1&token=x", "%63=1"),
        ("a=%74oken", "a=%74oken"),
        ("a=1;token=2", "a=1;token=2"),
        ("a=1&&b=2&", "a=1&b=2"),
        ("&token=x&", ""),
        ("a=1&a=1", "a=1&a=1"),
        ("CMCD=bl%3D100%2Csid%3D%22x%22&_HLS_msn=3", "_HLS_msn=3"),
    ],
)
def test_what_is_kept(query: str, kept: str) -> None:
    assert RULE.kept(query.encode()) == kept.encode()


def test_everything_goes_by_a_star() -> None:
    assert QueryRule(("*",)).kept(b"a=1&b") == b""


def test_what_is_asked_of_a_playlist_stays() -> None:
    assert QueryRule(("*",)).kept(b"a=1&_HLS_msn=3&b&_HLS_skip=YES") == b"_HLS_msn=3&_HLS_skip=YES"
    assert QueryRule(("_HLS_*",)).kept(b"_HLS_msn=3") == b"_HLS_msn=3"


def test_a_target_keeps_its_path() -> None:
    assert RULE.canonical(b"/a/token=x?token=y") == b"/a/token=x"
    assert RULE.canonical(b"/a?b=c&token=y") == b"/a?b=c"
    assert RULE.canonical(b"/a?") == b"/a"


@pytest.mark.parametrize("pattern", ["", "a b", "a&b", "a=b", "(a+)+", "x" * 101, "é", "a\\d"])
def test_odd_patterns_are_told(pattern: str) -> None:
    assert "query parameter" in pattern_problem(pattern)


PAIRS = st.lists(
    st.tuples(
        st.sampled_from([b"token", b"%74oken", b"a", b"utm_x", b"b", b"%61", b"", b"x_session", b"tok%65n"]),
        st.sampled_from([b"", b"=", b"=1", b"=%26", b"==", b"=token"]),
    ),
    max_size=8,
)


@given(PAIRS)
def test_nothing_else_is_lost_and_nothing_named_is_kept(pairs: list[tuple[bytes, bytes]]) -> None:
    query = b"&".join(name + value for name, value in pairs)
    kept = RULE.kept(query)
    assert RULE.kept(kept) == kept
    named = {b"token", b"utm_x", b"x_session"}
    expected = [name + value for name, value in pairs if name + value and unquote_to_bytes(name) not in named]
    assert kept.split(b"&") == (expected or [b""])


@given(st.binary(max_size=60))
def test_any_query_has_a_rest(query: bytes) -> None:
    kept = RULE.kept(query)
    assert RULE.kept(kept) == kept
