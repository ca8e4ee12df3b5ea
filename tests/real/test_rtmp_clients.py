"""Every RTMP client at hand, playing and publishing through two relays, over rtmp and rtmps, all on one evening.

All but the late ones ask before anybody publishes.  Then one program publishes the first half of a clip, and another
the second: players stay while the first has gone and the second has not come, and get every picture of both.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trustme
from attrs import Factory, define

from tierkit import Certificate, Graph, GraphHandle, Listener, Relay, Trust, open_graph
from tierkit._registry import Registry
from tierkit.plugins.rtmp import RTMP

from .hls_players import RATE, know_gstreamer, parts_ways, truth
from .media import make_clip
from .rtmp_clients import PLAYERS, PUBLISHERS, Played, cut, ffprobe, mpv_for, run

PARTS = ("ffmpeg", "ffprobe", "rtmpdump", "mpv", "gst-launch-1.0")
pytestmark = [pytest.mark.real(*PARTS), pytest.mark.timeout(150)]

#: Seconds of media that each of the two programs publishes, between them, and before the late ones come.  Half a clip
#: has some 1,050,000 bytes: not the 1,250,000 at which we send an acknowledgement.  ffmpeg closes without a look at
#: what has come, and where something has, the kernel resets the connection and its last frame is lost on the way.
HALF, BETWEEN, LATE = 5, 1.0, 2.0
#: By stream: its scheme, and who publishes the first half of it and the second.
STREAMS = {"plain": ("rtmp", "ffmpeg", "rtmp2sink"), "sealed": ("rtmps", "rtmp2sink", "ffmpeg")}
#: Players that tell packets, not pictures.
TELL_PACKETS = ("ffprobe", "rtmpdump", "rtmpsrc")
EVERY = PLAYERS | {"mpv": mpv_for(2 * HALF - 1)}
COME_LATE = ("ffmpeg", "rtmpdump", "rtmp2src")
LATE_ONES = [(stream, player) for stream in STREAMS for player in COME_LATE]
EARLY_ONES = [(stream, player) for stream in STREAMS for player in EVERY]


@define
class Evening:
    """What was published, as pictures decoded, packets and sound, and what each player got of it."""

    pictures: list[str] = Factory(list)
    adler: list[str] = Factory(list)
    packets: list[str] = Factory(list)
    sound: list[str] = Factory(list)
    played: dict[tuple[str, str, str], Played] = Factory(dict)
    published: list[str] = Factory(list)
    pulls: int = 0

    def of(self, player: str) -> list[str]:
        """What was published, in this player's words."""
        return self.packets if player in TELL_PACKETS else self.adler if player == "mpv" else self.pictures


async def know(evening: Evening, clips: list[Path]) -> None:
    for clip in clips:
        known, played = truth(clip), await ffprobe(str(clip), clip)
        evening.pictures += known.md5
        evening.adler += known.adler
        evening.packets += played.video
        evening.sound += played.audio


def graph(folder: Path) -> Graph:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "relay.pem"))
    sealed = Listener("rtmps://127.0.0.1:0", Certificate(str(folder / "relay.pem")))
    doors = (Listener("rtmp://127.0.0.1:0"), sealed)
    trust = Trust(ca=str(folder / "ca.pem"))
    entry = Relay("entry", listen=doors, serves=RTMP(linger=3), trust=trust)
    return Graph.of(Relay("leaf", upstream=entry, listen=doors, serves=RTMP(linger=3), trust=trust))


async def spend(folder: Path) -> Evening:
    evening = Evening()
    clip = make_clip(folder / "clip.flv", seconds=2 * HALF, size="320x180")
    clips = [cut(clip, folder / "one.flv", "-t", str(HALF)), cut(clip, folder / "two.flv", "-ss", str(HALF + 0.1))]
    await know(evening, clips)
    await know_gstreamer()
    async with open_graph(graph(folder), registry=Registry(), drain=0.5) as handle:
        with trio.fail_after(100):
            async with trio.open_nursery() as nursery:
                for stream, player in EARLY_ONES:
                    nursery.start_soon(play, evening, handle, folder, stream, player, "early")
                await until_waiting(handle, len(EARLY_ONES))
                for stream in STREAMS:
                    nursery.start_soon(publish, evening, handle, clips, stream)
                await until_on_air(handle, len(STREAMS))
                await trio.sleep(LATE)
                for stream, player in LATE_ONES:
                    nursery.start_soon(play, evening, handle, folder, stream, player, "late")
                await trio.sleep(HALF)
                evening.pulls = handle.statistics()["tiers"]["leaf"]["services"]["rtmp"]["pulls"]
    return evening


async def play(evening: Evening, handle: GraphHandle, folder: Path, stream: str, player: str, when: str) -> None:
    url = handle.url("leaf", f"/live/{stream}", scheme=STREAMS[stream][0])
    evening.played[stream, player, when] = await EVERY[player](url, folder / f"{stream}-{player}-{when}")


async def publish(evening: Evening, handle: GraphHandle, clips: list[Path], stream: str) -> None:
    scheme, *publishers = STREAMS[stream]
    for clip, publisher in zip(clips, publishers, strict=True):
        _, wrong = await run(PUBLISHERS[publisher](clip, handle.url("entry", f"/live/{stream}", scheme=scheme)))
        evening.published.append(wrong)
        await trio.sleep(BETWEEN)


async def until_on_air(handle: GraphHandle, streams: int) -> None:
    while sum(each["on_air"] for each in handle.statistics()["tiers"]["entry"]["streams"]) < streams:
        await trio.sleep(0.05)


async def until_waiting(handle: GraphHandle, players: int) -> None:
    while handle.statistics()["tiers"]["leaf"]["services"]["rtmp"]["waiting"] < players:
        await trio.sleep(0.05)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return trio.run(spend, tmp_path_factory.mktemp("rtmp"))


@pytest.mark.parametrize(("stream", "player"), EARLY_ONES)
def test_who_asked_before_the_publisher_gets_every_picture_of_both_publishers(
    stream: str, player: str, evening: Evening
) -> None:
    played = evening.played[stream, player, "early"]
    assert played.complaint == ""
    if player == "mpv":
        assert parts_ways(evening.of(player), played.video) == ""
        assert len(played.video) >= (2 * HALF - 1) * RATE
    else:
        assert played.video == evening.of(player)


@pytest.mark.parametrize(("stream", "player"), [each for each in EARLY_ONES if each[1] in ("ffmpeg", *TELL_PACKETS)])
def test_they_get_every_frame_of_sound(stream: str, player: str, evening: Evening) -> None:
    assert evening.played[stream, player, "early"].audio == evening.sound


@pytest.mark.parametrize(("stream", "player"), LATE_ONES)
def test_who_comes_late_begins_at_a_keyframe_and_misses_nothing_from_there(
    stream: str, player: str, evening: Evening
) -> None:
    played = evening.played[stream, player, "late"]
    assert played.complaint == ""
    assert parts_ways(evening.of(player), played.video) == ""
    missed = len(evening.of(player)) - len(played.video)
    assert missed % RATE == 0  # a GOP is a second
    assert 0 < missed < HALF * RATE
    assert played.video[-1] == evening.of(player)[-1]


def test_the_publishers_have_nothing_to_complain_of(evening: Evening) -> None:
    assert evening.published == [""] * 2 * len(STREAMS)


def test_each_stream_was_pulled_once(evening: Evening) -> None:
    assert evening.pulls == len(STREAMS)
