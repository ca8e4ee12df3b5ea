"""Entity tags and conditional requests (RFC 9110 sections 8.8 and 13)."""

from __future__ import annotations

import pytest
from hypothesis import given

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_conditional import (
    EntityTag,
    Verdict,
    evaluate,
    for_origin_alone,
    last_modified_is_strong,
    not_modified_fields,
    parse_etag,
    revalidation,
    unconditional,
)

from .test_http_cache import HEADERS, NOW, fields

PASS, NOT_MODIFIED, FAILED = Verdict.PASS, Verdict.NOT_MODIFIED, Verdict.FAILED
OLD, CHANGED, LATER = "Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"
TAG = '"abc"'
TAGGED = fields('ETag: "abc"', f"Last-Modified: {CHANGED}", f"Date: {LATER}")
WEAK = fields('ETag: W/"abc"')
DATED = fields(f"Last-Modified: {CHANGED}")


def asks(*pairs: str, of: Headers = TAGGED, method: bytes = b"GET", status: int = 200) -> Verdict:
    return evaluate(fields(*pairs), status, of, now=NOW, method=method)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'"abc"', EntityTag(False, b'"abc"')),
        (b' W/"abc"\t', EntityTag(True, b'"abc"')),
        (b'""', EntityTag(False, b'""')),
        (b'"a,b\\"', EntityTag(False, b'"a,b\\"')),
        (b'"\xe4"', EntityTag(False, b'"\xe4"')),
        (b"abc", None),
        (b'w/"abc"', None),
        (b'"a"b"', None),
        (b'"a b"', None),
        (b'"abc', None),
        (b"", None),
        (None, None),
    ],
)
def test_entity_tags(value: bytes | None, expected: EntityTag | None) -> None:
    assert parse_etag(value) == expected


@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),
    [('W/"1"', 'W/"1"', False, True), ('W/"1"', 'W/"2"', False, False), ('W/"1"', '"1"', False, True),
     ('"1"', '"1"', True, True)],
)  # fmt: skip
def test_the_comparison_table_of_the_rfc(one: str, other: str, strongly: bool, weakly: bool) -> None:
    left, right = parse_etag(one.encode()), parse_etag(other.encode())
    assert left is not None
    assert right is not None
    assert (left.is_strongly(right), left.is_weakly(right)) == (strongly, weakly)


@pytest.mark.parametrize(
    "value", ['"abc"', 'W/"abc"', '"x", "abc"', '"x,y" , W/"abc",', "*", '"x","abc","z"', 'junk, "abc"']
)
def test_if_none_match_that_matches(value: str) -> None:
    assert asks(f"If-None-Match: {value}") is NOT_MODIFIED
    assert asks(f"If-None-Match: {value}", method=b"HEAD") is NOT_MODIFIED
    assert asks(f"If-None-Match: {value}", method=b"PUT") is FAILED


@pytest.mark.parametrize("value", ['"x"', '"abc,"', "abc", '"ABC"', '"x, "abc"', '*, "x"', ""])
def test_if_none_match_that_does_not(value: str) -> None:
    assert asks(f"If-None-Match: {value}") is PASS


def test_an_absurd_number_of_tags_is_not_compared() -> None:
    others = [f'"{number}"' for number in range(64)]
    assert asks(f"If-None-Match: {', '.join([*others[1:], TAG])}") is NOT_MODIFIED
    assert asks(f"If-None-Match: {', '.join([*others, TAG])}") is PASS


def test_if_none_match_over_several_lines() -> None:
    assert asks('If-None-Match: "x"', 'If-None-Match: "abc"') is NOT_MODIFIED


def test_if_none_match_by_weak_comparison() -> None:
    assert evaluate(fields('If-None-Match: "abc"'), 200, WEAK, now=NOW) is NOT_MODIFIED


def test_if_none_match_where_there_is_no_tag() -> None:
    assert evaluate(fields('If-None-Match: "abc"'), 200, DATED, now=NOW) is PASS
    assert evaluate(fields("If-None-Match: *"), 200, DATED, now=NOW) is NOT_MODIFIED


@pytest.mark.parametrize("value", ['"x"', "", "junk"])
def test_if_none_match_rules_the_date_out(value: str) -> None:
    assert asks(f"If-None-Match: {value}", f"If-Modified-Since: {LATER}") is PASS


def test_if_none_match_rules_even_where_the_date_says_modified() -> None:
    assert asks('If-None-Match: "abc"', f"If-Modified-Since: {OLD}") is NOT_MODIFIED


@pytest.mark.parametrize(
    "value",
    [CHANGED, LATER, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "sun, 06 NOV 1994 08:49:37 GMT"],
)
def test_if_modified_since_not_modified(value: str) -> None:
    assert asks(f"If-Modified-Since: {value}") is NOT_MODIFIED


@pytest.mark.parametrize("value", [OLD, "Sunday, 06-Nov-94 08:49:36 GMT", "yesterday", "0", ""])
def test_if_modified_since_modified_or_unreadable(value: str) -> None:
    assert asks(f"If-Modified-Since: {value}") is PASS


def test_if_modified_since_is_for_get_and_head() -> None:
    assert asks(f"If-Modified-Since: {LATER}", method=b"HEAD") is NOT_MODIFIED
    assert asks(f"If-Modified-Since: {LATER}", method=b"POST") is PASS


def test_a_second_if_modified_since_makes_it_no_condition() -> None:
    assert asks(f"If-Modified-Since: {LATER}", f"If-Modified-Since: {LATER}") is PASS


def test_an_unreadable_date_is_no_condition_even_where_it_is_ours() -> None:
    assert evaluate(fields("If-Modified-Since: x"), 200, fields("Last-Modified: x"), now=NOW) is PASS


