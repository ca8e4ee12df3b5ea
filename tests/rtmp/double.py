"""A server of somebody else's, in memory: what it is asked is kept, what it answers is set by the test."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import trio
from attrs import define, field

from tierkit import Address, Listener
from tierkit.codecs.rtmp_chunk import CHUNK_SIZE, encode_message
from tierkit.codecs.rtmp_message import MEDIA_CSID
from tierkit.codecs.rtmp_session import (
    CallReceived,
    ConnectRequested,
    Media,
    PlayRequested,
    PublishRequested,
    ServerSession,
)
from tierkit.errors import ConnectionLost
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .media import Sent


class _Session(ServerSession):
    """Says more with the acceptance of a connection."""

    more: dict[str, Any] = {}  # noqa: RUF012

    def _call(self, stream_id: int, name: str, transaction: float, *args: Any) -> None:
        if name == "_result" and self.more and isinstance(args[-1], dict):
            args[-1].update(self.more)
        super()._call(stream_id, name, transaction, *args)


@define(eq=False)
class Visit:
    """One connection to the double."""

    connection: Connection
    session: _Session
    connect: ConnectRequested | None = None
    calls: list[Any] = field(factory=list)
    media: list[Media] = field(factory=list)
    #: The paths that it has asked to play or publish, with their queries.
    asked: list[str] = field(factory=list)
    stream_id: int = 0
    over: bool = False

    async def say(self) -> None:
        await self.connection.send_all(self.session.data_to_send())

    async def ask_away(self, tc_url: str) -> None:
        self.session.request_reconnect(tc_url)
        await self.say()

    async def send(self, *sent: Sent) -> None:
        """Media to a player."""
        for each in sent:
            data = encode_message(
                MEDIA_CSID[each.type_id], each.type_id, self.stream_id, each.timestamp, each.payload, CHUNK_SIZE
            )
            await self.connection.send_all(data)


class Double:
    """One server.  Every attribute may be changed at any time.

    Attributes:
        judge: refuses a connection by raising `Refused`.
        more: what the acceptance of a connection says besides.
        redirect: to where a request to play or publish is sent, as SRS does.
        wait: set it to an event, and nothing is answered to publish before that.
        media: what a player is sent at once.
    """

    def __init__(self, network: MemoryNetwork, where: str = "rtmp://far.example:1935") -> None:
        self.network = network
        self.where = Address.parse(where)
        self.visits: list[Visit] = []
        self.judge: Callable[[ConnectRequested], None] = lambda request: None
        self.more: dict[str, Any] = {}
        self.redirect = ""
        self.refuse_publish = ""
        self.wait: trio.Event | None = None
        self.media: list[Sent] = []

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        bound = await self.network.listen(Listener(self.where))
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    nursery.start_soon(self._serve, await bound.accept())
        finally:
            bound.close()

    @property
    def last(self) -> Visit:
        return self.visits[-1]

    async def _serve(self, connection: Connection) -> None:
        session = _Session(b"n" * 32)
        session.more = self.more
        visit = Visit(connection, session)
        self.visits.append(visit)
        try:
            while data := await connection.recv():
                for event in session.receive(data, trio.current_time()):
                    await self._handle(visit, event)
                await visit.say()
                if session.closing:
                    break
        except ConnectionLost:
            pass
        finally:
            visit.over = True
            connection.close()

    async def _handle(self, visit: Visit, event: Any) -> None:
        session = visit.session
        if isinstance(event, ConnectRequested):
            visit.connect = event
            try:
                self.judge(event)
            except Refused as refusal:
                session.reject_connect(refusal.code, str(refusal), **refusal.more)
            else:
                session.accept_connect()
        elif isinstance(event, (PublishRequested, PlayRequested)):
            visit.asked.append(event.route.path + (f"?{event.route.query}" if event.route.query else ""))
            visit.stream_id = event.stream_id
            if self.redirect:
                ex = {"code": 302.0, "redirect": self.redirect}
                session._status(event.stream_id, "error", "NetConnection.Connect.Rejected", "RTMP 302 Redirect", ex=ex)
            elif isinstance(event, PlayRequested):
                session.accept_play(event.stream_id)
                await visit.say()
                await visit.send(*self.media)
            elif self.refuse_publish:
                session.reject_publish(event.stream_id, "NetStream.Publish.BadName", self.refuse_publish)
            else:
                if self.wait is not None:
                    await self.wait.wait()
                session.accept_publish(event.stream_id)
        elif isinstance(event, Media):
            visit.media.append(event)
        elif isinstance(event, CallReceived):
            visit.calls.append((event.command.name, event.command.arg(0)))


class Refused(Exception):
    """Why a connection is refused, with what stands beside the description."""

    def __init__(self, description: str, *, code: str = "NetConnection.Connect.Rejected", **more: Any) -> None:
        super().__init__(description)
        self.code = code
        self.more = more


def elsewhere(tc_url: str) -> Callable[[ConnectRequested], None]:
    """A judge that sends everybody to another server, as Adobe's does."""

    def judge(request: ConnectRequested) -> None:
        raise Refused("RTMP 302 Redirect", ex={"code": 302.0, "redirect": tc_url})

    return judge


def adobe(user: str, password: str, *, opaque: str = "") -> Callable[[ConnectRequested], None]:
    """A judge that asks by authmod=adobe, as Wowza's and Adobe's servers were recorded."""

    def judge(request: ConnectRequested) -> None:
        said = dict(parse_qsl(request.app.partition("?")[2].replace("+", "%2B"), keep_blank_values=True))
        assert request.tc_url.partition("?")[2] == request.app.partition("?")[2]
        if said.get("authmod") != "adobe":
            raise Refused("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ")
        head = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason="
        if said["user"] != user:
            raise Refused(f"{head}nosuchuser&opaque={opaque}")
        salt, challenge = "xyz", "abc"
        if "response" not in said:
            more = f"&opaque={opaque}" if opaque else ""
            raise Refused(f"{head}needauth&user={user}&salt={salt}&challenge={challenge}{more}")
        inner = b64encode(hashlib.md5(f"{user}{salt}{password}".encode()).digest()).decode()
        wanted = hashlib.md5(f"{inner}{opaque or challenge}{said['challenge']}".encode()).digest()
        if said["response"] != b64encode(wanted).decode() or said.get("opaque", "") != opaque:
            raise Refused(f"{head}authfailed&opaque={opaque}")

    return judge
