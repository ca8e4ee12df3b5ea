"""Whose picture stands still, step by step: what counts as hungry, and what does not."""

from __future__ import annotations

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import rebuffering
from tierkit.codecs.cmcd_status import PlayerStatus, status_of
from tierkit.codecs.rebuffering import LOOK, RECENT, Rebuffering
from tierkit.codecs.viewings import Line, Media, Pace

WEAK, SURE = 2, 3


@define(eq=False)
class Wire:
    """A connection: what was accepted for it, and what of that has not arrived."""

    bytes_out: int = 0
    left: int = 0

    def unsent(self) -> int:
        return self.left


class Watcher:
    """Requests of one viewer on a playlist of two seconds, at times that a test says, with looks in between."""

    def __init__(self, who: int = WEAK, found: Rebuffering | None = None, pace: Pace | None = None) -> None:
        self.found = Rebuffering() if found is None else found
        self.pace = pace or Pace(2.0, 10)
        self.who = who
        self.now = 0.0
        self.wire = Wire()
        self.line = Line(self.wire)

    def until(self, now: float) -> None:
        while self.now + LOOK <= now:
            self.now += LOOK
            self.found.look(self.now)
        self.now = now

    def segment(self, at: float, number: int, *, arrives: bool = True, status: PlayerStatus | None = None) -> None:
        self.until(at)
        self.found.asked(self.line, self.who, Media(self.pace, number, 2.0), at, 1000, status)
        self.wire.bytes_out += 1000
        self.wire.left = 0 if arrives else 1000

    def playlist(self, at: float) -> None:
        self.until(at)
        self.found.asked(self.line, self.who, Media(self.pace), at, 100)
        self.wire.bytes_out += 100

    def begins(self) -> None:
        """With three segments at once, the last two known of by what follows."""
        for number in (7, 8, 9):
            self.segment(0.0, number)
        self.playlist(0.1)

    @property
    def counts(self) -> tuple[int, int]:
        return self.found.chopped(self.now), self.found.rebufferings


def test_who_is_served_in_time_is_not_chopped() -> None:
    w = Watcher()
    w.begins()
    for n in range(10, 40):
        w.pace.moved(2.0, n + 1)
        w.playlist(2.0 * (n - 9))
        w.segment(2.0 * (n - 9), n)
    w.until(61.0)
    assert w.counts == (0, 0)


def test_an_answer_that_is_still_on_its_way_when_the_media_has_ended_is_a_rebuffering() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 11)
    w.playlist(2.0)
    w.segment(2.0, 10, arrives=False)
    w.until(6.9)
    assert w.counts == (0, 0)  # a second is borne
    w.until(7.6)
    assert w.counts == (1, 1)
    w.until(30.0)
    assert w.counts == (1, 1)  # one, however long
    w.wire.left = 0
    w.until(30.5 + RECENT + 1)
    assert w.counts == (0, 1)


def test_who_has_everything_and_goes_on_asking_is_chopped() -> None:
    w = Watcher()
    w.begins()
    for second in range(1, 12):
        w.playlist(float(second))
    assert w.counts == (1, 1)


def test_who_has_everything_and_stops_asking_has_left() -> None:
    w = Watcher()
    w.begins()
    w.playlist(2.0)
    w.until(60.0)
    assert w.counts == (0, 0)


def test_who_does_not_ask_for_what_it_was_told_of_is_at_leisure_and_begins_anew() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 14)
    for second in range(1, 20):  # paused: the playlist is asked for, and nothing else
        w.playlist(float(second))
    assert w.counts == (0, 0)
    for number in (10, 11, 12):
        w.segment(20.0, number)
    w.until(22.0)
    assert w.counts == (0, 0)


def test_who_jumps_with_media_in_hand_seeks_and_who_jumps_without_has_lost_some() -> None:
    w = Watcher()
    w.begins()
    w.segment(0.2, 30, arrives=False)  # nothing of what it had counts any more
    w.until(20.0)
    assert w.counts == (0, 0)
    w = Watcher()
    w.begins()
    w.segment(5.5, 11)
    w.playlist(5.6)
    for tick in range(16, 30):
        w.playlist(tick * 0.5)
    assert w.counts == (1, 1)  # at 9 s: the media of number 10 was missing


