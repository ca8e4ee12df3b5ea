"""What players are sent when publishers and the clip come and go: pure, on a stream without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.rtmp.media import Sent, frame, key, letter, read, sound
from tierkit.codecs.rtmp_chunk import Message
from tierkit.events import Event, StreamEnded, StreamStarted
from tierkit.live import Publication, Stream, Streams
from tierkit.plugin import Pump

from .clips import CLIP, opening, seconds, signed


class Place:
    """As much of a context as the live kit needs."""

    tier = "t"

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[Event] = []
        self.streams: dict[str, Any] = {}
        self.pump = Pump(None, self.clock)  # type: ignore[arg-type]

    def clock(self) -> float:
        return self.now

    def shared(self, kind: type[Any]) -> Any:
        return self.pump

    def emit(self, event: Event) -> None:
        self.events.append(event)


class Scene:
    """A stream, what was put into its ring, and what those in the process were told."""

    def __init__(self) -> None:
        self.place = Place()
        self.streams = Streams(self.place)  # type: ignore[arg-type]
        self.stream: Stream = self.streams.open("/live/s")
        self.sent: list[bytes] = []
        self.told: list[tuple[int, int, bytes]] = []
        append = self.stream.ring.append

        def tap(data: bytes, timestamp: int, *, sync: bool = False) -> None:
            self.sent.append(data)
            append(data, timestamp, sync=sync)

        self.stream.ring.append = tap  # type: ignore[method-assign]
        self.stream.subscribe(lambda *message: self.told.append(message))

    @property
    def seen(self) -> list[Message]:
        """Everything a player has been sent that is there from the beginning, less what it is attached with."""
        return read(b"".join(self.sent))


def send(publication: Publication, sent: list[Sent]) -> None:
    for each in sent:
        publication.send(*each)


def letters(messages: list[Any]) -> str:
    return "".join(letter(each[0], each[-1]) for each in messages)


def test_live_clip_live() -> None:
    scene = Scene()
    stream = scene.stream
    first = stream.publish("one")
    send(first, opening(1) + seconds(1, 1, start=70_000))
    assert stream.source == "live"
    first.end("gone")
    assert (stream.source, stream.playable, stream.off_since) == ("", False, 0.0)
    slate = stream.show_off_air()
    send(slate, opening(CLIP) + seconds(1, CLIP))
    assert (stream.source, stream.on_air, stream.playable, stream.off_since) == ("off_air", False, True, None)
    second = stream.publish("two")
    send(second, opening(2) + signed([frame(10), sound(30)], 2))  # nothing to begin with
    assert (stream.source, stream.on_air, slate.live) == ("off_air", True, True)
    send(slate, seconds(1, CLIP, start=1000))  # no gap
    send(second, seconds(1, 2, start=40))
    assert (stream.source, slate.live) == ("live", False)
    send(slate, seconds(1, CLIP, start=2000))  # it has had its time
    seen = scene.seen
    gop = "KS" + "PS" * 24
    assert "".join(letter(each.type_id, each.payload) for each in seen) == gop + f"MVA{gop}{gop}" + f"MVA{gop}"
    times = [each.timestamp for each in seen if each.type_id != 18]
    assert times == sorted(times)
    keys = [each.timestamp for each in seen if letter(each.type_id, each.payload) == "K"]
    assert keys == [70_000, 71_020, 72_020, 73_040]  # a frame behind the last sound
    assert (stream.splices, stream.epochs, stream.held) == (3, 2, 2)
    assert [type(each) for each in scene.place.events if isinstance(each, (StreamStarted, StreamEnded))] == [
        StreamStarted,
        StreamEnded,
        StreamStarted,
    ]


def test_the_clip_begins_behind_the_newest_of_what_was_seen_not_the_last() -> None:
    scene = Scene()
    live = scene.stream.publish("one")
    send(live, opening(1) + signed([key(1000), sound(700)], 1))  # the sound is late
    live.end("gone")
    send(scene.stream.show_off_air(), opening(CLIP) + seconds(1, CLIP)[:1])
    assert [each.timestamp for each in scene.seen if each.type_id == 9] == [1000, 1040, 1040]


def test_those_in_the_process_are_told_headers_first_and_nothing_that_is_held_behind_the_clip() -> None:
    scene = Scene()
    slate = scene.stream.show_off_air()
    send(slate, opening(CLIP) + seconds(1, CLIP))
    live = scene.stream.publish("one")
    send(live, opening(1) + signed([frame(0)], 1))
    send(slate, seconds(1, CLIP, start=1000)[:2])
    scene.told.clear()
    send(live, seconds(1, 1, start=40)[:2])
    assert letters(scene.told) == "MVAKS"
    assert {payload[-1] for type_id, _, payload in scene.told if type_id != 18} == {1}


def test_who_joins_before_the_keyframe_is_given_the_clips_headers() -> None:
    scene = Scene()
    slate = scene.stream.show_off_air()
    send(slate, opening(CLIP) + seconds(1, CLIP))
    live = scene.stream.publish("one")
    send(live, opening(1))
    assert {payload[-1] for type_id, payload in scene.stream.pinned() if type_id != 18} == {CLIP}
    assert scene.stream.ring.log.sync is not None
    send(live, seconds(1, 1)[:1])
    assert {payload[-1] for type_id, payload in scene.stream.pinned() if type_id != 18} == {1}


def test_a_clip_that_ends_while_a_publisher_waits_leaves_the_stream_to_it() -> None:
    scene = Scene()
    slate = scene.stream.show_off_air()
    send(slate, opening(CLIP) + seconds(1, CLIP))
    live = scene.stream.publish("one")
    send(live, opening(1))
    slate.end("nobody watches")
    assert (scene.stream.source, scene.stream.playable, scene.stream.off_since) == ("live", True, None)
    send(live, seconds(1, 1))
    assert letters([(each.type_id, each.payload) for each in scene.seen[-53:]]).startswith("MVAKSPS")
    live.end("gone")
    assert scene.stream.off_since is not None


def test_a_publisher_that_has_fallen_silent_begins_again_at_a_keyframe() -> None:
    scene = Scene()
    live = scene.stream.publish("one")
    send(live, opening(1) + seconds(1, 1))
    slate = scene.stream.show_off_air()
    assert scene.stream.ring.log.sync is None  # nobody begins at what was before
    send(slate, opening(CLIP) + seconds(1, CLIP))
    assert (scene.stream.on_air, scene.stream.source, scene.stream.epochs) == (True, "off_air", 1)
    send(live, signed([frame(1000), sound(1020)], 1))
    assert slate.live
    send(live, seconds(1, 1, start=1040))
    gop = "KS" + "PS" * 24
    assert letters([(each.type_id, each.payload) for each in scene.seen]) == gop + f"MVA{gop}" + f"MVA{gop}"
    times = [each.timestamp for each in scene.seen if each.type_id != 18]
    assert times == sorted(times)
    assert scene.stream.source == "live"


def test_a_publisher_that_never_shows_a_keyframe_leaves_the_clip_alone() -> None:
    scene = Scene()
    slate = scene.stream.show_off_air()
    send(slate, opening(CLIP) + seconds(1, CLIP))
    live = scene.stream.publish("one")
    send(live, opening(1) + signed([frame(0), frame(40)], 1))
    live.end("gone")
    assert (slate.live, scene.stream.source, scene.stream.off_since, scene.stream.codecs) == (True, "off_air", None, {})
    send(slate, seconds(1, CLIP, start=1000))
    assert {each.payload[-1] for each in scene.seen if each.type_id != 18} == {CLIP}


ACTIONS = ["publish", "takeover", "leave", "headers", "frames", "gop", "clip", "loop", "clip ends", "silence", "time"]


@given(
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 0xFFFFFFFF)), max_size=60),
)
def test_whoever_comes_and_goes_time_goes_on_and_each_begins_with_headers_and_a_keyframe(
    actions: list[tuple[str, int]],
) -> None:
    scene = Scene()
    stream = scene.stream
    who, clock, loop = 0, 0, 0
    for action, number in actions:
        live, slate = stream.publication, stream.slate
        before = len(scene.sent)
        if action == "publish" and live is None:
            who, clock = who + 1, number
            stream.publish(str(who))
        elif action == "takeover":
            who, clock = who + 1, number
            stream.publish(str(who), takeover=True)
        elif action == "leave" and live is not None:
            live.end("gone")
        elif action == "headers" and live is not None:
            send(live, opening(who))
        elif action in ("frames", "gop") and live is not None:
            wanted = seconds(1, who)[: 2 + number % 48]
            wanted = wanted if action == "gop" else wanted[1:]
            if action == "gop":
                send(live, opening(who))
            send(live, [Sent(e.type_id, clock + e.timestamp & 0xFFFFFFFF, e.payload) for e in wanted])
            clock = clock + 1000 & 0xFFFFFFFF
        elif slate is None and action == ("clip" if live is None else "silence"):
            loop = 0
            send(stream.show_off_air(), opening(CLIP))
        elif action == "loop" and slate is not None:
            send(slate, seconds(1, CLIP, start=loop))
            loop += 1000
            assert len(scene.sent) > before  # shown until somebody else is
        elif action == "clip ends" and slate is not None:
            slate.end("nobody watches")
        elif action == "time":
            scene.place.now += 1
        assert stream.playable == (stream.off_since is None)
        assert (stream.source == "off_air") == (stream.slate is not None)
    begins(scene.seen)


def begins(seen: list[Message]) -> None:
    shown: int | None = None
    opened, last = False, None
    expects: Callable[[str], bool]
    for each in seen:
        what = letter(each.type_id, each.payload)
        if what == "M":
            continue
        if last is not None:
            assert (each.timestamp - last + 0x80000000) % 2**32 - 0x80000000 >= 0
        last = each.timestamp
        if what in "VA":
            if each.payload[-1] != shown:
                shown, opened = each.payload[-1], False
            continue
        expects = "K".__eq__ if not opened else "KPS".__contains__
        assert expects(what)
        opened = True
        shown = each.payload[-1] if shown is None else shown
        assert each.payload[-1] == shown
