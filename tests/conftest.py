"""What all tests share: hypothesis that repeats itself, and the parts that a machine may lack."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# The same examples on every run, so that a red run is red for everybody; HYPOTHESIS_PROFILE=explore
# looks further.  No deadline: CI machines stall.
settings.register_profile("repeat", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
# For `tests/switches`, which wants to know whether a test fails, not the smallest reason why.
settings.register_profile(
    "unshrunk", derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

# A shell that runs the tests in its background has them ignore Ctrl-C, which programs that they start would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`real` names the programs it needs, ffmpeg where it names none."""
    _give_way(item)
    for mark in item.iter_markers("real"):
        missing = [each for each in mark.args or ("ffmpeg",) if shutil.which(each) is None]
        if missing and os.environ.get("TIERKIT_REAL") == "1":
            pytest.fail(f"not here, and TIERKIT_REAL=1 says it must be: {', '.join(missing)}", pytrace=False)
        if missing:
            pytest.skip(f"not run: {', '.join(missing)} is not installed")


#: Modules that watch in Chromium, which draws without a graphics card: one at a time, or pictures are dropped for want
#: of a processor, whoever serves them.
BROWSERS = frozenset({"real/test_browser.py", "real/test_flv_clients.py", "real/test_hls_clients.py"})
HERE = Path(__file__).parent
#: How far a process of several steps back behind the others (`nice`) when it comes to tests of another kind.
BROWSER, REAL, COMPUTED = 0, 5, 10
START = os.nice(0)


def _give_way(item: pytest.Item) -> None:
    """What only computes leaves the processor to what is played in real time, and all do to a browser."""
    module = item.path.relative_to(HERE).as_posix()
    rank = BROWSER if module in BROWSERS else REAL if item.get_closest_marker("real") else COMPUTED
    if hasattr(item.config, "workerinput") and START + rank > os.nice(0):
        os.nice(START + rank - os.nice(0))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order where several processes share the tests: those with a browser first, beside what only computes; then
    what waits for other real players; in each the longest first."""
    modules: dict[Path, tuple[int, float]] = {}
    for item in items:
        programs, module = [mark.args for mark in item.iter_markers("real")], item.path.relative_to(HERE).as_posix()
        browser = any("chromium" in each for each in programs)
        if browser and module not in BROWSERS:
            raise pytest.UsageError(f"{item.nodeid} uses Chromium: put {module} into BROWSERS of {__file__}")
        seconds = max((float(mark.args[0]) for mark in item.iter_markers("timeout")), default=0.0)
        rank = BROWSER if browser else REAL if programs else COMPUTED
        before = modules.get(item.path, (COMPUTED, 0.0))
        modules[item.path] = min(before[0], rank), max(before[1], seconds)
    if hasattr(config, "workerinput"):
        order = (BROWSER, COMPUTED, REAL)
        items.sort(key=lambda item: (order.index(modules[item.path][0]), -modules[item.path][1]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, but that all of `BROWSERS` count as one file."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = super()._split_scope(nodeid)
            return "browsers" if path.removeprefix(f"{HERE.name}/") in BROWSERS else path

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
