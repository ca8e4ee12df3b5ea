"""Signed URLs: what is good for what, until when, for whom, and what is handed on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.signed_url import (
    Grant,
    SecretLink,
    SecureLink,
    SigningKey,
    Unsigned,
    family,
    inherited,
    sign,
    verify,
    with_token,
    without_token,
)
from tierkit.codecs.signing import check_path, plain_address
from tierkit.errors import LocalProtocolError

KEY = SigningKey("k1", b"secret one")
KEYS = {"k1": KEY, "k2": SigningKey("k2", b"secret two")}
PLAYLIST = "/live/s/playlist.m3u8"
NOW = 1_764_000_000


def good(token: str, path: str, now: float = NOW, **more: object) -> bool:
    try:
        verify(token, path, KEYS, now, **more)  # type: ignore[arg-type]
    except Unsigned:
        return False
    return True


def test_a_token_of_known_parts() -> None:
    text = f"v1\n/live/s/\n{NOW + 60}\nk1\n".encode()
    mac = base64.urlsafe_b64encode(hmac.new(b"secret one", text, hashlib.sha256).digest()).decode().rstrip("=")
    token = sign(PLAYLIST, KEY, NOW + 60)
    assert token == f"{NOW + 60}.k1.2.{mac}"
    assert good(token, PLAYLIST)


@pytest.mark.parametrize(
    ("path", "depth", "other", "result"),
    [
        (PLAYLIST, None, "/live/s/media_1.ts", True),
        (PLAYLIST, None, "/live/s/deep/media_1.ts", True),
        (PLAYLIST, None, "/live/s/media_1.ts?a=b", True),
        (PLAYLIST, None, "/live/other/media_1.ts", False),
        (PLAYLIST, None, "/live/s2/media_1.ts", False),
        (PLAYLIST, None, "/live/%73/media_1.ts", False),
        (PLAYLIST, None, "/live/media_1.ts", False),
        (PLAYLIST, None, "/live/s", False),
        (PLAYLIST, 1, "/live/other/media_1.ts", True),
        (PLAYLIST, 1, "/vod/other/media_1.ts", False),
        (PLAYLIST, 0, "/anything", True),
    ],
)
def test_what_it_is_good_for(path: str, depth: int | None, other: str, result: bool) -> None:
    assert good(sign(path, KEY, NOW + 60, depth=depth), other) is result


def test_until_when() -> None:
    token = sign(PLAYLIST, KEY, NOW)
    assert good(token, PLAYLIST, NOW)
    assert not good(token, PLAYLIST, NOW + 1)
    assert good(token, PLAYLIST, NOW + 1, slack=5)
    with pytest.raises(Unsigned, match=r"it ended 3 s ago\Z"):
        verify(token, PLAYLIST, KEYS, NOW + 3)
    assert not good(sign(PLAYLIST, KEY, NOW + 20 * 365 * 86400), PLAYLIST)


def test_for_whom() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60, address="192.0.2.1")
    assert good(token, PLAYLIST, address="192.0.2.1")
    assert not good(token, PLAYLIST, address="192.0.2.2")
    assert good(sign(PLAYLIST, KEY, NOW + 60), PLAYLIST, address="192.0.2.2")
    # Dropping the mark does not drop the binding.
    assert not good(token.replace(".2a.", ".2."), PLAYLIST, address="192.0.2.1")


def test_keys_can_be_changed() -> None:
    assert good(sign(PLAYLIST, KEYS["k2"], NOW + 60), PLAYLIST)
    assert not good(sign(PLAYLIST, SigningKey("k3", b"x"), NOW + 60), PLAYLIST)
    assert not good(sign(PLAYLIST, SigningKey("k1", b"x"), NOW + 60), PLAYLIST)
    assert "hunter2" not in repr(SigningKey("k", b"hunter2")) + repr(SecureLink("hunter2"))


@pytest.mark.parametrize(
    ("path", "options"), [("live/s", {}), ("/a/b", {"depth": 5}), ("/a/b", {"depth": -1}), ("/a/b", {"expires": 0})]
)
def test_what_cannot_be_signed(path: str, options: dict[str, int]) -> None:
    with pytest.raises(LocalProtocolError):
        sign(path, KEY, options.pop("expires", NOW), **options)  # type: ignore[arg-type]


@given(st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_breaks_it(place: int, change: int) -> None:
    token = sign(PLAYLIST, KEY, NOW + 60)
    place %= len(token)
    changed = token[:place] + chr(ord(token[place]) ^ change) + token[place + 1 :]
    # The last character of 43 carries four bits, of which base64 looks at all by its text, so none is free.
    assert not good(changed, PLAYLIST)


@given(st.text(max_size=80), st.text(max_size=20))
def test_any_token_is_refused_in_order(token: str, path: str) -> None:
    with pytest.raises(Unsigned):
        verify(token, "/" + path, KEYS, NOW)


SEGMENTS = st.text("abz%_-.~;=é ", max_size=5).map("x".__add__)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


@given(PATHS, st.data(), st.booleans(), st.sampled_from(["", "192.0.2.1", "2001:db8::1"]))
def test_what_is_signed_is_good(path: str, data: st.DataObject, later: bool, address: str) -> None:
    depth = data.draw(st.integers(0, path.count("/") - 1))
    start = NOW - 5 if later else None
    token = sign(path, KEY, NOW + 60, depth=depth, address=address, start=start)
    assert len(token) <= 107
    grant = verify(token, path, KEYS, NOW, address=address)
    assert grant.covers(path)
    assert (grant.expires, grant.start, grant.key, grant.bound) == (NOW + 60, start, "k1", bool(address))
    assert inherited(token, grant, path + "/below") == token


@given(PATHS, PATHS, st.integers(0, 3))
def test_a_token_is_good_for_what_its_grant_covers(path: str, other: str, depth: int) -> None:
    token = sign(path, KEY, NOW + 60, depth=min(depth, path.count("/") - 1))
    grant = verify(token, path, KEYS, NOW)
    assert good(token, other) is grant.covers(other)


def test_not_before() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60, start=NOW)
    assert token.startswith(f"{NOW}-{NOW + 60}.k1.2.")
    with pytest.raises(Unsigned, match=r"it begins in 3 s: is a clock off\?\Z"):
        verify(token, PLAYLIST, KEYS, NOW - 3)
    assert good(token, PLAYLIST, NOW - 3, slack=3)
    # Neither taking the start away nor another one makes it good.
    assert not good(token.partition("-")[2], PLAYLIST, NOW)
    assert not good(f"{NOW - 9}-{token.partition('-')[2]}", PLAYLIST, NOW)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "there is no token"),
        ("x" * 129, "too long"),
        ("x", "malformed"),
        (f"0{NOW}.k1.2." + "A" * 43, "malformed"),
        (f"{NOW}.k1.02." + "A" * 43, "malformed"),
        (f"{NOW}.k9.2." + "A" * 43, "the token's key 'k9' is not known here"),
        (f"{NOW}.k1.9." + "A" * 43, "is for 9 segments of a path"),
        (f"{NOW}.k1.99." + "A" * 43, "segments of a path"),
        (f"{NOW}.k1.2." + "A" * 43, "the signature is not that of this path"),
        (f"{NOW}.k1.2a." + "A" * 43, "the token is for one address"),
        (f"{NOW + 400_000_000}.k1.2." + "A" * 43, "too far in the future"),
    ],
)
def test_reasons_are_for_people_and_tell_no_secrets(token: str, reason: str) -> None:
    with pytest.raises(Unsigned) as caught:
        verify(token, PLAYLIST, KEYS, NOW)
    told = str(caught.value)
    assert reason in told
    assert "\n" not in told
    assert "secret" not in told
    assert "A" * 43 not in told


@pytest.mark.parametrize(
    "path",
    [
        "/live/s/../other/x.ts",
        "/live/s/%2e%2E/other/x.ts",
        "/live/s/..%2Fother/x.ts",
        "/live/s/x%2f..%2f..%2fother/x.ts",
        "/live/s/..;v=1/other/x.ts",
        "/live/s/%2e.%3B/other/x.ts",
        "/live/s/..%5Cother/x.ts",
        "/live/s/./x.ts",
        "/live/s/..",
        "/live/s/x%0A.ts",
        "/live/s/x%00.ts",
    ],
)
def test_a_path_that_may_lead_elsewhere_is_never_good(path: str) -> None:
    everything = sign(PLAYLIST, KEY, NOW + 60, depth=0)
    with pytest.raises(Unsigned, match="dot segments"):
        verify(everything, path, KEYS, NOW)
    assert not verify(everything, PLAYLIST, KEYS, NOW).covers(path)
    with pytest.raises(LocalProtocolError, match="cannot be signed"):
        sign(path, KEY, NOW + 60)


def test_dots_that_lead_nowhere_are_names() -> None:
    for path in ("/a/..b/c..", "/a/.../x", "/.well-known/x", "/a/%252e%252e/x", "/a/x;..", "/a;../x"):
        check_path(path)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_an_address_has_one_spelling(text: str, plain: str) -> None:
    assert plain_address(text) == plain
    token = sign(PLAYLIST, KEY, NOW + 60, address=text)
    assert good(token, PLAYLIST, address=plain)


def test_a_bound_token_needs_an_address() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60)
    # An unbound one with the mark put in would else have the signature of an empty address.
    assert not good(token.replace(".2.", ".2a."), PLAYLIST, address="")


def test_an_empty_secret_signs_nothing() -> None:
    empty = SigningKey("k1", b"")
    with pytest.raises(LocalProtocolError):
        sign(PLAYLIST, empty, NOW + 60)
    signature = sign(PLAYLIST, SigningKey("k1", b"\0"), NOW + 60)  # HMAC pads with zeros: the same as b""
    with pytest.raises(Unsigned, match="not known"):
        verify(signature, PLAYLIST, {"k1": empty}, NOW)


def test_a_playlist_hands_its_token_on() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60)
    grant = verify(token, PLAYLIST, KEYS, NOW)
    assert grant == Grant(prefix="/live/s/", expires=NOW + 60, key="k1")
    assert inherited(token, grant, "/live/s/deep/1.ts?x=1") == token
    assert inherited(token, grant, "/keys/1.key") == ""
    other = inherited(token, grant, "/keys/s/1.key?x=1", key=KEY)
    assert verify(other, "/keys/s/2.key", KEYS, NOW) == Grant(prefix="/keys/s/", expires=NOW + 60, key="k1")
    assert not good(other, PLAYLIST)
    assert inherited(token, grant, "/live/s/../x", key=KEY) == ""
    assert inherited(token, grant, "elsewhere", key=KEY) == ""


def test_what_is_signed_anew_is_for_the_same_viewer_and_as_long() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60, address="192.0.2.1", start=NOW)
    grant = verify(token, PLAYLIST, KEYS, NOW, address="192.0.2.1")
    other = inherited(token, grant, "/keys/1.key", key=KEYS["k2"], address="192.0.2.1")
    again = verify(other, "/keys/1.key", KEYS, NOW, address="192.0.2.1")
    assert again == Grant(prefix="/keys/", expires=NOW + 60, start=NOW, key="k2", bound=True)
    assert not good(other, "/keys/1.key", address="192.0.2.2")
    assert inherited(token, grant, "/keys/1.key", key=KEY) == ""


@pytest.mark.parametrize("child", ["/live/keys.bin", "/ad.ts?x=1", "/live/all.m3u8"])
def test_what_lies_around_the_prefix_is_signed_for_alone(child: str) -> None:
    token = sign(PLAYLIST, KEY, NOW + 60)
    grant = verify(token, PLAYLIST, KEYS, NOW)
    own = inherited(token, grant, child, key=KEY)
    assert good(own, child)
    folder = child.partition("?")[0].rpartition("/")[0]
    for other in (
        "/live/other/1.ts",
        "/1.ts",
        f"{folder}/x.ts",
        f"{child.partition('?')[0]}/x.ts",
        PLAYLIST,
        folder + "/",
    ):
        assert not good(own, other)
    # What a playlist there lists beside itself is signed for alone as well.
    narrow = verify(own, child, KEYS, NOW)
    beside = inherited(own, narrow, f"{folder}/beside.ts", key=KEY)
    assert good(beside, f"{folder}/beside.ts")
    assert not good(beside, f"{folder}/more.ts")


def test_a_token_for_one_path_has_one_spelling() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60, alone=True)
    assert good(token, PLAYLIST)
    assert not good(token, "/live/s/1.ts")
    assert not good(token.replace(".2f.", ".2."), PLAYLIST)
    assert not any(good(token.replace(".2f.", f".{depth}f."), PLAYLIST) for depth in (0, 1, 3))
    assert not good(sign(PLAYLIST, KEY, NOW + 60).replace(".2.", ".2f."), PLAYLIST)
    assert good(sign(PLAYLIST, KEY, NOW + 60, alone=True, address="::1"), PLAYLIST, address="::1")
    for depth, path in ((1, PLAYLIST), (None, "/live/s/")):
        with pytest.raises(LocalProtocolError):
            sign(path, KEY, NOW + 60, depth=depth, alone=True)


def test_a_token_in_the_path_is_inherited_by_relative_uris() -> None:
    token = sign(PLAYLIST, KEY, NOW + 60)
    path = with_token(PLAYLIST + "?x=1", token)
    assert path == f"/token={token}/live/s/playlist.m3u8?x=1"
    assert without_token(path) == (token, PLAYLIST + "?x=1")
    assert good(*without_token(path.rpartition("/")[0] + "/media_1.ts"))
    assert without_token(PLAYLIST) == ("", PLAYLIST)
    assert without_token("/token=x") == ("", "/token=x")
    assert without_token("/token=a/token=b/c") == ("a", "/token=b/c")
    assert without_token("/x?/token=a/b") == ("", "/x?/token=a/b")


def test_recipes_are_values() -> None:
    for recipe in (KEY, SecureLink("hunter2"), SecretLink("hunter2")):
        assert pickle.loads(pickle.dumps(recipe)) == recipe
        assert hash(recipe) == hash(pickle.loads(pickle.dumps(recipe)))
        assert "hunter2" not in repr(recipe)
        assert "secret one" not in repr(recipe)


def test_tokens_that_are_inherited_are_of_one_family() -> None:
    keys = {KEY.id: KEY}
    token = sign("/live/s/p.m3u8", KEY, 2_000, start=1_000, address="192.0.2.1")
    grant = verify(token, "/live/s/p.m3u8", keys, 1_500, address="192.0.2.1")
    other = inherited(token, grant, "/audio/a.ts", key=KEY, address="192.0.2.1")
    assert other not in ("", token)
    assert family(token.encode()) == family(other.encode()) == f"1000-2000.{KEY.id}".encode()
    assert family(sign("/live/s/p.m3u8", KEY, 2_001).encode()) == f"2001.{KEY.id}".encode()
    for odd in (b"", b"x", token.encode()[:-1], token.encode() + b"x", b"a" * 200):
        assert family(odd) is None
