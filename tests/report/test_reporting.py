"""Where reports come from: a control address, Prometheus, a file; all in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trio
from trio.testing import MockClock

from tests.cli.support import tierkit_
from tests.support_http import open_door, open_server
from tierkit import Report, TierkitError, report
from tierkit.errors import AddressError
from tierkit.http import Request, Response, text_response
from tierkit.plugin import Connection
from tierkit.reporting import Asker, from_file, from_history, from_prometheus, from_server
from tierkit.reporting._prometheus import QUERIES
from tierkit.testing import MemoryNetwork

from .nights import history

AT = "http://127.0.0.1:9000"
#: Of the fake Prometheus: four points, 15 s apart.
START, END = 1000.0, 1045.0


@asynccontextmanager
async def answering(answer: Callable[[Request], Response]) -> AsyncIterator[MemoryNetwork]:
    network = MemoryNetwork()

    async def handler(request: Request) -> Response:
        return answer(request)

    async with open_server(network, handler, AT):
        yield network


def json_response(value: object, status: int = 200) -> Response:
    return Response(status, [(b"Content-Type", b"application/json")], json.dumps(value).encode())


class Prometheus:
    """Answers range queries with series that it is given, by the figure that they are of."""

    def __init__(self, **series: list[tuple[dict[str, str], list[float]]]) -> None:
        self.series = series
        self.asked: list[dict[str, str]] = []

    def answer(self, request: Request) -> Response:
        if request.path != "/api/v1/query_range":
            return text_response(404, "404 page not found")
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        self.asked.append(asked)
        figure = list(QUERIES)[len(self.asked) - 1]
        result = [
            {"metric": labels, "values": [[START + 15 * n, str(value)] for n, value in enumerate(values)]}
            for labels, values in self.series.get(figure, [])
        ]
        return json_response({"status": "success", "data": {"resultType": "matrix", "result": result}})


def two_tiers() -> Prometheus:
    """An edge in a process that names no tier, a relay in one of `--processes tier`."""
    one = {"process": "", "instance": "one:9000"}
    edge, relay = {"tier": "edge", "site": "dc-a"}, {"tier": "relay", "site": "dc-b"}
    return Prometheus(
        role=[
            ({**edge, "role": "edge", "instance": "one:9000"}, [1] * 4),
            ({**relay, "role": "relay", "instance": "two:9000"}, [1] * 4),
        ],
        bits=[
            ({**edge, "protocol": "hls"}, [1e6, 2e6, 3e6, 4e6]),
            ({**edge, "protocol": "flv"}, [1e6, 1e6, 1e6, 1e6]),
            ({**relay, "protocol": "rtmp"}, [5e6, 5e6, 5e6]),  # it was started again, and the last is missing
        ],
        viewers=[({"tier": "edge"}, [10, 20, 30, 40]), ({"tier": "relay"}, [5, 5, 5])],
        hit_ratio=[({"tier": "edge"}, [0.5, 0.9, 0.99, float("nan")])],
        cpu=[
            (one, [0.1] * 4),
            ({"process": "relay", "instance": "two:9000"}, [0.2] * 4),
        ],
        memory=[
            (one, [9e7] * 4),
            ({"process": "", "instance": "three"}, [1e9] * 4),
        ],
    )


async def ask_prometheus(server: Prometheus, **more: Any) -> Report:
    async with answering(server.answer) as network:
        return await from_prometheus(AT, START, END, network=network, **more)


async def test_prometheus_makes_the_history_that_the_console_makes(autojump_clock: MockClock) -> None:
    server = two_tiers()
    found = await ask_prometheus(server, title="Sitting")
    assert found.title == "Sitting"
    assert (found.began, found.step, found.points) == (START, 15.0, 4)
    assert {each.name: each.values for each in found.by_type} == {
        "hls": (1e6, 2e6, 3e6, 4e6),
        "flv": (1e6, 1e6, 1e6, 1e6),
        "rtmp": (5e6, 5e6, 5e6, None),
    }
    assert {each.name: each.values for each in found.by_site} == {
        "dc-a": (2e6, 3e6, 4e6, 5e6),
        "dc-b": (5e6, 5e6, 5e6, None),
    }
    edge, relay = found.tiers
    assert (edge.name, edge.role, edge.site) == ("edge", "edge", "dc-a")
    assert edge.bits.values == (2e6, 3e6, 4e6, 5e6)
    assert edge.hit_ratio.values == (0.5, 0.9, 0.99, None)
    # A process that names no tier is that of the only one of its instance; one of somebody else is nobody's.
    assert edge.memory.peak == 9e7
    assert (edge.cpu.values, relay.cpu.values) == ((0.1,) * 4, (0.2,) * 4)
    assert relay.memory.values == (None,) * 4
    assert found.audience.values == (15, 25, 35, 40)
    json.dumps(found.as_dict(), allow_nan=False)


async def test_what_prometheus_is_asked(autojump_clock: MockClock) -> None:
    server = two_tiers()
    await ask_prometheus(server, selector='job="live"')
    assert [each["step"] for each in server.asked] == ["15.0"] * len(QUERIES)
    bits = server.asked[list(QUERIES).index("bits")]
    assert bits["query"] == '8 * sum by (tier, site, protocol) (rate(tierkit_sent_bytes_total{job="live"}[60s]))'
    assert (bits["start"], bits["end"]) == ("1000.0", "1045.0")
    assert all(each["query"].count('{job="live"}') >= 1 for each in server.asked)
    assert all("SEL" not in each["query"] and "WIN" not in each["query"] for each in server.asked)


async def test_a_step_is_the_window_where_it_is_longer(autojump_clock: MockClock) -> None:
    server = two_tiers()
    async with answering(server.answer) as network:
        await from_prometheus(AT, START, START + 900, 300.0, network=network)
    assert "[300s]" in server.asked[1]["query"]


async def test_prometheus_that_knows_no_tier(autojump_clock: MockClock) -> None:
    async with answering(Prometheus().answer) as network:
        with pytest.raises(TierkitError, match='has seen no tier with job="x" in that time'):
            await from_prometheus(AT, START, END, selector='job="x"', network=network)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "success"},
        {"data": {"result": 3}},
        {"data": {"result": [{"metric": {}, "values": [["x", "1"]]}]}},
        {"data": {"result": [{"metric": [], "values": [[1000, "1"]]}]}},
        {"data": {"result": [{"metric": {}, "values": [[1e400, "1"]]}]}},
    ],
)
async def test_what_is_no_prometheus(autojump_clock: MockClock, answer: dict[str, Any]) -> None:
    async with answering(lambda request: json_response(answer)) as network:
        with pytest.raises(TierkitError, match="Prometheus answers what is no range of values"):
            await from_prometheus(AT, START, END, network=network)


@pytest.mark.parametrize(("start", "end", "step"), [(2.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 12_000.0, 1.0)])
async def test_a_range_that_is_none(autojump_clock: MockClock, start: float, end: float, step: float) -> None:
    with pytest.raises(TierkitError, match="is no range for Prometheus"):
        await from_prometheus(AT, start, end, step, network=MemoryNetwork())


async def test_a_query_that_fails_is_told_in_prometheus_own_words(autojump_clock: MockClock) -> None:
    wrong = json_response({"status": "error", "error": "parse error:\nunexpected }"}, 400)
    async with answering(lambda request: wrong) as network:
        with pytest.raises(TierkitError, match=r"answers 400 for /api/v1/query_range.*parse error: unexpected }"):
            await from_prometheus(AT, START, END, selector="}", network=network)


async def test_a_control_address_is_asked_for_its_history(autojump_clock: MockClock) -> None:
    asked = []

    def answer(request: Request) -> Response:
        asked.append(f"{request.path}?{request.query}")
        return json_response(history())

    async with answering(answer) as network:
        found = await from_history("127.0.0.1:9000", seconds=7200, network=network, peak_over=30.0)
        await from_history(AT, seconds=1e9, network=network)
        await from_history(AT, seconds=0.2, network=network)
    # No more than a console has, and no less than it takes for a number.
    assert asked == [f"/history?seconds={each}" for each in (7200, 172800, 1)]
    assert found == report(history(), peak_over=30.0)


async def test_either_kind_of_server(autojump_clock: MockClock) -> None:
    server = two_tiers()
    async with answering(server.answer) as network:
        assert (await from_server(AT, START, END, network=network)).points == 4
    async with answering(lambda request: json_response(history())) as network:
        assert (await from_server(AT, START, END, network=network)).points == 10
    async with answering(lambda request: text_response(404, "nothing is here")) as network:
        with pytest.raises(TierkitError, match="has neither /history nor /api/v1/query_range"):
            await from_server(AT, START, END, network=network)


async def test_a_server_that_is_none(autojump_clock: MockClock) -> None:
    with pytest.raises(TierkitError, match=r"http://127.0.0.1:9000: .*: does it run there\?"):
        await from_history(AT, network=MemoryNetwork())
    async with answering(lambda request: text_response(200, "hello")) as network:
        with pytest.raises(TierkitError, match="answers 200 for /history, and no figures"):
            await from_history(AT, network=network)


async def test_a_server_that_hangs(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()

    async def silent(connection: Connection) -> None:
        await trio.sleep(3600)

    async with open_door(network, AT, silent):
        with pytest.raises(TierkitError, match=r"127.0.0.1:9000"):
            await from_history(AT, network=network)
    assert trio.current_time() < 100


def test_what_cannot_be_asked() -> None:
    with pytest.raises(AddressError, match="cannot be asked"):
        Asker("rtmp://127.0.0.1/live")


def test_files(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(history()))
    assert from_file(saved).title == "A night"
    saved.write_text(json.dumps(report(history(), title="Sitting").as_dict()))
    assert from_file(saved).title == "Sitting"
    for text, said in (("[]", "no JSON object"), ("{", "no JSON:"), ("{}", "'step' is no number")):
        saved.write_text(text)
        with pytest.raises(TierkitError, match=f"saved.json.*{said}"):
            from_file(saved)
    with pytest.raises(TierkitError, match="cannot be read: No such file"):
        from_file(tmp_path / "absent.json")


def test_the_command_writes_what_it_is_told_to(tmp_path: Path) -> None:
    saved, out = tmp_path / "saved.json", tmp_path / "night.html"
    saved.write_text(json.dumps(history()))
    done = tierkit_("report", saved)
    assert done.code == 0
    assert done.out[0] == "A night"
    done = tierkit_("report", saved, "--out", out, "--json", "--title", "Sitting")
    assert (done.code, done.out, done.err) == (0, [], [])
    assert "<h1>Sitting</h1>" in out.read_text()
    assert tierkit_("report", tmp_path / "night.json", "--text").out[0] == "Sitting"


def test_the_command_tells_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    done = tierkit_("report", tmp_path / "absent.json")
    assert (done.code, len(done.err)) == (1, 1)
    done = tierkit_("report", "127.0.0.1:9", "--last", "10s")
    assert (done.code, len(done.err)) == (1, 1)
    done = tierkit_("report", "x.json", "--png")
    assert done.code == 2
    assert "give --out FILE" in done.err[0]
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(history()))
    done = tierkit_("report", saved, "--out", tmp_path / "no" / "night.html")
    assert done.code == 1
    assert "cannot be written" in done.err[0]
    assert tierkit_("report", "127.0.0.1:9", "--end", "yesterday").code == 2
