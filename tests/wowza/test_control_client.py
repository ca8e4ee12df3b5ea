"""Asking Wowza's control ports: authentication, redirects, bounds, and one clear line for whatever goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address, AddressError
from tierkit.http import Request, Response
from tierkit.plugin import Connection
from tierkit.plugins.wowza import _client
from tierkit.plugins.wowza.admin import WowzaClient, WowzaCounters, WowzaFailure, WowzaRest
from tierkit.testing import MemoryNetwork

from ..codecs.test_wowza_counts import FLAT, INFO, RECORDED
from ..codecs.test_wowza_rest import APPLICATIONS, INSTANCES, STATUS
from ..support_http import open_door
from .control_rig import PASSWORD, Port, body, client, serving

STATUS_PATH = "/v2/servers/_defaultServer_/status"
HOST_PATH = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def line(caught: pytest.ExceptionInfo[WowzaFailure]) -> str:
    """What is told, which never has the password, and names the server and the path."""
    told = str(caught.value)
    assert PASSWORD not in told
    assert "\n" not in told
    assert re.match(r"upstream http://wowza:8087/[^ ?]*: ", told), told
    return told


# --- authentication ------------------------------------------------------------------------------


async def test_a_digest_is_answered_and_goes_ahead_from_then_on(network: MemoryNetwork) -> None:
    async with serving(network, Port({STATUS_PATH: STATUS}, asks="digest")) as port:
        rest = WowzaRest(client(network))
        for _ in range(3):
            assert (await rest.status()).version == "4.7.0"
        assert len(port.asked) == 4
        assert port.challenges == 1
        counts = [re.search(rb"nc=(\w+)", each.get(b"authorization", b"")) for each in port.fields]
        assert [each and each.group(1) for each in counts] == [None, b"00000001", b"00000002", b"00000003"]
        assert len(network.connections) == 1
        assert rest.client.scheme == "digest"


async def test_basic_is_said_where_basic_is_asked_for_and_not_before(network: MemoryNetwork) -> None:
    async with serving(network, Port({STATUS_PATH: STATUS}, asks="basic")) as port:
        assert (await WowzaRest(client(network)).status()).version == "4.7.0"
        assert [b"authorization" in each for each in port.fields] == [False, True]


@pytest.mark.parametrize("tells_stale", [True, False])
async def test_a_nonce_that_is_over_is_renewed(network: MemoryNetwork, tells_stale: bool) -> None:
    async with serving(network, Port({STATUS_PATH: STATUS}, asks="digest", uses=2, tells_stale=tells_stale)) as port:
        rest = WowzaRest(client(network))
        for _ in range(6):
            await rest.status()
        assert port.challenges == 3
        assert len(port.asked) == 9


async def test_wrong_credentials_are_told_once_and_nothing_is_tried_on(network: MemoryNetwork) -> None:
    async with serving(network, Port({STATUS_PATH: STATUS}, asks="digest")) as port:
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network, "admin:wr0ng@wowza")).status()
        assert caught.value.kind == "credentials"
        assert "does not take this user and password (digest): mend them" in line(caught)
        assert "wr0ng" not in str(caught.value)
        assert len(port.asked) == 2


async def test_a_server_that_asks_of_somebody_without_a_name(network: MemoryNetwork) -> None:
    async with serving(network, Port(asks="digest")):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network, "wowza")).status()
        assert "wants to know who asks: give USER:PASSWORD@ in the address" in line(caught)


async def test_a_loop_of_401_ends(network: MemoryNetwork) -> None:
    async with serving(network, Port(asks="digest", uses=0)) as port:
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind == "loop"
        assert "a loop of 401; look at its AuthenticationMethod and its clock" in line(caught)
        assert len(port.asked) == _client.ROUNDS


@pytest.mark.parametrize(
    ("challenge", "told"),
    [(b"Negotiate", "asks by Negotiate: set its"), (None, "by no way that it names")],
)
async def test_a_way_in_that_is_not_known(network: MemoryNetwork, challenge: bytes | None, told: str) -> None:
    fields = [] if challenge is None else [(b"WWW-Authenticate", challenge)]
    async with serving(network, Port({STATUS_PATH: Response(401, fields)})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert told in line(caught)


# --- redirects -----------------------------------------------------------------------------------


def to(location: str, status: int = 302) -> Response:
    return Response(status, [(b"Location", location.encode())])


@pytest.mark.parametrize("location", ["/moved", "moved", "http://wowza:8087/moved", "//wowza:8087/moved#x"])
async def test_a_redirect_on_the_same_server_is_followed(network: MemoryNetwork, location: str) -> None:
    async with serving(network, Port({"/connectioncounts": to(location), "/moved": RECORDED}, asks="digest")) as port:
        assert (await WowzaCounters(client(network)).counts()).viewers == 6
        assert port.asked[-1] == "GET /moved"


@pytest.mark.parametrize("location", ["http://evil:8087/", "https://wowza:8087/x", "http://wowza:9999/", "//evil"])
async def test_credentials_go_to_no_other_server(network: MemoryNetwork, location: str) -> None:
    evil = Port()
    async with serving(network, Port({STATUS_PATH: to(location)})), serving(network, evil, "http://evil:8087"):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind == "elsewhere"
        assert "and credentials stay here: give that address" in line(caught)
        assert evil.asked == []


async def test_a_redirect_loop_ends(network: MemoryNetwork) -> None:
    async with serving(network, Port({STATUS_PATH: to("/a"), "/a": to("/b"), "/b": to("/a")})) as port:
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind == "loop"
        assert "a redirect loop; mend it there" in line(caught)
        assert len(port.asked) == 1 + _client.REDIRECTS


@pytest.mark.parametrize("location", ["", "http://[::1", "ftp://wowza/", "http://wowza:8087/a b"])
async def test_a_redirect_to_nowhere(network: MemoryNetwork, location: str) -> None:
    async with serving(network, Port({STATUS_PATH: to(location)})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind in ("elsewhere", "loop")
        line(caught)


# --- answers that are of no use ------------------------------------------------------------------


async def test_a_server_that_is_not_there(network: MemoryNetwork) -> None:
    with pytest.raises(WowzaFailure) as caught:
        await WowzaRest(client(network)).status()
    assert caught.value.kind == "unreachable"
    assert "is the address right, the server up, the firewall open?" in line(caught)


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (403, "forbidden", "IPWhiteList"),
        (404, "missing", "has nothing there: is the name right"),
        (405, "refused", "does not know this method"),
        (409, "conflict", "says that its state does not allow that"),
        (500, "refused", "answers 500 to GET"),
    ],
)
async def test_a_status_says_what_to_do(network: MemoryNetwork, status: int, kind: str, told: str) -> None:
    said = body(b'{"message":"so it is","code":"404","success":false}', status=status)
    async with serving(network, Port({STATUS_PATH: said})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind == kind
        assert caught.value.status == status
        assert told in line(caught)
        assert str(caught.value).endswith("(it says: so it is)")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # On the wire: fewer bytes than were declared, a chunk that does not come, a body that only looks whole.
        (HEAD % len(STATUS) + STATUS[:100], "the answer was cut short"),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":', "the answer was cut short"),
        (HEAD % 100 + STATUS[:100], "the JSON is cut short after 100 bytes (as application/json)"),
    ],
)
async def test_a_truncated_payload(network: MemoryNetwork, said: bytes, told: str) -> None:
    async def speak(connection: Connection) -> None:
        await connection.recv()
        await connection.send_all(said)

    async with open_door(network, "http://wowza:8087", speak):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind == "truncated"
        assert told in line(caught)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (body(b"<html><body>Wowza</body></html>", "text/html"), "is not its status (as text/html)"),
        (body(b"<!DOCTYPE html><html>", "text/html"), "has a document type"),
        (body(b"<Status><Ver", "application/xml"), "the XML is cut short"),
        (body(b""), "the answer is empty"),
        (body(b"hello", "text/plain"), "the JSON is malformed at character 0 (as text/plain); a server's status was"),
    ],
)
async def test_what_cannot_be_read(network: MemoryNetwork, said: Response, told: str) -> None:
    async with serving(network, Port({STATUS_PATH: said})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert caught.value.kind in ("unreadable", "truncated")
        assert told in line(caught)


async def test_a_body_without_end_is_not_read_to_its_end(
    network: MemoryNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_client, "LONGEST", 100_000)
    async with serving(network, Port({STATUS_PATH: body(b"x" * 200_000)})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert "sends more than the 100000 bytes that are read" in line(caught)


async def test_a_port_that_speaks_no_http(network: MemoryNetwork) -> None:
    async def speak(connection: Connection) -> None:
        await connection.recv()
        await connection.send_all(b"\x03" * 1537)

    async with open_door(network, "http://wowza:8087", speak):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert "is it an HTTP port of Wowza's?" in line(caught)


@pytest.mark.parametrize("stalls", ["head", "body", "drips"])
async def test_everything_together_has_a_deadline(
    network: MemoryNetwork, autojump_clock: MockClock, stalls: str
) -> None:
    async def speak(connection: Connection) -> None:
        await connection.recv()
        if stalls == "body":
            await connection.send_all(HEAD % 100 + b"{")
        while stalls == "drips":
            await connection.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            await trio.sleep(1)
        await trio.sleep_forever()

    async with open_door(network, "http://wowza:8087", speak):
        began = trio.current_time()
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert trio.current_time() - began <= _client.DEADLINE
        assert caught.value.kind == "slow"
        assert "is the server overloaded?" in line(caught)


# --- what is read --------------------------------------------------------------------------------


async def test_rest_asks_for_json_and_survives_xml(network: MemoryNetwork) -> None:
    xml = (
        b"<Applications><Application><Id>live</Id></Application></Applications>",
        b"""<Instances><InstanceList><Instance><Name>_definst_</Name><IncomingStreams><IncomingStream>
        <Name>s</Name><IsConnected>true</IsConnected></IncomingStream></IncomingStreams></Instance></InstanceList>
        </Instances>""",
    )
    says = {f"{HOST_PATH}/applications": xml[0], f"{HOST_PATH}/applications/live/instances": xml[1]}
    async with serving(network, Port(dict(says))) as port:
        rest = WowzaRest(client(network))
        (stream,) = await rest.incoming()
        assert (stream.path, stream.connected) == ("live/s", True)
        assert rest.speaks_xml
        assert {each[b"accept"] for each in port.fields} == {b"application/json"}
        assert {each[b"content-type"] for each in port.fields} == {b"application/json"}


async def test_rest_lists_what_comes_in_over_all_applications(network: MemoryNetwork) -> None:
    says = {
        f"{HOST_PATH}/applications": APPLICATIONS,
        f"{HOST_PATH}/applications/wowza/instances": INSTANCES,
        f"{HOST_PATH}/applications/a%20b/instances": b'{"instanceList":[]}',
    }
    async with serving(network, Port(dict(says), asks="digest")) as port:
        rest = WowzaRest(client(network))
        assert [each.path for each in await rest.incoming()] == ["wowza/myStr"]
        assert [each.partition("applications")[2] for each in port.asked[1:]] == [
            "",
            "/wowza/instances",
            "/a%20b/instances",
        ]


async def test_an_application_that_is_removed_meanwhile_spoils_nothing(network: MemoryNetwork) -> None:
    says = {
        f"{HOST_PATH}/applications": APPLICATIONS,
        f"{HOST_PATH}/applications/a%20b/instances": INSTANCES,
    }
    async with serving(network, Port(dict(says))):
        rest = WowzaRest(client(network))
        assert [each.path for each in await rest.incoming()] == ["a b/myStr"]
        with pytest.raises(WowzaFailure, match="has nothing there"):
            await rest.incoming("wowza")


async def test_what_a_server_says_does_not_reach_a_terminal_as_it_is(network: MemoryNetwork) -> None:
    said = body(b'{"message":"\\u001b[2J\\u009b"}', status=500)
    async with serving(network, Port({STATUS_PATH: said})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaRest(client(network)).status()
        assert str(caught.value).isprintable()


ZEROS = b'{"uptime":0,"bytesIn":0,"bytesOut":0,"totalConnections":0,"connectionCount":{"RTMP":0},"name":"nobody"}'


async def test_a_200_with_zeros_is_no_sign_of_life(network: MemoryNetwork) -> None:
    """A Wowza is said to give zeros for a stream that is not there; one that is listed and not connected is none."""
    gone = INSTANCES.replace(b'"isConnected":true', b'"isConnected":false')
    traffic = f"{HOST_PATH}/applications/wowza/instances/_definst_/incomingstreams/myStr/monitoring/current"
    says = {traffic: ZEROS, f"{HOST_PATH}/applications/wowza/instances": gone}
    async with serving(network, Port(dict(says))) as port:
        rest = WowzaRest(client(network))
        assert (await rest.traffic("wowza", stream="myStr")).connections == 0
        assert await rest.stream("wowza", "myStr") is None
        assert await rest.stream("wowza", "nobody") is None
        port.says[f"{HOST_PATH}/applications/wowza/instances"] = INSTANCES
        assert await rest.stream("wowza", "nobody") is None
        found = await rest.stream("wowza", "myStr")
        assert found is not None
        assert found.source == "wowz://192.168.3.32:55557"


async def test_stream_files_are_connected_as_the_vendor_does(network: MemoryNetwork) -> None:
    done = body(b'{"success":true,"message":"","data":null}')
    base = f"{HOST_PATH}/applications/live"
    connect, stream = f"{base}/streamfiles/a%20b/actions/connect", f"{base}/instances/_definst_/incomingstreams"
    disconnect = f"{stream}/a%20b.stream/actions/disconnectStream"
    async with serving(network, Port({connect: done, disconnect: done}, asks="basic")) as port:
        rest = WowzaRest(client(network))
        await rest.connect("live", "a b.stream")
        await rest.disconnect("live", "a b")
        said = "connectAppName=live&appInstance=_definst_&mediaCasterType=rtp"
        assert port.asked[1:] == [f"PUT {connect}?{said}", f"PUT {disconnect}"]


async def test_the_counters(network: MemoryNetwork) -> None:
    says = {
        "/connectioncounts": RECORDED,
        "/serverinfo": INFO,
        "/": body(b"<html><body>Wowza Streaming Engine 4 Monthly Edition 4.4.0 build17748</body></html>", "text/html"),
    }
    async with serving(network, Port(dict(says), asks="digest"), "http://wowza:8086"):
        counters = WowzaCounters(client(network, port=8086))
        assert (await counters.counts()).counters.current == 6
        assert [each.address for each in (await counters.info()).clients] == ["192.0.2.7", "192.0.2.8"]
        assert await counters.product() == "Wowza Streaming Engine 4 Monthly Edition 4.4.0 build17748"


async def test_a_page_for_people_instead_of_counters(network: MemoryNetwork) -> None:
    """What the streaming port says to the same path."""
    page = body(b"<html><head/><body>Wowza Streaming Engine 4</body></html>", "text/html")
    async with serving(network, Port({"/connectioncounts": page})):
        with pytest.raises(WowzaFailure) as caught:
            await WowzaCounters(client(network)).counts()
        assert "nothing that Wowza counts: its root is 'html' (as text/html); connectioncounts was asked" in line(
            caught
        )


async def test_flat_counters_are_read_too(network: MemoryNetwork) -> None:
    async with serving(network, Port({"/connectioncounts": FLAT})):
        assert (await WowzaCounters(client(network)).counts()).viewers == 6


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("wowza", "http://wowza:8087"),
        ("u:p@wowza:9000", "http://wowza:9000"),
        ("https://wowza/v2/", "https://wowza:8087"),
        ("[::1]", "http://[::1]:8087"),
    ],
)
def test_an_address_needs_little(network: MemoryNetwork, address: str, reach: str) -> None:
    found = client(network, address)
    assert str(found.base) == reach
    assert PASSWORD not in repr(client(network))


def test_an_address_of_something_else(network: MemoryNetwork) -> None:
    with pytest.raises(AddressError, match=r"rtmp://\*\*\*@wowza is no control address"):
        WowzaClient(network, lambda: 0.0, Address.parse("rtmp://a:b@wowza"), port=8087)


async def test_a_request_is_asked_by_whoever_knows_it(network: MemoryNetwork) -> None:
    """The query, which may hold what is nobody's business, stands in no failure."""

    def say(request: Request) -> Response:
        return body(b"{}", status=500)

    async with serving(network, Port({"/x": say})):
        with pytest.raises(WowzaFailure) as caught:
            await client(network).get("/x", "token=hush")
        assert "hush" not in line(caught)


