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

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote, unquote

from attrs import field, frozen

from ..errors import RemoteProtocolError
from .wowza_counts import DEFAULT_INSTANCE, protocol
from .wowza_xml import MAX_ATTRIBUTES, Element, number, plain, read_xml

__all__ = [
    "CASTERS",
    "MAX_JSON",
    "MAX_ROWS",
    "Application",
    "Failure",
    "IncomingStream",
    "Instance",
    "MachineLoad",
    "ServerStatus",
    "StreamFile",
    "Traffic",
    "is_xml",
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

MAX_JSON: Final = 4 << 20
"""Bytes of an answer: an incoming stream takes some 300."""
MAX_ROWS: Final = 10_000
"""Members of one list that are read."""

CASTERS: Final = ("rtp", "rtp-record", "shoutcast", "shoutcast-record", "liverepeater")
"""What may start a stream file (`mediaCasterType`)."""

Node = Mapping[str, Any]


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


def is_xml(data: bytes) -> bool:
    """Whether a body is XML, by its first character: what its Content-Type says was seen to be wrong."""
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def rest_path(*segments: str) -> str:
    """A path below the server, of segments that may hold any character that a name may."""
    return "/" + "/".join(quote(each, safe="", errors="surrogateescape") for each in segments)


# --- bodies to values ----------------------------------------------------------------------------


def read_status(data: bytes) -> ServerStatus:
    """Of a server.  Raises RemoteProtocolError, as all of these do, for what cannot be read or is something else."""
    node = _node(data)
    _demand(node, "its status", "serverversion", "currentconnections", "timerunning")
    return ServerStatus(
        version=_text(node, "serverversion"),
        build=_text(node, "serverbuild"),
        product=_text(node, "wsename"),
        licence=_text(node, "licensetype"),
        uptime=number(node.get("timerunning")),
        connections=_count(node, "currentconnections"),
        max_connections=_count(node, "maxconnections"),
        # Wowza's own spelling, and the one it may be mended to.
        max_incoming_streams=_count(node, "maxincommingstreams", "maxincomingstreams"),
        http_origin=_flag(node.get("httporiginavailable")),
    )


def read_machine(data: bytes) -> MachineLoad:
    """Of the machine that it runs on."""
    node = _node(data)
    _demand(node, "a machine's load", "serveruptime", "cpuidle", "memoryfree", "heapused")
    names = ("cpu_idle", "cpu_user", "cpu_system", "memory_free", "memory_used", "heap_free", "heap_used")
    figures = {name: number(node.get(name.replace("_", ""))) for name in (*names, "disk_free", "disk_used")}
    return MachineLoad(uptime=number(node.get("serveruptime")), connections=_count(node, "connectioncount"), **figures)


def read_traffic(data: bytes) -> Traffic:
    """Of a host, an application or a stream; that it can be read does not say that the stream is there."""
    node = _node(data)
    _demand(node, "traffic", "totalconnections", "bytesin", "connectioncount")
    by_protocol: dict[str, int] = {}
    for word, value in _members(node.get("connectioncount")):
        count = number(value)
        if count is not None and count >= 0:
            by_protocol[protocol(word)] = by_protocol.get(protocol(word), 0) + int(count)
    return Traffic(
        uptime=number(node.get("uptime")),
        bytes_in=_count(node, "bytesin"),
        bytes_out=_count(node, "bytesout"),
        bytes_in_rate=number(node.get("bytesinrate")),
        bytes_out_rate=number(node.get("bytesoutrate")),
        connections=_count(node, "totalconnections"),
        by_protocol=by_protocol,
    )


def read_applications(data: bytes) -> tuple[Application, ...]:
    """The applications of a host."""
    rows = _rows(_node(data), "applications", "application")
    if rows is None:
        _other("a list of applications")
    named = ((_name(row), _text(row, "apptype")) for row in rows)
    return tuple(Application(name=name, kind=kind) for name, kind in named if name)


def read_instances(data: bytes) -> tuple[Instance, ...]:
    """The instances of an application, or the one that was asked for."""
    node = _node(data)
    rows = _rows(node, "instancelist", "instance")
    if rows is None:
        rows = [node] if "incomingstreams" in node else _other("a list of instances")
    return tuple(_instance(row) for row in rows)


def read_incoming(data: bytes) -> IncomingStream:
    """One stream that comes in."""
    node = _node(data)
    _demand(node, "an incoming stream", "isconnected")
    return _incoming(node, DEFAULT_INSTANCE)


def read_stream_files(data: bytes) -> tuple[StreamFile, ...]:
    """The stream files of a host or an application."""
    rows = _rows(_node(data), "streamfiles", "streamfile")
    if rows is None:
        _other("a list of stream files")
    return tuple(StreamFile(name=name) for name in map(_name, rows) if name)


def read_failure(data: bytes) -> Failure | None:
    """What went wrong, in the server's words; None where a body is no such thing."""
    try:
        node = _node(data)
    except RemoteProtocolError:
        return None
    if "message" not in node:
        return None
    code = _count(node, "code")
    return Failure(code=code, message=_text(node, "message")[:300], version=_text(node, "wowzaserver")[:40])


# --- the pieces ----------------------------------------------------------------------------------


def _instance(row: Node) -> Instance:
    name = _text(row, "name") or DEFAULT_INSTANCE
    incoming = _rows(row, "incomingstreams", "incomingstream") or []
    return Instance(name=name, incoming=tuple(_incoming(each, name) for each in incoming if _text(each, "name")))


def _incoming(row: Node, instance: str) -> IncomingStream:
    return IncomingStream(
        instance=_text(row, "applicationinstance") or instance,
        name=_text(row, "name"),
        connected=_flag(row.get("isconnected")) is True,
        source=_text(row, "sourceip").partition("?")[0],
        managed=_flag(row.get("isstreammanagerstream")) is True,
    )


def _name(row: Node) -> str:
    """Of a row: its id, or the end of where it is."""
    return _text(row, "id") or _text(row, "name") or plain(unquote(_text(row, "href").rstrip("/").rpartition("/")[2]))


def _node(data: bytes) -> Node:
    """A body as names in lower case and what belongs to them; of XML also the root's own name."""
    if is_xml(data):
        root = read_xml(data)
        within = _of_xml(root)
        return {root.name: within, **(within if isinstance(within, dict) else {})}
    found = _lowered(_json(data))
    if not isinstance(found, Mapping):
        raise RemoteProtocolError("the JSON is no object")
    return found


def _json(data: bytes) -> Any:
    if len(data) > MAX_JSON:
        raise RemoteProtocolError(f"the JSON is longer than {MAX_JSON} bytes")
    if not data.strip():
        raise RemoteProtocolError("the answer is empty")
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        raise RemoteProtocolError("the JSON is nested too deep") from None
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated")
        what = f"cut short after {len(data)} bytes" if cut else f"malformed at character {error.pos}"
        raise RemoteProtocolError(f"the JSON is {what}") from None
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"the JSON is no UTF-8 at byte {error.start}") from None
    except ValueError:  # numbers that Python does not take
        raise RemoteProtocolError("the JSON has a number that is none") from None


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _lowered(value: Any, depth: int = 0) -> Any:
    """Names in lower case, texts fit to print.  What is deeper than any body of Wowza's is left out."""
    if depth > 12:
        return None
    if isinstance(value, dict):
        return {plain(name).lower(): _lowered(each, depth + 1) for name, each in value.items()}
    if isinstance(value, list):
        return [_lowered(each, depth + 1) for each in value[:MAX_ROWS]]
    return plain(value) if isinstance(value, str) else value


