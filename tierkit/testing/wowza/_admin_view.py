"""The server's state as the HTTP providers at 8086 and the REST API count it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ._counts import (
    ApplicationCounts,
    Client,
    Counters,
    HttpSession,
    InstanceCounts,
    ServerCounts,
    StreamCounts,
)
from ._meter import Meter
from ._model import DEFAULT_INSTANCE, Application, Connections, Instance, Server
from ._rest_bodies import Traffic
from ._sessions import HlsSession, Place, RtmpSession
from ._streams import IncomingStream

__all__ = ["application_traffic", "counts", "server_traffic", "stream_traffic"]

STREAMING_PORT = 1935


def counts(server: Server) -> ServerCounts:
    """Everything that `connectioncounts` and `serverinfo` say."""
    now = server.now()
    hls, rtmp = server.hls(), server.rtmp
    streams = [stream for _, stream in server.streams()]
    return ServerCounts(
        seconds=now - server.since,
        counters=_counters(server, server.connections, server.sent, streams, len(hls) + len(rtmp)),
        applications=[_application(server, each, hls, rtmp) for each in server.applications.values()],
        dash=server.profile.dash_counts,
    )


def server_traffic(server: Server) -> Traffic:
    """Of the whole server."""
    streams = [stream for _, stream in server.streams()]
    return _traffic(server, server.since, streams, server.sent, server.hls(), server.rtmp)


def application_traffic(server: Server, application: Application) -> Traffic:
    """Of one application."""
    name = application.name
    return _traffic(
        server,
        application.since,
        _streams_of(application),
        application.sent,
        [each for each in server.hls() if each.place.application == name],
        [each for each in server.rtmp if each.application == name],
    )


def stream_traffic(server: Server, place: Place) -> Traffic:
    """Of one incoming stream; zeros for one that is not there."""
    stream = server.find(place)
    if stream is None or not stream.is_connected:
        return Traffic(kinds={})
    return _traffic(server, stream.since, [stream], stream.sent, server.hls(place), server.players(place))


def _traffic(
    server: Server,
    since: float,
    streams: list[IncomingStream],
    sent: Meter,
    hls: list[HlsSession],
    rtmp: list[RtmpSession],
) -> Traffic:
    now = server.now()
    return Traffic(
        uptime=now - since,
        bytes_in=sum(each.bytes_in(now) for each in streams),
        bytes_out=sent.total,
        in_rate=_in_rate(streams),
        out_rate=sent.rate(now),
        total=len(hls) + len(rtmp),
        kinds={"RTMP": len(rtmp), "CUPERTINO": len(hls)},
    )


def _in_rate(streams: Iterable[IncomingStream]) -> float:
    return sum(each.bitrate / 8 for each in streams if each.is_connected)


def _streams_of(application: Application) -> list[IncomingStream]:
    return [stream for instance in application.instances.values() for stream in instance.streams.values()]


def _counters(
    server: Server, connections: Connections, sent: Meter, streams: Iterable[IncomingStream], current: int
) -> Counters:
    return Counters(
        current=current,
        total=connections.total,
        accepted=connections.accepted,
        rejected=connections.rejected,
        in_rate=_in_rate(streams),
        out_rate=sent.rate(server.now()),
    )


def _application(
    server: Server, application: Application, hls: list[HlsSession], rtmp: list[RtmpSession]
) -> ApplicationCounts:
    name = application.name
    if not application.loaded:
        return ApplicationCounts(name=name)
    hls = [each for each in hls if each.place.application == name]
    rtmp = [each for each in rtmp if each.application == name]
    return ApplicationCounts(
        name=name,
        seconds=server.now() - application.since,
        counters=_counters(
            server, application.connections, application.sent, _streams_of(application), len(hls) + len(rtmp)
        ),
        instances=[_instance(server, name, each, hls, rtmp) for each in application.instances.values()],
    )


def _instance(
    server: Server, application: str, instance: Instance, hls: list[HlsSession], rtmp: list[RtmpSession]
) -> InstanceCounts:
    hls = [each for each in hls if each.place.instance == instance.name]
    rtmp = [each for each in rtmp if each.instance == instance.name]
    streams = list(instance.streams.values())
    return InstanceCounts(
        name=instance.name,
        seconds=server.now() - instance.since,
        counters=_counters(server, instance.connections, instance.sent, streams, len(hls) + len(rtmp)),
        streams=[_stream(Place(application, instance.name, each.name), hls, rtmp) for each in streams],
        clients=[_client(server, each) for each in rtmp],
        sessions=[_http_session(server, each) for each in hls],
    )


def _stream(place: Place, hls: list[HlsSession], rtmp: list[RtmpSession]) -> StreamCounts:
    return StreamCounts(
        name=place.stream,
        flash=sum(each.place == place and not each.publishing for each in rtmp),
        cupertino=sum(each.place == place for each in hls),
    )


def _client(server: Server, session: RtmpSession) -> Client:
    scheme = "rtmps" if session.secure else "rtmp"
    instance = "" if session.instance == DEFAULT_INSTANCE else f"/{session.instance}"
    return Client(
        id=session.id,
        flash_version=session.flash_version,
        address=session.address,
        referrer=session.referrer,
        seconds=server.now() - session.since,
        started=_date(server, session.since),
        uri=session.uri or f"{scheme}://localhost/{session.application}{instance}",
        port=STREAMING_PORT,
        protocol=scheme.upper(),
        ssl=session.secure,
    )


def _http_session(server: Server, session: HlsSession) -> HttpSession:
    place = session.place
    instance = "" if place.instance == DEFAULT_INSTANCE else f"{place.instance}/"
    return HttpSession(
        id=session.id,
        address=session.address,
        referrer=session.referrer,
        query=session.query,
        seconds=server.now() - session.since,
        uri=f"{place.application}/{instance}{place.stream}/playlist.m3u8",
    )


def _date(server: Server, since: float) -> str:
    at = server.wall() - (server.now() - since)
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
