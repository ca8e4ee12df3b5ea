"""Real sockets under a clock that runs faster, so that seconds of a stream pass in a moment."""

import pytest
from trio.testing import MockClock


@pytest.fixture
def fast_clock() -> MockClock:
    return MockClock(rate=10)
