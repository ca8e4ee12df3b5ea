"""`tierkit wowza stand-in`: something to try tools for Wowza on, where there is no Wowza."""

from __future__ import annotations

import signal
import time
from enum import StrEnum
from typing import Annotated

import trio
import typer

from tierkit import GraphError

from ._cli_common import told

__all__ = ["stand_in"]

DEFAULT = "live/myStream"


class Profile(StrEnum):
    """The releases, as `tierkit.testing.wowza.PROFILES` has them."""

    wms3 = "wms3"
    wse42 = "wse42"
    wse47 = "wse47"
    wse49 = "wse49"


class Mode(StrEnum):
    """The modes, as `tierkit.testing.wowza.Mode` has them."""

    sessions = "sessions"
    origin = "origin"
    origin_fixed = "origin-fixed"


@told
def stand_in(
    profile: Annotated[Profile, typer.Option(help="Which release it is like.")] = Profile.wse47,
    mode: Annotated[Mode, typer.Option(help="How it serves HLS.")] = Mode.sessions,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Its streaming port, for RTMP and HTTP.")
    ] = "127.0.0.1:1935",
    admin: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Its port of connectioncounts; none unless given.")
    ] = None,
    rest: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Its port of the REST API; none unless given.")
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(metavar="APP/NAME", help="What is on the air, repeatable; live/myStream if none."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Another number is another server: other ids, other sequences.")] = 0,
    assumed: Annotated[
        bool, typer.Option("--assumed", help="Print what it does that nobody has recorded of a real one, and end.")
    ] = False,
) -> None:
    """Serve as a Wowza would, built from recordings: tierkit wowza stand-in --profile wse47 --listen :1935."""
    from tierkit.testing import wowza

    if assumed:
        for line in wowza.assumed():
            typer.echo(line)
        return

    for each in (on_air := stream or [DEFAULT]):
        try:
            wowza.place_of(each)
        except ValueError as error:
            raise GraphError([str(error)]) from None

    async def serve() -> None:
        opened = wowza.open_wowza(
            listen=listen,
            admin=admin,
            rest=rest,
            profile=profile.value,
            mode=mode.value,
            streams=on_air,
            seed=seed,
            started=time.time(),
        )
        async with opened as server:
            for name, address in server.addresses.items():
                for scheme in ("http", "rtmp") if name == "streaming" else ("http",):
                    typer.echo(f"ready {name} {scheme} {address.authority}")
            for each in on_air:
                typer.echo(f"play {server.url(each)} {server.url(each, 'rtmp')}")
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                await anext(aiter(signals))

    trio.run(serve)
