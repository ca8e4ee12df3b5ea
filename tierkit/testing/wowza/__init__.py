"""A stand-in for a Wowza server, made from what others recorded of real ones.

    async with open_wowza(network=network) as wowza:
        edge = Edge("edge", upstream=Origin("wowza", wowza.address, speaks=Wowza()), ...)

It is no Wowza.  Everything that it shows is tagged as recorded, documented or assumed (`behaviours`), and what is
assumed can be printed.
"""

from ._behaviours import Behaviour as Behaviour
from ._behaviours import Tag as Tag
from ._behaviours import assumed as assumed
from ._behaviours import behaviours as behaviours
from ._log import Asking as Asking
from ._log import Contact as Contact
from ._log import Log as Log
from ._meter import Meter as Meter
from ._model import DEFAULT_INSTANCE as DEFAULT_INSTANCE
from ._model import Application as Application
from ._model import Connections as Connections
from ._model import Group as Group
from ._model import Instance as Instance
from ._model import Server as Server
from ._model import place_of as place_of
from ._open import open_wowza as open_wowza
from ._profiles import PROFILES as PROFILES
from ._profiles import Mode as Mode
from ._profiles import Profile as Profile
from ._reply import CacheControl as CacheControl
from ._reply import Kind as Kind
from ._rtmp_stage import RtmpOptions as RtmpOptions
from ._sessions import HlsSession as HlsSession
from ._sessions import HlsSessions as HlsSessions
from ._sessions import Place as Place
from ._sessions import RtmpSession as RtmpSession
from ._sources import SOURCES as SOURCES
from ._stand_in import StandIn as StandIn
from ._streams import Chunk as Chunk
from ._streams import Epoch as Epoch
from ._streams import IncomingStream as IncomingStream
from ._streams import Rendition as Rendition
from ._web import Faults as Faults