def test_a_seek_backwards_begins_anew() -> None:
    w = Watcher()
    w.begins()
    w.segment(5.9, 2, arrives=False)
    w.until(20.0)
    assert w.counts == (0, 0)


def test_the_same_segment_again_is_no_more_media() -> None:
    w = Watcher()
    w.begins()
    for _ in range(3):
        w.segment(0.2, 9)
    for second in range(1, 10):
        w.playlist(float(second))
    assert w.counts == (1, 1)


def test_another_channel_is_no_hunger_for_the_first() -> None:
    w = Watcher()
    w.begins()
    w.playlist(5.5)
    other = Watcher(found=w.found, pace=Pace(2.0, 10))
    other.line, other.wire, other.now = w.line, w.wire, w.now
    for number in (7, 8, 9):
        other.segment(5.6, number)
    other.playlist(5.7)
    other.until(8.0)
    assert other.counts == (0, 0)


def test_behind_one_address_everybody_is_known_by_the_connection() -> None:
    good, bad = Watcher(), Watcher()
    bad.found, bad.pace = good.found, good.pace
    good.begins()
    bad.begins()
    good.pace.moved(2.0, 11)
    bad.segment(2.0, 10, arrives=False)
    for n in range(10, 16):
        good.pace.moved(2.0, n + 1)
        good.playlist(2.0 * (n - 9))
        good.segment(2.0 * (n - 9), n)
    good.until(14.0)
    assert good.counts == (1, 1)
    (view,) = [each for each in good.found.viewings() if each.rebufferings]
    assert view.line is bad.line


@pytest.mark.parametrize("who", [WEAK, SURE])
def test_a_connection_for_each_request_is_the_same_viewer(who: int) -> None:
    w = Watcher(who)
    for n in range(7, 30):
        w.pace.moved(2.0, max(10, n + 1))
        w.segment(max(0.0, 2.0 * (n - 9)), n)
        w.found.ended(w.line, w.now)
        w.wire = Wire()
        w.line = Line(w.wire)
    assert w.counts == (0, 0)
    assert len(w.found) == 1
    for second in range(41, 60):
        w.playlist(float(second))
        w.found.ended(w.line, w.now)
        w.line = Line(w.wire)
    assert w.counts == (1, 1)


def test_two_connections_of_one_browser_are_one_viewer() -> None:
    w = Watcher()
    lines = [w.line, Line(w.wire)]
    for n in range(7, 30):
        w.pace.moved(2.0, max(10, n + 1))
        w.line = lines[n % 2]
        w.segment(max(0.0, 2.0 * (n - 9)), n)
    assert w.counts == (0, 0)


def test_what_broke_off_is_not_there() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 11)
    w.segment(2.0, 10, arrives=False)
    w.wire.bytes_out -= 500  # not all of it had been taken
    w.found.ended(w.line, w.now)
    w.wire = Wire()
    w.line = Line(w.wire)
    w.segment(3.0, 10, arrives=False)  # once more, and it goes on from there
    w.until(7.6)
    assert w.counts == (1, 1)


def test_a_refused_segment_leaves_who_goes_on_asking_hungry() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 11)
    for second in range(2, 12):
        w.until(float(second))
        media = Media(w.pace, 10, 2.0)
        w.found.waits(w.line, media, w.now)
        w.found.waited(w.line, media, w.now, refused=True)
    assert w.counts == (1, 1)


def test_who_waits_for_an_answer_is_hungry() -> None:
    w = Watcher()
    w.begins()
    w.until(2.0)
    w.found.waits(w.line, Media(w.pace), 2.0)
    w.until(7.6)
    assert w.counts == (1, 1)


def test_what_a_player_says_of_its_buffer_counts_for_more() -> None:
    w = Watcher(SURE)
    w.begins()
    w.pace.moved(2.0, 11)
    w.segment(2.0, 10, arrives=False, status=PlayerStatus(buffer=20.0))
    w.until(20.0)
    assert w.counts == (0, 0)
    w.until(24.0)
    assert w.counts == (1, 1)
    w.wire.left = 0
    w.segment(24.1, 11, status=PlayerStatus(buffer=0.5, starved=True))
    assert w.counts == (1, 1)  # that is the one which was seen
    w.segment(25.0, 12, status=PlayerStatus(buffer=3.0, starved=True))
    assert w.counts == (1, 2)


