"""Wowza's REST bodies.  The invariant: any bytes give values or RemoteProtocolError, and JSON and XML give the same."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import wowza_body
from tierkit.codecs.wowza_rest import (
    Application,
    Failure,
    IncomingStream,
    Instance,
    MachineLoad,
    ServerStatus,
    StreamFile,
    Traffic,
    read_applications,
    read_failure,
    read_incoming,
    read_instances,
    read_machine,
    read_status,
    read_stream_files,
    read_traffic,
    rest_path,
)
from tierkit.errors import RemoteProtocolError

# Recorded of a 4.7.0, as the facts have them.
STATUS = b"""{"version":"1499348681000","serverName":"_defaultServer_","serverVersion":"4.7.0","serverBuild":"20186",
"licenseType":"Developer","serverMode":"Development","totalMemory":8283439104,"availableMemory":491945984,
"processorCores":8,"javaMaxHeapSize":"3160MB","timeRunning":3296.008,"currentConnections":0,"maxConnections":10,
"maxIncommingStreams":3,"restAPIAvailable":true,"httpOriginAvailable":false,"transcoderLicensed":true,
"dvrLicensed":true,"wseName":"Wowza Streaming Engine 4 Developer Edition (Expires: Nov 09, 2017)"}"""
APPLICATIONS = b"""{"serverName":"_defaultServer_","applications":[{"id":"wowza",
"href":"/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications/wowza","appType":"Live","dvrEnabled":false,
"drmEnabled":false,"transcoderEnabled":false,"streamTargetsEnabled":true},{"id":"a b","href":"/x","appType":null}]}"""
CURRENT = b"""{"serverName":"_defaultServer_","uptime":7,"bytesIn":1,"bytesOut":"2","bytesInRate":3,"bytesOutRate":4,
"totalConnections":9,"connectionCount":{"WEBM":0,"DVRCHUNKS":0,"RTMP":5,"MPEGDASH":0,"CUPERTINO":4,"SANJOSE":0,
"SMOOTH":0,"RTP":0}}"""
INSTANCES = b"""{"serverName":"_defaultServer_","instanceList":[{"incomingStreams":[{
"sourceIp":"wowz://192.168.3.32:55557","isPTZEnabled":false,"applicationInstance":"_definst_","name":"myStr",
"isRecordingSet":false,"isStreamManagerStream":false,"isPublishedToVOD":false,"isConnected":true,
"ptzPollingInterval":2000,"ptzPollingIntervalMinimum":1000}],"outgoingStreams":[],"recorders":[],"streamGroups":[],
"name":"_definst_"}]}"""
EMPTY = b"""{"serverName":"_defaultServer_","instanceList":[{"incomingStreams":[],"outgoingStreams":[],"recorders":[],
"streamGroups":[],"name":"_definst_"}]}"""
REFUSED = (
    b"""{"message":"The request requires user authentication","wowzaServer":"4.7.0","code":"401","success":false}"""
)

ON_AIR = IncomingStream(instance="_definst_", name="myStr", connected=True, source="wowz://192.168.3.32:55557")
#: By what is read with what.
READERS: dict[Callable[[bytes], object], bytes] = {
    read_status: STATUS,
    read_machine: b'{"serverUptime":1}',
    read_traffic: CURRENT,
    read_applications: APPLICATIONS,
    read_instances: INSTANCES,
    read_incoming: b'{"name":"s","isConnected":true}',
    read_stream_files: b'{"streamFiles":[{"id":"foo"}]}',
}


def capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def as_xml(value: object, name: str, members: dict[str, str]) -> str:
    """A body of ours as XML with capitals; lists as wrappers of members."""
    tag = capital(name)
    if isinstance(value, dict):
        return f"<{tag}>{''.join(as_xml(each, key, members) for key, each in value.items())}</{tag}>"
    if isinstance(value, list):
        return f"<{tag}>{''.join(as_xml(each, members[name], members) for each in value)}</{tag}>"
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{tag}>{text}</{tag}>"


MEMBERS = {
    "applications": "Application",
    "instanceList": "Instance",
    "incomingStreams": "IncomingStream",
    "streamFiles": "StreamFile",
    "outgoingStreams": "OutgoingStream",
    "recorders": "Recorder",
    "streamGroups": "StreamGroup",
}


def xml_of(data: bytes, root: str) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>' + as_xml(json.loads(data), root, MEMBERS)).encode()


# --- the recorded bodies -------------------------------------------------------------------------


def test_a_status() -> None:
    assert read_status(STATUS) == ServerStatus(
        version="4.7.0",
        build="20186",
        product="Wowza Streaming Engine 4 Developer Edition (Expires: Nov 09, 2017)",
        licence="Developer",
        uptime=3296.008,
        connections=0,
        max_connections=10,
        max_incoming_streams=3,
        http_origin=False,
    )


def test_the_field_that_is_spelt_oddly_may_be_mended() -> None:
    assert read_status(STATUS.replace(b"Incomming", b"Incoming")).max_incoming_streams == 3


def test_applications() -> None:
    assert read_applications(APPLICATIONS) == (Application(name="wowza", kind="Live"), Application(name="a b"))


def test_an_application_of_4_3_has_an_absolute_reference() -> None:
    old = b"""{"restURI":"http://h:8087/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications","applications":[
    {"href":"http://h:8087/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications/a%20b","appType":"Live"}]}"""
    assert read_applications(old) == (Application(name="a b", kind="Live"),)


def test_traffic() -> None:
    zeros = dict.fromkeys(("webm", "dvrchunks", "dash", "hds", "smooth", "rtsp"), 0)
    assert read_traffic(CURRENT) == Traffic(
        uptime=7,
        bytes_in=1,
        bytes_out=2,
        bytes_in_rate=3,
        bytes_out_rate=4,
        connections=9,
        by_protocol={"rtmp": 5, "hls": 4, **zeros},
    )


def test_instances() -> None:
    assert read_instances(INSTANCES) == (Instance(name="_definst_", incoming=(ON_AIR,)),)
    assert read_instances(EMPTY) == (Instance(name="_definst_"),)
    assert read_instances(b'{"instanceList":[]}') == ()
    # The one that was asked for by name stands bare.
    bare = json.dumps(json.loads(INSTANCES)["instanceList"][0]).encode()
    assert read_instances(bare) == read_instances(INSTANCES)


@pytest.mark.parametrize(("said", "means"), [("true", True), ('"true"', True), ("false", False), ("null", False)])
def test_only_what_says_so_is_connected(said: str, means: bool) -> None:
    data = INSTANCES.replace(b'"isConnected":true', f'"isConnected":{said}'.encode())
    assert read_instances(data)[0].incoming[0].connected is means
    missing = INSTANCES.replace(b'"isConnected":true,', b"")
    assert read_instances(missing)[0].incoming[0].connected is False


def test_one_incoming_stream() -> None:
    data = json.dumps(json.loads(INSTANCES)["instanceList"][0]["incomingStreams"][0]).encode()
    assert read_incoming(data) == ON_AIR


def test_a_machine() -> None:
    data = b"""{"serverUptime":10,"cpuIdle":90,"cpuUser":8,"cpuSystem":"2","memoryFree":1,"memoryUsed":2,"heapFree":3,
    "heapUsed":4,"diskFree":5,"diskUsed":6,"connectionCount":7}"""
    assert read_machine(data) == MachineLoad(
        uptime=10,
        cpu_idle=90,
        cpu_user=8,
        cpu_system=2,
        memory_free=1,
        memory_used=2,
        heap_free=3,
        heap_used=4,
        disk_free=5,
        disk_used=6,
        connections=7,
    )


def test_a_failure() -> None:
    assert read_failure(REFUSED) == Failure(
        code=401, message="The request requires user authentication", version="4.7.0"
    )
    for none in (b"", b"<html>no</html>", b"{}", b"[]", b'{"message"'):
        assert read_failure(none) is None


# --- XML where JSON was asked for ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "data", "root"),
    [
        (read_status, STATUS, "ServerStatus"),
        (read_traffic, CURRENT, "CurrentApplicationStatistics"),
        (read_applications, APPLICATIONS, "Applications"),
        (read_applications, APPLICATIONS, "ApplicationsConfig"),
        (read_instances, INSTANCES, "Instances"),
        (read_instances, EMPTY, "Instances"),
        (read_failure, REFUSED, "Status"),
    ],
)
def test_xml_says_the_same(read: Callable[[bytes], object], data: bytes, root: str) -> None:
    assert read(xml_of(data, root)) == read(data)


@pytest.mark.parametrize(
    "data",
    [
        # Members in a root that is the list, with ids in attributes.
        b"""<Applications serverName="x"><Application id="wowza" href="/x"><AppType>Live</AppType></Application>
        <Application id="a b"/></Applications>""",
        # Bare members under one name.
        b"""<X><Applications><Id>wowza</Id><AppType>Live</AppType></Applications>
        <Applications><Id>a b</Id></Applications></X>""",
        b"""<a:Applications xmlns:a="urn:x"><a:Application><a:id>wowza</a:id><a:appType>Live</a:appType>
        </a:Application><a:Application><a:id>a b</a:id></a:Application></a:Applications>""",
    ],
)
def test_lists_in_whatever_wraps_them(data: bytes) -> None:
    assert read_applications(data) == read_applications(APPLICATIONS)


@pytest.mark.parametrize(
    "data", [b"<Applications/>", b'<Applications serverName="x"/>', b"<Applications></Applications>"]
)
def test_a_list_of_nothing(data: bytes) -> None:
    assert read_applications(data) == ()
    assert read_instances(b"<Instances><InstanceList/></Instances>") == ()


def test_a_list_of_one() -> None:
    assert read_applications(b"<Applications><Application><Id>x</Id></Application></Applications>") == (
        Application(name="x"),
    )
    assert read_stream_files(b"<StreamFiles><StreamFiles><Id>foo</Id></StreamFiles></StreamFiles>") == (
        StreamFile(name="foo"),
    )


def test_a_map_as_java_libraries_write_it() -> None:
    data = b"""<X><TotalConnections>3</TotalConnections><ConnectionCount>
    <entry><string>RTMP</string><int>1</int></entry><entry><string>CUPERTINO</string><int>2</int></entry>
    </ConnectionCount></X>"""
    assert read_traffic(data) == Traffic(connections=3, by_protocol={"rtmp": 1, "hls": 2})


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"[1]", "no object"),
        (b"null", "no object"),
        (b'{"a": NaN}', "a number that is none"),
        (b'{"a": ' + b"1" * 5000 + b"}", "a number that is none"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"x": "\xff"}', "no UTF-8 at byte 7"),
        (b"{'x': 1}", "malformed at character 1"),
        (b'{"a": 1} trailing', "malformed at character 9"),
        (b"{}" + b" " * wowza_body.MAX_JSON, "longer than"),
        (b"{}", "can be read but is not"),
        (b'{"hello": "world"}', "can be read but is not"),
        (b"<html><body>hello</body></html>", "can be read but is not"),
        (b"<!DOCTYPE html><html></html>", "document type"),
    ],
)
def test_what_is_refused(read: Callable[[bytes], object], data: bytes, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told):
        read(data)


@pytest.mark.parametrize("read", READERS)
def test_a_body_that_is_cut_short_is_never_half_a_list(read: Callable[[bytes], object]) -> None:
    data = READERS[read]
    for end in range(1, len(data)):
        with pytest.raises(RemoteProtocolError, match=r"cut short|malformed|empty"):
            read(data[:end])
    with pytest.raises(RemoteProtocolError, match="cut short"):
        read(data[: len(data) // 2])


@given(st.binary(max_size=60), st.integers(0, 700), st.integers(0, 30))
def test_any_bytes_give_values_or_the_one_error(noise: bytes, at: int, lost: int) -> None:
    for read, real in READERS.items():
        for body in (real, xml_of(real, "Root")):
            for data in (noise, body[:at] + noise + body[at + lost :]):
                try:
                    read(data)
                except RemoteProtocolError:
                    pass
                read_failure(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["applications", "instanceList", "incomingStreams", "name", "id", "connectionCount", "isConnected"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_does(value: object) -> None:
    data = json.dumps(value).encode()
    for read in READERS:
        try:
            read(data)
        except RemoteProtocolError:
            pass


# --- paths ---------------------------------------------------------------------------------------


def test_names_of_any_letters_stand_in_a_path() -> None:
    path = rest_path("v2", "applications", "a b", "incomingstreams", "mp4:x/ü?#%.stream")
    assert path == "/v2/applications/a%20b/incomingstreams/mp4%3Ax%2F%C3%BC%3F%23%25.stream"
