"""The run of `soak.py`."""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

from benchmarks import _procs, _rtmp_peers
from benchmarks._peers import Peer, Place
from benchmarks._procs import resident_bytes
from benchmarks._rtmp import clip, trusting
from benchmarks._rtmp_load import Door, House, Player, Publisher

#: How many at once, and how long each stays, seconds.
STREAMS, PLAYERS = 4, 60
ON_AIR, WATCHING = (6.0, 15.0), (2.0, 20.0)
#: The stream that a real encoder publishes.
ENCODED = "soak-encoder"
ENCODER = ["ffmpeg", "-loglevel", "quiet", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi"]
ENCODER += ["-i", "sine", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-f", "flv"]
#: Seconds between two looks at the relay, and between two rounds of comings and goings.
LOOK, ROUND = 5.0, 0.25


@attrs.frozen
class Look:
    """The relay at one moment."""

    resident: float
    descriptors: int


@attrs.define
class Soak:
    """Who is there, and until when."""

    peer: Peer
    house: House
    chance: random.Random
    publishers: dict[str, tuple[Publisher, float]] = attrs.Factory(dict)
    players: list[tuple[Player, float]] = attrs.Factory(list)
    #: The encoder, until when it runs, and whether it is then killed or asked to end.
    encoder: tuple[subprocess.Popen[bytes], float, bool] | None = None
    #: How many have come so far.
    published: int = 0
    joined: int = 0

    def round(self) -> None:
        """Some leave, some come."""
        now, door = time.monotonic(), Door(self.peer.port)
        for name, (publisher, until) in list(self.publishers.items()):
            if until <= now:
                self.house.unpublish(publisher)
                del self.publishers[name]
        for number in range(STREAMS):
            if (name := f"soak-{number}") not in self.publishers:
                self.publishers[name] = self.house.publish(door, name), now + self.chance.uniform(*ON_AIR)
                self.published += 1
        self._encode(now)
        for each in [each for each in self.players if each[1] <= now]:
            self.house.leave(each[0])
            self.players.remove(each)
        while len(self.players) < PLAYERS:
            self._join(door, now)

    def _encode(self, now: float) -> None:
        """A real encoder comes and goes: it says goodbye, or dies."""
        if self.encoder is not None and self.encoder[1] <= now:
            self.end_encoder()
        if self.encoder is None:
            child = subprocess.Popen([*ENCODER, f"rtmp://127.0.0.1:{self.peer.port}/live/{ENCODED}"])
            self.encoder = child, now + self.chance.uniform(*ON_AIR), self.chance.random() < 0.5
            self.published += 1

    def end_encoder(self) -> None:
        """Have it go; nothing of it is left."""
        if self.encoder is not None:
            child, _, killed = self.encoder
            (child.kill if killed else child.terminate)()
            child.wait()
            self.encoder = None

    def _join(self, door: Door, now: float) -> None:
        # Most of them on the streams of this process, for it is they that stall and hang up in the middle.
        number = self.chance.randrange(STREAMS + 1)
        name = f"soak-{number}" if number < STREAMS else ENCODED
        player = self.house.join(door, name, reads=self.chance.random() < 0.2)
        self.players.append((player, now + self.chance.uniform(*WATCHING)))
        self.joined += 1
        if self.chance.random() < 0.1:
            self.house.stall([player])

    def look(self) -> Look:
        """How much the relay has."""
        pid = self.peer.pid
        return Look(resident_bytes(pid, "Pss_Anon") / 1e6, len(os.listdir(f"/proc/{pid}/fd")))


def watch(soak: Soak, minutes: float) -> list[Look]:
    """Comings and goings for so long."""
    end, due, looks = time.monotonic() + 60 * minutes, time.monotonic() + LOOK, list[Look]()
    while time.monotonic() < end:
        soak.round()
        soak.house.run(ROUND)
        if time.monotonic() >= due:
            due += LOOK
            looks.append(soak.look())
    return looks


def table(looks: list[Look]) -> str:
    """The second quarter beside the last."""
    quarter = len(looks) // 4
    early, late = looks[quarter : 2 * quarter], looks[-quarter:]
    lines = ["| what the relay has | second quarter | last quarter | difference |", "|---|---|---|---|"]
    for title, values in (
        ("memory of its own, MB", [[each.resident for each in part] for part in (early, late)]),
        ("descriptors", [[float(each.descriptors) for each in part] for part in (early, late)]),
    ):
        before, after = (statistics.median(each) for each in values)
        lines.append(f"| {title} | {before:.1f} | {after:.1f} | {after - before:+.1f} |")
    return "\n".join(lines)


def main(description: str) -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    server, load = _procs.cores()
    with (
        tempfile.TemporaryDirectory(prefix="bench-soak-") as folder,
        _rtmp_peers.tierkit(Place(Path(folder), 0, server)) as peer,
    ):
        os.sched_setaffinity(0, {load})
        soak = Soak(peer, House(clip(), trusting(), patient=True), random.Random(1))
        try:
            looks = watch(soak, options.minutes)
        finally:
            soak.end_encoder()
        soak.house.close()
        time.sleep(3)
        last = soak.look()
    print(f"{options.minutes:g} minutes, {soak.published:,} publishers, {soak.joined:,} players.\n")
    print(table(looks))
    print(f"| descriptors once all have left | | {last.descriptors} | |")
    if len(looks) < 8:
        print("too short to tell anything", file=sys.stderr)
