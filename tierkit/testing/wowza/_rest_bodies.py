"""Bodies of the REST API: the recorded ones with a server's own figures in them.

Every one is made from its file in `payloads`, so the keys, their spelling (`maxIncommingStreams` is Wowza's) and their
types are those that were recorded; what has no recording (machine figures, stream files, host ports) says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import frozen

from ._rest_form import payload

__all__ = [
    "RECORDED",
    "SERVER",
    "VHOST",
    "Traffic",
    "application",
    "application_current",
    "applications",
    "created",
    "error",
    "host_port",
    "host_ports",
    "incoming_stream",
    "instance",
    "instances",
    "machine",
    "saved",
    "status",
    "stream_current",
    "stream_files",
]

SERVER: Final = "_defaultServer_"
VHOST: Final = "_defaultVHost_"
_VHOST_PATH: Final = f"/v2/servers/{SERVER}/vhosts/{VHOST}"

#: What an error says.  401, 404 and 409 were recorded; the others are the words that Restlet, which the API stands
#: on, has for these statuses.
_MESSAGES: Final = {
    400: "The request could not be understood by the server due to malformed syntax",
    405: "The method specified in the request is not allowed for the resource identified by the request URI",
    415: "The server is refusing to service the request because the entity of the request is in a format not supported "
    "by the requested resource for the requested method",
}
#: Errors that were recorded.
RECORDED: Final = (401, 404, 409)


@frozen(kw_only=True)
class Traffic:
    """What has passed, and who is there: of a server, an application or a stream.

    `kinds` are connections by the API's own names (RTMP, CUPERTINO, ...); rates are bytes a second.
    """

    uptime: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    in_rate: float = 0.0
    out_rate: float = 0.0
    total: int = 0
    kinds: Mapping[str, int]


def error(code: int, version: str) -> dict[str, Any]:
    """What an error answers; its code is text."""
    if code in RECORDED:
        return payload(f"rest_{code}") | {"wowzaServer": version}
    return {"message": _MESSAGES[code], "code": str(code), "success": False, "wowzaServer": version}


def created(message: str) -> dict[str, Any]:
    """What 201 answers."""
    return payload("rest_created") | {"message": message}


def saved() -> dict[str, Any]:
    """What a change and a removal answer."""
    return payload("rest_saved")


def status(*, version: str, build: str, name: str, seconds: float, connections: int, origin: bool) -> dict[str, Any]:
    """The server's status.

    Args:
        origin: whether it may be an HTTP origin, which licences for trial and development rule out: the recorded one.
    """
    recorded = payload("rest_status")
    licence = {} if origin is recorded["httpOriginAvailable"] else _PAID
    return (
        recorded
        | licence
        | {
            "serverVersion": version,
            "serverBuild": build,
            "timeRunning": round(seconds, 3),
            "currentConnections": connections,
            "httpOriginAvailable": origin,
            "wseName": name,
        }
    )


_PAID: Final = {
    "licenseType": "Subscription",
    "serverMode": "Production",
    "maxConnections": 0,
    "maxIncommingStreams": 0,
}


def machine(*, seconds: float, connections: int) -> dict[str, Any]:
    """The machine's figures by the vendor's names, of one with the recorded memory.  They follow the connections."""
    whole = payload("rest_status")
    heap = int(whole["javaMaxHeapSize"].removesuffix("MB")) << 20
    user = min(90, 1 + connections // 10)
    used = min(heap, (256 << 20) + (connections << 20))
    return {
        "serverName": SERVER,
        "serverUptime": int(seconds),
        "cpuIdle": 99 - user,
        "cpuUser": user,
        "cpuSystem": 1,
        "memoryFree": whole["availableMemory"],
        "memoryUsed": whole["totalMemory"] - whole["availableMemory"],
        "heapFree": heap - used,
        "heapUsed": used,
        "diskFree": 64 << 30,
        "diskUsed": 16 << 30,
        "connectionCount": connections,
    }


def application_current(traffic: Traffic) -> dict[str, Any]:
    """Figures of an application, and of a server."""
    return _current(payload("rest_application_current"), traffic)


def stream_current(traffic: Traffic, instance: str, name: str) -> dict[str, Any]:
    """Figures of an incoming stream."""
    return _current(payload("rest_stream_current"), traffic) | {"applicationInstance": instance, "name": name}


def _current(body: dict[str, Any], traffic: Traffic) -> dict[str, Any]:
    return body | {
        "uptime": int(traffic.uptime),
        "bytesIn": traffic.bytes_in,
        "bytesOut": traffic.bytes_out,
        "bytesInRate": int(traffic.in_rate),
        "bytesOutRate": int(traffic.out_rate),
        "totalConnections": traffic.total,
        "connectionCount": {kind: traffic.kinds.get(kind, 0) for kind in body["connectionCount"]},
    }


def applications(rows: Iterable[tuple[str, str | None]]) -> dict[str, Any]:
    """The applications, each by its name and its type (which a real server also gives as null)."""
    body = payload("rest_applications")
    (row,) = body["applications"]
    found = [
        row | {"id": name, "href": f"{_VHOST_PATH}/applications/{quote(name, safe='')}", "appType": kind}
        for name, kind in rows
    ]
    return body | {"applications": found}


def application(name: str, kind: str | None) -> dict[str, Any]:
    """One application: what of its many settings says what it is."""
    return {"serverName": SERVER, "name": name, "appType": kind}


def instances(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The instances of an application, each made by `instance`."""
    return payload("rest_instances") | {"instanceList": list(rows)}


def instance(name: str, streams: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """An instance with what comes in, each made by `incoming_stream`; one that nobody knows has empty lists."""
    row: dict[str, Any] = payload("rest_instances")["instanceList"][0]
    return row | {"name": name, "incomingStreams": list(streams)}


def incoming_stream(name: str, instance: str, source: str, *, connected: bool) -> dict[str, Any]:
    """A stream that comes in from `source`, ``wowz://HOST:PORT`` in the recording."""
    row: dict[str, Any] = payload("rest_instances")["instanceList"][0]["incomingStreams"][0]
    return row | {"name": name, "applicationInstance": instance, "sourceIp": source, "isConnected": connected}


def stream_files(names: Iterable[str], app: str) -> dict[str, Any]:
    """Stream files, which are named here without the `.stream` that their streams have; `app` is "" for the vhost's."""
    place = f"{_VHOST_PATH}/applications/{quote(app, safe='')}" if app else _VHOST_PATH
    rows = [{"id": name, "href": f"{place}/streamfiles/{quote(name, safe='')}"} for name in names]
    return {"serverName": SERVER, "streamFiles": rows}


def host_port(name: str, kind: str, port: int, providers: Mapping[str, str]) -> dict[str, Any]:
    """One port; `providers` are its HTTP providers, from the paths that each takes to how it asks who it is."""
    rows = [{"requestFilters": paths, "authenticationMethod": asks} for paths, asks in providers.items()]
    return {
        "id": name,
        "href": f"{_VHOST_PATH}/hostports/{quote(name)}",
        "type": kind,
        "ipAddress": "*",
        "port": str(port),
        "httpProviders": rows,
    }


def host_ports(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The ports of the vhost, and what answers HTTP at each."""
    return {"serverName": SERVER, "hostPorts": [dict(each) for each in rows]}
