"""The history kit: exact figures over time, and what restarts, stops and overflows."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierkit._history_tier import OTHER, PROTOCOLS, STREAMS
from tierkit.history import LEVELS, SERIES_BYTES, TIERS, History

#: A whole minute, so that slots of every level begin there.
START = 1_700_000_040


def tier(
    sent: dict[str, int], *, site: str = "dc-a", uptime: float | None = None, state: str = "running", **more: Any
) -> dict[str, Any]:
    figures = {each: more.pop(each, 0) for each in ("viewers", "chopped", "requests", "hits", "upstream_bytes")}
    told = {
        "role": "edge",
        "site": site,
        "state": state,
        "bytes_in": more.pop("bytes_in", 0),
        "traffic": [{"protocol": name, "scheme": "http", "bytes_out": count} for name, count in sent.items()],
        "figures": figures,
        **more,
    }
    return told if uptime is None else {**told, "uptime": uptime}


def steady(seconds: int, *, rate: int = 1000, begin: int = START) -> History:
    history = History()
    for second in range(seconds):
        history.add(begin + second, {"tiers": {"a": tier({"hls": rate * second}, viewers=second % 10)}})
    return history


def test_counters_become_rates_and_gauges_stay() -> None:
    history = History()
    history.add(START, {"tiers": {"a": tier({"hls": 5000, "flv": 100}, bytes_in=10, requests=10, hits=9, viewers=3)}})
    later = tier({"hls": 6000, "flv": 300}, bytes_in=20, requests=14, hits=12, viewers=4, chopped=1, upstream_bytes=50)
    history.add(START + 1, {"tiers": {"a": later}})
    assert history.as_dict(600) == {
        "from": START,
        "step": 1,
        "points": 2,
        "type": {"hls": [None, 8000], "flv": [None, 1600]},
        "site": {"dc-a": [None, 9600]},
        "process": {"cpu": [None, None], "memory": [None, None]},
        "tiers": {
            "a": {
                "site": "dc-a",
                "role": "edge",
                "state": "running",
                "bits": [None, 9600],
                "bits_in": [None, 80],
                "upstream_bits": [None, 400],
                "viewers": [3, 4],
                "chopped": [0, 1],
                "hit_ratio": [None, 0.75],
                "cpu": [None, None],
                "memory": [None, None],
            }
        },
    }


def test_nothing_yet_is_an_empty_history() -> None:
    found = History().as_dict(60)
    assert (found["points"], found["tiers"], found["type"]) == (0, {}, {})


def test_a_process_of_its_own_has_its_processor_time_and_memory() -> None:
    history = History()
    told = {"uptime": 10.0, "cpu_seconds": 1.0, "resident_bytes": 1000, "memfd_bytes": 200, "socket_bytes": 48}
    for second in range(2):
        process = {**told, "uptime": 10.0 + second, "cpu_seconds": 1.0 + second / 4, "alive": True}
        history.add(
            START + second,
            {"process": {"ready": True}, "processes": {"a": process}, "tiers": {"a": tier({}), "b": tier({})}},
        )
    tiers = history.as_dict(60)["tiers"]
    assert tiers["a"]["cpu"] == [None, 0.25]
    assert tiers["a"]["memory"] == [1248, 1248]
    assert tiers["b"]["cpu"] == [None, None]


def test_what_tiers_of_one_process_share_is_told_of_the_process() -> None:
    history = History()
    for second in range(2):
        process = {"uptime": float(second), "cpu_seconds": second / 2, "resident_bytes": 7}
        history.add(START + second, {"process": process, "tiers": {"a": tier({}), "b": tier({})}})
    found = history.as_dict(60)
    assert found["process"] == {"cpu": [None, 0.5], "memory": [7, 7]}
    assert found["tiers"]["a"]["cpu"] == [None, None]


def test_a_restart_counts_from_nothing() -> None:
    history = History()
    history.add(START, {"tiers": {"a": tier({"hls": 10_000}, uptime=100.0)}})
    history.add(START + 1, {"tiers": {"a": tier({"hls": 12_000}, uptime=101.0)}})
    # More than before and yet new: its uptime says so.
    history.add(START + 2, {"tiers": {"a": tier({"hls": 16_000}, uptime=2.0)}})
    history.add(START + 3, {"tiers": {"a": tier({"hls": 17_000}, uptime=3.0)}})
    assert history.as_dict(60)["tiers"]["a"]["bits"] == [None, 16_000, 64_000, 8_000]


def test_a_counter_that_goes_back_was_set_to_nothing() -> None:
    history = History()
    for second, count in enumerate((10_000, 12_000, 500, 600)):
        history.add(START + second, {"tiers": {"a": tier({"hls": count})}})
    assert history.as_dict(60)["type"]["hls"] == [None, 16_000, 4_000, 800]


def test_a_look_without_news_goes_by_the_last_rate_and_not_for_ever() -> None:
    # What another process tells once a second is found twice now and then, and two seconds' worth after that.
    history = History()
    told = [(0.0, 0), (1.0, 1000), (1.0, 1000), (3.0, 3000)] + [(3.0, 3000)] * 7
    for second, (uptime, count) in enumerate(told):
        history.add(START + second, {"tiers": {"a": tier({"hls": count}, uptime=uptime)}})
    assert history.as_dict(60)["tiers"]["a"]["bits"] == [None, *[8000] * 8, None, None]


def test_a_tier_that_is_down_has_no_viewers_whatever_it_told_last() -> None:
    history = History()
    history.add(START, {"tiers": {"a": tier({}, viewers=7, chopped=2)}})
    history.add(START + 1, {"tiers": {"a": tier({}, viewers=7, chopped=2, state="down")}})
    found = history.as_dict(60)["tiers"]["a"]
    assert (found["viewers"], found["chopped"], found["state"]) == ([7, 0], [2, 0], "down")


def test_a_short_gap_has_the_rate_between_its_ends_and_a_long_one_is_unknown() -> None:
    history = History()
    for second, count in ((0, 0), (1, 1000), (4, 4000), (5, 5000), (15, 15_000)):
        history.add(START + second, {"tiers": {"a": tier({"hls": count})}})
    bits = history.as_dict(60)["tiers"]["a"]["bits"]
    assert bits == [None, 8000, 8000, 8000, 8000, 8000, *[None] * 9, 8000]


def test_the_ten_second_ring_has_means_of_rates_and_the_highest_of_counts() -> None:
    history = steady(700)
    found = history.as_dict(3600)
    assert (found["step"], found["points"], found["from"]) == (10, 69, START)
    assert found["type"]["hls"] == [8000] * 69
    assert found["tiers"]["a"]["viewers"] == [9] * 69


def test_the_finest_ring_that_has_it_all_answers() -> None:
    history = steady(650)
    assert history.as_dict(60)["step"] == 1
    assert history.as_dict(600)["points"] == 600
    assert history.as_dict(601)["step"] == 10
    # 48 hours are asked for, and there are eleven minutes.
    assert history.as_dict(48 * 3600)["step"] == 10


def test_minutes_are_folded_out_of_ten_seconds() -> None:
    history = History()
    for second in range(0, 6 * 3600 + 120, 5):
        history.add(START + second, {"tiers": {"a": tier({"hls": 100 * second})}})
    found = history.as_dict(48 * 3600)
    assert (found["step"], found["from"]) == (60, START)
    assert found["type"]["hls"] == [800] * 361


def test_rings_go_round() -> None:
    history = steady(1500)
    found = history.as_dict(600)
    assert (found["from"], found["points"]) == (START + 900, 600)
    assert set(found["type"]["hls"]) == {8000}


def test_after_a_long_silence_nothing_old_comes_back() -> None:
    history = steady(600)
    history.add(START + 5000, {"tiers": {"a": tier({"hls": 600_000})}})
    found = history.as_dict(600)
    assert found["tiers"]["a"]["viewers"][:-1] == [None] * 599
    assert found["tiers"]["a"]["viewers"][-1] == 0
    tens = history.as_dict(5000)
    assert tens["type"]["hls"][:59] == [8000] * 59
    assert set(tens["type"]["hls"][60:]) == {None}


def test_a_clock_set_back_a_little_is_borne_and_a_lot_begins_anew() -> None:
    history = steady(100)
    history.add(START + 90, {"tiers": {"a": tier({"hls": 100_000})}})
    assert history.as_dict(600)["points"] == 100
    history.add(START - 3600, {"tiers": {"a": tier({"hls": 0})}})
    assert (history.as_dict(600)["points"], history.as_dict(600)["from"]) == (1, START - 3600)


def test_points_are_put_together_and_always_in_the_same_way() -> None:
    history = History()
    for second in range(100):
        history.add(START + second, {"tiers": {"a": tier({"hls": 1000 * second}, viewers=second)}})
    found = history.as_dict(100, points=25)
    assert (found["step"], found["points"], found["from"]) == (4, 25, START)
    assert found["tiers"]["a"]["viewers"] == list(range(3, 100, 4))
    # The last point takes in what there is of it, and nothing that the ring holds from its last round.
    history.add(START + 100, {"tiers": {"a": tier({"hls": 100_000}, viewers=1)}})
    assert history.as_dict(100, points=25)["tiers"]["a"]["viewers"] == [*range(7, 100, 4), 1]


def test_streams_are_told_with_their_tier_alone() -> None:
    history = History()
    for second in range(2):
        streams = [{"name": "live/s", "viewers": 2, "bytes_out": 125 * second}]
        history.add(START + second, {"tiers": {"a": tier({}, streams=streams), "b": tier({})}})
    assert "streams" not in history.as_dict(60)["tiers"]["a"]
    found = history.as_dict(60, tiers=["a"])
    assert found["tiers"].keys() == {"a"}
    assert found["tiers"]["a"]["streams"] == {"live/s": {"bits": [None, 1000], "viewers": [2, 2]}}
    assert history.as_dict(60, tiers=["nobody"])["tiers"] == {}


def test_streams_are_bounded_and_the_one_longest_gone_makes_room() -> None:
    history = History()

    def look(second: int, names: list[str]) -> list[str]:
        streams = [{"name": name, "viewers": 1, "bytes_out": 0} for name in names]
        history.add(START + second, {"tiers": {"a": tier({}, streams=streams)}})
        return list(history.as_dict(60, tiers=["a"])["tiers"]["a"]["streams"])

    names = [f"live/{each}" for each in range(STREAMS + 1)]
    assert look(0, names) == names[:STREAMS]
    assert look(1, names) == names[:STREAMS]
    assert look(2, names[1:]) == names[:STREAMS]
    assert look(3, names[1:]) == names[1:]


def test_tiers_and_protocols_are_bounded() -> None:
    history = History()
    many = {f"p{each}": each for each in range(PROTOCOLS + 3)}
    for _ in range(2):
        history.add(START, {"tiers": {f"t{each}": tier(many) for each in range(TIERS + 5)}})
    found = history.as_dict(60)
    assert len(found["tiers"]) == TIERS
    assert found["type"].keys() == {*(f"p{each}" for each in range(PROTOCOLS)), OTHER}


@pytest.mark.parametrize("told", [{}, {"state": "down"}, {"figures": None, "streams": None, "traffic": []}])
def test_a_tier_that_has_told_nothing_harms_nobody(told: dict[str, Any]) -> None:
    history = History()
    history.add(START, {"process": {"ready": False}, "tiers": {"a": told}})
    found = history.as_dict(60)
    assert (found["tiers"]["a"]["viewers"], found["type"]) == ([0], {})


def test_a_series_takes_what_the_text_says() -> None:
    assert SERIES_BYTES == 22_560
    history = steady(2)
    series = list(history._series())
    assert len(series) == 8 + 1 + 2
    held = sum(sys.getsizeof(ring) for each in series for ring in each._rings)
    assert held < len(series) * (SERIES_BYTES + 400)
    assert LEVELS[0][0] * LEVELS[0][1] == 600
    assert [step * size // 3600 for step, size in LEVELS[1:]] == [6, 48]


looks = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.dictionaries(
            st.sampled_from("abc"),
            st.tuples(st.dictionaries(st.sampled_from(["hls", "rtmp", "flv"]), st.integers(0, 1 << 40)), st.booleans()),
        ),
    ),
    max_size=12,
)


@settings(max_examples=120, deadline=None)
@given(looks, st.integers(1, 800), st.integers(0, 60))
def test_sums_by_type_by_site_and_by_tier_are_one(
    told: list[tuple[int, dict[str, tuple[dict[str, int], bool]]]], seconds: int, points: int
) -> None:
    history, at = History(), START
    for later, tiers in told:
        at += later
        # The second of them is in a site of its own, and one may be told of by bytes alone.
        found = {name: tier(sent, site="xy"[name == "b"]) for name, (sent, _) in tiers.items()}
        for name, (sent, plain) in tiers.items():
            if plain:
                found[name] = {**found[name], "traffic": None, "bytes_out": sum(sent.values())}
        history.add(at, {"tiers": found})
    result = history.as_dict(seconds, points=points)
    json.dumps(result, allow_nan=False)

    def total(series: list[list[int | None]]) -> list[int | None]:
        columns = zip(*series, strict=True) if series else [(None,)] * result["points"]
        return [None if all(x is None for x in each) else sum(x or 0 for x in each) for each in columns]

    by_tier = total([each["bits"] for each in result["tiers"].values()])
    assert total(list(result["type"].values())) == by_tier
    assert total(list(result["site"].values())) == by_tier
    assert all(x is None or x >= 0 for x in by_tier)
    assert len(by_tier) == result["points"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4000), min_size=1, max_size=8))
def test_whatever_the_gaps_coarse_slots_are_folds_of_what_was_known(gaps: list[int]) -> None:
    """A reference that keeps every second: the mean over the seconds known in each slot of ten that is over."""
    history, known, at, count = History(), dict[int, int](), START, 0
    for gap in [0, *gaps]:
        at, before = at + gap, at
        count += 125 * gap
        history.add(at, {"tiers": {"a": tier({"hls": count})}})
        if gap:
            known |= dict.fromkeys(range(before + 1, at + 1) if gap <= 5 else (at,), 1000)
    found = history.as_dict(6 * 3600)
    for number, value in enumerate(found["type"]["hls"]):
        slot = range(found["from"] + number * found["step"], found["from"] + (number + 1) * found["step"])
        expected = 1000 if any(each in known for each in slot) else None
        # What was the finest ring's oldest when a gap ended may have left it unfolded: one slot at most.
        assert value == expected or (value is None and max(gaps) > 590), (number, value)