def test_without_last_modified_the_date_counts() -> None:
    dated = fields(f"Date: {CHANGED}")
    assert evaluate(fields(f"If-Modified-Since: {LATER}"), 200, dated, now=NOW) is NOT_MODIFIED
    assert evaluate(fields(f"If-Modified-Since: {OLD}"), 200, dated, now=NOW) is PASS
    assert evaluate(fields(f"If-Modified-Since: {LATER}"), 200, (), now=NOW) is PASS


@pytest.mark.parametrize("status", [301, 404, 412, 500])
def test_conditions_count_beside_success_alone(status: int) -> None:
    assert asks('If-None-Match: "abc"', status=status) is PASS


@pytest.mark.parametrize("pair", ['If-Match: "x"', f"If-Unmodified-Since: {OLD}"])
def test_a_cache_does_not_evaluate_what_is_for_origins(pair: str) -> None:
    assert asks(pair) is PASS
    assert asks(pair, 'If-None-Match: "abc"') is NOT_MODIFIED
    assert evaluate(fields(pair), 200, TAGGED, now=NOW, origin=True) is FAILED


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        (['If-Match: "abc"'], PASS),
        (['If-Match: "x", "abc"'], PASS),
        (["If-Match: *"], PASS),
        (['If-Match: W/"abc"'], FAILED),
        (["If-Match: abc"], FAILED),
        (['If-Match: "abc"', f"If-Unmodified-Since: {OLD}"], PASS),
        (["If-Match:", f"If-Unmodified-Since: {OLD}"], PASS),
        ([f"If-Unmodified-Since: {CHANGED}"], PASS),
        ([f"If-Unmodified-Since: {OLD}"], FAILED),
        (["If-Unmodified-Since: yesterday"], PASS),
        ([f"If-Unmodified-Since: {OLD}", f"If-Unmodified-Since: {OLD}"], PASS),
        (['If-Match: "abc"', 'If-None-Match: "abc"'], NOT_MODIFIED),
        (['If-Match: "x"', 'If-None-Match: "abc"'], FAILED),
    ],
)
def test_preconditions_at_an_origin_in_their_order(pairs: list[str], expected: Verdict) -> None:
    assert evaluate(fields(*pairs), 200, TAGGED, now=NOW, origin=True) is expected


def test_if_match_is_by_strong_comparison() -> None:
    assert evaluate(fields('If-Match: W/"abc"'), 200, WEAK, now=NOW, origin=True) is FAILED
    assert evaluate(fields('If-Match: "abc"'), 200, DATED, now=NOW, origin=True) is FAILED


def test_if_unmodified_since_of_what_has_no_date() -> None:
    assert evaluate(fields(f"If-Unmodified-Since: {LATER}"), 200, WEAK, now=NOW, origin=True) is FAILED


def test_a_304_says_little() -> None:
    kept = fields("Cache-Control: max-age=1", "Content-Location: /a", "Date: d", 'ETag: "a"', "Expires: e", "Vary: a",
                  "CDN-Cache-Control: max-age=2", "A-Cache-Control: a", "Access-Control-Allow-Origin: *")  # fmt: skip
    others = fields("Content-Type: a/b", "Content-Encoding: gzip", "Last-Modified: l", "Set-Cookie: a", "X: y")
    assert not_modified_fields([*kept, *others]) == kept


def test_a_304_without_a_tag_says_last_modified() -> None:
    assert not_modified_fields(DATED) == DATED


def test_what_a_revalidation_carries() -> None:
    assert revalidation(TAGGED) == fields('If-None-Match: "abc"', f"If-Modified-Since: {CHANGED}")
    assert revalidation(WEAK) == fields('If-None-Match: W/"abc"')
    assert revalidation(fields("ETag: unquoted")) == fields("If-None-Match: unquoted")
    assert revalidation(fields("Date: x", "ETag:")) == []


def test_a_fill_carries_no_condition_of_its_client() -> None:
    request = fields("Host: a", 'If-None-Match: "a"', f"If-Modified-Since: {OLD}", 'If-Match: "a"', "Range: bytes=0-1",
                     f"If-Unmodified-Since: {OLD}", 'If-Range: "a"', "Accept: b")  # fmt: skip
    assert unconditional(request) == fields("Host: a", "Accept: b")


def test_what_only_an_origin_can_judge() -> None:
    assert for_origin_alone(fields('If-Match: "a"'))
    assert for_origin_alone(fields(f"If-Unmodified-Since: {OLD}"))
    assert not for_origin_alone(fields('If-None-Match: "a"', f"If-Modified-Since: {OLD}", "Range: bytes=0-1"))


@pytest.mark.parametrize(("date", "strong"), [(LATER, True), (CHANGED, False), (OLD, False), ("x", False)])
def test_a_last_modified_is_strong_a_second_before_the_date(date: str, strong: bool) -> None:
    assert last_modified_is_strong(fields(f"Last-Modified: {CHANGED}", f"Date: {date}"), NOW) is strong


def test_a_last_modified_alone_is_weak() -> None:
    assert not last_modified_is_strong(DATED, NOW)
    assert not last_modified_is_strong(fields(f"Date: {LATER}"), NOW)


@given(HEADERS, HEADERS)
def test_any_condition_is_evaluated(request: list[tuple[bytes, bytes]], headers: list[tuple[bytes, bytes]]) -> None:
    asked = [(b"if-" + name, value) for name, value in request]
    conditions = [*asked, *((name, value) for (_, value), name in zip(request, _NAMES, strict=False))]
    verdict = evaluate(conditions, 200, headers, now=NOW, origin=True)
    assert verdict in Verdict
    assert evaluate(conditions, 200, headers, now=NOW) is not FAILED


_NAMES = [b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since"]
