"""Where the report of a night comes from: a control address, a file, or Prometheus.

    night = await from_history("edge.example:9000", seconds=4 * 3600)
    night = await from_prometheus("http://prometheus.example:9090", start=..., end=...)
    Path("night.html").write_text(night.html())

`tierkit.report` makes one of a history that is at hand already.  For async programs on trio.
"""

from ._ask import Asker as Asker
from ._history import from_file as from_file
from ._history import from_history as from_history
from ._prometheus import from_prometheus as from_prometheus
from ._server import from_server as from_server

__all__ = ["Asker", "from_file", "from_history", "from_prometheus", "from_server"]
