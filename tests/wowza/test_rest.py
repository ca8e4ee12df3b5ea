"""8087: the recorded challenge, JSON and XML, and what is known of applications, streams and stream files."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tierkit.plugin import ConnectionLost
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import PROFILES, StandIn, Tag, open_wowza
from tierkit.testing.wowza._rest_form import wants_json
from tierkit.testing.wowza._sessions import RtmpSession

from .http_rig import Asker, credentials

SERVER = "/v2/servers/_defaultServer_"
VHOST = f"{SERVER}/vhosts/_defaultVHost_"
LIVE = f"{VHOST}/applications/live"
INSTANCE = f"{LIVE}/instances/_definst_"
JSON = {"Accept": "application/json"}


@asynccontextmanager
async def rest(**options: Any) -> AsyncIterator[tuple[StandIn, Asker]]:
    network = MemoryNetwork()
    where = {"listen": "wowza.example:1935", "admin": "wowza.example:8086", "rest": "wowza.example:8087"}
    async with open_wowza(network=network, **{**where, **options}) as wowza:
        asker = Asker(network, wowza.rest_address)
        asker.headers = dict(JSON)
        yield wowza, asker


def recorded(name: str) -> Any:
    return json.loads(files("tierkit.testing.wowza").joinpath(f"payloads/rest_{name}.json").read_text())


def shape(value: Any) -> Any:
    """Keys in order and the types of what they have: 0 and 1.5 are alike, as JSON has one kind of number."""
    if isinstance(value, dict):
        return [(name, shape(each)) for name, each in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


# --- who may ask ---------------------------------------------------------------------------------------


async def test_the_challenge_is_the_recorded_one(autojump_clock: MockClock) -> None:
    async with rest(profile="wse47") as (wowza, asker):
        await trio.sleep(1.5)
        answer = await asker.bare("GET", f"{SERVER}/status")
        assert answer.status == 401
        assert answer.json == recorded("401")
        found = re.fullmatch(
            r'Digest realm="Wowza", domain="/", nonce="([A-Za-z0-9+/]+=*)", algorithm=MD5, qop="auth"',
            answer.headers["www-authenticate"],
        )
        assert found
        at, _, mark = b64decode(found.group(1)).decode().partition(":")
        assert int(at) == int(wowza.server.wall() * 1000)
        assert re.fullmatch("[0-9a-f]{32}", mark)
        assert answer.headers["server"] == "Restlet-Framework/2.2.2"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(("profile", "scheme"), [("wse42", "Digest"), ("wse47", "Digest"), ("wse49", "Basic")])
async def test_how_it_asks_is_the_profiles(autojump_clock: MockClock, profile: str, scheme: str) -> None:
    async with rest(profile=profile, administrators={"ops": "s3cret"}) as (_, asker):
        bare = await asker.bare("GET", f"{SERVER}/status")
        assert bare.headers["www-authenticate"].split()[0] == scheme
        assert (await asker.get(f"{SERVER}/status", user="ops", password="s3cret")).status == 200
        assert (await asker.get(f"{SERVER}/status", user="ops", password="other")).status == 401
        assert bare.json["wowzaServer"] == PROFILES[profile].version


async def test_it_can_be_open_to_all(autojump_clock: MockClock) -> None:
    async with rest(rest_authentication="none") as (_, asker):
        assert (await asker.bare("GET", f"{SERVER}/status")).status == 200


async def test_a_nonce_is_good_for_a_while(autojump_clock: MockClock) -> None:
    async with rest() as (_, asker):
        first = await asker.bare("GET", f"{SERVER}/status")
        said = credentials(first.headers["www-authenticate"], "GET", f"{SERVER}/status", "admin", "admin")
        for _ in range(2):
            assert (await asker.bare("GET", f"{SERVER}/status", Authorization=said)).status == 200
            await trio.sleep(140)
        await trio.sleep(140)
        late = await asker.bare("GET", f"{SERVER}/status", Authorization=said)
        assert (late.status, late.headers["www-authenticate"].endswith(", stale=true")) == (401, True)


async def test_a_server_of_2013_has_none(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with open_wowza(network=network, profile="wms3", listen="w.example:1935", rest="w.example:8087") as wowza:
        with pytest.raises(LookupError):
            wowza.rest_address  # noqa: B018
        with pytest.raises(ConnectionLost, match="refuses"):
            await network.connect(wowza.address.with_(port=8087))


# --- JSON and XML --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("application/xml", False),
        ("'application/json'", False),
        ('"application/json; charset=utf-8"', False),
        ("application/json", True),
        ("Application/JSON", True),
        ("text/html, application/json;q=0.9", True),
        ("application/json;q=0", False),
        ("application/json; charset=utf-8", True),
    ],
)
def test_json_is_for_who_names_it(accept: str | None, json_wanted: bool) -> None:
    assert wants_json(accept) == json_wanted


async def test_xml_is_what_one_gets_otherwise(autojump_clock: MockClock) -> None:
    async with rest() as (_, asker):
        asker.headers = {}
        machine = await asker.get("/v2/machine/monitoring/current")
        assert machine.headers["content-type"].startswith("application/xml")
        names = ["ServerUptime", "CpuIdle", "MemoryFree", "HeapUsed", "ConnectionCount"]
        assert [machine.xml.findtext(each) is not None for each in names] == [True] * 5
        assert all(each.tag[0].isupper() for each in machine.xml.iter())
        applications = (await asker.get(f"{VHOST}/applications")).xml
        (row,) = applications.findall("Applications/Application")
        assert (row.get("id"), row.findtext("AppType")) == ("live", "Live")
        refused = await asker.bare("GET", f"{SERVER}/status")
        assert refused.xml.findtext("Code") == "401"
        odd = await asker.get(f"{SERVER}/status", Accept="'application/json'")
        assert odd.xml.findtext("ServerVersion") == "4.7.0"


async def test_4_3_has_absolute_hrefs(autojump_clock: MockClock) -> None:
    async with rest(profile="wse42") as (_, asker):
        old = (await asker.get(f"{VHOST}/applications")).json
        assert old["restURI"] == f"http://wowza.example:8087{VHOST}/applications"
        assert old["applications"][0]["href"] == f"http://wowza.example:8087{LIVE}"
        assert "serverName" not in old
        missing = (await asker.get(f"{VHOST}/applications/none")).json
        assert "restURI" not in missing


# --- what is looked at ---------------------------------------------------------------------------------


async def test_bodies_have_the_recorded_keys_in_the_recorded_order(autojump_clock: MockClock) -> None:
    async with rest(origin_available=False) as (_, asker):
        for target, name in (
            (f"{SERVER}/status", "status"),
            (f"{VHOST}/applications", "applications"),
            (f"{LIVE}/monitoring/current", "application_current"),
            (f"{LIVE}/instances", "instances"),
            (f"{INSTANCE}/incomingstreams/myStream/monitoring/current", "stream_current"),
        ):
            answer = await asker.get(target)
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("application/json")
            body, wanted = answer.json, recorded(name)
            if name == "instances":  # of these two one was recorded with nothing in them
                assert [each for each in wanted["instanceList"][0] if each not in body["instanceList"][0]] == []
            assert shape(body) == shape(wanted), target


async def test_the_status_is_the_recorded_developers(autojump_clock: MockClock) -> None:
    async with rest(origin_available=False) as (_, asker):
        await trio.sleep(12.5)
        body = (await asker.get(f"{SERVER}/status")).json
        differs = {name for name, value in recorded("status").items() if body[name] != value}
        assert differs == {"timeRunning", "wseName"}
        assert body["timeRunning"] == 12.5
    async with rest(profile="wse49") as (_, asker):
        body = (await asker.get(f"{SERVER}/status")).json
        assert body["httpOriginAvailable"] is True
        assert body["licenseType"] != "Developer"
        assert body["serverVersion"] == PROFILES["wse49"].version


async def test_streams_are_listed_by_their_instances(autojump_clock: MockClock) -> None:
    async with rest(streams=("live/myStream", "live/greek/a b&c.stream")) as (wowza, asker):
        listed = (await asker.get(f"{LIVE}/instances")).json["instanceList"]
        assert [(each["name"], [row["name"] for row in each["incomingStreams"]]) for each in listed] == [
            ("_definst_", ["myStream"]),
            ("greek", ["a b&c.stream"]),
        ]
        one = (await asker.get(f"{LIVE}/instances/greek")).json
        assert one["incomingStreams"] == listed[1]["incomingStreams"]
        wowza.off_air("live/myStream")
        (row,) = (await asker.get(INSTANCE)).json["incomingStreams"]
        assert (row["isConnected"], row["sourceIp"]) == (False, "wowz://192.168.3.32:55557")
        found = await asker.get(f"{LIVE}/instances/greek/incomingstreams/a%20b&c.stream")
        assert found.json["applicationInstance"] == "greek"
        assert (await asker.get(f"{INSTANCE}/incomingstreams/none")).status == 404
        # There is no such collection in the vendor's description.
        assert (await asker.get(f"{INSTANCE}/incomingstreams")).status == 404


async def test_an_unknown_application_is_404_and_an_unknown_instance_is_empty(autojump_clock: MockClock) -> None:
    async with rest() as (_, asker):
        for behind in ("", "/instances", "/instances/_definst_", "/monitoring/current", "/streamfiles"):
            answer = await asker.get(f"{VHOST}/applications/none{behind}")
            assert (answer.status, answer.json) == (404, recorded("404"))
        answer = await asker.get(f"{LIVE}/instances/none")
        assert answer.status == 200
        assert answer.json["name"] == "none"
        lists = ("incomingStreams", "outgoingStreams", "recorders", "streamGroups")
        assert [answer.json[each] for each in lists] == [[]] * 4


async def test_an_unknown_stream_has_zeros(autojump_clock: MockClock) -> None:
    async with rest() as (_, asker):
        answer = await asker.get(f"{INSTANCE}/incomingstreams/stream_name/monitoring/current")
        assert (answer.status, answer.json) == (200, recorded("stream_current"))
        answer = await asker.get(f"{VHOST}/applications/none/instances/i/incomingstreams/s/monitoring/current")
        assert answer.status == 404


async def test_an_answer_says_what_it_relies_on(autojump_clock: MockClock) -> None:
    async with rest(origin_available=False) as (wowza, asker):
        for target in (
            f"{SERVER}/status",
            f"{LIVE}/instances/_definst_",
            f"{INSTANCE}/incomingstreams/myStream/monitoring/current",
        ):
            assert (await asker.get(target)).status == 200
        answered = [each for each in wowza.log.requests if each.status == 200]
        assert [shown for each in answered for shown in each.shows if shown.tag is Tag.assumed] == []
        await asker.get(f"{INSTANCE}/incomingstreams/none/monitoring/current")
        assert "rest-unknown-stream-zeros" in {each.name for each in wowza.log.relied_on}
        await asker.bare("DELETE", f"{SERVER}/status")
        await asker.bare("OPTIONS", "/")
        assert all(each.shows for each in wowza.log.requests)


async def test_figures_follow_what_happens(autojump_clock: MockClock) -> None:
    async with rest(streams=("live/myStream", "tv/other")) as (wowza, asker):
        web = Asker(asker.client._network, wowza.address)
        assert (await web.bare("GET", "/live/myStream/playlist.m3u8")).status == 200
        wowza.server.rtmp.append(RtmpSession(id=1, address="192.0.2.1", application="live", instance="_definst_"))
        before = (await asker.get(f"{LIVE}/monitoring/current")).json
        assert before["connectionCount"] == {
            **recorded("application_current")["connectionCount"],
            "RTMP": 1,
            "CUPERTINO": 1,
        }
        assert before["totalConnections"] == 2
        await trio.sleep(10)
        after = (await asker.get(f"{LIVE}/monitoring/current")).json
        assert after["bytesIn"] - before["bytesIn"] == 10 * before["bytesInRate"] > 0
        other = (await asker.get(f"{VHOST}/applications/tv/monitoring/current")).json
        assert other["totalConnections"] == 0
        stream = (await asker.get(f"{INSTANCE}/incomingstreams/myStream/monitoring/current")).json
        assert 0 < stream["bytesOut"] == after["bytesOut"]
        assert (stream["connectionCount"]["CUPERTINO"], stream["connectionCount"]["RTMP"]) == (1, 0)
        whole = (await asker.get(f"{SERVER}/monitoring/current")).json
        assert whole["totalConnections"] == 2
        assert whole == (await asker.get(f"{VHOST}/monitoring/current")).json
        assert (await asker.get("/v2/machine/monitoring/current")).json["connectionCount"] == 2
        assert (await asker.get(f"{SERVER}/status")).json["currentConnections"] == 2


async def test_hostports_tell_how_8086_asks(autojump_clock: MockClock) -> None:
    async with rest(admin_authentication="basic") as (_, asker):
        rows = {each["id"]: each for each in (await asker.get(f"{VHOST}/hostports")).json["hostPorts"]}
        assert {name: each["port"] for name, each in rows.items()} == {
            "Default Streaming": "1935",
            "Default Admin": "8086",
        }
        asks = {each["requestFilters"]: each["authenticationMethod"] for each in rows["Default Admin"]["httpProviders"]}
        assert asks["connectioncounts*"] == "admin-basic"
        one = await asker.get(f"{VHOST}/hostports/Default%20Admin")
        assert one.json["port"] == "8086"
        assert (await asker.get(f"{VHOST}/hostports/none")).status == 404


@pytest.mark.parametrize(
    "target",
    ["/", "/v2", "/v3/servers/_defaultServer_/status", f"{SERVER}/nothing", "/v2/servers/other/status",
     f"{SERVER}/vhosts/other/applications", f"{VHOST}/applications//instances"],
)  # fmt: skip
async def test_other_paths_are_404(autojump_clock: MockClock, target: str) -> None:
    async with rest() as (_, asker):
        answer = await asker.get(target)
        assert (answer.status, answer.json) == (404, recorded("404"))


# --- what is changed -----------------------------------------------------------------------------------


async def test_an_application_is_created_once_changed_and_removed(autojump_clock: MockClock) -> None:
    async with rest() as (_, asker):
        body = {"name": "app_name", "appType": "LiveEdge"}
        created = await asker.ask("POST", f"{VHOST}/applications", body)
        assert (created.status, created.json) == (201, recorded("created"))
        again = await asker.ask("POST", f"{VHOST}/applications", body)
        assert (again.status, again.json) == (409, recorded("409"))
        where = f"{VHOST}/applications/app_name"
        changed = await asker.ask("PUT", where, {"appType": "Live"})
        assert (changed.status, changed.json) == (200, recorded("saved"))
        assert (await asker.get(where)).json["appType"] == "Live"
        removed = await asker.ask("DELETE", where)
        assert (removed.status, removed.json) == (200, recorded("saved"))
        assert (await asker.get(where)).status == 404


async def test_shutdown_ends_what_is_there(autojump_clock: MockClock) -> None:
    async with rest() as (wowza, asker):
        ended: list[str] = []
        wowza.server.rtmp.append(
            RtmpSession(
                id=1,
                address="192.0.2.1",
                application="live",
                instance="_definst_",
                disconnect=lambda: ended.append("1"),
            )
        )
        assert (await asker.ask("PUT", f"{LIVE}/actions/shutdown")).status == 200
        assert ended == ["1"]
        assert (await asker.get(f"{LIVE}/instances")).json["instanceList"] == []
        assert (await asker.ask("PUT", f"{LIVE}/actions/start")).status == 200
        (row,) = (await asker.get(f"{LIVE}/instances")).json["instanceList"]
        assert row["incomingStreams"] == []
        assert (await asker.ask("PUT", f"{LIVE}/actions/dance")).status == 404


@pytest.mark.parametrize("place", [VHOST, LIVE])
async def test_a_stream_file_is_connected_and_disconnected_by_its_stream(autojump_clock: MockClock, place: str) -> None:
    async with rest() as (_, asker):
        file = {"name": "cam", "uri": "rtsp://192.0.2.5/axis"}
        assert (await asker.ask("POST", f"{place}/streamfiles", file)).status == 201
        assert (await asker.ask("POST", f"{place}/streamfiles", file)).status == 409
        assert [each["id"] for each in (await asker.get(f"{place}/streamfiles")).json["streamFiles"]] == ["cam"]
        query = "connectAppName=live&appInstance=_definst_&mediaCasterType=rtp"
        connect = f"{place}/streamfiles/cam/actions/connect?{query}"
        assert (await asker.ask("PUT", connect)).json == recorded("saved")
        rows = {each["name"]: each for each in (await asker.get(INSTANCE)).json["incomingStreams"]}
        assert (rows["cam.stream"]["isConnected"], rows["cam.stream"]["sourceIp"]) == (True, "rtsp://192.0.2.5/axis")
        assert (await asker.ask("PUT", connect)).status == 409
        # By the stream that it has become, and not by the file.
        wrong = await asker.ask("PUT", f"{place}/streamfiles/cam/actions/disconnect")
        assert wrong.status == 404
        disconnect = f"{INSTANCE}/incomingstreams/cam.stream/actions/disconnectStream"
        assert (await asker.ask("PUT", disconnect)).status == 200
        assert [each["name"] for each in (await asker.get(INSTANCE)).json["incomingStreams"]] == ["myStream"]
        assert (await asker.ask("PUT", disconnect)).status == 404
        assert (await asker.ask("PUT", connect)).status == 200
        for odd in (connect.replace("cam", "none", 1), connect.replace("=live", "=none")):
            assert (await asker.ask("PUT", odd)).status == 404
        assert (await asker.ask("PUT", connect.replace("=rtp", "=vhs"))).status == 400


async def test_reset_begins_the_stream_anew(autojump_clock: MockClock) -> None:
    async with rest() as (wowza, asker):
        await trio.sleep(1)
        action = f"{INSTANCE}/incomingstreams/myStream/actions/resetStream"
        assert (await asker.ask("PUT", action)).status == 200
        stream = wowza.server.instance("live").streams["myStream"]
        assert (stream.is_connected, stream.since) == (True, wowza.server.now())


async def test_publishers_are_created_and_removed(autojump_clock: MockClock) -> None:
    async with rest() as (wowza, asker):
        created = await asker.ask("POST", f"{SERVER}/publishers", {"name": "cam", "password": "pw"})
        assert (created.status, created.json) == (201, {"success": True, "message": "", "data": None})
        assert wowza.server.publishers == {"cam": "pw"}
        assert "pw" not in (await asker.get(f"{SERVER}/publishers")).body.decode()
        assert (await asker.ask("POST", f"{SERVER}/publishers", {"name": "cam", "password": "x"})).status == 409
        assert (await asker.ask("DELETE", f"{SERVER}/publishers/cam")).status == 200
        assert wowza.server.publishers == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 5000, b'{"name": 1}', b'{"name": ""}', b'{"name": "a/b"}'])
async def test_odd_bodies_are_400(autojump_clock: MockClock, body: bytes) -> None:
    async with rest(rest_authentication="none") as (_, asker):
        answer = await asker.bare("POST", f"{VHOST}/applications", body, Content_Type="application/json")
        assert answer.status == 400
        assert {name: type(value) for name, value in answer.json.items()} == {
            "message": str,
            "code": str,
            "success": bool,
            "wowzaServer": str,
        }


async def test_other_methods_and_other_types_are_refused(autojump_clock: MockClock) -> None:
    async with rest(rest_authentication="none") as (_, asker):
        assert (await asker.bare("DELETE", f"{SERVER}/status")).status == 405
        xml = await asker.bare("POST", f"{VHOST}/applications", b"<a/>", Content_Type="application/xml")
        assert xml.status == 415
        assert (await asker.bare("OPTIONS", f"{SERVER}/status")).status == 200
        assert (await asker.bare("GET", f"{SERVER}/status?{'a&' * 100}")).status == 400
        assert (await asker.bare("POST", f"{VHOST}/applications", b"x" * 100_000)).status == 413
