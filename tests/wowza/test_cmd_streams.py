"""`tierkit wowza streams` and `shield`, against control ports on real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import define, field

from tierkit import RealNetwork
from tierkit.http import Request, Response

from ..cli.support import Outcome, tierkit_
from ..codecs.test_wowza_counts import INFO
from ..codecs.test_wowza_rest import STATUS
from ..support_http import open_server
from .control_rig import PASSWORD, USER, Port, body
from .test_control_client import HOST_PATH, STATUS_PATH

APPLICATIONS = b'{"applications":[{"id":"live","appType":"Live"}]}'
INSTANCES = b"""{"instanceList":[{"name":"_definst_","incomingStreams":[
{"name":"s","isConnected":true,"sourceIp":"rtmp://192.0.2.7:50000"},{"name":"gone","isConnected":false}]}]}"""
COUNTS = INFO.partition(b"<Client>")[0] + b"<Stream>" + INFO.partition(b"<Stream>")[2]


@define
class Ports:
    """A Wowza's control ports, and one of ours."""

    rest: Port = field(
        factory=lambda: Port(
            {
                STATUS_PATH: STATUS,
                f"{HOST_PATH}/applications": APPLICATIONS,
                f"{HOST_PATH}/applications/live/instances": INSTANCES,
            },
            asks="digest",
        )
    )
    admin: Port = field(factory=lambda: Port({"/connectioncounts": COUNTS, "/serverinfo": INFO}, asks="digest"))
    control: Port = field(factory=Port)
    at: dict[str, str] = field(factory=dict)

    async def run(self, *arguments: object) -> Outcome:
        """Call the command line, which has a trio of its own, in a thread."""
        return await trio.to_thread.run_sync(lambda: tierkit_("wowza", *arguments))


@asynccontextmanager
async def open_ports() -> AsyncIterator[Ports]:
    ports = Ports()
    async with AsyncExitStack() as stack:
        for name, port in (("rest", ports.rest), ("admin", ports.admin), ("control", ports.control)):
            server = open_server(RealNetwork(), port.answer, "http://127.0.0.1:0")  # type: ignore[arg-type]
            ports.at[name] = (await stack.enter_async_context(server)).address.authority
        yield ports


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERKIT_WOWZA_CREDENTIALS", f"{USER}:{PASSWORD}")


# --- streams -------------------------------------------------------------------------------------


async def test_streams_from_rest() -> None:
    async with open_ports() as ports:
        found = await ports.run("streams", ports.at["rest"])
        assert (found.code, found.err) == (0, [])
        assert [line.split() for line in found.out] == [
            ["stream", "comes", "in", "viewers", "from"],
            ["live/gone", "no", "0"],
            ["live/s", "yes", "0", "rtmp://192.0.2.7:50000"],
        ]


async def test_streams_from_the_counters() -> None:
    async with open_ports() as ports:
        found = await ports.run("streams", f"http://{ports.at['admin']}")
        assert (found.code, found.err) == (0, [])
        assert [line.split() for line in found.out] == [
            ["stream", "comes", "in", "viewers", "hls", "rtmp", "from"],
            ["live/s", "not", "told", "2", "1", "1"],
        ]


async def test_streams_as_json() -> None:
    async with open_ports() as ports:
        found = await ports.run("streams", ports.at["rest"], "--json")
        (line,) = found.out
        told = json.loads(line)
        assert (told["version"], told["connections"]) == ("4.7.0", 0)
        assert told["streams"][0] == {
            "path": "live/s",
            "app": "live",
            "instance": "_definst_",
            "name": "s",
            "connected": True,
            "viewers": {},
            "source": "rtmp://192.0.2.7:50000",
        }


@pytest.mark.parametrize(
    ("path", "code", "streams"),
    [
        ("live/s", 0, ["live/s"]),
        ("live/_definst_/s/", 0, ["live/s"]),
        ("live", 0, ["live/s", "live/gone"]),
        ("live/gone", 1, ["live/gone"]),
        ("live/nobody", 1, []),
        ("liv", 1, []),
    ],
)
async def test_one_stream(path: str, code: int, streams: list[str]) -> None:
    """A server that answers with zeros for a name that is not there proves nothing: only what is listed comes in."""
    async with open_ports() as ports:
        found = await ports.run("streams", f"{ports.at['rest']}/{path}", "--json")
        assert [each["path"] for each in json.loads(found.out[0])["streams"]] == streams
        assert found.code == code
        wanted = path.replace("/_definst_", "").strip("/")
        line = f"{ports.at['rest']}: nothing comes in for {wanted}: is its encoder connected, is the name right?"
        assert found.err == ([f"http://{line}"] if code else [])


