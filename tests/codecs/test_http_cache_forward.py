"""Which fields go on, and which are stored."""

from __future__ import annotations

import pytest
from hypothesis import given

from tierkit.codecs.http_forward import forwarded, forwarded_trailers, stored_fields, without_unkeyed

from .test_http_cache import HEADERS, NOW, fields


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
     "Content-Length", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"],
)  # fmt: skip
def test_what_ends_at_a_hop(name: str) -> None:
    assert forwarded(fields(f"{name}: x", "A: 1")) == fields("A: 1")


@pytest.mark.parametrize(
    "name",
    ["Test-Header", "X-Test-Header", "Content-Foo", "X-Frame-Options", "WWW-Authenticate", "Proxy-Status",
     "Strict-Transport-Security", "Clear-Site-Data", "Set-Cookie", "CDN-Cache-Control", "Tierkit-Cache-Control",
     "Surrogate-Control", "Authorization", "Cookie", "Date", "Via"],
)  # fmt: skip
def test_what_goes_on(name: str) -> None:
    assert forwarded(fields(f"{name}: x")) == fields(f"{name}: x")


def test_what_connection_names_ends_too() -> None:
    found = forwarded(fields("Connection: a, B", "A: 1", "B: 2", "Connection: c", "C: 3", "D: 4"))
    assert found == fields("D: 4")


@pytest.mark.parametrize(
    "name", ["Host", "Authorization", "Cache-Control", "Age", "Cookie", "Vary", "Set-Cookie", "X-Forwarded-For", "Via",
             "ETag", "Range", "CDN-Cache-Control", "Acme-Cache-Control"]
)  # fmt: skip
def test_what_connection_must_not_strip(name: str) -> None:
    assert forwarded(fields(f"Connection: close, {name}", f"{name}: x")) == fields(f"{name}: x")


def test_order_and_repetition_stay() -> None:
    same = fields("Via: 1.1 a", "Link: x", "Via: 1.1 b", "Link: y")
    assert forwarded(same) == same


def test_what_is_stored() -> None:
    answer = fields("Date: x", "Age: 5", "Set-Cookie: a=b", "Set-Cookie: c=d", "A: 1", "Connection: b", "B: 2")
    assert stored_fields(answer, now=NOW, strip=frozenset({b"set-cookie"})) == fields("Date: x", "A: 1")


def test_a_missing_date_is_added() -> None:
    assert stored_fields(fields("A: 1"), now=784111777) == fields("A: 1", "Date: Sun, 06 Nov 1994 08:49:37 GMT")


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "Transfer-Encoding", "Host", "Cache-Control", "Authorization", "Set-Cookie", "Location",
     "Content-Encoding", "Trailer", "WWW-Authenticate"],
)  # fmt: skip
def test_trailers_that_do_not_go_on(name: str) -> None:
    assert forwarded_trailers(fields(f"{name}: x", "Digest: y")) == fields("Digest: y")


@given(HEADERS)
def test_nothing_is_made_up(headers: list[tuple[bytes, bytes]]) -> None:
    assert set(forwarded(headers)) <= set(headers)


@pytest.mark.parametrize(
    "name",
    ["Forwarded", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override",
     "X-Host", "X-Forwarded-For", "X-Real-IP", "True-Client-IP"],
)  # fmt: skip
def test_what_no_key_has_does_not_fill_a_cache(name: str) -> None:
    assert without_unkeyed(fields(f"{name}: x", "Accept: y")) == fields("Accept: y")
