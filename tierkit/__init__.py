"""tierkit: live-streaming tiers as a library.

This module has no logic: it re-exports the public names, grouped by what they are for.

General layout, lowest first (tests/test_layers.py enforces it):

    errors                                   standard library only
    codecs/*                                 sans-IO: bytes in, values out
    _address, _events, _ports, _recipe,      the model: frozen values, and the ABCs they carry
        _plugin, _model, _authorise, _accesslog, _masking, _companion, _restream
    hookspecs, _registry                     pluggy, behind typed methods
    _net, _upstream, _store, _fanout, ...    the machinery, on trio
    _serve                                   life and death of tiers
    _log, _run, _report, ...                 a graph as a program, and the report of a night
    access, http, rtmp, live, ...            the kits: protocols on a connection
    plugins/*                                built-ins, through the strangers' door
    testing, cli, ...                        what uses all of it

`tierkit` is for those who write graphs, `tierkit.plugin` for those who write plugins, `tierkit.testing`
for those who test them.
"""

from ._accesslog import AccessLog as AccessLog
from ._address import Address as Address
from ._address import Certificate as Certificate
from ._address import Listener as Listener
from ._address import Trust as Trust
from ._background import BackgroundHandle as BackgroundHandle
from ._background import background as background
from ._check import check as check
from ._draw import draw as draw
from ._log import log_observer as log_observer
from ._model import Edge as Edge
from ._model import Graph as Graph
from ._model import Limits as Limits
from ._model import Node as Node
from ._model import Origin as Origin
from ._model import Relay as Relay
from ._model import Tier as Tier
from ._net import RealNetwork as RealNetwork
from ._registry import PluginInfo as PluginInfo
from ._registry import Registry as Registry
from ._report import GRNET_2013 as GRNET_2013
from ._report import Report as Report
from ._report import report as report
from ._restream import Restream as Restream
from ._run import explain as explain
from ._run import run as run
from ._serve import GraphHandle as GraphHandle
from ._serve import TierHandle as TierHandle
from ._serve import open_graph as open_graph
from ._serve import open_tier as open_tier
from ._serve import serve as serve
from ._serve_probe import Probe as Probe
from ._serve_probe import probe as probe
from ._version import __version__ as __version__
from .errors import AddressError as AddressError
from .errors import GraphError as GraphError
from .errors import ListenError as ListenError
from .errors import PluginError as PluginError
from .errors import TierkitError as TierkitError
from .errors import UpstreamError as UpstreamError
