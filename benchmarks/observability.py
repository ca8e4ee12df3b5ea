"""What it costs to be looked at: a relay at 1,500 players, with and without a control address that is scraped.

    python benchmarks/observability.py
    python benchmarks/observability.py --runs 5 --seconds 10 --write docs/explanation/performance.md

The one has no control address; the other has one with all that comes with it (the console's history, sampled once a
second), and is scraped every five seconds.  They take turns, on one core; load and scraper are on the other.  The
figures are the relay's CPU time, read from /proc; medians of the runs.  A Markdown table goes to standard output.
ffmpeg makes the stream.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find the script of that name.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._compare import main
    from benchmarks._observability import COMPARISON

    main(COMPARISON, __doc__)
