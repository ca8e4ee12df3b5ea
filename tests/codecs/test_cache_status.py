"""Cache-Status (RFC 9211)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.cache_status import CacheStatus, Fwd, appended
from tierkit.codecs.http1 import render_head
from tierkit.codecs.http_structured import read_dictionary

from .test_http_cache import fields


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (CacheStatus(cache="ExampleCache", hit=True), b"ExampleCache; hit"),
        (CacheStatus(cache="edge-a1", hit=True, ttl=376), b"edge-a1; hit; ttl=376"),
        (CacheStatus(cache="edge-a1", hit=True, ttl=-412), b"edge-a1; hit; ttl=-412"),
        (CacheStatus(cache="e", hit=True, ttl=0), b"e; hit; ttl=0"),
        (CacheStatus(cache="e", fwd=Fwd.URI_MISS), b"e; fwd=uri-miss"),
        (CacheStatus(cache="e", fwd=Fwd.STALE, fwd_status=304), b"e; fwd=stale; fwd-status=304"),
        (CacheStatus(cache="e", fwd=Fwd.URI_MISS, stored=True), b"e; fwd=uri-miss; stored"),
        (CacheStatus(cache="e", fwd=Fwd.VARY_MISS, collapsed=True), b"e; fwd=vary-miss; collapsed"),
        (CacheStatus(cache="e", key="/a?b"), b'e; key="/a?b"'),
        (CacheStatus(cache="e", fwd=Fwd.BYPASS, detail="cookie"), b"e; fwd=bypass; detail=cookie"),
        (CacheStatus(cache="e", fwd=Fwd.BYPASS, detail="a cookie"), b'e; fwd=bypass; detail="a cookie"'),
        (CacheStatus(cache="2nd tier"), b'"2nd tier"'),
    ],
)
def test_a_member(status: CacheStatus, expected: bytes) -> None:
    assert status.render() == expected


@pytest.mark.parametrize("fwd", list(Fwd))
def test_every_reason_is_a_token_of_the_rfc(fwd: Fwd) -> None:
    assert CacheStatus(cache="e", fwd=fwd).render() == b"e; fwd=" + fwd.value.encode()
    assert {each.value for each in Fwd} == {
        *("bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial")
    }


def test_a_hit_is_not_forwarded() -> None:
    with pytest.raises(ValueError, match="either"):
        CacheStatus(cache="e", hit=True, fwd=Fwd.STALE)


OURS = CacheStatus(cache="edge", hit=True)


def test_ours_comes_behind_those_of_upstream() -> None:
    assert appended((), OURS) == b"edge; hit"
    assert appended(fields("Cache-Status: origin; fwd=miss", "A: b", "Cache-Status: mid; hit"), OURS) == (
        b"origin; fwd=miss, mid; hit, edge; hit"
    )
    assert appended(fields("Cache-Status:"), OURS) == b"edge; hit"


def test_an_absurd_list_of_upstream_is_left_out() -> None:
    assert appended([(b"cache-status", b"x" * 4097)], OURS) == b"edge; hit"


TEXT = st.none() | st.text(max_size=10)


@given(
    st.builds(
        CacheStatus,
        cache=st.text(max_size=10),
        fwd=st.none() | st.sampled_from(Fwd),
        ttl=st.none() | st.integers(),
        fwd_status=st.none() | st.integers(100, 599),
        stored=st.booleans(),
        collapsed=st.booleans(),
        key=TEXT,
        detail=TEXT,
    )
)
def test_whatever_is_said_is_a_structured_item(status: CacheStatus) -> None:
    """Keys come from URLs, and details from errors: no byte of theirs may break out of the field."""
    rendered = status.render()
    assert render_head(b"HTTP/1.1 200 OK", [(b"Cache-Status", rendered)])
    assert read_dictionary([(b"x", b"a=" + rendered)], b"x") is not None
