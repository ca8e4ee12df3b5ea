"""RTMP players: who reads, who drops, and how both are judged.

Both are real sessions up to the first frame.  Then most players drop what they get inside the kernel and see no
message any more, pings included; they acknowledge what they drop, by the server's window as real players do and
every SIGN_OF_LIFE seconds, which a server that looks for silent players takes for an answer.

A player that reads checks that video begins with a keyframe ("no keyframe first") and that the timestamps of each
kind of media never go back ("timestamps") nor leap by more than a second ("gap": a relay that skips for a slow
player).  Its media is what the newest timestamp says, gaps left out, and the wall clock runs against that.

The media of a player that drops is what its bytes are worth: `_timeline` says how.  Every LOOK seconds somebody looks
whether it has stalled, by the same rule.  So a stall that is over within a second and a quarter may be missed there,
and all are where nobody reads.  A connection that is lost is a stall once what the player has in hand has run out for
a second; where nobody reads, nobody knows of anything in hand, so each lost connection is one.

A reading player's added latency is a frame's arrival minus the frame's timestamp, above the least such difference
that any reading player of the run has seen: nobody knows when the frame was made, so the fastest is taken for zero.
That needs a server that gives all players the same timestamps, as relays do.  What a server sends at once to bring a
late joiner up to date is as old as it must be; so frames count for latency from SETTLE seconds after the first.
"""

from __future__ import annotations

import os
from typing import cast

import trio

from tierkit import Address, Trust
from tierkit.codecs.rtmp_session import ClientSession
from tierkit.codecs.rtmp_url import dial
from tierkit.errors import AddressError, TierkitError

from ._report import Report, Tally
from ._rtmp_player import RtmpPlayer
from ._run import Viewer, attend, check_numbers, raise_descriptor_limit
from ._timeline import Timeline
from ._wire import FAILURES, Target, reachable, told

__all__ = ["LOOK", "run_rtmp"]

#: Seconds between two looks at the players that drop.
LOOK = 0.25
#: Players that are looked at before others get their turn.
_BURST = 64


async def run_rtmp(
    url: str | Address,
    *,
    viewers: int,
    seconds: float,
    ramp: float = 0,
    read_every: int = 20,
    trust: Trust | None = None,
) -> Report:
    """Play an RTMP stream with many players.

    Args:
        url: rtmp://HOST[:PORT]/APP/NAME, or rtmps.
        viewers: how many; thousands are fine.
        seconds: how long the whole audience plays.
        ramp: seconds over which they come, evenly; before `seconds` begin.
        read_every: every nth reads all messages and checks them, the others drop them in the kernel (TLS is always
            read, and dropped here); 0 for none.  Those who read are also the measure for the others: with none,
            only a lost connection is a stall.
        trust: how the server's certificate is verified.

    Raises:
        TierkitError: the stream cannot be played at all, found by one player before all others.
    """
    check_numbers(viewers, seconds, ramp, read_every)
    address = Address.parse(url)
    if address.scheme not in ("rtmp", "rtmps") or address.unix or address.wildcard:
        raise AddressError(f"{address} cannot be played over RTMP: write rtmp://HOST:PORT/APP/NAME, or rtmps")
    raise_descriptor_limit(viewers)
    house = _House(address)
    await _probe(house, trust)
    house.tally = tally = Tally()
    house.timeline = Timeline()

    def make(number: int) -> RtmpPlayer:
        return RtmpPlayer(house, reads=read_every > 0 and number % read_every == 0)

    return await attend(make, tally, viewers=viewers, seconds=seconds, ramp=ramp, beside=_look)


class _House:
    """What all players of a run share."""

    def __init__(self, address: Address) -> None:
        self.tally = Tally()
        self.timeline = Timeline()
        self.address = address
        self.target: Target | None = None
        to = dial(address.reveal())
        self._app, self._tc_url, self._name = to.app, to.tc_url, to.name

    def session(self) -> ClientSession:
        session = ClientSession(self._app, self._tc_url, nonce=os.urandom(32), now=trio.current_time())
        session.play(self._name)
        return session


async def _probe(house: _House, trust: Trust | None) -> None:
    player: RtmpPlayer | None = None
    try:
        house.target = await reachable(house.address, trust)
        player = RtmpPlayer(house, reads=True)
        await player.begin(until_media=False)
    except FAILURES as error:
        raise TierkitError(f"{house.address} cannot be played: {told(error)}") from None
    finally:
        if player is not None:
            player.leave(trio.current_time())


async def _look(audience: list[Viewer]) -> None:
    """Find stalls of players that drop, until cancelled."""
    while True:
        await trio.sleep(LOOK)
        now = trio.current_time()
        for number, player in enumerate(tuple(audience)):
            cast(RtmpPlayer, player).look(now)
            if number % _BURST == _BURST - 1:
                await trio.lowlevel.checkpoint()
