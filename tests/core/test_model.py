"""The plan as a value: what a graph holds, its parts, and that it can be kept, compared and sent."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from attrs import exceptions

from tierkit import Edge, Graph, GraphError, Limits, Listener, Origin, Relay
from tierkit.plugin import Address, NotServed, PluginError, RemoteProtocolError, Service, UpstreamError

from .fakes import Box, Echo, Publish


def grnet() -> Graph:
    wowza = Origin("wowza", "wowza.example:1935", speaks=Box())
    web = Origin("web", "http://wowza.example:1935")
    return Graph.of(
        Edge("edge-a1", site="dc-a", host="a1.example", listen=":80", upstream=web, serves=Echo()),
        Edge("edge-a2", site="dc-a", host="a2.example", listen=":80", upstream=web, serves=Echo()),
        Edge("edge-b1", site="dc-b", host="b1.example", listen=":80", upstream=web, serves=Echo()),
        Relay("relay-a", site="dc-a", host="a1.example", listen=":1935", serves=Publish(), push=(wowza,)),
        control=":9000",
        control_token="hush",
    )


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.running]


def test_upstreams_stand_before_those_who_pull_from_them() -> None:
    assert [node.name for node in grnet()] == ["web", "edge-a1", "edge-a2", "edge-b1", "wowza", "relay-a"]
    assert names(grnet()) == ["edge-a1", "edge-a2", "edge-b1", "relay-a"]


def test_parts_by_site_host_and_name() -> None:
    graph = grnet()
    assert graph.sites == ("dc-a", "dc-b")
    assert names(graph.at("dc-a")) == ["edge-a1", "edge-a2", "relay-a"]
    assert names(graph.at("dc-b")) == ["edge-b1"]
    assert names(graph.on("a1.example")) == ["edge-a1", "relay-a"]
    assert names(graph.only("edge-b1", "edge-a1")) == ["edge-a1", "edge-b1"]
    assert names(graph.at("dc-a").on("a1.example").only("relay-a")) == ["relay-a"]
    assert graph.at("dc-a").nodes == graph.nodes  # the same plan: only what runs is less


def test_parts_that_are_empty_say_what_there_is() -> None:
    graph = grnet()
    cases: list[tuple[Callable[[], Graph], str]] = [
        (lambda: graph.at("dc-c"), "nothing in this graph runs by site 'dc-c': choose among dc-a, dc-b"),
        (
            lambda: graph.on("c.example"),
            "nothing in this graph runs by host 'c.example': choose among a1.example, a2.example, b1.example",
        ),
        (
            lambda: graph.only("edge-a1", "edge-c"),
            "nothing in this graph runs by tier 'edge-c': choose among edge-a1, edge-a2, edge-b1, relay-a",
        ),
        (lambda: graph.only("wowza"), "nothing in this graph runs by tier 'wowza'"),
        (lambda: graph.at("dc-b").only("edge-a1"), "nothing in this graph runs by tier 'edge-a1'"),
    ]
    for part, line in cases:
        with pytest.raises(GraphError) as caught:
            part()
        assert caught.value.problems[0].startswith(line)


def test_a_graph_is_a_value() -> None:
    graph = grnet()
    assert graph == grnet()
    assert hash(graph) == hash(grnet())
    assert graph != graph.at("dc-a")
    copy = pickle.loads(pickle.dumps(graph))
    assert copy == graph
    # One upstream of several tiers is still one, or the check would see two of one name.
    assert copy["edge-a1"].upstreams[0] is copy["edge-b1"].upstreams[0]
    with pytest.raises(exceptions.FrozenInstanceError):
        graph.control = None  # type: ignore[misc]
    with pytest.raises(exceptions.FrozenInstanceError):
        graph["edge-a1"].listen = ()  # type: ignore[misc]


@pytest.mark.parametrize("recipe", [Echo(limit=3), Publish(), Box(depth=2), Limits(connections=5), Listener(":80")])
def test_recipes_are_values(recipe: object) -> None:
    copy = pickle.loads(pickle.dumps(recipe))
    assert copy == recipe
    assert hash(copy) == hash(recipe)
    assert len({copy, recipe}) == 1


def test_a_token_is_not_shown() -> None:
    assert "hush" not in repr(grnet())


def test_look_up() -> None:
    assert grnet()["relay-a"].role == "relay"
    with pytest.raises(KeyError, match="relay-z"):
        grnet()["relay-z"]


@pytest.mark.parametrize(
    ("control", "address"),
    [
        (":9000", "http://127.0.0.1:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("0.0.0.0:9000", "http://0.0.0.0:9000"),
        ("unix:/run/tierkit", "http+unix:/run/tierkit"),
        (Listener("https://h:9000"), "https://h:9000"),
    ],
)
def test_a_bare_control_port_is_for_this_machine_alone(control: str | Listener, address: str) -> None:
    graph = Graph.of(Origin("o", "http://o"), control=control)
    assert graph.control is not None
    assert str(graph.control.address) == address


def test_who_answers_at_which_door() -> None:
    relay = Relay("r", listen=(":80", "rtmp://:1935", "http://:81"), serves=(Publish(), Echo()))
    assert [relay.scheme_of(each) for each in relay.listen] == ["rtmp", "rtmp", "http"]
    assert relay.schemes == ("rtmp", "http")
    assert isinstance(relay.service_for("https"), Echo)
    assert relay.service_for("srt") is None


def test_a_bare_port_with_a_certificate_is_the_services_tls() -> None:
    edge = Edge("e", listen=Listener(":443", certificates=()), serves=Echo())
    assert edge.schemes == ("http",)
    from tierkit import Certificate

    edge = Edge("e", listen=Listener(":443", Certificate("c")), serves=Echo())
    assert edge.schemes == ("https",)


def test_schemes_of_an_origin() -> None:
    assert Origin("o", "http://h").schemes == ("http",)
    assert Origin("o", "h:1", speaks=Box()).schemes == ("rtmp",)
    assert Origin("o", "h:1").schemes == ()
    assert Origin("o", listen="http://:1", serves=Echo()).schemes == ("http",)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: Edge("e", upstream="origin"),  # type: ignore[arg-type]
            "upstream= and push= take origins and tiers themselves, no names: 'origin' is none",
        ),
        (
            lambda: Graph.of("origin"),  # type: ignore[arg-type]
            "a graph takes origins and tiers themselves, no names: 'origin' is none",
        ),
        (lambda: Edge("e", serves="hls"), "serves= takes services such as HLS(): 'hls' is none"),  # type: ignore[arg-type]
        (lambda: Edge("e", serves=Echo), "serves= takes services such as HLS(): <class"),  # type: ignore[arg-type]
        (lambda: Edge("e", serves=(Echo(), 7)), "serves= takes services such as HLS(): 7 is none"),  # type: ignore[arg-type]
        (lambda: Edge("e", upstream=Echo()), "no names: Echo("),  # type: ignore[arg-type]
    ],
)
def test_what_stands_in_the_wrong_place_is_told_in_one_line(make: object, line: str) -> None:
    with pytest.raises(GraphError) as caught:
        make()  # type: ignore[operator]
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_services_may_be_an_iterator() -> None:
    services: list[Service] = [Echo(), Publish()]
    assert Edge("e", serves=iter(services)).serves == tuple(services)
    doors: list[str | Address] = [":1", Address(port=2)]
    assert Edge("e", listen=iter(doors)).listen == (Listener(":1"), Listener(":2"))


@pytest.mark.parametrize(
    "error",
    [
        UpstreamError("wowza", "is down"),
        PluginError("hls", "has no recipes"),
        RemoteProtocolError("rude words", hint=400),
        NotServed("elsewhere"),
    ],
)
def test_errors_cross_to_another_process(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_graph_error_holds_every_line() -> None:
    error = GraphError(["a: one", "b: two"])
    assert error.problems == ("a: one", "b: two")
    assert str(error) == "a: one\nb: two"
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
