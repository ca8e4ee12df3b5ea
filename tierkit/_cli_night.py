"""`tierkit report`: a night as a page, a picture and a text."""

from __future__ import annotations

import json as jsonlib
import time
from pathlib import Path
from typing import Annotated, Any

import trio
import typer

from tierkit import GraphError, Report, TierkitError, Trust

from ._cli_common import duration, told

__all__ = ["report"]


@told
def report(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A control address, the URL of a Prometheus, or a file with a history or a report."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes; none is written without it.")
    ] = None,
    png: Annotated[
        bool, typer.Option("--png", help="Also a picture, beside the page: FILE with .png. Needs matplotlib.")
    ] = False,
    text: Annotated[bool, typer.Option("--text", help="Print it too; what is done where there is no --out.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Also as JSON, beside the page: FILE with .json, which is a SOURCE again.")
    ] = False,
    last: Annotated[
        float, typer.Option("--last", metavar="S", parser=duration, help="How far back, of what is asked.")
    ] = 3600.0,
    end: Annotated[
        float | None,
        typer.Option("--end", metavar="TIME", parser=lambda text: unix_time(text), help="Until when, of Prometheus."),
    ] = None,
    step: Annotated[
        float, typer.Option("--step", metavar="S", parser=duration, help="Between two points, of Prometheus.")
    ] = 15.0,
    select: Annotated[
        str, typer.Option("--select", metavar="PROMQL", help='Which series, of Prometheus: job="tierkit".')
    ] = "",
    title: Annotated[str, typer.Option("--title", help="What to call it.")] = "",
    ca: Annotated[
        str | None, typer.Option("--ca", metavar="FILE", help="Who has signed the server's certificate (PEM).")
    ] = None,
) -> None:
    """Report a night: tierkit report edge.example:9000 --last 4h --out night.html."""
    if out is None and (png or json):
        raise GraphError(["--png and --json are written beside the page: give --out FILE"])
    more: dict[str, Any] = {"title": title} if title else {}
    trust = Trust(ca=ca) if ca else None
    night = _night(source, last=last, end=end, step=step, select=select, trust=trust, more=more)
    if out is not None:
        _write(night, out, png=png, json=json)
    if text or out is None:
        typer.echo(night.text())


def _night(
    source: str,
    *,
    last: float,
    end: float | None,
    step: float,
    select: str,
    trust: Trust | None,
    more: dict[str, Any],
) -> Report:
    from tierkit.reporting import from_file, from_server

    if source.endswith(".json") or Path(source).is_file():
        return from_file(Path(source), **more)

    async def ask() -> Report:
        until = time.time() if end is None else end
        return await from_server(source, until - last, until, step, selector=select, trust=trust, **more)

    return trio.run(ask)


def _write(night: Report, out: Path, *, png: bool, json: bool) -> None:
    try:
        out.write_text(night.html())
        if json:
            out.with_suffix(".json").write_text(jsonlib.dumps(night.as_dict()) + "\n")
        if png:
            out.with_suffix(".png").write_bytes(night.png())
    except OSError as error:
        raise TierkitError(f"{out} cannot be written: {error.strerror}") from None


def unix_time(text: str) -> float:
    """Seconds since 1970 from "2026-11-10T23:00" (UTC) or from a number.  Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        pass
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write 2026-11-10T23:00 (UTC), or seconds since 1970") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
