"""RTMP players: who reads, who drops, and how both are judged.

Both are real sessions up to the first frame.  Then most players drop what they get inside the kernel and see no message
any more.  Where the server pings, as the first who reads finds out, they look for pings among the bytes and answer
them, which costs a tenth of a core for a Gbit/s.  They acknowledge what they drop, by the server's window as real
players do and every SIGN_OF_LIFE seconds, which a server that looks for silent players takes for a sign of life.

A player that reads checks that video begins with a keyframe ("no keyframe first") and that the timestamps of each
kind of media never go back ("timestamps") nor leap by more than a second ("gap": a relay that skips for a slow
player).  Its media is what the newest timestamp says, gaps left out, and the wall clock runs against that.

The media of a player that drops is what its bytes are worth: `_timeline` says how.  Every LOOK seconds somebody looks
whether it has stalled or is starved, by the same rules, and takes what has come since the last look to have been there
all the while.  So a stall that is over within a second and a quarter may be missed there, a hole is taken to be up to
LOOK seconds shorter than it was, and all are missed where nobody reads.  A connection that is lost is a stall once what
the player has in hand has run out for a second; where nobody reads, nobody knows of anything in hand, so each lost
connection is one.

A reading player's added latency is a frame's arrival minus the frame's timestamp, above the least such difference
that any reading player of the run has seen: nobody knows when the frame was made, so the fastest is taken for zero.
That needs a server that gives all players the same timestamps, as relays do.  What a server sends at once to bring a
late joiner up to date is as old as it must be; so frames count for latency from SETTLE seconds after the first.
"""

from __future__ import annotations

import os
import time

import trio

from tierkit import Address, Trust
from tierkit.codecs.rtmp_session import ClientSession
from tierkit.codecs.rtmp_url import dial
from tierkit.errors import AddressError, TierkitError

from ._job import Job
from ._live import Watching
from ._processes import share_out
from ._report import Report, Tally
from ._rtmp_player import RtmpPlayer
from ._run import Crowd, Plan, attend, raise_descriptor_limit
from ._timeline import Timeline
from ._wire import FAILURES, Target, reachable, told

__all__ = ["LOOK", "attend_rtmp", "run_rtmp"]

#: Seconds between two looks at the players that drop.
LOOK = 0.25


async def run_rtmp(
    url: str | Address,
    *,
    viewers: int,
    seconds: float,
    ramp: float = 0,
    read_every: int = 20,
    trust: Trust | None = None,
    processes: int = 1,
    watching: Watching | None = None,
) -> Report:
    """Play an RTMP stream with many players.

    Args:
        url: rtmp://HOST[:PORT]/APP/NAME, or rtmps.
        viewers: how many; thousands are fine.
        seconds: how long the whole audience plays.
        ramp: seconds over which they come, evenly; before `seconds` begin.
        read_every: every nth reads all messages and checks them, the others drop them; 0 for none.  Those who read
            are also the measure for the others: with none, only a lost connection is a stall.
        trust: how the server's certificate is verified.
        processes: how many share the players: more than one are children of this one, and each may have as many
            descriptors as this one.
        watching: is called every second with a `Live`; it must not block.

    Raises:
        TierkitError: the stream cannot be played at all, found by one player before all others.
    """
    plan = Plan(viewers=viewers, seconds=seconds, ramp=ramp, read_every=read_every, of=min(processes, viewers))
    address = Address.parse(url)
    if address.scheme not in ("rtmp", "rtmps") or address.unix or address.wildcard:
        raise AddressError(f"{address} cannot be played over RTMP: write rtmp://HOST:PORT/APP/NAME, or rtmps")
    raise_descriptor_limit(len(plan.numbers))
    job = Job("rtmp", address.reveal(), plan, trust)
    await _probe(job, address)
    if plan.of > 1:
        return await share_out(job, watching)
    tally, lasted = await attend_rtmp(job, watching=watching)
    return tally.report(viewers=viewers, seconds=lasted)


async def attend_rtmp(job: Job, *, watching: Watching | None = None, start: float | None = None) -> tuple[Tally, float]:
    """This process's share of the players: what they counted, and the seconds that all of them were there."""
    house = _House(job)
    try:
        await house.find()
    except FAILURES as error:
        raise TierkitError(f"{house.address} cannot be played: {told(error)}") from None

    def make(number: int) -> RtmpPlayer:
        return RtmpPlayer(house, number, reads=job.plan.reads(number))

    crowd = Crowd(job.plan, make, house.tally, look_every=LOOK, watching=watching, start=start)
    return house.tally, await attend(crowd)


class _House:
    """What all players of a process share."""

    def __init__(self, job: Job) -> None:
        self.tally = Tally()
        self.timeline = Timeline()
        self.wall = time.time() - trio.current_time()
        self.monotonic = time.monotonic() - trio.current_time()
        self.address = Address.parse(job.url)
        self.target: Target | None = None
        self.pings = False
        self._trust = job.trust
        to = dial(job.url)
        self._app, self._tc_url, self._name = to.app, to.tc_url, to.name

    async def find(self) -> None:
        """Where the server is; raises what `reachable` does."""
        self.target = await reachable(self.address, self._trust)

    def session(self) -> ClientSession:
        session = ClientSession(self._app, self._tc_url, nonce=os.urandom(32), now=trio.current_time())
        session.play(self._name)
        return session


async def _probe(job: Job, address: Address) -> None:
    house = _House(job)
    player: RtmpPlayer | None = None
    try:
        await house.find()
        player = RtmpPlayer(house, 0, reads=True)
        await player.begin(until_media=False)
    except FAILURES as error:
        raise TierkitError(f"{address} cannot be played: {told(error)}") from None
    finally:
        if player is not None:
            player.leave(trio.current_time())
