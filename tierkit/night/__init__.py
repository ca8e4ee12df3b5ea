"""The record night again, on one machine: what `examples/record_night.py` runs.

An origin, three HLS edges and an RTMP relay, each a process of its own, thousands of viewers before them, and a report
at the end with every condition that was not held.
"""

from ._clip import Clip as Clip
from ._plan import Plan as Plan
from ._players import Played as Played
from ._players import compare as compare
from ._run import run_night as run_night

__all__ = ["Clip", "Plan", "Played", "compare", "run_night"]
