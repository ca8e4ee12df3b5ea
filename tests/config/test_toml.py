"""Graphs from TOML: the same value as in Python, and every mistake at once with its line and its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tierkit import (
    AccessLog,
    Certificate,
    Edge,
    Graph,
    GraphError,
    Limits,
    Listener,
    Origin,
    Registry,
    Relay,
    Trust,
    check,
)
from tierkit.config import load_graph
from tierkit.plugins.flv import FLV
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza

from ..registry.plugins import GOOD

Load = Callable[[str], Graph]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def read(text: str) -> Graph:
        path = tmp_path / "g.toml"
        path.write_text(text)
        return load_graph(path)

    return read


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        with pytest.raises(GraphError) as caught:
            load(text)
        prefix = f"{tmp_path / 'g.toml'}"
        assert all(each.startswith(prefix) and "\n" not in each for each in caught.value.problems)
        return [each.removeprefix(prefix).removeprefix(":").lstrip() for each in caught.value.problems]

    return read


GRNET = """
control = ":9000"
control_token = "s3cret"

[origin.wowza]
address = "wowza.example:1935"
speaks = { plugin = "wowza", app = "live" }
trust = { ca = "ca.pem", server_name = "wowza.example" }

[edge.edge-a1]
site = "dc-a"
host = "a1.example"
listen = [":80", { address = "https://:443", cert = "a.pem", key = "keys/a.key", proxy_from = "10.0.0.0/8" }]
upstream = "wowza"
serves = { plugin = "hls", cache_bytes = "512MiB", idle_timeout = "1m30s" }

[edge.edge-a1.limits]
per_address = 500
first_request = "5s"

[edge.edge-b1]
site = "dc-b"
host = "b1.example"
reach = ["http://lb.example:8080"]
listen = ":80"
upstream = ["edge-a1", "wowza"]
policy = "hash"
serves = "hls"

[relay.relay-a]
listen = { address = "rtmps://:443", certificates = [{ cert = "a.pem" }, { cert = "/etc/b.pem", names = ["b", "c"] }] }
upstream = "wowza"
push = "elsewhere"
serves = ["rtmp"]

