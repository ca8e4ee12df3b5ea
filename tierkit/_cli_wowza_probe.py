"""`tierkit wowza probe`: answer, for a server of your own, what no recording of a Wowza tells."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import trio
import typer
from attrs import asdict

from tierkit import Address, RealNetwork, Trust
from tierkit.plugins.wowza.admin import control_address
from tierkit.plugins.wowza.probe import Report, target_of
from tierkit.plugins.wowza.probe import probe as ask

from ._cli_common import duration, told
from ._cli_wowza_common import Ca, CredentialsFile, Json, credentials

__all__ = ["probe"]


@told
def probe(
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="A stream that is on air: http://HOST:1935/live/myStream/playlist.m3u8."),
    ],
    admin: Annotated[
        str, typer.Option("--admin", metavar="HOST:PORT", help="Its counters, if not at port 8086 there.")
    ] = "",
    rest: Annotated[
        str,
        typer.Option("--rest", metavar="HOST:PORT", help="Its REST interface, if not at port 8087 there."),
    ] = "",
    idle: Annotated[
        float,
        typer.Option("--idle", metavar="S", parser=duration, help="See what becomes of a session left alone for S."),
    ] = 0.0,
    credentials_file: CredentialsFile = None,
    ca: Ca = "",
    json: Json = False,
) -> None:
    """Ask your Wowza what is not known of Wowza servers, and print a report to send back.

    Nothing is changed on the server. Hosts, addresses, names and credentials are masked in the report.
    """
    target = target_of(url)
    ports = [
        credentials(control_address(said, target.base) if said else Address(host=target.base.host), credentials_file)
        for said in (admin, rest)
    ]

    async def run() -> Report:
        trust = Trust(ca=ca) if ca else None
        return await ask(
            RealNetwork(), trio.current_time, target, admin=ports[0], rest=ports[1], trust=trust, idle=idle
        )

    report = trio.run(run)
    typer.echo(jsonlib.dumps(asdict(report), indent=1) if json else text(report))


def text(report: Report) -> str:
    """A report as it is read and sent."""
    lines = [f"tierkit {report.tierkit} asked a Wowza: {report.asked} of {len(report.rows)} rows answered", ""]
    for row in report.rows:
        lines.append(f"{row.key}: {row.question}")
        lines.append(f"    {row.answer}" if row.asked else f"    not asked: {row.reason}")
    lines += ["", "Names, hosts, addresses and credentials are masked; look it through, then send it to the project."]
    return "\n".join(lines)
