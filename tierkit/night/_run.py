"""A night from its first process to its report.

In the order in which things begin: the clip, the origin, its feed, the tiers, the watch, the load, the players.  They
end the other way round, whatever happens.  The origin stands in Wowza's place.  It is tierkit's own, in a process of
its own, and not the stand-in for Wowza of `tierkit.testing`: that one plays a loop of its own over HLS, so that neither
the bitrate nor a comparison with the source would be this night's.
"""

from __future__ import annotations

import json
import platform
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define, field

from tierkit import RealNetwork, Report, __version__, report
from tierkit.errors import TierkitError
from tierkit.plugin import Address, ConnectionLost, UpstreamError
from tierkit.reporting import Asker

from ._children import Child, Children, open_children
from ._clip import Clip, feed_command, make_clip
from ._graph import make_certificate, write_graph
from ._outside import cpu_seconds, machine
from ._plan import EDGES, KBPS, RELAY, Plan
from ._players import judge, play_command
from ._verdict import Outcome, broken, conditions
from ._watch import Watch, most

__all__ = ["run_night"]

STREAM = "/live/night"
#: Seconds that tiers have to drain when all is over: their viewers have left by then.
DRAIN = "2"
#: Seconds until the stream is on the air, and until a load or a player has ended after its time.
ON_AIR, LATE = 30.0, 40.0
#: Seconds that a load takes to begin; between the ramp's end and the first player; between two players, each of which
#: takes a quarter of a second of a core to begin.
BEGIN, SETTLE, STAGGER = 2.0, 1.0, 0.3

Say = Callable[[str], None]


async def run_night(plan: Plan, folder: Path, say: Say) -> Report:
    """Run a night, and report.

    Args:
        folder: where logs and what is made on the way go; it is made.
        say: takes lines for who waits.

    Raises:
        TierkitError: it cannot be run here, in one line.
    """
    plan.check_descriptors()
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    say("the clip is made")
    clip = await make_clip(logs)
    certificate = await make_certificate(logs) if plan.https else None
    async with open_children(logs) as children:
        night = _Night(plan, logs, say, children, clip, certificate)
        return await night.run()