[origin.elsewhere]
address = "rtmp://u:p%40ss@cdn.example/app"
"""


def test_a_whole_graph_is_the_same_value_as_in_python(load: Load, tmp_path: Path) -> None:
    def file(name: str) -> str:
        return str(tmp_path / name)

    wowza = Origin(
        "wowza",
        "wowza.example:1935",
        speaks=Wowza(app="live"),
        trust=Trust(ca=file("ca.pem"), server_name="wowza.example"),
    )
    a1 = Edge(
        "edge-a1",
        site="dc-a",
        host="a1.example",
        listen=(
            ":80",
            Listener("https://:443", Certificate(file("a.pem"), file("keys/a.key")), proxy_from="10.0.0.0/8"),
        ),
        upstream=wowza,
        serves=HLS(cache_bytes=512 << 20, idle_timeout=90.0),
        limits=Limits(per_address=500, first_request=5.0),
    )
    b1 = Edge(
        "edge-b1",
        site="dc-b",
        host="b1.example",
        reach="http://lb.example:8080",
        listen=":80",
        upstream=(a1, wowza),
        policy="hash",
        serves=HLS(),
    )
    elsewhere = Origin("elsewhere", "rtmp://u:p%40ss@cdn.example/app")
    relay = Relay(
        "relay-a",
        listen=Listener("rtmps://:443", (Certificate(file("a.pem")), Certificate("/etc/b.pem", names=("b", "c")))),
        upstream=wowza,
        push=elsewhere,
        serves=RTMP(),
    )
    graph = load(GRNET)
    assert graph == Graph.of(wowza, elsewhere, a1, b1, relay, control=":9000", control_token="s3cret")
    assert check(graph) == []


def test_an_embedded_origin(load: Load) -> None:
    graph = load('[origin.studio]\nlisten = ["rtmp://:1935", "http://:8080"]\nserves = "ingest"\n')
    assert graph == Graph.of(Origin("studio", listen=("rtmp://:1935", "http://:8080"), serves=Ingest()))


def test_two_services_of_one_relay(load: Load) -> None:
    graph = load(
        '[relay.r]\nlisten = ["rtmp://:1935", "http://:8080"]\n'
        'serves = ["rtmp", { plugin = "flv", origins = ["https://www.example"], patience = "5s" }]\n'
    )
    flv = FLV(origins=("https://www.example",), patience=5.0)
    assert graph == Graph.of(Relay("r", listen=("rtmp://:1935", "http://:8080"), serves=(RTMP(), flv)))
    assert check(graph) == []


def test_a_plugin_beside_the_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(GOOD)
    graph = load(
        'plugins = "my.py"\n[origin.hole]\naddress = "hole:70"\nspeaks = "burrow"\n'
        '[relay.r]\nlisten = ":70"\nupstream = "hole"\nserves = { plugin = "gopher", depth = 5, menu = ["a"] }\n'
    )
    assert graph["r"].serves == (type(graph["r"].serves[0])(depth=5, menu=("a",)),)  # type: ignore[call-arg]
    assert check(graph) == []


def test_a_registry_can_be_used_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(GOOD)
    path = tmp_path / "g.toml"
    path.write_text('plugins = ["my.py"]\n[relay.r]\nlisten = ":70"\nserves = "gopher"\n')
    registry = Registry.load()
    assert load_graph(path, registry) == load_graph(path, registry)
    assert registry.failures == []


#: A graph that nothing is wrong with.
FINE = '[origin.o]\naddress = "http://o"\n[edge.e]\nlisten = ":80"\nupstream = "o"\nserves = "hls"\n'
#: What is made wrong, and the lines that it has to become.
MISTAKES = {
    "syntax": ("[edge.e]\nlisten = \n", ["2: this is no TOML: Invalid value"]),
    "syntax at the end": ('[edge.e]\nlisten = "', ["2: this is no TOML: Unterminated string"]),
    "a name twice": ("[edge.e]\n[edge.e]\n", ["2: this is no TOML: Cannot declare ('edge', 'e') twice"]),
    "top key": (FINE + "[edgy.x]\n", ["7: key 'edgy' is unknown: did you mean 'edge'?"]),
    "key": (FINE + 'lisen = "x"\n', ["7: e: key 'lisen' is unknown: did you mean 'listen'?"]),
    "key of another kind": (
        '[edge.e]\npush = "x"\n',
        [
            (
                "2: e: key 'push' is unknown: choose among "
                "upstream, policy, site, host, reach, listen, serves, trust, limits"
            )
        ],
    ),
    "no table of tables": ("edge = 3\n", ["1: edge is no table: write [edge.NAME]"]),
    "keys in the kind itself": (
        '[edge]\nlisten = ":80"\n',
        ["2: 'listen' stands in [edge] itself: write [edge.NAME] before it"],
    ),
    "one name for two": (
        FINE + "[relay.e]\n",
        ["3: e: is here twice, as edge and as relay: rename one of them"],
    ),
    "host": (FINE + "host = 3\n", ["7: e: host = 3 is of the wrong kind: write a string in quotes"]),
    "unknown upstream": (
        FINE.replace('upstream = "o"', 'upstream = ["o", "ohno"]'),
        ["5: e: upstream 'ohno' is unknown: choose among o"],
    ),
    "misspelt upstream": (
        FINE.replace("origin.o]", "origin.wowza]").replace('"o"', '"wovza"'),
        ["5: e: upstream 'wovza' is unknown: did you mean 'wowza'?"],
    ),
    "a number for an upstream": (
        FINE.replace('upstream = "o"', "upstream = 7"),
        ["5: e: upstream = 7 is of the wrong kind: write a string or a list of strings"],
    ),
    "a URL for an upstream": (
        FINE.replace('upstream = "o"', 'upstream = "http://u:p@h/a?t=1"'),
        [
            (
                "5: e: upstream: http://***@h/a?*** is a URL, and names are wanted here: "
                "write [origin.NAME] with address = 'http://***@h/a?***', and upstream = 'NAME'"
            )
        ],
    ),
    "itself": (
        FINE.replace('upstream = "o"', 'upstream = "e"'),
        ["5: e: upstreams go round in a circle, e -> e: take one of them out"],
    ),
    "a circle": (
        '[edge.a]\nupstream = "b"\n[edge.b]\nupstream = "c"\n[edge.c]\nupstream = "a"\n',
        ["2: a: upstreams go round in a circle, a -> b -> c -> a: take one of them out"],
    ),
    "a circle of pushes": (
        '[relay.a]\npush = "b"\n[relay.b]\nupstream = []\npush = "a"\n',
        ["2: a: upstreams go round in a circle, a -> b -> a: take one of them out"],
    ),
    "unknown plugin": (
        FINE.replace('"hls"', '"hsl"'),
        ["6: e: serves: plugin 'hsl' is unknown: did you mean 'hls'?"],
    ),
    "a source as a service": (
        FINE.replace('"hls"', '"wowza"'),
        ["6: e: serves: plugin 'wowza' is unknown: choose among flv, hls, ingest, package, record, rtmp"],
    ),
    "no plugin named": (
        FINE.replace('"hls"', "{ cache_bytes = 3 }"),
        [
            (
                "6: e: serves = {'cache_bytes': 3} names no plugin: "
                "write serves = 'NAME' or serves = { plugin = 'NAME', OPTION = VALUE }"
            )
        ],
    ),
    "unknown option": (
        FINE.replace('"hls"', '{ plugin = "hls", cache_byte = "1GiB" }'),
        ["6: e: hls: option 'cache_byte' is unknown: did you mean 'cache_bytes'?"],
    ),
    "wrong option": (
        FINE.replace('"hls"', '{ plugin = "hls", cache_bytes = "lots", max_waiters = "3" }'),
        [
            "6: e: hls: option cache_bytes='lots' is of the wrong kind: give a size such as 512MiB, 2GiB or 65536",
            "6: e: hls: option max_waiters='3' is of the wrong kind: give a whole number, without quotes",
        ],
    ),
    "wrong option of a source": (
        FINE.replace('"http://o"', '"o:1"\nspeaks = { plugin = "wowza", ap = "x" }'),
        ["3: o: wowza: option 'ap' is unknown: did you mean 'app'?"],
    ),
    "limits": (
        FINE + "limits = { per_adress = 3 }\n",
        ["7: e: limits: option 'per_adress' is unknown: did you mean 'per_address'?"],
    ),
    "limits in a table of their own": (
        FINE + "[edge.e.limits]\nconnections = true\n",
        ["7: e: limits: option connections=True is of the wrong kind: give a whole number, without quotes"],
    ),
    "limits no table": (FINE + "limits = 3\n", ["7: e: limits = 3 is of the wrong kind: write a table"]),
    "address": (
        FINE.replace('":80"', '":99999"'),
        ["4: e: listen: address ':99999' has an odd port: write a number from 0 to 65535"],
    ),
    "address no string": (
        FINE.replace('":80"', "80"),
        ["4: e: listen = 80 is of the wrong kind: write an address in quotes"],
    ),
    "listener": (
        FINE.replace('":80"', '{ adress = "https://:443" }'),
        [
            "4: e: listen: key 'adress' is unknown: did you mean 'address'?",
            "4: e: listen: {'adress': 'https://:443'} has no address: add address = ':PORT'",
        ],
    ),
    "certificate": (
        FINE.replace('":80"', '{ address = "https://:443", key = "k.pem" }'),
        ["4: e: listen: a certificate has no file: add cert = 'FILE', and key = 'FILE'"],
    ),
    "names of a certificate": (
        FINE.replace('":80"', '{ address = "https://:443", cert = "c", names = [1] }'),
        ["4: e: listen: names = [1] is of the wrong kind: write a list of strings"],
    ),
    "control": ('control = "[:1"\n' + FINE, ["1: control: address '[:1' has an odd IPv6 host: write [::1]:PORT"]),
    "token": ("control_token = 3\n" + FINE, ["1: control_token = 3 is of the wrong kind: write a string"]),
    "plugins": ("plugins = 3\n", ["1: plugins = 3 is of the wrong kind: write a string or a list of strings"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, problems: Callable[[str], list[str]]) -> None:
    text, expected = MISTAKES[mistake]
    assert problems(text) == expected


def test_all_mistakes_at_once_and_no_consequence_twice(problems: Callable[[str], list[str]]) -> None:
    text = """
