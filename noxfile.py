"""What is run again and again.  `nox -l` lists it; `nox -s demo` and `nox -s tests` are the README's two commands."""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

TESTS = [
    "pytest>=8",
    "pytest-trio>=0.8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.8",
    "hypothesis>=6.100",
    "trustme>=1.1",
]
WEB = ["fastapi>=0.110", "uvicorn>=0.29"]
# Players that draw without a graphics card, or complain of each sound that is late, and a plan that is held to measured
# CPU time: beside anything else they tell of the machine, and not of the server.
ALONE = [f"tests/real/test_{name}.py" for name in ("browser", "flv_clients", "hls_clients", "plan")]
# Two processes more than cores: many tests wait for real players, and nobody computes meanwhile.  A module stays in one
# process, as its tests share what they watch.  tests/conftest.py says which begin first.
SPREAD = ["-n", str(len(os.sched_getaffinity(0)) + 2), "--dist", "loadfile", "--no-loadscope-reorder"]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
VERSIONS = ["3.11", "3.12", "3.13"]


def _tests(session: nox.Session) -> None:
    session.install("-e", ".[all]", *TESTS, *WEB)
    if session.posargs:  # `-- -n0 tests/codecs`: what is asked for, in one process
        session.run("python", "-m", "pytest", *SPREAD, *session.posargs)
        return
    session.run("python", "-m", "pytest", *ALONE)
    session.run("python", "-m", "pytest", *SPREAD, *(f"--ignore={each}" for each in ALONE))


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, on the Python that runs nox."""
    _tests(session)


@nox.session(python=VERSIONS)
def versions(session: nox.Session) -> None:
    """The tests, on each supported Python that is here."""
    _tests(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: style, imports, and the ban on I/O in the codecs."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy --strict on the package; pyright on the public API as a user sees it."""
    session.install("-e", ".[all]", "mypy>=1.10", "pyright[nodejs]", *TESTS)
    session.run("mypy")
    session.run("mypy", "--strict", "tests/typing")
    session.run("pyright", "tests/typing")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    session.install("-e", ".[all]", "sphinx>=7", "myst-parser>=3", "furo", "sphinx-copybutton")
    session.run("sphinx-build", "-j", "auto", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def examples(session: nox.Session) -> None:
    """Run every example for a moment, as its own test does."""
    session.install("-e", ".[all]", *TESTS, *WEB)
    session.run("python", "-m", "pytest", "tests/examples", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: the GRNET layout on loopback with a live test signal.  Ctrl-C ends it."""
    session.install("-e", ".[all]")
    session.run("python", "examples/grnet.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, peers side by side; they need nginx, Varnish and npm on the machine."""
    session.install("-e", ".[all]")
    for script in sorted(Path("benchmarks").glob("[a-z]*.py")):
        session.run("python", str(script), *session.posargs)


@nox.session
def real(session: nox.Session) -> None:
    """The integration tests with their real parts (ffmpeg, Chromium), none of which may be missing."""
    programs = (
        "ffmpeg",
        "ffprobe",
        "rtmpdump",
        "mpv",
        "gst-launch-1.0",
        "chromium",
        "chromedriver",
        "nginx",
        "prometheus",
        "promtool",
        "node",
        "npm",
        "openssl",
        "ss",
    )
    for part in programs:
        if shutil.which(part) is None:
            session.error(f"{part} is missing: .ci/run says which packages have it")
    session.install("-e", ".[all]", *TESTS, *WEB)
    session.run(
        "python", "-m", "pytest", "-m", "real", *SPREAD, *session.posargs, env={**os.environ, "TIERKIT_REAL": "1"}
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Look for bytes that break a codec, with atheris: `nox -s fuzz -- --seconds 600`, or of one: `-- rtmp_chunk`."""
    session.install("-e", ".", "atheris>=2.3")
    session.run("python", "-m", "tests.fuzz", *session.posargs)
