"""Addresses and listeners: spellings both ways, and what must never be shown."""

from __future__ import annotations

import pickle
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Address, AddressError, Certificate, Listener

SPELLINGS = [
    ("edge.example:8080", Address(host="edge.example", port=8080)),
    ("edge.example", Address(host="edge.example")),
    (":8080", Address(port=8080)),
    (":0", Address(port=0)),
    ("[::1]:1935", Address(host="::1", port=1935)),
    ("[::1]", Address(host="::1")),
    ("[fe80::1%eth0]:80", Address(host="fe80::1%eth0", port=80)),
    ("http://origin.example", Address(scheme="http", host="origin.example")),
    ("http://origin.example/live/a.m3u8?x=1&y=2", Address("http", "origin.example", None, "/live/a.m3u8", "x=1&y=2")),
    ("http://origin.example?x=/y", Address(scheme="http", host="origin.example", query="x=/y")),
    ("rtmps://[2001:db8::7]:443/app", Address("rtmps", "2001:db8::7", 443, "/app")),
    ("rtmp://:1935", Address(scheme="rtmp", port=1935)),
    ("https://", None),
    ("rtmp://user:secret@h:1935/app", Address("rtmp", "h", 1935, "/app", "", "user", "secret")),
    ("rtmp://user@h/app", Address("rtmp", "h", None, "/app", "", "user")),
    ("rtmp://u%40x:p%2Fw%3A@h", Address(scheme="rtmp", host="h", username="u@x", password="p/w:")),
    ("unix:/run/edge.sock", Address(unix="/run/edge.sock")),
    ("http+unix:/run/edge.sock", Address(scheme="http", unix="/run/edge.sock")),
]


