"""The access log in a plan: where its lines go, in which form and how many; and what services tell it by.

Off is the default, and costs nothing: a tier without an access log has `Context.access_log` None, and every kit takes
the way that it takes without one.  With one, what is asked of the event loop is to keep a few values in a list; lines
are made of them and written in batches, by a thread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from ._recipe import option

__all__ = ["FORMS", "AccessLog", "AccessRecorder", "Making", "Shape"]

FORMS = ("combined", "json")


@frozen
class AccessLog:
    """One line for each request over HTTP, and for each play or publish over RTMP, once it has ended.

    ``AccessLog("/var/log/tierkit/access.log", sample=100)``; with ``{tier}`` in its name each tier has a file of its
    own.  A file is made with mode 0640, opened anew by SIGHUP and after it was moved.  A pipe may stand for a file.
    """

    file: str = option("", "Where the lines go: a file or a pipe; {tier} in it stands for each tier's name.")
    form: str = option("combined", "How a line looks: Apache's and nginx's combined form, or JSON.", choices=FORMS)
    sample: int = option(
        1,
        "One of how many requests and plays is logged; what fails (status 500 and above) and what is published "
        "always is.",
        minimum=1,
        maximum=1_000_000,
    )
    addresses: str = option(
        "", "How much of viewers' addresses these lines tell; as the graph has it, by default.",
        choices=("", "full", "truncated", "none"),
    )  # fmt: skip
    queries: str = option(
        "hidden",
        "Whether the values of query parameters are told: tokens stand there, and with one anybody may watch.",
        choices=("hidden", "full"),
    )

    def file_of(self, tier: str) -> str:
        """The file that a tier's lines go to."""
        return self.file.replace("{tier}", tier)


class Shape(Protocol):
    """What a line has of where it is written, for whoever makes it."""

    tier: str
    site: str
    sample: int

    def address(self, host: str) -> str:
        """As much of it as may be told."""

    def target(self, text: str) -> str:
        """A path with its query, or a URL, without what is secret in it."""


#: Makes the `tierkit.codecs.access_line.Entry` of something that has ended: called later, in a thread, so it holds
#: values and no connection.
Making = Callable[[Shape], object]


class AccessRecorder(ABC):
    """A tier's access log, for its services.  Both methods are synchronous, and cheap enough for each request."""

    @abstractmethod
    def due(self, status: int = 200) -> bool:
        """Whether this one is to be logged: every `sample`-th, and whatever has failed."""

    @abstractmethod
    def note(self, making: Making) -> None:
        """Log it: `making` is called when the batch is written.  Where too many wait, it is counted as lost."""
