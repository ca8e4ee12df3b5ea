"""The probe, against every profile and mode of the stand-in, and against servers that are in no mood to answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address, AddressError, RealNetwork
from tierkit.http import Request, Response
from tierkit.plugin import Connection
from tierkit.plugins.wowza._probe_rows import NOT_ASKED, Mask
from tierkit.plugins.wowza.probe import QUESTIONS, Report, Target, probe, target_of
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import PROFILES, Mode, RtmpOptions, StandIn, open_wowza

from ..cli.support import tierkit_
from ..support_http import Speak, open_door, open_server

URL = "http://wowza.example:1935/live/myStream/playlist.m3u8"
REST_ROWS = {"rest-challenge", "rest-xml", "rest-nonce", "unknown-stream-statistics"}
ADMIN_ROWS = {"admin-realm", "counts", "connectioninfo"}
RTMP_ROWS = {key for key in QUESTIONS if key.startswith("rtmp-")}


async def ask(network: MemoryNetwork, url: str = URL, user: str = "admin:admin", idle: float = 0.0) -> Report:
    control = Address.parse(f"{user}@wowza.example")
    return await probe(network, trio.current_time, target_of(url), admin=control, rest=control, idle=idle)


def said(report: Report) -> dict[str, str]:
    return {row.key: row.answer for row in report.rows if row.asked}


def reasons(report: Report) -> dict[str, str]:
    return {row.key: row.reason for row in report.rows if not row.asked}


async def asked_of_a_stand_in(
    profile: str, mode: Mode, *, url: str = URL, idle: float = 0.0, rtmp: RtmpOptions | None = None
) -> tuple[Report, StandIn]:
    network = MemoryNetwork()
    where = {name: f"wowza.example:{port}" for name, port in (("listen", 1935), ("admin", 8086), ("rest", 8087))}
    async with open_wowza(network=network, profile=profile, mode=mode, rtmp=rtmp, **where) as stand_in:  # type: ignore[arg-type]
        return await ask(network, url, idle=idle), stand_in


# --- every profile and mode ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("profile", PROFILES)
async def test_it_runs_clean(autojump_clock: MockClock, profile: str, mode: Mode) -> None:
    report, stand_in = await asked_of_a_stand_in(profile, mode)
    assert [row.key for row in report.rows] == list(QUESTIONS)
    expected = {*NOT_ASKED, "session-idle"}
    expected |= set() if PROFILES[profile].rest else REST_ROWS
    expected |= {"rest-nonce"} if PROFILES[profile].rest_authentication == "basic" else set()
    expected |= {"session-foreign"} if mode is Mode.origin else set()
    assert set(reasons(report)) == expected
    assert report.asked == len(QUESTIONS) - len(expected)
    # Nothing but looking, and nothing is left behind.
    assert {each.method for each in stand_in.log.requests} == {"GET", "HEAD"}
    assert stand_in.server.rtmp == []
    everything = json.dumps([row.answer + row.reason for row in report.rows])
    for own in ("wowza.example", "myStream", "/live/", "admin:"):
        assert own not in everything


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_it_finds_out_in_session_mode(autojump_clock: MockClock, profile: str) -> None:
    answers = said((await asked_of_a_stand_in(profile, Mode.sessions))[0])
    kind = "?wowzasessionid=" if profile == "wms3" else "_w in names"
    assert answers["session-names"].startswith(kind)
    assert answers["session-names-twice"] == "others, but for the ids the same"
    assert answers["session-foreign"].startswith("403")
    assert answers["cache-control"] == "404 none; master no-cache; media playlist 200 no-cache; segment 200 no-cache"
    assert answers["unknown-stream"] == "404, 0 bytes, Cache-Control none"
    assert answers["keep-alive"] == "12 requests on 1 connections"
    assert answers["admin-realm"].startswith('digest realm="Wowza", nonce="base64 of 13 digits')
    assert PROFILES[profile].product in answers["version"]
    assert answers["rtmp-controls"] == "WindowAckSize 2500000, SetPeerBandwidth 2500000 type 2, ping, SetChunkSize 512"
    assert answers["rtmp-subscribe"].startswith("yes: media after")
    assert answers["rtmp-unpublished"] == "NetStream.Play.StreamNotFound"
    assert answers["rtmp-bandwidth"] == "not within 6 s"
    assert answers["counts"].count("<Stream") == 3
    assert "<IpAddress>" in answers["counts"]


@pytest.mark.parametrize(("mode", "twice"), [(Mode.origin, "origin mode"), (Mode.origin_fixed, "an id that stays")])
async def test_what_it_finds_out_in_origin_mode(autojump_clock: MockClock, mode: Mode, twice: str) -> None:
    answers = said((await asked_of_a_stand_in("wse47", mode))[0])
    assert answers["session-names-twice"].startswith("the same: origin mode")
    assert answers["session-names-twice"].endswith(twice)
    assert "max-age" in answers["cache-control"]


async def test_what_it_finds_out_of_rest(autojump_clock: MockClock) -> None:
    answers = said((await asked_of_a_stand_in("wse47", Mode.sessions))[0])
    assert 'domain="/"' in answers["rest-challenge"]
    assert answers["unknown-stream-statistics"] == "200, zeros"
    assert answers["rest-xml"].startswith("status <ServerStatus serverName> of <Version>")
    assert "applications <Applications serverName>" in answers["rest-xml"]
    assert "REST 4.7.0" in answers["version"]
    basic = said((await asked_of_a_stand_in("wse49", Mode.sessions))[0])
    assert basic["rest-challenge"].startswith("basic realm=")


async def test_what_becomes_of_what_is_left_alone(autojump_clock: MockClock) -> None:
    answers = said((await asked_of_a_stand_in("wse47", Mode.sessions, idle=100))[0])
    assert answers["session-idle"] == "after 100 s without a request: playlist 403, segment of before 403"
    assert answers["rest-nonce"].endswith("after 100 s still good")
    late = said((await asked_of_a_stand_in("wse47", Mode.sessions, idle=1000))[0])
    assert late["rest-nonce"].endswith("after 1000 s no longer good")


@pytest.mark.parametrize(
    ("options", "key", "answer"),
    [
        (RtmpOptions(unpublished="wait"), "rtmp-unpublished", "silence for 6 s"),
        (RtmpOptions(check_bandwidth=True), "rtmp-bandwidth", "yes with"),
    ],
)
async def test_rtmp_in_its_variants(autojump_clock: MockClock, options: RtmpOptions, key: str, answer: str) -> None:
    assert answer in said((await asked_of_a_stand_in("wse47", Mode.sessions, rtmp=options))[0])[key]


async def test_a_stream_that_is_not_there(autojump_clock: MockClock) -> None:
    report, _ = await asked_of_a_stand_in("wse47", Mode.sessions, url=URL.replace("myStream", "gone"))
    told = reasons(report)
    assert told["session-names"] == "the master playlist answers 404: give a stream that is on air"
    assert said(report)["rtmp-subscribe"] == "no media: NetStream.Play.StreamNotFound"
    assert "rtmp-result" in said(report)


OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def everywhere(network: MemoryNetwork, speak: Speak) -> AsyncIterator[None]:
    """A server that says the same at all three ports."""
    async with AsyncExitStack() as stack:
        for port in (1935, 8086, 8087):
            await stack.enter_async_context(open_door(network, f"http://wowza.example:{port}", speak))
        yield


# --- servers that do not answer ------------------------------------------------------------------


async def test_wrong_credentials_are_told_and_not_shown(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with open_wowza(
        network=network, listen="wowza.example:1935", admin="wowza.example:8086", rest="wowza.example:8087"
    ):
        report = await ask(network, user="someone:s3cret")
    told = reasons(report)
    assert "does not take this user and password (digest)" in told["counts"]
    assert "does not take this user and password (digest)" in told["rest-xml"]
    assert said(report)["admin-realm"].startswith('digest realm="Wowza"')
    assert "s3cret" not in str(report)
    assert "someone" not in str(report)


async def test_nothing_is_there(autojump_clock: MockClock) -> None:
    report = await ask(MemoryNetwork())
    assert report.asked == 0
    assert all(row.reason for row in report.rows)
    assert "wowza.example" not in str(report)


@pytest.mark.parametrize(
    "answer", [b"\x00" * 100, b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n", b"", b"HTTP/1.1 302 Found\r\n\r\n"]
)
async def test_something_else_is_there(autojump_clock: MockClock, answer: bytes) -> None:
    network = MemoryNetwork()

    async def speak(connection: Connection) -> None:
        await connection.recv()
        if answer:
            await connection.send_all(answer)

    doors = [f"http://wowza.example:{port}" for port in (1935, 8086, 8087)]
    async with (
        open_door(network, doors[0], speak),
        open_door(network, doors[1], speak),
        open_door(network, doors[2], speak),
    ):
        report = await ask(network)
    assert {row.key for row in report.rows if row.asked} <= {
        "unknown-stream", "unknown-instance", "unknown-application", "cache-control", "keep-alive", "version",
        "admin-realm", "rest-challenge", "counts", "connectioninfo", "rest-xml", "unknown-stream-statistics",
    }  # fmt: skip
    assert set(reasons(report)) >= RTMP_ROWS


@pytest.mark.parametrize("silent", [b"", OK + b"Content-Length: 10\r\n\r\nx"])
async def test_a_server_that_hangs_does_not_hold_it_up_for_ever(autojump_clock: MockClock, silent: bytes) -> None:
    network = MemoryNetwork()

    async def speak(connection: Connection) -> None:
        await connection.recv()
        if silent:
            await connection.send_all(silent)
        await trio.sleep_forever()

    doors = [f"http://wowza.example:{port}" for port in (1935, 8086, 8087)]
    async with (
        open_door(network, doors[0], speak),
        open_door(network, doors[1], speak),
        open_door(network, doors[2], speak),
    ):
        with trio.fail_after(120):
            report = await ask(network)
    assert report.asked == 0


@pytest.mark.parametrize(
    ("child", "told"),
    [
        ("http://elsewhere.example/x.m3u8", "names a child on another server, which is not asked"),
        ("//elsewhere.example/x.m3u8", "names a child on another server, which is not asked"),
        ("http://wowza.example:19350/x.m3u8", "names a child on another server, which is not asked"),
        ("a\x00", "cannot be asked for this path"),
        ("http://[::1", "names a child that is no URI"),
    ],
)
async def test_it_goes_to_no_other_server(autojump_clock: MockClock, child: str, told: str) -> None:
    network = MemoryNetwork()
    elsewhere: list[str] = []

    async def master(request: Request) -> Response:
        return Response(200, [], f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{child}\n".encode())

    async def other(request: Request) -> Response:
        elsewhere.append(request.path)
        return Response(200, [], b"#EXTM3U\n")

    async with (
        open_server(network, master, "http://wowza.example:1935"),
        open_server(network, other, "http://elsewhere.example:80"),
    ):
        report = await ask(network)
    assert elsewhere == []
    assert told in reasons(report)["session-foreign"]


# --- masks and addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("delivered live from wowza.example", "delivered APP from HOST"),
        ("chunklist_w929118404_b764000_tkd293emE=.m3u8?wowzasessionid=540052745", None),
        ("at 192.0.2.7, [2001:db8::7:1] and 4.7.0.1x", "at ADDRESS, [ADDRESS] and 4.7.0.1x"),
        ("\x1b[2J", "\ufffd[2J"),
        ("x" * 9000, "x" * 3000),
    ],
)
def test_masks(text: str, masked: str | None) -> None:
    mask = Mask([("wowza.example", "HOST"), ("live", "APP"), ("", "NEVER")])
    assert mask(text) == (masked or "chunklist_wN_b764000_tkTOKEN.m3u8?wowzasessionid=N")


BASE = Address.parse("http://h:1935")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h:1935/live/s/playlist.m3u8", Target(base=BASE, app="live", instance="", stream="s")),
        ("h/live/s", Target(base=BASE, app="live", instance="", stream="s")),
        ("rtmp://h/live/s", Target(base=BASE, app="live", instance="", stream="s")),
        ("h/live/_definst_/mp4:a/b.mp4", Target(base=BASE, app="live", instance="_definst_", stream="mp4:a/b.mp4")),
        ("h/live/s/chunklist_w1.m3u8?a=1", Target(base=BASE, app="live", instance="", stream="s", query="a=1")),
        (
            "https://h/live/s",
            Target(base=Address.parse("https://h:443"), app="live", instance="", stream="s"),
        ),
    ],
)
def test_a_stream_by_its_url(url: str, target: Target) -> None:
    assert target_of(url) == target


@pytest.mark.parametrize("url", ["http://h", "http://h/live", ":1935/live/s", "ftp://h/live/s"])
def test_what_is_no_stream(url: str) -> None:
    with pytest.raises(AddressError, match="is no stream of a Wowza's: give http"):
        target_of(url)


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("json_", [False, True])
async def test_the_command(monkeypatch: pytest.MonkeyPatch, json_: bool) -> None:
    monkeypatch.setenv("TIERKIT_WOWZA_CREDENTIALS", "admin:admin")
    async with open_wowza(network=RealNetwork()) as stand_in:
        arguments = ["wowza", "probe", stand_in.url("live/myStream"), *(["--json"] if json_ else [])]
        arguments += ["--admin", str(stand_in.admin_address), "--rest", str(stand_in.rest_address)]
        found = await trio.to_thread.run_sync(lambda: tierkit_(*arguments))
    assert (found.code, found.err) == (0, [])
    if json_:
        rows = json.loads("\n".join(found.out))["rows"]
        assert [row["key"] for row in rows] == list(QUESTIONS)
    else:
        assert found.out[0].endswith(f"asked a Wowza: 27 of {len(QUESTIONS)} rows answered")
        assert "    not asked: one would have to begin to publish" in found.out
    assert "127.0.0.1" not in "".join(found.out)


def test_the_command_wants_a_stream() -> None:
    found = tierkit_("wowza", "probe", "http://wowza.example")
    assert (found.code, "is no stream of a Wowza's" in found.err[0]) == (2, True)
