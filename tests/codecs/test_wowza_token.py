"""SecureToken, version 2: the vectors of its vendor and of public projects, and whatever strangers make of a query."""

from __future__ import annotations

import hashlib
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tierkit.codecs.signing import Unsigned
from tierkit.codecs.wowza_token import (
    SecureToken,
    WrongHash,
    content_path,
    prefix_problem,
    resign,
    spellings,
    verify_any,
)
from tierkit.errors import LocalProtocolError

NOW = 1_764_000_000
TOKEN = SecureToken("hunter2")
CONTENT = "live/myStream"
# What the vendor's page calculates with, and the start and end of its example.
VENDOR = ("mySharedSecret", "myTokenPrefix")
START, END = 1395230400, 1500000000
PUBLIC = (
    "myTokenPrefixCustomParameter=abcdef",
    f"myTokenPrefixendtime={END}",
    f"myTokenPrefixstarttime={START}",
)
HASHES = {
    "sha256": "TgJft5hsjKyC5Rem_EoUNP7xZvxbqVPhhd0GxIcA2oo=",
    "sha384": "Mby6AqiJvBgQWA6ZyQZ_0MUTeUO0y_6tZWGfq1lziF-Hc4qfq690cQRsCxNkVtCS",
    "sha512": "MB_8yDPOLhHKQLFF5Gc02fp3Y3cspTehSPuRVFxNLKZtEtBmoFVnShEi3izvzuYsKpjMy-_UCKfVtozKeSs7FA==",
}


def hashed(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()


def reason(query: str, content: str = CONTENT, now: float = NOW, address: str = "", token: SecureToken = TOKEN) -> str:
    """Why a token is no good; "" for one that is."""
    try:
        token.verify(content, query, now, address)
    except Unsigned as error:
        return str(error)
    return ""


# --- the vectors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", HASHES)
def test_the_vendors_example(algorithm: str) -> None:
    token = SecureToken(*VENDOR, algorithm, bound=True)
    assert token.hash("vod/sample.mp4", PUBLIC, "192.168.1.2") == HASHES[algorithm]
    assert token.hash("vod/sample.mp4", reversed(PUBLIC), "192.168.1.2") == HASHES[algorithm]
    query = token.sign(
        "vod/sample.mp4", start=START, end=END, address="192.168.1.2", custom={"CustomParameter": "abcdef"}
    )
    assert query.endswith(f"&myTokenPrefixhash={HASHES[algorithm]}")
    ticket = token.verify("vod/sample.mp4", query, START, "192.168.1.2")
    assert (ticket.content, ticket.start, ticket.end, ticket.query) == ("vod/sample.mp4", START, END, query)


def test_what_is_not_ascii_is_hashed_percent_encoded() -> None:
    token, good = SecureToken("JUnitSecret", bound=True), "5_A2m7LV6pTuLN3lUPvAUN2xI8x_BDrgfXfVi_gT-GA="
    for path in ("/vod/_definst_/mp4:%C3%9Cberraschung.mp4/playlist.m3u8", "/vod/_definst_/mp4:Überraschung.mp4/a.ts"):
        content = content_path(path)
        assert content == "vod/_definst_/mp4:%C3%9Cberraschung.mp4"
        assert token.hash(content, (), "192.168.1.2") == good
    token.verify("vod/_definst_/mp4:Überraschung.mp4", f"wowzatokenhash={good}", NOW, "192.168.1.2")


@pytest.mark.parametrize(
    ("secret", "address", "order"),
    [
        ("mySecret", "192.168.1.2", "192.168.1.2&mySecret&wowzatokenendtime=1"),
        # A secret of digits sorts in front of some viewers' addresses and behind others'.
        ("2secret", "192.168.1.2", "192.168.1.2&2secret&wowzatokenendtime=1"),
        ("2secret", "81.196.30.45", "2secret&81.196.30.45&wowzatokenendtime=1"),
        ("zebra", "81.196.30.45", "81.196.30.45&wowzatokenendtime=1&zebra"),
        ("MYSECRET", "2001:db8::1", "2001:db8::1&MYSECRET&wowzatokenendtime=1"),
        ("MYSECRET", "fe80::1", "MYSECRET&fe80::1&wowzatokenendtime=1"),
    ],
)
def test_secret_and_address_sort_against_each_other(secret: str, address: str, order: str) -> None:
    assert SecureToken(secret, bound=True).hash(CONTENT, ["wowzatokenendtime=1"], address) == hashed(
        f"{CONTENT}?{order}"
    )


def test_the_sort_is_by_bytes_and_of_whole_strings() -> None:
    pairs = ["wowzatokenb=1", "wowzatokenB=1", "wowzatokena=2", "wowzatokena=10", "wowzatokena-b=0"]
    order = "hunter2&wowzatokenB=1&wowzatokena-b=0&wowzatokena=10&wowzatokena=2&wowzatokenb=1"
    assert TOKEN.hash(CONTENT, pairs) == hashed(f"{CONTENT}?{order}")


def test_an_address_has_one_spelling() -> None:
    token = SecureToken("hunter2", bound=True)
    query = token.sign(CONTENT, end=NOW, address="2001:DB8:0::1")
    assert reason(query, address="2001:db8::1", token=token) == ""
    query = token.sign(CONTENT, end=NOW, address="192.0.2.7")
    assert reason(query, address="::ffff:192.0.2.7", token=token) == ""


# --- which stream a URL is for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/live/myStream/playlist.m3u8", "live/myStream"),
        ("/live/myStream/chunklist_w1_b2.m3u8?wowzatokenhash=x", "live/myStream"),
        ("/live/_definst_/myStream/media_w1_3.ts", "live/_definst_/myStream"),
        ("/live/second/foo.stream/playlist.m3u8", "live/second/foo.stream"),
        ("/vod/_definst_/mp4:folder/sample.mp4/playlist.m3u8", "vod/_definst_/mp4:folder/sample.mp4"),
        ("/live/ngrp:ch1_all/playlist.m3u8", "live/ngrp:ch1_all"),
        ("/live/smil:x.smil/playlist.m3u8", "live/smil:x.smil"),
        ("/live/a b/x", "live/a%20b"),
        ("/live/%c3%9c/x", "live/%c3%9c"),
        ("/live/a%2Fb/x", "live/a%2Fb"),
        ("/crossdomain.xml", ""),
        ("/live/s/", "live/s"),
    ],
)
def test_the_content_path_is_that_of_the_url(path: str, content: str) -> None:
    assert content_path(path) == content


