"""Events as log lines: one each, floods counted, nothing from the network able to write a line of its own."""

from __future__ import annotations

import io
import json
import sys

import pytest
from attrs import frozen

from tierkit import Address, TierkitError, log_observer
from tierkit.events import (
    Event,
    PluginFailed,
    Purged,
    Refused,
    StreamStarted,
    TierFailed,
    TierStarted,
    UpstreamLost,
    ViewerJoined,
)


class Log:
    """A log into memory on a clock that is moved by hand."""

    def __init__(self, format: str = "text", addresses: str = "full") -> None:
        self.now = 100.0
        self.out = io.StringIO()
        self.tell = log_observer(format, self.out, addresses=addresses, clock=lambda: self.now)

    @property
    def lines(self) -> list[str]:
        """What stands in it, without the times of the day."""
        return [line.partition(" ")[2] for line in self.out.getvalue().splitlines()]

    @property
    def objects(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


def refused(n: int, tier: str = "e") -> Refused:
    return Refused(tier=tier, peer=f"192.0.2.{n}", reason="too many")


def test_a_line_has_time_level_and_text() -> None:
    log = Log()
    log.tell(TierStarted(tier="e", addresses=(Address.parse("http://127.0.0.1:80"),)))
    (line,) = log.out.getvalue().splitlines()
    time, level, text = line.split(maxsplit=2)
    assert (level, text) == ("info", "e is ready on http://127.0.0.1:80")
    assert time.endswith("Z")
    assert "T" in time


def test_levels() -> None:
    log = Log()
    log.tell(UpstreamLost(tier="e", upstream="o", reason="down"))
    log.tell(TierFailed(tier="e", reason="broken"))
    log.tell(PluginFailed(plugin="p", reason="broken"))
    assert [line.split()[0] for line in log.lines] == ["warning", "error", "error"]


def test_json_has_the_fields_and_no_credentials() -> None:
    log = Log("json")
    log.tell(TierStarted(tier="e", addresses=(Address.parse("rtmp://user:secret@127.0.0.1:1?token=secret"),)))
    (found,) = log.objects
    assert found.pop("time")
    assert found == {
        "event": "TierStarted",
        "level": "info",
        "tier": "e",
        "addresses": ["rtmp://***@127.0.0.1:1?***"],
        "text": "e is ready on rtmp://***@127.0.0.1:1?***",
    }


def test_a_flood_is_a_line_a_second_with_its_count() -> None:
    log = Log()
    for n in range(10):
        log.tell(refused(n))
        log.now += 0.05
    assert log.lines == ["warning e: refused 192.0.2.0: too many"]
    log.now += 1
    log.tell(refused(11))
    assert log.lines[1:] == ["warning e: refused 192.0.2.9: too many (9 times)"]
    log.now += 1
    log.tell(ViewerJoined(tier="e", peer="192.0.2.1", stream="live/s"))
    assert log.lines[2:] == ["warning e: refused 192.0.2.11: too many", "info    e: viewer 192.0.2.1 plays live/s"]


def test_a_count_is_told_once_and_silence_follows() -> None:
    log = Log()
    log.tell(refused(1))
    log.tell(refused(2))
    for _ in range(4):
        log.now += 2
        log.tell(TierFailed(tier="x", reason=f"at {log.now}"))
    assert len([line for line in log.lines if "refused" in line]) == 2


def test_what_differs_is_told_apart() -> None:
    log = Log()
    log.tell(refused(1))
    log.tell(refused(1, tier="f"))
    log.tell(Refused(tier="e", peer="192.0.2.1", reason="draining"))
    log.tell(UpstreamLost(tier="e", upstream="a", reason="down"))
    log.tell(UpstreamLost(tier="e", upstream="b", reason="down"))
    log.tell(StreamStarted(tier="e", stream="live/a"))
    log.tell(StreamStarted(tier="e", stream="live/b"))
    assert len(log.lines) == 7


def test_flush_tells_what_was_held_back() -> None:
    log = Log("json")
    for n in range(3):
        log.tell(refused(n))
    log.tell.flush()
    log.tell.flush()
    assert [each.get("times") for each in log.objects] == [None, 2]


def test_memory_is_bounded_and_nothing_is_lost() -> None:
    log = Log("json")
    for n in range(5000):
        log.tell(Refused(tier="e", peer="p", reason=f"reason {n}"))
        log.tell(Refused(tier="e", peer="p", reason=f"reason {n}"))
    assert len(log.tell._repeats) <= 1024
    log.tell.flush()
    assert sum(int(str(each.get("times", 1))) for each in log.objects) == 10_000


def test_a_stranger_cannot_write_lines() -> None:
    log = Log()
    log.tell(Refused(tier="e", peer="p", reason="x\n2026 error   all is lost\x1b[2J\u2028"))
    assert log.out.getvalue().count("\n") == 1
    assert "\\n2026 error" in log.out.getvalue()
    assert "\x1b" not in log.out.getvalue()
    log = Log("json")
    log.tell(Refused(tier="e", peer="p", reason="x\ny\x1b"))
    assert log.out.getvalue().count("\n") == 1
    assert "\x1b" not in log.out.getvalue()


def test_an_event_of_a_plugin() -> None:
    @frozen(kw_only=True)
    class Odd(Event):
        time: int = 3
        what: object = (1, ("two", None))

    log = Log("json")
    log.tell(Odd(tier="e"))
    (found,) = log.objects
    assert found["what"] == [1, ["two", None]]
    assert found["time"] != 3
    assert found["level"] == "info"


def test_an_unknown_format() -> None:
    with pytest.raises(TierkitError, match=r"log format 'xml' is unknown: choose text or json"):
        log_observer("xml")


def test_without_structlog_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(TierkitError, match=r"pip install 'tierkit\[log\]'"):
        log_observer()


def test_addresses_are_truncated_unless_something_else_is_said() -> None:
    said = Refused(tier="e", peer="192.0.2.77:4711", reason="too many")
    for how, told in (("full", "192.0.2.77:4711"), ("truncated", "192.0.2.0"), ("none", "-")):
        log = Log(addresses=how)
        log.tell(said)
        assert log.lines == [f"warning e: refused {told}: too many"]
        log = Log("json", addresses=how)
        log.tell(said)
        (found,) = log.objects
        assert (found["peer"], found["text"]) == (told, f"e: refused {told}: too many")
    out = io.StringIO()
    log_observer("text", out)(said)
    assert "192.0.2.0" in out.getvalue()
    assert "4711" not in out.getvalue()


def test_where_a_stream_comes_from_is_an_address_only_where_a_publisher_has_brought_it() -> None:
    log = Log(addresses="truncated")
    log.tell(StreamStarted(tier="e", stream="/live/s", origin="192.0.2.77:4711"))
    log.tell(StreamStarted(tier="e", stream="/live/t", origin="wowza-1"))
    assert log.lines == ["info    e: /live/s is on air from 192.0.2.0", "info    e: /live/t is on air from wowza-1"]


def test_another_way_to_tell_addresses() -> None:
    with pytest.raises(TierkitError, match=r"addresses 'half' cannot be told so: choose full, truncated, none"):
        log_observer(addresses="half")


def test_a_tiers_lines_in_json_have_its_site() -> None:
    out = io.StringIO()
    tell = log_observer("json", out, sites={"e": "dc-a", "f": ""})
    tell(UpstreamLost(tier="e", upstream="o", reason="down"))
    tell(UpstreamLost(tier="f", upstream="o", reason="down"))
    tell(PluginFailed(plugin="p", reason="broken"))
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(each["tier"], each.get("site")) for each in found] == [("e", "dc-a"), ("f", None), ("", None)]


def test_what_operators_do_is_told_each_time() -> None:
    log = Log()
    for pattern in ("/live/a/*", "/live/b/*"):
        log.tell(Purged(by="unix", pattern=pattern, objects=(("e", 1),)))
    assert log.lines == ["info    unix has purged /live/a/*: e 1", "info    unix has purged /live/b/*: e 1"]
