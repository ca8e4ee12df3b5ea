"""RTMP fan-out: the relay that players connect to.

With upstreams it pulls each stream once, on demand: the first player of `app/name` starts the pull, all others
read the same ring, and the last one's departure ends it after a grace; what `pull` names is pulled all the time.
Without upstreams it takes publishers.
Either way what it has can be pushed on to other servers, each target with its own fate.

* A player that asks for a stream which is not on air waits, `patience` seconds at most.
* Players stay when a publisher or upstream goes, for `linger` seconds; what comes back goes on at a keyframe, with
  timestamps behind those that they have seen.
* A pull tries the upstreams in order; one that fails rests for a while (jittered), and the next one is tried at
  once.  One that is well and has not got the stream is asked again, more and more rarely.

* While nobody publishes, or the upstream has not got the stream, the clip of `off_air` is shown.

What a viewer's URL has behind the question mark is for this tier and is not sent upstream: one pull serves all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import frozen

from tierkit import AddressError
from tierkit.access import authorise_option, decide_within_option, open_access
from tierkit.live import TAKEOVER_HELP, TAKEOVERS, takeover_of
from tierkit.off_air import (
    OffAirOptions,
    clip_problem,
    load_clip,
    names,
    off_air_after_option,
    off_air_for_option,
    off_air_option,
)
from tierkit.plugin import Address, Authoriser, Context, FanoutPolicy, Node, Running, Service, hookimpl, option

from ._places import SCHEMES
from ._pull import PullState
from ._push import PushState
from ._relay import Bounds, Relay, RTMPStatistics

__all__ = ["RTMP", "PullState", "PushState", "RTMPStatistics"]


def _no_redirect(url: str) -> str:
    try:
        address = Address.parse(url)
    except AddressError:
        return "is no URL"
    if address.scheme not in SCHEMES or address.wildcard:
        return f"{address} is no RTMP server"
    return "has credentials, which everybody would see" if address.username or address.password else ""


@frozen
class RTMP(Service):
    """An RTMP relay: pulls each stream once, or takes publishers, and fans out to any number of players."""

    name: ClassVar[str] = "rtmp"
    roles: ClassVar = frozenset({"relay"})
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    pulls: ClassVar[tuple[str, ...]] = SCHEMES
    pushes: ClassVar[tuple[str, ...]] = SCHEMES
    # Two batches of 300 ms at 3.5 Mbit/s.
    send_lowat: ClassVar[int] = 262144

    grace: float = option(
        10.0, "Time that a pull goes on after its last player has left.", minimum=0, maximum=86400, unit="s"
    )
    linger: float = option(
        30.0,
        "Time that players stay when the publisher or the upstream has gone; then they are told that it ended.",
        minimum=0,
        maximum=86400,
        unit="s",
    )
    patience: float = option(
        10.0,
        "Time that a player waits for a stream that is not on air before it is told that there is none.",
        minimum=0.1,
        maximum=3600,
        unit="s",
    )
    connect_timeout: float = option(5.0, "Time for connecting to an upstream.", minimum=0.1, maximum=120, unit="s")
    answer_timeout: float = option(
        5.0,
        "Time from connecting to an upstream to the first media; then the next one is tried.",
        minimum=0.1,
        maximum=600,
        unit="s",
    )
    no_media_timeout: float = option(
        15.0, "Time without any media after which an upstream counts as failed.", minimum=1, maximum=600, unit="s"
    )
    max_streams: int = option(1000, "Streams at once; each holds a GOP in memory.", minimum=1, maximum=100_000)
    pull: tuple[str, ...] = option(
        (),
        "Streams (app/name) that are pulled all the time, whether or not anybody plays them.",
        converter=names,
    )
    takeover: str | bool = option("never", TAKEOVER_HELP, choices=TAKEOVERS, converter=takeover_of)
    max_bitrate: int = option(
        100_000_000,
        "Bits per second, over five seconds, beyond which a publisher is dropped.",
        minimum=10_000,
        maximum=10**11,
        unit="bit/s",
    )
    authorise: tuple[Authoriser, ...] = authorise_option()
    decide_within: float = decide_within_option()
    batch: float = option(
        0.3,
        "Longest time for which media is held to be sent in one go; it is reached only with thousands of players.",
        minimum=0.01,
        maximum=2,
        unit="s",
    )
    gop_bytes: int = option(
        8 << 20, "Largest GOP kept so that players can start at once.", minimum=65536, maximum=256 << 20, unit="bytes"
    )
    slow_after: float = option(
        10.0,
        "How far a player may fall behind before it jumps to the newest keyframe.",
        minimum=0.5,
        maximum=300,
        unit="s",
    )
    slow_bytes: int = option(
        8 << 20, "The same in bytes; a tier keeps as much of each stream.", minimum=65536, maximum=1 << 30, unit="bytes"
    )
    drop_after: float = option(
        30.0, "Time for which a player may take nothing before it is closed.", minimum=1, maximum=600, unit="s"
    )
    farewell: float = option(
        5.0,
        "Time that players and publishers have to go elsewhere once the tier drains; then they are ended in order.",
        minimum=0,
        maximum=3600,
        unit="s",
    )
    redirect: str = option(
        "",
        "Where players and publishers are asked to go once the tier drains, if they know how (Enhanced RTMP): "
        "rtmp://HOST[:PORT] with their own application, or with one behind it; empty: here again.",
    )

    off_air: str = off_air_option()
    off_air_for: tuple[str, ...] = off_air_for_option()
    off_air_after: float = off_air_after_option()

    @property
    def policy(self) -> FanoutPolicy:
        """The bounds of each stream's ring."""
        return FanoutPolicy(
            gop_bytes=self.gop_bytes,
            soft_bytes=self.slow_bytes,
            soft_seconds=self.slow_after,
            hard_seconds=self.drop_after,
            max_delay=self.batch,
        )

    @property
    def bounds(self) -> Bounds:
        """Everything else."""
        return Bounds(
            grace=self.grace,
            linger=self.linger,
            patience=self.patience,
            connect=self.connect_timeout,
            answer=self.answer_timeout,
            no_media=self.no_media_timeout,
            max_streams=self.max_streams,
            takeover=self.takeover,
            farewell=self.farewell,
            off_air=OffAirOptions(self.off_air, self.off_air_for, self.off_air_after),
            max_bitrate=self.max_bitrate,
            pull=self.pull,
            redirect=self.redirect,
        )

    def problems(self) -> list[str]:
        """The ranges of the options, and how they go together."""
        found = [*super().problems(), *self.bounds.off_air.problems()]
        if self.off_air and self.off_air_after >= self.patience:
            found.append(
                f"option off_air_after={self.off_air_after!r} must be less than patience={self.patience!r}: who waits "
                "is refused before the clip begins"
            )
        for name in self.pull:
            parts = name.strip("/").split("/")
            if len(parts) < 2 or {"", ".", ".."} & {*parts}:
                found.append(f"option pull names {name!r}, which is no stream: write APP/NAME")
        if len(self.pull) > self.max_streams:
            found.append(f"option pull names {len(self.pull)} streams, more than max_streams={self.max_streams}")
        if self.redirect and (wrong := _no_redirect(self.redirect)):
            found.append(f"option redirect {wrong}: write rtmp://HOST:PORT or rtmp://HOST:PORT/APP")
        return found

    def problems_in(self, node: Node) -> list[str]:
        """What is pulled all the time needs somewhere to come from."""
        if self.pull and not node.upstreams:
            return ["option pull names streams, and there is no upstream to pull them from: give upstream="]
        return []

    def problems_here(self) -> list[str]:
        """What is wrong with the off-air clip's file."""
        return clip_problem(self.off_air)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        clip = await load_clip(ctx, self.bounds.off_air)
        async with (
            open_access(self.authorise, ctx, within=self.decide_within) as access,
            trio.open_nursery() as nursery,
        ):
            relay = _Relay(ctx, nursery, access, self.policy, self.bounds)
            relay.off_air.start(self.bounds.off_air, clip)
            nursery.start_soon(relay.off_air.run, name=f"{ctx.tier} shows its off-air clip")
            nursery.start_soon(relay.sweeper.run, name=f"{ctx.tier} looks after its players")
            nursery.start_soon(relay.expire, name=f"{ctx.tier} ends what is off air")
            relay.keep_up()
            try:
                yield relay
            finally:
                nursery.cancel_scope.cancel()


class _Relay(Relay):
    """Takes changed options as they are: streams that begin from then on have the new bounds."""

    def replace(self, service: Service) -> bool:
        if not isinstance(service, RTMP):
            return False
        if service.pull and not self.ctx.upstream.names:
            return False
        self.adopt(service.policy, service.bounds)
        self.access.replace(service.authorise, service.decide_within)
        self.keep_up()
        return True


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `RTMP`."""
    return [RTMP]
