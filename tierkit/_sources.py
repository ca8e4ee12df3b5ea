"""From a node of the graph to a server that can be asked: the sources of a tier's upstreams and push targets."""

from __future__ import annotations

from contextlib import AsyncExitStack

from ._model import Node, Origin
from ._plugin import Candidate, Context, Direct, LiveSource
from ._process import Process
from ._restream import PushSource, Restream

__all__ = ["open_candidate"]


async def open_candidate(stack: AsyncExitStack, process: Process, ctx: Context, node: Node) -> Candidate:
    """`node` as somebody to try, for the tier of `ctx`; what it opens is closed with `stack`."""
    if isinstance(node, Restream):
        first, *backups = (
            Candidate(_nth(node.name, number), PushSource(node, address), node.trust)
            for number, address in enumerate(node.addresses)
        )
        return Candidate(first.name, first.source, first.trust, tuple(backups))
    return Candidate(node.name, await _source(stack, process, ctx, node), node.trust)


def _nth(name: str, number: int) -> str:
    return f"{name} backup {number}" if number else name


async def _source(stack: AsyncExitStack, process: Process, ctx: Context, node: Node) -> LiveSource:
    if not isinstance(node, Origin) or node.address is None:
        return Direct(node.name, lambda schemes: process.locate(node, schemes), node.schemes)
    if node.speaks is not None:
        return await stack.enter_async_context(node.speaks.open(node, ctx))
    address = node.address
    return Direct(node.name, lambda schemes: address, (address.scheme,))