@pytest.mark.parametrize(
    "path",
    [
        "/live/s/../t/playlist.m3u8",
        "/live/s/..%2Ft%2Fplaylist.m3u8",
        "/live/s/x%2Fplaylist.m3u8",
        "/live/s/x%2fplaylist.m3u8",
        "/live/s/..;/t/playlist.m3u8",
        "/live/s\\t/x",
        "/live/s/x%00",
        "live/s/x",
        "%2Flive/s/x",
        "",
    ],
)
def test_a_path_that_may_lead_elsewhere_is_for_no_stream(path: str) -> None:
    with pytest.raises(Unsigned):
        content_path(path)


def test_what_a_stream_of_rtmp_may_be_called() -> None:
    assert spellings("/live/s") == ("live/s", "live/_definst_/s")
    assert spellings("/vod/a/Ü.mp4", "mp4") == ("vod/a/mp4:%C3%9C.mp4", "vod/_definst_/a/mp4:%C3%9C.mp4")
    assert spellings("/live") == ("live",)


# --- what is refused -------------------------------------------------------------------------------


def test_what_is_refused_and_why() -> None:
    query = TOKEN.sign(CONTENT, start=NOW, end=NOW + 60)
    assert reason(f"DVR&{query}&x=1") == ""
    assert reason("") == reason("DVR&token=x") == "there is no wowzatokenhash in the query"
    assert reason(query, "live/other") == "wowzatokenhash is not that of this stream"
    assert reason(query, "live/_definst_/myStream") == "wowzatokenhash is not that of this stream"
    assert reason(query.replace(f"={NOW + 60}", f"={NOW + 90}")) == "wowzatokenhash is not that of this stream"
    assert reason(f"{query}&wowzatokenuser=1") == "wowzatokenhash is not that of this stream"
    assert reason(query.replace("&wowzatokenstarttime=", "&x=")) == "wowzatokenhash is not that of this stream"
    assert reason(query, token=SecureToken("hunter3")) == "wowzatokenhash is not that of this stream"
    assert reason(query, token=SecureToken("hunter2", "token")) == "there is no tokenhash in the query"
    assert reason(query, token=SecureToken("hunter2", algorithm="sha512")) != ""


