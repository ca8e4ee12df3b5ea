"""What a graph may be written as, and what a type checker must refuse.

Each refusal is marked for mypy and for pyright; both are told to report a mark that is no longer needed, so
every mark here is a test.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from functools import partial

from tierkit import Address, Certificate, Edge, Graph, Listener, Origin, Relay, Restream
from tierkit.plugin import Service


def accepted(service: Service, other: Service) -> Graph:
    """All spellings that the design promises."""
    origin = Origin("o", "http://o.example")
    studio = Origin("studio", listen=("rtmp://:1935", "http://:8080"), serves=service)
    one = Edge("one", upstream=origin, listen=":80", serves=service)
    many = Edge("many", upstream=(origin, studio), listen=["http://:80", Address(port=81)], serves=(service, other))
    tls = Listener("https://:443", Certificate("cert.pem", "key.pem", names="a.example"), proxy_from="10.0.0.0/8")
    secure = Edge("secure", upstream=[one, many], policy="hash", listen=tls, serves=[service], reach="lb:443")
    target = Restream("t", "rtmp://a.example/x/KEY", streams="a/b", backups=("rtmp://b.example/x/KEY", Address()))
    open_relay = Relay("open", listen=(tls, ":1935"), serves=service, push=(origin, target))
    edge = partial(Edge, upstream=one, serves=service)
    graph = Graph.of(edge("leaf", listen=":82"), secure, open_relay, control=":9000", control_token="s")
    return graph.at("dc-a").on("a1.example").only("leaf")


def refused(service: Service) -> None:
    """Mistakes that never need to run to be found."""
    origin = Origin("o", "http://o.example")
    Edge("e", upstream="o", listen=":80", serves=service)  # type: ignore[arg-type]
    Edge("e", upstream=("o",), listen=":80", serves=service)  # type: ignore[arg-type]
    Edge("e", upstream=orgin, listen=":80", serves=service)  # type: ignore[name-defined] # noqa: F821
    Edge("e", upsteam=origin, listen=":80", serves=service)  # type: ignore[call-arg]
    Edge("e", upstream=origin, listen=":80", serves="hls")  # type: ignore[arg-type]
    Edge("e", upstream=origin, listen=80, serves=service)  # type: ignore[arg-type]
    Edge("e", upstream=origin, listen=":80", serves=service, push=(origin,))  # type: ignore[call-arg]
    Origin("o", 1935)  # type: ignore[arg-type]
    Graph.of("o")  # type: ignore[arg-type]
    origin.name = "other"  # type: ignore[misc]
