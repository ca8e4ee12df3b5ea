"""Harnesses of what the HTTP edge reads: heads, bodies, fields, queries, playlists, manifests, tokens.

For all of them: any bytes give values, or the one error that the codec documents, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierkit.codecs import cmcd, dash, hls_query, http_conditional, http_fields, http_lifetime, http_range, http_vary
from tierkit.codecs.cache_status import CacheStatus, appended
from tierkit.codecs.hls_read import LARGEST, LONGEST_SEGMENT, read_playlist
from tierkit.codecs.hls_rewrite import QueryTemplate, children, inherit_query, rewrite
from tierkit.codecs.hls_uris import resolve
from tierkit.codecs.http1 import (
    ChunkedDecoder,
    find_head_end,
    screen_request,
    screen_response,
    screen_start,
)
from tierkit.codecs.http_structured import display, read_dictionary
from tierkit.codecs.path_rule import PathRule, path_problem
from tierkit.codecs.proxy import MAX_HEADER, parse_proxy
from tierkit.codecs.query import QueryRule, values
from tierkit.codecs.secure_link import SecretLink, SecureLink
from tierkit.codecs.signed_url import inherited, verify, without_token
from tierkit.codecs.signing import SigningKey, Unsigned
from tierkit.codecs.wowza_token import SecureToken, content_path, resign
from tierkit.codecs.wowza_token_name import read_name, write_name
from tierkit.errors import LocalProtocolError, RemoteProtocolError

from .outcome import SHORT, lines, pieces, refused

__all__ = ["HARNESSES"]

NOW = 1_700_000_000.0


def of_http1(data: bytes) -> None:
    """A head is found and screened alike however it is cut, and none that is good is refused for its beginning."""
    whole = _judged([data])
    if len(data) <= SHORT:
        assert _judged(list(pieces(data, 1))) == whole
    begins = not refused(lambda: screen_start(data))
    assert begins or not isinstance(whole, bytes)
    refused(lambda: screen_response(data))
    assert _decoded(data, 1) == _decoded(data, max(len(data), 1))


def _judged(parts: Sequence[bytes]) -> object:
    buffer = bytearray()
    try:
        for part in parts:
            looked = len(buffer)
            buffer += part
            if end := find_head_end(buffer, looked):
                screen_request(bytes(buffer[:end]))
                return bytes(buffer[:end])
    except RemoteProtocolError:
        return "refused"  # in other words, where another fault is met first
    return None


def _decoded(data: bytes, step: int) -> object:
    decoder, found = ChunkedDecoder(), b""
    try:
        for piece in pieces(data, step):
            if decoder.finished:
                break
            found += decoder.receive(piece)
    except RemoteProtocolError:
        return "refused"
    return found, decoder.finished


def of_http_fields(data: bytes) -> None:
    """What caches decide by: every field is read, and each number that comes of it is one."""
    headers = lines(data)
    for name, value in headers:
        assert all(http_fields.members(headers, name)) or name == b"set-cookie"
        seconds = http_fields.delta_seconds(value)
        assert seconds is None or 0 <= seconds <= http_fields.MAX_DELTA
        http_fields.parse_date(value, NOW)
        http_conditional.parse_etag(value)
    assert isinstance(http_fields.directives(headers), dict)
    assert http_lifetime.age_value(headers) >= 0
    assert http_lifetime.initial_age(headers, NOW) >= 0
    names = http_vary.vary_names(headers)
    assert names is None or list(names) == sorted(set(names))
    http_conditional.evaluate(headers, 200, headers, now=NOW)


def of_http_range(data: bytes) -> None:
    """Spans lie within the object, in order and apart; a Content-Range says what can be."""
    length = int.from_bytes(data[:3], "big")
    for known in (length, None):
        try:
            spans = http_range.parse_ranges(data[3:], known)
        except ValueError:
            continue
        assert len(spans) <= http_range.MAX_RANGES
        before = 0
        for span in spans:
            start, end = tuple(span)
            assert start >= before
            assert end is None or start < end <= (length if known is not None else end)
            before = end or start
    found = http_range.parse_content_range([(b"content-range", data[3:])])
    assert found is None or (found.start < found.end and (found.length is None or found.end <= found.length))
    http_range.if_range_holds(data[3:], lines(data[3:]), NOW)


def of_http_structured(data: bytes) -> None:
    """A dictionary's members can be written, and are read again as what they were."""
    found = read_dictionary([(b"x", line) for line in data.split(b"\n")], b"x")
    for name, value in (found or {}).items():
        if value is None:
            continue  # a type that is read over
        again = read_dictionary([(b"x", name.encode() + b"=" + display(value))], b"x")
        assert again is not None
        assert repr(again[name]) == repr(value)
    assert appended([(b"cache-status", data)], CacheStatus(cache="tierkit", hit=True))


