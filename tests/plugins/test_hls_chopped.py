"""Viewers whose picture stands still, as an edge's statistics have them."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import PLAYLIST, Rig, dripping, open_edge, plain, playlist
from tests.support_http import Viewer

TD = 2


def window(rig: Rig, first: int, *, slow: float = 0.0) -> None:
    """The origin shows three segments from `first` on, the last of which may come slowly."""
    rig.origin.paths[PLAYLIST] = plain(playlist(first, td=TD))
    for n in range(first, first + 3):
        rig.origin.paths[f"/live/s/media_{n}.ts"] = plain(b"x" * 1000)
    if slow:
        rig.origin.paths[f"/live/s/media_{first + 2}.ts"] = dripping(b"x", b"y", pause=slow, length=2)


async def begins(viewer: Viewer, first: int = 1) -> None:
    await viewer.ask(PLAYLIST)
    for n in range(first, first + 3):
        await viewer.ask(f"/live/s/media_{n}.ts")


def counts(rig: Rig) -> tuple[int, int]:
    found, figures = rig.statistics(), rig.handle.running("edge")["hls"].figures()
    assert (found.chopped, found.rebufferings) == (figures.chopped, figures.rebufferings)
    return found.chopped, found.rebufferings


async def test_a_segment_that_comes_too_late_is_seen_while_it_comes_and_for_a_while_after(
    autojump_clock: MockClock,
) -> None:
    async with open_edge(prefetch=False) as rig:
        window(rig, 1)
        viewer = await rig.viewer()
        await begins(viewer)
        await trio.sleep(2)
        window(rig, 2, slow=9.0)
        await viewer.ask(PLAYLIST)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(viewer.ask, "/live/s/media_4.ts")
            await trio.sleep(4.4)
            assert counts(rig) == (0, 0)
            await trio.sleep(1.5)
            assert counts(rig) == (1, 1)
        await trio.sleep(12)
        assert counts(rig) == (0, 1)


async def test_sound_and_picture_of_one_viewer_are_one(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        for kind in ("audio", "video"):
            rig.origin.paths[f"/{kind}/p.m3u8"] = plain(playlist(td=TD))
            rig.origin.paths |= {f"/{kind}/media_{n}.ts": plain(b"x") for n in (1, 2, 3)}
        viewer = await rig.viewer()
        for _ in range(12):  # of a stream that does not go on
            for kind in ("audio", "video"):
                await viewer.ask(f"/{kind}/p.m3u8")
                if rig.origin.count(f"/{kind}/media_3.ts") == 0:
                    for n in (1, 2, 3):
                        await viewer.ask(f"/{kind}/media_{n}.ts")
            await trio.sleep(1)
        assert counts(rig)[0] == 1


async def test_a_stream_that_begins_anew_is_watched_anew(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        window(rig, 500)
        viewer = await rig.viewer()
        await begins(viewer, 500)
        await trio.sleep(20)  # nobody asks: it was switched off
        window(rig, 1)
        await begins(viewer, 1)
        assert counts(rig) == (0, 0)
        for _ in range(10):
            await trio.sleep(1)
            await viewer.ask(PLAYLIST)
        assert counts(rig) == (1, 1)


async def test_who_watches_a_recording_to_its_end_has_seen_it(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        window(rig, 1)
        rig.origin.paths[PLAYLIST] = plain(playlist(1, td=TD, ended=True))
        viewer = await rig.viewer()
        await begins(viewer)
        for _ in range(20):
            await trio.sleep(1)
            await viewer.ask(PLAYLIST)
        assert counts(rig) == (0, 0)


async def test_a_tier_that_cannot_get_what_viewers_ask_for_leaves_them_standing(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        window(rig, 1)
        viewer = await rig.viewer()
        await begins(viewer)
        rig.origin.paths.clear()
        for _ in range(12):
            await trio.sleep(1)
            await viewer.ask(PLAYLIST)
        assert counts(rig) == (1, 1)
