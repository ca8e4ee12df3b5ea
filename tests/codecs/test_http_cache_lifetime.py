"""Freshness and age (RFC 9111 section 4.2), and the targeted fields of RFC 9213."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Policy, decide
from tierkit.codecs.http_fields import MAX_DELTA, format_date
from tierkit.codecs.http_lifetime import age_field, age_value, control_of, initial_age

from .test_http_cache import NOW, fields


def at(offset: float) -> str:
    return format_date(NOW + offset).decode()


# Age.


@pytest.mark.parametrize(
    ("values", "age"),
    [
        (["30"], 30),
        ([" 030 "], 30),
        (["7200,0"], 7200),
        (["7200", "0"], 7200),
        (["0,7200"], 0),
        (["0", "7200"], 0),
        (["7200 , 7200"], 7200),
        (["abc"], 0),
        (["-7200"], 0),
        (["7200.0"], 0),
        (["+7"], 0),
        (["abc, 7200"], 0),
        ([""], 0),
        ([], 0),
        (["99999999999"], MAX_DELTA),
        (["9" * 5000], MAX_DELTA),
    ],
)
def test_age_is_read_strictly_and_the_first_counts(values: list[str], age: int) -> None:
    assert age_value(fields(*(f"Age: {value}" for value in values))) == age


def test_apparent_age_comes_from_date() -> None:
    assert initial_age(fields(f"Date: {at(-40)}"), NOW) == 40
    assert initial_age(fields(f"Date: {at(-40)}", "Age: 30"), NOW) == 40
    assert initial_age(fields(f"Date: {at(-40)}", "Age: 50"), NOW) == 50


def test_the_delay_of_the_response_counts_with_age_alone() -> None:
    assert initial_age(fields(f"Date: {at(-40)}", "Age: 30"), NOW, 5) == 40
    assert initial_age(fields(f"Date: {at(-40)}", "Age: 38"), NOW, 5) == 43
    assert initial_age(fields(f"Date: {at(0)}"), NOW, -5) == 0


@pytest.mark.parametrize("date", [at(3600), "yesterday", "0", ""])
def test_a_date_ahead_of_us_or_none_at_all_is_no_age(date: str) -> None:
    assert initial_age(fields(f"Date: {date}"), NOW) == 0


def test_of_two_dates_the_first_counts() -> None:
    assert initial_age(fields(f"Date: {at(-40)}", f"Date: {at(-90)}"), NOW) == 40


def test_an_old_date_overflows_to_the_bound() -> None:
    assert initial_age(fields("Date: Mon, 01 Jan 0001 00:00:00 GMT"), NOW) == MAX_DELTA


@pytest.mark.parametrize(("age", "expected"), [(0.0, b"0"), (-3.0, b"0"), (2.9, b"2"), (1e12, b"2147483648")])
def test_age_is_sent_in_whole_seconds(age: float, expected: bytes) -> None:
    assert age_field(age) == expected


@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(-(10**12), 10**12), st.floats(-1e9, 1e9))
def test_any_age_is_within_bounds(age: bytes, date: bytes, now: int, delay: float) -> None:
    assert 0 <= initial_age([(b"age", age), (b"date", date)], now, delay) <= MAX_DELTA


# Expires.


def lifetime(*pairs: str) -> float:
    return decide((), 200, fields(*pairs), now=NOW).fresh


def test_expires_counts_from_date() -> None:
    assert lifetime(f"Expires: {at(60)}", f"Date: {at(0)}") == 60
    assert lifetime(f"Expires: {at(60)}", f"Date: {at(50)}") == 10
    assert lifetime(f"Expires: {at(-60)}", f"Date: {at(0)}") == 0


@pytest.mark.parametrize("date", ["Date: now", "X: y"])
def test_expires_counts_from_arrival_without_a_date(date: str) -> None:
    assert lifetime(f"Expires: {at(60)}", date) == 60


@pytest.mark.parametrize(
    "value", ["0", "-1", "", "now", "Thu, 18 Aug 2050 02:01:18 EST", "Thu, 18 Aug 2050 02:01:18 UTC",
              "Thursday, 18-Aug-50 02:01:18 UTC", "Thu, 18 Aug 50 02:01:18 GMT"]
)  # fmt: skip
def test_an_invalid_expires_is_the_past(value: str) -> None:
    answer = fields(f"Expires: {value}", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT")
    assert decide((), 200, answer, now=NOW, policy=Policy(heuristic=0.1)).fresh == 0


@pytest.mark.parametrize(
    "value", ["THU, 18 Aug 2050 02:01:18 GMT", "Thu, 18 AUG 2050 02:01:18 gMT",
              "Thursday, 18-Aug-50 02:01:18 GMT", "Thu Aug 18 02:01:18 2050"]
)  # fmt: skip
def test_an_expires_in_any_form(value: str) -> None:
    assert lifetime(f"Expires: {value}") == 2544400878 - NOW


def test_of_two_expires_the_first_counts() -> None:
    assert lifetime(f"Expires: {at(60)}", f"Expires: {at(90)}") == 60
    assert lifetime("Expires: 0", f"Expires: {at(90)}") == 0


def test_a_far_expires_is_cut() -> None:
    assert lifetime("Expires: Fri, 31 Dec 9999 23:59:59 GMT") == MAX_DELTA


# Targeted fields.


def test_a_targeted_field_overrides_cache_control_and_expires() -> None:
    others = ("Cache-Control: no-store", f"Expires: {at(60)}")
    assert lifetime(*others, "CDN-Cache-Control: max-age=7") == 7
    assert (
        decide((), 200, fields("CDN-Cache-Control: no-store", "Cache-Control: max-age=9"), now=NOW).reason == "no-store"
    )
    assert (
        decide((), 200, fields("CDN-Cache-Control: private", "Cache-Control: max-age=9"), now=NOW).reason == "private"
    )
    assert decide((), 200, fields("CDN-Cache-Control: no-cache", "Cache-Control: max-age=9"), now=NOW).no_cache


def test_a_targeted_field_without_a_lifetime_leaves_none() -> None:
    assert lifetime("CDN-Cache-Control: foo", "Cache-Control: max-age=9", f"Expires: {at(60)}") == 0


def test_the_closest_target_rules() -> None:
    assert lifetime("CDN-Cache-Control: max-age=7", "Tierkit-Cache-Control: max-age=5") == 5


def test_a_target_of_others_changes_nothing() -> None:
    assert lifetime("Fancy-CDN-Cache-Control: max-age=7", "Cache-Control: max-age=9") == 9
    assert lifetime("Surrogate-Control: max-age=7", "Cache-Control: max-age=9") == 9


@pytest.mark.parametrize(
    "value",
    [
        "",
        "max-age=10000, &&&&&",
        'max-age="10000"',
        "max-age=1.5",
        "max-age",
        "max-age=-1",
        "s-maxage=word",
        "MaX-aGe=3600",
        "max-age =100",
        "max-age= 100",
        "no-store=1",
        "no-store=?0",
        "private=word, max-age=5",
        "no-cache=?0",
        "max-age=5,",
    ],
)
def test_an_unreadable_targeted_field_is_not_there(value: str) -> None:
    assert lifetime(f"Tierkit-Cache-Control: {value}", "CDN-Cache-Control: max-age=7") == 7
    assert lifetime(f"CDN-Cache-Control: {value}", "Cache-Control: max-age=9") == 9


def test_what_a_targeted_field_may_say() -> None:
    value = 'max-age=60;why="x", no-cache="a, b", private="c", stale-if-error=5, foo=1.5, public'
    found = decide((), 200, fields(f"CDN-Cache-Control: {value}"), now=NOW)
    assert (found.fresh, found.strip, found.if_error) == (60, frozenset({b"a", b"b", b"c"}), 5)


@pytest.mark.parametrize("value", ["max-age=2147483648", "max-age=99999999999"])
def test_a_huge_targeted_lifetime_is_cut(value: str) -> None:
    assert lifetime(f"CDN-Cache-Control: {value}") == MAX_DELTA


def test_age_counts_against_a_targeted_lifetime() -> None:
    found = decide((), 200, fields("CDN-Cache-Control: max-age=3600", "Age: 7200"), now=NOW)
    assert (found.fresh, found.age) == (3600, 7200)


def test_which_field_rules_is_told() -> None:
    headers: Headers = fields("CDN-Cache-Control: max-age=5", "Cache-Control: public")
    assert control_of(headers) == ({"max-age": "5"}, True)
    assert control_of(headers, ()) == ({"public": ""}, False)
