"""The secondary key (RFC 9111 section 4.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_vary import vary_key, vary_names

from .test_http_cache import fields


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        ([""], ()),
        ([", ,"], ()),
        (["Foo, bar"], (b"bar", b"foo")),
        (["foo", "Bar, FOO"], (b"bar", b"foo")),
        (["*"], None),
        ([", *"], None),
        (["", "*"], None),
        (["foo, *"], None),
        (["*, foo"], None),
        (["foo", "*"], None),
        (["foo bar"], None),
        (['"foo"'], None),
    ],
)
def test_names(values: list[str], expected: tuple[bytes, ...] | None) -> None:
    assert vary_names(fields(*(f"Vary: {value}" for value in values))) == expected


def test_too_many_names_fit_nobody() -> None:
    names = [f"a{number}" for number in range(17)]
    assert vary_names(fields(f"Vary: {','.join(names)}")) is None
    assert vary_names(fields(f"Vary: {','.join(names[1:])}")) is not None


def fits(vary: str, one: Headers, other: Headers) -> bool:
    names = vary_names(fields(f"Vary: {vary}"))
    assert names is not None
    return vary_key(names, one) == vary_key(names, other)


@pytest.mark.parametrize(
    ("vary", "one", "other"),
    [
        ("Foo", ["Foo: 1"], ["Foo: 1"]),
        ("Foo", ["Foo: 1", "Other: 2"], ["Foo: 1", "Other: 3"]),
        ("Foo, Bar", ["Foo: 1", "Bar: abc"], ["Bar: abc", "Foo: 1"]),
        ("Foo, Bar, Baz", ["Foo: 1", "Baz: 789"], ["Foo: 1", "Baz: 789"]),
        ("Foo", [], []),
        ("Foo", ["Foo: 1,2"], ["Foo:  1, 2 "]),
        ("Foo", ["Foo: 1, 2"], ["Foo: 1", "Foo: 2"]),
        ("Foo", ["Foo: 1, , 2"], ["Foo: 1, 2"]),
        ("Accept-Encoding", ["Accept-Encoding: GZIP, br"], ["Accept-Encoding: gzip,br"]),
        ("Accept-Language", ["Accept-Language: en-GB"], ["Accept-Language: EN-gb"]),
        ("Origin", ["Origin: https://A.example"], ["Origin: https://a.example"]),
    ],
)
def test_requests_that_fit(vary: str, one: list[str], other: list[str]) -> None:
    assert fits(vary, fields(*one), fields(*other))


@pytest.mark.parametrize(
    ("vary", "one", "other"),
    [
        ("Foo", ["Foo: 1"], ["Foo: 2"]),
        ("Foo", ["Foo: 1"], []),
        ("Foo", ["Foo:"], []),
        ("Foo, Bar", ["Foo: 1", "Bar: abc"], ["Foo: 2", "Bar: abc"]),
        ("Foo, Bar", ["Foo: 1"], ["Bar: 1"]),
        ("Foo, Bar, Baz", ["Foo: 1", "Bar: abc4", "Baz: 789"], ["Foo: 1", "Bar: abc", "Baz: 789"]),
        ("Foo", ["Foo: a"], ["Foo: A"]),
        ("Foo", ["Foo: 1, 2"], ["Foo: 2, 1"]),
        ("Foo", ["Foo: 1 2"], ["Foo: 1  2"]),
        ("Foo", ['Foo: "1,2"'], ['Foo: "1, 2"']),
        ("User-Agent", ["User-Agent: a (KHTML, like b)"], ["User-Agent: a (KHTML,like b)"]),
        ("Foo, Bar", ["Foo: 1,bar=1:2"], ["Foo: 1", "Bar: 2"]),
    ],
)
def test_requests_that_do_not_fit(vary: str, one: list[str], other: list[str]) -> None:
    assert not fits(vary, fields(*one), fields(*other))


def test_without_vary_every_request_fits() -> None:
    assert vary_key((), fields("Foo: 1")) == b""


def test_a_key_beyond_the_bound_is_none() -> None:
    assert vary_key((b"foo",), [(b"foo", b"x" * 8192)]) is None


TEXT = st.text(alphabet=st.sampled_from('ab ,"\\=:-1\t'), max_size=12).map(str.encode)
REQUESTS = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"cookie", b"accept-encoding"]), TEXT), max_size=4)


@given(REQUESTS, st.lists(st.sampled_from(["a", "A", "b", "Cookie", "accept-Encoding"])))
def test_the_key_is_stable_under_case_and_order_of_vary(request: Headers, vary: list[str]) -> None:
    one = vary_names(fields(f"Vary: {','.join(vary)}"))
    other = vary_names(fields(*(f"Vary: {name.swapcase()} ," for name in reversed(vary))))
    assert one is not None
    assert one == other
    assert vary_key(one, request) == vary_key(other, request)


@given(
    st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=4), st.sampled_from([" ", "\t", " \t "])
)
def test_the_key_is_stable_under_white_space_and_lines(members: list[str], white: str) -> None:
    tight = [(b"a", ",".join(members).encode())]
    wide = [(b"a", f"{white},{white}".join(["", *members, ""]).encode())]
    lines = [(b"a", each.encode()) for each in members]
    assert vary_key((b"a",), tight) == vary_key((b"a",), wide) == vary_key((b"a",), lines)


@given(REQUESTS, REQUESTS)
def test_equal_keys_mean_equal_presence(one: Headers, other: Headers) -> None:
    names = (b"a", b"accept-encoding", b"b", b"cookie")
    if vary_key(names, one) == vary_key(names, other):
        assert {name for name, _ in one} == {name for name, _ in other}
