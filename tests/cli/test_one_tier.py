"""`tierkit edge`, `relay` and `origin`: one line each makes the graph that it says."""

from __future__ import annotations

import pytest

from tierkit import Certificate, Edge, Graph, Listener, Origin, Relay, check
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP

from .support import Caught, tierkit_
from .support import caught as caught

UPSTREAM = Origin("upstream", "http://origin.example:8080")


def test_an_edge(caught: Caught) -> None:
    outcome = tierkit_("edge", "hls", "http://origin.example:8080", "--listen", ":8081")
    assert outcome.code == 0, outcome.err
    assert caught.graph == Graph.of(Edge("edge", upstream=UPSTREAM, listen=":8081", serves=HLS()))
    (options,) = caught.options
    assert (options["log"], options["drain"]) == ("text", 20.0)
    assert "hls" in options["registry"].services()


def test_an_edge_with_everything(caught: Caught) -> None:
    words = [
        *("edge", "hls", "http://origin.example:8080", "--listen", "http://:80", "--listen", "https://:443"),
        *("--cert", "c.pem", "--key", "k.pem", "--option", "cache_bytes=2GiB", "-o", "idle-timeout=1m30s"),
        *("--name", "edge-a1", "--control", ":9000", "--log", "json", "--drain", "5s"),
    ]
    outcome = tierkit_(*words)
    assert outcome.code == 0, outcome.err
    serves = HLS(cache_bytes=2 << 30, idle_timeout=90.0)
    doors = ("http://:80", Listener("https://:443", Certificate("c.pem", "k.pem")))
    edge = Edge("edge-a1", upstream=UPSTREAM, listen=doors, serves=serves)
    assert caught.graph == Graph.of(edge, control=":9000")
    assert caught.options[0]["log"] == "json"
    assert caught.options[0]["drain"] == 5.0


def test_the_token_for_changes_is_in_the_environment(caught: Caught, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERKIT_CONTROL_TOKEN", "hush")
    words = ("edge", "hls", "http://origin.example:8080", "--listen", ":8081")
    for more in (("--control", ":9000"), ()):
        assert tierkit_(*words, *more).code == 0
    assert [graph.control_token for graph in caught.graphs] == ["hush", ""]


def test_a_certificate_makes_a_bare_port_speak_tls(caught: Caught) -> None:
    tierkit_("edge", "hls", "http://o", "--listen", ":8443", "--cert", "both.pem")
    assert caught.graph["edge"].schemes == ("https",)


@pytest.mark.parametrize("url", ["rtmp://origin.example", "rtmp://origin.example/live"])
def test_a_relay(caught: Caught, url: str) -> None:
    outcome = tierkit_("relay", "rtmp", url, "--listen", "[::1]:0")
    assert outcome.code == 0, outcome.err
    upstream = Origin("upstream", url)
    assert caught.graph == Graph.of(Relay("relay", upstream=upstream, listen="[::1]:0", serves=RTMP()))


@pytest.mark.parametrize(
    ("words", "schemes"),
    [
        (("--rtmp", ":1935", "--http", ":8080"), ("rtmp", "http")),
        (("--rtmp", "127.0.0.1:0"), ("rtmp",)),
        (("--rtmp", ":443", "--http", "http://:8080", "--cert", "c.pem"), ("rtmps", "http")),
    ],
)
def test_an_origin(caught: Caught, words: tuple[str, ...], schemes: tuple[str, ...]) -> None:
    outcome = tierkit_("origin", *words)
    assert outcome.code == 0, outcome.err
    assert caught.graph["origin"].schemes == schemes
    assert caught.graph["origin"].serves[0].name == "ingest"
    assert check(caught.graph) == []


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (("edge", "hlx", "http://o", "--listen", ":1"), ["service 'hlx' is unknown: did you mean 'hls'?"]),
        (
            ("edge", "hls", "http://o", "--listen", ":1", "-o", "cache_byte=1", "-o", "idle_timeout=x", "-o", "y"),
            [
                "hls: option 'y' has no value: write NAME=VALUE",
                "hls: option 'cache_byte' is unknown: did you mean 'cache_bytes'?",
                "hls: option idle_timeout='x' is of the wrong kind: give a time such as 2s, 500ms or 1m30s",
            ],
        ),
        (("edge", "hls", "http://o", "--listen", ":1", "--key", "k"), ["--key has no certificate: give --cert FILE"]),
        (("origin",), ["origin: nobody can reach it: give --rtmp :1935, and --http :8080 for HLS"]),
        (
            ("edge", "hls", "http://u:secret@:80x", "--listen", ":1"),
            ["address 'http://***@:80x' has an odd port: write a number from 0 to 65535"],
        ),
        (
            ("edge", "hls", "http://o", "--listen", ":1", "--plugin", "nowhere.py"),
            ["plugin nowhere: there is no file {cwd}/nowhere.py: give the path of a Python file"],
        ),
    ],
)
def test_what_cannot_be_meant_ends_with_2(caught: Caught, words: tuple[str, ...], lines: list[str]) -> None:
    import os

    outcome = tierkit_(*words)
    assert outcome.err == [line.format(cwd=os.getcwd()) for line in lines]
    assert (outcome.code, outcome.out, caught.graphs) == (2, [], [])


def test_what_only_the_check_finds_ends_with_2() -> None:
    # Not caught: the graph is refused before anything is opened.
    outcome = tierkit_("edge", "hls", "origin:8080", "--listen", "127.0.0.1:0", "-o", "cache_bytes=1")
    assert outcome.code == 2
    assert [line.partition(":")[0] for line in outcome.err] == ["upstream", "edge"]


@pytest.mark.parametrize("words", [("edge",), ("edge", "hls"), ("nothing",), ("edge", "hls", "http://o"), ()])
def test_usage_ends_with_2(words: tuple[str, ...]) -> None:
    assert tierkit_(*words).code == 2
