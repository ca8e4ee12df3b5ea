"""Viewers counted at an edge."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import PLAYLIST, SEGMENT, open_edge
from tests.support_http import Viewer
from tierkit import Address


async def test_viewers_are_told_apart_by_what_they_show(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False, ignore_query=("CMCD", "token")) as rig:

        async def ask(path: str, *fields: str, source: str = "192.0.2.1") -> None:
            (address, *_) = rig.handle.addresses("edge")
            viewer = Viewer(await rig.network.connect(Address.parse(str(address)), source=source))
            assert (await viewer.ask(path, *fields)).status == 200
            viewer.connection.close()

        for _ in range(3):  # whatever they ask for, by whatever connection
            await ask(PLAYLIST, "User-Agent: one")
            await ask(SEGMENT, "User-Agent: one")
        assert rig.statistics().audience == 1
        await ask(SEGMENT, "User-Agent: two")
        await ask(SEGMENT, "User-Agent: one", source="192.0.2.2")
        assert rig.statistics().audience == 3
        for sid in "ab":
            await ask(f"{SEGMENT}?CMCD=sid%3D%22{sid}%22", "User-Agent: one")
            await ask(PLAYLIST, "User-Agent: one", f'CMCD-Session: sid="{sid}"')
        assert rig.statistics().audience == 5
        for token in "abc":
            await ask(f"{SEGMENT}?token={token}", "User-Agent: one")
        assert rig.statistics().audience == 8
        (stream,) = rig.handle.running("edge")["hls"].streams()
        assert stream.viewers == 8
        await trio.sleep(31)
        assert rig.statistics().audience == 0
