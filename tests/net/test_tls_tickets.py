"""TLS sessions: tickets before and after a renewal, what is kept of them, and whose ciphers are taken."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from tierkit import Certificate
from tierkit._certificates import ServerCertificates

from .conftest import Papers

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


class Visit:
    """A whole visit without a network: the handshake, and a byte each way that brings the tickets."""

    def __init__(
        self, server: ssl.SSLContext, client: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None
    ) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(down, up, server_hostname=name, session=session)
        far = server.wrap_bio(up, down, server_side=True)
        ends = [near, far]
        while ends:
            for end in tuple(ends):
                try:
                    end.do_handshake()
                    ends.remove(end)
                except ssl.SSLWantReadError:
                    pass
        far.write(b"!")
        assert near.read(1) == b"!"
        self.resumed = near.session_reused
        self.session = near.session
        cipher, certificate = near.cipher(), near.getpeercert()
        assert cipher is not None
        assert certificate is not None
        self.cipher = cipher[0]
        self.names = {value for _, value in certificate["subjectAltName"]}  # type: ignore[str-unpack]


def client_of(papers: Papers, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=papers.ca_file)
    context.minimum_version = context.maximum_version = version
    return context


def renew(live: Certificate, renewed: Certificate) -> None:
    shutil.copy(renewed.cert, live.cert)
    shutil.copy(renewed.key, live.key)


def live_pair(papers: Papers, directory: Path, *names: str, answers: tuple[str, ...] = ()) -> Certificate:
    live = Certificate(str(directory / f"{names[0]}.pem"), str(directory / f"{names[0]}.key"), answers)
    renew(live, papers.issue(*names, file=f"{names[0]}-1"))
    return live


@VERSIONS
@pytest.mark.parametrize("name", ["first.example", "second.example"])
@pytest.mark.parametrize("renewed", ["first.example", "second.example"])
def test_tickets_survive_the_renewal_of_any_certificate(
    papers: Papers, tmp_path: Path, version: ssl.TLSVersion, name: str, renewed: str
) -> None:
    first = live_pair(papers, tmp_path, "first.example")
    second = live_pair(papers, tmp_path, "second.example", answers=("second.example",))
    certificates = ServerCertificates([first, second])
    client = client_of(papers, version)
    before = Visit(certificates.context(), client, name)
    assert not before.resumed
    for number in (2, 3):
        new = papers.issue(renewed, f"renewed-{number}.example", file=f"{renewed}-{number}")
        renew({"first.example": first, "second.example": second}[renewed], new)
        certificates.reload()
        assert Visit(certificates.context(), client, name, before.session).resumed
    fresh = Visit(certificates.context(), client, name)
    assert not fresh.resumed
    assert ("renewed-3.example" in fresh.names) == (name == renewed)


@VERSIONS
def test_tickets_survive_files_that_are_no_good(papers: Papers, tmp_path: Path, version: ssl.TLSVersion) -> None:
    now = [0.0]
    live = live_pair(papers, tmp_path, "first.example")
    certificates = ServerCertificates([live], clock=lambda: now[0])
    client = client_of(papers, version)
    before = Visit(certificates.context(), client, "first.example")
    Path(live.cert).write_text("half a chain")
    now[0] += 10
    assert Visit(certificates.context(), client, "first.example", before.session).resumed
    assert certificates.trouble


@VERSIONS
def test_a_ticket_lives_for_two_hours(papers: Papers, version: ssl.TLSVersion) -> None:
    # What docs/how-to/tls.md says; it is OpenSSL's default, and `ssl` cannot set another.
    certificates = ServerCertificates([papers.issue("first.example", file="hours")])
    visit = Visit(certificates.context(), client_of(papers, version), "first.example")
    assert visit.session is not None
    assert visit.session.ticket_lifetime_hint == 7200


@VERSIONS
def test_the_tickets_of_another_process_mean_a_full_handshake(papers: Papers, version: ssl.TLSVersion) -> None:
    # Each process has contexts, and so keys, of its own.  Nobody is refused for it.
    paper = papers.issue("first.example", file="processes")
    one, other = ServerCertificates([paper]), ServerCertificates([paper])
    client = client_of(papers, version)
    visit = Visit(one.context(), client, "first.example")
    assert not Visit(other.context(), client, "first.example", visit.session).resumed
    assert Visit(one.context(), client, "first.example", visit.session).resumed


@VERSIONS
def test_the_server_keeps_nothing_of_a_session(papers: Papers, version: ssl.TLSVersion) -> None:
    certificates = ServerCertificates([papers.issue("first.example", file="cache")])
    client = client_of(papers, version)
    for _ in range(20):
        Visit(certificates.context(), client, "first.example")
    assert certificates.context().session_stats()["number"] == 0


@pytest.mark.parametrize("liked", ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"])
def test_the_client_has_the_choice_of_ciphers(papers: Papers, liked: str) -> None:
    certificates = ServerCertificates([papers.issue("first.example", file="ciphers")])
    client = client_of(papers, ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(":".join([f"ECDHE-ECDSA-{liked}", f"ECDHE-RSA-{liked}", "ECDHE+AESGCM", "ECDHE+CHACHA20"]))
    assert Visit(certificates.context(), client, "first.example").cipher.endswith(liked)


@VERSIONS
def test_a_door_for_rtmps_sends_no_tickets_behind_the_handshake(papers: Papers, version: ssl.TLSVersion) -> None:
    # librtmp with GnuTLS takes one for the end of the connection; in TLS 1.2 it is a part of the handshake.
    certificates = ServerCertificates([papers.issue("first.example", file="rtmps")], tickets=False)
    visit = Visit(certificates.context(), client_of(papers, version), "first.example")
    assert visit.session is not None
    assert visit.session.has_ticket == (version is ssl.TLSVersion.TLSv1_2)
