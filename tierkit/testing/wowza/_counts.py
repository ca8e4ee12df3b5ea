"""What the HTTP providers at 8086 say of a server, as values and as their XML.

`connectioncounts` is as it was recorded and as the vendor's sample page shows it (nested, and `?flat`); of
`serverinfo` the names of the elements are known, and not their order and casing.  Both are read without a look at the
root, which has had another name in every release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote_plus
from xml.etree.ElementTree import Element, SubElement, tostring

from attrs import frozen

__all__ = [
    "ApplicationCounts",
    "Client",
    "Counters",
    "HttpSession",
    "InstanceCounts",
    "ServerCounts",
    "StreamCounts",
    "connection_counts",
    "flat_counts",
    "java_urlencoded",
    "server_info",
]

#: The vhost that every stock server has.
VHOST: Final = "_defaultVHost_"
#: Each kind of session: what its element is called, in the recorded order.  RTMP is "Flash".
_SESSIONS: Final = (
    ("flash", "SessionsFlash"),
    ("cupertino", "SessionsCupertino"),
    ("sanjose", "SessionsSanJose"),
    ("smooth", "SessionsSmooth"),
    ("rtsp", "SessionsRTSP"),
)

# What XML 1.0 cannot hold, not even escaped: page addresses and queries are what clients have said.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@frozen(kw_only=True)
class Counters:
    """The six that server, vhost, application and instance have.  Rates are bytes a second."""

    current: int = 0
    total: int = 0
    accepted: int = 0
    rejected: int = 0
    in_rate: float = 0.0
    out_rate: float = 0.0


@frozen(kw_only=True)
class StreamCounts:
    """Sessions of one stream; one that is published and that nobody plays is listed with zeros."""

    name: str
    flash: int = 0
    cupertino: int = 0
    sanjose: int = 0
    smooth: int = 0
    rtsp: int = 0
    dash: int = 0

    @property
    def total(self) -> int:
        """Of every kind."""
        return self.flash + self.cupertino + self.sanjose + self.smooth + self.rtsp + self.dash


@frozen(kw_only=True)
class Client:
    """An RTMP client, as `serverinfo` lists it."""

    id: int
    flash_version: str
    address: str
    referrer: str
    seconds: float
    started: str
    uri: str
    port: int
    protocol: str = "RTMP"
    ssl: bool = False


@frozen(kw_only=True)
class HttpSession:
    """A session of HTTP streaming, as `serverinfo` lists it."""

    id: int
    address: str
    referrer: str
    query: str
    seconds: float
    uri: str
    protocol: str = "HTTP"
    kind: str = "cupertino"


@frozen(kw_only=True)
class InstanceCounts:
    """One application instance.  `seconds` is for how long it has run."""

    name: str
    seconds: float
    counters: Counters = Counters()
    streams: Sequence[StreamCounts] = ()
    clients: Sequence[Client] = ()
    sessions: Sequence[HttpSession] = ()


@frozen(kw_only=True)
class ApplicationCounts:
    """One application; without instances it is on disk and does not run."""

    name: str
    seconds: float = 0.0
    counters: Counters = Counters()
    instances: Sequence[InstanceCounts] = ()

    @property
    def loaded(self) -> bool:
        """Whether it runs."""
        return bool(self.instances)


@frozen(kw_only=True)
class ServerCounts:
    """The whole server, which has one vhost here.

    `dash` is whether its build counts MPEG-DASH; `limit` the most connections, 0 for no limit.
    """

    seconds: float
    counters: Counters = Counters()
    applications: Sequence[ApplicationCounts] = ()
    limit: int = 0
    dash: bool = False


def connection_counts(server: ServerCounts, root: str) -> str:
    """`connectioncounts`: applications that run, with every stream that is published."""
    top = Element(root)
    _counters(top, server.counters)
    vhost = _vhost(top, server)
    for application in server.applications:
        if application.loaded:
            found = _application(vhost, application)
            for instance in application.instances:
                place = _instance(found, instance)
                _streams(place, instance, dash=server.dash)
    return _text(top)


def flat_counts(server: ServerCounts, root: str) -> str:
    """`connectioncounts?flat`: one row for each stream, everything in attributes, no totals."""
    top = Element(root)
    for application in server.applications:
        for instance in application.instances:
            for stream in instance.streams:
                row = SubElement(top, "Stream")
                row.set("vhostName", VHOST)
                row.set("applicationName", java_urlencoded(application.name))
                row.set("appInstanceName", java_urlencoded(instance.name))
                row.set("streamName", java_urlencoded(stream.name))
                for name, count in _of_stream(stream, dash=server.dash):
                    row.set(name[0].lower() + name[1:], str(count))
    return _text(top)


def server_info(server: ServerCounts, root: str) -> str:
    """`serverinfo`: all applications, and who is connected to them."""
    top = Element(root)
    _counters(top, server.counters)
    vhost = _vhost(top, server)
    for application in server.applications:
        found = _application(vhost, application)
        for instance in application.instances:
            place = _instance(found, instance)
            _kinds(place, instance)
            _streams(place, instance, dash=server.dash)
            for client in instance.clients:
                _client(place, client)
            for session in instance.sessions:
                _http_session(place, session)
    return _text(top)


def java_urlencoded(name: str) -> str:
    """`name` as Java's URLEncoder writes it: the form encoding, in which ``~`` is encoded and ``*`` is not."""
    return quote_plus(name, safe="*").replace("~", "%7E")


