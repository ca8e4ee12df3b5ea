"""What the benchmark reads of others: wrk, ss, heads, TLS records; and how it writes its table."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _figures, _http, _load, _origin, _procs, _rtmp
from benchmarks._compare import Comparison, arguments, write_between
from benchmarks._figures import Figure, Goal, Results, Row
from benchmarks._load_tls import ADDED, Records
from benchmarks._procs import Void


def told(**changes: int) -> str:
    known = {"requests": 100, "microseconds": 1_000_000, "bytes": 5, "errors": 0, "p99": 2000}
    return "Running 1s test\n  100 requests\n" + json.dumps(known | changes) + "\n"


def test_wrk_tells_its_numbers_in_its_last_line() -> None:
    assert _load.parse_wrk(told())["requests"] == 100


@pytest.mark.parametrize("changes", [{"errors": 1}, {"requests": 0}])
def test_failed_requests_void_a_figure(changes: dict[str, int]) -> None:
    with pytest.raises(Void, match="no figure comes of that"):
        _load.parse_wrk(told(**changes))


def test_a_head_tells_its_own_length_and_the_bodys() -> None:
    head = b"HTTP/1.1 200 OK\r\nx: 1\r\nContent-LENGTH: 750000\r\n\r\n"
    assert _load.parse_head(head + b"body") == (len(head), 750_000)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_only_whole_200s_of_known_length_are_measured(data: bytes) -> None:
    with pytest.raises(Void, match="not an answer to measure"):
        _load.parse_head(data)


def test_kernel_memory_is_what_is_held_and_not_what_might_be() -> None:
    skmem = "r1,rb131072,t0,tb2626560,f20,w300,o4000,bl50000,d7) cubic"
    assert _procs.skmem_bytes(skmem) == 54_321


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.data())
def test_records_are_counted_however_they_are_cut(sizes: list[int], data: st.DataObject) -> None:
    stream = b"".join(b"\x17\x03\x03" + (n + ADDED).to_bytes(2, "big") + bytes(n + ADDED) for n in sizes)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    records = Records()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        records.feed(memoryview(stream[start:end]))
    assert (records.plain, records.whole) == (sum(sizes), True)


def test_records_know_that_one_is_under_way() -> None:
    records = Records()
    records.feed(memoryview(b"\x17\x03\x03\x00\x20abc"))
    assert not records.whole


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.0, "1"), (0.3456, "0.346"), (43.77, "43.8"), (6128.0, "6,130"), (119_950, "120,000")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert _figures.number(value) == text


def test_the_table_has_medians_shares_goals_and_verdicts() -> None:
    figure = Figure("rate", "what", (Goal(1.5, "nginx"), Goal(500)), of_busy=True)
    row = Row("row", lambda _peer, _bench: {}, (figure,))
    results = Results()
    for rate in (100.0, 300.0, 200.0):
        results.add(row, "tierkit", {"rate": rate, "share": 0.3, "busy": 0.9})
        results.add(row, "nginx", {"rate": rate / 2, "share": 0.4, "busy": 0.4})
    text = _figures.table(results, [row], ("tierkit", "nginx", "varnish"))
    assert text.splitlines()[-1] == (
        "| what | 200 (30%: core shared) | 100 (40%: idle) |  | ≥ 1.5 times nginx; ≥ 500 | 2.00: met; **not met** |"
    )


def test_one_run_that_failed_voids_a_figure_and_no_other() -> None:
    row = Row("row", lambda _peer, _bench: {}, (Figure("rate", "what", (Goal(1.5, "nginx"),)),))
    results = Results()
    results.add(row, "tierkit", {"rate": 2.0})
    results.add(row, "nginx", {"rate": 1.0})
    results.void(row, "nginx", "the server broke off")
    assert _figures.table(results, [row], ("tierkit", "nginx")).splitlines()[-1] == (
        "| what | 2 | void | ≥ 1.5 times nginx |  |"
    )


COMPARISONS = (_http.COMPARISON, _rtmp.COMPARISON)


@pytest.mark.parametrize("what", COMPARISONS, ids=lambda what: what.name)
def test_every_row_has_a_key_of_its_own_and_every_figure_too(what: Comparison) -> None:
    rows = [row for several in what.rows.values() for row in several]
    assert len({row.key for row in rows}) == len(rows)
    for row in rows:
        assert len({figure.key for figure in row.figures}) == len(row.figures)


@pytest.mark.parametrize("what", COMPARISONS, ids=lambda what: what.name)
def test_a_row_asks_none_but_the_servers_that_are_compared(what: Comparison) -> None:
    rows = [row for several in what.rows.values() for row in several]
    assert {peer for row in rows for peer in row.peers} == set(what.peers)
    goals = [(row, goal) for row in rows for figure in row.figures for goal in figure.goals]
    assert all(goal.peer in ("", *row.peers) for row, goal in goals)


def test_unknown_rows_and_servers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(_http.COMPARISON, "", ["--rows", "1,77"])
    assert "there is no '77'" in capsys.readouterr().err


def test_a_table_goes_between_its_marks_and_nowhere_else() -> None:
    page = "a\n<!-- http.py: begin -->\nold\n<!-- http.py: end -->\nb\n"
    assert write_between(page, "new", "http.py") == "a\n<!-- http.py: begin -->\nnew\n<!-- http.py: end -->\nb\n"
    with pytest.raises(SystemExit, match="begin"):
        write_between("no marks", "new", "http.py")


def test_the_origins_objects_are_as_long_as_they_say() -> None:
    for plan in _origin.objects().values():
        whole = b"".join(data for _, data in plan)
        head, _, body = whole.partition(b"\r\n\r\n")
        if b"chunked" in head:
            assert body.count(b"\r\n") >= 2 * _origin.PIECES
            assert body.endswith(b"0\r\n\r\n")
            assert sum(delay for delay, _ in plan) == pytest.approx(_origin.EMISSION)
        else:
            assert _load.parse_head(whole) == (len(head) + 4, len(body))


def test_the_playlist_has_half_a_kilobyte_and_ends_where_it_should() -> None:
    assert 470 <= len(_origin.playlist(live=False)) <= 530
    assert b"ENDLIST" not in _origin.playlist(live=True)