def of_hls_read(data: bytes) -> None:
    """Facts within their bounds; what is rewritten with nothing changed stays as it is."""
    for playlist in (data, b"#EXTM3U\n" + data):
        try:
            facts = read_playlist(playlist)
        except RemoteProtocolError:
            continue
        assert facts.media_sequence <= LARGEST
        assert facts.edge >= (facts.media_sequence, 0)
        assert all(0 <= each.duration <= LONGEST_SEGMENT for each in (*facts.segments, *facts.parts))
        hls_query.longest_hold(facts)


def of_hls_rewrite(data: bytes) -> None:
    """Every URI is found once; written back as it was, the playlist is the same, and so by either way."""
    playlist = b"#EXTM3U\n" + data
    try:
        found = children(playlist)
    except RemoteProtocolError:
        return
    assert rewrite(playlist, lambda child: child.uri) == rewrite(playlist, lambda child: child.uri)
    given: list[str] = []
    rewrite(playlist, lambda child: given.append(child.uri) or child.uri)
    assert tuple(given) == tuple(child.uri for child in found)
    for child in found:
        resolve("/live/s/index.m3u8", child.uri, hosts=("h",))
    slow = inherit_query(playlist, "/live/s/index.m3u8", [("t", "1")])
    fast = QueryTemplate.of(playlist, "/live/s/index.m3u8", ["t"]).render([("t", "1")])
    assert slow == fast


def of_hls_query(data: bytes) -> None:
    """Directives are refused as 400, or have one spelling."""
    query = data.decode("latin-1")
    hint: object = 400
    try:
        found, rest = hls_query.split_query(query)
    except RemoteProtocolError as error:
        found, rest, hint = hls_query.Directives(), "", error.hint
    assert hint == 400
    assert hls_query.split_query(found.render()) == (found, "")
    assert hls_query.split_query(found.join(rest)) == (found, rest)


def of_dash(data: bytes) -> None:
    """Facts, or the one error; times that a cache can count with."""
    for manifest in (data, b'<MPD type="dynamic" ' + data):
        try:
            facts = dash.read_mpd(manifest)
        except RemoteProtocolError:
            continue
        assert 0 <= dash.fresh_for(facts) <= dash.LONGEST_FRESH
        assert not dash.is_older(facts, facts)
    seconds = dash.duration(data.decode("latin-1"))
    assert seconds is None or 0 <= seconds <= dash.LONGEST


def of_proxy(data: bytes) -> None:
    """A header, "more", or a refusal, which more bytes do not change."""
    try:
        found = parse_proxy(data)
    except RemoteProtocolError:
        assert refused(lambda: parse_proxy(data + b"\r\n"))
        return
    if found is None:
        assert len(data) < MAX_HEADER
    else:
        assert 0 < found[1] <= len(data)
        assert parse_proxy(data + b"x") == found


