"""The graph of a night as a TOML file, and a throw-away certificate for its HTTPS."""

from __future__ import annotations

import shutil
from pathlib import Path

import trio

from tierkit.errors import TierkitError

from ._plan import EDGES, RELAY, SITES

__all__ = ["make_certificate", "write_graph"]

#: Connections that one address may open: all viewers come from this machine.
_PER_ADDRESS = 20_000


def write_graph(file: Path, *, control: str, http: str, rtmp: str, certificate: tuple[Path, Path] | None) -> None:
    """Write the layout of examples/grnet.py before an origin that runs elsewhere.

    Args:
        control: where the graph answers.
        http: the origin's URL for HLS, and `rtmp` for RTMP.
        certificate: files of the chain and the key, where viewers come by HTTPS.
    """
    listen = '"127.0.0.1:0"'
    if certificate is not None:
        chain, key = certificate
        listen = f'{{ address = "https://127.0.0.1:0", cert = "{chain.name}", key = "{key.name}" }}'
    parts = [
        f'control = "{control}"',
        f'[origin.studio-hls]\naddress = "{http}"',
        f'[origin.studio-rtmp]\naddress = "{rtmp}"',
    ]
    for name in EDGES:
        parts.append(
            f'[edge.{name}]\nsite = "{SITES[name]}"\nlisten = {listen}\nupstream = "studio-hls"\n'
            'serves = { plugin = "hls", cache_bytes = "512MiB" }'
        )
        parts.append(_limits("edge", name))
    parts.append(
        f'[relay.{RELAY}]\nsite = "{SITES[RELAY]}"\nlisten = "127.0.0.1:0"\nupstream = "studio-rtmp"\nserves = "rtmp"'
    )
    parts.append(_limits("relay", RELAY))
    file.write_text("\n\n".join(parts) + "\n")


def _limits(role: str, name: str) -> str:
    return f"[{role}.{name}.limits]\nper_address = {_PER_ADDRESS}"


async def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, of a day, that signs itself.  Raises TierkitError where there is no openssl."""
    if shutil.which("openssl") is None:
        raise TierkitError("--https needs openssl, which makes its certificate and is not here: apt install openssl")
    chain, key = folder / "night.pem", folder / "night.key"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"),
        *("-subj", "/CN=the record night", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        *("-addext", "keyUsage=critical,digitalSignature,keyCertSign", "-keyout", str(key), "-out", str(chain)),
    ]
    done = await trio.run_process(command, capture_stderr=True, check=False)
    if done.returncode:
        raise TierkitError(f"openssl makes no certificate: {done.stderr.decode(errors='replace').strip()[-200:]}")
    key.chmod(0o600)
    return chain, key
