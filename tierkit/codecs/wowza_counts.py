"""What Wowza counts, as its administration port (8086) tells it: `connectioncounts` and `serverinfo`.

The only figures that a server of 2013 has, and the only ones of any that name each client.  Recorded bodies and their
sources are in the project's notes on Wowza; rules of the file:

- The root element is not looked at: it is `WowzaMediaServer`, `WowzaMediaServerPro` or `WowzaStreamingEngine`, by
  release.  Elements that are not known are read over, so a newer release says more and breaks nothing.
- `connectioncounts` comes nested (server, host, application, instance, stream) or, with ``?flat``, as one row a stream
  with everything in attributes.  Both give the same streams; flat rows have no totals.
- Names are form-urlencoded in the elements, and decoded here.
- A number that is missing, or is none, is None, not 0: "nobody" and "not told" are two things.
- A query may carry a token: none is kept, neither of a URL nor of a session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from ..errors import RemoteProtocolError
from .wowza_xml import Element, number, read_xml, unquoted

__all__ = ["DEFAULT_INSTANCE", "PROTOCOLS", "ClientRow", "Counters", "Counts", "StreamCount", "protocol", "read_counts"]

DEFAULT_INSTANCE: Final = "_definst_"
"""The instance of an application that a URL without one means."""

PROTOCOLS: Final[Mapping[str, str]] = {
    "flash": "rtmp",
    "rtmp": "rtmp",
    "cupertino": "hls",
    "sanjose": "hds",
    "smooth": "smooth",
    "mpegdash": "dash",
    "rtsp": "rtsp",
    "rtp": "rtsp",
}
"""What Wowza calls a protocol, in lower case, and what everybody else does."""


@frozen(kw_only=True)
class Counters:
    """The six counters that stand at every level.  Rates are bytes a second, as far as is known."""

    current: int | None = None
    total: int | None = None
    accepted: int | None = None
    rejected: int | None = None
    bytes_in_rate: float | None = None
    bytes_out_rate: float | None = None


@frozen(kw_only=True)
class StreamCount:
    """A stream, and who plays it."""

    app: str
    instance: str
    name: str
    #: Sessions by protocol: "rtmp", "hls", "hds", "smooth", "dash", "rtsp", or Wowza's own word in lower case.
    sessions: Mapping[str, int] = field(factory=dict)
    #: Of all protocols, as Wowza says it; their sum where it does not.
    total: int = 0


@frozen(kw_only=True)
class ClientRow:
    """Somebody whom Wowza serves itself, by `serverinfo`."""

    app: str
    instance: str
    #: The element that it stood in: "client" (RTMP) or "httpsession" and its like.
    kind: str
    address: str
    #: "rtmp", "hls" and so on; Wowza's own word in lower case where nobody else has one; "" where none is said.
    protocol: str = ""
    #: What it asks for, without a query.
    uri: str = ""
    #: What it says it is (flashVer, User-Agent).
    agent: str = ""
    #: Seconds that it has been there.
    seconds: float | None = None


@frozen(kw_only=True)
class Counts:
    """One look at a server."""

    #: Of the whole server; all None in ``?flat``.
    counters: Counters = field(factory=Counters)
    #: Names of applications by whether they run: those on disk alone are "unloaded" in `serverinfo`.
    applications: Mapping[str, str] = field(factory=dict)
    streams: tuple[StreamCount, ...] = ()
    clients: tuple[ClientRow, ...] = ()

    @property
    def viewers(self) -> int:
        """Sessions on all streams."""
        return sum(each.total for each in self.streams)


def protocol(word: str) -> str:
    """What everybody calls a protocol of Wowza's; its own word, in lower case, where nobody else has one."""
    lowered = word.strip().lower()[:40]
    return PROTOCOLS.get(lowered, lowered)


def read_counts(data: bytes) -> Counts:
    """`connectioncounts`, nested or flat, or `serverinfo`.

    Raises:
        RemoteProtocolError: it is no XML, is cut short, has a document type, or has nothing of either.
    """
    root = read_xml(data)
    applications: dict[str, str] = {}
    streams: list[StreamCount] = []
    clients: list[ClientRow] = []
    for app, instance, element in _instances(root, applications):
        streams += _streams(app, instance, element)
        clients += _clients(app, instance, element)
    streams += _flat(root)
    counters = _counters(root)
    if not (applications or streams or counters != Counters() or _known(root)):
        raise RemoteProtocolError(f"the XML has nothing that Wowza counts: its root is {root.name[:40]!r}")
    return Counts(
        counters=counters,
        applications=applications or {each.app: "loaded" for each in streams},
        streams=tuple(streams),
        clients=tuple(clients),
    )


