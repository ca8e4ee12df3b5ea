"""Lines of an access log: exactly readable, whatever was asked, and without what is secret."""

from __future__ import annotations

import json
import re

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.access_line import COMBINED, Entry, combined_line, hide_values, json_line, request_id_in

ENTRY = Entry(
    at=1384108201.25,
    seconds=0.0125,
    tier="edge-a1",
    site="dc-a",
    address="192.0.2.0",
    scheme="https",
    method="GET",
    target="/live/a.m3u8?token=***",
    version="HTTP/1.1",
    status=200,
    bytes_out=1542,
    referer="https://parliament.example/live",
    agent="Mozilla/5.0 (X11; Linux)",
    cache="HIT",
    request_id="0123456789abcdef",
    sample=100,
)
#: The expression that Apache's documentation and every log analyser have for it: up to the agent and no further.
APACHE = re.compile(rb'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(\S+) (\S+) (\S+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"')
TEXTS = st.text(max_size=60)


def test_combined() -> None:
    assert combined_line(ENTRY) == (
        b'192.0.2.0 - - [10/Nov/2013:18:30:01 +0000] "GET /live/a.m3u8?token=*** HTTP/1.1" 200 1542 '
        b'"https://parliament.example/live" "Mozilla/5.0 (X11; Linux)" 0.013 HIT 0123456789abcdef edge-a1\n'
    )


def test_json() -> None:
    assert json.loads(json_line(ENTRY)) == {
        "time": "2013-11-10T18:30:01.250Z",
        "tier": "edge-a1",
        "site": "dc-a",
        "address": "192.0.2.0",
        "scheme": "https",
        "method": "GET",
        "target": "/live/a.m3u8?token=***",
        "version": "HTTP/1.1",
        "status": 200,
        "bytes_out": 1542,
        "seconds": 0.0125,
        "referer": "https://parliament.example/live",
        "agent": "Mozilla/5.0 (X11; Linux)",
        "cache": "HIT",
        "request_id": "0123456789abcdef",
        "sample": 100,
    }


def test_a_session_of_rtmp_has_the_shape_of_a_request() -> None:
    played = evolve(ENTRY, method="PLAY", target="/live/a", version="RTMP", cache="", referer="", agent="")
    found = COMBINED.fullmatch(combined_line(played).decode().rstrip("\n"))
    assert found is not None
    assert found["method"], found["version"] == ("PLAY", "RTMP")
    assert (found["cache"], found["referer"], found["agent"]) == ("-", "-", "-")


@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_whatever_is_said_a_line_is_one_line_and_is_read_as_it_was_written(
    method: str, target: str, referer: str, agent: str, address: str
) -> None:
    said = evolve(ENTRY, method=method, target=target, referer=referer, agent=agent, address=address)
    line = combined_line(said)
    assert line.count(b"\n") == 1
    assert line.isascii()
    found = COMBINED.fullmatch(line.decode().rstrip("\n"))
    assert found is not None, line
    assert found["agent"] == _spelt(agent)
    assert found["tier"] == "edge-a1"
    apache = APACHE.match(line)
    assert apache is not None
    assert apache.group(11).decode() == found["agent"]
    assert json_line(said).count(b"\n") == 1
    assert json.loads(json_line(said)).get("agent", "") == agent


def _spelt(text: str) -> str:
    spelt = "".join(
        each if each in " !" or ("#" <= each <= "~" and each != "\\") else "".join(f"\\x{b:02X}" for b in each.encode())
        for each in text
    )
    return spelt or "-"


def test_no_text_is_longer_than_its_bound() -> None:
    long = evolve(ENTRY, target="/" + "a" * 100_000, agent="\x00" * 100_000)
    assert len(combined_line(long)) < 12_000
    assert len(json_line(long)) < 16_000


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/live/a.m3u8", "/live/a.m3u8"),
        ("/live/a.m3u8?", "/live/a.m3u8?"),
        ("/live/a.m3u8?token=abc", "/live/a.m3u8?token=***"),
        ("/a?_HLS_msn=12&_HLS_part=3&t=abc&e=1", "/a?_HLS_msn=12&_HLS_part=3&t=***&e=***"),
        ("/a?bare-token", "/a?***"),
        ("/a?t=a=b?c", "/a?t=***"),
        ("/a?x_HLS_msn=secret", "/a?x_HLS_msn=***"),
        ("/a?_HLS_msn", "/a?***"),
        ("/a?=secret", "/a?=***"),
        ("/a?a=1&&b=2", "/a?a=***&&b=***"),
        ("https://user.example/?session=1", "https://user.example/?session=***"),
    ],
)
def test_values_are_hidden(target: str, shown: str) -> None:
    assert hide_values(target) == shown


@given(st.text(st.sampled_from("ab=&?_HLSmsn-")), st.text("s3cr", min_size=3))
def test_no_value_is_told(before: str, secret: str) -> None:
    query = before.replace("s", "") + "&token=" + secret
    assert secret not in hide_values("/live?" + query)


@pytest.mark.parametrize("good", [b"0123456789abcdef", b"7d44-8ec2.Aa_b", b"x" * 64, b"a" * 8])
def test_an_id_is_taken(good: bytes) -> None:
    assert request_id_in(good) == good.decode()


@pytest.mark.parametrize(
    "bad", [None, b"", b"short", b"x" * 65, b"with space", b'quote"quote', b"a\nb" * 4, b"\xff" * 8]
)
def test_what_is_none_is_not(bad: bytes | None) -> None:
    assert request_id_in(bad) == ""


def test_a_stranger_writes_no_line_of_his_own() -> None:
    odd = 'x" 200 1 "-" "-"\n192.0.2.1 - - [now] "GET /forged HTTP/1.1" 200 1 "-" "\\'
    line = combined_line(evolve(ENTRY, agent=odd, referer=odd)).decode()
    assert line.count("\n") == 1
    assert line.count('"') == 6
    assert COMBINED.fullmatch(line.rstrip("\n")) is not None
