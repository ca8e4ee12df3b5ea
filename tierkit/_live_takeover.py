"""Whether a new publisher of a name ends the one that is there.

Encoders come back after a break of the line before their old connection is known to be dead: for a minute and more
they would be refused their own name.  An encoder at work sends sound or pictures many times a second, so one that has
sent nothing for some seconds is taken to be half dead.
"""

from __future__ import annotations

__all__ = ["STALE", "TAKEOVERS", "TAKEOVER_HELP", "takeover_of"]

#: Seconds without a message after which a publisher is stale: well over an encoder's longest pause between two, under
#: the time in which an encoder that was refused gives up.
STALE = 5.0

#: For the option `takeover` of a service that takes publishers.
TAKEOVERS = ("never", "stale", "always")
TAKEOVER_HELP = (
    "Whether a new publisher of a name ends the one that is there: 'always' (or true), 'stale' where that has sent "
    f"nothing for {STALE:g} s (for encoders that come back before their old connection is known to be dead), or "
    "'never' (or false): it is refused."
)


def takeover_of(value: str | bool) -> str:
    """One of the three words; true and false are what they were before there were three."""
    if isinstance(value, bool):
        return "always" if value else "never"
    return value
