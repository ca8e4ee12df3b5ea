"""The servers that are compared, each as its own makers would tune it for this work, one core each.

nginx keeps its cache in memory (tmpfs), fetches each object once (`proxy_cache_lock`), serves the stale one
while it looks for a new one, and writes no log.  Varnish has its memory store and threads enough for every
viewer of the largest row.  Both take the query out of the cache key, as people do for tokens.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import attrs

from benchmarks import _procs
from tierkit.plugins.hls import HLS

#: The option of tierkit by which parts of the query are left out of the key: all that the load sends.
#: Left out with a version that has no such option: its cache then sees as many objects as requests.
IGNORE_QUERY = ("ignore_query=token,CMCD",)

NGINX = """\
daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000;
pid {folder}/pid; error_log {folder}/error.log warn;
events {{ worker_connections 16384; multi_accept on; }}
http {{
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; server_tokens off;
  keepalive_timeout 300s; keepalive_requests 100000000; reset_timedout_connection on;
  open_file_cache max=20000 inactive=300s; open_file_cache_valid 60s; open_file_cache_min_uses 1;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {cache} levels=1:2 keys_zone=c:64m max_size=4g inactive=1h use_temp_path=off;
  upstream origin {{ server {origin}; keepalive 64; keepalive_requests 100000000; }}
  ssl_certificate {certificate}; ssl_certificate_key {certificate};
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:16m;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls} ssl backlog=4096;
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache c; proxy_cache_key $uri; proxy_cache_lock on;
      proxy_cache_use_stale error timeout updating; proxy_cache_background_update on;
      proxy_cache_revalidate on; proxy_buffers 16 16k;
    }}
  }}
}}
"""

VCL = """\
vcl 4.1;
backend origin { .host = "%s"; .port = "%s"; }
sub vcl_recv { set req.url = regsub(req.url, "\\?.*$", ""); }
"""


@attrs.frozen
class Peer:
    """A running server: its process, and the ports of its doors."""

    name: str
    pid: int
    port: int
    tls: int | None
    core: int | None
    #: Of its control address, where it has one.
    control: int | None = None


@attrs.frozen
class Place:
    """Where a peer is started: in front of an origin's port, on a core, with its files in a folder."""

    folder: Path
    origin: int
    core: int | None
    #: Options of tierkit's service, `NAME=VALUE` each.
    options: tuple[str, ...] = ()


Starter = Callable[[Place], AbstractContextManager[Peer]]


def certificate(folder: Path) -> Path:
    """A key (ECDSA P-256, as certificates of today have) and its own certificate, one PEM file."""
    found = folder / "certificate.pem"
    if not found.exists():
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        made += ["-days", "30", "-subj", "/CN=localhost", "-keyout", str(found), "-out", str(folder / "chain")]
        subprocess.run(made, check=True, capture_output=True)
        found.write_text(found.read_text() + (folder / "chain").read_text())
    return found


@contextmanager
def tierkit(place: Place) -> Iterator[Peer]:
    """The edge of this project."""
    command = [
        "edge",
        "hls",
        f"http://127.0.0.1:{place.origin}",
        "--cert",
        str(certificate(place.folder)),
        "--drain",
        "1",
    ]
    command += ["--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0"]
    known = attrs.fields_dict(HLS)
    for option in (*place.options, *(each for each in IGNORE_QUERY if each.partition("=")[0] in known)):
        command += ["--option", option]
    with _procs.tier(*command, doors=2, core=place.core, log=place.folder / "tierkit.log") as (pid, doors):
        ports = {protocol: int(address.rpartition(":")[2]) for protocol, address in doors.items()}
        yield Peer("tierkit", pid, ports["http"], ports["https"], place.core)


@contextmanager
def nginx(place: Place) -> Iterator[Peer]:
    """proxy_cache, with its files on tmpfs and the core's worker."""
    port, tls = _procs.free_port(), _procs.free_port()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else place.folder, prefix="bench-nginx-") as cache:
        names = {
            "folder": place.folder,
            "cache": cache,
            "origin": f"127.0.0.1:{place.origin}",
            "port": port,
            "tls": tls,
        }
        written = place.folder / "nginx.conf"
        written.write_text(NGINX.format(certificate=certificate(place.folder), **names))
        command = _procs.pinned(place.core, ["nginx", "-c", str(written), "-p", str(place.folder), "-e", "error.log"])
        log = place.folder / "nginx.log"
        with _procs.process(command, log) as child:
            _procs.wait_listening("nginx", port, child, log)
            yield Peer("nginx", child.pid, port, tls, place.core)


@contextmanager
def varnish(place: Place) -> Iterator[Peer]:
    """Varnish with its memory store; it speaks no TLS."""
    port = _procs.free_port()
    written = place.folder / "default.vcl"
    written.write_text(VCL % ("127.0.0.1", place.origin))
    with tempfile.TemporaryDirectory(dir=place.folder, prefix="varnish-") as work:
        command = ["varnishd", "-F", "-j", "none", "-n", work, "-a", f"127.0.0.1:{port}", "-f", str(written)]
        command += ["-s", "malloc,2G", "-t", "120"]
        for parameter in ("thread_pools=1", "thread_pool_min=200", "thread_pool_max=5000", "thread_pool_timeout=60"):
            command += ["-p", parameter]
        for parameter in ("listen_depth=4096", "timeout_idle=300"):
            command += ["-p", parameter]
        log = place.folder / "varnish.log"
        with _procs.process(_procs.pinned(place.core, command), log) as child:
            _procs.wait_listening("varnishd", port, child, log)
            yield Peer("varnish", child.pid, port, None, place.core)


STARTERS: dict[str, Starter] = {"tierkit": tierkit, "nginx": nginx, "varnish": varnish}


@contextmanager
def alive(starters: dict[str, Starter], names: tuple[str, ...], place: Place) -> Iterator[list[Peer]]:
    """These peers, all at once, each with a folder of its own."""
    with ExitStack() as stack:
        peers = []
        for name in names:
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place.folder, prefix=f"{name}-")))
            peers.append(stack.enter_context(starters[name](attrs.evolve(place, folder=own))))
        yield peers
