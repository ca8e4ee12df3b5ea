"""Where servers send their clients."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.rtmp_elsewhere import moved, redirect_in
from tierkit.errors import RemoteProtocolError

URL, TC = "rtmp://a.example:1935/live/inst/s?k=v", "rtmp://a.example:1935/live/inst"


@pytest.mark.parametrize(
    ("info", "found"),
    [
        ({"ex": {"code": 302.0, "redirect": "rtmp://b/live"}}, "rtmp://b/live"),
        ({"ex": {"code": 302.0, "redirect": 3.0}}, ""),
        ({"ex": {"code": 403.0, "redirect": "rtmp://b/live"}}, ""),
        ({"ex": "302"}, ""),
        ({}, ""),
    ],
)
def test_a_refusal_may_point_elsewhere(info: dict[str, Any], found: str) -> None:
    assert redirect_in(info) == found


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("", URL),
        ("rtmp://b.example/live", "rtmp://b.example/live/s?k=v"),
        ("rtmps://b.example:443/other/", "rtmps://b.example:443/other/s?k=v"),
        ("rtmp://b.example/live?token=x", "rtmp://b.example/live/s?k=v"),
        ("//192.0.2.8/live", "rtmp://192.0.2.8/live/s?k=v"),
        ("/other/app", "rtmp://a.example:1935/other/app/s?k=v"),
        ("inst2", "rtmp://a.example:1935/live/inst2/s?k=v"),
        ("'rtmp://[::1]:1/live'", "rtmp://[::1]:1/live/s?k=v"),
    ],
)
def test_the_name_goes_along(reference: str, target: str) -> None:
    assert moved(URL, TC, reference) == target
    assert moved(URL, TC + "?authmod=adobe", reference) == target


def test_a_tc_url_of_its_own_keeps_the_last_segment() -> None:
    assert moved("rtmp://a/live/s", "rtmp://public.example/live", "rtmp://b/live") == "rtmp://b/live/s"


@pytest.mark.parametrize(
    "reference",
    [
        "http://b.example/live", "rtmp://b.example", "rtmp:///live", "rtmp://u:p@b.example/live", "rtmp://b:x/live",
        "rtmp://b/../live", "rtmp://b/l ive", "rtmp://b/live\x00", "rtmp://b:0/live", "rtmp://[::1/live", "x" * 3000,
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_refused(reference: str) -> None:
    with pytest.raises(RemoteProtocolError, match="points to"):
        moved(URL, TC, reference)


@given(st.text(), st.text(), st.text())
def test_any_reference_leads_to_rtmp_or_is_refused(url: str, tc_url: str, reference: str) -> None:
    try:
        found = moved(url, tc_url, reference)
    except RemoteProtocolError:
        return
    assert found == url or found.startswith(("rtmp://", "rtmps://"))


@pytest.mark.parametrize("host", [".", "..", "...:1935"])
def test_a_host_of_dots_is_none(host: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no application"):
        moved("rtmp://h/live/s", "rtmp://h/live", f"rtmp://{host}/live")
