"""`tierkit run`: the tiers of a graph file."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

import trio
import typer
from attrs import evolve

import tierkit
from tierkit import Graph, GraphError, GraphHandle, Registry

from ._cli_common import DRAIN, Drain, File, Log, LogFormat, Plugins, read, registry_of, told
from ._cli_logs import AccessForm, AccessLogFile, AccessSample, LogAddresses, Logs, Voice
from ._cli_processes import Bound, Supervisor, child_command, parse_bound, until_orphaned
from ._cli_reports import Orders, Reports, report_to

__all__ = ["run"]


class Processes(StrEnum):
    """How the tiers are spread over processes."""

    one = "one"
    tier = "tier"


@told
def run(
    file: File,
    site: Annotated[str | None, typer.Option(help="Run only what stands in this site.")] = None,
    host: Annotated[str | None, typer.Option(help="Run only what is on this host.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run only this tier; repeatable.")] = None,
    processes: Annotated[
        Processes, typer.Option(help="One process for all tiers, or one for each; those are started again if they end.")
    ] = Processes.one,
    plugin: Plugins = None,
    log: Log = LogFormat.text,
    log_addresses: LogAddresses = None,
    access_log: AccessLogFile = None,
    access_log_form: AccessForm = None,
    access_log_sample: AccessSample = None,
    drain: Drain = DRAIN,
    bound: Annotated[dict[str, list[str]] | None, typer.Option(parser=parse_bound, hidden=True)] = None,
    report: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the tiers of a graph until Ctrl-C or SIGTERM: the first drains, the second drops."""
    registry = registry_of(plugin)
    logs = Logs(log, log_addresses, access_log, access_log_form, access_log_sample)
    graph = logs.of(read(file, registry, site=site, host=host, only=only))
    if bound is not None:
        # One of the processes of `--processes tier`.
        alone = evolve(graph, control=None)
        beside = partial(_as_a_child, report)
        tierkit.run(alone, log=log.value, drain=drain, registry=registry, bound=bound, beside=beside)
    elif processes is Processes.tier:
        raise typer.Exit(_each_in_its_own(graph, registry, str(file), plugin or (), logs, drain))
    else:
        tierkit.run(graph, log=log.value, drain=drain, registry=registry)


async def _as_a_child(report: int | None, handle: GraphHandle) -> None:
    orders = Orders(handle)
    async with trio.open_nursery() as nursery:
        if report is not None:
            nursery.start_soon(report_to, report, handle, orders)
        await until_orphaned(orders.obey)
        nursery.cancel_scope.cancel()


def _each_in_its_own(
    graph: Graph, registry: Registry, file: str, plugins: list[str] | tuple[()], logs: Logs, drain: float
) -> int:
    if problems := tierkit.check(graph):
        raise GraphError(problems)
    tell = Voice(graph, logs)

    def command(name: str, bound: Bound) -> list[str]:
        return list(child_command(file, name, bound, plugins=plugins, log=logs.log.value, drain=drain, more=logs.words))

    async def main() -> int:
        reports = Reports(
            graph,
            registry,
            leaving=lambda: supervisor.leaving,
            tell=tell,
            order=lambda name, line: supervisor.order(name, line),
        )
        supervisor = Supervisor(graph, command, heard=reports.heard, note=reports.emit)
        async with reports.answering():
            return await supervisor.run()

    try:
        return trio.run(main)
    finally:
        tell.flush()
