"""Showing a graph at work: a live test signal, a page to watch it on, and a table in the terminal.

For demonstrations and for a first look at one's own graph; `examples/grnet.py` is built on it.
"""

from ._page import WatchPage as WatchPage
from ._show import show as show
from ._table import Rates as Rates
from ._table import table as table
