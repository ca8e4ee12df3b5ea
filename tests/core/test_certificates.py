"""A certificate that was renewed badly: the old one stays, and somebody hears of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import trio
import trustme

from tierkit import Certificate, Graph, Listener, Origin, RealNetwork, Registry, Trust, open_graph
from tierkit.events import CertificateKept, CertificateTaken

from .fakes import Echo, Record

ENDS = datetime(2045, 6, 7, 8, 9, 10, tzinfo=UTC)


async def test_a_bad_renewal_is_told_once_and_the_old_certificate_stays(tmp_path: Path) -> None:
    authority = trustme.CA()
    pem, ca = tmp_path / "echo.pem", tmp_path / "ca.pem"
    authority.issue_cert("127.0.0.1", not_after=ENDS).private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(ca))
    listener = Listener("https://127.0.0.1:0", certificates=Certificate(str(pem)))
    origin = Origin("echo", listen=listener, serves=Echo())
    told = Record()
    network = RealNetwork()
    registry = Registry.load(installed=False)
    async with open_graph(Graph.of(origin), registry=registry, network=network, observers=[told], drain=0) as handle:
        (address,) = handle.addresses("echo")
        await trio.Path(pem).write_text("not a certificate")
        os.utime(pem, ns=(1, 1))  # whatever the clock of the file system, it has changed
        handle.reload_certificates()
        connection = await network.connect(address, trust=Trust(ca=str(ca)))
        connection.close()
        (shown,) = handle.statistics()["tiers"]["echo"]["certificates"]
        assert shown == {"address": str(address), "file": str(pem), "not_after": ENDS.timestamp()}
        await trio.sleep(2.2)  # it is looked at once a second, and told once
    (event,) = [each for each in told if isinstance(each, CertificateKept)]
    assert event.tier == "echo"
    assert event.text.startswith(f"echo: https://127.0.0.1:{address.port} keeps its old certificate: ")
    assert str(pem) in event.reason
    assert not told.of(CertificateTaken)


async def test_a_good_renewal_is_told_once(tmp_path: Path) -> None:
    pem = tmp_path / "echo.pem"
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    origin = Origin("echo", listen=Listener("https://127.0.0.1:0", certificates=Certificate(str(pem))), serves=Echo())
    told = Record()
    registry = Registry.load(installed=False)
    async with open_graph(Graph.of(origin), registry=registry, observers=[told], drain=0) as handle:
        (address,) = handle.addresses("echo")
        handle.reload_certificates()  # nothing has changed
        await trio.sleep(1.2)
        assert not told.of(CertificateTaken)
        trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
        os.utime(pem, ns=(1, 1))
        handle.reload_certificates()
        handle.reload_certificates()
        await trio.sleep(2.2)
    (event,) = told.of(CertificateTaken)
    assert event.text == f"echo: https://127.0.0.1:{address.port} has taken its new certificate"
