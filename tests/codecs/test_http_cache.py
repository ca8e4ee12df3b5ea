"""What a shared cache may store, rule by rule (RFC 9111 section 3), and that nothing makes it say more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import http_cache
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Lifetime, Policy, decide
from tierkit.codecs.http_fields import MAX_DELTA, format_date

NOW = 1_800_000_000
DATE = (b"date", format_date(NOW))


def fields(*pairs: str) -> Headers:
    """Fields from lines as people write them."""
    split = (pair.partition(":") for pair in pairs)
    return [(name.strip().lower().encode(), value.strip().encode("latin-1")) for name, _, value in split]


def of(*pairs: str, status: int = 200, request: Headers = (), policy: Policy | None = None,
       method: bytes = b"GET", delay: float = 0.0) -> Lifetime:  # fmt: skip
    return decide(
        request,
        status,
        [DATE, *fields(*pairs)],
        now=NOW,
        method=method,
        policy=policy or Policy(),
        delay=delay,
    )


def test_an_answer_with_a_lifetime_is_shared() -> None:
    found = of("Cache-Control: max-age=60")
    assert (found.shared, found.fresh, found.age, found.reason, found.kept) == (True, 60, 0, "", True)


# Storing.


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"M-SEARCH", b"get"])
def test_only_get_is_stored(method: bytes) -> None:
    assert of("Cache-Control: max-age=60", method=method).reason == f"method {method.decode()}"


@pytest.mark.parametrize("pair", ["Content-Length: 3", "Transfer-Encoding: chunked", "Content-Length: x"])
def test_a_get_with_a_body_is_not_stored(pair: str) -> None:
    assert of("Cache-Control: max-age=60", request=fields(pair)).reason == "the GET had a body"
    assert of("Cache-Control: max-age=60", request=fields("Content-Length: 0")).shared


@pytest.mark.parametrize("status", [0, 99, 100, 101, 103, 199, 600, 999])
def test_what_is_not_final_is_not_stored(status: int) -> None:
    assert not of("Cache-Control: max-age=60", status=status).shared


@pytest.mark.parametrize("status", [206, 304])
def test_parts_and_validations_are_not_stored_as_wholes(status: int) -> None:
    assert of("Cache-Control: max-age=60", status=status).reason == f"status {status} is not a whole answer"


@pytest.mark.parametrize("status", [428, 429, 431, 511])
def test_what_no_cache_must_store(status: int) -> None:
    assert not of("Cache-Control: max-age=60", status=status, policy=Policy(provoked=True)).shared


@pytest.mark.parametrize("status", [407, 412, 416, 417, 421, 425])
def test_what_answers_one_request_is_not_stored(status: int) -> None:
    """A 416 to somebody's Range, stored, would answer everybody."""
    assert not of("Cache-Control: max-age=60", status=status, policy=Policy(provoked=True)).shared


@pytest.mark.parametrize("status", [400, 405, 413, 414, 415, 422, 501])
def test_errors_that_a_request_provokes_are_not_stored(status: int) -> None:
    assert of("Cache-Control: max-age=60", status=status).reason == f"status {status} may be provoked by one request"
    assert of("Cache-Control: max-age=60", status=status, policy=Policy(provoked=True)).shared


@pytest.mark.parametrize(
    "status", [200, 203, 204, 299, 301, 302, 303, 307, 308, 404, 410, 499, 500, 502, 503, 504, 599]
)
def test_every_other_status_is_stored_with_a_lifetime(status: int) -> None:
    assert of("Cache-Control: max-age=60", status=status).fresh == 60


@given(st.integers(min_value=-10, max_value=1200))
def test_every_status_has_an_answer(status: int) -> None:
    found = of("Cache-Control: max-age=60, public", status=status)
    assert found.shared == (not found.reason)


@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 401, 403, 500, 502, 503, 504, 599])
def test_some_statuses_need_a_word_of_the_origin(status: int) -> None:
    found = of('ETag: "a"', status=status)
    assert (found.reason, found.unsaid) == (f"status {status} without a lifetime", True)
    assert not of("Cache-Control: private", status=status).unsaid
    assert of('ETag: "a"', "Cache-Control: public", status=status).shared
    assert of(f"Expires: {format_date(NOW + 5).decode()}", status=status).fresh == 5


@pytest.mark.parametrize("value", ["no-store", "No-StOrE", "max-age=10000, no-store", 'no-store="x"', "no-store =1"])
def test_no_store(value: str) -> None:
    assert of(f"Cache-Control: {value}", f"Expires: {format_date(NOW + 9).decode()}").reason == "no-store"


