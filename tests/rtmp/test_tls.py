"""RTMPS in and out, over the loopback: published, pulled and played, with certificates that are verified."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trustme

from tierkit import Address, Certificate, Graph, Listener, Relay, Trust, open_graph
from tierkit._registry import Registry
from tierkit.errors import UpstreamError
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import open_publisher, pull

from .media import gop, headers, letter


async def test_rtmps_all_the_way(tmp_path: Path) -> None:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "relay.pem"))
    trust = Trust(ca=str(tmp_path / "ca.pem"))
    door = Listener("rtmps://127.0.0.1:0", Certificate(str(tmp_path / "relay.pem")))
    entry = Relay("entry", listen=door, serves=RTMP(), trust=trust)
    leaf = Relay("leaf", listen=door, serves=RTMP(linger=0), upstream=entry)
    got: list[tuple[int, bytes]] = []
    enough = trio.Event()

    def take(type_id: int, timestamp: int, payload: bytes) -> None:
        got.append((type_id, payload))
        if len(got) == 3 + len(sent):
            enough.set()

    sent = gop(0, 25, size=20_000)
    with trio.fail_after(20):
        async with open_graph(Graph.of(leaf), registry=Registry(), drain=0.2) as handle, trio.open_nursery() as nursery:
            publish, play = (Address.parse(handle.url(name, "/live/s", scheme="rtmps")) for name in ("entry", "leaf"))
            with pytest.raises(UpstreamError, match="certificate"):
                async with open_publisher(handle.network, publish):
                    pass
            async with open_publisher(handle.network, publish, trust=trust) as publisher:
                nursery.start_soon(lambda: pull(handle.network, play, started=lambda: take, trust=trust))
                while not handle.statistics()["tiers"]["entry"]["figures"]["viewers"]:
                    await trio.sleep(0.01)
                for each in headers() + sent:
                    await publisher.send(*each)
                await enough.wait()
            nursery.cancel_scope.cancel()
    assert "".join(letter(*each) for each in got[:4]) == "MVAK"
    assert got == [(each.type_id, each.payload) for each in headers() + sent]
