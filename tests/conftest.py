"""What all tests share: hypothesis that repeats itself, and the parts that a machine may lack."""

import os
import shutil
import signal

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
