"""A relay for a while, with publishers and players that come and go: does anything stay behind?

    python benchmarks/soak.py
    python benchmarks/soak.py --minutes 2

Four streams change publishers every few seconds, and a fifth its encoder: ffmpeg, which is asked to end, or killed.
Sixty players join, watch for a moment, stall, or hang up in the middle of a message.  Memory and descriptors of the
relay are read from /proc every five seconds; a Markdown table compares the second quarter of the time with the last,
both with all streams on air.  It needs ffmpeg.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find the script of that name.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._soak import main

    main(__doc__)
