"""Every event is one line for a person, and public."""

from __future__ import annotations

import pickle

import pytest
from attrs import field, frozen

from tierkit import Address, _events, events

SAMPLES = [
    (events.TierStarted(tier="e", addresses=(Address.parse("http://h:80"),)), "e is ready on http://h:80"),
    (events.TierStopped(tier="e"), "e has stopped"),
    (events.TierStopped(tier="e", dropped=3), "e has stopped, 3 connections cut"),
    (events.TierFailed(tier="e", reason="ValueError: x"), "e failed: ValueError: x"),
    (events.Draining(tier="e", seconds=20, connections=7), "e drains: 7 connections have 20 s to end"),
    (events.ViewerJoined(tier="e", peer="p", stream="live/s"), "e: viewer p plays live/s"),
    (
        events.ViewerLeft(tier="e", peer="p", stream="live/s", seconds=9.6, bytes_out=1),
        "e: viewer p left live/s after 10 s",
    ),
    (events.PublisherJoined(tier="e", peer="p", stream="live/s"), "e: p publishes live/s"),
    (
        events.PublisherLeft(tier="e", peer="p", stream="live/s", reason="it vanished"),
        "e: publisher p of live/s left: it vanished",
    ),
    (events.StreamStarted(tier="e", stream="live/s"), "e: live/s is on air"),
    (events.StreamStarted(tier="e", stream="live/s", origin="wowza"), "e: live/s is on air from wowza"),
    (events.StreamEnded(tier="e", stream="live/s", reason="ended"), "e: live/s is off air: ended"),
    (events.StreamFault(tier="e", stream="live/s", reason="odd packet"), "e: live/s: odd packet"),
    (
        events.Recorded(tier="e", stream="live/s", file="/rec/s.flv", seconds=3600.04, bytes=495_000_000),
        "e: live/s is recorded: /rec/s.flv, 3600.0 s, 495.0 MB",
    ),
    (
        events.RecordingFailed(tier="e", stream="live/s", file="/rec/s.flv", reason="No space left", retry_in=2.0),
        "e: live/s is not recorded, /rec/s.flv: No space left; next try in 2 s",
    ),
    (
        events.RecordingLeft(tier="e", file="/rec/s.flv.part", bytes=1_500_000),
        (
            "e: /rec/s.flv.part was left by a process that ended while it recorded, 1.5 MB: it plays up to there; "
            "rename or delete it"
        ),
    ),
    (
        events.RecordingFailed(tier="e", stream="everything", file="/rec", reason="it is gone", retry_in=0.0),
        "e: everything is not recorded, /rec: it is gone; next try when a stream begins",
    ),
    (events.ConnectionFailed(tier="e", peer="p", reason="r"), "e: connection from p failed: r"),
    (events.Refused(tier="e", peer="p", reason="full"), "e: refused p: full"),
    (events.Refused(tier="e", peer="p", reason="full", count=5), "e: refused p: full (5 times)"),
    (events.Dropped(tier="e", peer="p", reason="too slow"), "e: dropped p: too slow"),
    (
        events.UpstreamLost(tier="e", upstream="o", reason="refused", retry_in=0.25),
        "e: upstream o: refused; next try in 0.2 s",
    ),
    (events.UpstreamBack(tier="e", upstream="o"), "e: upstream o answers again"),
    (events.UpstreamFound(tier="e", upstream="o", found="has no ids"), "e: upstream o: has no ids"),
    (
        events.CertificateKept(tier="e", address="https://[::]:443", reason="a.pem: no PEM"),
        "e: https://[::]:443 keeps its old certificate: a.pem: no PEM",
    ),
    (events.UpstreamChosen(tier="e", upstream="b", instead_of="a"), "e: upstream b is asked first, while a fails"),
    (
        events.CertificateTaken(tier="e", address="https://[::]:443"),
        "e: https://[::]:443 has taken its new certificate",
    ),
    (
        events.GraphReady(version="1.0", tiers=("a", "b"), seconds=0.21),
        "tierkit 1.0 is ready after 0.2 s: a, b",
    ),
    (events.GraphLeaving(by="SIGTERM"), "told to end by SIGTERM"),
    (events.GraphLeaving(by="SIGTERM", drops=True), "told to end by SIGTERM again: everybody is dropped"),
    (
        events.ProcessEnded(tier="e", reason="was ended by SIGKILL", then="it is started again in 0.1 s"),
        "e: its process was ended by SIGKILL: it is started again in 0.1 s",
    ),
    (
        events.ProcessEnded(tier="e", reason="ended with exit code 3 while it drained"),
        "e: its process ended with exit code 3 while it drained",
    ),
    (events.GraphStopped(seconds=61.2), "everything has stopped, after 61 s"),
    (
        events.Reread(listeners=2),
        "told by SIGHUP to read certificates and open logs again: 2 listeners",
    ),
    (
        events.Reread(listeners=2, kept=1),
        "told by SIGHUP to read certificates and open logs again: 2 listeners, 1 of them keep what they had",
    ),
    (
        events.AccessLogFailed(file="/log/a", reason="No space left on device"),
        "access log /log/a: No space left on device: lines are lost until that is mended",
    ),
    (events.AccessLogBack(file="/log/a", lost=7), "access log /log/a is written again: 7 lines are lost"),
    (
        events.Purged(by="192.0.2.1:5", pattern="/live/*", soft=True, objects=(("e", 3), ("f", None))),
        "192.0.2.1:5 has purged softly /live/*: e 3, f failed",
    ),
    (events.Kicked(by="unix", pattern="/live/s", connections=(("e", 1),)), "unix has kicked /live/s: e 1"),
    (events.AcceptPaused(tier="e", reason="EMFILE", seconds=0.1), "e: accepting pauses 0.1 s: EMFILE"),
    (
        events.LoopBlocked(task="t", seconds=0.25, count=2),
        "the event loop stood still for 250 ms in t (2 such steps): move that work to ctx.run_sync",
    ),
    (events.PluginFailed(plugin="p", reason="r"), "plugin p: r"),
    (
        events.PluginFailed(plugin="p", reason="r", peer="192.0.2.7:5", denied="play /live/s", count=3),
        "plugin p: r; 192.0.2.7:5 may not play /live/s for that (3 times)",
    ),
    (events.Event(), "Event"),
]


