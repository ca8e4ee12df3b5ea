"""The graph check: one case for each rule with its exact line, and all problems at once."""

from __future__ import annotations

import pytest
from attrs import evolve

from tierkit import Certificate, Edge, Graph, Limits, Listener, Node, Origin, Relay
from tierkit._check import check
from tierkit.plugins.flv import FLV
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

from .fakes import Box, Echo, Inside, Publish

ORIGIN = Origin("origin", "http://origin.example")
CERTIFICATE = Certificate("cert.pem", "key.pem")

NO_CERTIFICATE = (
    "needs a certificate: give Listener(address, certificates=Certificate(cert, key)) or --cert FILE --key FILE"
)
NO_PORT = "and port 0 is no port to dial: give shield a fixed port, or reach='HOST:PORT'"


def edge(name: str = "e", **changes: object) -> Edge:
    defaults: dict[str, object] = {"upstream": ORIGIN, "listen": ":8080", "serves": Echo()}
    return Edge(name, **{**defaults, **changes})  # type: ignore[arg-type]


def cycle(*names: str) -> Graph:
    """Edges forced into a circle, which the constructors cannot write."""
    tiers = [edge(name, upstream=(), listen=f":{9000 + i}") for i, name in enumerate(names)]
    for here, there in zip(tiers, tiers[1:] + tiers[:1], strict=True):
        object.__setattr__(here, "upstream", (there,))
    return Graph.of(tiers[0])


def test_a_good_graph_has_no_problems() -> None:
    shield = edge("shield", host="s.example", listen=("http://:80", Listener("https://:443", CERTIFICATE)))
    studio = Origin("studio", listen=("rtmp://:1935", "http://:8081"), serves=(Publish(), Echo()))
    box = Origin("box", "box.example:1935", speaks=Box())
    leaf = edge("leaf", upstream=(shield, studio), policy="hash", listen=":0", serves=(Inside(), Echo()))
    pusher = Relay("pusher", listen="unix:/run/r.sock", serves=Publish(), push=(studio, box))
    assert check(Graph.of(leaf, pusher, control=":9000")) == []


