"""The WebSocket kit: the server's side of a connection that HTTP hands over (RFC 6455), sans-IO, by wsproto.

`wants_websocket(request)` tells who asks for one; `accept(request)` gives the WebSocket, or the refusal.  Answer with
`Response(101, socket.headers, take_over=...)`; from then on give `socket.receive` what arrives, and send what it
returns.  What we say is for the caller to write: `tierkit.codecs.websocket` has it for many readers at once.

Nothing is kept of what clients send: data is dropped as it comes, control frames have 125 bytes at most.
Compression and subprotocols are not offered.
"""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, RejectConnection
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError, generate_accept_token

from .http import Request, Response, text_response

__all__ = ["GOING_AWAY", "NORMAL", "TRY_AGAIN", "WebSocket", "accept", "wants_websocket"]

#: Why we close (RFC 6455 section 7.4.1, and the registry that it founds): it is over, we leave, come back later.
NORMAL, GOING_AWAY, TRY_AGAIN = 1000, 1001, 1013
#: Longest reason in a close frame, bytes (section 5.5).
MAX_REASON = 123


class WebSocket:
    """One WebSocket, from the answer to the handshake on.

    Attributes:
        headers: of the answer 101.
        closed: the client has said goodbye, or broke the rules: what `receive` returned is our last word.
    """

    def __init__(self, key: bytes) -> None:
        self.headers = [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", generate_accept_token(key)),
        ]
        self.closed = False
        self._connection = Connection(ConnectionType.SERVER)

    def receive(self, data: bytes) -> bytes:
        """Take what the client has sent; gives what is to be sent for it: pongs, the answer to its close."""
        if self.closed:
            return b""
        answers = []
        self._connection.receive_data(data)
        for event in self._connection.events():
            if isinstance(event, Ping):
                answers.append(self._send(event.response(), ConnectionState.OPEN))
            elif isinstance(event, CloseConnection):
                self.closed = True
                answers.append(self._send(event.response(), ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING))
                break
        return b"".join(answers)

    def close(self, code: int, reason: str = "") -> bytes:
        """The frame that ends it from our side; empty where it has ended already."""
        said = reason.encode()[:MAX_REASON].decode("utf-8", "ignore")
        return self._send(CloseConnection(code=code, reason=said), ConnectionState.OPEN)

    def _send(self, event: Event, *states: ConnectionState) -> bytes:
        return self._connection.send(event) if self._connection.state in states else b""


def wants_websocket(request: Request) -> bool:
    """Whether a request asks for a WebSocket, however well."""
    return b"websocket" in (request.get(b"upgrade") or b"").lower()


def accept(request: Request) -> WebSocket | Response:
    """The WebSocket that a request asks for, or the answer that tells what is wrong with it (400, or 426)."""
    handshake = H11Handshake(ConnectionType.SERVER)
    if not request.minor:
        return text_response(400, "a WebSocket needs HTTP/1.1")
    if not request.bodiless:
        return text_response(400, "a WebSocket's handshake has no body")
    try:
        # The head has passed the kit's screen and h11 already.
        handshake.initiate_upgrade_connection(list(request.headers), request.path)
    except RemoteProtocolError as error:
        hint = error.event_hint
        if isinstance(hint, RejectConnection):
            return text_response(hint.status_code, str(error), *hint.headers)
        return text_response(400, str(error))
    key = request.get(b"sec-websocket-key")
    assert key is not None, "wsproto has seen to it"
    return WebSocket(key)
