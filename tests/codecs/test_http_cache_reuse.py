"""What may be served from store, and what a request may ask (RFC 9111 sections 4 and 5.2.1, RFC 5861)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http_cache import Lifetime, Outcome, RequestDirectives, is_failure, may_forward, reuse
from tierkit.codecs.http_reuse import request_directives

from .test_http_cache import HEADERS, fields

FRESH, STALE, BEHIND = Outcome.FRESH, Outcome.STALE, Outcome.STALE_WHILE_REVALIDATED
ASK, TIMEOUT = Outcome.REVALIDATE, Outcome.GATEWAY_TIMEOUT

PLAIN = Lifetime(shared=True, fresh=60)
GRACE = Lifetime(shared=True, fresh=60, while_revalidated=10, if_error=100)
STRICT = Lifetime(shared=True, fresh=60, must_revalidate=True)
ALWAYS = Lifetime(shared=True, fresh=60, no_cache=True)


def asked(value: str) -> RequestDirectives | None:
    return request_directives(fields(f"Cache-Control: {value}"))


# Reading requests.


@pytest.mark.parametrize("pairs", [(), ("Accept: x",), ("Cache-Control:",), ("Cache-Control: x",), ("Pragma: x",),
                                   ("Cache-Control: x", "Pragma: no-cache")])  # fmt: skip
def test_a_request_that_asks_for_nothing(pairs: tuple[str, ...]) -> None:
    assert request_directives(fields(*pairs)) is None


def test_pragma_in_a_request() -> None:
    assert request_directives(fields("Pragma: No-Cache")) == RequestDirectives(no_cache=True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("no-cache, no-store", RequestDirectives(no_cache=True, no_store=True)),
        ("only-if-cached", RequestDirectives(only_if_cached=True)),
        ("max-age=5", RequestDirectives(max_age=5)),
        ("max-age=x", RequestDirectives(max_age=0)),
        ("min-fresh=5", RequestDirectives(min_fresh=5)),
        ("min-fresh=x", RequestDirectives(min_fresh=math.inf)),
        ("max-stale", RequestDirectives(max_stale=math.inf)),
        ("max-stale=5", RequestDirectives(max_stale=5)),
        ("max-stale=-5", None),
        ("stale-if-error=5", RequestDirectives(if_error=5)),
    ],
)
def test_request_directives(value: str, expected: RequestDirectives | None) -> None:
    assert asked(value) == expected


@given(HEADERS)
def test_any_request_can_be_read(headers: list[tuple[bytes, bytes]]) -> None:
    found = request_directives(headers)
    assert found is None or found.max_age >= 0


# Without directives of the request.


@pytest.mark.parametrize(
    ("lifetime", "age", "expected"),
    [
        (PLAIN, 0, FRESH),
        (PLAIN, 59.9, FRESH),
        (PLAIN, 60, ASK),
        (GRACE, 60, BEHIND),
        (GRACE, 69.9, BEHIND),
        (GRACE, 70, ASK),
        (STRICT, 59.9, FRESH),
        (STRICT, 60, ASK),
        (ALWAYS, 0, ASK),
        (Lifetime(shared=True), 0, ASK),
    ],
)
def test_fresh_then_stale(lifetime: Lifetime, age: float, expected: Outcome) -> None:
    assert reuse(lifetime, age) is expected


@pytest.mark.parametrize(
    ("lifetime", "age", "expected"),
    [
        (PLAIN, 60, TIMEOUT),
        (GRACE, 60, STALE),
        (GRACE, 159.9, STALE),
        (GRACE, 160, TIMEOUT),
        (STRICT, 60, TIMEOUT),
        (ALWAYS, 0, TIMEOUT),
        (Lifetime(shared=True, fresh=60, while_revalidated=5), 64, STALE),
    ],
)
def test_after_a_failure(lifetime: Lifetime, age: float, expected: Outcome) -> None:
    assert reuse(lifetime, age, failed=True) is expected


def test_must_revalidate_forbids_staleness_whatever_else_is_said() -> None:
    lifetime = Lifetime(shared=True, fresh=60, while_revalidated=10, if_error=10, must_revalidate=True)
    assert reuse(lifetime, 65) is ASK
    assert reuse(lifetime, 65, asked("max-stale")) is ASK
    assert reuse(lifetime, 65, asked("stale-if-error=99"), failed=True) is TIMEOUT


def test_no_cache_forbids_any_reuse_whatever_else_is_said() -> None:
    lifetime = Lifetime(shared=True, fresh=60, while_revalidated=10, if_error=10, no_cache=True)
    assert reuse(lifetime, 5) is ASK
    assert reuse(lifetime, 65, asked("max-stale")) is ASK
    assert reuse(lifetime, 65, failed=True) is TIMEOUT


# With them.


@pytest.mark.parametrize(
    ("lifetime", "age", "value", "expected"),
    [
        (PLAIN, 5, "no-cache", ASK),
        (PLAIN, 5, "no-store", FRESH),
        (PLAIN, 5, "max-age=5", FRESH),
        (PLAIN, 5.5, "max-age=5", ASK),
        (PLAIN, 5, "max-age=0", ASK),
        (PLAIN, 5, "min-fresh=55", FRESH),
        (PLAIN, 5, "min-fresh=56", ASK),
        (PLAIN, 70, "max-stale", STALE),
        (PLAIN, 70, "max-stale=10", STALE),
        (PLAIN, 70.5, "max-stale=10", ASK),
        (STRICT, 70, "max-stale", ASK),
        (ALWAYS, 5, "max-stale", ASK),
        (PLAIN, 70, "max-stale, max-age=65", ASK),
        (PLAIN, 70, "max-stale, max-age=75", STALE),
        (PLAIN, 70, "max-stale, min-fresh=1", ASK),
        (PLAIN, 70, "max-stale, no-cache", ASK),
        (PLAIN, 5, "max-stale=99, max-age=1", ASK),
        (GRACE, 65, "max-age=100", ASK),
        (GRACE, 65, "min-fresh=1", ASK),
        (GRACE, 65, "no-store", BEHIND),
        (GRACE, 65, "only-if-cached", BEHIND),
        (PLAIN, 5, "only-if-cached", FRESH),
        (PLAIN, 65, "only-if-cached", TIMEOUT),
        (PLAIN, 5, "only-if-cached, no-cache", TIMEOUT),
        (PLAIN, 65, "only-if-cached, max-stale", STALE),
    ],
)
def test_what_a_request_asks(lifetime: Lifetime, age: float, value: str, expected: Outcome) -> None:
    assert reuse(lifetime, age, asked(value)) is expected


@pytest.mark.parametrize(
    ("lifetime", "age", "value", "expected"),
    [
        (PLAIN, 65, "stale-if-error=5", TIMEOUT),
        (PLAIN, 65, "stale-if-error=6", STALE),
        (PLAIN, 5, "max-age=1", STALE),
        (STRICT, 5, "max-age=1", STALE),
        (PLAIN, 5, "min-fresh=99", STALE),
        (PLAIN, 5, "no-cache", TIMEOUT),
        (STRICT, 65, "max-stale", TIMEOUT),
        (GRACE, 65, "max-age=1", STALE),
    ],
)
def test_what_a_request_asks_after_a_failure(lifetime: Lifetime, age: float, value: str, expected: Outcome) -> None:
    """A bound to age is a wish, and yields to a failure; no-cache and must-revalidate do not."""
    assert reuse(lifetime, age, asked(value), failed=True) is expected


def test_only_if_cached_without_anything_stored() -> None:
    assert not may_forward(asked("only-if-cached"))
    assert may_forward(asked("no-cache"))
    assert may_forward(None)


@pytest.mark.parametrize("status", [200, 404, 500, 501, 502, 503, 504, 505])
def test_failures(status: int) -> None:
    assert is_failure(status) == (status in {500, 502, 503, 504})


def test_outcomes_that_serve() -> None:
    assert {each for each in Outcome if each.served} == {FRESH, STALE, BEHIND}


LIFETIMES = st.builds(
    Lifetime,
    shared=st.just(True),
    fresh=st.floats(0, 100),
    while_revalidated=st.floats(0, 100),
    if_error=st.floats(0, 100),
    must_revalidate=st.booleans(),
    no_cache=st.booleans(),
)
WANTED = st.none() | st.builds(
    RequestDirectives,
    no_cache=st.booleans(),
    only_if_cached=st.booleans(),
    max_age=st.floats(0, 300) | st.just(math.inf),
    min_fresh=st.floats(0, 300),
    max_stale=st.floats(0, 300) | st.just(math.inf),
    if_error=st.floats(0, 300),
)


@given(LIFETIMES, st.floats(0, 400), WANTED, st.booleans())
def test_what_is_never_served(lifetime: Lifetime, age: float, wanted: RequestDirectives | None, failed: bool) -> None:
    outcome = reuse(lifetime, age, wanted, failed=failed)
    if lifetime.no_cache or (lifetime.must_revalidate and age >= lifetime.fresh) or (wanted and wanted.no_cache):
        assert not outcome.served
    if (wanted and wanted.only_if_cached) or failed:
        assert outcome is not ASK


@given(LIFETIMES, st.floats(0, 400), WANTED)
def test_growing_older_never_makes_it_fresh(lifetime: Lifetime, age: float, wanted: RequestDirectives | None) -> None:
    if reuse(lifetime, age, wanted) is not FRESH:
        assert reuse(lifetime, age + 1, wanted) is not FRESH