@pytest.mark.parametrize(("text", "address"), [each for each in SPELLINGS if each[1]])
def test_spellings_both_ways(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert address.reveal() == text
    assert pickle.loads(pickle.dumps(address)) == address


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("*:80", ":80"),
        ("HTTP://h:80", "http://h:80"),
        ("unix:///run/edge.sock", "unix:/run/edge.sock"),
        ("http+unix:///run/edge.sock", "http+unix:/run/edge.sock"),
        ("http://h?", "http://h"),
        ("rtmp://u:@h", "rtmp://u@h"),
    ],
)
def test_other_spellings_of_the_same(text: str, same: str) -> None:
    assert Address.parse(text).reveal() == same


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "an address is missing: write HOST:PORT, :PORT or SCHEME://HOST:PORT"),
        (":", "address ':' has an odd port: write a number from 0 to 65535"),
        ("host:", "address 'host:' has an odd port: write a number from 0 to 65535"),
        (":65536", "address ':65536' has an odd port: write a number from 0 to 65535"),
        (":+80", "address ':+80' has an odd port: write a number from 0 to 65535"),
        (":\u0668", "address ':\u0668' has an odd port: write a number from 0 to 65535"),
        ("8080", "address '8080' is a port alone: write :8080"),
        ("::1:80", "address '::1:80' has several colons: write an IPv6 host in brackets, [::1]:PORT"),
        ("::1", "address '::1' has several colons: write an IPv6 host in brackets, [::1]:PORT"),
        ("[::1", "address '[::1' has an odd IPv6 host: write [::1]:PORT"),
        ("[::1]80", "address '[::1]80' has an odd IPv6 host: write [::1]:PORT"),
        ("[::::]:80", "address '[::::]:80' has an odd IPv6 host: write [::1]:PORT"),
        ("[1.2.3.4]:80", "address '[1.2.3.4]:80' has an odd IPv6 host: write [::1]:PORT"),
        ("ho st:80", "address 'ho st:80' has a space, '#' or control character: leave it out or write %XX"),
        ("http://h/\r\nX: y", "has a space, '#' or control character"),
        ("http://h/a#b", "has a space, '#' or control character"),
        ("ho&st:80", "address 'ho&st:80' has an odd host name: write HOST:PORT"),
        ("ht tp://h", "has a space"),
        ("1http://h", "address '1http://h' has an odd scheme: write for instance http://HOST:PORT"),
        ("http://", "address 'http://' ends after its scheme: write http://HOST:PORT"),
        ("http:/host", "address 'http:/host' has an odd port: write a number from 0 to 65535"),
        ("unix:relative", "address 'unix:relative' is no path of a socket: write unix:/PATH"),
        ("http+unix://relative/x", "address 'http+unix://relative/x' is no path of a socket: write unix:/PATH"),
    ],
)
def test_bad_spellings_say_what_to_write(text: str, line: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


hosts = st.one_of(
    st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
paths = st.from_regex(r"(/[!$-.0-9:;=@A-Z_a-z~]{0,8}){0,4}", fullmatch=True)
addresses = st.builds(
    Address,
    scheme=st.sampled_from(["http", "https", "rtmp", "rtmps", "srt"]),
    host=hosts,
    port=st.none() | st.integers(0, 65535),
    path=paths,
    query=st.from_regex(r"[!$-.0-9:;=?@A-Z_a-z~/]{0,20}", fullmatch=True),
    username=st.text(max_size=10),
    password=st.text(max_size=10),
)


@given(addresses)
def test_what_is_spelled_is_read_back(address: Address) -> None:
    assert Address.parse(address.reveal()) == address


secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*"), min_size=4, max_size=20)


@given(addresses, secrets)
def test_credentials_are_never_shown(address: Address, secret: str) -> None:
    address = address.with_(username="user", password=secret, host="h.example", path="/app", query="", port=80)
    for shown in (repr(address), str(address), repr(Listener(address)), f"{address}", repr([address])):
        assert secret not in shown.replace("h.example:80/app", "").replace("https", "").replace("user", "")
        assert "***@h.example" in shown


@given(secrets, st.sampled_from(["rtmp://user:{}@h:x/app", "user:{}@h:x", "rtmp://user:{}@", "rtmp://u:{}@[::1/a"]))
def test_a_bad_address_is_told_without_its_password(secret: str, form: str) -> None:
    text = form.format(secret)
    try:
        Address.parse(text)
    except AddressError as error:
        told = "".join(traceback.format_exception_only(error))
        frame = form.replace("{}", "")
        assert secret not in told or secret in frame or any(secret in word for word in _HARMLESS), told


_HARMLESS = (
    "tierkit.errors.AddressError: address",
    "has an odd port: write a number from 0 to 65535",
    "has a space, '#' or control character: leave it out or write %XX",
    "has an odd IPv6 host: write [::1]:PORT",
    "has several colons: write an IPv6 host in brackets, [::1]:PORT",
    "has an odd host name: write HOST:PORT",
)


def test_a_password_with_marks_in_it_does_not_leak() -> None:
    # "/" and "?" end an authority, so what is behind them was shown as if it were a path.
    for text in ("rtmp://user:pa/ssword@h:1935/app", "user:secret/ssword@h:80", "rtmp://u:x?ssword@h/app"):
        with pytest.raises(AddressError) as caught:
            Address.parse(text)
        assert "ssword" not in str(caught.value)
        assert "pa/" not in str(caught.value)


def test_a_query_may_carry_a_token_and_is_not_shown() -> None:
    address = Address.parse("http://h/live/a.m3u8?wowzatokenhash=abc")
    assert str(address) == "http://h/live/a.m3u8?***"
    assert address.target == "/live/a.m3u8?wowzatokenhash=abc"


@pytest.mark.parametrize(
    ("text", "authority", "wildcard", "secure"),
    [
        (":80", ":80", True, False),
        ("0.0.0.0:80", "0.0.0.0:80", True, False),
        ("[::]:80", "[::]:80", True, False),
        ("https://[::1]:443", "[::1]:443", False, True),
        ("rtmps://h", "h", False, True),
        ("unix:/run/x", "unix:/run/x", False, False),
    ],
)
def test_properties(text: str, authority: str, wildcard: bool, secure: bool) -> None:
    address = Address.parse(text)
    assert (address.authority, address.wildcard, address.secure) == (authority, wildcard, secure)


def test_dial_port() -> None:
    ports = [Address.parse(f"{scheme}://h").dial_port for scheme in ("http", "https", "rtmp", "rtmps")]
    assert ports == [80, 443, 1935, 443]
    assert Address.parse("srt://h:9999").dial_port == 9999
    with pytest.raises(AddressError, match=r"address srt://h has no port: write HOST:PORT"):
        Address.parse("srt://h").dial_port  # noqa: B018


@pytest.mark.parametrize(
    ("listener", "problems"),
    [
        (Listener("http://:80"), []),
        (Listener(":443", Certificate("c.pem")), []),
        (Listener("https://:443", certificates=Certificate("c.pem", "k.pem", names="a.example")), []),
        (
            Listener("https://:443"),
            [
                (
                    "listener https://:443 needs a certificate: "
                    "give Listener(address, certificates=Certificate(cert, key)) or --cert FILE --key FILE"
                )
            ],
        ),
        (
            Listener("rtmp://:443", Certificate("c.pem")),
            ["listener rtmp://:443 has a certificate but no TLS: write rtmps://:443"],
        ),
        (
            Listener("http://h:80/live?x"),
            ["listener http://h:80/live?*** has a path, query or user: write only SCHEME://HOST:PORT"],
        ),
        (
            Listener(":80", proxy_from=("10.0.0.0/8", "unix", "10.0.0.1/8", "lan")),
            ["listener :80: proxy_from 'lan' is no network: write for instance 10.0.0.0/8"],
        ),
    ],
)
def test_listeners_by_themselves(listener: Listener, problems: list[str]) -> None:
    assert listener.problems() == problems
    assert Listener.parse(listener) is listener
    assert hash(pickle.loads(pickle.dumps(listener))) == hash(listener)
