"""`tierkit metrics`: writes the dashboard and the rules that come with the metrics."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

import typer

__all__ = ["metrics"]

#: Where the runbooks are, in the project itself.
RUNBOOKS = "docs/how-to/prometheus.md"

metrics = typer.Typer(
    name="metrics", help="What goes with /metrics: a Grafana dashboard and Prometheus rules.", no_args_is_help=True
)


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@metrics.command()
def dashboard() -> None:
    """Write the Grafana dashboard to standard output, as JSON."""
    typer.echo(_file("dashboard.json"), nl=False)


@metrics.command()
def rules(
    runbooks: Annotated[
        str, typer.Option(metavar="URL", help="Where your copy of docs/how-to/prometheus.md is read: links of alerts.")
    ] = "",
) -> None:
    """Write the recording and alerting rules to standard output, as YAML."""
    typer.echo(_file("rules.yml").replace(RUNBOOKS, runbooks or RUNBOOKS), nl=False)
