"""How later answers change what is stored: 304, HEAD, unsafe methods."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http_cache import decide
from tierkit.codecs.http_forward import stored_fields
from tierkit.codecs.http_update import HeadEffect, head_effect, invalidated, is_unsafe, merged, selected

from .test_http_cache import HEADERS, NOW, fields
from .test_http_conditional import CHANGED, LATER, OLD

# 304.


@pytest.mark.parametrize(
    "name",
    ["Test-Header", "X-Test-Header", "Content-Foo", "X-Content-Foo", "Content-Type", "Content-Location",
     "Content-Security-Policy", "X-Frame-Options", "Cache-Control", "Expires", "Clear-Site-Data", "ETag", "Vary",
     "Set-Cookie"],
)  # fmt: skip
def test_a_304_replaces_what_it_speaks_of(name: str) -> None:
    assert merged(fields(f"{name}: a", f"{name}: b", "Other: o"), fields(f"{name}: c")) == fields(
        "Other: o", f"{name}: c"
    )


@pytest.mark.parametrize(
    "name", ["Content-Length", "Content-Encoding", "Content-Range", "Content-Digest", "Content-MD5"]
)
def test_a_304_does_not_replace_what_describes_the_bytes(name: str) -> None:
    assert merged(fields(f"{name}: a"), fields(f"{name}: b")) == fields(f"{name}: a")


@pytest.mark.parametrize(
    "name", ["Connection", "Keep-Alive", "Proxy-Authenticate", "TE", "Transfer-Encoding", "Upgrade"]
)
def test_a_304_brings_no_field_of_the_hop(name: str) -> None:
    assert merged(fields("A: a"), fields(f"{name}: b")) == fields("A: a")


def test_what_a_304_omits_stays() -> None:
    assert merged(
        fields("Test-Header: a", "Cache-Control: max-age=1"), fields("Cache-Control: max-age=3600")
    ) == fields("Test-Header: a", "Cache-Control: max-age=3600")


def test_age_and_date_are_those_of_the_304_or_none() -> None:
    stored = fields("Date: old", "Age: 100", "A: a")
    assert merged(stored, fields("Age: 5", "Date: new")) == fields("A: a", "Age: 5", "Date: new")
    assert merged(stored, ()) == fields("A: a")


def test_the_lifetime_begins_anew_after_a_304() -> None:
    stored = stored_fields(fields("Cache-Control: max-age=60", 'ETag: "a"', "Age: 50"), now=NOW - 500)
    together = merged(stored, fields("Age: 7", 'ETag: "a"'))
    found = decide((), 200, together, now=NOW)
    assert (found.fresh, found.age) == (60, 7)


def test_a_304_may_withdraw_what_is_stored() -> None:
    together = merged(fields("Cache-Control: max-age=60", 'ETag: "a"'), fields("Cache-Control: private"))
    assert decide((), 200, together, now=NOW).reason == "private"


A, B = fields('ETag: "a"'), fields('ETag: "b"')
WEAK_A = fields('ETag: W/"a"')
DATED = fields(f"Last-Modified: {CHANGED}")


def test_a_strong_tag_selects_all_that_have_it() -> None:
    assert selected([A, B, A, WEAK_A, DATED], A, NOW) == [0, 2]
    assert selected([B, WEAK_A], A, NOW) == []


def test_a_weak_tag_selects_the_newest_that_matches() -> None:
    assert selected([B, A, WEAK_A], WEAK_A, NOW) == [1]
    assert selected([B, DATED], WEAK_A, NOW) == []


def test_a_strong_date_selects_all_that_have_it() -> None:
    said = [*DATED, *fields(f"Date: {LATER}")]
    assert selected([B, DATED, DATED], said, NOW) == [1, 2]


def test_a_weak_date_selects_the_newest_that_has_it() -> None:
    assert selected([B, DATED, DATED], DATED, NOW) == [1]
    assert selected([B], DATED, NOW) == []


def test_another_tag_is_not_mended_by_the_date() -> None:
    assert selected([[*A, *DATED]], [*B, *DATED], NOW) == []


def test_without_a_validator_the_one_that_was_asked_about_is_meant() -> None:
    assert selected([DATED], fields("Date: x"), NOW) == [0]
    assert selected([DATED, A], (), NOW) == []
    assert selected([], (), NOW) == []


@given(st.lists(HEADERS, max_size=3), HEADERS)
def test_any_304_selects_among_what_is_there(
    stored: list[list[tuple[bytes, bytes]]], validation: list[tuple[bytes, bytes]]
) -> None:
    assert set(selected(stored, validation, NOW)) <= set(range(len(stored)))


# HEAD.


@pytest.mark.parametrize(
    ("status", "pairs", "expected"),
    [
        (200, [], HeadEffect.UPDATE),
        (200, ['ETag: "a"', f"Last-Modified: {CHANGED}", "Content-Length: 10"], HeadEffect.UPDATE),
        (200, ["Cache-Control: max-age=9"], HeadEffect.UPDATE),
        (200, ['ETag: "b"'], HeadEffect.STALE),
        (200, ['ETag: W/"a"'], HeadEffect.STALE),
        (200, ['ETag: "a"', f"Last-Modified: {OLD}"], HeadEffect.STALE),
        (200, ["Content-Length: 11"], HeadEffect.STALE),
        (200, ["Content-Length: 1_0"], HeadEffect.STALE),
        (410, ['ETag: "b"'], HeadEffect.NOTHING),
        (304, ['ETag: "b"'], HeadEffect.NOTHING),
        (500, [], HeadEffect.NOTHING),
    ],
)
def test_what_a_head_says_of_what_is_stored(status: int, pairs: list[str], expected: HeadEffect) -> None:
    stored = fields('ETag: "a"', f"Last-Modified: {CHANGED}")
    assert head_effect(stored, 10, status, fields(*pairs)) is expected


def test_a_head_of_what_still_grows() -> None:
    assert head_effect(A, None, 200, fields("Content-Length: 11")) is HeadEffect.UPDATE


def test_a_validator_that_is_new_in_a_head_is_another() -> None:
    assert head_effect(A, 10, 200, DATED) is HeadEffect.STALE


# Unsafe methods.

URL = "http://a.example/x/y?q=1"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"M-SEARCH", b"get"])
@pytest.mark.parametrize("status", [200, 201, 204, 302])
def test_unsafe_methods_invalidate_their_target(method: bytes, status: int) -> None:
    assert invalidated(method, status, (), URL) == [URL]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"TRACE"])
def test_safe_methods_invalidate_nothing(method: bytes) -> None:
    assert not is_unsafe(method)
    assert invalidated(method, 200, fields("Location: /z"), URL) == []


@pytest.mark.parametrize("status", [100, 400, 404, 500, 503])
def test_errors_invalidate_nothing(status: int) -> None:
    assert invalidated(b"POST", status, fields("Location: /z"), URL) == []


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("/z", "http://a.example/z"),
        ("z?a=b#c", "http://a.example/x/z?a=b"),
        ("../z", "http://a.example/z"),
        ("http://A.EXAMPLE:80/z", "http://a.example/z"),
        ("http://user@a.example/z", "http://a.example/z"),
        ("http://a.example", "http://a.example/"),
        ("?q=2", "http://a.example/x/y?q=2"),
    ],
)
def test_what_an_answer_names_is_invalidated_too(name: str, value: str, other: str) -> None:
    assert invalidated(b"POST", 201, fields(f"{name}: {value}"), URL) == [URL, other]


def test_both_names_and_no_url_twice() -> None:
    assert invalidated(b"PUT", 200, fields("Location: /z", "Content-Location: /w"), URL) == [
        URL,
        "http://a.example/z",
        "http://a.example/w",
    ]
    assert invalidated(b"PUT", 200, fields(f"Location: {URL}", "Content-Location: ?q=1"), URL) == [URL]


@pytest.mark.parametrize(
    "value",
    ["http://b.example/z", "https://a.example/z", "http://a.example:8080/z", "//b.example/z", "http://a.example:x/",
     "http://[::1/z", "mailto:a@b", "http://a.example.evil/z", "/\xe4", "/" + "x" * 9000],
)  # fmt: skip
def test_nothing_of_another_origin_is_invalidated(value: str) -> None:
    assert invalidated(b"POST", 201, fields(f"Location: {value}"), URL) == [URL]


@given(st.binary(max_size=40))
def test_any_location_may_come(value: bytes) -> None:
    for url in invalidated(b"POST", 200, [(b"location", value)], URL):
        assert url.startswith("http://a.example/")
