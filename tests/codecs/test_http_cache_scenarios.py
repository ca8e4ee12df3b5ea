"""The rules together: a cache of some eighty lines before an origin that is told what to say.

The scenarios are those that the public HTTP cache test suite (cache-tests.fyi) asks of caches between client and
origin; each is named by what is asked.  `Tier` also shows in which order the rules are meant to be used.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import define, evolve, field, frozen

from tierkit.codecs.http1 import Headers, content_length
from tierkit.codecs.http_cache import Lifetime, Outcome, Policy, age_field, decide, is_failure, may_forward, reuse
from tierkit.codecs.http_conditional import (
    Verdict,
    evaluate,
    not_modified_fields,
    parse_etag,
    revalidation,
    unconditional,
)
from tierkit.codecs.http_fields import first, format_date
from tierkit.codecs.http_forward import forwarded, stored_fields
from tierkit.codecs.http_range import requested_spans
from tierkit.codecs.http_reuse import request_directives
from tierkit.codecs.http_update import HeadEffect, head_effect, invalidated, merged, selected
from tierkit.codecs.http_vary import vary_key

from .test_http_cache import fields

START = 1_800_000_000
URL = "http://a.example/x"


@frozen
class Said:
    """What somebody answers; fields as lines."""

    lines: Sequence[str] = ()
    status: int = 200
    body: bytes = b"0123456789"


@frozen
class Stored:
    status: int
    headers: Headers
    body: bytes
    lifetime: Lifetime
    arrived: float
    key: bytes

    def age(self, now: float) -> float:
        return self.lifetime.age + now - self.arrived


@frozen
class Got:
    """What a client gets, and how often the origin was asked for it, with which fields."""

    status: int
    headers: Headers
    body: bytes
    asked: Sequence[Headers] = ()

    def says(self, name: str) -> str | None:
        value = first(self.headers, name.encode())
        return None if value is None else value.decode()

    @property
    def kind(self) -> str:
        if not self.asked:
            return "cached"
        names = {name for name, _ in self.asked[0]}
        if b"if-none-match" in names:
            return "etag_validated"
        return "lm_validated" if b"if-modified-since" in names else "not_cached"


@define
class Tier:
    policy: Policy = field(factory=Policy)
    now: float = 0.0
    store: dict[str, list[Stored]] = field(factory=dict)
    behind: list[str] = field(factory=list)

    def ask(self, said: Said, *request: str, method: bytes = b"GET", url: str = URL) -> Got:
        asked: list[Headers] = []
        wanted = request_directives(fields(*request))
        if method != b"GET":
            return self._other(said, fields(*request), method, url)
        for entry in self.store.get(url, ()):
            if vary_key(entry.lifetime.vary, fields(*request)) != entry.key:
                continue
            outcome = reuse(entry.lifetime, entry.age(self.now), wanted)
            if outcome is Outcome.STALE_WHILE_REVALIDATED:
                self.behind.append(url)
            if outcome is Outcome.REVALIDATE:
                return self._revalidate(entry, said, fields(*request), url, asked)
            return self._serve(entry, fields(*request)) if outcome.served else Got(504, (), b"")
        if not may_forward(wanted):
            return Got(504, (), b"")
        return self._fill(said, fields(*request), url, asked)

    def _fill(self, said: Said, request: Headers, url: str, asked: list[Headers]) -> Got:
        status, headers, body = origin(said, unconditional(request), asked, START + self.now)
        entry = self._keep(url, request, status, headers, body)
        if entry is None:
            return Got(status, forwarded(headers), body, asked)
        return evolve(self._serve(entry, request), asked=asked)

    def _revalidate(self, entry: Stored, said: Said, request: Headers, url: str, asked: list[Headers]) -> Got:
        questions = [*unconditional(request), *revalidation(entry.headers)]
        status, headers, body = origin(said, questions, asked, START + self.now)
        if is_failure(status) and reuse(entry.lifetime, entry.age(self.now), failed=True).served:
            return evolve(self._serve(entry, request), asked=asked)
        if status == 304 and selected([entry.headers], headers, START + self.now):
            status, headers, body = entry.status, merged(entry.headers, headers), entry.body
        self.store[url].remove(entry)
        self._keep(url, request, status, headers, body)
        return Got(status, forwarded(headers), body, asked)

    def _keep(self, url: str, request: Headers, status: int, headers: Headers, body: bytes) -> Stored | None:
        lifetime = decide(request, status, headers, now=START + self.now, policy=self.policy)
        key = vary_key(lifetime.vary, request)
        if not lifetime.kept or key is None:
            return None
        kept = stored_fields(headers, strip=lifetime.strip, now=START + self.now)
        entry = Stored(status, kept, body, lifetime, self.now, key)
        same = (lifetime.vary, key)
        others = [each for each in self.store.get(url, ()) if (each.lifetime.vary, each.key) != same]
        self.store[url] = [entry, *others]
        return entry

    def _serve(self, entry: Stored, request: Headers) -> Got:
        age = (b"age", age_field(entry.age(self.now)))
        headers = [*entry.headers, age]
        if evaluate(request, entry.status, entry.headers, now=START + self.now) is Verdict.NOT_MODIFIED:
            return Got(304, [*not_modified_fields(entry.headers), age], b"")
        try:
            spans = requested_spans(request, entry.status, entry.headers, len(entry.body), now=START + self.now)
        except ValueError:
            return Got(416, (), b"")
        if len(spans) == 1:
            return Got(206, headers, entry.body[spans[0][0] : spans[0][1]])
        return Got(entry.status, headers, entry.body)

    def _other(self, said: Said, request: Headers, method: bytes, url: str) -> Got:
        asked: list[Headers] = []
        status, headers, body = origin(said, request, asked, START + self.now)
        for gone in invalidated(method, status, headers, url):
            self.store.pop(gone, None)
        for entry in list(self.store.get(url, ())) if method == b"HEAD" else ():
            effect = head_effect(entry.headers, len(entry.body), status, headers)
            if effect is HeadEffect.STALE:
                self.store.pop(url)
            elif effect is HeadEffect.UPDATE:
                self._keep(url, request, entry.status, merged(entry.headers, headers), entry.body)
        return Got(status, forwarded(headers), body, asked)


def origin(said: Said, request: Headers, asked: list[Headers], now: float) -> tuple[int, Headers, bytes]:
    """An origin that says what it is told, and 304 where the request has the validators of that."""
    asked.append(request)
    headers = fields(*said.lines)
    if first(headers, b"date") is None:
        headers = [*headers, (b"date", format_date(now))]
    tag, wanted = parse_etag(first(headers, b"etag")), parse_etag(first(request, b"if-none-match"))
    since = first(request, b"if-modified-since")
    dated = since is not None and since == first(headers, b"last-modified")
    same = wanted == tag if wanted is not None else dated
    return (304, headers, b"") if same and said.status == 200 else (said.status, headers, said.body)


def at(offset: float) -> str:
    return format_date(START + offset).decode()


LM = f"Last-Modified: {at(-10000)}"


@pytest.mark.parametrize(
    ("what", "first_lines", "second_request", "after", "kind"),
    [
        ("max-age", ["Cache-Control: max-age=3600"], [], 3, "cached"),
        ("max-age 0", ["Cache-Control: max-age=0"], [], 3, "not_cached"),
        ("max-age stale", ["Cache-Control: max-age=2"], [], 3, "not_cached"),
        ("max-age and age", ["Cache-Control: max-age=3600", "Age: 7200"], [], 0, "not_cached"),
        ("an old date", ["Cache-Control: max-age=60", f"Date: {at(-100)}"], [], 0, "not_cached"),
        ("expires", [f"Expires: {at(60)}"], [], 3, "cached"),
        ("expires past", [f"Expires: {at(-60)}"], [], 0, "not_cached"),
        ("expires odd", ["Expires: 0"], [], 0, "not_cached"),
        ("s-maxage over max-age", ["Cache-Control: s-maxage=1, max-age=3600"], [], 3, "not_cached"),
        ("two max-ages", ["Cache-Control: max-age=1800", "Cache-Control: max-age=1"], [], 3, "cached"),
        ("no lifetime", [LM], [], 0, "lm_validated"),
        ("no-store", ["Cache-Control: max-age=60, no-store"], [], 0, "not_cached"),
        ("private", ["Cache-Control: max-age=60, private"], [], 0, "not_cached"),
        ("no-cache", ["Cache-Control: max-age=60, no-cache", 'ETag: "a"'], [], 0, "etag_validated"),
        ("must-revalidate", ["Cache-Control: max-age=2, must-revalidate", 'ETag: "a"'], [], 3, "etag_validated"),
        ("stale-while-revalidate", ["Cache-Control: max-age=2, stale-while-revalidate=9"], [], 5, "cached"),
        ("targeted", ["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], [], 5, "cached"),
        ("targeted unreadable", ["CDN-Cache-Control: max-age=60, &", "Cache-Control: no-store"], [], 0, "not_cached"),
        ("cookie", ["Cache-Control: max-age=60", "Set-Cookie: a=b"], [], 0, "not_cached"),
        ("cookie in request", ["Cache-Control: max-age=60"], ["Cookie: a=b"], 0, "cached"),
        ("request max-age=0", ["Cache-Control: max-age=60"], ["Cache-Control: max-age=0"], 3, "not_cached"),
        ("request no-cache", ["Cache-Control: max-age=60", LM], ["Cache-Control: no-cache"], 0, "lm_validated"),
        ("request pragma", ["Cache-Control: max-age=60"], ["Pragma: no-cache"], 0, "not_cached"),
        ("request max-stale", ["Cache-Control: max-age=1"], ["Cache-Control: max-stale=1000"], 3, "cached"),
        ("request max-stale, aged", ["Cache-Control: max-age=1500", "Age: 2000"], ["Cache-Control: max-stale=1000"], 0,
         "cached"),
        ("request min-fresh", ["Cache-Control: max-age=60"], ["Cache-Control: min-fresh=99"], 0, "not_cached"),
        ("vary on all", ["Cache-Control: max-age=60", "Vary: *, foo"], [], 0, "not_cached"),
        ("etag unquoted", ["Cache-Control: max-age=1", "ETag: abc"], [], 3, "etag_validated"),
    ],
)  # fmt: skip
def test_reuse(what: str, first_lines: list[str], second_request: list[str], after: float, kind: str) -> None:
    tier, said = Tier(), Said(first_lines)
    assert tier.ask(said).kind == "not_cached"
    tier.now = after
    assert tier.ask(said, *second_request).kind == kind, what


def test_age_is_made_and_the_date_is_left() -> None:
    tier, said = Tier(), Said(["Cache-Control: max-age=600", "Age: 30", f"Date: {at(0)}"])
    tier.ask(said)
    tier.now = 3
    got = tier.ask(said)
    assert (got.kind, got.says("age"), got.says("date")) == ("cached", "33", at(0))


def test_variants_live_beside_each_other() -> None:
    tier, lines = Tier(), ["Cache-Control: max-age=60", "Vary: Foo"]
    tier.ask(Said(lines, body=b"1"), "Foo: 1")
    assert tier.ask(Said(lines, body=b"2"), "Foo: 2").kind == "not_cached"
    assert tier.ask(Said(lines), "Foo: 1").body == b"1"
    assert tier.ask(Said(lines), "Foo:  2", "Other: x").body == b"2"
    assert tier.ask(Said(lines)).kind == "not_cached"


@pytest.mark.parametrize("validator", ['ETag: "a"', LM])
def test_a_304_updates_what_is_stored(validator: str) -> None:
    tier = Tier()
    tier.ask(Said(["Cache-Control: max-age=1", validator, "X: a", "Y: y", "Content-Type: text/plain"]))
    tier.now = 3
    got = tier.ask(Said(["Cache-Control: max-age=3600", validator, "X: b", "Content-Type: text/html"]))
    assert (got.status, got.says("x"), got.says("y")) == (200, "b", "y")
    tier.now = 6
    got = tier.ask(Said())
    assert (got.kind, got.says("x"), got.says("content-type"), got.says("age")) == ("cached", "b", "text/html", "3")
    assert got.body == b"0123456789"


def test_what_has_changed_takes_the_place() -> None:
    tier = Tier()
    tier.ask(Said(["Cache-Control: max-age=1", 'ETag: "a"']))
    tier.now = 3
    got = tier.ask(Said(["Cache-Control: max-age=60", 'ETag: "b"'], body=b"new"))
    assert (got.kind, got.body) == ("etag_validated", b"new")
    assert tier.ask(Said()).body == b"new"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_stale_if_error(status: int) -> None:
    tier = Tier()
    tier.ask(Said(["Cache-Control: max-age=1, stale-if-error=60"]))
    tier.now = 3
    assert tier.ask(Said(status=status)).status == 200
    tier.now = 62
    assert tier.ask(Said(status=status)).status == status


def test_must_revalidate_is_never_stale_on_error() -> None:
    tier = Tier()
    tier.ask(Said(["Cache-Control: max-age=1, stale-if-error=60, must-revalidate"]))
    tier.now = 3
    assert tier.ask(Said(status=503)).status == 503


def test_stale_while_revalidate_asks_behind() -> None:
    tier = Tier()
    tier.ask(Said(["Cache-Control: max-age=1, stale-while-revalidate=60"]))
    tier.now = 3
    assert tier.ask(Said()).kind == "cached"
    assert tier.behind == [URL]


def test_only_if_cached() -> None:
    tier = Tier()
    assert tier.ask(Said(), "Cache-Control: only-if-cached").status == 504
    tier.ask(Said(["Cache-Control: max-age=1"]))
    assert tier.ask(Said(), "Cache-Control: only-if-cached").status == 200
    tier.now = 3
    assert tier.ask(Said(), "Cache-Control: only-if-cached").status == 504


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"M-SEARCH"])
def test_unsafe_methods_invalidate(method: bytes) -> None:
    tier, said, other = Tier(), Said(["Cache-Control: max-age=60"]), "http://a.example/y"
    for url in (URL, other):
        tier.ask(said, url=url)
    tier.ask(Said(["Location: /y"], status=500), method=method)
    assert tier.ask(said).kind == "cached"
    tier.ask(Said(["Location: /y"], status=201), method=method)
    assert tier.ask(said).kind == "not_cached"
    assert tier.ask(said, url=other).kind == "not_cached"


def test_a_head_updates_or_ends_what_is_stored() -> None:
    tier, stored = Tier(), ["Cache-Control: max-age=2", 'ETag: "a"', "A: 1"]
    tier.ask(Said(stored))
    tier.now = 3
    tier.ask(Said(["Cache-Control: max-age=1000", 'ETag: "a"', "A: 2", "Content-Length: 10"]), method=b"HEAD")
    got = tier.ask(Said())
    assert (got.kind, got.says("a"), got.says("age")) == ("cached", "2", "0")
    tier.ask(Said(['ETag: "a"', "Content-Length: 11"]), method=b"HEAD")
    assert tier.ask(Said(stored)).kind == "not_cached"


def test_ranges_come_from_what_is_whole() -> None:
    tier, said = Tier(), Said(["Cache-Control: max-age=60", 'ETag: "a"'])
    assert tier.ask(said, "Range: bytes=0-1").body == b"01"
    for value, body in [("bytes=1-", b"123456789"), ("bytes=-1", b"9")]:
        got = tier.ask(said, f"Range: {value}", 'If-Range: "a"')
        assert (got.kind, got.status, got.body) == ("cached", 206, body)
    assert tier.ask(said, "Range: bytes=0-1", 'If-Range: "b"').status == 200
    assert tier.ask(said, "Range: bytes=10-").status == 416


def test_conditions_of_clients_are_answered_here() -> None:
    tier, said = Tier(), Said(["Cache-Control: max-age=60", 'ETag: "a"', LM, "Content-Type: a/b"])
    got = tier.ask(said, 'If-None-Match: "a"')
    assert (got.status, got.kind) == (304, "not_cached")
    got = tier.ask(said, 'If-None-Match: "x", W/"a"')
    assert (got.status, got.kind, got.says("content-type"), got.says("age")) == (304, "cached", None, "0")
    assert tier.ask(said, f"If-Modified-Since: {at(-9999)}").status == 304
    assert tier.ask(said, f"If-Modified-Since: {at(-10001)}").status == 200


def test_fields_of_the_hop_and_withheld_ones_are_not_stored() -> None:
    lines = ['Cache-Control: max-age=60, no-cache="a", private="b"', "Connection: c, vary", "Vary: x", "A: 1", "B: 1",
             "C: 1", "Keep-Alive: x", "D: 1"]  # fmt: skip
    tier = Tier()
    tier.ask(Said(lines))
    got = tier.ask(Said())
    assert got.kind == "cached"
    assert [name for name, _ in got.headers] == [b"cache-control", b"vary", b"d", b"date", b"age"]
    assert content_length(got.headers) is None
