"""The night of GRNET's record as a graph: one origin, three HLS edges in two datacentres, one RTMP relay.

python examples/grnet.py                    everything on this machine, with a live test signal
python examples/grnet.py --wowza HOST       the same tiers before a real Wowza
tierkit run examples/grnet.py               the tiers alone; publish to `studio` yourself
"""

import argparse
from functools import partial

from tierkit import Edge, Graph, Origin, Relay
from tierkit.demo import show
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza


def grnet(origin: Origin) -> Graph:
    """Viewers see four tiers; the origin sees four clients."""
    # Port 0: any free one.  On the real night each tier had its machine, and this said host= and ":80".
    edge = partial(Edge, upstream=origin, serves=HLS(cache_bytes=512 << 20), listen="127.0.0.1:0")
    return Graph.of(
        edge("edge-a1", site="dc-a"),
        edge("edge-a2", site="dc-a"),
        edge("edge-b1", site="dc-b"),
        Relay("relay-a", site="dc-a", upstream=origin, serves=RTMP(), listen="127.0.0.1:0"),
    )


# Stands in for Wowza: takes RTMP publishers, serves RTMP, and packages to HLS without transcoding.
studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
graph = grnet(studio)

if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--wowza", metavar="HOST", help="use this Wowza server instead of the embedded origin")
    options.add_argument("--stream", default="live/demo", metavar="APP/NAME", help="the stream to show")
    options.add_argument("--seconds", type=float, help="end by itself after this long")
    given = options.parse_args()

    if given.wowza:
        app = given.stream.partition("/")[0]
        wowza = Origin("wowza", f"{given.wowza}:1935", speaks=Wowza(app=app))
        show(grnet(wowza), stream=given.stream, seconds=given.seconds)
    else:
        show(graph, stream=given.stream, publish_to="studio", seconds=given.seconds)