async def test_credentials_from_a_file_and_wrong_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERKIT_WOWZA_CREDENTIALS")
    good, bad, odd = (tmp_path / name for name in ("good", "bad", "odd"))
    good.write_text(f"{USER}:{PASSWORD}\n")
    bad.write_text("admin:wr0ng")
    odd.write_text("hush")
    async with open_ports() as ports:
        where = ports.at["admin"]
        assert (await ports.run("streams", where, "--credentials-file", good)).code == 0
        assert (await ports.run("streams", f"{USER}:{PASSWORD}@{where}")).code == 0
        found = await ports.run("streams", where, "--credentials-file", bad)
        assert found.code == 1
        assert f"upstream http://{where}/connectioncounts: does not take this user and password" in found.err[0]
        assert "wr0ng" not in "".join(found.err)
        nobody = await ports.run("streams", where)
        assert (nobody.code, "wants to know who asks" in nobody.err[0]) == (1, True)
        found = await ports.run("streams", where, "--credentials-file", odd)
        assert (found.code, found.err) == (2, [f"no credentials are in {odd}: have one line there, USER:PASSWORD"])
        found = await ports.run("streams", where, "--credentials-file", tmp_path / "none")
        assert (found.code, "cannot be read" in found.err[0]) == (2, True)


@pytest.mark.parametrize(
    ("url", "code", "line"),
    [
        ("127.0.0.1:1", 1, "upstream http://127.0.0.1:1/"),
        (":8086", 2, ":8086 names no host: give HOST, HOST:PORT or a URL"),
        ("rtmp://wowza/live", 2, "@wowza/live is no control address of Wowza's"),
        ("8087", 2, "address '8087' is a port alone"),
    ],
)
async def test_servers_that_cannot_be_asked(url: str, code: int, line: str) -> None:
    found = await trio.to_thread.run_sync(lambda: tierkit_("wowza", "streams", url))
    assert found.code == code
    assert line in found.err[0]
    assert found.out == []


# --- shield --------------------------------------------------------------------------------------

GRAPH = """
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import Wowza

wowza = Origin("wowza", "127.0.0.1:1935", speaks=Wowza(app="live"))
edge = Edge("edge", upstream=wowza, host="192.0.2.8", listen=":80", serves=HLS())
leaf = Edge("leaf", upstream=wowza, host="192.0.2.99", listen=":80", serves=HLS())
graph = Graph.of(edge, leaf, control="{control}")
"""
STATISTICS = {
    "tiers": {
        "edge": {
            "state": "running",
            "bytes_out": 100_000,
            "connections": 61,
            "figures": {"viewers": 30, "upstream_connections": 1},
            "services": {"hls": {"audience": 42, "upstream_bytes": 1000}},
        }
    }
}


@asynccontextmanager
async def open_shield(tmp_path: Path) -> AsyncIterator[tuple[Ports, Path]]:
    async with open_ports() as ports:
        ports.control.says["/statistics"] = json.dumps(STATISTICS).encode()
        file = tmp_path / "graph.py"
        file.write_text(GRAPH.format(control=ports.at["control"]))
        yield ports, file


async def test_the_proof(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):
        found = await ports.run("shield", file, "--wowza", ports.at["admin"])
        assert found.code == 1  # somebody is served directly
        assert found.err == []
        assert found.out == [
            f"wowza at http://{ports.at['admin']}",
            "  Wowza has       2 clients: 1 of tiers, 1 of others",
            "  the tiers have  42 viewers on 61 connections: edge 42",
            "  ratio           42.0 viewers for each of 1 connection to it",
            "  bytes           97.7 KiB sent to viewers for 1000 B taken from Wowza: 99.00% saved",
            "  not heard       leaf: give --control of the graphs that run them",
            "  not told        who publishes: REST could not be asked, so encoders may be among those below",
            "served by Wowza directly: tell them, or whoever has linked them, to switch to a tier",
            *found.out[8:],
        ]
        assert found.out[9].split() == [
            "192.0.2.7", "rtmp", "1", "0", "min", "rtmp://wowza.example:1935/live", "LNX", "9,0,124,2",
        ]  # fmt: skip
        assert "s3cret" not in "".join(found.out)


