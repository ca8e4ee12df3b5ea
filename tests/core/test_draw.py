"""Graphs drawn: the whole plan in each form, no secrets, and nothing in a name that the form would obey."""

from __future__ import annotations

import json
import subprocess

import pytest

from tierkit import Edge, Graph, Node, Origin, Relay, TierkitError, draw

from .fakes import Box, Echo, Publish

WOWZA = Origin("wowza", "user:secret@wowza.example:1935", speaks=Box())
SHIELD = Edge("shield", site="dc-a", host="s.example", upstream=Origin("o", "http://o"), listen=":80", serves=Echo())
PUSHER = Relay("pusher", listen="rtmp://:1935", serves=Publish(), push=WOWZA)
LEAF = Edge(
    "leaf",
    site="dc-b",
    host="l.example",
    upstream=(SHIELD, SHIELD.upstream[0]),
    policy="hash",
    listen=(":80", "https://[::1]:443"),
    serves=Echo(limit=7, motto="secret", loud=True),
)
GRAPH = Graph.of(LEAF, PUSHER, control=":9000", control_token="secret")


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in text.splitlines()]


def test_text() -> None:
    assert cells(draw(GRAPH)) == [
        ["elsewhere"],
        ["o", "origin", "http://o"],
        ["wowza", "origin", "***@wowza.example:1935", "box"],
        ["dc-a"],
        ["shield", "edge", "s.example", "http://:80", "echo", "from o"],
        ["dc-b"],
        ["leaf", "edge", "l.example", "http://:80, https://[::1]:443", "echo", "from shield or o (hash)"],
        ["no site"],
        ["pusher", "relay", "127.0.0.1", "rtmp://:1935", "publish", "to wowza"],
        ["control: http://127.0.0.1:9000"],
    ]


def test_columns_stand_below_each_other() -> None:
    lines = [line for line in draw(GRAPH).splitlines() if "echo" in line]
    assert len({line.index("echo") for line in lines}) == 1


def test_a_part_says_what_runs_here() -> None:
    assert draw(GRAPH.at("dc-b")).splitlines()[-1] == "runs here: leaf"


def test_mermaid() -> None:
    assert draw(GRAPH, "mermaid").splitlines() == [
        "flowchart LR",
        '    subgraph s0["elsewhere"]',
        '        n0["o<br>origin<br>http://o"]',
        '        n3["wowza<br>origin box<br>***@wowza.example:1935"]',
        "    end",
        '    subgraph s1["dc-a"]',
        '        n1["shield<br>edge echo<br>http://:80"]',
        "    end",
        '    subgraph s2["dc-b"]',
        '        n2["leaf<br>edge echo<br>http://:80<br>https://[::1]:443"]',
        "    end",
        '    n4["pusher<br>relay publish<br>rtmp://:1935"]',
        "    n0 --> n1",
        "    n1 --> n2",
        "    n0 --> n2",
        "    n4 -- push --> n3",
    ]


def test_dot() -> None:
    lines = [line.strip() for line in draw(GRAPH, "dot").splitlines()]
    assert lines[0] == "digraph tierkit {"
    assert lines[-1] == "}"
    assert 'n0 [label="o\\norigin\\nhttp://o", style=dashed]' in lines
    assert 'n1 [label="shield\\nedge echo\\nhttp://:80"]' in lines
    assert [line for line in lines if "->" in line] == ["n0 -> n1", "n1 -> n2", "n0 -> n2", "n4 -> n3 [label=push]"]


def test_json() -> None:
    found = json.loads(draw(GRAPH.only("leaf"), "json"))
    assert found["control"] == "http://127.0.0.1:9000"
    by_name = {node["name"]: node for node in found["nodes"]}
    assert by_name["leaf"] == {
        "name": "leaf",
        "role": "edge",
        "site": "dc-b",
        "host": "l.example",
        "runs_here": True,
        "address": None,
        "listen": ["http://:80", "https://[::1]:443"],
        "reach": [],
        "upstream": ["shield", "o"],
        "policy": "hash",
        "push": [],
        "serves": [
            {
                "plugin": "echo",
                "options": {"loud": True, "limit": 7, "wait": 1.0, "motto": "(set)", "ratio": None},
            }
        ],
        "speaks": None,
    }
    assert by_name["shield"]["runs_here"] is False
    assert by_name["pusher"]["push"] == ["wowza"]
    assert by_name["wowza"]["address"] == "***@wowza.example:1935"
    assert by_name["wowza"]["host"] is None
    assert by_name["wowza"]["speaks"] == {"plugin": "box", "options": {"depth": 1}}


@pytest.mark.parametrize("format", ["text", "mermaid", "dot", "json"])
def test_no_secret_in_any(format: str) -> None:
    assert "secret" not in draw(GRAPH, format)


def odd(name: str) -> Node:
    return Edge(name, site='"]\n end', upstream=Origin("o", "http://o"), listen=":1", serves=Echo())


def test_a_name_cannot_leave_its_place() -> None:
    # `check` refuses such names; a graph is drawn before it is checked, too.
    graph = Graph.of(odd('a"] --> x\n"<script>\\'))
    mermaid = draw(graph, "mermaid")
    assert "<script>" not in mermaid
    assert [line for line in mermaid.splitlines() if "-->" in line and line.count('"') != 2] == ["    n0 --> n1"]
    dot = draw(graph, "dot")
    assert [line.strip() for line in dot.splitlines() if line.strip().startswith("n1 ")] == [
        'n1 [label="a\\"] --> x\\n\\"<script>\\\\\\nedge echo\\nhttp://:1"]'
    ]
    assert json.loads(draw(graph, "json"))["nodes"][1]["name"] == 'a"] --> x\n"<script>\\'


@pytest.mark.real("dot")
def test_graphviz_takes_it() -> None:
    for graph in (GRAPH, Graph.of(odd('a"] --> x\n'))):
        subprocess.run(["dot", "-Tsvg"], input=draw(graph, "dot"), text=True, capture_output=True, check=True)


def test_an_unknown_format() -> None:
    with pytest.raises(TierkitError, match="'svg' is unknown: choose one of text, mermaid, dot, json"):
        draw(GRAPH, "svg")
