"""What the REST API says when it is only looked at."""

from __future__ import annotations

from typing import Any

from . import _rest_bodies as bodies
from ._admin_view import application_traffic, server_traffic, stream_traffic
from ._model import Instance
from ._rest_desk import Answer, Asked, Desk, Refused
from ._rest_routes import Routes
from ._sessions import Place
from ._shown_rest import (
    APPLICATION,
    APPLICATIONS,
    CURRENT,
    HOST_PORT_BODIES,
    HOST_PORTS,
    INCOMING,
    INSTANCES,
    LICENCE,
    MACHINE,
    MACHINE_FIGURES,
    PUBLISHERS,
    SERVER_CURRENT,
    STATUS,
    STREAM_CURRENT,
    STREAM_FILE_BODIES,
    STREAM_FILES,
    UNKNOWN_INSTANCE,
    UNKNOWN_STREAM_CURRENT,
)

__all__ = ["LOOKS"]

LOOKS: Routes = Routes()

_SERVER = "/v2/servers/{server}"
_VHOST = f"{_SERVER}/vhosts/{{vhost}}"
_APP = f"{_VHOST}/applications/{{app}}"
_INSTANCE = f"{_APP}/instances/{{instance}}"
_STREAM = f"{_INSTANCE}/incomingstreams/{{stream}}"


@LOOKS.at("GET", f"{_SERVER}/status", STATUS)
@LICENCE.shown
def _status(desk: Desk, asked: Asked, **at: str) -> Answer:
    server = desk.server
    body = bodies.status(
        version=server.profile.version,
        build=server.profile.build,
        name=server.profile.product,
        seconds=server.now() - server.since,
        connections=server_traffic(server).total,
        origin=server.origin_available,
    )
    return Answer("ServerStatus", body, shows=(LICENCE,) if server.origin_available else ())


@LOOKS.at("GET", "/v2/machine/monitoring/current", MACHINE, MACHINE_FIGURES)
def _machine(desk: Desk, asked: Asked) -> Answer:
    server = desk.server
    body = bodies.machine(seconds=server.now() - server.since, connections=server_traffic(server).total)
    return Answer("CurrentMachineStatistics", body)


@LOOKS.at("GET", f"{_SERVER}/monitoring/current", SERVER_CURRENT)
@LOOKS.at("GET", f"{_VHOST}/monitoring/current", SERVER_CURRENT)
def _server_current(desk: Desk, asked: Asked, **at: str) -> Answer:
    return Answer("CurrentServerStatistics", bodies.application_current(server_traffic(desk.server)))


@LOOKS.at("GET", f"{_APP}/monitoring/current", CURRENT)
def _application_current(desk: Desk, asked: Asked, app: str, **at: str) -> Answer:
    traffic = application_traffic(desk.server, desk.application(app))
    return Answer("CurrentApplicationStatistics", bodies.application_current(traffic))


@LOOKS.at("GET", f"{_STREAM}/monitoring/current", STREAM_CURRENT)
@UNKNOWN_STREAM_CURRENT.shown
def _stream_current(desk: Desk, asked: Asked, app: str, instance: str, stream: str, **at: str) -> Answer:
    desk.application(app)
    place = Place(app, instance, stream)
    body = bodies.stream_current(stream_traffic(desk.server, place), instance, stream)
    shows = () if desk.server.find(place) is not None else (UNKNOWN_STREAM_CURRENT,)
    return Answer("CurrentIncomingStreamStatistics", body, shows=shows)


@LOOKS.at("GET", f"{_VHOST}/applications", APPLICATIONS)
def _applications(desk: Desk, asked: Asked, **at: str) -> Answer:
    rows = [(each.name, each.app_type) for each in desk.server.applications.values()]
    return Answer("Applications", bodies.applications(rows))


@LOOKS.at("GET", _APP, APPLICATION)
def _application(desk: Desk, asked: Asked, app: str, **at: str) -> Answer:
    found = desk.application(app)
    return Answer("Application", bodies.application(found.name, found.app_type))


@LOOKS.at("GET", f"{_APP}/instances", INSTANCES)
def _instances(desk: Desk, asked: Asked, app: str, **at: str) -> Answer:
    application = desk.application(app)
    running = application.instances.values() if application.loaded else ()
    return Answer("Instances", bodies.instances(bodies.instance(each.name, _incoming(each)) for each in running))


@LOOKS.at("GET", _INSTANCE, INSTANCES)
@UNKNOWN_INSTANCE.shown
def _instance(desk: Desk, asked: Asked, app: str, instance: str, **at: str) -> Answer:
    found = desk.instance(app, instance)
    streams = [] if found is None else _incoming(found)
    body = {"serverName": bodies.SERVER, **bodies.instance(instance, streams)}
    return Answer("Instance", body, shows=(UNKNOWN_INSTANCE,) if found is None else ())


@LOOKS.at("GET", _STREAM, INCOMING)
def _incoming_stream(desk: Desk, asked: Asked, app: str, instance: str, stream: str, **at: str) -> Answer:
    found = desk.instance(app, instance)
    row = next((each for each in ([] if found is None else _incoming(found)) if each["name"] == stream), None)
    if row is None:
        raise Refused(404)
    return Answer("IncomingStream", {"serverName": bodies.SERVER, **row})


def _incoming(instance: Instance) -> list[dict[str, Any]]:
    return [
        bodies.incoming_stream(each.name, instance.name, each.source_ip, connected=each.is_connected)
        for each in instance.streams.values()
    ]


@LOOKS.at("GET", f"{_VHOST}/streamfiles", STREAM_FILES, STREAM_FILE_BODIES)
@LOOKS.at("GET", f"{_APP}/streamfiles", STREAM_FILES, STREAM_FILE_BODIES)
def _stream_files(desk: Desk, asked: Asked, app: str = "", **at: str) -> Answer:
    names = desk.application(app).stream_files if app else desk.stream_files
    return Answer("StreamFiles", bodies.stream_files(names, app))


@LOOKS.at("GET", f"{_VHOST}/hostports", HOST_PORTS, HOST_PORT_BODIES)
def _host_ports(desk: Desk, asked: Asked, **at: str) -> Answer:
    return Answer("HostPorts", bodies.host_ports(_ports(desk)))


@LOOKS.at("GET", f"{_VHOST}/hostports/{{name}}", HOST_PORTS, HOST_PORT_BODIES)
def _host_port(desk: Desk, asked: Asked, name: str, **at: str) -> Answer:
    row = next((each for each in _ports(desk) if each["id"] == name), None)
    if row is None:
        raise Refused(404)
    return Answer("HostPort", {"serverName": bodies.SERVER, **row})


def _ports(desk: Desk) -> list[dict[str, Any]]:
    streaming, admin = desk.ports()
    asks = f"admin-{desk.server.profile.admin_authentication}"
    return [
        bodies.host_port("Default Streaming", "Streaming", streaming, {"*": "none"}),
        bodies.host_port(
            "Default Admin", "Admin", admin, {"serverinfo*": asks, "connectioncounts*": asks, "*": "none"}
        ),
    ]


@LOOKS.at("GET", f"{_SERVER}/publishers", PUBLISHERS)
def _publishers(desk: Desk, asked: Asked, **at: str) -> Answer:
    rows = [{"id": name} for name in desk.server.publishers]
    return Answer("Publishers", {"serverName": bodies.SERVER, "publishers": rows})
