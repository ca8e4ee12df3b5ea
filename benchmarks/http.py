"""The HLS edge beside nginx (`proxy_cache`) and Varnish: the same objects, the same load, a core for each.

    python benchmarks/http.py
    python benchmarks/http.py --rows 1,3 --runs 3 --seconds 2 --json found.json

All servers are alive at once and take turns within each repetition, so that what else the machine does hurts
them alike; the figures are CPU-seconds and memory of the server alone, read from /proc, medians of the runs.
The servers have one core, load and origin the other.  A Markdown table goes to standard output.  nginx,
Varnish and wrk must be installed (`apt-get install nginx varnish wrk`); what is missing is left out, and told.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find this very file.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._compare import main
    from benchmarks._http import COMPARISON

    main(COMPARISON, __doc__)
