"""What a process remembers of its own events."""

from __future__ import annotations

from tierkit._because import Because, word_of
from tierkit._notable import KEPT, LONGEST, Notable
from tierkit.events import ConnectionFailed, Dropped, Refused, StreamFault, UpstreamLost, ViewerJoined


def test_a_reason_is_a_string_with_a_word() -> None:
    reason = Because("took nothing for 5 s", word="slow")
    assert reason == "took nothing for 5 s"
    assert f"{reason}" == "took nothing for 5 s"
    assert word_of(reason) == "slow"
    assert word_of("whatever") == "other"


def test_drops_refusals_and_failures_are_counted_by_word_and_tier() -> None:
    notable = Notable()
    notable.note(Dropped(tier="a", peer="p", reason=Because("took nothing", word="slow")), 1.0)
    notable.note(Dropped(tier="a", peer="p", reason="odd"), 1.0)
    notable.note(Refused(tier="a", peer="p", reason=Because("full", word="full"), count=7), 1.0)
    notable.note(ConnectionFailed(tier="a", peer="p", reason=Because("not RTMP", word="protocol")), 1.0)
    notable.note(Dropped(tier="b", peer="p", reason=Because("kicked", word="kicked")), 1.0)
    assert notable.tally("a").drops == {"slow": 1, "other": 1}
    assert notable.tally("a").refusals == {"full": 7}
    assert notable.tally("a").failures == {"protocol": 1}
    assert notable.tally("b").drops == {"kicked": 1}


def test_viewers_who_come_are_not_remembered() -> None:
    notable = Notable()
    notable.note(ViewerJoined(tier="a", peer="p", stream="s"), 1.0)
    assert notable.events("full") == []


def test_what_repeats_is_one_line_at_its_newest_place() -> None:
    notable = Notable()
    notable.note(UpstreamLost(tier="a", upstream="o", reason="down"), 1.0)
    notable.note(StreamFault(tier="a", stream="s", reason="late"), 2.0)
    notable.note(UpstreamLost(tier="a", upstream="o", reason="down"), 3.0)
    notable.note(UpstreamLost(tier="a", upstream="other", reason="down"), 4.0)
    told = [(each["at"], each["kind"], each["level"], each["times"]) for each in notable.events("full")]
    assert told == [
        (2.0, "StreamFault", "warning", 1),
        (3.0, "UpstreamLost", "warning", 2),
        (4.0, "UpstreamLost", "warning", 1),
    ]


def test_no_more_are_kept_than_fit_and_none_is_longer_than_a_line() -> None:
    notable = Notable()
    for number in range(KEPT + 5):
        notable.note(StreamFault(tier="a", stream=str(number), reason="x" * 2000), float(number))
    events = notable.events("full")
    assert [each["at"] for each in events] == [float(number) for number in range(5, KEPT + 5)]
    assert {len(each["text"]) for each in events} == {LONGEST}


def test_addresses_are_told_as_the_graph_says() -> None:
    notable = Notable()
    notable.note(Refused(tier="e", peer="192.0.2.77:5", reason="too many"), 1.0)
    texts = {how: notable.events(how)[0]["text"] for how in ("full", "truncated", "none")}
    assert texts == {
        "full": "e: refused 192.0.2.77:5: too many",
        "truncated": "e: refused 192.0.2.0: too many",
        "none": "e: refused -: too many",
    }
