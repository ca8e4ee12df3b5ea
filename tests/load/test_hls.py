"""HLS viewers against a tiny real origin."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tierkit.load import run_hls

from .support import TinyOrigin, serving


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("read_every", [0, 1, 2])
async def test_a_healthy_stream(fast_clock: MockClock, framing: str, read_every: int) -> None:
    async with serving(TinyOrigin(framing=framing)) as origin:
        report = await run_hls(origin.url, viewers=4, seconds=4, read_every=read_every)
    assert report.errors == {}
    assert (report.viewers, report.stalls, report.stalled_viewers) == (4, 0, 0)
    assert report.startup_ms.p50 is not None
    assert (report.latency_ms.p50 is None) == (read_every == 0)
    # One of each viewer, and one of the probe.
    assert origin.seen["/master.m3u8"] == 5