def test_no_store_in_a_quoted_string_is_not_said() -> None:
    assert of('Cache-Control: max-age=60, x="no-store"').shared


def test_no_store_in_the_request() -> None:
    found = of("Cache-Control: max-age=60", request=fields("Cache-Control: no-store"))
    assert found.reason == "no-store in the request"


@pytest.mark.parametrize("value", ["private", "Private", 'private=""', 'private="a", private'])
def test_private(value: str) -> None:
    assert of(f"Cache-Control: max-age=60, {value}").reason == "private"


def test_private_with_fields_shares_the_rest() -> None:
    found = of('Cache-Control: max-age=60, private="Set-Cookie, X-User"', "Set-Cookie: a=b")
    assert (found.shared, found.strip) == (True, frozenset({b"set-cookie", b"x-user"}))


def test_no_cache_with_fields_withholds_them() -> None:
    found = of('Cache-Control: no-cache="a"', "A: 1", "B: 2", 'Cache-Control: max-age=60, no-cache="b"')
    assert (found.no_cache, found.fresh, found.strip) == (False, 60, frozenset({b"a", b"b"}))


CREDENTIALS = fields("Authorization: Basic YTpi")


@pytest.mark.parametrize("value", ["", "max-age=60", "proxy-revalidate, max-age=60", "no-cache"])
def test_authorization_is_not_shared(value: str) -> None:
    assert of(f"Cache-Control: {value}", request=CREDENTIALS).reason == "the request had Authorization"


@pytest.mark.parametrize("value", ["public, max-age=60", "s-maxage=60", "max-age=60, must-revalidate"])
def test_authorization_is_shared_where_the_origin_says_so(value: str) -> None:
    assert of(f"Cache-Control: {value}", request=CREDENTIALS).fresh == 60


def test_a_cookie_in_the_request_changes_nothing() -> None:
    assert of("Cache-Control: max-age=60", request=fields("Cookie: a=b")).fresh == 60


@pytest.mark.parametrize("name", ["Set-Cookie", "Set-Cookie2"])
def test_cookies_are_not_shared(name: str) -> None:
    pairs = ("Cache-Control: public, max-age=60", f"{name}: a=b")
    assert of(*pairs).reason == "it sets a cookie"
    assert of(*pairs, policy=Policy(cookies="share")).strip == frozenset()
    stripped = of(*pairs, policy=Policy(cookies="strip"))
    assert (stripped.shared, stripped.strip) == (True, frozenset({b"set-cookie", b"set-cookie2"}))


@pytest.mark.parametrize(
    "values", [["*"], ["*, *"], ["*", "*"], [", *"], ["", "*"], ["*, Foo"], ["Foo, *"], ["foo bar"]]
)
def test_vary_on_anything(values: list[str]) -> None:
    assert of("Cache-Control: max-age=60", *(f"Vary: {value}" for value in values)).reason == "vary on anything"


def test_vary_is_remembered() -> None:
    assert of("Cache-Control: max-age=60", "Vary: Origin, ,ACCEPT-Encoding", "Vary: origin").vary == (
        b"accept-encoding",
        b"origin",
    )


def test_must_understand() -> None:
    assert of("Cache-Control: max-age=60, must-understand", status=299).reason == "must-understand with status 299"
    assert of("Cache-Control: max-age=60, must-understand, no-store", status=299).reason
    assert of("Cache-Control: max-age=60, must-understand, no-store", status=200).fresh == 60


def test_an_unknown_directive_changes_nothing() -> None:
    assert of("Cache-Control: max-age=60, foobar, x-y=5").fresh == 60


def test_content_disposition_changes_nothing() -> None:
    assert of("Cache-Control: max-age=60", "Content-Disposition: attachment; filename=a").fresh == 60


# Terms.


def test_s_maxage_before_max_age_before_expires() -> None:
    expires = f"Expires: {format_date(NOW + 9).decode()}"
    assert of(expires).fresh == 9
    assert of(expires, "Cache-Control: max-age=60").fresh == 60
    assert of(expires, "Cache-Control: max-age=60, s-maxage=7").fresh == 7
    assert of(expires, "Cache-Control: max-age=0").fresh == 0


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "3600a", "'60'", '"60', "+60"])
def test_a_malformed_lifetime_is_staleness(value: str) -> None:
    expires = f"Expires: {format_date(NOW + 9).decode()}"
    assert of(f"Cache-Control: max-age={value}", expires).fresh == 0
    assert of(f"Cache-Control: s-maxage={value}, max-age=60", expires).fresh == 0


