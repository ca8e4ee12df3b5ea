"""The HTTP kit: HTTP/1.1 on a connection, both roles.  Public; whatever the built-in plugins use, yours can.

Serving: `serve_http(connection, handler)` speaks with one viewer until it ends; the handler takes a
`Request` and gives a `Response`.  Asking: `HttpClient(network)` keeps a small pool and gives bodies as they
arrive.
"""

from ._http_client import ClientResponse as ClientResponse
from ._http_client import ClientTimeouts as ClientTimeouts
from ._http_client import HttpClient as HttpClient
from ._http_response import BodySink as BodySink
from ._http_response import Response as Response
from ._http_response import text_response as text_response
from ._http_server import Answered as Answered
from ._http_server import Handler as Handler
from ._http_server import Request as Request
from ._http_server import ServerTimeouts as ServerTimeouts
from ._http_server import serve_http as serve_http