@define
class _Night:
    plan: Plan
    logs: Path
    say: Say
    children: Children
    clip: Clip | None
    certificate: tuple[Path, Path] | None
    outcome: Outcome = field(factory=Outcome)

    async def run(self) -> Report:
        origin_control, control = f"127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}"
        origin = await self._origin(origin_control)
        doors = (await origin.ready(2))["origin"]
        async with self._on_air(Address.parse(doors["rtmp"] + STREAM)) as encoder:
            await self._until_there(doors["http"])
            tiers = await self._tiers(control, doors)
            found = await tiers.ready(len(EDGES) + 1)
            urls = {name: next(iter(each.values())) for name, each in found.items()}
            ports = {name: Address.parse(url).port or 0 for name, url in urls.items()}
            entries = [Address.parse(url).port or 0 for url in doors.values()]
            watch = Watch(control, origin_control, ports, entries, encoder, self.say)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(watch.run, name="watches")
                await self._evening(urls)
                nursery.cancel_scope.cancel()
            self.outcome.cpu |= {"origin": cpu_seconds(origin.pid), "all tiers": cpu_seconds(tiers.pid)}
        self.say("all are gone home; the report is written")
        return self._report(watch)

    # --- those who serve ---------------------------------------------------------------------------

    async def _origin(self, control: str) -> Child:
        return await self.children.start(
            "origin",
            [
                *(sys.executable, "-m", "tierkit", "origin", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"),
                *("--control", control, "--option", f"segment={self.plan.segment:g}", "--drain", DRAIN),
            ],
        )

    async def _tiers(self, control: str, doors: dict[str, str]) -> Child:
        graph = self.logs / "night.toml"
        write_graph(graph, control=control, http=doors["http"], rtmp=doors["rtmp"], certificate=self.certificate)
        command = [sys.executable, "-m", "tierkit", "run", str(graph), "--processes", "tier", "--drain", DRAIN]
        return await self.children.start("tiers", command)

    @asynccontextmanager
    async def _on_air(self, url: Address) -> AsyncIterator[int | None]:
        """Publish for as long as the block lasts: the clip by ffmpeg, or else the project's test signal.

        Yields the process that does, None for ourselves.
        """
        if self.clip is not None:
            feed = await self.children.start("feed", feed_command(self.clip, str(url)))
            yield feed.pid
            self.outcome.cpu["feed"] = cpu_seconds(feed.pid)
            await self.children.end(feed)
            return
        self.say("ffmpeg is not here: the project's test signal is on the air, and no player compares it")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_signal, url)
            yield None
            nursery.cancel_scope.cancel()

    async def _until_there(self, http: str) -> None:
        with trio.move_on_after(ON_AIR), Asker(http) as asker:
            await asker.until_there(f"{STREAM}/playlist.m3u8")
            # Viewers begin three segments before the end: let there be as many.
            await trio.sleep(2 * self.plan.segment)
            return
        raise TierkitError(f"nothing is on the air after {ON_AIR:g} s: {self.logs}/feed.log and origin.log say more")

    # --- those who watch ---------------------------------------------------------------------------

    async def _evening(self, urls: dict[str, str]) -> None:
        plan = self.plan
        self.say(f"{plan.viewers:,} viewers come within {plan.ramp:g} s, and stay for {plan.seconds:g} s")
        began = trio.current_time()
        loads = {name: await self._load(name, urls[name], count) for name, count in plan.audience.items() if count}
        peak = began + BEGIN + plan.ramp
        async with trio.open_nursery() as nursery:
            if self.clip is not None:
                nursery.start_soon(self._players, urls, peak + SETTLE)
            for name, load in loads.items():
                nursery.start_soon(self._until_left, name, load, peak + plan.seconds + LATE)
        self.outcome.peak = peak, peak + plan.seconds
        self.outcome.peak_at = time.time() - trio.current_time() + peak

    async def _load(self, name: str, url: str, viewers: int) -> Child:
        kind, path = ("rtmp", STREAM) if name == RELAY else ("hls", f"{STREAM}/playlist.m3u8")
        command = [sys.executable, "-m", "tierkit", "load", kind, url + path, "--viewers", str(viewers), "--json"]
        command += ["--seconds", f"{self.plan.seconds:g}", "--ramp", f"{self.plan.ramp:g}"]
        if self.certificate is not None and name != RELAY:
            command += ["--ca", str(self.certificate[0])]
        return await self.children.start(f"load-{name}", command)

    async def _until_left(self, name: str, load: Child, until: float) -> None:
        """Wait for a load's end, and keep what it tells.  Its processor time is gone with it: look until then."""
        with trio.move_on_at(until):
            while load.alive:
                self.outcome.cpu[f"load of {name}"] = cpu_seconds(load.pid)
                await trio.sleep(0.5)
        if load.alive or load.process.returncode:
            self.outcome.failed.append(f"the load of {name} has failed: {load.last_words}")
        await self.children.end(load)
        lines = load.out.read_text(errors="replace").strip().splitlines()
        try:
            self.outcome.loads[name] = json.loads(lines[-1])
        except (ValueError, IndexError):
            self.outcome.loads[name] = {}

    async def _players(self, urls: dict[str, str], at: float) -> None:
        await trio.sleep_until(at)
        # All of them play at the peak, the last to begin too.
        left = self.plan.seconds - SETTLE - STAGGER * self.plan.players
        seconds = max(3.0, min(30.0, left - 2 * self.plan.segment))
        async with trio.open_nursery() as nursery:
            for number, name in enumerate(self.plan.frames_from):
                nursery.start_soon(self._player, number, name, urls[name], seconds)
                await trio.sleep(STAGGER)

    async def _player(self, number: int, name: str, url: str, seconds: float) -> None:
        assert self.clip is not None
        label = f"player-{number + 1}-{name}"
        out = self.logs / f"{label}.framemd5"
        path = STREAM if name == RELAY else f"{STREAM}/playlist.m3u8"
        player = await self.children.start(label, play_command(url + path, seconds, out))
        with trio.move_on_after(seconds + LATE):
            await player.process.wait()
        if player.alive or player.process.returncode:
            self.outcome.failed.append(f"{label} has failed: {player.last_words}")
        await self.children.end(player)
        self.outcome.players[label] = judge(self.clip, out)

    # --- afterwards --------------------------------------------------------------------------------

    def _report(self, watch: Watch) -> Report:
        outcome = self.outcome
        outcome.clients = most(watch.clients, *outcome.peak)
        outcome.connections = most(watch.connections, *outcome.peak)
        about = {
            "machine": machine(),
            "software": f"tierkit {__version__}, Python {platform.python_version()}",
            **conditions(self.plan, outcome, watch, self.clip),
        }
        return report(
            watch.history.as_dict(self.plan.ramp + self.plan.seconds + LATE),
            title="The record night, again",
            origin_clients=outcome.clients,
            stalled_viewers=outcome.total("stalled_viewers"),
            stalls=outcome.total("stalls"),
            conditions=about,
            broken=broken(self.plan, outcome, watch),
            peak_over=self.plan.seconds,
            peak_from=outcome.peak_at,
        )


def _free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _signal(url: Address) -> None:
    """Publish the project's test signal, at the night's bitrate."""
    try:
        from tierkit.testing.signal import TestSignal, publish_signal
    except ImportError:
        raise TierkitError("neither ffmpeg nor PyAV is here: pip install 'tierkit[ingest]'") from None
    signal = TestSignal(video_bitrate=(KBPS - 64 + 20) * 1000, audio_bitrate=64_000)
    try:
        await publish_signal(url, network=RealNetwork(), signal=signal)
    except (UpstreamError, ConnectionLost) as error:
        raise TierkitError(f"the test signal cannot be published: {error}") from None
