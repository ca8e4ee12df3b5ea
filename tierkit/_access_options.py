"""The options that services with authorisers, and authorisers, have in common, so that they read alike everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._authorise import Action, Authoriser
from ._recipe import option

__all__ = ["authorise_option", "chosen_actions", "decide_within_option", "on_option"]

_CHOSEN: dict[str, frozenset[Action]] = {
    "publish": frozenset({"publish"}),
    "play": frozenset({"play"}),
    "both": frozenset({"publish", "play"}),
}


def authorise_option(help: str = "") -> Any:
    """The option `authorise` of a service."""
    return option(
        (),
        help or "Who may publish and play: authorisers, all of which must allow.  None lets everybody.",
        converter=_several,
        holds="authoriser",
    )


def decide_within_option() -> Any:
    """The option that bounds how long the authorisers of one attempt may take together."""
    return option(
        5.0,
        "Time that the authorisers have together; then the answer is no.",
        minimum=0.1,
        maximum=60,
        unit="s",
    )


def on_option(default: str) -> Any:
    """The option `on` of an authoriser: what it has a say in.  Anything else it allows."""
    return option(default, "What it has a say in; the rest it allows.", choices=tuple(_CHOSEN))


def chosen_actions(on: str) -> frozenset[Action]:
    """What `on` means."""
    return _CHOSEN[on]


def _several(value: Authoriser | Iterable[Authoriser]) -> tuple[Authoriser, ...]:
    return (value,) if isinstance(value, Authoriser) else tuple(value)
