"""The tests of HTTP caches by the HTTP working group's chair (npm's `http-cache-tests`, cache-tests.fyi), from outside.

The suite is an origin and a client; the cache that is judged stands between them.  `origin` and `run` start the two,
`judge` says what the results mean by the suite's own rules, and `reasons` has what tierkit does not pass, and why.

The suite depends on npm and liquidjs for its command line and its web page, which are not used here; `overrides` in
package.json puts something small in their place.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .judge import Case, merged

HERE = Path(__file__).parent
NODE = ("node", "--no-warnings")
#: Seconds that one run may take: all of it takes 14.
LONGEST = 170.0


def _suite(installed: Path) -> Path:
    return installed / "node_modules" / "http-cache-tests"


@contextmanager
def origin(installed: Path) -> Iterator[int]:
    """The suite's origin as a process; yields its port.

    Args:
        installed: the folder that has the suite in its node_modules.
    """
    command = [*NODE, str(HERE / "origin.mjs"), str(_suite(installed))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            said = child.stdout.readline()
            if not said.startswith("Listening on "):
                raise RuntimeError(f"the suite's origin does not begin: {said!r}")
            yield int(said.strip().rstrip("/").rpartition(":")[2])
        finally:
            # `node` may be a script that waits for the real one: the end of its input reaches both.
            child.stdin.close()


def run(installed: Path, base: str) -> list[Case]:
    """Every test, through the cache at a URL; what does not pass is run a second time, and that one counts.

    The tests wait one to three seconds between their requests, and what is fresh for two of them is stale on a machine
    that stood still; a cache that is wrong is wrong again.
    """
    first = run_once(installed, base)
    again = [case.id for case in first if case.result is not True and not case.browser_only]
    return merged(first, run_once(installed, base, again) if again else [])


def run_once(installed: Path, base: str, ids: Sequence[str] = ()) -> list[Case]:
    """These tests, or all, once."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [*NODE, str(HERE / "client.mjs"), str(_suite(installed)), base, str(report), *ids]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
        if done.returncode:
            raise RuntimeError(f"the suite broke off with {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return [Case.of(told) for told in json.loads(report.read_text())]
