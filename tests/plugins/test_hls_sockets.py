"""The HLS edge over the sockets of this machine: bytes and memfds, plain and by TLS, read slowly and fast."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import pytest
import trio
import trustme

from tests.core.fakes import Record
from tests.support_http import Viewer, open_server
from tierkit import Certificate, Edge, Graph, Listener, Origin, Trust
from tierkit._net import RealNetwork
from tierkit._registry import Registry
from tierkit._serve import GraphHandle, open_graph
from tierkit.http import BodySink, Request, Response
from tierkit.plugin import Address
from tierkit.plugins.hls import HLS

SIZES = [0, 1, 65536, 65537, 3_000_000]
BODIES = {f"/live/s/{size}.ts": os.urandom(size) for size in SIZES}


async def give(request: Request) -> Response:
    body = BODIES[request.path]
    if request.query == "whole":
        return Response(200, [], body)

    async def drip(sink: BodySink) -> None:
        for i in range(0, len(body), 50_000):
            await sink.write(body[i : i + 50_000])

    return Response(200, [], drip, len(body) if request.query == "length" else None)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Certificate, Trust]:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "edge.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return Certificate(str(folder / "edge.pem")), Trust(ca=str(folder / "ca.pem"))


async def fetch(network: RealNetwork, handle: GraphHandle, scheme: str, trust: Trust, path: str, *fields: str) -> bytes:
    viewer = Viewer(await network.connect(Address.parse(handle.url("edge", scheme=scheme)), trust=trust))
    try:
        answer = await viewer.ask(path, *fields)
        assert answer.status in (200, 206)
        return answer.body
    finally:
        viewer.connection.close()


@pytest.mark.parametrize("query", ["whole", "length", "chunks"])
async def test_what_the_origin_has_is_what_viewers_get(query: str, certificate: tuple[Certificate, Trust]) -> None:
    network, (issued, trust) = RealNetwork(), certificate
    async with open_server(network, give, "http://127.0.0.1:0") as origin:  # type: ignore[arg-type]
        doors = ("http://127.0.0.1:0", Listener("https://127.0.0.1:0", issued))
        edge = Edge("edge", upstream=Origin("origin", origin.address), listen=doors, serves=HLS())
        async with open_graph(
            Graph.of(edge), network=network, registry=Registry(), observers=[Record()], drain=1
        ) as handle:
            bodies: list[tuple[str, bytes]] = []

            async def ask(path: str, scheme: str) -> None:
                bodies.append((path, await fetch(network, handle, scheme, trust, f"{path}?{query}")))

            with trio.fail_after(20):
                for _ in range(2):  # cold and growing, then stored
                    async with trio.open_nursery() as nursery:
                        for path in BODIES:
                            for scheme in ("http", "https") * 2:
                                nursery.start_soon(ask, path, scheme)
                assert len(bodies) == 2 * 4 * len(SIZES)
                assert all(body == BODIES[path] for path, body in bodies)
                for scheme in ("http", "https"):
                    path, wanted = "/live/s/3000000.ts", "Range: bytes=1000000-2500000"
                    part = await fetch(network, handle, scheme, trust, f"{path}?{query}", wanted)
                    assert part == BODIES[path][1_000_000:2_500_001]
            assert handle.running("edge")["hls"].statistics().misses == len(SIZES)  # type: ignore[attr-defined]
            assert network.descriptors.memfds == 4  # two objects, each mapped for those who come by TLS
    assert network.descriptors.memfds == 0


async def test_a_truncated_body_is_a_reset_on_the_wire(certificate: tuple[Certificate, Trust]) -> None:
    """As the peer's own TCP sees it: never an end of file, with TLS no close_notify."""
    network, (issued, trust) = RealNetwork(), certificate

    async def break_off(request: Request) -> Response:
        async def body(sink: BodySink) -> None:
            await sink.write(b"x" * 1000)
            raise ValueError("the origin dies")

        return Response(200, [], body, 2000)

    async with open_server(network, break_off, "http://127.0.0.1:0") as origin:  # type: ignore[arg-type]
        doors = ("http://127.0.0.1:0", Listener("https://127.0.0.1:0", issued))
        edge = Edge("edge", upstream=Origin("origin", origin.address), listen=doors, serves=HLS())
        async with open_graph(
            Graph.of(edge), network=network, registry=Registry(), observers=[Record()], drain=1
        ) as handle:
            plain, secure = (address.dial_port for address in handle.addresses("edge"))

            def read(port: int, context: ssl.SSLContext | None) -> str:
                sock = socket.create_connection(("127.0.0.1", port), timeout=10)
                if context is not None:
                    sock = context.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
                with sock:
                    sock.sendall(b"GET /live/s/x.ts HTTP/1.1\r\nHost: a\r\n\r\n")
                    try:
                        while sock.recv(65536):
                            pass
                    except (ConnectionResetError, ssl.SSLEOFError):
                        return "reset"
                    return "clean"

            assert await trio.to_thread.run_sync(read, plain, None) == "reset"
            context = ssl.create_default_context(cafile=trust.ca)
            assert await trio.to_thread.run_sync(read, secure, context) == "reset"