def of_cmcd(data: bytes) -> None:
    """Facts of a viewer: numbers that are none are none, and what a viewer wants next is a path or nothing."""
    text = data.decode("utf-8", "replace")
    for found in (
        cmcd.from_query(text),
        cmcd.from_query(f"CMCD={text}"),
        cmcd.from_fields([(b"cmcd-request", data)]),
        cmcd.from_fields(lines(data)),
    ):
        if found is not None:
            path = found.next_path("/live/s/1.ts")
            assert path == "" or path.startswith("/")
            assert all(each is None or each >= 0 for each in (found.bl, found.dl, found.br, found.tb, found.mtp))


def of_query(data: bytes) -> None:
    """What makes a key is a part of the query; making it of a key changes nothing."""
    for rule in (
        QueryRule(["token", "utm_*"]),
        QueryRule(["*"]),
        QueryRule(["*a*b*"], drop=["c"], forward=True),
        QueryRule([], sort=True),
    ):
        kept = rule.kept(data)
        assert len(kept) <= len(data)
        assert rule.kept(kept) == kept
        rule.canonical(b"/p?" + data)
        refused(lambda rule=rule: rule.split(data))  # type: ignore[misc]
    assert set(values(data.decode("latin-1"), ["a", "b"])) <= {"a", "b"}


def of_path_rule(data: bytes) -> None:
    """A pattern is told to be wrong, or works on any path in a time that its length bounds."""
    pattern, _, rest = data[:300].decode("utf-8", "replace").partition("\n")
    replacement, _, path = rest.partition("\n")
    if not path_problem(pattern, replacement):
        rule = PathRule([(pattern, replacement)])
        rule.canonical("/live/s/x.ts")
        rule.canonical("/" + path)


def of_signed_url(data: bytes) -> None:
    """Nothing is good that we have not signed, and nothing is raised but why."""
    key = SigningKey("k1", b"secret one")
    text = data.decode("utf-8", "surrogateescape")
    token, path = without_token(text)
    for each in (token, text):
        try:
            grant = verify(each, path or "/", {"k1": key}, NOW)
        except Unsigned:
            continue
        # A fuzzer does not forge HMAC-SHA256: what is good was signed by the tests that seeded the corpus.
        assert grant.covers(path)
        inherited(each, grant, path)


def of_secure_link(data: bytes) -> None:
    """The same of nginx's secure links."""
    value, _, rest = data.decode("utf-8", "surrogateescape").partition("\n")
    expires, _, path = rest.partition("\n")
    for link in (SecureLink("secret"), SecureLink("s", "$uri $secret", ends=False)):
        try:
            link.verify(value, expires, path, NOW)
        except Unsigned:
            continue
        raise AssertionError("forged")
    try:
        SecretLink("secret").verify(path)
    except Unsigned:
        pass


def of_wowza_token(data: bytes) -> None:
    """The same of SecureToken; what an origin is asked for has one good token, whatever stood there; names are read."""
    path, _, query = data.decode("utf-8", "surrogateescape").partition("\n")
    for token in (SecureToken("secret"), SecureToken("secret", "t", "sha512", bound=True)):
        try:
            content = content_path(path)
            token.verify(content, query, NOW, "192.0.2.7")
        except Unsigned:
            continue
        # Only the tests that seeded the corpus know the secret.
        assert token.verify(content, resign(path, query, token, NOW, address="192.0.2.7"), NOW, "192.0.2.7").end
    plain, found = read_name(path)
    if found:
        try:
            assert read_name(write_name(plain, found)) == (plain, found)
        except LocalProtocolError:
            pass  # there was a second one behind it


HARNESSES = {
    "http1": of_http1,
    "http_fields": of_http_fields,
    "http_range": of_http_range,
    "http_structured": of_http_structured,
    "hls_read": of_hls_read,
    "hls_rewrite": of_hls_rewrite,
    "hls_query": of_hls_query,
    "dash": of_dash,
    "proxy": of_proxy,
    "cmcd": of_cmcd,
    "query": of_query,
    "path_rule": of_path_rule,
    "signed_url": of_signed_url,
    "secure_link": of_secure_link,
    "wowza_token": of_wowza_token,
}
