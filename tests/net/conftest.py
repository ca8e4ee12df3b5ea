"""One ground for each kind of connection that the shared checks run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tierkit import Address, Certificate, Listener, Trust
from tierkit._net import RealNetwork
from tierkit.testing import Ground, MemoryNetwork

GroundFactory = Callable[[], AbstractAsyncContextManager[Ground]]


class Papers:
    """An authority, and certificates of its own as files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ca = trustme.CA()
        self.ca_file = str(directory / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.trust = Trust(ca=self.ca_file)

    def issue(self, *names: str, file: str = "", answers: tuple[str, ...] = ()) -> Certificate:
        issued = self.ca.issue_cert(*names)
        stem = file or names[0].replace("*", "star").replace(":", "_")
        cert, key = self.directory / f"{stem}.pem", self.directory / f"{stem}.key"
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return Certificate(str(cert), str(key), answers)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def local_certificate(papers: Papers) -> Certificate:
    return papers.issue("127.0.0.1", "::1", "localhost", file="local")


KINDS = ("memory", "memory-small", "memory-tls", "tcp4", "tcp6", "unix", "tls", "tls6", "tls-unix")


@pytest.fixture
def ground_of(papers: Papers, local_certificate: Certificate, tmp_path: Path) -> Callable[[str], GroundFactory]:
    def make(kind: str) -> Ground:
        if kind.startswith("memory"):
            network = MemoryNetwork(buffer_bytes=5000) if kind == "memory-small" else MemoryNetwork()
            tls = kind == "memory-tls"
            listener = Listener(
                "https://a1.example:0" if tls else "http://a1.example:0", local_certificate if tls else ()
            )
            return Ground(network=network, listener=listener)
        secure = "tls" in kind
        where = {"tcp6": "[::1]:0", "tls6": "[::1]:0"}.get(kind, "127.0.0.1:0")
        scheme = "https" if secure else "http"
        if "unix" in kind:
            address = Address(scheme=scheme, unix=str(tmp_path / "edge.sock"))
        else:
            address = Address.parse(f"{scheme}://{where}")
        return Ground(
            network=RealNetwork(),
            listener=Listener(address, local_certificate if secure else ()),
            trust=papers.trust if secure else None,
            resets="unix" not in kind,
        )

    def factory(kind: str) -> GroundFactory:
        @asynccontextmanager
        async def ground() -> AsyncIterator[Ground]:
            yield make(kind)

        return ground

    return factory
