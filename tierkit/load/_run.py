"""The whole audience: paced dials, the measured time, and an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from tierkit.errors import TierkitError

from ._report import Report, Tally

__all__ = ["RETRY", "Viewer", "attend", "check_numbers", "raise_descriptor_limit"]

#: Seconds between two attempts of a viewer that fails: players retry about once a second.
RETRY = 1.0
#: Descriptors for all else.
_SPARE = 32


class Viewer(Protocol):
    """One of the audience."""

    async def watch(self) -> None:
        """Until cancelled, or until there is nothing more to watch; failures are counted, not raised."""

    def waiting(self) -> int:
        """Bytes of its media that have come and wait in the kernel."""

    def leave(self, now: float) -> None:
        """The run is over: take the last figures, and close."""


def raise_descriptor_limit(viewers: int) -> None:
    """To the hard limit: every viewer is a descriptor.  Raises TierkitError where that is not enough."""
    try:
        import resource
    except ImportError:  # no such limit here
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (ValueError, OSError):  # some systems refuse "unlimited"
        pass
    if soft != resource.RLIM_INFINITY and viewers + _SPARE > soft:
        raise TierkitError(
            f"{viewers} viewers need {viewers + _SPARE} descriptors, and this process may have {soft}: "
            "raise the limit (ulimit -Hn), or share the viewers out over several runs"
        )


def check_numbers(viewers: int, seconds: float, ramp: float, read_every: int) -> None:
    """Raises TierkitError for what makes no run."""
    if viewers < 1:
        raise TierkitError(f"a load of {viewers} viewers is none: give at least 1")
    if seconds <= 0 or ramp < 0:
        raise TierkitError(f"a load of {seconds} s behind a ramp of {ramp} s cannot be: give positive numbers")
    if read_every < 0:
        raise TierkitError(f"every {read_every}th viewer cannot read: give 0 for none, or a positive number")


async def attend(
    make: Callable[[int], Viewer],
    tally: Tally,
    *,
    viewers: int,
    seconds: float,
    ramp: float,
    beside: Callable[[list[Viewer]], Awaitable[object]] | None = None,
) -> Report:
    """Let `viewers` in over `ramp` seconds, keep them for `seconds`, and report.

    `beside` runs meanwhile, with the audience so far.
    """
    audience: list[Viewer] = []
    begin = trio.current_time()
    end = begin + ramp + seconds
    try:
        with trio.CancelScope(deadline=end):
            async with trio.open_nursery() as outer:
                if beside is not None:
                    outer.start_soon(beside, audience)
                async with trio.open_nursery() as nursery:
                    for number in range(viewers):
                        # Against the clock, so that a late wake-up does not stretch the ramp.
                        await trio.sleep_until(begin + ramp * number / viewers)
                        viewer = make(number)
                        audience.append(viewer)
                        nursery.start_soon(viewer.watch)
                    await trio.sleep_until(begin + ramp)
                    # What is in the kernel has come, here as at the end.
                    tally.ramp_bytes = tally.bytes + sum(each.waiting() for each in audience)
                outer.cancel_scope.cancel()
    finally:
        now = trio.current_time()
        tally.bytes += sum(each.waiting() for each in audience)
        for viewer in audience:
            viewer.leave(now)
    return tally.report(viewers=viewers, seconds=max(0.0, now - begin - ramp))