async def test_several_that_ask_at_once_are_each_challenged_and_all_let_in(network: MemoryNetwork) -> None:
    async with serving(network, Port({STATUS_PATH: STATUS}, asks="basic")) as port:
        rest = WowzaRest(client(network))
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(rest.status)
        assert port.challenges == 10


@pytest.mark.parametrize("large", [False, True])
async def test_large_answers_are_read_in_a_thread(network: MemoryNetwork, large: bool) -> None:
    """One loop serves everybody, and a thousand clients of `serverinfo` take a quarter of a second."""
    row = INFO[INFO.index(b"<Client>") : INFO.index(b"<HTTPSession>")]
    info = INFO.replace(row, row * (500 if large else 1))
    ran: list[str] = []

    async def run_sync(read: Callable[[bytes], object], data: bytes) -> object:
        ran.append(read.__name__)
        return read(data)

    async with serving(network, Port({"/serverinfo": info, "/connectioncounts": b"<a>" + b" " * 70_000})):
        address = Address.parse("wowza:8087")
        counters = WowzaCounters(WowzaClient(network, trio.current_time, address, port=8086, run_sync=run_sync))
        assert len((await counters.info()).clients) == (501 if large else 2)
        assert ran == (["read_counts"] if large else [])
        with pytest.raises(WowzaFailure, match="the XML is cut short"):
            await counters.counts()
