"""Lists, directives, delta-seconds and dates, as caches must read them."""

from __future__ import annotations

import calendar
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_fields import (
    MAX_DELTA,
    delta_seconds,
    directives,
    field_names,
    first,
    format_date,
    is_cache_control,
    is_token,
    members,
    parse_date,
)

NOW = calendar.timegm((2026, 11, 23, 12, 0, 0))


def cc(*values: str) -> Headers:
    return [(b"cache-control", value.encode("latin-1")) for value in values]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=5, Public", {"max-age": "5", "public": ""}),
        ("nO-StOrE", {"no-store": ""}),
        ('max-age="5"', {"max-age": "5"}),
        ('x="a\\"b, no-store", max-age=1', {"x": 'a"b, no-store', "max-age": "1"}),
        ('extension="max-age=3600", max-age=1', {"extension": "max-age=3600", "max-age": "1"}),
        ("max-age='3600'", {"max-age": "'3600'"}),
        ("MAX-AGE=5,,  s-maxage = 7, x", {"max-age": "5", "s-maxage": "", "x": ""}),
        ("max-age= 3600", {"max-age": ""}),
        ("max-age =3600", {"max-age": ""}),
        ('private = "x', {"private": ""}),
        ("", {}),
        (",,,", {}),
        ("=5, max-age=1", {"max-age": "1"}),
        ('x="unended, max-age=1', {"x": "", "max-age": "1"}),
        ("no-store\x85", {"no-store": ""}),
        ("\x85no-store, a", {"a": ""}),
    ],
)
def test_directives(value: str, expected: dict[str, str]) -> None:
    assert directives(cc(value)) == expected


@pytest.mark.parametrize("values", [("max-age=1800, max-age=1",), ("max-age=1800", "max-age=1")])
def test_of_two_values_the_first_counts(values: tuple[str, ...]) -> None:
    assert directives(cc(*values))["max-age"] == "1800"


def test_an_absurd_number_of_directives_says_no_store() -> None:
    values = [f"a{number}" for number in range(65)]
    assert "no-store" not in directives(cc(", ".join(values[:64])))
    assert "no-store" in directives(cc(", ".join(values), "max-age=5"))
    assert "no-store" in directives(cc(*values))
    assert "no-store" in directives(cc("max-age=5," * 65))


def test_lists_of_field_names_add_up() -> None:
    found = directives(cc('no-cache="a", no-cache="b"', 'private="c"'))
    assert (found["no-cache"], found["private"]) == ("a,b", "c")


@pytest.mark.parametrize("value", ['no-cache, no-cache="a"', 'no-cache="a", no-cache', 'no-cache=""'])
def test_a_bare_directive_is_stricter_than_a_qualified_one(value: str) -> None:
    assert directives(cc(value))["no-cache"] == ""


def test_directives_of_another_field() -> None:
    assert directives([(b"pragma", b"no-cache"), (b"cache-control", b"max-age=1")], b"pragma") == {"no-cache": ""}


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_cache_control_can_be_read(values: list[bytes]) -> None:
    for name in directives([(b"cache-control", value) for value in values]):
        assert name == name.lower()
        assert is_token(name.encode())


def test_field_names() -> None:
    assert field_names("Set-Cookie, X-Id,, bad name,") == {b"set-cookie", b"x-id"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0", 0),
        (b"003600", 3600),
        (b"2147483648", MAX_DELTA),
        (b"99999999999", MAX_DELTA),
        (b"9" * 5000, MAX_DELTA),
        (b"0" * 5000 + b"7", 7),
        (b"", None),
        (b"-1", None),
        (b"+1", None),
        (b"1_0", None),
        (b"3600.0", None),
        (b"a3600", None),
        (b"3600a", None),
        ("٣".encode(), None),
        (b"1\n", None),
    ],
)
def test_delta_seconds(value: bytes, expected: int | None) -> None:
    assert delta_seconds(value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"a, b,,\tc "], [b"a", b"b", b"c"]),
        ([b"a", b"b"], [b"a", b"b"]),
        ([b'"a,b", W/"c"'], [b'"a,b"', b'W/"c"']),
        ([b'"a\\",b", c'], [b'"a\\",b"', b"c"]),
        ([b'a, "never ended, b', b"c"], [b"a", b'"never ended, b', b"c"]),
        ([b'"ended by nothing\\'], [b'"ended by nothing\\']),
        ([b"", b" ,"], []),
        ([b'","'], [b'","']),
    ],
)
def test_members(values: list[bytes], expected: list[bytes]) -> None:
    assert members([(b"x", value) for value in values] + [(b"y", b"z")], b"x") == expected


@given(st.binary(max_size=80))
def test_any_list_can_be_read(value: bytes) -> None:
    assert all(members([(b"x", value)], b"x"))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [(b"cache-control", True), (b"cdn-cache-control", True), (b"acme-cache-control", True), (b"cache-controls", False),
     (b"xcache-control", False)],
)  # fmt: skip
def test_cache_control_of_every_target(name: bytes, is_one: bool) -> None:
    assert is_cache_control(name) is is_one


def test_first_of_several() -> None:
    assert first([(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], b"b") == b"2"
    assert first([(b"a", b"1")], b"b") is None


AT = 784111777


@pytest.mark.parametrize(
    "value",
    [
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
        b"SUN, 06 nov 1994 08:49:37 gMT",
        b" Sun, 06 Nov 1994 08:49:37 GMT\t",
        b"Mon, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_dates_in_all_three_forms(value: bytes) -> None:
    assert parse_date(value, NOW) == AT


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"-1",
        b"784111777",
        b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06  Nov  1994 08:49:37 GMT",
        b"Sun, 06-Nov-1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08.49.37 GMT",
        b"Sun, 06 Nov 1994 8:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 EST",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sunday, 06-Nov-94 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49:37 +0000",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 30 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:60:00 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 0٦ Nov 1994 08:49:37 GMT".encode(),
    ],
)
def test_what_is_no_date(value: bytes) -> None:
    assert parse_date(value, NOW) is None


def test_a_leap_second_is_a_date() -> None:
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT", NOW) == calendar.timegm((2017, 1, 1, 0, 0, 0))


@pytest.mark.parametrize(("short", "year"), [(26, 2026), (76, 2076), (77, 1977), (99, 1999), (0, 2000)])
def test_two_digit_years_are_at_most_fifty_ahead(short: int, year: int) -> None:
    parsed = parse_date(b"Sunday, 06-Nov-%02d 08:49:37 GMT" % short, NOW)
    assert parsed == calendar.timegm((year, 11, 6, 8, 49, 37))


@given(st.integers(min_value=-62135596800, max_value=253402300799))
def test_dates_round_trip(seconds: int) -> None:
    assert parse_date(format_date(seconds), NOW) == seconds


@given(st.integers(min_value=0, max_value=4102444800))
def test_dates_are_as_the_mail_library_writes_them(seconds: int) -> None:
    assert format_date(seconds + 0.9) == formatdate(seconds, usegmt=True).encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_time_can_be_written(seconds: float) -> None:
    assert parse_date(format_date(seconds), NOW) is not None


@given(st.binary(max_size=40))
def test_any_bytes_may_be_no_date(value: bytes) -> None:
    parsed = parse_date(value, NOW)
    assert parsed is None or isinstance(parsed, int)