@pytest.mark.parametrize("value", ["2147483648", "99999999999", "9" * 5000])
def test_a_huge_lifetime_is_cut(value: str) -> None:
    assert of(f"Cache-Control: max-age={value}").fresh == MAX_DELTA


@pytest.mark.parametrize("value", ["must-revalidate", "proxy-revalidate", "s-maxage=60"])
def test_what_forbids_staleness(value: str) -> None:
    found = of(f"Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=9, {value}")
    assert (found.must_revalidate, found.while_revalidated, found.if_error) == (True, 0, 0)


def test_s_maxage_may_be_read_as_a_lifetime_alone() -> None:
    found = of("Cache-Control: s-maxage=60, stale-while-revalidate=5", policy=Policy(s_maxage_revalidates=False))
    assert (found.must_revalidate, found.while_revalidated) == (False, 5)


def test_staleness_that_the_origin_allows() -> None:
    found = of("Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=9")
    assert (found.must_revalidate, found.while_revalidated, found.if_error) == (False, 5, 9)
    assert of("Cache-Control: max-age=60, stale-while-revalidate=x").while_revalidated == 0


def test_staleness_that_the_operator_allows() -> None:
    policy = Policy(if_error=30)
    assert of("Cache-Control: max-age=60", policy=policy).if_error == 30
    assert of("Cache-Control: max-age=60, stale-if-error=0", policy=policy).if_error == 0
    assert of("Cache-Control: max-age=60, must-revalidate", policy=policy).if_error == 0


@pytest.mark.parametrize("value", ["no-cache", "No-CaChE", "max-age=60, no-cache", "no-cache, stale-if-error=5"])
def test_no_cache_is_kept_but_always_asked_about(value: str) -> None:
    found = of(f"Cache-Control: {value}", 'ETag: "a"')
    assert (found.shared, found.no_cache, found.if_error, found.kept) == (True, True, 0, True)


def test_pragma_counts_where_there_is_no_cache_control() -> None:
    expires = f"Expires: {format_date(NOW + 9).decode()}"
    assert of(expires, "Pragma: no-cache").no_cache
    assert not of(expires, "Pragma: unrecognised-extension").no_cache
    assert not of("Cache-Control: max-age=60", "Pragma: no-cache").no_cache
    assert not of("CDN-Cache-Control: max-age=60", "Pragma: no-cache").no_cache


