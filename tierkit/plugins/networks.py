"""Who may publish and play, by address: ``Networks(allow=("10.0.0.0/8",), on="publish")``.

Who comes by a proxy has the address that its PROXY protocol header tells, where the listener trusts that one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from tierkit.access import chosen_actions, on_option
from tierkit.plugin import Allowed, Attempt, Authoriser, Context, Denied, LiveAuthoriser, Verdict, hookimpl, option
from tierkit.plugin import Networks as Listed

__all__ = ["Networks"]


def _words(value: str | Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@frozen
class Networks(Authoriser):
    """Addresses that may publish or play, and addresses that may not."""

    name: ClassVar[str] = "networks"

    allow: tuple[str, ...] = option(
        (),
        "Networks from which it is allowed (CIDR, 'public', or 'unix' for unix sockets); none means everywhere.",
        converter=_words,
    )
    deny: tuple[str, ...] = option((), "Networks from which it is not, even where `allow` has them.", converter=_words)
    on: str = on_option("both")

    def problems(self) -> list[str]:
        """Networks that are none."""
        found = super().problems()
        for label, several in (("allow", self.allow), ("deny", self.deny)):
            for each in several:
                try:
                    Listed([each])
                except ValueError:
                    found.append(f"option {label}: {each!r} is no network: write for instance 10.0.0.0/8")
        if not self.allow and not self.deny:
            found.append("options allow and deny are both empty: give networks to one of them")
        return found

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[LiveAuthoriser]:
        """Begin to decide."""
        yield _Live(self)


class _Live(LiveAuthoriser):
    def __init__(self, recipe: Networks) -> None:
        self.actions = chosen_actions(recipe.on)
        self._allow, self._deny = Listed(recipe.allow), Listed(recipe.deny)

    async def check(self, attempt: Attempt) -> Verdict:
        host = attempt.peer.host
        if host in self._deny or (self._allow and host not in self._allow):
            return Denied("not from this address")
        return Allowed()


@hookimpl
def tierkit_authorisers() -> Sequence[type[Authoriser]]:
    """Brings `Networks`."""
    return [Networks]
