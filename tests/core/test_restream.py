"""Push targets with URLs of their own: what goes where, what is wrong, and what is shown to nobody."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from tierkit import Address, Edge, Graph, GraphError, Listener, Origin, Registry, Relay, Restream, check, draw, probe
from tierkit._restream import PushSource
from tierkit.config import load_graph
from tierkit.errors import NotServed
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

from .fakes import Echo

TUBE = Restream(
    "tube",
    "rtmps://me:pw@a.example/live2/abcd-key",
    streams="live/main",
    backups=("rtmps://b.example/live2/abcd-key?backup=1", "rtmp://c.example/x/abcd-key"),
)


def graph(*targets: Restream) -> Graph:
    return Graph.of(Relay("relay", listen="rtmp://127.0.0.1:1935", serves=RTMP(), push=targets))


def test_nothing_shows_a_key() -> None:
    shown = repr(graph(TUBE)) + "".join(draw(graph(TUBE), form) for form in ("text", "mermaid", "dot", "json"))
    assert "abcd-key" not in shown
    assert "pw" not in shown
    assert "rtmps://***@a.example/live2/***" in shown
    assert "rtmps://b.example/live2/***?***" in shown
    assert "takes live/main" in draw(graph(TUBE))
    (node, *_) = json.loads(draw(graph(TUBE), "json"))["nodes"]
    assert (node["role"], node["streams"], len(node["backups"])) == ("restream", ["live/main"], 2)
    # What ends in the stream's own name has no key in it.
    assert str(Restream("t", "rtmp://a/live/{name}").address) == "rtmp://a/live/{name}"


def test_it_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(graph(TUBE))) == graph(TUBE)
    assert hash(TUBE) == hash(pickle.loads(pickle.dumps(TUBE)))
    assert TUBE.address.reveal() == "rtmps://me:pw@a.example/live2/abcd-key"
    assert TUBE.schemes == ("rtmps", "rtmp")
    assert check(graph(TUBE)) == []


@pytest.mark.parametrize(
    ("streams", "path", "taken"),
    [
        ((), "/any/thing", True),
        ("live/main", "/live/main", True),
        ("/live/main/", "/live/main", True),
        ("live/main", "/live/main2", False),
        ("live/*", "/live/a/b", True),
        ("live/*", "/vod/a", False),
        (("live/a", "vod/*"), "/vod/x", True),
    ],
)
async def test_which_streams_go_there(streams: str | tuple[str, ...], path: str, taken: bool) -> None:
    recipe = Restream("t", "rtmp://a/x/{name}", streams=streams)
    source = PushSource(recipe, recipe.address)
    assert recipe.takes(path) == source.takes(path) == taken
    if not taken:
        with pytest.raises(NotServed, match="none of the streams of t"):
            await source.target(path, ("rtmp",))


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("rtmp://a/live2/KEY", "rtmp://a/live2/KEY"),
        ("rtmp://a/x/{name}", "rtmp://a/x/main"),
        ("rtmp://a/{app}/x_{name}?n={name}&a={app}", "rtmp://a/live/in/x_main?n=main&a=live/in"),
    ],
)
async def test_the_url_there(address: str, target: str) -> None:
    recipe = Restream("t", address, streams="live/in/main")
    source = PushSource(recipe, recipe.address)
    assert (await source.target("/live/in/main?token=ours", ("rtmp",))).reveal() == target
    odd = Restream("t", "rtmp://a/x/{app}-{name}")
    where = await PushSource(odd, odd.address).target("/{name}/{app}", ("rtmp",))
    assert where.path == "/x/{name}-{app}"  # a publisher's braces are its own


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (Restream("t", "rtmp://a/KEY", streams="a/b"), "t: rtmp://a/*** names no stream: write rtmp://a/APP/KEY"),
        (Restream("t", "rtmp://:1935/x/KEY", streams="a/b"), "t: rtmp://:1935/x/*** is no URL to push to"),
        (Restream("t", "rtmp://a/x/KEY"), "t: streams would collide at rtmp://a/x/***: name one in streams="),
        (Restream("t", "rtmp://a/x/KEY", streams="a/*"), "streams would collide"),
        (Restream("t", "rtmp://a/x/KEY", streams=("a/b", "a/c")), "streams would collide"),
        (Restream("t", "rtmp://a/x/{name}", backups="rtmp://b/x/KEY"), "streams would collide at rtmp://b/x/***"),
        (Restream("t", "rtmp://a/x/{stream}", streams="a/b"), "{stream} in rtmp://a/x/*** means nothing: choose {app}"),
        (Restream("t", "rtmp://a/x/K", streams="a/b", listen=":1"), "a Restream is a server elsewhere"),
    ],
)
def test_what_is_wrong_is_told(target: Restream, told: str) -> None:
    lines = check(graph(target))
    assert any(told in line for line in lines), lines
    assert "KEY" not in "".join(lines).replace("APP/KEY", "")


def test_it_cannot_be_pulled_from_and_must_be_spoken_to() -> None:
    lines = check(Graph.of(Edge("e", listen="http://127.0.0.1:80", serves=Echo(), upstream=TUBE)))
    assert "e: tube is only pushed to: name it in push=, or write an Origin to pull from" in lines
    lines = check(graph(Restream("web", "http://a/x/KEY", streams="a/b")))
    assert any("cannot push to web, which speaks http" in line for line in lines)


TOML = """
[relay.relay]
listen = "rtmp://127.0.0.1:1935"
serves = "rtmp"
push = "tube"

[restream.tube]
address = "rtmps://me:pw@a.example/live2/abcd-key"
streams = "live/main"
backups = ["rtmps://b.example/live2/abcd-key?backup=1", "rtmp://c.example/x/abcd-key"]
"""


def load(tmp_path: Path, text: str) -> Graph:
    (path := tmp_path / "g.toml").write_text(text)
    return load_graph(path, Registry.load())


def test_in_toml_it_is_the_same(tmp_path: Path) -> None:
    assert load(tmp_path, TOML)["relay"] == graph(TUBE)["relay"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('address = "rtmps://me:pw@a.example/live2/abcd-key"', "", "g.toml:7: tube: has no address: add address"),
        ('push = "tube"', 'push = "rtmp://a.example/live2/abcd-key"', "write [restream.NAME] with address = 'rtmp"),
        ('streams = "live/main"', "streams = 3", "tube: streams = 3 is of the wrong kind"),
        ('streams = "live/main"', 'stream = "live/main"', "tube: key 'stream' is unknown: did you mean 'streams'?"),
    ],
)
def test_mistakes_in_toml_are_told_without_the_key(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(GraphError) as caught:
        load(tmp_path, TOML.replace(old, new))
    assert told in str(caught.value)
    assert "abcd-key" not in str(caught.value)


async def test_each_of_its_addresses_is_tried_by_a_check() -> None:
    network = MemoryNetwork()
    await network.listen(Listener(Address.parse("rtmp://a.example:1935")))
    target = Restream("tube", "rtmp://a.example/live2/KEY", streams="live/*", backups="rtmp://b.example/x/{name}")
    found = await probe(Graph.of(graph(target)["relay"], Origin("o", "rtmp://o")), network=network)
    assert [(each.upstream, each.url, bool(each.problem)) for each in found] == [
        ("tube", "rtmp://a.example/live2/***", False),
        ("tube backup 1", "rtmp://b.example/x/name", True),
    ]