def test_a_clock_that_is_off_is_told_by_how_much() -> None:
    query = TOKEN.sign(CONTENT, start=NOW, end=NOW + 60)
    assert reason(query, now=NOW - 300.4) == "it begins in 300 s: is a clock off?"
    assert reason(query, now=NOW + 75) == "it ended 15 s ago"
    assert reason(query, now=NOW) == reason(query, now=NOW + 60) == ""
    TOKEN.verify(CONTENT, query, NOW - 5, slack=5)
    TOKEN.verify(CONTENT, query, NOW + 65, slack=5)
    with pytest.raises(Unsigned, match="it ended 6 s ago"):
        TOKEN.verify(CONTENT, query, NOW + 66, slack=5)
    # Who has no good token is told so, whatever its times.
    assert reason(query, "live/other", now=NOW + 75) == "wowzatokenhash is not that of this stream"


def test_for_one_address() -> None:
    token = SecureToken("hunter2", bound=True)
    query = token.sign(CONTENT, end=NOW, address="192.0.2.7")
    assert reason(query, address="192.0.2.7", token=token) == ""
    assert reason(query, address="192.0.2.8", token=token) == "wowzatokenhash is not that of this stream and address"
    assert reason(query, token=token) == "the token is for one address, and the viewer's is not known"
    assert "192.0.2.7" not in query


def test_without_an_end_it_is_good_for_ever() -> None:
    for query in (TOKEN.sign(CONTENT), TOKEN.sign(CONTENT, start=0, end=0)):
        assert reason(query, now=10**12) == ""
        assert TOKEN.verify(CONTENT, query, NOW).end is None


def test_an_end_is_one_in_either_case() -> None:
    pairs = ["wowzatokenendTime=1764000000", "wowzatokenstartTime=0"]
    query = "&".join([*pairs, f"wowzatokenHash={TOKEN.hash(CONTENT, pairs)}"])
    assert reason(query) == ""
    assert reason(query, now=NOW + 1) == "it ended 1 s ago"


@pytest.mark.parametrize("pair", ["wowzatokenendtime=9", "wowzatokenEndTime=9", "wowzatoken%65ndtime=9"])
def test_nothing_that_counts_is_given_twice(pair: str) -> None:
    pairs = [f"wowzatokenendtime={NOW}", pair]
    query = "&".join([*pairs, f"wowzatokenhash={TOKEN.hash(CONTENT, pairs)}"])
    assert reason(query) == "wowzatokenendtime is given twice"
    query = TOKEN.sign(CONTENT)
    assert reason(f"wowzatokenhash=x&{query}") == "wowzatokenhash is given twice"


@pytest.mark.parametrize("value", ["", "x", "-1", "+1", "1.5", "0x9", "1_0", "٣", "9" * 13])
def test_a_time_is_a_number_of_seconds(value: str) -> None:
    pairs = [f"wowzatokenendtime={value}"]
    query = f"{pairs[0]}&wowzatokenhash={TOKEN.hash(CONTENT, pairs)}"
    assert reason(query) in ("wowzatokenendtime is no number of seconds", "the token is malformed")


def test_the_padding_may_come_encoded_once_more() -> None:
    query = TOKEN.sign(CONTENT, end=NOW)
    assert query.endswith("=")
    assert reason(query[:-1] + "%3D") == reason(query[:-1] + "%3d") == ""
    assert reason(query[:-1]) == "wowzatokenhash is not that of this stream"


def test_a_token_is_bounded() -> None:
    assert reason("&".join(["x=1"] * 101)) == "the query has more than 100 parameters"
    long = TOKEN.sign(CONTENT, custom={"x": "1" * 2048})
    assert reason(long) == "the token is too long"
    assert reason(TOKEN.sign(CONTENT, custom={"x": "1" * 1900})) == ""


def test_nobody_lengthens_what_was_signed() -> None:
    """Whoever knows a hash by SHA-256 can hash more behind it, if he can send the padding between the two."""
    padding = "\x80" + "\0" * 40
    for raw in (padding, padding.encode().hex(), "%80%00", '"', "a b", "é"):
        assert reason(TOKEN.sign(CONTENT) + raw).startswith(("the token is malformed", "wowzatokenhash is not"))
    assert reason(f"wowzatokenx=1{padding}&wowzatokenhash=AAAA") == "the token is malformed"


