"""What the commands that run tiers share about logs: options, and the voice of a process that runs none itself."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer
from attrs import evolve, frozen

from tierkit import AccessLog, Graph, log_observer
from tierkit.events import Event

from ._cli_common import LogFormat

__all__ = ["AccessForm", "AccessLogFile", "AccessSample", "Addresses", "Form", "LogAddresses", "Logs", "Voice"]


class Form(StrEnum):
    """How a line of the access log looks."""

    combined = "combined"
    json = "json"


class Addresses(StrEnum):
    """How much of viewers' addresses is told."""

    full = "full"
    truncated = "truncated"
    none = "none"


LogAddresses = Annotated[
    Addresses | None,
    typer.Option(
        "--log-addresses", help="How much of viewers' addresses logs and statistics tell: truncated is /24 and /48."
    ),
]
AccessLogFile = Annotated[
    str | None,
    typer.Option(
        "--access-log", metavar="FILE", help="Log each request and session there; {tier} stands for a tier's name."
    ),
]
AccessForm = Annotated[Form | None, typer.Option("--access-log-form", help="How a line of it looks.")]
AccessSample = Annotated[
    int | None,
    typer.Option("--access-log-sample", metavar="N", min=1, help="Log one of N, and whatever fails."),
]


@frozen
class Logs:
    """What the command line says of logs: it goes before what the graph says."""

    log: LogFormat = LogFormat.text
    addresses: Addresses | None = None
    file: str | None = None
    form: Form | None = None
    sample: int | None = None

    def of(self, graph: Graph) -> Graph:
        """The graph with these settings.  Raises BadParameter where there is no access log to be shaped."""
        if self.addresses is not None:
            graph = evolve(graph, viewer_addresses=self.addresses.value)
        log = graph.access_log
        if self.file is not None:
            log = evolve(log or AccessLog(), file=self.file)
        elif log is None and (self.form is not None or self.sample is not None):
            raise typer.BadParameter("there is no access log whose lines could look so: give --access-log FILE")
        if log is not None and self.form is not None:
            log = evolve(log, form=self.form.value)
        if log is not None and self.sample is not None:
            log = evolve(log, sample=self.sample)
        return evolve(graph, access_log=log)

    @property
    def words(self) -> Sequence[str]:
        """The same on a command line."""
        given = (
            ("--log-addresses", self.addresses),
            ("--access-log", self.file),
            ("--access-log-form", self.form),
            ("--access-log-sample", self.sample),
        )
        return [word for name, value in given if value is not None for word in (name, str(value))]


class Voice:
    """Tells events in the log's form, for a process that runs no tier itself."""

    def __init__(self, graph: Graph, logs: Logs) -> None:
        sites = {node.name: node.site for node in graph}
        self._observer = log_observer(logs.log.value, addresses=graph.viewer_addresses, sites=sites)

    def __call__(self, event: Event) -> None:
        """Tell it."""
        self._observer(event)

    def flush(self) -> None:
        """Tell what is still held back, at the end."""
        self._observer.flush()