def _known(root: Element) -> bool:
    """Whether an empty document is one of ours all the same: a server that has just begun has no application."""
    return root.name.startswith("wowza") or any(child.name in ("vhost", "stream") for child in root.children)


def _instances(root: Element, applications: dict[str, str]) -> Iterator[tuple[str, str, Element]]:
    for host in root.each("vhost"):
        for application in host.each("application"):
            app = unquoted(application.get("name"))
            applications[app] = (application.get("status") or "loaded").lower()
            for instance in application.each("applicationinstance"):
                yield app, unquoted(instance.get("name")) or DEFAULT_INSTANCE, instance


def _counters(element: Element) -> Counters:
    return Counters(
        current=_count(element.get("connectionscurrent")),
        total=_count(element.get("connectionstotal")),
        accepted=_count(element.get("connectionstotalaccepted")),
        rejected=_count(element.get("connectionstotalrejected")),
        bytes_in_rate=_rate(element.get("messagesinbytesrate")),
        bytes_out_rate=_rate(element.get("messagesoutbytesrate")),
    )


def _streams(app: str, instance: str, element: Element) -> Iterator[StreamCount]:
    for stream in element.each("stream"):
        told = {child.name: child.text for child in stream.children}
        yield _stream(app, instance, unquoted(told.get("name")), told)


def _flat(root: Element) -> Iterator[StreamCount]:
    # Where the rows stand is said nowhere: at the root, or in an element of their own.
    for parent in (root, *root.children):
        for row in parent.each("stream"):
            told = row.attributes
            if "streamname" in told:
                app, instance = unquoted(told.get("applicationname")), unquoted(told.get("appinstancename"))
                yield _stream(app, instance or DEFAULT_INSTANCE, unquoted(told["streamname"]), told)


def _stream(app: str, instance: str, name: str, told: Mapping[str, str]) -> StreamCount:
    sessions: dict[str, int] = {}
    for key, value in told.items():
        count = _count(value)
        if key.startswith("sessions") and key != "sessionstotal" and count is not None:
            word = protocol(key.removeprefix("sessions"))
            sessions[word] = sessions.get(word, 0) + count
    total = _count(told.get("sessionstotal"))
    total = sum(sessions.values()) if total is None else total
    return StreamCount(app=app, instance=instance, name=name, sessions=sessions, total=total)


def _clients(app: str, instance: str, element: Element) -> Iterator[ClientRow]:
    """The rows of an instance, which may stand in it or in a list of it."""
    for child in element.children:
        if _is_row(child):
            yield _client(app, instance, child)
        elif child.name != "stream":
            for each in filter(_is_row, child.children):
                yield _client(app, instance, each)


def _is_row(element: Element) -> bool:
    return element.name != "stream" and any(True for _ in element.each("ipaddress"))


def _client(app: str, instance: str, row: Element) -> ClientRow:
    return ClientRow(
        app=app,
        instance=instance,
        kind=row.name[:40],
        address=unquoted(row.get("ipaddress")),
        protocol=_spoken(row),
        uri=_uri(row.get("uri") or ""),
        agent=unquoted(row.get("flashversion") or row.get("useragent")),
        seconds=number(row.get("timerunning")),
    )


def _spoken(row: Element) -> str:
    said = protocol(row.get("protocol") or "")
    if said and not said.startswith("http"):
        return said
    # Of a session over HTTP the protocol says no more than that; its type says which, in words that vary.
    kind = (row.get("sessiontype") or "").lower()
    found = next((usual for word, usual in PROTOCOLS.items() if word in kind), said)
    return found or ("rtmp" if row.name == "client" else "")


def _uri(text: str) -> str:
    """Without its query, and decoded only where all of it was encoded: a URL has percent signs of its own."""
    whole = text if "/" in text else unquoted(text)
    return whole.partition("?")[0].partition("#")[0]


def _count(text: str | None) -> int | None:
    found = number(text)
    return int(found) if found is not None and found >= 0 else None


def _rate(text: str | None) -> float | None:
    found = number(text)
    return found if found is not None and found >= 0 else None