async def test_where_the_ports_are_may_stand_in_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIERKIT_WOWZA_CREDENTIALS")
    more = """
from attrs import frozen
from tierkit.plugin import option

@frozen
class Known(Wowza):
    admin: str = option("", "Where its counters are.", secret=True)
    rest: str = option("", "Where its REST interface is.", secret=True)
"""
    async with open_shield(tmp_path) as (ports, file):
        text = file.read_text().replace("\nwowza = ", f"{more}\nwowza = ")
        where = ", ".join(
            f'{name}="{USER}:{PASSWORD}@:{ports.at[name].rpartition(":")[2]}"' for name in ("admin", "rest")
        )
        file.write_text(text.replace('Wowza(app="live")', f'Known(app="live", {where})'))
        found = await ports.run("shield", file)
        assert found.err == []
        # REST tells who publishes: the one at 192.0.2.7 plays no longer, it is the encoder.
        assert found.out[0] == "wowza at 127.0.0.1 (4.7.0)"
        assert found.out[1] == "  Wowza has       1 client: 1 of tiers, 0 of others, and 1 encoder"
        assert found.code == 0


async def test_tiers_behind_a_nat_are_named_by_their_network(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):
        found = await ports.run("shield", file, "--wowza", ports.at["admin"], "--tiers-in", "192.0.2.0/28", "--json")
        assert found.code == 0
        (told,) = json.loads("".join(found.out))["origins"]
        assert (told["clients"], told["tier_clients"], told["stragglers"]) == (2, 2, [])
        assert told["bytes_saved"] == 99_000


async def test_origin_mode_is_told(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):
        ports.admin.says["/serverinfo"] = b"<WowzaStreamingEngine><VHost/></WowzaStreamingEngine>"
        found = await ports.run("shield", file, "--wowza", ports.at["admin"])
        assert found.code == 0
        assert any("not counted     HLS" in line for line in found.out)


async def test_what_cannot_be_asked_is_told_and_the_rest_is_not_lost(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):
        found = await ports.run("shield", file, "--wowza", ports.at["admin"], "--control", "127.0.0.1:1")
        assert found.code == 1
        assert "control address http://127.0.0.1:1" in found.err[0]
        assert any("1 of tiers, 1 of others" in line for line in found.out)
        assert any("not heard       edge, leaf" in line for line in found.out)
        ports.admin.says["/serverinfo"] = body(b"", status=500)
        ports.admin.says["/connectioncounts"] = body(b"", status=500)
        found = await ports.run("shield", file, "--wowza", ports.at["admin"])
        assert found.code == 0
        assert any("answers 500" in line for line in found.err)
        assert any("clients: not told" in line for line in found.out)


async def test_counts_without_rows_where_serverinfo_is_not_to_be_had(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):
        del ports.admin.says["/serverinfo"]
        found = await ports.run("shield", file, "--wowza", ports.at["admin"])
        assert any("2 clients; which of them are tiers is not told" in line for line in found.out)


@pytest.mark.parametrize(
    ("change", "arguments", "line"),
    [
        (('speaks=Wowza(app="live")', ""), [], "no origin speaks Wowza: give one speaks=Wowza(...)"),
        ((', control="{control}"', ""), [], "the graph has no control address to ask the tiers by"),
        (("", ""), ["--tiers-in", "x"], "--tiers-in: "),
        (("", ""), ["--control", "http://h/path"], "is no control address: give HOST:PORT"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, change: tuple[str, str], arguments: list[str], line: str) -> None:
    file = tmp_path / "graph.py"
    file.write_text(GRAPH.replace(*change).format(control="127.0.0.1:1"))
    found = tierkit_("wowza", "shield", file, *arguments)
    assert found.code == 2
    assert line in "\n".join(found.err)


async def test_an_address_that_is_something_else(tmp_path: Path) -> None:
    async with open_shield(tmp_path) as (ports, file):

        def page(request: Request) -> Response:
            return body(b"<html></html>", "text/html")

        ports.control.says["/statistics"] = page
        found = await ports.run("shield", file, "--wowza", ports.at["admin"])
        assert "answers what is no JSON: is it tierkit's control address?" in found.err[0]
