"""How fast the RTMP chunk parser reads, beside the goals of the relay: megabytes a second of one core.

    python benchmarks/codecs.py
    python benchmarks/codecs.py --write docs/explanation/performance.md

It takes half a minute.  What is read is a minute of a publisher: 25 pictures a second of 1 Mbit/s in GOPs of two
seconds, and AAC of 96 kbit/s, as chunks of 128, 4,096 and 60,000 bytes, fed as a socket gives it, 64 KiB at a time.
The figure is CPU time, the median of the runs; the garbage collector is as it is in a server.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find the script of that name.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._parsers import main

    main(__doc__)
