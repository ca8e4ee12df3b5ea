"""What all tests share: hypothesis that repeats itself, and the parts that a machine may lack."""

import os
import shutil
import signal
from pathlib import Path

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
    for mark in item.iter_markers("real"):
        missing = [each for each in mark.args or ("ffmpeg",) if shutil.which(each) is None]
        if missing and os.environ.get("TIERKIT_REAL") == "1":
            pytest.fail(f"not here, and TIERKIT_REAL=1 says it must be: {', '.join(missing)}", pytrace=False)
        if missing:
            pytest.skip(f"not run: {', '.join(missing)} is not installed")


#: What a module's tests are, in the order in which they begin.
COMPUTED, REAL = 0, 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The order where several processes share the tests: what only computes, then what waits for real players, which
    are not to wait for the processor; in each the longest modules first."""
    if not hasattr(config, "workerinput"):
        return
    modules: dict[Path, tuple[int, float]] = {}
    for item in items:
        seconds = max((float(mark.args[0]) for mark in item.iter_markers("timeout")), default=0.0)
        rank = REAL if item.get_closest_marker("real") else COMPUTED
        before = modules.get(item.path, (COMPUTED, 0.0))
        modules[item.path] = max(before[0], rank), max(before[1], seconds)
    items.sort(key=lambda item: (modules[item.path][0], -modules[item.path][1]))
