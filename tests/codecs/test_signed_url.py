"""Signed URLs: what is good for what, until when, and nginx's own form."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.signed_url import SecureLink, SigningKey, Unsigned, sign, verify
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


# --- nginx ---------------------------------------------------------------------------------------


def test_the_example_of_nginxs_documentation() -> None:
    # ngx_http_secure_link_module: echo -n '2147483647/s/link127.0.0.1 secret' | openssl md5 -binary | openssl base64
    link = SecureLink("secret")
    assert link.sign("/s/link", 2147483647, "127.0.0.1") == "_e4Nc3iduzkWRm01TBBNYw"
    link.verify("_e4Nc3iduzkWRm01TBBNYw", "2147483647", "/s/link", 2147483640, "127.0.0.1")


@pytest.mark.parametrize(
    ("value", "expires", "path", "address"),
    [
        ("_e4Nc3iduzkWRm01TBBNYw", "2147483647", "/s/other", "127.0.0.1"),
        ("_e4Nc3iduzkWRm01TBBNYw", "2147483647", "/s/link", "127.0.0.2"),
        ("_e4Nc3iduzkWRm01TBBNYw", "2147483646", "/s/link", "127.0.0.1"),
        ("_e4Nc3iduzkWRm01TBBNYx", "2147483647", "/s/link", "127.0.0.1"),
        ("é", "2147483647", "/s/link", "127.0.0.1"),
        ("", "2147483647", "/s/link", "127.0.0.1"),
        ("_e4Nc3iduzkWRm01TBBNYw", "+2147483647", "/s/link", "127.0.0.1"),
        ("_e4Nc3iduzkWRm01TBBNYw", "1", "/s/link", "127.0.0.1"),
    ],
)
def test_what_nginx_would_refuse(value: str, expires: str, path: str, address: str) -> None:
    with pytest.raises(Unsigned):
        SecureLink("secret").verify(value, expires, path, 2147483640, address)


def test_an_expression_of_ones_own() -> None:
    link = SecureLink("s", "$secret$uri$secure_link_expires")
    link.verify(link.sign("/a%20b", NOW), str(NOW), "/a%20b", NOW)
    text = f"s/a b{NOW}".encode()
    assert link.sign("/a%20b", NOW) == base64.urlsafe_b64encode(hashlib.md5(text).digest()).decode().rstrip("=")
