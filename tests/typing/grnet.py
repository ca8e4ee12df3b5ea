"""The GRNET example of the design, as a type checker sees it."""

from functools import partial

from tierkit import Edge, Graph, Origin, Relay, run
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza

wowza = Origin("wowza", "wowza.example:1935", speaks=Wowza(app="live"))
edge = partial(Edge, upstream=wowza, serves=HLS(cache_bytes=512 << 20))

graph = Graph.of(
    edge("edge-a1", site="dc-a", host="a1.example", listen=":80"),
    edge("edge-a2", site="dc-a", host="a2.example", listen=":80"),
    edge("edge-b1", site="dc-b", host="b1.example", listen=":80"),
    Relay("relay-a", site="dc-a", host="a3.example", listen=":1935", upstream=wowza, serves=RTMP()),
)

if __name__ == "__main__":
    run(graph)