def test_what_cannot_be_signed_is_our_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="shared secret"):
        SecureToken("")
    with pytest.raises(LocalProtocolError, match="one of sha256"):
        SecureToken("x", algorithm="md5")
    with pytest.raises(LocalProtocolError, match="begins no parameter"):
        SecureToken("x", "a&b=")
    with pytest.raises(LocalProtocolError, match="give the viewer's"):
        SecureToken("x", bound=True).sign(CONTENT)
    for custom in ({"x": "a b"}, {"x": "a&b"}, {"Hash": "x"}, {"x": "é"}):
        with pytest.raises(LocalProtocolError, match="a parameter of a token"):
            TOKEN.sign(CONTENT, custom=custom)
    assert prefix_problem("wowzatoken") == ""


def test_no_secret_and_no_token_is_in_a_repr_or_a_reason() -> None:
    assert "hunter2" not in repr(TOKEN)
    ticket = TOKEN.verify(CONTENT, TOKEN.sign(CONTENT, end=NOW), NOW)
    value = ticket.query.partition("hash=")[2]
    assert value not in repr(ticket)
    for why in (reason(ticket.query, now=NOW + 1), reason(ticket.query, "a/b"), reason(ticket.query + "x")):
        assert why
        assert "hunter2" not in why
        assert value not in why


def test_of_several_secrets_one_is_enough() -> None:
    old, new = SecureToken("old"), SecureToken("new")
    query = old.sign("live/_definst_/s", end=NOW)
    token, ticket = verify_any([new, old], ["live/s", "live/_definst_/s"], query, NOW)
    assert (token, ticket.content) == (old, "live/_definst_/s")
    with pytest.raises(WrongHash):
        verify_any([new], ["live/s", "live/_definst_/s"], query, NOW)
    with pytest.raises(Unsigned, match="it ended 1 s ago"):
        verify_any([old, new], ["live/_definst_/s"], query, NOW + 1)
    with pytest.raises(Unsigned, match="there is no key"):
        verify_any([], ["live/s"], query, NOW)


def test_the_same_for_another_stream() -> None:
    query = TOKEN.sign(CONTENT, start=NOW, end=NOW + 9, custom={"user": "7"})
    again = TOKEN.again(TOKEN.verify(CONTENT, query, NOW), "live/other")
    ticket = TOKEN.verify("live/other", again, NOW)
    assert (ticket.start, ticket.end, "wowzatokenuser=7" in again) == (NOW, NOW + 9, True)
    assert reason(again) == "wowzatokenhash is not that of this stream"


# --- anew, for an origin ---------------------------------------------------------------------------


def test_what_is_asked_of_an_origin_carries_a_token_of_ours() -> None:
    for path in ("/live/myStream/playlist.m3u8", "/live/myStream/media_1.ts"):
        query = resign(path, "", TOKEN, NOW)
        assert reason(query) == ""
        assert "starttime" not in query
    assert resign("/live/myStream", "", TOKEN, NOW, stream=True) == query


def test_what_was_asked_for_stays_and_a_viewers_token_does_not() -> None:
    viewers = TOKEN.sign(CONTENT, end=NOW, custom={"user": "7"})
    query = resign("/live/myStream/playlist.m3u8", f"DVR&{viewers}&_HLS_msn=3", TOKEN, NOW)
    assert query.startswith("DVR&_HLS_msn=3&wowzatokenendtime=")
    assert "user" not in query
    assert reason(query) == ""
    assert resign("/live/myStream/playlist.m3u8", query, TOKEN, NOW) == query


def test_a_url_stays_the_same_for_an_hour_and_is_good_for_one_more() -> None:
    begin = NOW - NOW % 3600
    queries = {resign("/live/myStream/x", "", TOKEN, begin + t) for t in (0, 1, 1800, 3599.5)}
    assert len(queries) == 1
    query = queries.pop()
    assert reason(query, now=begin + 7200) == ""
    assert reason(query, now=begin + 7201) == "it ended 1 s ago"
    assert resign("/live/myStream/x", "", TOKEN, begin + 3600) != query
    # An origin whose clock is behind takes it however far, and one that is ahead by an hour to the end.
    for off in (-86400, 7199):
        assert reason(query, now=begin + off) == ""


