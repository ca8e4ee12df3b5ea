"""The HLS edge as a plain HTTP cache beside nginx and Varnish: what they pass of the suite of cache-tests.fyi.

    python benchmarks/cache_rules.py
    python benchmarks/cache_rules.py --write docs/explanation/http-conformance.md

It takes a minute and measures nothing, so the machine may do other things meanwhile.  The peers have what their
makers deliver: nginx with `proxy_cache` and `proxy_cache_revalidate`, Varnish with its own VCL and `default_ttl=0`;
tierkit has `heuristic=0.1`.  A Markdown table goes to standard output.  Node.js with npm must be installed; nginx and
Varnish may be missing, which is told.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts a script's folder first, where `import http` of any library would find the script of that name.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    from benchmarks._rules import main

    main(__doc__)
