"""Two levels: an origin, a shield that alone asks it, and edges that ask the shield.

    tierkit run examples/two_levels.py
    ffmpeg -re -i FILE -c copy -f flv rtmp://127.0.0.1:1935/live/s
    ffplay http://127.0.0.1:8081/live/s/playlist.m3u8

However many edges there are, the origin serves each segment once.  With two shields, `policy="hash"` gives
each stream to one of them, and the other takes over when it is down.
"""

from tierkit import Edge, Graph, Origin, run
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest

studio = Origin("studio", listen=("rtmp://127.0.0.1:1935", "http://127.0.0.1:8080"), serves=Ingest())

shields = tuple(
    Edge(f"shield-{n}", upstream=studio, listen=f"127.0.0.1:809{n}", serves=HLS(cache_bytes=1 << 30)) for n in (1, 2)
)
edges = tuple(
    Edge(f"edge-{n}", upstream=shields, policy="hash", listen=f"127.0.0.1:808{n}", serves=HLS(cache_bytes=256 << 20))
    for n in (1, 2, 3)
)

graph = Graph.of(*edges, control="127.0.0.1:9000")

if __name__ == "__main__":
    run(graph)
