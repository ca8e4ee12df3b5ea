"""The load tool as a library: thousands of honest viewers from one process or several.

    report = await run_hls("http://edge:8080/live/s/playlist.m3u8", viewers=2000, seconds=60, ramp=20)
    print(report.text())

A viewer dials, asks and waits as a player does; most of them drop what they get inside the kernel, every nth reads
all of it and checks that it goes on without a break.  For async programs on trio.
"""

from ._hls import run_hls as run_hls
from ._live import Live as Live
from ._playback import Playback as Playback
from ._report import Quantiles as Quantiles
from ._report import Report as Report
from ._rtmp import run_rtmp as run_rtmp
from ._run import spare_collections as spare_collections
from ._self_check import SelfCheck as SelfCheck
from ._watched import Watched as Watched
from ._watched import write_viewers as write_viewers

__all__ = [
    "Live",
    "Playback",
    "Quantiles",
    "Report",
    "SelfCheck",
    "Watched",
    "run_hls",
    "run_rtmp",
    "spare_collections",
    "write_viewers",
]