CASES: dict[str, tuple[Graph, list[str]]] = {
    "nothing runs": (
        Graph.of(ORIGIN),
        ["the graph has nothing to run: add an Edge, a Relay or an Origin that listens"],
    ),
    "two of one name": (
        Graph.of(edge("e"), edge("e", listen=":8081")),
        ["e: 2 tiers have this name: give each its own"],
    ),
    "two origins that look alike": (
        Graph.of(edge("a", upstream=Origin("o", "http://o")), edge("b", upstream=Origin("o", "http://o"), listen=":1")),
        ["o: 2 tiers have this name: give each its own"],
    ),
    "odd name": (
        Graph.of(edge("edge a")),
        ["'edge a': a tier's name is letters, digits, '.', '_' and '-', 63 at most: rename it"],
    ),
    "empty name": (
        Graph.of(edge("")),
        ["'': a tier's name is letters, digits, '.', '_' and '-', 63 at most: rename it"],
    ),
    "edge without upstream": (
        Graph.of(edge(upstream=None)),
        ["e: an edge has nothing of its own: give upstream="],
    ),
    "odd policy": (
        Graph.of(edge(policy="random")),
        ["e: policy 'random' is unknown: choose 'ordered' or 'hash'"],
    ),
    "upstream twice": (
        Graph.of(edge(upstream=(ORIGIN, ORIGIN))),
        ["e: names its upstream origin twice: once is enough"],
    ),
    "origin that is nowhere": (
        Graph.of(edge(upstream=Origin("o"))),
        ["o: an origin is either elsewhere or runs here: give it an address, or listen= and serves="],
    ),
    "origin that is both": (
        Graph.of(edge(upstream=Origin("o", "http://o.example", listen=":1", serves=Echo()))),
        ["o: an origin with an address is a server elsewhere: leave out listen= and serves="],
    ),
    "origin at a wildcard": (
        Graph.of(edge(upstream=Origin("o", "http://:80"))),
        ["o: http://:80 is no address to dial: write HOST:PORT"],
    ),
    "origin without scheme": (
        Graph.of(edge(upstream=Origin("o", "o.example:80"))),
        ["o: how does o.example:80 speak? Write http://o.example:80 or give speaks="],
    ),
    "speaks= of one that runs": (
        Graph.of(edge(upstream=Origin("o", listen="http://:81", serves=Echo(), speaks=Box()))),
        ["o: speaks= is for a server elsewhere: give its address, or serves= instead"],
    ),
    "no listener": (
        Graph.of(edge(listen=())),
        [
            "e: nobody can reach it: give listen=, for instance ':8080'",
        ],
    ),
    "no service": (
        Graph.of(edge(serves=())),
        ["e: it serves nothing: give serves=, for instance HLS() or RTMP()"],
    ),
    "wrong role": (
        Graph.of(edge(serves=Publish(), upstream=Origin("o", "rtmp://o"))),
        [
            "e: publish cannot stand in an edge: it is made for an origin or a relay",
            "e: publish cannot pull from anything: leave o out",
        ],
    ),
    "service without a listener": (
        Graph.of(Relay("r", listen=":1", serves=(Echo(), Publish()))),
        ["r: no listener leads to publish: add listen='rtmp://:PORT', or leave the service out"],
    ),
    "the same service twice": (
        Graph.of(edge(serves=(Echo(), Echo(loud=True)))),
        ["e: serves echo twice: once is enough"],
    ),
    "two services for one scheme": (
        Graph.of(
            Origin("studio", listen=("rtmp://:1935", "http://:8080"), serves=(Ingest(), FLV())),
            Origin("hidden", listen=("rtmp://:1936", "http://:8081"), serves=(FLV(), Ingest())),
        ),
        [
            "studio: http leads to ingest and never to flv, which speaks it too: give one of them a tier of its own",
            "hidden: http leads to flv and never to ingest, which speaks it too: give one of them a tier of its own",
        ],
    ),
    "a service without a door": (
        Graph.of(Relay("r", listen="rtmp://:1935", serves=(RTMP(), FLV()))),
        ["r: no listener leads to flv: add listen='http://:PORT', or leave the service out"],
    ),
    "a door for what needs none": (
        Graph.of(Relay("r", listen="http://:1", serves=Inside())),
        ["r: nothing answers at http://:1, inside needs no door: add what does"],
    ),
    "the same service without a door twice": (
        Graph.of(Relay("r", listen=":1", serves=(Echo(), Inside(), Inside(loud=True)))),
        ["r: serves inside 2 times: once is enough"],
    ),
    "scheme nobody answers": (
        Graph.of(edge(listen=("http://:1", "rtmp://:2"))),
        ["e: nothing answers at rtmp://:2, scheme 'rtmp' is none of http, https: change it"],
    ),
    "cannot pull": (
        Graph.of(edge(upstream=Origin("o", "rtmp://o.example/live"))),
        ["e: echo cannot pull from o, which speaks rtmp: it needs http or https"],
    ),
    "cannot pull by the source's scheme": (
        Graph.of(edge(upstream=Origin("o", "o.example", speaks=Box()))),
        ["e: echo cannot pull from o, which speaks rtmp: it needs http or https"],
    ),
    "cannot push": (
        Graph.of(Relay("r", listen=":1", serves=Echo(), push=Origin("o", "http://o"))),
        ["r: echo cannot push to anything: leave o out"],
    ),
    "cannot push there": (
        Graph.of(Relay("r", listen=":1", serves=Publish(), push=Origin("o", "http://o"))),
        ["r: publish cannot push to o, which speaks http: it needs rtmp"],
    ),
    "one port twice": (
        Graph.of(edge("a", listen="127.0.0.1:80"), edge("b", listen="http://:80")),
        ["b: :80 on 127.0.0.1 is taken by a already: choose another port"],
    ),
    "one usual port twice": (
        Graph.of(edge("a", listen="127.0.0.1:80"), edge("b", listen="127.0.0.1")),
        ["b: 127.0.0.1:80 on 127.0.0.1 is taken by a already: choose another port"],
    ),
    "one socket twice": (
        Graph.of(edge("a", listen="unix:/run/a"), edge("b", listen="http+unix:/run/a")),
        ["b: unix:/run/a on 127.0.0.1 is taken by a already: choose another port"],
    ),
    "twice in one tier": (
        Graph.of(edge("a", listen=(":80", "[::1]:80"))),
        ["a: [::1]:80 on 127.0.0.1 is taken by a already: choose another port"],
    ),
    "control address taken": (
        Graph.of(edge("a", listen=":8080"), control=":8080"),
        ["control address: 127.0.0.1:8080 on 127.0.0.1 is taken by a: choose another port"],
    ),
    "control address with TLS and no certificate": (
        Graph.of(edge(), control="https://h:1"),
        [f"control address: listener https://h:1 {NO_CERTIFICATE}"],
    ),
    "TLS without certificate": (
        Graph.of(edge(listen="https://:443")),
        [f"e: listener https://:443 {NO_CERTIFICATE}"],
    ),
    "certificate where nothing speaks TLS": (
        Graph.of(Relay("r", listen=Listener("rtmp://:1", CERTIFICATE), serves=Publish())),
        ["r: listener rtmp://:1 has a certificate but no TLS: write rtmps://:1"],
    ),
    "reach= for a scheme it does not speak": (
        Graph.of(edge(reach="https://lb.example")),
        ["e: reach='https://lb.example' is for https, which none of its listeners speaks: write it for http"],
    ),
    "reach= that reaches nothing": (
        Graph.of(edge(reach="0.0.0.0:80")),
        ["e: reach='0.0.0.0:80' is no address to dial: write HOST:PORT"],
    ),
    "option too small": (
        Graph.of(edge(serves=Echo(limit=0))),
        ["e: echo: option limit=0 is too small: give at least 1"],
    ),
    "option too large": (
        Graph.of(edge(serves=Echo(limit=1001))),
        ["e: echo: option limit=1001 is too large: give at most 1000"],
    ),
    "option with a unit": (
        Graph.of(edge(serves=Echo(wait=-1))),
        ["e: echo: option wait=-1 is too small: give at least 0 s"],
    ),
    "option that is no number": (
        Graph.of(edge(serves=Echo(wait="long"))),  # type: ignore[arg-type]
        ["e: echo: option wait='long' is not a number: give a number of s"],
    ),
    "option that is not a number": (
        Graph.of(edge(serves=Echo(wait=float("nan")))),
        ["e: echo: option wait=nan is not a number: give a number of s"],
    ),
    "option that is a truth": (
        Graph.of(edge(serves=Echo(limit=True))),
        ["e: echo: option limit=True is not a number: give a number"],
    ),
    "option that is no whole number": (
        Graph.of(edge(serves=Echo(limit=1.5))),  # type: ignore[arg-type]
        ["e: echo: option limit=1.5 is not a whole number: give a whole number"],
    ),
    "option that may be open": (
        Graph.of(edge(serves=Echo(ratio=2))),
        ["e: echo: option ratio=2 is too large: give at most 1"],
    ),
    "option of a choice": (
        Graph.of(edge(serves=Echo(accent="ionic"))),
        ["e: echo: option accent='ionic': choose one of 'none', 'greek'"],
    ),
    "option of the wrong type": (
        Graph.of(edge(serves=Echo(loud="yes", motto=7))),  # type: ignore[arg-type]
        [
            "e: echo: option loud='yes' is of the wrong type: give true or false",
            "e: echo: option motto=7 is of the wrong type: give a string",
        ],
    ),
    "option of a source": (
        Graph.of(
            Relay("r", listen=":1", serves=Publish(), push=Origin("box", "b:1", speaks=Box(depth=9))),
        ),
        ["box: box: option depth=9 is too large: give at most 3"],
    ),
    "limits": (
        Graph.of(edge(limits=Limits(connections=0, first_request=7200))),
        [
            "e: limits: option connections=0 is too small: give at least 1",
            "e: limits: option first_request=7200 is too large: give at most 3600 s",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_rule(case: str) -> None:
    graph, lines = CASES[case]
    assert check(graph) == lines
    assert all("\n" not in line for line in lines)


def test_all_problems_at_once() -> None:
    graph = Graph.of(
        edge("a", upstream=None, policy="x"),
        edge("a", serves=Echo(limit=0)),
        edge("b", listen="https://:1", upstream=Origin("o")),
        control=":8080",
    )
    told = check(graph)
    for words in (
        "a: 2 tiers",
        "an edge has nothing of its own",
        "policy 'x'",
        "is taken by a already",
        "option limit=0",
        "needs a certificate",
        "o: an origin is either",
        "control address: 127.0.0.1:8080",
    ):
        assert any(words in line for line in told), words


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (":80", ":80", True),
        (":80", ":81", False),
        (":0", ":0", False),
        ("0.0.0.0:80", "[::]:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("[::]:80", "[::1]:80", True),
        ("0.0.0.0:80", "edge.example:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        (":80", "[::1]:80", True),
        (":80", "0.0.0.0:80", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", ":80", False),
    ],
)
def test_which_listeners_are_in_each_others_way(one: str, other: str, clash: bool) -> None:
    for first, second in ((one, other), (other, one)):
        told = check(Graph.of(edge("a", listen=first), edge("b", listen=second)))
        assert bool(told) is clash, told
        assert not check(Graph.of(edge("a", listen=first, host="a.example"), edge("b", listen=second)))


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a",), ("same", "same", "same")])
def test_a_forced_cycle_is_told_and_never_hangs(names: tuple[str, ...]) -> None:
    told = check(cycle(*names))
    # The walk begins at the first node of the graph, which is the last one of the circle.
    assert len(told) == 1
    assert "upstreams go round in a circle" in told[0]
    assert told[0].endswith(": take one of them out")
    assert told[0].count(" -> ") == len(names)


def test_a_cycle_through_push() -> None:
    relay = Relay("r", listen=":1", serves=Publish())
    object.__setattr__(relay, "push", (relay,))
    assert check(Graph.of(relay)) == ["r: upstreams go round in a circle, r -> r: take one of them out"]


def test_many_layers_are_walked_once() -> None:
    # Each of ten layers pulls from all of the last: 10**10 paths, 100 nodes.
    layer: list[Node] = [ORIGIN]
    for depth in range(10):
        layer = [edge(f"e{depth}-{i}", upstream=tuple(layer), listen=f":{2000 + 10 * depth + i}") for i in range(10)]
    graph = Graph.of(*layer)
    assert len(graph.nodes) == 101
    assert check(graph) == []


class TestDistance:
    """Across machines and processes what is dialled must mean something there."""

    def pair(self, upstream: Edge, **changes: object) -> Graph:
        return Graph.of(edge("leaf", upstream=upstream, host="leaf.example", listen=":9999", **changes))

    def test_port_0_is_no_port_to_dial_from_another_machine(self) -> None:
        assert check(self.pair(edge("shield", host="s.example", listen=":0"))) == [
            f"shield: leaf dials it from another machine, {NO_PORT}"
        ]

    def test_port_0_from_another_process(self) -> None:
        graph = Graph.of(edge("leaf", upstream=edge("shield", listen=":0")))
        assert check(graph) == []
        assert check(graph.only("shield")) == []
        assert check(graph.only("leaf")) == [f"shield: leaf dials it from another process, {NO_PORT}"]
        assert check(graph.only("leaf"), bound=["shield"]) == []

    def test_loopback_is_no_place_to_dial_from_another_machine(self) -> None:
        assert check(self.pair(edge("shield"))) == [
            "shield: leaf on leaf.example cannot dial it at 127.0.0.1:8080: give shield host= or reach="
        ]
        assert check(self.pair(edge("shield", host="s.example", listen="[::1]:80"))) == [
            "shield: leaf on leaf.example cannot dial it at [::1]:80: give shield host= or reach="
        ]
        assert check(self.pair(edge("shield", host="s.example", listen="unix:/run/s"))) == [
            "shield: leaf on leaf.example cannot dial it at unix:/run/s: give shield host= or reach="
        ]

    @pytest.mark.parametrize(
        ("changes", "dialled"),
        [
            ({"host": "s.example"}, "http://s.example:8080"),
            ({"reach": "lb.example:80"}, "http://lb.example:80"),
            ({"reach": "lb.example"}, "http://lb.example:8080"),
            ({"reach": "http://lb.example", "listen": ":0"}, None),
            ({"reach": "lb.example:80", "listen": ":0"}, "http://lb.example:80"),
            ({"reach": ":31080", "host": "s.example"}, "http://s.example:31080"),
            ({"host": "s.example", "listen": "10.0.0.7:80"}, "http://10.0.0.7:80"),
            ({"host": "s.example", "listen": ("unix:/run/s", "http://:80")}, "http+unix:/run/s"),
        ],
    )
    def test_what_others_dial(self, changes: dict[str, object], dialled: str | None) -> None:
        shield = edge("shield", **changes)
        found = shield.reach_address(("http", "https"))
        assert found == (None if dialled is None else type(found).parse(dialled))  # type: ignore[union-attr]

    def test_schemes_are_chosen_from(self) -> None:
        shield = edge(
            "shield",
            host="s.example",
            listen=("http://:80", Listener("https://:443", CERTIFICATE)),
            reach=("https://tls.example", "http://plain.example:8080"),
        )
        assert str(shield.reach_address(["https"])) == "https://tls.example:443"
        assert str(shield.reach_address(["http"])) == "http://plain.example:8080"
        assert shield.reach_address(["rtmp"]) is None
        assert check(self.pair(shield)) == []

    def test_push_targets_too(self) -> None:
        target = Origin("t", listen="rtmp://:1935", serves=Publish())
        relay = Relay("r", listen=":1935", serves=Publish(), push=target, host="r.example")
        assert check(Graph.of(relay)) == [
            "t: r on r.example cannot dial it at 127.0.0.1:1935: give t host= or reach=",
        ]
        assert check(Graph.of(evolve(relay, host="127.0.0.1", listen=":1936"))) == []
