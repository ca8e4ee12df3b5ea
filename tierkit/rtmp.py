"""The RTMP kit: RTMP on a connection, both roles, over the live kit's streams.

Serving: `serve_rtmp(connection, host)` speaks with one publisher or player; the `RTMPHost` decides what may be
published and played, and where it comes from.  Asking: `pull` plays an upstream's stream into a
`Publication`; `open_publisher` publishes to a server.  Both answer a server that asks who they are, and go where it
sends them, within bounds.
"""

from ._rtmp_client import Publisher as Publisher
from ._rtmp_client import open_publisher as open_publisher
from ._rtmp_dial import Greeting as Greeting
from ._rtmp_dial import RTMPPlace as RTMPPlace
from ._rtmp_dial import RTMPRefused as RTMPRefused
from ._rtmp_dial import RTMPTimeouts as RTMPTimeouts
from ._rtmp_host import RTMPHost as RTMPHost
from ._rtmp_host import RTMPRefusal as RTMPRefusal
from ._rtmp_host import Served as Served
from ._rtmp_host import Sweeper as Sweeper
from ._rtmp_logged import REQUEST_ID_KEY as REQUEST_ID_KEY
from ._rtmp_logged import request_id_of as request_id_of
from ._rtmp_pull import pull as pull
from ._rtmp_server import serve_rtmp as serve_rtmp
