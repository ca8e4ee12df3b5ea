"""The run of `cache_rules.py`: the same suite through each cache, one after the other, and a table comes of it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks import _procs
from benchmarks._compare import here, machine, write_between
from benchmarks._figures import NAMES
from tests.real import cache_suite
from tests.real.cache_suite.judge import Case, Verdict, judged
from tests.real.npm import NotInstalledError, installed
from tierkit import __version__

SCRIPT = "cache_rules.py"
#: As Debian's package has it, but for files and address; a worker of root's reads the folder that root has made.
NGINX = """\
daemon off; {user} pid {folder}/pid; error_log {folder}/error.log warn;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=c:8m;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{origin}; proxy_cache c; proxy_cache_revalidate on; }}
  }}
}}
"""

#: Starts a cache before an origin's port, with its files in a folder; yields the address of its door.
Starter = Callable[[Path, int], AbstractContextManager[str]]


@contextmanager
def tierkit(folder: Path, origin: int) -> Iterator[str]:
    """The edge of this project, as a plain cache."""
    command = ["edge", "hls", f"http://127.0.0.1:{origin}", "--listen", "http://127.0.0.1:0", "--drain", "1"]
    command += ["--option", "policy=rfc9111", "--option", "heuristic=0.1"]
    with _procs.tier(*command, log=folder / "tierkit.log") as (_, doors):
        yield doors["http"]


@contextmanager
def nginx(folder: Path, origin: int) -> Iterator[str]:
    """proxy_cache."""
    port, written, log = _procs.free_port(), folder / "nginx.conf", folder / "nginx.log"
    user = "" if os.getuid() else "user root;"
    written.write_text(NGINX.format(folder=folder, port=port, origin=origin, user=user))
    with _procs.process(["nginx", "-c", str(written), "-p", str(folder), "-e", "error.log"], log) as child:
        _procs.wait_listening("nginx", port, child, log)
        yield f"127.0.0.1:{port}"


@contextmanager
def varnish(folder: Path, origin: int) -> Iterator[str]:
    """The VCL that is built in; without the two minutes that Varnish gives to what the origin gave no lifetime.

    With them one test would fail on which most of the others build, and these would not be judged at all.
    """
    port, log = _procs.free_port(), folder / "varnish.log"
    command = ["varnishd", "-F", "-j", "none", "-n", str(folder / "work"), "-a", f"127.0.0.1:{port}"]
    command += ["-b", f"127.0.0.1:{origin}", "-p", "default_ttl=0"]
    with _procs.process(command, log) as child:
        _procs.wait_listening("varnishd", port, child, log)
        yield f"127.0.0.1:{port}"


STARTERS: dict[str, Starter] = {"tierkit": tierkit, "nginx": nginx, "varnish": varnish}


def found_by(name: str, suite: Path) -> list[Case]:
    """The whole suite through one cache."""
    with (
        tempfile.TemporaryDirectory(prefix="cache-rules-") as folder,
        cache_suite.origin(suite) as origin,
        STARTERS[name](Path(folder), origin) as address,
    ):
        return cache_suite.run(suite, f"http://{address}")


def counts(verdicts: Sequence[Verdict], kind: str) -> str:
    """How many tests of a kind pass, of how many; of those that are required also what fails, and what was not judged.

    What is optional is there or not, for whatever reason.
    """
    if not verdicts:
        return ""
    passed, failed = verdicts.count(Verdict.PASS), verdicts.count(Verdict.FAIL)
    if kind == "optimal":
        return f"{passed} of {len(verdicts)}"
    return f"{passed} / {failed} / {len(verdicts) - passed - failed}"


def table(results: Mapping[str, Sequence[Case]]) -> str:
    """Group by group, two columns for each cache, and the sums."""
    kinds = ("required", "optimal")
    verdicts = {name: judged(cases) for name, cases in results.items()}
    heads = [f"{NAMES[name]}, {kind}" for name in results for kind in kinds]
    lines = [f"| {' | '.join(['tests', *heads])} |", f"|---|{'---|' * len(heads)}"]

    def line(title: str, group: str | None) -> None:
        cells = []
        for name, cases in results.items():
            own = [case for case in cases if group in (None, case.group) and case.id in verdicts[name]]
            cells += [counts([verdicts[name][case.id] for case in own if case.kind == kind], kind) for kind in kinds]
        if any(cells):  # there are groups of checks alone
            lines.append(f"| {' | '.join([title, *cells])} |")

    for group, title in {case.group: case.title for cases in results.values() for case in cases}.items():
        line(title.replace("Respones", "Responses"), group)
    line("**all**", None)
    return "\n".join(lines)


def versions() -> str:
    """Whose results these are."""
    told = machine()
    found = [f"tierkit {__version__}", *(told[name] for name in ("nginx", "varnish") if name in told)]
    suite = json.loads((cache_suite.HERE / "package.json").read_text())["dependencies"]["http-cache-tests"]
    return "; ".join([*found, f"http-cache-tests {suite}"])


def main(description: str, given: Sequence[str] | None = None) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(STARTERS), help="which caches: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between its marks in this page")
    options = parser.parse_args(given)
    wanted = options.peers.split(",")
    for each in wanted:
        if each not in STARTERS:
            parser.error(f"there is no {each!r}: take from {', '.join(STARTERS)}")
    # Asked to end, we end what we started: by the way that an exception takes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        suite = installed(cache_suite.HERE)
    except (NotInstalledError, FileNotFoundError) as error:
        raise SystemExit(f"npm cannot install the suite: {error}") from None
    results = {}
    for name in here(wanted):
        print(f"{NAMES[name]}: a quarter of a minute", file=sys.stderr, flush=True)
        results[name] = found_by(name, suite)
    text = f"{versions()}.\n\n{table(results)}\n"
    print(text, end="")
    if options.write:
        options.write.write_text(write_between(options.write.read_text(), f"\n{text}", SCRIPT))
