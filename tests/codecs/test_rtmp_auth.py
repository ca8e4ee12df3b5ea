"""Who we are, to an RTMP server: by the formulas of ffmpeg and librtmp, computed apart from ours by md5sum."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.rtmp_auth import Challenge, challenge_in, respond, secure_token, token_asked_for
from tierkit.errors import RemoteProtocolError

NONCE = bytes.fromhex("4f1c02aa")
FIRST = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
SECOND = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=source1&salt=xyz&challenge=abc"


def answer(description: str, app: str = "live") -> str:
    challenge = challenge_in(description)
    assert challenge is not None
    return respond(challenge, "source1", "s3cret", app, NONCE)


def test_adobe_asks_who_it_is_and_then_for_a_response() -> None:
    assert answer(FIRST) == "authmod=adobe&user=source1"
    # h=$(printf %s source1xyzs3cret | openssl md5 -binary | base64)
    # printf %s "${h}abc4f1c02aa" | openssl md5 -binary | base64
    without = "authmod=adobe&user=source1&challenge=4f1c02aa&response=25QcBzzElY8fYLsnO1CJdA=="
    assert answer(SECOND) == without
    opaque = "authmod=adobe&user=source1&challenge=4f1c02aa&response=cpTmMO1/kZXb+pGLtuH4Ew==&opaque=vgoAAA=="
    assert answer(SECOND + "&opaque=vgoAAA==") == opaque
    assert answer(SECOND + "&opaque=vgoAAA== ]") == opaque


@pytest.mark.parametrize("prefix", ["authmod=adobe ?", "authmod=adobe :?", "[ authmod=adobe ] : ?"])
def test_what_stands_before_the_question_varies(prefix: str) -> None:
    said = prefix + "reason=needauth&user=source1&salt=xyz&challenge=abc"
    assert answer(said) == answer(SECOND)


def test_limelight_is_a_digest() -> None:
    said = "[ authmod=llnw ] : ?reason=needauth&user=source1&nonce=n0nce"
    head = "authmod=llnw&user=source1&nonce=n0nce&cnonce=4f1c02aa&nc=00000001&response="
    assert answer("code=403 need auth; authmod=llnw") == "authmod=llnw&user=source1"
    # h1: md5sum of source1:live:s3cret, h2: of publish:/live/_definst_, then of h1:n0nce:00000001:4f1c02aa:auth:h2
    assert answer(said) == head + "d720cf2c3c38bcdfbf0695b7a10a5973"
    assert answer(said, "live/inst") == head + "5515a69abb4b08cd998a1b6afaf91818"


@pytest.mark.parametrize(
    ("reason", "told"),
    [("authfailed", "neither this user nor"), ("nosuchuser", "no such user"), ("closed", "refuses us \\(closed\\)")],
)
def test_a_refusal_for_good_is_told_without_the_password(reason: str, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told) as caught:
        answer(f"[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason={reason}&opaque=x")
    assert "s3cret" not in str(caught.value)


def test_other_descriptions_are_no_challenge() -> None:
    for said in ("", "no such application", "authmod=adobes", "authmod=basic", "AUTHMOD=adobe"):
        assert challenge_in(said) is None
    assert challenge_in("x" * 3000 + FIRST) is None


def test_a_challenge_that_would_break_the_line_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="control character"):
        respond(Challenge("adobe", "needauth", {"opaque": "a\nb"}), "u", "p", "live", NONCE)


def test_nothing_shows_what_was_asked() -> None:
    assert "xyz" not in repr(challenge_in(SECOND))


@given(st.text(), st.text(), st.text(), st.binary(max_size=8))
def test_any_description_is_answered_or_refused(description: str, user: str, app: str, nonce: bytes) -> None:
    for said in (description, f"authmod=adobe ?reason={description}", f"authmod=llnw ?reason=needauth&{description}"):
        if (challenge := challenge_in(said)) is not None:
            try:
                assert respond(challenge, user, "p", app, nonce).startswith("authmod=")
            except RemoteProtocolError:
                pass


# --- SecureToken -------------------------------------------------------------------------------------


def encrypted(plain: bytes, secret: bytes) -> str:
    """XXTEA forwards, as its authors wrote it; ours is the way back."""
    words = list(struct.unpack(f"<{len(plain) // 4}I", plain))
    key = struct.unpack("<4I", secret[:16].ljust(16, b"\0"))
    count, total, z = len(words), 0, words[-1]
    for _ in range(6 + 52 // count):
        total = total + 0x9E3779B9 & 0xFFFFFFFF
        e = total >> 2 & 3
        for p in range(count):
            y = words[(p + 1) % count]
            mx = ((z >> 5 ^ y << 2) + (y >> 3 ^ z << 4)) ^ ((total ^ y) + (key[p & 3 ^ e] ^ z))
            z = words[p] = words[p] + mx & 0xFFFFFFFF
    return struct.pack(f"<{count}I", *words).hex()


def test_the_worked_vector() -> None:
    assert secure_token("9980e2f3f615b613871adcd3a7dc6608", "#ed%h0#w@1") == "0123456789abcdef"
    assert secure_token("9980E2F3F615B613871ADCD3A7DC6608", "#ed%h0#w@1") == "0123456789abcdef"


@given(st.binary(min_size=3, max_size=64).map(lambda b: b.hex()), st.text(max_size=20))
def test_what_was_encrypted_comes_back(plain: str, secret: str) -> None:
    padded = plain.encode().ljust(-(-len(plain) // 4) * 4, b"\0")
    assert secure_token(encrypted(padded, secret.encode()), secret) == plain


@given(st.text() | st.binary(max_size=64).map(lambda b: b.hex()), st.text())
def test_any_token_is_answered_or_refused(token: str, secret: str) -> None:
    try:
        assert isinstance(secure_token(token, secret), str)
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("token", ["", "9980e2f", "9980e2f3", "xyzxyzxy", "99" * 600, "٣" * 8])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no hexadecimal"):
        secure_token(token, "s")


def test_where_a_token_stands() -> None:
    assert token_asked_for({}, {"secureToken": "ab"}) == "ab"
    assert token_asked_for({"secureToken": 3.0}, {}) == ""
