"""Viewers counted at an edge."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.plugins.edge_rig import PLAYLIST, SEGMENT, Rig, open_edge, plain, playlist
from tests.support_http import Viewer
from tierkit import Address
from tierkit.codecs.signed_url import SecureLink, SigningKey, sign

SOON = 2_000_000_000
KEY = SigningKey("k1", b"hunter2")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    path.write_text("k1 hunter2\n")
    return str(path)


async def watch(rig: Rig, path: str, source: str = "192.0.2.1") -> None:
    """Ask for a playlist, and for all that it lists, from there on down."""
    (address, *_) = rig.handle.addresses("edge")
    viewer = Viewer(await rig.network.connect(Address.parse(str(address)), source=source))
    answer = await viewer.ask(path)
    viewer.connection.close()
    assert answer.status == 200
    for line in answer.body.decode().splitlines() if answer.body.startswith(b"#EXTM3U") else ():
        if line and not line.startswith("#"):
            await watch(rig, line if line.startswith("/") else f"{path.rpartition('/')[0]}/{line}", source)


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


def origin_of_two_folders(rig: Rig) -> None:
    master = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n/video/p.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n/audio/p.m3u8\n"
    rig.origin.paths[PLAYLIST] = plain(master)
    for folder in ("video", "audio"):
        rig.origin.paths[f"/{folder}/p.m3u8"] = plain(playlist())
        rig.origin.paths |= {f"/{folder}/media_{n}.ts": plain(b"x") for n in (1, 2, 3)}


async def test_who_is_handed_tokens_for_other_folders_is_one_viewer(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        origin_of_two_folders(rig)
        await watch(rig, f"{PLAYLIST}?token={sign(PLAYLIST, KEY, SOON)}")
        assert rig.statistics().audience == 1
        await watch(rig, f"{PLAYLIST}?token={sign(PLAYLIST, KEY, SOON + 1)}")
        assert rig.statistics().audience == 2


async def test_viewers_whose_urls_were_signed_in_one_second_are_several(keys: str) -> None:
    async with open_edge(signing="token", signing_keys=keys, prefetch=False) as rig:
        origin_of_two_folders(rig)
        for number in range(1, 6):
            await watch(rig, f"{PLAYLIST}?token={sign(PLAYLIST, KEY, SOON)}", f"192.0.2.{number}")
        assert rig.statistics().audience == 5


async def test_who_has_a_link_of_nginxs_for_each_segment_is_one_viewer(keys: str) -> None:
    expression = "$secure_link_expires$uri $secret"
    options = {"signing": "secure_link", "signing_keys": keys, "secure_link_expression": expression}
    async with open_edge(prefetch=False, **options) as rig:
        origin_of_two_folders(rig)
        md5 = SecureLink("hunter2", expression).sign(PLAYLIST, SOON)
        for number in range(1, 4):
            await watch(rig, f"{PLAYLIST}?md5={md5}&expires={SOON}", f"192.0.2.{number}")
        assert rig.statistics().audience == 3


async def test_viewers_of_long_segments_are_counted_between_them(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths[PLAYLIST] = plain(playlist(td=30))
        for _ in range(4):
            assert (await rig.get(PLAYLIST)).status == 200
            for _ in range(3):
                await trio.sleep(10)
                assert rig.statistics().audience == 1
                (stream,) = rig.handle.running("edge")["hls"].streams()
                assert stream.viewers == 1
        await trio.sleep(90)
        assert rig.statistics().audience == 0


async def test_what_a_stream_was_sent_is_counted_by_its_folder(autojump_clock: MockClock) -> None:
    async with open_edge(prefetch=False) as rig:
        rig.origin.paths["/live/s/other.m3u8"] = plain(playlist(td=4))
        edge = rig.handle.running("edge")["hls"]
        await rig.get(PLAYLIST)  # by a fetch
        await rig.get(PLAYLIST)  # at hand
        await rig.get("/live/s/other.m3u8")
        (stream,) = edge.streams()  # renditions in one folder are one stream
        told = rig.handle.statistics()["tiers"]["edge"]["bytes_out"]
        assert stream.name == "live/s"
        assert stream.bytes_out == told > 0
        await trio.sleep(200)
        await rig.get("/else/x.m3u8")
        (stream,) = edge.streams()
        assert (stream.viewers, stream.bytes_out) == (0, told)  # and is known when everybody has gone
