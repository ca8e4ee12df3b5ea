"""TLS: names, renewed certificates, tickets, strangers who speak something else, and stalls."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme

from tierkit import Address, Certificate, Listener, ListenError, Trust
from tierkit._certificates import LOOK_EVERY, ServerCertificates
from tierkit._net import RealNetwork
from tierkit._ports import Bound, Connection
from tierkit._tls import BATCH
from tierkit.errors import ConnectionLost, RemoteProtocolError, TierkitError, UpstreamError
from tierkit.http import HttpClient

from .conftest import Papers


@asynccontextmanager
async def listening(*certificates: Certificate, scheme: str = "https") -> AsyncIterator[Bound]:
    with trio.fail_after(20):
        bound = await RealNetwork().listen(Listener(f"{scheme}://127.0.0.1:0", certificates))
        yield bound
        bound.close()


async def stranger(bound: Bound) -> trio.SocketStream:
    """A TCP connection without anything on top."""
    return await trio.open_tcp_stream("127.0.0.1", bound.address.port or 0)


async def greet(bound: Bound) -> None:
    """Serve one connection: its handshake, one byte, the end."""
    connection = await bound.accept()
    try:
        await connection.establish()
        await connection.send_all(b"!")
    finally:
        connection.close()


def visit(port: int, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """What an ordinary client does, in a thread: connect, read to the end."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name, session=session) as tls,
    ):
        assert tls.recv(100) == b"!"
        assert tls.recv(100) == b""
        tls.seen = tls.getpeercert(), tls.session, tls.session_reused, tls.selected_alpn_protocol()  # type: ignore[attr-defined]
        return tls


async def seen(bound: Bound, papers: Papers, name: str = "localhost", **options):
    """The certificate, the session and whether it was resumed, as an ordinary client sees them."""
    context = options.pop("context", None) or ssl.create_default_context(cafile=papers.ca_file)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(greet, bound)
        tls = await trio.to_thread.run_sync(lambda: visit(bound.address.port or 0, context, name, **options))
    return tls.seen  # type: ignore[attr-defined]


def names_in(certificate) -> set[str]:
    return {name for _, name in certificate["subjectAltName"]}


# --- which certificate answers -------------------------------------------------------------------


async def test_each_name_gets_its_certificate(papers: Papers) -> None:
    first = papers.issue("localhost", "first.example", "x.y.live.example", file="first")
    exact = papers.issue("a1.example", answers=("a1.example", "A2.EXAMPLE."))
    star = papers.issue("*.live.example", answers=("*.live.example",))
    async with listening(first, exact, star) as bound:
        for name, expected in {
            "a1.example": {"a1.example"},
            "x.live.example": {"*.live.example"},
            "first.example": {"localhost", "first.example", "x.y.live.example"},
            # A star stands for one label.
            "x.y.live.example": {"localhost", "first.example", "x.y.live.example"},
        }.items():
            certificate, *_ = await seen(bound, papers, name)
            assert names_in(certificate) == expected


async def test_upper_case_and_dotted_names_are_the_same_name(papers: Papers) -> None:
    first = papers.issue("first.example", file="first2")
    second = papers.issue("a2.example", answers=("A2.Example.",))
    async with listening(first, second) as bound:
        certificate, *_ = await seen(bound, papers, "a2.example")
        assert names_in(certificate) == {"a2.example"}


