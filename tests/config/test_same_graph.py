"""Any graph written as TOML is read back as the same value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tierkit import Address, Certificate, Edge, Graph, Limits, Listener, Node, Origin, Registry, Relay, Restream, Trust
from tierkit.config import load_graph
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza

REGISTRY = Registry.load()

words = st.from_regex(r"[a-z][a-z0-9._-]{0,8}", fullmatch=True)
paths = words.map(lambda word: f"/etc/{word}.pem")
hosts = st.sampled_from(["", "127.0.0.1", "[::1]", "a.example"])
ports = st.integers(0, 65535)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)


@st.composite
def addresses(draw: st.DrawFn, *schemes: str) -> Address:
    return Address.parse(f"{draw(st.sampled_from(schemes))}{draw(hosts)}:{draw(ports)}")


@st.composite
def urls(draw: st.DrawFn, scheme: str) -> Address:
    user = draw(st.sampled_from(["", "u:p%40@", "u@"]))
    return Address.parse(
        f"{scheme}://{user}{draw(words)}:{draw(ports)}{draw(st.sampled_from(['', '/live', '/a?b=c']))}"
    )


certificates = st.builds(Certificate, paths, st.just("") | paths, names=st.lists(words, max_size=2).map(tuple))
listeners = st.builds(
    Listener,
    addresses("", "http://", "https://", "rtmp://") | st.just(Address.parse("unix:/run/x.sock")),
    certificates=st.lists(certificates, max_size=2).map(tuple),
    proxy_from=st.lists(st.sampled_from(["10.0.0.0/8", "unix"]), max_size=2).map(tuple),
)
takeovers = st.booleans() | st.sampled_from(["never", "stale"])
services: dict[str, st.SearchStrategy[Any]] = {
    "hls": st.builds(HLS, cache_bytes=st.integers(1 << 20, 1 << 40), idle_timeout=st.floats(1, 3600), cors=texts),
    "rtmp": st.builds(
        RTMP,
        max_streams=st.integers(1, 9999),
        takeover=st.booleans() | st.sampled_from(["never", "stale"]),
        pull=st.just(("a/b",)),
    ),
    "ingest": st.builds(Ingest),
}
common = {
    "site": st.just("") | words,
    "host": words,
    "reach": st.lists(urls("http"), max_size=2).map(tuple),
    "listen": st.lists(listeners, max_size=2).map(tuple),
    "trust": st.none() | st.builds(Trust, ca=st.just("") | paths, server_name=words, verify=st.booleans()),
    "limits": st.builds(
        Limits, connections=st.integers(1, 10**6), first_request=st.integers(100, 10**6).map(lambda ms: ms / 1000)
    ),
}
speaks = st.none() | st.builds(Wowza, app=words, tls=st.booleans(), http_port=ports)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes: list[Node] = []
    for name in draw(st.lists(words, min_size=1, max_size=6, unique=True)):
        kind = draw(st.sampled_from(["origin", "studio", "edge", "relay", "restream"]))
        shared = {key: draw(each) for key, each in common.items()}
        links = st.lists(st.sampled_from(nodes), max_size=3, unique_by=id).map(tuple) if nodes else st.just(())
        if kind == "origin":
            nodes.append(Origin(name, draw(urls("http")), speaks=draw(speaks), **shared))
        elif kind == "studio":
            nodes.append(Origin(name, serves=draw(services["ingest"]), **shared))
        elif kind == "restream":
            streams, backups = draw(st.lists(words, max_size=2)), draw(st.lists(urls("rtmp"), max_size=2))
            kept = {key: shared[key] for key in ("site", "trust")}
            nodes.append(Restream(name, draw(urls("rtmp")), streams=streams, backups=backups, **kept))
        elif kind == "edge":
            policy = draw(st.sampled_from(["ordered", "hash"]))
            nodes.append(Edge(name, upstream=draw(links), policy=policy, serves=draw(services["hls"]), **shared))
        else:
            serves = draw(st.lists(st.one_of(*services.values()), max_size=2))
            nodes.append(Relay(name, upstream=draw(links), push=draw(links), serves=serves, **shared))
    control = draw(st.none() | addresses("", "http://"))
    return Graph.of(*nodes, control=control, control_token=draw(texts))


# --- a graph as TOML: the inverse of what is tested, written as plainly as can be -------------------


_OF_TARGETS = ("address", "streams", "backups", "site", "trust")


def toml(graph: Graph) -> str:
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    if graph.control is not None:
        yield f"control = {_value(graph.control)}"
    yield f"control_token = {_value(graph.control_token)}"
    for node in graph:
        yield f"[{node.role}.{_value(node.name)}]"
        for field in attrs.fields(type(node)):
            value = getattr(node, field.name)
            if field.name == "name" or value is None or (isinstance(node, Restream) and field.name not in _OF_TARGETS):
                continue
            yield f"{field.name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's strings are TOML's, but for surrogate pairs and the one control character that JSON lets through.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Address):
        return _value(value.reveal())
    if isinstance(value, Node):
        return _value(value.name)
    if isinstance(value, Certificate):
        return _table({"cert": value.cert, "key": value.key, "names": value.names})
    fields = {each.name: getattr(value, each.name) for each in attrs.fields(type(value))}
    if isinstance(value, (Listener, Limits, Trust)):
        return _table(fields)
    return _table({"plugin": value.name, **fields})


def _table(fields: dict[str, Any]) -> str:
    return f"{{ {', '.join(f'{key} = {_value(value)}' for key, value in fields.items() if value is not None)} }}"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("same") / "g.toml"


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(graph=graphs())
def test_any_graph_is_read_back_as_it_was(graph: Graph, path: Path) -> None:
    path.write_text(toml(graph), encoding="utf-8")
    found = load_graph(path, REGISTRY)
    # TOML keeps its tables by kind, so only the order of nodes that do not feed each other may differ.
    assert {node.name: node for node in found} == {node.name: node for node in graph}
    assert (found.control, found.control_token) == (graph.control, graph.control_token)
    places = {node.name: i for i, node in enumerate(found)}
    assert all(places[up.name] < places[node.name] for node in found for up in (*node.upstreams, *node.targets))
