"""`tierkit edge`, `relay` and `origin`: one tier in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import typer

import tierkit
from tierkit import Address, Certificate, Edge, Graph, GraphError, Listener, Node, Origin, Registry, Relay
from tierkit.config import closest, parse_options
from tierkit.plugin import Service

from ._cli_common import DRAIN, TOKEN, Drain, Log, LogFormat, Plugins, registry_of, told
from ._cli_logs import AccessForm, AccessLogFile, AccessSample, LogAddresses, Logs

__all__ = ["edge", "origin", "relay"]

T = TypeVar("T")

_SERVICE = typer.Argument(metavar="SERVICE", help="What it serves; `tierkit plugins` lists what there is.")
_URL = typer.Argument(metavar="URL", help="Where it pulls from; a path in it is all that is asked for.")
Listen = Annotated[
    list[str], typer.Option("--listen", metavar="HOST:PORT", help="Where it listens; repeatable, also https://:443.")
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the service; repeatable."),
]
Name = Annotated[str | None, typer.Option("--name", help="What it is called in logs and statistics.")]
Cert = Annotated[str | None, typer.Option("--cert", metavar="FILE", help="Certificate chain (PEM): it speaks TLS.")]
Key = Annotated[str | None, typer.Option("--key", metavar="FILE", help="Key (PEM), where the chain's file lacks it.")]
Control = Annotated[
    str | None,
    typer.Option(
        "--control",
        metavar="HOST:PORT",
        help=f"Address for /healthz, /readyz and /statistics; with a token in {TOKEN} for changes too.",
    ),
]


@told
def edge(
    service: Annotated[str, _SERVICE],
    url: Annotated[str, _URL],
    listen: Listen,
    option: Options = None,
    name: Name = None,
    cert: Cert = None,
    key: Key = None,
    control: Control = None,
    plugin: Plugins = None,
    log: Log = LogFormat.text,
    log_addresses: LogAddresses = None,
    access_log: AccessLogFile = None,
    access_log_form: AccessForm = None,
    access_log_sample: AccessSample = None,
    drain: Drain = DRAIN,
) -> None:
    """Run one edge, a cache that viewers fetch from: tierkit edge hls http://origin:8080 --listen :80."""
    logs = Logs(log, log_addresses, access_log, access_log_form, access_log_sample)
    registry = registry_of(plugin)
    serves = service_of(registry, service, option)
    upstream = Origin("upstream", url)
    tier = Edge(name or "edge", upstream=upstream, listen=listeners(listen, cert, key), serves=serves)
    _run(tier, registry, control=control, logs=logs, drain=drain)


@told
def relay(
    service: Annotated[str, _SERVICE],
    url: Annotated[str, _URL],
    listen: Listen,
    option: Options = None,
    name: Name = None,
    cert: Cert = None,
    key: Key = None,
    control: Control = None,
    plugin: Plugins = None,
    log: Log = LogFormat.text,
    log_addresses: LogAddresses = None,
    access_log: AccessLogFile = None,
    access_log_form: AccessForm = None,
    access_log_sample: AccessSample = None,
    drain: Drain = DRAIN,
) -> None:
    """Run one relay, which pulls a stream once and fans it out: tierkit relay rtmp rtmp://origin/live --listen :1935.

    A URL without an application relays every app/name, one with an application only that.
    """
    logs = Logs(log, log_addresses, access_log, access_log_form, access_log_sample)
    registry = registry_of(plugin)
    serves = service_of(registry, service, option)
    upstream = Origin("upstream", url)
    tier = Relay(name or "relay", upstream=upstream, listen=listeners(listen, cert, key), serves=serves)
    _run(tier, registry, control=control, logs=logs, drain=drain)


@told
def origin(
    rtmp: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where it takes publishers and players.")
    ] = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where it serves the same as HLS.")] = None,
    option: Options = None,
    name: Name = None,
    cert: Cert = None,
    key: Key = None,
    control: Control = None,
    plugin: Plugins = None,
    log: Log = LogFormat.text,
    log_addresses: LogAddresses = None,
    access_log: AccessLogFile = None,
    access_log_form: AccessForm = None,
    access_log_sample: AccessSample = None,
    drain: Drain = DRAIN,
) -> None:
    """Run the embedded origin: publish to rtmp://HOST/app/name, play http://HOST/app/name/playlist.m3u8."""
    if rtmp is None and http is None:
        raise GraphError(["origin: nobody can reach it: give --rtmp :1935, and --http :8080 for HLS"])
    logs = Logs(log, log_addresses, access_log, access_log_form, access_log_sample)
    registry = registry_of(plugin)
    serves = service_of(registry, "ingest", option)
    doors = [_schemed(each, scheme, cert) for each, scheme in ((rtmp, "rtmp"), (http, "http")) if each is not None]
    tier = Origin(name or "origin", listen=listeners(doors, cert, key), serves=serves)
    _run(tier, registry, control=control, logs=logs, drain=drain)


def _run(tier: Node, registry: Registry, *, control: str | None, logs: Logs, drain: float) -> None:
    token = os.environ.get(TOKEN, "") if control is not None else ""
    graph = logs.of(Graph.of(tier, control=control, control_token=token))
    tierkit.run(graph, log=logs.log.value, drain=drain, registry=registry)


def service_of(registry: Registry, name: str, options: Sequence[str] | None) -> Service:
    """The service of this name with its options.  Raises GraphError with every problem."""
    recipe = _known(registry, "service", name, registry.services())
    made, problems = parse_options(recipe, options or (), registry)
    if made is None:
        raise GraphError([f"{name}: {each}" for each in problems])
    return made


def _known(registry: Registry, kind: str, name: str, known: Mapping[str, T]) -> T:
    if name in known:
        return known[name]
    failure = registry.failure_of(name)
    raise GraphError([str(failure) if failure else f"{kind} {name!r} is unknown: {closest(name, known)}"])


def _schemed(text: str, scheme: str, cert: str | None) -> Address:
    address = Address.parse(text)
    return address if address.scheme else address.with_(scheme=scheme + ("s" if cert else ""))


def listeners(addresses: Sequence[str | Address], cert: str | None, key: str | None) -> list[Listener]:
    """Listeners at these addresses, with the certificate at those that may speak TLS."""
    if key and not cert:
        raise GraphError(["--key has no certificate: give --cert FILE"])
    certificates: Any = (Certificate(cert, key or ""),) if cert else ()
    doors = map(Address.parse, addresses)
    return [Listener(each, certificates if each.secure or not each.scheme else ()) for each in doors]