def _text(top: Element) -> str:
    return '<?xml version="1.0"?>\n' + tostring(top, encoding="unicode")


def _say(parent: Element, name: str, value: object) -> None:
    SubElement(parent, name).text = _NO_XML.sub("?", str(value))


def _counters(parent: Element, counters: Counters) -> None:
    _say(parent, "ConnectionsCurrent", counters.current)
    _say(parent, "ConnectionsTotal", counters.total)
    _say(parent, "ConnectionsTotalAccepted", counters.accepted)
    _say(parent, "ConnectionsTotalRejected", counters.rejected)
    _say(parent, "MessagesInBytesRate", float(round(counters.in_rate)))
    _say(parent, "MessagesOutBytesRate", float(round(counters.out_rate)))


def _vhost(top: Element, server: ServerCounts) -> Element:
    found = SubElement(top, "VHost")
    _say(found, "Name", VHOST)
    _say(found, "TimeRunning", _seconds(server.seconds))
    _say(found, "ConnectionsLimit", server.limit)
    _counters(found, server.counters)
    return found


def _application(vhost: Element, application: ApplicationCounts) -> Element:
    found = SubElement(vhost, "Application")
    _say(found, "Name", java_urlencoded(application.name))
    _say(found, "Status", "loaded" if application.loaded else "unloaded")
    if application.loaded:
        _say(found, "TimeRunning", _seconds(application.seconds))
        _counters(found, application.counters)
    return found


def _instance(application: Element, instance: InstanceCounts) -> Element:
    found = SubElement(application, "ApplicationInstance")
    _say(found, "Name", java_urlencoded(instance.name))
    _say(found, "TimeRunning", _seconds(instance.seconds))
    _counters(found, instance.counters)
    return found


def _streams(place: Element, instance: InstanceCounts, *, dash: bool) -> None:
    for stream in instance.streams:
        row = SubElement(place, "Stream")
        _say(row, "Name", java_urlencoded(stream.name))
        for name, count in _of_stream(stream, dash=dash):
            _say(row, name, count)


def _of_stream(stream: StreamCounts, *, dash: bool) -> list[tuple[str, int]]:
    found = [(element, int(getattr(stream, kind))) for kind, element in _SESSIONS]
    if dash:
        found.append(("SessionsMPEGDash", stream.dash))
    return [*found, ("SessionsTotal", stream.total)]


def _kinds(place: Element, instance: InstanceCounts) -> None:
    """How many there are of each kind, as `serverinfo` has it beside the six counters."""
    rtmp = len(instance.clients)
    _say(place, "RTMPConnectionCount", rtmp)
    _say(place, "RTPConnectionCount", sum(each.rtsp for each in instance.streams))
    _say(place, "CupertinoConnectionCount", sum(each.cupertino for each in instance.streams))
    _say(place, "SmoothConnectionCount", sum(each.smooth for each in instance.streams))
    _say(place, "SanJoseConnectionCount", sum(each.sanjose for each in instance.streams))
    _say(place, "RTMPSessionCount", rtmp)
    _say(place, "HTTPSessionCount", len(instance.sessions))
    _say(place, "RTPSessionCount", sum(each.rtsp for each in instance.streams))


def _client(place: Element, client: Client) -> None:
    row = SubElement(place, "Client")
    _say(row, "ClientId", client.id)
    _say(row, "FlashVersion", client.flash_version)
    _say(row, "IpAddress", client.address)
    _say(row, "Referrer", client.referrer)
    _say(row, "TimeRunning", _seconds(client.seconds))
    _say(row, "DateStarted", client.started)
    _say(row, "URI", client.uri)
    _say(row, "Protocol", client.protocol)
    _say(row, "IsSSL", str(client.ssl).lower())
    _say(row, "IsEncrypted", str(client.ssl).lower())
    _say(row, "Port", client.port)


def _http_session(place: Element, session: HttpSession) -> None:
    row = SubElement(place, "HTTPSession")
    _say(row, "SessionId", session.id)
    _say(row, "IpAddress", session.address)
    _say(row, "Referrer", session.referrer)
    _say(row, "QueryString", session.query)
    _say(row, "TimeRunning", _seconds(session.seconds))
    _say(row, "URI", session.uri)
    _say(row, "Protocol", session.protocol)
    _say(row, "SessionType", session.kind)


def _seconds(value: float) -> str:
    return f"{value:.3f}"
