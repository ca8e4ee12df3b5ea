"""The RTMP relay beside nginx-rtmp: the same stream, the same players, a core for each.

    python benchmarks/rtmp.py
    python benchmarks/rtmp.py --rows 1,3 --runs 3 --seconds 5 --json found.json

Each server takes the publisher itself; it is measured as it comes, and nginx-rtmp also as it is tuned for many
players (chunk_size 60000, buffer, out_cork).  One server works at a time, on one core; load is on the other.  The
figures are the server's CPU time and memory, read from /proc, and what players see; medians of the runs.  A Markdown
table goes to standard output.  nginx's module (`apt-get install libnginx-mod-rtmp`) may be missing: it is left out,
and told.  ffmpeg makes the stream.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find the script of that name.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._compare import main
    from benchmarks._rtmp import COMPARISON

    main(COMPARISON, __doc__)
