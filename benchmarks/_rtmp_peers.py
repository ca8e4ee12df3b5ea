"""The servers that take a publisher and fan out: tierkit as it comes, nginx-rtmp as it comes and tuned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import _procs
from benchmarks._peers import Peer, Place, Starter, certificate

__all__ = ["MODULE", "STARTERS"]

#: Where Debian puts it.
MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

RELAY = """\
from tierkit import Certificate, Graph, Listener, Relay
from tierkit.plugins.rtmp import RTMP

doors = ("rtmp://127.0.0.1:0", Listener("rtmps://127.0.0.1:0", certificates=Certificate({certificate!r})))
graph = Graph.of(Relay("relay", listen=doors, serves=RTMP({options})))
"""

NGINX = """\
load_module {module};
daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000;
pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 16384; multi_accept on; }}
rtmp {{
  access_log off;
  {tuned}
  server {{
    listen 127.0.0.1:{port};
    application live {{ live on; {buffer} }}
  }}
}}
"""
#: Large chunks, so that a message is one; pictures collect until 64 messages are there, or sound comes, which does not.
TUNED = {"tuned": "chunk_size 60000; out_cork 64;", "buffer": "buffer 1s;"}
STOCK = {"tuned": "chunk_size 4096;", "buffer": ""}


@contextmanager
def tierkit(place: Place) -> Iterator[Peer]:
    """The relay of this project, without an upstream: it takes publishers."""
    graph = place.folder / "graph.py"
    options = ", ".join(place.options)
    graph.write_text(RELAY.format(options=options, certificate=str(certificate(place.folder))))
    log = place.folder / "tierkit.log"
    with _procs.tier("run", str(graph), "--drain", "1", doors=2, core=place.core, log=log) as (pid, doors):
        ports = {protocol: int(address.rpartition(":")[2]) for protocol, address in doors.items()}
        yield Peer("tierkit", pid, ports["rtmp"], ports["rtmps"], place.core)


@contextmanager
def nginx(name: str, words: dict[str, str], place: Place) -> Iterator[Peer]:
    """nginx with its RTMP module, one worker."""
    port = _procs.free_port()
    written = place.folder / "nginx.conf"
    written.write_text(NGINX.format(module=MODULE, folder=place.folder, port=port, **words))
    command = _procs.pinned(place.core, ["nginx", "-c", str(written), "-p", str(place.folder), "-e", "error.log"])
    log = Path(place.folder, "nginx.log")
    with _procs.process(command, log) as child:
        _procs.wait_listening("nginx", port, child, log)
        yield Peer(name, child.pid, port, None, place.core)


STARTERS: dict[str, Starter] = {
    "tierkit": tierkit,
    "stock": partial(nginx, "stock", STOCK),
    "tuned": partial(nginx, "tuned", TUNED),
}
