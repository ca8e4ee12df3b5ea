"""Everything that a plugin author imports besides the kits: the abstract classes, the marks, the machinery.

No logic here either: re-exports, grouped by what they are for.
"""

from ._address import Address as Address
from ._address import Listener as Listener
from ._address import Trust as Trust
from ._companion import Companion as Companion
from ._companion import ControlAnswer as ControlAnswer
from ._companion import ControlRequest as ControlRequest
from ._companion import ControlRoute as ControlRoute
from ._companion import Handle as Handle
from ._model import Node as Node
from ._model import Origin as Origin
from ._plugin import Candidate as Candidate
from ._plugin import Context as Context
from ._plugin import Direct as Direct
from ._plugin import Figures as Figures
from ._plugin import LiveSource as LiveSource
from ._plugin import Observer as Observer
from ._plugin import Recipe as Recipe
from ._plugin import Running as Running
from ._plugin import Service as Service
from ._plugin import Shared as Shared
from ._plugin import Source as Source
from ._plugin import StreamState as StreamState
from ._plugin import Upstreams as Upstreams
from ._plugin import option as option
from ._plugin import option_problems as option_problems
from ._ports import Blob as Blob
from ._ports import Bound as Bound
from ._ports import Connection as Connection
from ._ports import Descriptors as Descriptors
from ._ports import Door as Door
from ._ports import Network as Network
from ._ports import Peer as Peer
from ._fanout import Cursor as Cursor
from ._fanout import FanoutLimits as FanoutLimits
from ._fanout import Pump as Pump
from ._fanout import PumpStatistics as PumpStatistics
from ._fanout import Ring as Ring
from ._store import Entry as Entry
from ._store import Filler as Filler
from ._store import NotShared as NotShared
from ._store import Store as Store
from ._store import StoreFull as StoreFull
from ._store import StoreStatistics as StoreStatistics
from ._store import open_store as open_store
from .errors import ConnectionLost as ConnectionLost
from .errors import LocalProtocolError as LocalProtocolError
from .errors import NotServed as NotServed
from .errors import PluginError as PluginError
from .errors import ProtocolError as ProtocolError
from .errors import RemoteProtocolError as RemoteProtocolError
from .errors import TierkitError as TierkitError
from .errors import UpstreamError as UpstreamError
from .hookspecs import hookimpl as hookimpl