def test_what_is_not_worth_keeping() -> None:
    assert not of("Cache-Control: max-age=0").kept
    assert of("Cache-Control: max-age=0", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT").kept
    assert of("Cache-Control: max-age=0, stale-while-revalidate=1").kept
    assert not of("Cache-Control: no-store", 'ETag: "a"').kept
    assert not of("Cache-Control: no-cache, max-age=60").kept


@pytest.mark.parametrize("status", [200, 203, 204, 404, 410])
def test_heuristics_by_status(status: int) -> None:
    changed = f"Last-Modified: {format_date(NOW - 1000).decode()}"
    assert of(changed, status=status).fresh == 0
    assert of(changed, status=status, policy=Policy(heuristic=0.1)).fresh == 100


def test_heuristics_for_what_is_public() -> None:
    changed = f"Last-Modified: {format_date(NOW - 1000).decode()}"
    policy = Policy(heuristic=0.1)
    assert of(changed, "Cache-Control: public", status=599, policy=policy).fresh == 100
    assert not of(changed, status=599, policy=policy).shared


def test_heuristics_are_bounded_and_give_way() -> None:
    policy = Policy(heuristic=0.1, heuristic_most=3600)
    assert of("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", policy=policy).fresh == 3600
    assert of("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "Cache-Control: max-age=5", policy=policy).fresh == 5
    assert of(f"Last-Modified: {format_date(NOW + 60).decode()}", policy=policy).fresh == 0
    assert of("Last-Modified: yesterday", policy=policy).fresh == 0


def test_delay_and_age_make_it_older() -> None:
    assert of("Cache-Control: max-age=60", "Age: 20", delay=2.5).age == 22.5


@pytest.mark.parametrize(
    "wrong", [{"heuristic": 2}, {"heuristic": -0.1}, {"heuristic_most": -1}, {"if_error": -1}, {"cookies": "eat"}]
)
def test_a_policy_says_what_is_wrong_with_it(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)


# Each refusal is a rule of its own: without it, an answer that it alone refuses is shared.

ALONE: dict[str, Callable[[], Lifetime]] = {
    "not_a_get": lambda: of("Cache-Control: max-age=60", method=b"HEAD"),
    "fat": lambda: of("Cache-Control: max-age=60", request=fields("Content-Length: 3")),
    "not_final": lambda: of("Cache-Control: max-age=60", status=103),
    "not_whole": lambda: of("Cache-Control: max-age=60", status=206),
    "not_for_others": lambda: of("Cache-Control: max-age=60", status=429),
    "provoked": lambda: of("Cache-Control: max-age=60", status=400),
    "not_understood": lambda: of("Cache-Control: max-age=60, must-understand", status=299),
    "no_store": lambda: of("Cache-Control: max-age=60, no-store"),
    "no_store_asked": lambda: of("Cache-Control: max-age=60", request=fields("Cache-Control: no-store")),
    "private": lambda: of("Cache-Control: max-age=60, private"),
    "authorized": lambda: of("Cache-Control: max-age=60", request=CREDENTIALS),
    "cookie": lambda: of("Cache-Control: max-age=60", "Set-Cookie: a=b"),
    "vary_star": lambda: of("Cache-Control: max-age=60", "Vary: *"),
    "not_cacheable": lambda: of(status=503),
}


def test_each_refusal_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(ALONE) == [each.__name__ for each in http_cache.REFUSALS]
    for name, example in ALONE.items():
        assert not example().shared
        with monkeypatch.context() as without:
            without.setattr(http_cache, "REFUSALS", [each for each in http_cache.REFUSALS if each.__name__ != name])
            assert example().shared, name


# Whatever comes.

NAMES = ["cache-control", "cdn-cache-control", "tierkit-cache-control", "expires", "date", "age", "pragma", "vary",
         "etag", "last-modified", "set-cookie", "authorization", "x"]  # fmt: skip
WORDS = ["max-age=60", "s-maxage=5", "no-cache", "private", 'private="x"', "no-store", "public", "must-revalidate",
         "must-understand", "max-age=-1", "stale-if-error=5", "stale-while-revalidate=5", "*", "0",
         "Sun, 06 Nov 1994 08:49:37 GMT", format_date(NOW + 50).decode(), '"', "\\", ",", "9" * 30]  # fmt: skip
VALUES = st.lists(st.sampled_from(WORDS), max_size=4).map(lambda each: ", ".join(each).encode()) | st.binary(
    max_size=30
)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES).map(str.encode), VALUES), max_size=8)
POLICIES = st.builds(
    Policy,
    heuristic=st.sampled_from([0.0, 0.1]),
    cookies=st.sampled_from(["refuse", "strip", "share"]),
    provoked=st.booleans(),
    if_error=st.sampled_from([0.0, 30.0]),
)
TIMES = st.integers(min_value=-(10**11), max_value=10**12)


@given(HEADERS, st.integers(min_value=0, max_value=1000), HEADERS, POLICIES, TIMES, st.floats(-1e6, 1e6))
def test_any_answer_is_decided(
    request: Headers, status: int, headers: Headers, policy: Policy, now: int, delay: float
) -> None:
    found = decide(request, status, headers, now=now, policy=policy, delay=delay)
    numbers = (found.fresh, found.while_revalidated, found.if_error, found.age)
    assert all(0 <= number <= MAX_DELTA for number in numbers)
    assert found.shared == (not found.reason)


@given(HEADERS, HEADERS, st.sampled_from([b"no-store", b"private"]))
def test_nothing_makes_no_store_or_private_shared(request: Headers, headers: Headers, word: bytes) -> None:
    """Beside no-store only must-understand is heard, and the closest targeted field is heard alone."""
    plain = [each for each in headers if not each[0].endswith(b"-cache-control") and b"must-understand" not in each[1]]
    assert not decide(request, 200, [*plain, (b"cache-control", word)], now=NOW).shared
    others = [each for each in headers if each[0] != b"tierkit-cache-control"]
    assert not decide(request, 200, [*others, (b"tierkit-cache-control", word)], now=NOW).shared


@given(HEADERS, HEADERS)
def test_another_no_store_never_makes_it_shared(request: Headers, headers: Headers) -> None:
    more = [*headers, (b"cache-control", b"no-store")]
    if not decide(request, 200, headers, now=NOW).shared:
        assert not decide(request, 200, more, now=NOW).shared
