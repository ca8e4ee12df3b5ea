"""What tierkit asks of a plugin: few hooks, synchronous, each returning typed objects once.

pluggy checks names but not types, cannot await, and stops at the first implementation that raises; so
a hook only *hands over* recipes and objects, and the asynchronous work lives in those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ._authorise import Authoriser
    from ._companion import Companion, ControlRoute
    from ._plugin import Observer, Service, Source

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("tierkit")
#: Marks a function of a plugin as one of the hooks below.
hookimpl = pluggy.HookimplMarker("tierkit")


@hookspec
def tierkit_services() -> Sequence[type[Service]]:  # type: ignore[empty-body]
    """The services that this plugin brings."""


@hookspec
def tierkit_sources() -> Sequence[type[Source]]:  # type: ignore[empty-body]
    """The kinds of external server that this plugin can pull from."""


@hookspec
def tierkit_authorisers() -> Sequence[type[Authoriser]]:  # type: ignore[empty-body]
    """The kinds of authoriser that this plugin brings: who may publish and play."""


@hookspec
def tierkit_observers() -> Sequence[Observer]:  # type: ignore[empty-body]
    """Callables that are told each event; they are called one by one under a guard."""


@hookspec
def tierkit_companions() -> Sequence[Companion]:  # type: ignore[empty-body]
    """What runs once per process beside the graph, such as the control address."""


@hookspec
def tierkit_control_routes() -> Sequence[ControlRoute]:  # type: ignore[empty-body]
    """More paths for the control address."""


@hookspec
def tierkit_commands() -> Sequence[object]:  # type: ignore[empty-body]
    """More commands for the command line: `typer.Typer` groups, each with its name set."""
