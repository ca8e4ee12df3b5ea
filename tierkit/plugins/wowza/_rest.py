"""Wowza's REST interface (8087, ``/v2``), as far as a tier has use for it: looking, and stream files.

Only one kind of thing is ever changed: a stream file is connected, and its stream disconnected.  JSON is asked for;
XML that comes all the same is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlencode

from attrs import frozen

from tierkit.codecs.wowza_body import is_xml
from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.codecs.wowza_rest import (
    Application,
    IncomingStream,
    Instance,
    MachineLoad,
    ServerStatus,
    StreamFile,
    Traffic,
    read_applications,
    read_instances,
    read_machine,
    read_status,
    read_stream_files,
    read_traffic,
    rest_path,
)

from ._client import WowzaClient, WowzaFailure

__all__ = ["REST_PORT", "OnAir", "WowzaRest"]

#: Of the interface on a stock server.
REST_PORT: Final = 8087
#: Applications whose instances are asked for, one request each: more is a server to be asked for by name.
MAX_APPLICATIONS: Final = 200

T = TypeVar("T")


@frozen(kw_only=True)
class OnAir:
    """A stream that Wowza knows as incoming, with its application."""

    app: str
    instance: str
    name: str
    #: Whether media is said to arrive: a stream that is listed and not connected is none.
    connected: bool
    source: str = ""
    #: Whether a stream file brought it.
    managed: bool = False

    @property
    def path(self) -> str:
        """As it stands in URLs: ``app/name``, with the instance where that is not the default."""
        middle = "" if self.instance == DEFAULT_INSTANCE else f"{self.instance}/"
        return f"{self.app}/{middle}{self.name}"


class WowzaRest:
    """The interface of one server.  Every method raises WowzaFailure.

    Args:
        client: asks it.
        server, host: as the interface names them; a stock server has no others.
    """

    def __init__(self, client: WowzaClient, *, server: str = "_defaultServer_", host: str = "_defaultVHost_") -> None:
        self.client = client
        self._server = ("v2", "servers", server)
        self._host = (*self._server, "vhosts", host)
        #: Whether the last answer was XML, though JSON had been asked for.
        self.speaks_xml = False

    async def status(self) -> ServerStatus:
        """Version, licence, connections."""
        return await self._look(read_status, "a server's status", *self._server, "status")

    async def machine(self) -> MachineLoad:
        """Processor, memory, disk."""
        return await self._look(read_machine, "a machine's load", "v2", "machine", "monitoring", "current")

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
        """Of the host, of an application or of a stream.

        Of a stream that is not there it is said to be zeros: see `stream` for whether one is on air.
        """
        within = ("applications", app) if app else ()
        if stream:
            within = (*within, "instances", instance, "incomingstreams", stream)
        return await self._look(read_traffic, "traffic", *self._host, *within, "monitoring", "current")

    async def applications(self) -> tuple[Application, ...]:
        """All applications of the host, running or not."""
        return await self._look(read_applications, "a list of applications", *self._host, "applications")

    async def instances(self, app: str) -> tuple[Instance, ...]:
        """An application's instances with what comes in; none where it does not run."""
        path = (*self._host, "applications", app, "instances")
        return await self._look(read_instances, "a list of instances", *path)

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        """What comes in, of one application or of all: one request for each."""
        apps = [app] if app else [each.name for each in await self.applications()][:MAX_APPLICATIONS]
        found: list[OnAir] = []
        for name in apps:
            try:
                instances = await self.instances(name)
            except WowzaFailure as error:
                if app or error.kind != "missing":
                    raise
                continue  # it was removed since it was listed
            for instance in instances:
                found += [_on_air(name, each) for each in instance.incoming]
        return tuple(found)

    async def stream(self, app: str, name: str, instance: str = DEFAULT_INSTANCE) -> OnAir | None:
        """A stream that comes in now; None where it does not, or is listed without being connected."""
        wanted = (instance, name)
        for each in await self.incoming(app):
            if (each.instance, each.name) == wanted and each.connected:
                return each
        return None

    async def stream_files(self, app: str) -> tuple[StreamFile, ...]:
        """The stream files of an application."""
        path = (*self._host, "applications", app, "streamfiles")
        return await self._look(read_stream_files, "a list of stream files", *path)

    async def connect(self, app: str, file: str, *, caster: str = "rtp", instance: str = DEFAULT_INSTANCE) -> None:
        """Have Wowza begin to pull what a stream file names; its stream is then `file` with ``.stream`` behind."""
        path = (*self._host, "applications", app, "streamfiles", _bare(file), "actions", "connect")
        said = urlencode({"connectAppName": app, "appInstance": instance, "mediaCasterType": caster})
        await self.client.put(rest_path(*path), said)

    async def disconnect(self, app: str, file: str, *, instance: str = DEFAULT_INSTANCE) -> None:
        """Have it end: on the incoming stream, as the vendor's own library does."""
        stream = ("instances", instance, "incomingstreams", f"{_bare(file)}.stream")
        path = (*self._host, "applications", app, *stream, "actions", "disconnectStream")
        await self.client.put(rest_path(*path))

    async def _look(self, read: Callable[[bytes], T], what: str, *path: str) -> T:
        found, answer = await self.client.look(read, what, rest_path(*path), accept="application/json")
        self.speaks_xml = is_xml(answer.body)
        return found


def _on_air(app: str, each: IncomingStream) -> OnAir:
    return OnAir(
        app=app,
        instance=each.instance,
        name=each.name,
        connected=each.connected,
        source=each.source,
        managed=each.managed,
    )


def _bare(file: str) -> str:
    """The interface names stream files without what their streams end in."""
    return file.removesuffix(".stream")