def _of_xml(element: Element, depth: int = 0) -> Any:
    """An element in the shape of JSON: a text, or names; a name that stands several times is a list."""
    if depth > 12:
        return None
    if not element.children and not element.attributes:
        return element.text
    found: dict[str, Any] = dict(element.attributes)
    lists: dict[str, list[Any]] = {}
    for child in element.children:
        lists.setdefault(child.name, []).append(_of_xml(child, depth + 1))
    found |= {name: each[0] if len(each) == 1 else each[:MAX_ROWS] for name, each in lists.items()}
    return found


def _rows(node: Node, plural: str, singular: str) -> list[Node] | None:
    """The members of a list; None where there is no such list.

    In JSON it stands under `plural`.  In XML one wraps the other, or the root is the wrapper, or members stand bare.
    """
    for name in (plural, singular):
        if name not in node:
            continue
        value = node[name]
        if isinstance(value, list):
            return [each for each in value if isinstance(each, Mapping)]
        if not isinstance(value, Mapping):
            return []
        within = _rows(value, plural, singular) if name == plural else None
        if within is not None:
            return within
        # A member that stands bare has a name; a wrapper of nothing has none.
        return [value] if name == singular or _name(value) else []
    return None


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of an object; of XML that lists them as entries, these."""
    if not isinstance(value, Mapping):
        return
    for name, each in list(value.items())[:MAX_ATTRIBUTES]:
        if isinstance(each, list):
            for row in each:
                if isinstance(row, Mapping):
                    yield from _entry(row)
        elif isinstance(each, Mapping):
            yield from _entry(each)
        else:
            yield name, each


def _entry(row: Node) -> Iterator[tuple[str, Any]]:
    """An entry of a map, as Java libraries write it: a text and a number, under whatever names."""
    values = [each[0] if isinstance(each, list) and each else each for each in row.values()]
    words = [each for each in values if isinstance(each, str) and number(each) is None]
    numbers = [each for each in values if number(each) is not None]
    if len(words) == 1 and len(numbers) == 1:
        yield words[0], numbers[0]


def _demand(node: Node, what: str, *names: str) -> None:
    """Refuse what has none of these: an answer to another question, or a page for people."""
    if not any(name in node for name in names):
        _other(what)


def _other(what: str) -> NoReturn:
    raise RemoteProtocolError(f"the answer can be read but is not {what}")


def _text(node: Node, name: str) -> str:
    value = node.get(name)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return value if isinstance(value, str) else str(value)[:64]


def _count(node: Node, *names: str) -> int | None:
    found = next((each for name in names if (each := number(node.get(name))) is not None), None)
    return int(found) if found is not None and found >= 0 else None


def _flag(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return None
