"""`tierkit check --live`: every upstream tried from here, and what it resolves to."""

from __future__ import annotations

import trio
import typer

from tierkit import Graph, Probe, probe

__all__ = ["report"]


def report(graph: Graph) -> bool:
    """Try the upstreams and print a line for each; False where one does not answer."""
    found: list[Probe] = trio.run(probe, graph)
    if not found:
        typer.echo("no upstream to try: every tier here pulls from tiers that run beside it")
    for each in found:
        how = f"failed: {each.problem}" if each.problem else f"answers in {each.seconds * 1000:.0f} ms"
        typer.echo(f"{each.tier}: {each.upstream} {each.url or '(no URL)'} {how}")
    return not any(each.problem for each in found)
