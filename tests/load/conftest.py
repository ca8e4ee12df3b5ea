"""Real sockets under a clock that leaps, so that seconds of a stream pass in a moment."""

import pytest
from trio.testing import MockClock

#: Seconds without anything to do after which the clock leaps to the next deadline.  Bytes on loopback are there as
#: soon as they are sent, so this is for what a busy kernel puts off; and where it is too short once, the clock is
#: early by one frame.  A clock that only ran faster would make seconds of what a busy machine keeps us waiting.
IDLE = 0.004


@pytest.fixture
def fast_clock() -> MockClock:
    return MockClock(autojump_threshold=IDLE)
