"""`tierkit load`: many viewers from one process, and what they saw."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import trio
import typer

from ._cli_common import duration, told

__all__ = ["load"]

load = typer.Typer(
    name="load",
    help="Put load on a server: real playlist reloads, real RTMP play. For your own test systems.",
    no_args_is_help=True,
)

Viewers = Annotated[int, typer.Option("--viewers", min=1, help="How many watch at once.")]
Seconds = Annotated[float, typer.Option("--seconds", metavar="S", parser=duration, help="How long all of them watch.")]
Ramp = Annotated[
    float, typer.Option("--ramp", metavar="S", parser=duration, help="Time over which they come, before that.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@load.command()
@told
def hls(
    url: Annotated[str, typer.Argument(metavar="URL", help="The playlist's URL.")],
    viewers: Viewers = 100,
    seconds: Seconds = 30.0,
    ramp: Ramp = 0.0,
    json: Json = False,
) -> None:
    """Watch an HLS stream: tierkit load hls http://edge:8080/live/s/playlist.m3u8 --viewers 500 --seconds 60."""
    from tierkit.load import run_hls

    _tell(partial(run_hls, url, viewers=viewers, seconds=seconds, ramp=ramp), json=json)


@load.command()
@told
def rtmp(
    url: Annotated[str, typer.Argument(metavar="URL", help="The stream's URL.")],
    viewers: Viewers = 100,
    seconds: Seconds = 30.0,
    ramp: Ramp = 0.0,
    json: Json = False,
) -> None:
    """Play an RTMP stream: tierkit load rtmp rtmp://relay/live/s --viewers 500 --seconds 60."""
    from tierkit.load import run_rtmp

    _tell(partial(run_rtmp, url, viewers=viewers, seconds=seconds, ramp=ramp), json=json)


def _tell(run: Callable[[], Any], *, json: bool) -> None:
    report = trio.run(run)
    typer.echo(jsonlib.dumps(report.as_dict()) if json else report.text())
