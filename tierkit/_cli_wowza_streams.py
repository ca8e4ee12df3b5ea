"""`tierkit wowza streams`: what comes in at a Wowza, and who plays it by Wowza's own count."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import trio
import typer
from attrs import asdict, evolve
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tierkit import Address
from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.plugins.wowza.admin import Knowing, Known, WowzaFailure

from ._cli_common import complain, told
from ._cli_wowza_common import Ca, CredentialsFile, Json, controls, given, ports_of

__all__ = ["streams"]

#: Columns of a table that goes into a file or a pipe, where nothing should be wrapped.
WIDE = 200


@told
def streams(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="The server, HOST or HOST:8087 (REST) or HOST:8086 (counters); perhaps /APP/NAME."
        ),
    ],
    credentials_file: CredentialsFile = None,
    ca: Ca = "",
    json: Json = False,
) -> None:
    """List a Wowza's streams and who plays them: tierkit wowza streams wowza.example, or wowza.example/live/hall-1.

    Asks REST (8087) what comes in and the counters (8086) who plays it; one of the two is enough.  Exit code 1 if
    neither answers, or if the application or stream that was named has none that comes in.
    """
    address = given(url, credentials_file)
    known, troubles, where = trio.run(_look, address, ca)
    complain([str(each) for each in troubles])
    if known is None:
        raise typer.Exit(1)
    wanted = "/".join(each for each in address.path.split("/") if each not in ("", DEFAULT_INSTANCE))
    if wanted:
        known = evolve(known, streams=tuple(each for each in known.streams if _is_in(each.path, wanted)))
    if json:
        typer.echo(jsonlib.dumps(_plain(known, where)))
    else:
        _table(known)
    if wanted and all(each.connected is False for each in known.streams):
        complain([f"{where}: nothing comes in for {wanted}: is its encoder connected, is the name right?"])
        raise typer.Exit(1)


def _is_in(path: str, wanted: str) -> bool:
    return path == wanted or path.startswith(f"{wanted}/")


async def _look(address: Address, ca: str) -> tuple[Known | None, tuple[WowzaFailure, ...], str]:
    async with controls(*ports_of(address), ca=ca) as ports:
        knowing = Knowing(trio.current_time, counters=ports.counters, rest=ports.rest)
        known = await knowing.look()
        # Of a port that was named, one of the two is right, and the other was a guess of ours.
        guessed = known is not None and address.port is not None
        return known, () if guessed else knowing.troubles, ports.where


def _plain(known: Known, where: str) -> dict[str, Any]:
    return {
        "server": where,
        "version": known.version,
        "connections": known.connections,
        "applications": list(known.applications),
        "streams": [{"path": each.path, **asdict(each), "viewers": dict(each.viewers)} for each in known.streams],
    }


def _table(known: Known) -> None:
    if not known.streams:
        names = ", ".join(known.applications) or "none"
        typer.echo(f"no streams; applications that run: {names}")
        return
    spoken = sorted({word for each in known.streams for word, count in each.viewers.items() if count})
    table = Table(box=None, pad_edge=False)
    for heading in ("stream", "comes in", "viewers", *spoken, "from"):
        table.add_column(heading, no_wrap=True)
    for each in sorted(known.streams, key=lambda each: each.path):
        counts = [str(each.viewers.get(word, 0)) for word in spoken]
        total = str(sum(each.viewers.values()))
        table.add_row(escape(each.path), _COMES_IN[each.connected], total, *counts, escape(each.source))
    # Into a pipe nothing is wrapped, so that grep finds whole lines.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


_COMES_IN = {True: "yes", False: "no", None: "not told"}
