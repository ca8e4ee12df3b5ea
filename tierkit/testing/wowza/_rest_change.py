"""What the REST API does when it is told to."""

from __future__ import annotations

from typing import Final

from . import _rest_bodies as bodies
from ._model import DEFAULT_INSTANCE, Application
from ._rest_desk import Answer, Asked, Desk, Refused
from ._rest_routes import Routes
from ._sessions import Place
from ._shown_rest import APPLICATION_ACTIONS, CREATE, DISCONNECT, PUBLISHERS, STREAM_FILES

__all__ = ["CHANGES"]

CHANGES: Routes = Routes()

_SERVER = "/v2/servers/{server}"
_VHOST = f"{_SERVER}/vhosts/{{vhost}}"
_APP = f"{_VHOST}/applications/{{app}}"
_STREAM = f"{_APP}/instances/{{instance}}/incomingstreams/{{stream}}"

#: What may stand for mediaCasterType (vendor's documentation of the API).
_CASTERS: Final = frozenset(("rtp", "rtp-record", "shoutcast", "shoutcast-record", "liverepeater"))
#: What a server has in memory is bounded, whoever fills it.
_MOST: Final = 1000


def _created(message: str) -> Answer:
    return Answer("Response", bodies.created(message), 201)


def _saved() -> Answer:
    return Answer("Response", bodies.saved())


def _name_in(values: dict[str, object], taken: int) -> str:
    name = values.get("name")
    if not isinstance(name, str) or not name or "/" in name or taken >= _MOST:
        raise Refused(400)
    return name


@CHANGES.at("POST", f"{_VHOST}/applications", CREATE)
@CHANGES.at("POST", _APP, CREATE)
def _create(desk: Desk, asked: Asked, app: str = "", **at: str) -> Answer:
    values, known = asked.values(), desk.server.applications
    name = app or _name_in(values, len(known))
    if name in known:
        raise Refused(409)
    desk.server.application(name)
    _set_type(known[name], values)
    return _created(f"Application ({name}) created successfully.")


@CHANGES.at("PUT", _APP, CREATE)
def _change(desk: Desk, asked: Asked, app: str, **at: str) -> Answer:
    _set_type(desk.application(app), asked.values())
    return _saved()


def _set_type(application: Application, values: dict[str, object]) -> None:
    kind = values.get("appType", application.app_type)
    if not isinstance(kind, str):
        raise Refused(400)
    application.app_type = kind


@CHANGES.at("DELETE", _APP, CREATE)
def _remove(desk: Desk, asked: Asked, app: str, **at: str) -> Answer:
    _shut_down(desk, desk.application(app))
    del desk.server.applications[app]
    return _saved()


@CHANGES.at("PUT", f"{_APP}/actions/{{action}}", APPLICATION_ACTIONS)
def _act(desk: Desk, asked: Asked, app: str, action: str, **at: str) -> Answer:
    application = desk.application(app)
    if action not in ("start", "shutdown", "restart"):
        raise Refused(404)
    if action != "start":
        _shut_down(desk, application)
    if action != "shutdown" and not application.loaded:
        application.loaded = True
        application.since = desk.server.now()
    return _saved()


def _shut_down(desk: Desk, application: Application) -> None:
    """Everybody goes, and every stream; it stays on disk."""
    for session in [each for each in desk.server.rtmp if each.application == application.name]:
        if session.disconnect is not None:
            session.disconnect()
    for instance in application.instances.values():
        for name in list(instance.streams):
            desk.server.forget(Place(application.name, instance.name, name))
    application.loaded = False


@CHANGES.at("PUT", f"{_STREAM}/actions/{{action}}", DISCONNECT)
def _act_on_stream(desk: Desk, asked: Asked, app: str, instance: str, stream: str, action: str, **at: str) -> Answer:
    desk.application(app)
    server, place = desk.server, Place(app, instance, stream)
    found = server.find(place)
    if found is None or action not in ("disconnectStream", "resetStream"):
        raise Refused(404)
    server.forget(place)
    publisher = next((each for each in server.rtmp if each.publishing and each.place == place), None)
    if publisher is not None and publisher.disconnect is not None:
        publisher.disconnect()  # it connects again by itself
    elif action == "resetStream":
        server.publish(place, source_ip=found.source_ip)
    return _saved()


@CHANGES.at("POST", f"{_VHOST}/streamfiles", STREAM_FILES)
@CHANGES.at("POST", f"{_APP}/streamfiles", STREAM_FILES)
def _create_stream_file(desk: Desk, asked: Asked, app: str = "", **at: str) -> Answer:
    values = asked.values()
    known = _stream_files(desk, app)
    name = _name_in(values, len(known)).removesuffix(".stream")
    uri = values.get("uri", "")
    if not isinstance(uri, str):
        raise Refused(400)
    if name in known:
        raise Refused(409)
    known[name] = uri
    return _created("")


@CHANGES.at("DELETE", f"{_VHOST}/streamfiles/{{file}}", STREAM_FILES)
@CHANGES.at("DELETE", f"{_APP}/streamfiles/{{file}}", STREAM_FILES)
def _remove_stream_file(desk: Desk, asked: Asked, file: str, app: str = "", **at: str) -> Answer:
    if _stream_files(desk, app).pop(file, None) is None:
        raise Refused(404)
    return _saved()


@CHANGES.at("PUT", f"{_VHOST}/streamfiles/{{file}}/actions/connect", STREAM_FILES)
@CHANGES.at("PUT", f"{_APP}/streamfiles/{{file}}/actions/connect", STREAM_FILES)
def _connect(desk: Desk, asked: Asked, file: str, app: str = "", **at: str) -> Answer:
    known = _stream_files(desk, app)
    if file not in known:
        raise Refused(404)
    target = asked.query.get("connectAppName", app)
    if not target or asked.query.get("mediaCasterType", "rtp") not in _CASTERS:
        raise Refused(400)
    desk.application(target)
    place = Place(target, asked.query.get("appInstance", DEFAULT_INSTANCE), f"{file}.stream")
    found = desk.server.find(place)
    if found is not None and found.is_connected:
        raise Refused(409)
    desk.server.publish(place, source_ip=known[file])
    return _saved()


def _stream_files(desk: Desk, app: str) -> dict[str, str]:
    return desk.application(app).stream_files if app else desk.stream_files


@CHANGES.at("POST", f"{_SERVER}/publishers", PUBLISHERS)
def _create_publisher(desk: Desk, asked: Asked, **at: str) -> Answer:
    values, known = asked.values(), desk.server.publishers
    name = _name_in(values, len(known))
    password = values.get("password")
    if not isinstance(password, str):
        raise Refused(400)
    if name in known:
        raise Refused(409)
    known[name] = password
    return _created("")


@CHANGES.at("DELETE", f"{_SERVER}/publishers/{{name}}", PUBLISHERS)
def _remove_publisher(desk: Desk, asked: Asked, name: str, **at: str) -> Answer:
    if desk.server.publishers.pop(name, None) is None:
        raise Refused(404)
    return _saved()
