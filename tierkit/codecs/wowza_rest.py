"""What Wowza's REST interface (8087, ``/v2``) answers: JSON as it was recorded, and the XML that comes instead.

The interface is asked for JSON and sends XML all the same where it does not take the Accept field: the same facts in
elements with capitals.  Both are read into the same values, by names in lower case, so that ``connectionCount`` and
``ConnectionCount`` are one; lists are looked for under their own name and under that of a member, because which of the
two wraps the other in XML is recorded nowhere.

- 4.3 says `restURI` and absolute `href`s, 4.7 `serverName` and relative ones; neither is needed here.
- Numbers come as numbers or as strings, so does the `code` of a failure; `appType` may be null.
- A stream is on air where it stands in `incomingStreams` with `isConnected`.  `monitoring/current` of a stream that is
  not there is said to answer 200 with zeros, so that it answers proves nothing.
- Keys are in no order, and more of them than are known mean a newer release.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

from ..errors import RemoteProtocolError
from .wowza_body import Node, count_of, demand, flag_of, members_of, name_of, other, read_body, rows_of, text_of
from .wowza_counts import DEFAULT_INSTANCE, protocol
from .wowza_xml import number

__all__ = [
    "CASTERS",
    "Application",
    "Failure",
    "IncomingStream",
    "Instance",
    "MachineLoad",
    "ServerStatus",
    "StreamFile",
    "Traffic",
    "read_applications",
    "read_failure",
    "read_incoming",
    "read_instances",
    "read_machine",
    "read_status",
    "read_stream_files",
    "read_traffic",
    "rest_path",
]

CASTERS: Final = ("rtp", "rtp-record", "shoutcast", "shoutcast-record", "liverepeater")
"""What may start a stream file (`mediaCasterType`)."""


@frozen(kw_only=True)
class ServerStatus:
    """``/v2/servers/_defaultServer_/status``.  None and "" are what it does not say."""

    version: str = ""
    build: str = ""
    #: What the product calls itself, with its edition.
    product: str = ""
    licence: str = ""
    #: Seconds.
    uptime: float | None = None
    connections: int | None = None
    max_connections: int | None = None
    max_incoming_streams: int | None = None
    #: Whether the licence knows HTTP origin mode.
    http_origin: bool | None = None


@frozen(kw_only=True)
class MachineLoad:
    """``/v2/machine/monitoring/current``: seconds, per cent and bytes."""

    uptime: float | None = None
    cpu_idle: float | None = None
    cpu_user: float | None = None
    cpu_system: float | None = None
    memory_free: float | None = None
    memory_used: float | None = None
    heap_free: float | None = None
    heap_used: float | None = None
    disk_free: float | None = None
    disk_used: float | None = None
    connections: int | None = None


@frozen(kw_only=True)
class Traffic:
    """``…/monitoring/current`` of a host, an application or a stream: bytes, and bytes a second."""

    uptime: float | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    bytes_in_rate: float | None = None
    bytes_out_rate: float | None = None
    connections: int | None = None
    #: Connections by protocol, in the words of `wowza_counts.PROTOCOLS`.
    by_protocol: Mapping[str, int] = field(factory=dict)


@frozen(kw_only=True)
class Application:
    """A row of ``…/applications``."""

    name: str
    #: "Live", "VODEdge" and so on; "" where it is null.
    kind: str = ""


@frozen(kw_only=True)
class IncomingStream:
    """A stream that comes in, or did: `connected` says which."""

    instance: str
    name: str
    connected: bool
    #: Where it comes from, as Wowza says it.
    source: str = ""
    #: Whether a stream file brought it.
    managed: bool = False


@frozen(kw_only=True)
class Instance:
    """An application's instance with what comes in."""

    name: str
    incoming: tuple[IncomingStream, ...] = ()


@frozen(kw_only=True)
class StreamFile:
    """A row of ``…/streamfiles``; its stream is called so with `.stream` behind it."""

    name: str


@frozen(kw_only=True)
class Failure:
    """The body of an answer that is no 2xx."""

    code: int | None
    message: str
    version: str = ""


def rest_path(*segments: str) -> str:
    """A path below the server, of segments that may hold any character that a name may."""
    return "/" + "/".join(quote(each, safe="", errors="surrogateescape") for each in segments)


# --- bodies to values ----------------------------------------------------------------------------


