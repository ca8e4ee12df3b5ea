"""Basic and Digest as a client says them.  The invariant: any fields give challenges that are whole, or none."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_auth import MAX_CHALLENGES, MAX_PARAMETERS, Authentication, Challenge, challenges
from tierkit.errors import LocalProtocolError

#: As a Wowza 4.7.0 was recorded to say it.
RECORDED = (
    b'Digest realm="Wowza", domain="/", nonce="MTQ5OTM1MDM2MzQ1MjpkNDFkOGNkOThmMDBiMjA0ZTk4MDA5OThlY2Y4NDI3ZQ==", '
    b'algorithm=MD5, qop="auth"'
)
#: RFC 7616 section 3.9.1.
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"


def said(*values: bytes) -> Headers:
    return [(b"www-authenticate", each) for each in values]


def of_rfc7616(algorithm: str) -> bytes:
    text = f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
    return (text + f'nonce="{NONCE}", opaque="{OPAQUE}"').encode()


def answer(
    *values: bytes,
    user: str = "Mufasa",
    password: str = "Circle of Life",
    target: str = "/dir/index.html",
    times: int = 1,
) -> dict[str, str]:
    """The parameters of the answer to a challenge, the last of `times`."""
    authentication = Authentication(user, password)
    assert authentication.challenged(said(*values), None)
    for _ in range(times):
        found = authentication.authorization("GET", target, CNONCE)
    assert found is not None
    scheme, _, rest = found.decode().partition(" ")
    quoted = {name: value.replace('\\"', '"') for name, value in re.findall(r'([a-z*]+)="((?:[^"\\]|\\.)*)"', rest)}
    return {"": scheme, **dict(re.findall(r"([a-z*]+)=([^\",]+)(?:,|$)", rest)), **quoted}


# --- challenges ----------------------------------------------------------------------------------


def test_the_recorded_challenge() -> None:
    (found,) = challenges(said(RECORDED))
    assert (found.scheme, found.realm, found.algorithm, found.stale) == ("digest", "Wowza", "md5", False)
    assert found.nonce.endswith("N2U==") or found.nonce.endswith("==")
    assert found.parameters["qop"] == "auth"
    assert found.parameters["domain"] == "/"


@pytest.mark.parametrize("fields", [1, 2])
def test_several_challenges_in_one_field_or_in_several(fields: int) -> None:
    first, second = b'Newauth realm="apps, \\"1\\"", type=1, title="Login", =odd', b'Basic realm="simple"'
    # RFC 9110 section 11.6.1, and a member that is nobody's: it spoils the challenge that it stands in.
    values = (first + b", , " + second,) if fields == 1 else (first, second)
    assert challenges(said(*values)) == (Challenge("basic", {"realm": "simple"}),)
    good = first.removesuffix(b", =odd")
    values = (good + b", " + second,) if fields == 1 else (good, second)
    assert challenges(said(*values)) == (
        Challenge("newauth", {"realm": 'apps, "1"', "type": "1", "title": "Login"}),
        Challenge("basic", {"realm": "simple"}),
    )


def test_schemes_without_parameters_and_with_a_token68() -> None:
    found = challenges(said(b"Negotiate", b"NTLM TlRMTVNTUAAC==, Basic"))
    assert [each.scheme for each in found] == ["negotiate", "ntlm", "basic"]


@pytest.mark.parametrize(
    "value",
    [
        b'Digest realm="a", realm="b", nonce="n"',
        b'Digest realm="a", nonce="n", opaque="\x01"',
        b'Digest realm="a", nonce="n',
        b'Digest realm="a" nonce="n"',
        b"Digest " + b", ".join(b'p%d="x"' % i for i in range(MAX_PARAMETERS + 1)),
        b'realm="a", nonce="n"',
        b'"Digest", realm="a"',
        b"",
    ],
)
def test_a_malformed_challenge_is_none(value: bytes) -> None:
    assert challenges(said(value)) == ()


def test_only_so_many_are_read() -> None:
    assert len(challenges(said(b", ".join([b'Basic realm="x"'] * 40)))) == MAX_CHALLENGES


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_bytes_give_whole_challenges(values: list[bytes]) -> None:
    for found in challenges(said(*values)):
        assert found.scheme == found.scheme.lower()
        assert len(found.parameters) <= MAX_PARAMETERS
        assert not any(re.search(r"[\x00-\x1f\x7f]", each) for each in found.parameters.values())
    authentication = Authentication("u", "p")
    if authentication.challenged(said(*values), None):
        line = authentication.authorization("GET", "/", "00")
        assert line is not None
        assert not re.search(rb"[\x00-\x1f\x7f]", line)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40))
def test_what_is_quoted_is_read_again_as_it_was(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').encode("latin-1")
    assert [each.realm for each in challenges(said(b'Basic realm="' + quoted + b'"'))] == [text]


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_digests_of_rfc_7616(algorithm: str, response: str) -> None:
    assert answer(of_rfc7616(algorithm)) == {
        "": "Digest",
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": NONCE,
        "nc": "00000001",
        "cnonce": CNONCE,
        "qop": "auth",
        "response": response,
        "opaque": OPAQUE,
    }


def test_the_digest_of_rfc_2617() -> None:
    authentication = Authentication("Mufasa", "Circle Of Life")
    value = b'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert authentication.challenged(said(value), None)
    found = authentication.authorization("GET", "/dir/index.html", "0a4f113b") or b""
    assert b'response="6629fae49393a05397450978507c4ef1"' in found
    assert b"algorithm" not in found


def test_without_qop_it_is_the_digest_of_rfc_2069() -> None:
    """The RFC's erratum 749 has the response."""
    value = b'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c"'
    found = answer(value, password="CircleOfLife")
    assert found["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert {"qop", "nc", "cnonce"}.isdisjoint(found)


def test_sessions_hash_the_nonces_in() -> None:
    # h=$(printf %s "Mufasa:http-auth@example.org:Circle of Life" | md5sum), then of h:nonce:cnonce, then as ever.
    plain, session = (answer(of_rfc7616(each))["response"] for each in ("MD5", "MD5-sess"))
    assert (plain, session) == ("8ca523f5e9506fed4657c9700eebdbec", "e783283f46242139c486a698fec7211d")


@pytest.mark.parametrize(
    ("user", "password", "line"),
    [
        ("Aladdin", "open sesame", b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("test", "123£", b"Basic dGVzdDoxMjPCow=="),
    ],
)
def test_the_basics_of_rfc_7617(user: str, password: str, line: bytes) -> None:
    authentication = Authentication(user, password)
    assert authentication.authorization("GET", "/", "0") is None
    assert authentication.challenged(said(b'Basic realm="foo", charset="UTF-8"'), None)
    assert authentication.authorization("GET", "/", "0") == line


def test_the_strongest_way_in_is_taken_and_of_two_alike_the_first() -> None:
    assert answer(b'Basic realm="x"', of_rfc7616("MD5"), of_rfc7616("SHA-256"))["algorithm"] == "SHA-256"
    assert answer(b'Basic realm="x"', of_rfc7616("MD5"))["algorithm"] == "MD5"
    assert answer(b'Digest realm="a", nonce="1"', b'Digest realm="b", nonce="2"')["realm"] == "a"


@pytest.mark.parametrize(
    "value",
    [
        b'Digest realm="x", nonce="n", qop="auth-int"',
        b'Digest realm="x", nonce="n", algorithm=SHA-512-256',
        b'Digest realm="x"',
        b"Negotiate",
        b"",
    ],
)
def test_what_cannot_be_answered(value: bytes) -> None:
    assert not Authentication("u", "p").challenged(said(value), None)
    assert answer(value, b'Basic realm="y"')[""] == "Basic"


def test_each_use_of_a_nonce_is_counted() -> None:
    first, third = answer(of_rfc7616("MD5")), answer(of_rfc7616("MD5"), times=3)
    assert (first["nc"], third["nc"]) == ("00000001", "00000003")
    assert first["response"] != third["response"]


def test_names_that_are_not_ascii_and_quotes() -> None:
    found = answer(RECORDED, user='Jäsøn "x"')
    assert found["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20%22x%22"
    assert "username" not in found
    assert answer(RECORDED, user='a"b')["username"] == 'a"b'


# --- a second 401 --------------------------------------------------------------------------------

RENEWED = RECORDED.replace(b"MTQ5", b"MTQ6")


def told(value: bytes, authentication: Authentication | None = None) -> tuple[Authentication, bytes | None]:
    """Somebody who was challenged once, and what he says to that."""
    authentication = authentication or Authentication("u", "p")
    assert authentication.challenged(said(value), None)
    return authentication, authentication.authorization("GET", "/", "00")


def test_a_second_refusal_is_about_the_credentials() -> None:
    for value in (RECORDED, b'Basic realm="x"'):
        authentication, line = told(value)
        assert not authentication.challenged(said(value), line)
        assert not authentication.challenged(said(value.replace(b"MTQ5", b"MTQ6")), line)


def test_but_not_where_the_nonce_is_stale() -> None:
    authentication, line = told(RECORDED)
    assert authentication.challenged(said(RENEWED + b", stale=TRUE"), line)
    found = authentication.authorization("GET", "/", "00") or b""
    assert b"nc=00000001" in found
    assert b"MTQ6" in found


def test_nor_where_it_was_good_until_now() -> None:
    """A server that has restarted knows no nonce of before, and may not say stale."""
    authentication, line = told(RECORDED)
    authentication.accepted()
    assert authentication.challenged(said(RENEWED), line)
    line = authentication.authorization("GET", "/", "00")
    assert not authentication.challenged(said(RENEWED), line)


def test_nor_where_another_request_has_answered_a_challenge_since() -> None:
    """Two that begin together are both challenged, and the second says nothing wrong."""
    authentication, line = told(RECORDED)
    authentication, second = told(RENEWED, authentication)
    assert authentication.challenged(said(RECORDED), line)
    assert b"MTQ6" in (authentication.authorization("GET", "/", "00") or b"")
    assert not authentication.challenged(said(RECORDED), second)


def test_nor_where_the_way_in_has_changed() -> None:
    authentication, line = told(b'Basic realm="x"')
    authentication.accepted()
    assert not authentication.challenged(said(b'Basic realm="x"'), line)
    assert authentication.challenged(said(RECORDED), line)
    assert authentication.scheme == "digest"


@pytest.mark.parametrize(("user", "password"), [("a:b", "c"), ("a", "c\r\nX: y"), ("a\x00", "c")])
def test_credentials_that_no_field_can_carry(user: str, password: str) -> None:
    with pytest.raises(LocalProtocolError):
        Authentication(user, password)


def test_nothing_shows_the_password() -> None:
    authentication = Authentication("u", "s3cret")
    authentication.challenged(said(b'Basic realm="x"'), None)
    assert "s3cret" not in repr(authentication)
    assert "s3cret" not in repr(authentication.challenge)
