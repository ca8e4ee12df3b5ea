"""8086: who may ask, `connectioncounts` nested and flat, `serverinfo`, and the page for everything else."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any
from xml.etree import ElementTree

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import StandIn, open_wowza
from tierkit.testing.wowza._counts import java_urlencoded
from tierkit.testing.wowza._guard import Guard
from tierkit.testing.wowza._sessions import RtmpSession

from .http_rig import Asker, credentials


@asynccontextmanager
async def admin(**options: Any) -> AsyncIterator[tuple[StandIn, Asker]]:
    network = MemoryNetwork()
    where = {"listen": "wowza.example:1935", "admin": "wowza.example:8086", "rest": None, **options}
    async with open_wowza(network=network, **where) as wowza:
        yield wowza, Asker(network, wowza.admin_address)


def shape(element: ElementTree.Element) -> list[Any]:
    """The names of elements, nested, in order."""
    return [(each.tag, shape(each)) for each in element]


def counters_left_out(element: ElementTree.Element) -> list[Any]:
    """The same without what the file on the recording leaves out: the six counters below the root."""
    inner = [(each.tag, counters_left_out(each)) for each in element]
    if element.tag in ("VHost", "Application", "ApplicationInstance"):
        return [each for each in inner if not each[0].startswith(("ConnectionsC", "ConnectionsT", "Messages"))]
    return inner


# --- who may ask ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["digest", "basic"])
async def test_who_is_not_known_is_asked(autojump_clock: MockClock, method: Any) -> None:
    async with admin(admin_authentication=method, administrators={"ops": "p:ss wörd"}) as (_, asker):
        bare = await asker.bare("GET", "/connectioncounts")
        assert (bare.status, bare.body) == (401, b"")
        assert bare.headers["www-authenticate"].lower().startswith(f'{method} realm="wowza"')
        if method == "digest":  # the standard library's digest is for ASCII
            assert (await asker.get("/serverinfo", user="ops", password="wrong")).status == 401
        else:
            assert (await asker.get("/connectioncounts", user="ops", password="p:ss wörd")).status == 200
        assert (await asker.get("/connectioncounts", user="admin", password="admin")).status == 401
        for path in ("/serverinfo", "/connectioninfo", "/streammanager?x", "/medialist", "/connectioncountsXML"):
            assert (await asker.bare("GET", path)).status == 401


async def test_digest_lets_the_right_one_in(autojump_clock: MockClock) -> None:
    async with admin(administrators={"ops": "s3cret"}) as (_, asker):
        assert (await asker.get("/connectioncounts?flat", user="ops", password="s3cret")).status == 200
        assert (await asker.get("/connectioninfo", user="ops", password="s3cret")).status == 404


async def test_nobody_is_asked_where_it_is_open(autojump_clock: MockClock) -> None:
    async with admin(admin_authentication="none") as (_, asker):
        assert (await asker.bare("GET", "/connectioncounts")).status == 200


class Clock:
    now = 1_500_000_000.0


def guard(**changes: Any) -> Guard:
    options = {"method": "digest", "users": {"u": "p"}, "realm": "Wowza", "now": lambda: Clock.now, "secret": "s"}
    return Guard(**{**options, **changes})


def test_a_digest_is_for_one_method_one_target_one_realm_and_one_server() -> None:
    one = guard()
    asked = one.challenge("GET", "/x?y=1", None)
    assert asked is not None
    said = credentials(asked, "GET", "/x?y=1", "u", "p")
    assert one.challenge("GET", "/x?y=1", said) is None
    assert one.challenge("POST", "/x?y=1", said) is not None
    assert one.challenge("GET", "/x?y=1", said.replace('uri="/x?y=1"', 'uri="/z"')) is not None
    assert one.challenge("GET", "/x", said) is not None
    assert guard(secret="another").challenge("GET", "/x?y=1", said) is not None
    assert guard(realm="other").challenge("GET", "/x?y=1", said) is not None
    assert guard(users={"u": "other"}).challenge("GET", "/x?y=1", said) is not None
    assert guard(users={}).challenge("GET", "/x?y=1", said) is not None
    assert guard(method="basic").challenge("GET", "/x?y=1", said) is not None


def test_rfc_2617s_example_passes() -> None:
    # Section 3.5, with our nonce in place of its: the hashes are worked out by the standard library's client.
    one = guard(users={"Mufasa": "Circle Of Life"}, realm="testrealm@host.com", domain="/", quoted=True)
    asked = one.challenge("GET", "/dir/index.html", None)
    assert asked is not None
    assert 'domain="/"' in asked
    assert 'algorithm="MD5"' in asked
    said = credentials(asked.replace('"MD5"', "MD5"), "GET", "/dir/index.html", "Mufasa", "Circle Of Life")
    assert one.challenge("GET", "/dir/index.html", said) is None


def test_an_old_nonce_is_stale_and_a_forged_one_is_none() -> None:
    one = guard(lifetime=10)
    asked = one.challenge("GET", "/", None)
    assert asked is not None
    said = credentials(asked, "GET", "/", "u", "p")
    later = guard(lifetime=10, now=lambda: Clock.now + 11)
    again = later.challenge("GET", "/", said)
    assert again is not None
    assert again.endswith(", stale=true")
    forged = b64encode(b"1500000005000:" + b"0" * 32).decode()
    nonce = asked.partition('nonce="')[2].partition('"')[0]
    assert b64decode(nonce).startswith(b"1500000000000:")
    refused = one.challenge("GET", "/", credentials(asked.replace(nonce, forged), "GET", "/", "u", "p"))
    assert refused is not None
    assert "stale" not in refused


@given(st.text(max_size=200))
def test_any_authorization_is_answered(said: str) -> None:
    for method in ("digest", "basic"):
        for scheme in ("Digest ", "Basic ", ""):
            assert guard(method=method).challenge("GET", "/", scheme + said) is not None


@given(st.lists(st.sampled_from(['username="u"', "nc=1", 'uri="/"', "qop=auth", ",", " ", '"', "\\", "nonce=", "a=b"])))
def test_any_mixture_of_parameters_is_answered(parts: list[str]) -> None:
    assert guard().challenge("GET", "/", "Digest " + ",".join(parts)) is not None


# --- what is counted -----------------------------------------------------------------------------------


async def test_connectioncounts_has_the_recorded_form(autojump_clock: MockClock) -> None:
    recorded = ElementTree.fromstring(
        files("tierkit.testing.wowza").joinpath("payloads/connectioncounts.xml").read_text()
    )
    async with admin(profile="wms3", streams=("devvsqlive/461272.stream",)) as (_, asker):
        answer = await asker.get("/connectioncounts")
    assert answer.headers["content-type"] == "text/xml"
    assert answer.xml.tag == recorded.tag == "WowzaMediaServer"
    assert counters_left_out(answer.xml) == counters_left_out(recorded)
    assert answer.xml.findtext(".//Stream/Name") == "461272.stream"
    assert answer.xml.findtext(".//Stream/SessionsTotal") == "0"


@pytest.mark.parametrize(
    ("profile", "root", "info", "dash"),
    [
        ("wms3", "WowzaMediaServer", "WowzaMediaServerPro", False),
        ("wse42", "WowzaStreamingEngine", "WowzaStreamingEngine", False),
        ("wse47", "WowzaStreamingEngine", "WowzaStreamingEngine", True),
        ("wse49", "WowzaStreamingEngine", "WowzaStreamingEngine", True),
    ],
)
async def test_roots_differ_by_release(
    autojump_clock: MockClock, profile: str, root: str, info: str, dash: bool
) -> None:
    async with admin(profile=profile) as (_, asker):
        counts = (await asker.get("/connectioncounts")).xml
        assert (counts.tag, (await asker.get("/serverinfo")).xml.tag) == (root, info)
        assert (counts.find(".//SessionsMPEGDash") is not None) == dash


async def test_names_are_urlencoded_as_java_does_it(autojump_clock: MockClock) -> None:
    name = "294/294/294_content_lq.mp4"
    async with admin(streams=(f"vod/_definst_/{name}", "vod/_definst_/a b~*é.stream")) as (_, asker):
        nested = (await asker.get("/connectioncounts")).xml
        flat = (await asker.get("/connectioncounts?flat")).xml
        names = ["294%2F294%2F294_content_lq.mp4", "a+b%7E*%C3%A9.stream"]
        assert [each.text for each in nested.findall(".//Stream/Name")] == names
        assert [each.get("streamName") for each in flat] == names
    assert java_urlencoded("mp4:s&<>\"'") == "mp4%3As%26%3C%3E%22%27"


async def test_flat_has_a_row_for_each_stream_and_no_totals(autojump_clock: MockClock) -> None:
    async with admin(profile="wse42", streams=("live/a", "live/greek/b")) as (_, asker):
        flat = (await asker.get("/connectioncounts?flat")).xml
    assert flat.tag == "WowzaStreamingEngine"
    assert [dict(each.attrib) for each in flat] == [
        {
            "vhostName": "_defaultVHost_",
            "applicationName": "live",
            "appInstanceName": instance,
            "streamName": name,
            "sessionsFlash": "0",
            "sessionsCupertino": "0",
            "sessionsSanJose": "0",
            "sessionsSmooth": "0",
            "sessionsRTSP": "0",
            "sessionsTotal": "0",
        }
        for instance, name in (("_definst_", "a"), ("greek", "b"))
    ]


async def test_sessions_are_counted_where_they_are(autojump_clock: MockClock) -> None:
    async with admin(streams=("live/a", "live/b", "tv/c")) as (wowza, asker):
        web = Asker(asker.client._network, wowza.address)
        for path in ("/live/a", "/live/a", "/tv/c"):
            assert (await web.bare("GET", f"{path}/playlist.m3u8")).status == 200
        counts = (await asker.get("/connectioncounts")).xml
        assert counts.findtext("ConnectionsCurrent") == "3"
        assert [each.findtext("ConnectionsCurrent") for each in counts.findall(".//Application")] == ["2", "1"]
        sessions = {each.findtext("Name"): each.findtext("SessionsCupertino") for each in counts.findall(".//Stream")}
        assert sessions == {"a": "2", "b": "0", "c": "1"}
        info = (await asker.get("/serverinfo")).xml
        (first, second, third) = info.findall(".//HTTPSession")
        assert first.findtext("URI") == second.findtext("URI") == "live/a/playlist.m3u8"
        assert third.findtext("URI") == "tv/c/playlist.m3u8"
        assert info.findtext(".//CupertinoConnectionCount") == "2"
        await trio.sleep(61)  # idle sessions are reaped
        assert (await asker.get("/connectioncounts")).xml.findtext("ConnectionsCurrent") == "0"


@pytest.mark.parametrize("mode", ["origin", "origin-fixed"])
async def test_in_origin_mode_nothing_is_counted(autojump_clock: MockClock, mode: str) -> None:
    async with admin(mode=mode) as (wowza, asker):
        web = Asker(asker.client._network, wowza.address)
        assert (await web.bare("GET", "/live/myStream/playlist.m3u8")).status == 200
        counts = (await asker.get("/connectioncounts")).xml
        assert {each.text for each in counts.iter() if each.tag.startswith("Sessions")} == {"0"}


async def test_serverinfo_lists_clients_and_what_is_not_loaded(autojump_clock: MockClock) -> None:
    async with admin() as (wowza, asker):
        wowza.server.application("idle").loaded = False
        wowza.server.rtmp.append(
            RtmpSession(
                id=7,
                address="192.0.2.9",
                application="live",
                instance="_definst_",
                flash_version="LNX 9,0,124,2",
                referrer="http://a.example/?q=<&\x01>",
                uri="rtmp://wowza.example/live",
            )
        )
        info = (await asker.get("/serverinfo")).xml
        status = {each.findtext("Name"): each.findtext("Status") for each in info.findall(".//Application")}
        assert status == {"live": "loaded", "idle": "unloaded"}
        (client,) = info.findall(".//Client")
        assert client.findtext("IpAddress") == "192.0.2.9"
        assert client.findtext("URI") == "rtmp://wowza.example/live"
        assert client.findtext("Referrer") == "http://a.example/?q=<&?>"
        assert client.findtext("Protocol") == "RTMP"
        assert info.findtext(".//RTMPConnectionCount") == "1"
        counts = (await asker.get("/connectioncounts")).xml
        assert [each.findtext("Name") for each in counts.findall(".//Application")] == ["live"]


async def test_rates_and_times_rise(autojump_clock: MockClock) -> None:
    async with admin() as (_, asker):
        await trio.sleep(30)
        counts = (await asker.get("/connectioncounts")).xml
        assert float(counts.findtext("MessagesInBytesRate") or 0) == 112_000
        assert 30 <= float(counts.findtext("VHost/TimeRunning") or 0) < 31


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/live/s/playlist.m3u8"])
async def test_everything_else_is_the_version_and_asks_nobody(autojump_clock: MockClock, path: str) -> None:
    async with admin(profile="wms3") as (_, asker):
        answer = await asker.bare("GET", path)
    assert answer.status == 200
    assert b"Wowza Media Server 3 Monthly Edition 3.6.4 build11392" in answer.body