def read_status(data: bytes) -> ServerStatus:
    """Of a server.  Raises RemoteProtocolError, as all of these do, for what cannot be read or is something else."""
    node = read_body(data)
    demand(node, "its status", "serverversion", "currentconnections", "timerunning")
    return ServerStatus(
        version=text_of(node, "serverversion"),
        build=text_of(node, "serverbuild"),
        product=text_of(node, "wsename"),
        licence=text_of(node, "licensetype"),
        uptime=number(node.get("timerunning")),
        connections=count_of(node, "currentconnections"),
        max_connections=count_of(node, "maxconnections"),
        # Wowza's own spelling, and the one it may be mended to.
        max_incoming_streams=count_of(node, "maxincommingstreams", "maxincomingstreams"),
        http_origin=flag_of(node.get("httporiginavailable")),
    )


def read_machine(data: bytes) -> MachineLoad:
    """Of the machine that it runs on."""
    node = read_body(data)
    demand(node, "a machine's load", "serveruptime", "cpuidle", "memoryfree", "heapused")
    names = ("cpu_idle", "cpu_user", "cpu_system", "memory_free", "memory_used", "heap_free", "heap_used")
    figures = {name: number(node.get(name.replace("_", ""))) for name in (*names, "disk_free", "disk_used")}
    return MachineLoad(
        uptime=number(node.get("serveruptime")), connections=count_of(node, "connectioncount"), **figures
    )


def read_traffic(data: bytes) -> Traffic:
    """Of a host, an application or a stream; that it can be read does not say that the stream is there."""
    node = read_body(data)
    demand(node, "traffic", "totalconnections", "bytesin", "connectioncount")
    by_protocol: dict[str, int] = {}
    for word, value in members_of(node.get("connectioncount")):
        count = number(value)
        if count is not None and count >= 0:
            by_protocol[protocol(word)] = by_protocol.get(protocol(word), 0) + int(count)
    return Traffic(
        uptime=number(node.get("uptime")),
        bytes_in=count_of(node, "bytesin"),
        bytes_out=count_of(node, "bytesout"),
        bytes_in_rate=number(node.get("bytesinrate")),
        bytes_out_rate=number(node.get("bytesoutrate")),
        connections=count_of(node, "totalconnections"),
        by_protocol=by_protocol,
    )


def read_applications(data: bytes) -> tuple[Application, ...]:
    """The applications of a host."""
    rows = rows_of(read_body(data), "applications", "application")
    if rows is None:
        other("a list of applications")
    named = ((name_of(row), text_of(row, "apptype")) for row in rows)
    return tuple(Application(name=name, kind=kind) for name, kind in named if name)


def read_instances(data: bytes) -> tuple[Instance, ...]:
    """The instances of an application, or the one that was asked for."""
    node = read_body(data)
    rows = rows_of(node, "instancelist", "instance")
    if rows is None:
        rows = [node] if "incomingstreams" in node else other("a list of instances")
    return tuple(_instance(row) for row in rows)


def read_incoming(data: bytes) -> IncomingStream:
    """One stream that comes in."""
    node = read_body(data)
    demand(node, "an incoming stream", "isconnected")
    return _incoming(node, DEFAULT_INSTANCE)


def read_stream_files(data: bytes) -> tuple[StreamFile, ...]:
    """The stream files of a host or an application."""
    rows = rows_of(read_body(data), "streamfiles", "streamfile")
    if rows is None:
        other("a list of stream files")
    return tuple(StreamFile(name=name) for name in map(name_of, rows) if name)


def read_failure(data: bytes) -> Failure | None:
    """What went wrong, in the server's words; None where a body is no such thing."""
    try:
        node = read_body(data)
    except RemoteProtocolError:
        return None
    if "message" not in node:
        return None
    code = count_of(node, "code")
    return Failure(code=code, message=text_of(node, "message")[:300], version=text_of(node, "wowzaserver")[:40])


# --- the pieces ----------------------------------------------------------------------------------


def _instance(row: Node) -> Instance:
    name = text_of(row, "name") or DEFAULT_INSTANCE
    incoming = rows_of(row, "incomingstreams", "incomingstream") or []
    return Instance(name=name, incoming=tuple(_incoming(each, name) for each in incoming if text_of(each, "name")))


def _incoming(row: Node, instance: str) -> IncomingStream:
    return IncomingStream(
        instance=text_of(row, "applicationinstance") or instance,
        name=text_of(row, "name"),
        connected=flag_of(row.get("isconnected")) is True,
        source=text_of(row, "sourceip").partition("?")[0],
        managed=flag_of(row.get("isstreammanagerstream")) is True,
    )