contrl = ":9000"
plugins = ["nope.py"]

[origin.wowza]
address = "wowza.example:1935"
speaks = "wowzer"

[edge.first]
sit = "dc-a"
listen = ":80"
upstream = "wowza"
serves = "hls"

[edge.second]
listen = ":80"
upstream = "first"
serves = "hls"

[relay.lonely]
[relay.bad]
upstream = "wowzaa"
"""
    found = problems(text)
    nope = found.pop(1)
    assert nope.startswith("3: plugin nope: there is no file ")
    assert found == [
        "2: key 'contrl' is unknown: did you mean 'control'?",
        "7: wowza: speaks: plugin 'wowzer' is unknown: did you mean 'wowza'?",
        "10: first: key 'sit' is unknown: did you mean 'site'?",
        "22: bad: upstream 'wowzaa' is unknown: did you mean 'wowza'?",
        # A tier that nothing is wrong with by itself is looked at by the rules for all graphs.
        "lonely: nobody can reach it: give listen=, for instance ':8080'",
        "lonely: it serves nothing: give serves=, for instance HLS() or RTMP()",
    ]


def test_what_can_be_read_but_cannot_run_is_for_the_check(load: Load) -> None:
    graph = load(FINE.replace('upstream = "o"\n', ""))
    assert check(graph) == ["e: an edge has nothing of its own: give upstream="]


def test_a_plugin_that_did_not_load_is_told_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text(FINE.replace('"hls"', '"broken"'))
    broken = tmp_path / "broken.py"
    broken.write_text("1 / 0\n")
    with pytest.raises(GraphError) as caught:
        load_graph(path, Registry.load([broken]))
    (line,) = caught.value.problems
    assert line.startswith(f"{path}:6: e: serves: plugin 'broken' does not load: ZeroDivisionError")


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"[edge.caf\xe9]\n")
    (tmp_path / "graph.yaml").write_text("edge: x\n")
    (tmp_path / "folder.toml").mkdir()
    for name, said in {
        "latin.toml": "this is no TOML: write it in UTF-8",
        "graph.yaml": "is it Python or TOML? Give a file whose name ends in .py or .toml",
        "none.toml": "cannot be read: No such file or directory",
        "folder.toml": "cannot be read: Is a directory",
        "none.py": "cannot be read: No such file or directory",
    }.items():
        with pytest.raises(GraphError) as caught:
            load_graph(tmp_path / name)
        assert caught.value.problems == (f"{tmp_path / name}: {said}",)


def test_names_with_dots_and_quotes_are_found_too(problems: Callable[[str], list[str]]) -> None:
    text = '[edge."a.b"] # the first\nupstream = "x"\n[ edge . c ]\n"upstream" = "x"\n'
    assert problems(text)[:2] == [
        "2: a.b: upstream 'x' is unknown: choose among c",
        "4: c: upstream 'x' is unknown: choose among a.b",
    ]


def test_logs(load: Load, tmp_path: Path) -> None:
    edge = """
        [origin.o]
        address = "http://o.example"
        [edge.e]
        upstream = "o"
        listen = ":80"
        serves = "hls"
    """
    graph = load('access_log = "/var/log/a.log"' + edge)
    assert graph.access_log == AccessLog("/var/log/a.log")
    assert graph.viewer_addresses == "truncated"
    table = """
        viewer_addresses = "none"
        access_log = { file = "{tier}.log", form = "json", sample = 100, addresses = "full" }
    """
    graph = load(table + edge)
    # Beside the file that names it, as certificates are.
    assert graph.access_log == AccessLog(str(tmp_path / "{tier}.log"), form="json", sample=100, addresses="full")
    assert graph.viewer_addresses == "none"
    assert check(graph) == []


def test_mistakes_in_logs(problems: Callable[[str], list[str]]) -> None:
    text = 'access_log = { file = "a.log", forms = "json" }\nviewer_addresses = 24'
    assert [line.partition(": ")[2] for line in problems(text)] == [
        "access_log: option 'forms' is unknown: did you mean 'form'?",
        "viewer_addresses = 24 is of the wrong kind: write a string",
    ]
