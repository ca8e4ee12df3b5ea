"""`tierkit wowza`: commands about Wowza servers, each in a module of its own."""

from __future__ import annotations

import typer

from ._cli_wowza_probe import probe
from ._cli_wowza_shield import shield
from ._cli_wowza_stand_in import stand_in
from ._cli_wowza_streams import streams

__all__ = ["wowza"]

wowza = typer.Typer(name="wowza", help="About Wowza servers, and a stand-in for one.", no_args_is_help=True)
wowza.command("streams")(streams)
wowza.command("shield")(shield)
wowza.command("probe")(probe)
wowza.command("stand-in")(stand_in)
