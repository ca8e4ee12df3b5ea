"""`tierkit load`: many viewers, from one process or several, and what they saw."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import trio
import typer

from tierkit import Trust

from ._cli_common import duration, told

__all__ = ["described", "load"]

load = typer.Typer(
    name="load",
    help="Put load on a server: real playlist reloads, real RTMP play. For your own test systems.",
    no_args_is_help=True,
)


class Progress(StrEnum):
    """What is shown while it lasts, on standard error."""

    auto = "auto"
    json = "json"
    none = "none"


class Variant(StrEnum):
    """Which of several variants viewers watch."""

    abr = "abr"
    first = "first"
    lowest = "lowest"
    highest = "highest"


class Cmcd(StrEnum):
    """Where viewers tell of themselves."""

    none = "none"
    query = "query"
    header = "header"


Viewers = Annotated[int, typer.Option("--viewers", min=1, help="How many watch at once.")]
Seconds = Annotated[float, typer.Option("--seconds", metavar="S", parser=duration, help="How long all of them watch.")]
Ramp = Annotated[
    float, typer.Option("--ramp", metavar="S", parser=duration, help="Time over which they come, before that.")
]
Processes = Annotated[int, typer.Option("--processes", min=1, help="How many processes share the viewers.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]
ProgressOption = Annotated[
    Progress,
    typer.Option("--progress", help="A bar on a terminal and nothing elsewhere (auto), or a JSON line each second."),
]
ViewersOut = Annotated[
    Path | None,
    typer.Option("--viewers-out", metavar="FILE", help="Write what became of each viewer, a line of JSON each."),
]
Ca = Annotated[str | None, typer.Option("--ca", metavar="FILE", help="Who has signed its certificate (PEM).")]


@load.command()
@told
def hls(
    url: Annotated[str, typer.Argument(metavar="URL", help="The playlist's URL.")],
    viewers: Viewers = 100,
    seconds: Seconds = 30.0,
    ramp: Ramp = 0.0,
    variant: Annotated[
        Variant, typer.Option("--variant", help="Which variant they watch; abr: by throughput, as hls.js.")
    ] = Variant.abr,
    cmcd: Annotated[Cmcd, typer.Option("--cmcd", help="Where they tell of themselves (CTA-5004).")] = Cmcd.none,
    processes: Processes = 1,
    ca: Ca = None,
    json: Json = False,
    progress: ProgressOption = Progress.auto,
    viewers_out: ViewersOut = None,
) -> None:
    """Watch an HLS stream: tierkit load hls http://edge:8080/live/s/playlist.m3u8 --viewers 500 --seconds 60."""
    from tierkit.load import run_hls

    run = partial(run_hls, url, viewers=viewers, seconds=seconds, ramp=ramp, processes=processes, trust=_trust(ca))
    run = partial(run, variant=variant.value, cmcd=cmcd.value)
    _tell(run, json=json, progress=progress, viewers_out=viewers_out)


@load.command()
@told
def rtmp(
    url: Annotated[str, typer.Argument(metavar="URL", help="The stream's URL.")],
    viewers: Viewers = 100,
    seconds: Seconds = 30.0,
    ramp: Ramp = 0.0,
    processes: Processes = 1,
    ca: Ca = None,
    json: Json = False,
    progress: ProgressOption = Progress.auto,
    viewers_out: ViewersOut = None,
) -> None:
    """Play an RTMP stream: tierkit load rtmp rtmp://relay/live/s --viewers 500 --seconds 60."""
    from tierkit.load import run_rtmp

    run = partial(run_rtmp, url, viewers=viewers, seconds=seconds, ramp=ramp, processes=processes, trust=_trust(ca))
    _tell(run, json=json, progress=progress, viewers_out=viewers_out)


def _trust(ca: str | None) -> Trust | None:
    return Trust(ca=ca) if ca else None


def _tell(run: Callable[..., Any], *, json: bool, progress: Progress, viewers_out: Path | None) -> None:
    from tierkit.load import spare_collections, write_viewers

    spare_collections()
    report = _watched(run, progress)
    if viewers_out is not None:
        write_viewers(viewers_out, report.audience)
    typer.echo(jsonlib.dumps(report.as_dict()) if json else report.text())


def _watched(run: Callable[..., Any], progress: Progress) -> Any:
    if progress is Progress.json:
        return trio.run(partial(run, watching=_say))
    if progress is Progress.none or not sys.stderr.isatty():
        return trio.run(run)
    with _bar() as bar:
        task = bar.add_task("", total=None)

        def show(live: Any) -> None:
            bar.update(task, total=live.total, completed=min(live.elapsed, live.total), description=described(live))
            bar.refresh()

        return trio.run(partial(run, watching=show))


def _say(live: Any) -> None:
    print(jsonlib.dumps(live.as_dict()), file=sys.stderr, flush=True)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    # Drawn when there is news: a thread that draws ten times a second would take the viewers' time.
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False, expand=True)


def described(live: Any) -> str:
    """Of a `tierkit.load.Live`, for a person who waits: what comes, and what went wrong so far."""
    words = [f"{live.viewers}/{live.expected} viewers", f"{live.gbit_per_s:.3f} Gbit/s", f"{live.stalls} stalls"]
    if live.starved_viewers:
        words.append(f"{live.starved_viewers} starved")
    if live.errors:
        words.append(f"{live.errors} errors")
    return ", ".join([*words, f"load {live.cpu:.2f} cores"])
