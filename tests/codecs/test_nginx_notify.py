"""Calls as nginx-rtmp sends them: to the byte, but for what is done otherwise on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import nginx_notify as notify

GOLDEN = Path(__file__).parent.parent / "data" / "nginx_rtmp" / "callbacks.jsonl"
CALLS = [json.loads(line)[2] for line in GOLDEN.read_text().splitlines()]
#: The clients' own queries, as they stand at the end of calls.
QUERIES = ("key=s%20e&x=1+2", "tok=1", "k=%41")


def session_of(told: dict[str, str]) -> notify.Fields:
    names = ("flashver", "swfurl", "tcurl", "pageurl", "addr")
    return notify.session(told["app"], **{name: told[name] for name in names}, clientid=int(told["clientid"]))


def call_of(told: dict[str, str]) -> notify.Fields:
    call, name = told["call"], told.get("name", "")
    if call == "publish":
        return notify.publish(name, told["type"])
    if call == "play":
        return notify.play(name, **{each: int(told[each]) for each in ("start", "duration", "reset")})
    if call.startswith("update_"):
        return notify.update(call[7:], name, seconds=int(told["time"]), timestamp=int(told["timestamp"]))
    return notify.done(call, name)


@pytest.mark.parametrize("golden", CALLS)
def test_a_call_is_nginxs_to_the_byte(golden: str) -> None:
    told = dict(parse_qsl(golden, keep_blank_values=True))
    query = next((each for each in QUERIES if golden.endswith(f"&{each}")), "")
    if told["call"] == "connect":  # nginx leaves the number of the connection out of this one alone
        fields = session_of({**told, "clientid": "0"}) | notify.connect(int(told["epoch"]))
        del fields["clientid"]
        assert notify.form(fields, query) == golden
    elif told["call"] == "disconnect":  # nginx tells the application twice
        assert notify.form(session_of(told) | call_of(told), query) == golden.removesuffix("&app=live")
    else:
        assert notify.form(session_of(told) | call_of(told), query) == golden


def test_every_kind_of_call_was_recorded() -> None:
    kinds = {dict(parse_qsl(each))["call"] for each in CALLS}
    assert kinds == {
        *("connect", "disconnect", "publish", "publish_done", "play", "play_done", "done"),
        *("update_publish", "update_play"),
    }


@pytest.mark.parametrize(
    "query", ["name=hall", "NAME=hall", "%6eame=hall", "+name=hall", "name[]=hall", "name%00x=hall", "call=x&type=y"]
)
def test_a_client_cannot_say_what_is_ours_to_say(query: str) -> None:
    form = notify.form(notify.publish("secret", "live"), f"a=1&{query}&b=2")
    assert form == "call=publish&name=secret&type=live&a=1&b=2"


@given(name=st.text(max_size=40), query=st.text(max_size=80))
def test_whatever_a_client_says_a_form_comes_of_it(name: str, query: str) -> None:
    form = notify.form(notify.publish(name, "live"), query)
    form.encode("ascii")
    assert not set(form) & set(" \r\n#\0")
    told = parse_qsl(form, keep_blank_values=True, errors="replace")
    assert [each for each in told if each[0] in ("call", "name", "type")] == [
        ("call", "publish"),
        ("name", name.encode("utf-8", "replace").decode()),
        ("type", "live"),
    ]


@pytest.mark.parametrize(
    ("status", "location", "expected"),
    [
        (200, "ignored", notify.Answer(True)),
        (204, "", notify.Answer(True)),
        (302, "other", notify.Answer(True, "other")),
        (301, "/other?k=1", notify.Answer(True, "other", "k=1")),
        (302, "", notify.Answer(True)),
        (302, "rtmp://u:p@other.example/live/s", notify.Answer(False, elsewhere=True)),
        (302, "http://backend.example/other", notify.Answer(False, elsewhere=True)),
        (302, "other?next=http://x", notify.Answer(True, "other", "next=http://x")),
        (403, "other", notify.Answer(False)),
        (500, "", notify.Answer(False)),
        (100, "", notify.Answer(False)),
    ],
)
def test_answers(status: int, location: str, expected: notify.Answer) -> None:
    assert notify.read_answer(status, location) == expected


@given(status=st.integers(0, 999), location=st.text(max_size=60))
def test_any_answer_has_a_meaning(status: int, location: str) -> None:
    answer = notify.read_answer(status, location)
    assert answer.allowed <= (200 <= status < 400)
