"""Properties of the sliding window, read back with the m3u8 library."""

from __future__ import annotations

import m3u8
from hypothesis import given
from hypothesis import strategies as st

from tierkit._packaging_window import Description, Window
from tierkit.codecs.hls import read_playlist

from .media import playlist_tags

STEP = st.tuples(
    st.floats(0.001, 12.0).map(lambda x: round(x, 3)),
    st.booleans(),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["", "", "", "renew"]),
)


@given(
    steps=st.lists(STEP, min_size=1, max_size=40),
    size=st.integers(1, 8),
    keep=st.integers(0, 12),
    first=st.sampled_from([0, 1_700_000_000]),
)
def test_the_playlist_slides(steps: list[tuple[float, bool, bytes, str]], size: int, keep: int, first: int) -> None:
    window = Window(size=size, keep=keep, target=2.0, first_sequence=first)
    total = 0.0
    contents: dict[str, bytes] = {}
    flags: list[bool] = []
    media_sequence = discontinuity_sequence = -1
    declared = 0
    for duration, discontinuity, data, event in steps:
        if event == "renew":
            window.renew()
            declared = 0
        window.add(
            data, duration=duration, at=1e9 + total, discontinuity=discontinuity, description=Description(codecs="")
        )
        total += duration
        flags.append(discontinuity)

        text = window.chunklist.decode()
        listed = m3u8.loads(text)
        facts = read_playlist(window.chunklist)
        assert len(listed.segments) == min(size, len(flags))
        # Numbers only rise, by one a segment, and end with the newest.
        assert facts.media_sequence >= media_sequence
        media_sequence = facts.media_sequence
        assert media_sequence + len(listed.segments) == first + len(flags) == window.next_sequence
        gone = sum(flags[: len(flags) - len(listed.segments)])
        assert (listed.discontinuity_sequence or 0) == gone >= discontinuity_sequence
        discontinuity_sequence = gone
        # No segment is longer than promised, and the promise does not shrink.
        assert all(int(segment.duration + 0.5) <= facts.target_duration for segment in listed.segments)
        assert facts.target_duration >= max(2, declared)
        declared = int(facts.target_duration)

        # One name, one content, for as long as it is kept.
        newest = listed.segments[-1].uri
        assert newest not in contents
        contents[newest] = data
        for name, want in contents.items():
            found = window.segment(name)
            assert found is None or found.data == want
        alive = [name for name in contents if window.segment(name) is not None]
        assert alive == list(contents)[-(size + keep) :]
        assert window.bytes == sum(len(contents[name]) for name in alive)


def test_names_have_one_spelling() -> None:
    window = Window(size=3, keep=0, target=2.0, first_sequence=7)
    window.add(b"x", duration=2.0, at=0.0, discontinuity=False, description=Description(codecs=""))
    assert window.segment("media_7.ts") is not None
    for odd in (
        "media_07.ts",
        "media_+7.ts",
        "media_7",
        "7",
        "media_\u0667.ts",
        "media_.ts",
        "media_" + "7" * 5000 + ".ts",
    ):
        assert window.segment(odd) is None


def test_the_bandwidth_is_the_peak_and_stands_still() -> None:
    window = Window(size=3, keep=0, target=2.0, first_sequence=0)
    seen = []
    for size in (250_000, 250_001, 249_000, 500_000, 250_000):
        window.add(
            bytes(size), duration=2.0, at=0.0, discontinuity=False, description=Description(codecs="avc1.42c01e")
        )
        seen.append(playlist_tags(window.playlist.decode(), "STREAM-INF")[0])
    assert [each.partition(",")[0] for each in seen] == [
        "BANDWIDTH=1000000",
        "BANDWIDTH=1010000",
        "BANDWIDTH=1010000",
        "BANDWIDTH=2000000",
        "BANDWIDTH=2000000",
    ]
    etag = window.playlist_etag
    window.add(bytes(100), duration=0.1, at=0.0, discontinuity=True, description=Description(codecs="avc1.42c01e"))
    assert window.playlist_etag == etag


def test_late_clients_get_less_where_segments_are_large_and_the_playlist_stays_whole() -> None:
    window = Window(size=3, keep=10, target=2.0, first_sequence=0, keep_bytes=5000)
    for _ in range(20):
        window.add(bytes(1000), duration=2.0, at=0.0, discontinuity=False, description=Description(codecs=""))
    assert [number for number in range(20) if window.segment(f"media_{number}.ts")] == [15, 16, 17, 18, 19]
    for _ in range(5):
        window.add(bytes(4000), duration=2.0, at=0.0, discontinuity=False, description=Description(codecs=""))
    assert [number for number in range(25) if window.segment(f"media_{number}.ts")] == [22, 23, 24]
    assert window.bytes == 12_000
