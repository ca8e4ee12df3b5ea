"""One suite over every kind of connection: TCP, unix, TLS and memory behave alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tierkit.testing import NETWORK_CHECKS, check_network

from .conftest import KINDS, GroundFactory


@pytest.mark.parametrize("check", NETWORK_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize("kind", KINDS)
async def test_rule(check, kind: str, ground_of: Callable[[str], GroundFactory]) -> None:
    async with ground_of(kind)() as ground:
        await check(ground)


async def test_strangers_run_all_of_it_at_once(ground_of: Callable[[str], GroundFactory]) -> None:
    await check_network(ground_of("memory"))
