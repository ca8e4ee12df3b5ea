"""Authorisers by name: in TOML with their own options, on the command line in one text, and told where wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Graph, GraphError, Registry, Relay
from tierkit.config import load_graph, parse_options
from tierkit.plugins.callbacks import Callbacks
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.keys import Keys
from tierkit.plugins.networks import Networks
from tierkit.plugins.rtmp import RTMP

from ..registry.plugins import AUTHORISER

REGISTRY = Registry.load()

GRAPH = """
[relay.r]
listen = ":1935"

[relay.r.serves]
plugin = "rtmp"
decide_within = "3s"
authorise = [
  {{ plugin = "networks", allow = ["10.0.0.0/8", "unix"], on = "publish" }},
  {{ plugin = "callbacks", on_play = "http://backend.example/play", update_every = "1m", update_strict = true }},
  {more}
]
"""


def load(tmp_path: Path, text: str, registry: Registry = REGISTRY) -> Graph:
    path = tmp_path / "g.toml"
    path.write_text(text)
    return load_graph(path, registry)


def test_toml(tmp_path: Path) -> None:
    graph = load(tmp_path, GRAPH.format(more="{ plugin = 'keys', file = '/etc/keys' }"))
    authorise = (
        Networks(allow=("10.0.0.0/8", "unix"), on="publish"),
        Callbacks(on_play="http://backend.example/play", update_every=60.0, update_strict=True),
        Keys(file="/etc/keys"),
    )
    assert graph == Graph.of(Relay("r", listen=":1935", serves=RTMP(authorise=authorise, decide_within=3.0)))


def test_one_may_stand_alone_and_a_strangers_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "doors.py").write_text(AUTHORISER)
    text = (
        "plugins = ['doors.py']\n[relay.r]\nlisten = ':1935'\n"
        "[relay.r.serves]\nplugin = 'rtmp'\nauthorise = { plugin = 'door', names = '/live/s', patience = '2s' }\n"
    )
    (door,) = load(tmp_path, text, Registry.load()).nodes[0].serves[0].authorise  # type: ignore[attr-defined]
    assert (door.name, door.names, door.patience) == ("door", ("/live/s",), 2.0)
    text = text.replace("{ plugin = 'door', names = '/live/s', patience = '2s' }", "'door'")
    (door,) = load(tmp_path, text, Registry.load()).nodes[0].serves[0].authorise  # type: ignore[attr-defined]
    assert door.names == ()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("'kyes'", "rtmp: authorise: 'kyes' is unknown: did you mean 'keys'?"),
        ("{ file = 'x' }", "rtmp: authorise: {'file': 'x'} names no plugin: write 'NAME' or"),
        ("{ plugin = 'keys', flie = 'x' }", "rtmp: authorise: keys: option 'flie' is unknown: did you mean 'file'?"),
        ("{ plugin = 'keys', file = 3 }", "rtmp: authorise: keys: option file=3 is of the wrong kind"),
        ("3", "rtmp: authorise: 3 names no plugin"),
        ("'hls'", "rtmp: authorise: 'hls' is unknown"),
    ],
)
def test_mistakes_in_toml(more: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError) as caught:
        load(tmp_path, GRAPH.format(more=more))
    (line,) = caught.value.problems
    assert f": r: {problem}" in line


def test_the_command_line() -> None:
    text = "authorise=networks allow=10.0.0.0/8,unix on=publish; keys 'file=/etc/stream keys'"
    made, problems = parse_options(RTMP, [text], REGISTRY)
    assert problems == []
    assert made == RTMP(authorise=(Networks(allow=("10.0.0.0/8", "unix"), on="publish"), Keys(file="/etc/stream keys")))
    url = "http://backend.example/p?a=b#c"
    (made_2, _) = parse_options(Ingest, [f"authorise=callbacks on_publish={url.partition('#')[0]}"], REGISTRY)
    assert made_2 == Ingest(authorise=(Callbacks(on_publish="http://backend.example/p?a=b"),))
    assert parse_options(RTMP, ["authorise="], REGISTRY) == (RTMP(), [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kyes", "authorise: 'kyes' is unknown: did you mean 'keys'?"),
        ("keys file=a file=b", "authorise: 'keys file=a file=b' cannot be read: option file is given twice"),
        ("keys file", "authorise: 'keys file' cannot be read: option 'file' has no value: write NAME=VALUE"),
        ("keys 'file=a", 'authorise: "keys \'file=a" cannot be read: No closing quotation'),
        ("keys on=never flie=x", "authorise: keys: option 'flie' is unknown: did you mean 'file'?"),
    ],
)
def test_mistakes_on_the_command_line(text: str, problem: str) -> None:
    assert parse_options(RTMP, [f"authorise={text}"], REGISTRY) == (None, [problem])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=12), max_size=3))
def test_any_value_can_be_quoted(files: list[str]) -> None:
    text = ";".join(f"keys {shlex.quote(f'file={each}')}" for each in files)
    made, problems = parse_options(RTMP, [f"authorise={text}"], REGISTRY)
    assert problems == []
    assert made is not None
    assert made.authorise == tuple(Keys(file=each) for each in files)