def test_who_says_that_it_is_paused_is() -> None:
    w = Watcher(SURE)
    w.begins()
    w.pace.moved(2.0, 11)
    w.segment(2.0, 10, arrives=False, status=PlayerStatus(buffer=1.0, paused=True))
    w.until(30.0)
    assert w.counts == (0, 0)


def test_a_loop_that_was_elsewhere_has_kept_viewers_waiting() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 11)
    w.now = 12.0  # nobody looked, and nothing was answered
    w.found.asked(w.line, w.who, Media(w.pace), 12.0, 100)
    assert w.counts == (1, 1)


def test_what_had_come_while_the_loop_was_elsewhere_has_come_in_time() -> None:
    w = Watcher()
    w.begins()
    w.pace.moved(2.0, 11)
    w.segment(2.0, 10)
    w.now = 7.6
    w.found.look(7.6)
    assert w.counts == (0, 0)


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuffering, "MOST", 5)
    found, pace = Rebuffering(), Pace(2.0, 10)
    for number in range(20):
        Watcher(2 * number, found, pace).segment(0.0, 7)
    assert len(found) == 5
    found.look(rebuffering.FORGOTTEN + 60)
    found.look(2 * rebuffering.FORGOTTEN + 120)
    assert len(found) == 0
    assert not found._crowds
    assert not found._known


STEP = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 20), st.floats(0, 5), st.integers(0, 5))


@given(st.lists(STEP))
def test_whatever_is_asked_in_whatever_order_it_goes_on(steps: list[tuple[int, int, int, float, int]]) -> None:
    """No order of requests, ends and looks breaks it, or leaves anything behind."""
    found, now = Rebuffering(), 0.0
    paces = [Pace(2.0, 10), Pace(4.0, 10)]
    wires = [Wire() for _ in range(4)]
    lines = [Line(wire) for wire in wires]
    for which, who, number, pause, what in steps:
        now += pause
        pace = paces[number % 2]
        media = Media(pace, number, 2.0) if number else Media(pace)
        if what == 0:
            found.ended(lines[which], now)
            wires[which] = Wire()
            lines[which] = Line(wires[which])
        elif what == 1:
            found.look(now)
        elif what == 2:
            found.waits(lines[which], media, now)
            found.waited(lines[which], media, now, refused=number % 3 == 0)
        else:
            status = PlayerStatus(buffer=pause, starved=what == 4) if what > 3 else None
            flight = found.asked(lines[which], who, media, now, None if what == 5 else 100, status)
            wires[which].bytes_out += 100
            wires[which].left = number * 10
            if flight is not None:
                flight.until = wires[which].bytes_out
        assert 0 <= found.chopped(now) <= len(found)
    for line in lines:
        found.ended(line, now)
    for _ in range(3):
        now += 1000
        found.look(now)
    assert len(found) == 0
    assert not found._crowds
    assert not found._known
    assert not found._orphans


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/a.ts", None),
        (b"/a.ts?CMCD=sid%3D%22x%22", None),
        (b"/a.ts?CMCD=bl%3D21300%2Cbr%3D3200%2Cbs%2Csid%3D%22x%22", PlayerStatus(21.3, True)),
        (b"/a.ts?x=1&CMCD=br%3D1%2Cbl%3D0", PlayerStatus(0.0)),
        (b"/a.ts?CMCD=bl=500,pr=0", PlayerStatus(0.5, paused=True)),
        (b"/a.ts?CMCD=pr%3D1.08%2Cbs", PlayerStatus(None, True)),
        (b"/a.ts?CMCD=bl%3Dx%2Cabs%2Cbsx%3D1", None),
        (b"/a.ts?XCMCD=bs", None),
    ],
)
def test_what_a_target_says(target: bytes, expected: PlayerStatus | None) -> None:
    assert status_of(target) == expected


def test_what_fields_say() -> None:
    headers = [(b"cmcd-request", b"bl=2000"), (b"cmcd-status", b"bs")]
    assert status_of(b"/a", frozenset(name for name, _ in headers), headers) == PlayerStatus(2.0, True)
    assert status_of(b"/a", frozenset({b"cmcd-session"}), [(b"cmcd-session", b'sid="x"')]) is None


@given(st.binary(max_size=200))
def test_anything_can_be_said(noise: bytes) -> None:
    status_of(b"/a?CMCD=" + noise)
    status_of(b"/a?CMCD=bl%3D" + noise)
