"""RTMP sessions without I/O: bytes in, events out; bytes to send on request.

    session = ServerSession(nonce=os.urandom(32), now=clock())
    while data := await connection.recv():
        for event in session.receive(data, clock()):
            match event:
                case ConnectRequested():
                    session.accept_connect()
                case PublishRequested(stream_id, route):
                    session.accept_publish(stream_id)
                case Media(type_id, timestamp, payload):
                    ...
        await send(session.data_to_send())
        if session.closing:
            break

`receive` looks at a message only when the next event is asked for, so answers keep the order of the questions: go
through all of its events before the next `receive`.  Send `data_to_send` after every `receive`, events or not (the
handshake and acknowledgements make none), and inside the loop, too, where handling an event takes long.  A
RemoteProtocolError comes at its place among the events, and again from every later call.
"""

from .rtmp_client import ClientSession
from .rtmp_events import (
    CallReceived,
    ClientEvent,
    Connected,
    ConnectRefused,
    ConnectRequested,
    Media,
    PauseRequested,
    PlayEnded,
    PlayRequested,
    PlayStarted,
    PlayStopped,
    Pong,
    PublishRequested,
    PublishStarted,
    ReconnectRequested,
    SeekRequested,
    ServerEvent,
    Status,
    Unpublished,
)
from .rtmp_server import ServerSession

__all__ = [
    "ClientSession",
    "ServerSession",
    "ClientEvent",
    "ServerEvent",
    "Media",
    "Pong",
    "CallReceived",
    "ConnectRequested",
    "PublishRequested",
    "Unpublished",
    "PlayRequested",
    "PlayStopped",
    "PauseRequested",
    "SeekRequested",
    "Connected",
    "ConnectRefused",
    "PlayStarted",
    "PlayEnded",
    "PublishStarted",
    "ReconnectRequested",
    "Status",
]