async def test_http_1_1_is_negotiated(papers: Papers, local_certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=papers.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with listening(local_certificate) as bound:
        *_, protocol = await seen(bound, papers, context=context)
        assert protocol == "http/1.1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_are_refused_in_words(papers: Papers, local_certificate: Certificate) -> None:
    context = ssl.create_default_context(cafile=papers.ca_file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with listening(local_certificate) as bound:
        with pytest.raises(BaseExceptionGroup) as caught:
            await seen(bound, papers, context=context)
        errors = caught.value.subgroup(RemoteProtocolError)
        assert errors is not None
        assert "below 1.2" in str(errors.exceptions[0])


# --- renewal -------------------------------------------------------------------------------------


def copied(certificate: Certificate, directory: Path) -> Certificate:
    copy = Certificate(str(directory / "live.pem"), str(directory / "live.key"), certificate.names)
    shutil.copy(certificate.cert, copy.cert)
    shutil.copy(certificate.key, copy.key)
    return copy


async def test_reload_takes_renewed_files_and_keeps_what_works(papers: Papers, tmp_path: Path) -> None:
    live = copied(papers.issue("localhost", "old.example", file="old"), tmp_path)
    renewed = papers.issue("localhost", "new.example", file="new")
    async with listening(live) as bound:
        shutil.copy(renewed.cert, live.cert)  # the key has not been renewed into place yet
        with pytest.raises(ListenError, match=r"live\.pem with key .*live\.key: the key does not belong"):
            bound.reload()
        certificate, *_ = await seen(bound, papers)
        assert "old.example" in names_in(certificate)
        shutil.copy(renewed.key, live.key)
        bound.reload()
        certificate, *_ = await seen(bound, papers)
        assert "new.example" in names_in(certificate)


async def test_connections_outlive_a_reload(papers: Papers, tmp_path: Path) -> None:
    live = copied(papers.issue("127.0.0.1", file="old1"), tmp_path)
    async with listening(live) as bound:
        near, far = await both(bound, papers.trust)
        renewed = papers.issue("127.0.0.1", file="new1")
        shutil.copy(renewed.cert, live.cert)
        shutil.copy(renewed.key, live.key)
        bound.reload()
        await far.send_all(b"still")
        assert await near.recv() == b"still"
        near.close()
        far.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["localhost", "other.example"])
async def test_tickets_survive_a_reload(papers: Papers, tmp_path: Path, version: ssl.TLSVersion, name: str) -> None:
    live = copied(papers.issue("localhost", file="t1"), tmp_path)
    other = papers.issue("other.example", answers=("other.example",))
    context = ssl.create_default_context(cafile=papers.ca_file)
    context.minimum_version = context.maximum_version = version
    async with listening(live, other) as bound:
        _, session, resumed, _ = await seen(bound, papers, name, context=context)
        assert not resumed
        _, session, resumed, _ = await seen(bound, papers, name, context=context, session=session)
        assert resumed
        renewed = papers.issue("localhost", file="t2")
        shutil.copy(renewed.cert, live.cert)
        shutil.copy(renewed.key, live.key)
        bound.reload()
        _, _, resumed, _ = await seen(bound, papers, name, context=context, session=session)
        assert resumed


def test_changed_files_are_seen_once_a_second(papers: Papers, tmp_path: Path) -> None:
    live = copied(papers.issue("old.example", file="c1"), tmp_path)
    now = [100.0]
    certificates = ServerCertificates([live], clock=lambda: now[0])
    certificates.context()
    assert certificates.trouble == ""
    Path(live.cert).write_text("half a chain")
    now[0] += LOOK_EVERY / 2
    certificates.context()
    assert certificates.trouble == ""  # not looked at yet
    now[0] += LOOK_EVERY / 2
    certificates.context()
    assert "live.pem" in certificates.trouble
    assert "\n" not in certificates.trouble
    renewed = papers.issue("new.example", file="c2")
    shutil.copy(renewed.cert, live.cert)
    shutil.copy(renewed.key, live.key)
    now[0] += LOOK_EVERY
    certificates.context()
    assert certificates.trouble == ""
    os.unlink(live.key)
    now[0] += LOOK_EVERY
    certificates.context()
    assert "live.key: no such file" in certificates.trouble


def test_bad_certificates_are_named(papers: Papers, tmp_path: Path) -> None:
    good = papers.issue("a.example", file="good")
    other = papers.issue("b.example", file="good2")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    key = Path(good.key).read_bytes()
    encrypted = tmp_path / "encrypted.key"
    from cryptography.hazmat.primitives import serialization as s

    loaded = s.load_pem_private_key(key, None)
    encrypted.write_bytes(
        loaded.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret"))
    )
    for certificate, expected in {
        Certificate("/nowhere/cert.pem", good.key): "/nowhere/cert.pem: no such file",
        Certificate(good.cert, "/nowhere/key.pem"): "/nowhere/key.pem: no such file",
        Certificate(str(nonsense), good.key): "nonsense.pem with key .*: not a PEM certificate chain and key",
        Certificate(good.cert, str(nonsense)): "not a PEM certificate chain and key",
        Certificate(good.cert): "not a PEM certificate chain and key",
        Certificate(good.cert, other.key): "the key does not belong to the certificate",
        Certificate(good.cert, str(encrypted)): "the key is encrypted",
    }.items():
        with pytest.raises(ListenError, match=expected) as caught:
            ServerCertificates([certificate])
        assert "\n" not in str(caught.value)


# --- dialling ------------------------------------------------------------------------------------


async def both(bound: Bound, trust: Trust | None, network: RealNetwork | None = None) -> tuple[Connection, Connection]:
    ends: list[Connection] = []

    async def accept() -> None:
        ends.append(await bound.accept())
        await ends[0].establish()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        near = await (network or RealNetwork()).connect(bound.address, trust=trust)
    return near, ends[0]


async def fails(bound: Bound, trust: Trust | None, host: str = "") -> str:
    """Dial, and be told why that cannot be."""

    async def accept() -> None:
        connection = await bound.accept()
        try:
            await connection.establish()
            await connection.recv()
        except TierkitError:
            pass
        connection.close()

    network = RealNetwork()
    address = bound.address.with_(host=host or bound.address.host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        with pytest.raises(ConnectionLost) as caught:
            await network.connect(address, trust=trust)
    assert network.descriptors.connections == 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_whom_to_believe(papers: Papers, local_certificate: Certificate, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(str(elsewhere))
    named = papers.issue("edge.example", file="named")
    async with listening(local_certificate) as bound:
        where = f"https://127.0.0.1:{bound.address.port}"
        reason = await fails(bound, None)
        assert reason.startswith(f"{where}: its certificate is not trusted: ")
        reason = await fails(bound, Trust(ca=str(elsewhere)))
        assert "its certificate is not trusted: " in reason
        for trust in (papers.trust, Trust(verify=False), Trust(ca=papers.ca_file, server_name="localhost")):
            near, far = await both(bound, trust)
            near.close()
            far.close()
    async with listening(named) as bound:
        assert "is not valid for '127.0.0.1'" in await fails(bound, papers.trust)
        near, far = await both(bound, Trust(ca=papers.ca_file, server_name="edge.example"))
        near.close()
        far.close()


async def test_a_bad_file_of_authorities_is_named(local_certificate: Certificate, tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("nonsense")
    async with listening(local_certificate) as bound:
        for path, words in ((str(nonsense), "not a PEM file"), ("/nowhere/ca.pem", "No such file")):
            with pytest.raises(ConnectionLost, match=f"file of authorities {path}: {words}"):
                await RealNetwork().connect(bound.address, trust=Trust(ca=path))


async def test_dialling_something_that_is_not_tls(papers: Papers) -> None:
    bound = await RealNetwork().listen(Listener("http://127.0.0.1:0"))

    async def web() -> None:
        connection = await bound.accept()
        await connection.recv()
        await connection.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(web)
            with pytest.raises(ConnectionLost, match="no TLS handshake: no TLS at all"):
                await RealNetwork().connect(bound.address.with_(scheme="https"), trust=papers.trust)
    bound.close()


# --- strangers -----------------------------------------------------------------------------------

HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n", "plain HTTP where TLS was expected"),
        (b"\x03" + bytes(1536), "no TLS at all"),
        (b"\x00" * 100, "no TLS handshake"),
        (b"\xff" * 70000, "no TLS handshake"),
        (HELLO + b"\xff" * 300, "no TLS handshake"),
        (b"\x16\x03\x01\xff\xff" + b"A" * 66000, "no TLS handshake"),
        (b"\x15\x03\x01\x00\x02\x02\x30", "no TLS handshake"),
    ],
    ids=["http", "rtmp", "zeroes", "ones", "broken-hello", "long-record", "alert"],
)
async def test_garbage_is_told_in_words(local_certificate: Certificate, data: bytes, words: str) -> None:
    async with listening(local_certificate) as bound:
        stream = await stranger(bound)
        await stream.send_all(data)
        connection = await bound.accept()
        with pytest.raises(RemoteProtocolError, match=words) as caught:
            await connection.establish()
        assert "\n" not in str(caught.value)
        connection.close()
        await stream.aclose()


async def first_bytes(connection: Connection) -> bytes:
    await connection.establish()  # in TLS 1.3 it ends before the client has looked at our certificate
    return await connection.recv()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_that_does_not_trust_us_is_told_of(
    papers: Papers, local_certificate: Certificate, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context()
    context.maximum_version = version

    def refuse(port: int) -> None:
        with pytest.raises(ssl.SSLCertVerificationError), socket.create_connection(("127.0.0.1", port)) as plain:
            context.wrap_socket(plain, server_hostname="localhost")

    async with listening(local_certificate) as bound, trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, refuse, bound.address.port)
        connection = await bound.accept()
        with pytest.raises(RemoteProtocolError, match="the peer does not trust our certificate"):
            await first_bytes(connection)
        connection.close()


@pytest.mark.parametrize("data", [b"", HELLO, HELLO + bytes(50)])
async def test_leaving_during_the_handshake_is_an_ordinary_end(local_certificate: Certificate, data: bytes) -> None:
    async with listening(local_certificate) as bound:
        stream = await stranger(bound)
        if data:
            await stream.send_all(data)
        await stream.aclose()
        connection = await bound.accept()
        with pytest.raises(ConnectionLost):
            await connection.establish()
        connection.close()


async def test_garbage_after_the_handshake(papers: Papers, local_certificate: Certificate) -> None:
    async with listening(local_certificate) as bound:
        near, far = await both(bound, papers.trust)
        near._inner.send_nowait(b"\x17\x03\x03\x00\x20" + bytes(32))  # type: ignore[attr-defined]
        with pytest.raises(RemoteProtocolError, match="ended TLS with an error"):
            await far.recv()
        with pytest.raises(TierkitError):
            await far.recv()
        near.abort()
        far.close()


async def test_an_end_without_goodbye_is_an_end(papers: Papers, local_certificate: Certificate) -> None:
    async with listening(local_certificate) as bound:
        near, far = await both(bound, papers.trust)
        await near.send_all(b"all")
        near._inner.close()  # type: ignore[attr-defined]
        assert await far.recv() == b"all"
        assert await far.recv() == b""
        assert far.cut
        far.close()
        near.close()


@pytest.mark.parametrize("goodbye", [True, False])
async def test_a_body_without_a_length_is_whole_with_the_goodbye_alone(
    papers: Papers, local_certificate: Certificate, goodbye: bool
) -> None:
    """RFC 9112 section 9.8: anybody on the way can end TCP, and a cache would keep the half for all."""
    async with listening(local_certificate) as bound:

        async def answer() -> None:
            near = await bound.accept()
            await near.establish()
            await near.recv()
            await near.send_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
            if goodbye:
                near.close()
            else:
                near._inner.close()  # type: ignore[attr-defined]
                near.abort()

        client, told = HttpClient(RealNetwork(), trio.current_time), ""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            url = Address.parse(f"https://localhost:{bound.address.port}/")
            async with client.request("GET", url, trust=papers.trust) as response:
                assert await response.read_some() == b"half"
                try:
                    assert await response.read_some() == b""
                except UpstreamError as error:
                    told = str(error)
        assert response.finished is goodbye
        assert ("cutting TLS off" in told) is not goodbye


async def test_an_end_with_goodbye_is_no_cut(papers: Papers, local_certificate: Certificate) -> None:
    async with listening(local_certificate) as bound:
        near, far = await both(bound, papers.trust)
        await near.send_all(b"all")
        near.close()
        assert await far.recv() == b"all"
        assert await far.recv() == b""
        assert not far.cut
        far.close()


async def test_a_stalled_handshake_costs_nobody_anything(papers: Papers, local_certificate: Certificate) -> None:
    async with listening(local_certificate) as bound:
        stalled = [await stranger(bound) for _ in range(20)]
        await stalled[0].send_all(HELLO)
        connections = [await bound.accept() for _ in stalled]
        async with trio.open_nursery() as nursery:
            for connection in connections:
                nursery.start_soon(connection.establish)
            await trio.testing.wait_all_tasks_blocked()
            near, far = await both(bound, papers.trust)
            await far.send_all(b"served")
            assert await near.recv() == b"served"
            near.close()
            far.close()
            nursery.cancel_scope.cancel()
        for connection in connections:
            connection.close()
        for stream in stalled:
            await stream.aclose()


async def test_at_most_one_batch_of_ciphertext_is_kept(papers: Papers, local_certificate: Certificate) -> None:
    async with listening(local_certificate) as bound:
        near, far = await both(bound, papers.trust)
        sent = far.send_nowait(bytes(50_000_000))
        assert 0 < sent < 50_000_000
        kept = far.unsent() - far._inner.unsent()  # type: ignore[attr-defined]
        assert 0 < kept < BATCH + 1000  # its records' heads and tags
        assert far.send_nowait(b"x") == 0
        assert far.bytes_out == sent
        near.abort()
        far.abort()


async def test_close_gives_up_on_a_peer_that_never_reads(
    papers: Papers, local_certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierkit._tls.LINGER", 0.01)
    network = RealNetwork()
    bound = await network.listen(Listener("https://127.0.0.1:0", (local_certificate,)))
    with trio.fail_after(20):
        near, far = await both(bound, papers.trust)
        while far.send_nowait(bytes(60000)):
            pass
        assert network.descriptors.connections == 1
        far.close()
        while network.descriptors.connections:
            await trio.sleep(0.005)
        near.close()
    bound.close()
