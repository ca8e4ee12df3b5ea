"""The HTTP kit: HTTP/1.1 on a connection, both roles.  Public; whatever the built-in plugins use, yours can.

Serving: `serve_http(connection, handler)` speaks with one viewer until it ends; the handler takes a
`Request` and gives a `Response`.  Asking: `HttpClient(network)` keeps a small pool and gives bodies as they
arrive.
"""

from ._http_asking import Body as Body
from ._http_asking import Inform as Inform
from ._http_client import ClientResponse as ClientResponse
from ._http_client import ClientTimeouts as ClientTimeouts
from ._http_client import HttpClient as HttpClient
from ._http_client import Unreached as Unreached
from ._http_heads import Fields as Fields
from ._http_heads import Head as Head
from ._http_heads import plain_get as plain_get
from ._http_logged import REQUEST_ID as REQUEST_ID
from ._http_logged import new_request_id as new_request_id
from ._http_park import Park as Park
from ._http_park import Quick as Quick
from ._http_ready import Ready as Ready
from ._http_response import BodySink as BodySink
from ._http_response import Response as Response
from ._http_response import response_head as response_head
from ._http_response import text_response as text_response
from ._http_server import Answered as Answered
from ._http_server import Handler as Handler
from ._http_server import Request as Request
from ._http_server import ServerTimeouts as ServerTimeouts
from ._http_server import serve_http as serve_http