@pytest.mark.parametrize(("event", "text"), SAMPLES, ids=lambda value: type(value).__name__)
def test_one_line_for_a_person(event: events.Event, text: str) -> None:
    assert event.text == text
    assert pickle.loads(pickle.dumps(event)) == event


def test_every_event_is_public_and_has_a_sample() -> None:
    kinds = {value for value in vars(_events).values() if isinstance(value, type) and issubclass(value, events.Event)}
    public = {kind for kind in kinds if not kind.__name__.startswith("_")}
    assert {kind.__name__ for kind in public} == set(_events.__all__)
    assert all(getattr(events, kind.__name__) is kind for kind in public)
    assert public == {type(event) for event, _ in SAMPLES}


def test_an_address_is_told_as_the_one_who_tells_it_has_been_told_to() -> None:
    said = events.ViewerJoined(tier="e", peer="192.0.2.77:5000", stream="/live/s")
    assert said.masked(lambda peer: f"<{peer}>").text == "e: viewer <192.0.2.77:5000> plays /live/s"
    plain = events.UpstreamBack(tier="e", upstream="o")
    assert plain.masked(str.upper) is plain


def test_no_event_tells_an_address_but_in_its_own_field() -> None:
    # Whatever stands in the fields for addresses, the text takes it from there.
    for event, _ in SAMPLES:
        if getattr(event, "peer", ""):
            told = event.masked(lambda peer: "SOMEBODY")
            assert "SOMEBODY" in told.text, event
            assert event.peer not in told.text.replace("SOMEBODY", "").split(), event


def test_a_strangers_event_with_a_peer_is_masked_too() -> None:
    @frozen(kw_only=True)
    class Odd(events.Event):
        peer: str
        also: str = field(metadata={"address": True})

    told = Odd(peer="a", also="b").masked(str.upper)
    assert (told.peer, told.also) == ("A", "B")
