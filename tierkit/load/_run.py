"""The whole audience: paced dials, the measured time, and an end."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import trio
from attrs import define, field, frozen

from tierkit.errors import TierkitError

from ._live import Live, Watching
from ._report import Tally
from ._self_check import Meter
from ._watched import Watched

__all__ = ["RETRY", "Crowd", "Plan", "Viewer", "attend", "raise_descriptor_limit", "spare_collections"]

#: Seconds between two attempts of a viewer that fails: players retry about once a second.
RETRY = 1.0
#: Seconds between two figures for who watches the run.
LIVE = 1.0
#: Descriptors for all else.
_SPARE = 32
#: Objects between two collections.  Viewers are many and live long, and leave no cycles behind; at 700, the default,
#: looking for some took a fifth of the time.
_COLLECT = 100_000
#: Viewers that are looked at before others get their turn.
_BURST = 64


def spare_collections() -> None:
    """Have this process collect rarely: for a process that does nothing but put load on something."""
    gc.freeze()
    gc.set_threshold(_COLLECT)


class Viewer(Protocol):
    """One of the audience."""

    async def watch(self) -> None:
        """Until cancelled, or until there is nothing more to watch; failures are counted, not raised."""

    def look(self, now: float) -> None:
        """See, from time to time, what a viewer that only waits does not see itself."""

    def waiting(self) -> int:
        """Bytes of its media that have come and wait in the kernel."""

    def neglected(self) -> int:
        """Bytes that wait there although they are as many as it wanted to be woken for."""

    def leave(self, now: float) -> Watched:
        """The run is over: take the last figures, and close."""


@frozen(kw_only=True)
class Plan:
    """Who comes when, and which of them are this process's.

    Raises TierkitError for what makes no run.
    """

    viewers: int
    seconds: float
    ramp: float = 0.0
    read_every: int = 20
    #: This process has every `of`th viewer, from number `share` on.
    share: int = 0
    of: int = 1

    def __attrs_post_init__(self) -> None:
        if self.viewers < 1:
            raise TierkitError(f"a load of {self.viewers} viewers is none: give at least 1")
        if self.seconds <= 0 or self.ramp < 0:
            raise TierkitError(
                f"a load of {self.seconds} s behind a ramp of {self.ramp} s cannot be: give positive numbers"
            )
        if self.read_every < 0:
            raise TierkitError(f"every {self.read_every}th viewer cannot read: give 0 for none, or a positive number")
        if self.of < 1:
            raise TierkitError(f"{self.of} processes put no load on anything: give at least 1")

    @property
    def numbers(self) -> range:
        """This process's viewers."""
        return range(self.share, self.viewers, self.of)

    def reads(self, number: int) -> bool:
        """Whether this viewer reads: every nth of its process, so that each process has some."""
        return self.read_every > 0 and number // self.of % self.read_every == 0

    def comes(self, number: int) -> float:
        """Seconds after the beginning."""
        return self.ramp * number / self.viewers


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


@define(eq=False)
class Crowd:
    """What `attend` needs to know of the viewers of a kind."""

    plan: Plan
    make: Callable[[int], Viewer]
    tally: Tally
    #: Seconds between two looks at each of them.
    look_every: float = 1.0
    watching: Watching | None = None
    #: When the first viewer comes, by time.monotonic(), which the processes of a run share; now, if nobody says.
    start: float | None = None
    #: Those who have come.
    audience: list[Viewer] = field(factory=list)
    begun: float = field(init=False, factory=trio.current_time)

    def meter(self) -> Meter:
        """Of this process."""
        offsets = itertools.count()

        def neglected(sample: int) -> float:
            # Others each time, so that all have their turn.
            audience, first = self.audience, next(offsets) * sample
            some = [audience[(first + each) % len(audience)] for each in range(min(sample, len(audience)))]
            return sum(each.neglected() for each in some) * len(audience) / max(1, len(some))

        return Meter(neglected, lambda: self.tally.bytes)

    def live(self, meter: Meter) -> Live:
        """How it is now."""
        late, cpu, rate = meter.lap()
        playbacks = self.tally.playbacks
        return Live(
            elapsed=round(trio.current_time() - self.begun, 1),
            total=self.plan.ramp + self.plan.seconds,
            viewers=len(self.audience),
            expected=len(self.plan.numbers),
            gbit_per_s=round(8 * rate / 1e9, 6),
            bytes=self.tally.bytes,
            stalls=sum(each.stalls for each in playbacks),
            stalled_viewers=sum(each.stalls > 0 for each in playbacks),
            starved_viewers=sum(each.starved for each in playbacks),
            errors=self.tally.errors.total(),
            late_ms=round(1000 * late, 1),
            cpu=round(cpu, 3),
        )


async def attend(crowd: Crowd) -> float:
    """Let the viewers in over the ramp, keep them for the run's seconds, and see them out.

    Returns the seconds behind the ramp; the tally is complete then.
    """
    plan, tally = crowd.plan, crowd.tally
    if crowd.start is not None:
        await trio.sleep(crowd.start - time.monotonic())
    begin = crowd.begun = trio.current_time()
    meter = crowd.meter()
    try:
        with trio.CancelScope(deadline=begin + plan.ramp + plan.seconds):
            async with trio.open_nursery() as outer:
                outer.start_soon(_look, crowd)
                outer.start_soon(meter.run)
                if crowd.watching is not None:
                    outer.start_soon(_show, crowd, meter, crowd.watching)
                async with trio.open_nursery() as nursery:
                    for number in plan.numbers:
                        # Against the clock, so that a late wake-up does not stretch the ramp.
                        await trio.sleep_until(begin + plan.comes(number))
                        viewer = crowd.make(number)
                        crowd.audience.append(viewer)
                        nursery.start_soon(viewer.watch)
                    await trio.sleep_until(begin + plan.ramp)
                    # What is in the kernel has come, here as at the end.
                    tally.ramp_bytes = tally.bytes + sum(each.waiting() for each in crowd.audience)
                    meter.begin()
                outer.cancel_scope.cancel()
    finally:
        now = trio.current_time()
        tally.checks.append(meter.found())
        if crowd.watching is not None:
            crowd.watching(crowd.live(meter))
        tally.bytes += sum(each.waiting() for each in crowd.audience)
        tally.audience += [each.leave(now) for each in crowd.audience]
    return max(0.0, now - begin - plan.ramp)


async def _look(crowd: Crowd) -> None:
    while True:
        await trio.sleep(crowd.look_every)
        now = trio.current_time()
        for each in _in_bursts(crowd.audience):
            for viewer in each:
                viewer.look(now)
            await trio.lowlevel.checkpoint()


def _in_bursts(audience: Sequence[Viewer]) -> list[Sequence[Viewer]]:
    return [audience[at : at + _BURST] for at in range(0, len(audience), _BURST)]


async def _show(crowd: Crowd, meter: Meter, watching: Watching) -> None:
    while True:
        await trio.sleep(LIVE)
        watching(crowd.live(meter))