def test_an_origin_that_asks_for_an_address_is_given_ours() -> None:
    token = SecureToken("hunter2", bound=True)
    query = resign("/live/myStream/x", "", token, NOW, address="10.0.0.5")
    assert reason(query, address="10.0.0.5", token=token) == ""
    assert reason(query, address="10.0.0.6", token=token) != ""


def test_a_path_that_leads_elsewhere_is_not_signed_for() -> None:
    with pytest.raises(LocalProtocolError, match="cannot be signed"):
        resign("/live/s/../t/x", "", TOKEN, NOW)


# --- anything ---------------------------------------------------------------------------------------

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789._:-", min_size=1, max_size=12).filter(
    lambda s: s.strip(".")
)
CONTENTS = st.lists(NAMES, min_size=2, max_size=3).map("/".join)
SECRETS = st.text(min_size=1, max_size=24).filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))
TOKENS = st.builds(
    SecureToken, SECRETS, st.sampled_from(["wowzatoken", "t"]), st.sampled_from(list(HASHES)), st.booleans()
)
CUSTOM = st.dictionaries(
    st.from_regex("[g-z][a-z0-9]{0,8}", fullmatch=True).filter(lambda s: s not in ("hash", "starttime")),
    NAMES,
    max_size=3,
)


@given(TOKENS, CONTENTS, CUSTOM, st.integers(0, 600), st.integers(0, 600), st.randoms())
def test_what_is_signed_is_good_and_any_change_is_not(
    token: SecureToken, content: str, custom: dict[str, str], before: int, after: int, chance: object
) -> None:
    query = token.sign(content, start=NOW - before, end=NOW + after, address="192.0.2.7", custom=custom)
    pairs = query.split("&")
    chance.shuffle(pairs)  # type: ignore[attr-defined]
    shuffled = "&".join(pairs)
    assert reason(shuffled, content, address="192.0.2.7", token=token) == ""
    assert token.verify(content, shuffled, NOW, "192.0.2.7").query == shuffled
    at = chance.randrange(len(shuffled))  # type: ignore[attr-defined]
    other = chance.choice("abcXYZ019-_&=%")  # type: ignore[attr-defined]
    changed = shuffled[:at] + other + shuffled[at + 1 :]
    assume(changed != shuffled)
    assert reason(changed, content, address="192.0.2.7", token=token) != ""
    assert reason(shuffled, content + "x", address="192.0.2.7", token=token) != ""
    assert reason(shuffled, content, token=SecureToken(token.secret + "x", token.prefix, token.algorithm)) != ""
    assert (reason(shuffled, content, address="192.0.2.8", token=token) != "") is token.bound


@given(
    st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("utf-8", "surrogateescape")),
    st.text(max_size=40),
)
def test_anything_is_refused_and_nothing_else_is_raised(query: str, path: str) -> None:
    for text in (query, f"wowzatokenhash={query}", f"wowzatokenendtime={query}&wowzatokenhash=x"):
        assert reason(text, path) != ""
    try:
        content = content_path(path)
    except Unsigned:
        return
    assert content.isascii()


@given(CONTENTS, st.text(max_size=40).filter(lambda s: "\ud800" not in s), st.integers(0, 10**10))
def test_what_is_made_for_an_origin_is_good_there(content: str, query: str, now: int) -> None:
    made = resign(f"/{content}/x.ts", query, TOKEN, now)
    assume(made.count("&") < 100)
    assert reason(made, content, now=now) == ""
    assert resign(f"/{content}/x.ts", made, TOKEN, now) == made


def test_base64_is_that_of_urls() -> None:
    """Plain base64 of the same digest is another hash."""
    digest = hashlib.sha256(f"{CONTENT}?hunter2&wowzatokenn=4".encode()).digest()
    plain = b64encode(digest).decode()
    assert {"/", "+"} <= set(plain)
    assert reason(f"wowzatokenn=4&wowzatokenhash={plain}") != ""
    assert reason(f"wowzatokenn=4&wowzatokenhash={urlsafe_b64encode(digest).decode()}") == ""
