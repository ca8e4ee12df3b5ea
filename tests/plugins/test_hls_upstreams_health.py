"""Upstreams that answer badly, say to come back later, or are found down by probes: who is asked, and who is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.core.fakes import FixedSource, Record
from tests.plugins.edge_rig import Rig
from tests.plugins.upstreams_rig import BODY, DATE, Mirror, asker, mirrored
from tierkit._upstream import UpstreamSet
from tierkit.codecs.http1 import Headers
from tierkit.events import UpstreamBack, UpstreamLost
from tierkit.http import ClientResponse, Request, Response
from tierkit.plugin import Address, Candidate, UpstreamError
from tierkit.plugins.hls import HLS
from tierkit.plugins.hls._health import FALL, OUTLIER, RETRY_AFTER_MOST, RISE, Health, retry_after
from tierkit.plugins.hls._probe import PROBE_SECONDS

NOON = 1795435200.0  # DATE


class Fakes:
    """As much of a context as health needs."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.tier = "edge"
        self.candidates = [Candidate(name, FixedSource(["http"])) for name in names]
        self.upstream = UpstreamSet(self.candidates, clock=self.clock, jitter=lambda: 1.0)
        self.events = Record()
        self.emit = self.events
        self.health = Health(self)  # type: ignore[arg-type]

    def clock(self) -> float:
        return self.now

    def order(self, key: str = "/k") -> str:
        return "".join(each.name for each in self.health.order(self.upstream.candidates(["http"], key), key))

    def said(self) -> list[str]:
        return [f"{type(each).__name__[8:]} {each.upstream}" for each in self.events]  # type: ignore[attr-defined]


@pytest.fixture
def fakes() -> Fakes:
    return Fakes("a", "b", "c")


# --- answers that are no good ------------------------------------------------------------------------------


def test_bad_answers_are_a_failure_after_so_many_in_a_row(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(OUTLIER - 1):
        assert not fakes.health.answered_badly(a, "answered 500")
        assert fakes.order() == "abc"
    assert fakes.health.answered_badly(a, "answered 500")
    assert fakes.order() == "bca"
    (lost,) = fakes.events.of(UpstreamLost)
    assert lost.reason == f"answered 500, {OUTLIER} times in a row"


def test_a_good_answer_between_bad_ones_forgives_them(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(10 * OUTLIER):
        for _ in range(OUTLIER - 1):
            fakes.health.answered_badly(a, "answered 500")
        fakes.health.answered(a)
    assert fakes.said() == []


def test_an_outlier_is_told_once_until_it_answers_well(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(3 * OUTLIER):
        fakes.health.answered_badly(a, "answered 500")
        fakes.now += 100
    assert fakes.said() == ["Lost a"]
    fakes.health.answered(a)
    assert fakes.said() == ["Lost a", "Back a"]
    assert fakes.order() == "abc"


def test_a_bad_answer_shows_that_who_could_not_be_reached_is_back(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    fakes.health.failed(a, "refused")
    assert fakes.order() == "bca"
    fakes.health.answered_badly(a, "answered 500")
    assert (fakes.order(), fakes.said()) == ("abc", ["Lost a", "Back a"])


# --- Retry-After -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7),
        ([(b"retry-after", b"0")], 0),
        ([], 0),
        ([(b"retry-after", b"soon")], 0),
        ([(b"retry-after", b"-7")], 0),
        ([(b"retry-after", b"+7")], 0),
        ([(b"retry-after", b"7.5")], 0),
        ([(b"retry-after", b"\xd9\xa7")], 0),
        ([(b"retry-after", b"99999999999999999999")], RETRY_AFTER_MOST),
        ([(b"retry-after", b"Mon, 23 Nov 2026 12:00:07 GMT"), (b"date", DATE)], 7),
        # By its own clock, which is an hour behind ours.
        ([(b"retry-after", b"Mon, 23 Nov 2026 11:00:07 GMT"), (b"date", b"Mon, 23 Nov 2026 11:00:00 GMT")], 7),
        ([(b"retry-after", b"Mon, 23 Nov 2026 12:00:07 GMT")], 7),
        ([(b"retry-after", b"Mon, 23 Nov 2026 11:00:00 GMT"), (b"date", DATE)], 0),
        ([(b"retry-after", b"Tue, 24 Nov 2026 12:00:00 GMT"), (b"date", DATE)], RETRY_AFTER_MOST),
    ],
)
def test_retry_after_in_both_forms_and_within_a_bound(headers: Headers, seconds: float) -> None:
    assert retry_after(headers, NOON) == seconds


@given(st.binary(max_size=40))
def test_retry_after_of_anything_is_a_bounded_number(value: bytes) -> None:
    assert 0 <= retry_after([(b"retry-after", value)], NOON) <= RETRY_AFTER_MOST


@pytest.mark.parametrize(("status", "order"), [(503, "bca"), (429, "bca"), (500, "abc"), (200, "abc")])
def test_who_says_to_come_back_goes_behind_for_that_key_and_that_long(fakes: Fakes, status: int, order: str) -> None:
    fakes.health.come_back(fakes.candidates[0], "/k", status, [(b"retry-after", b"7")], NOON)
    assert fakes.order("/k") == order
    assert fakes.order("/other") == "abc"
    fakes.now = 6.9
    assert fakes.order("/k") == order
    fakes.now = 7.0
    assert fakes.order("/k") == "abc"


async def test_retry_after_keeps_requests_away_from_who_said_it(autojump_clock: MockClock) -> None:
    a, b = Mirror(status=503, fields=[(b"Retry-After", b"10")]), Mirror(status=404)
    async with mirrored(a, b) as rig:
        for second in range(10):
            assert (await rig.get()).status == 404, second
            await trio.sleep(1.2)
        assert 1 <= len(a.asked) <= 2
        assert len(b.asked) > 5
        assert rig.events.of(UpstreamLost) == []


async def test_429_is_passed_over_like_a_5xx_where_somebody_else_may_answer(autojump_clock: MockClock) -> None:
    a, b = Mirror(status=429, fields=[(b"Retry-After", b"10")]), Mirror()
    async with mirrored(a, b) as rig:
        assert (await rig.get()).body == BODY


# --- the last word -----------------------------------------------------------------------------------------------


async def ask_for_an_error(rig: Rig, *, relays_errors: bool) -> int:
    found: list[int] = []

    async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
        found.append(response.status)

    await asker(rig).ask("GET", "/x", "/x", [], take, begun=lambda: bool(found), relays_errors=relays_errors)
    return found[0]


@pytest.mark.parametrize("hedge_after", [0.0, 0.5])
async def test_an_error_is_an_answer_where_nobody_has_a_better_one(
    hedge_after: float, autojump_clock: MockClock
) -> None:
    a, b = Mirror(status=500, delay=1), Mirror(status=503, delay=1)
    async with mirrored(a, b, hedge_after=hedge_after) as rig:
        assert await ask_for_an_error(rig, relays_errors=True) == 503
        with pytest.raises(UpstreamError, match="answered 500"):
            await ask_for_an_error(rig, relays_errors=False)
        b.status = 200
        assert await ask_for_an_error(rig, relays_errors=True) == 200
        assert (len(a.asked), len(b.asked)) == (3, 3)


async def test_an_error_that_is_taken_counts_against_its_upstream(autojump_clock: MockClock) -> None:
    async with mirrored(Mirror(status=500)) as rig:
        for _ in range(OUTLIER):
            assert await ask_for_an_error(rig, relays_errors=True) == 500
        assert len(rig.events.of(UpstreamLost)) == 1


# --- probes, judged --------------------------------------------------------------------------------------------


def test_probes_find_down_after_so_many_and_up_after_so_many(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(FALL - 1):
        fakes.health.probed(a, "no answer")
    assert (fakes.order(), fakes.said()) == ("abc", [])
    fakes.health.probed(a, "no answer")
    assert (fakes.order(), fakes.said()) == ("bca", ["Lost a"])
    fakes.now += 1000  # no rest is that long: it stays behind because probes say so
    assert fakes.order() == "bca"
    for _ in range(RISE - 1):
        fakes.health.probed(a, "")
    assert (fakes.order(), fakes.said()) == ("bca", ["Lost a"])
    fakes.health.probed(a, "")
    assert (fakes.order(), fakes.said()) == ("abc", ["Lost a", "Back a"])


def test_probes_that_fail_now_and_then_change_nothing(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(100):
        fakes.health.probed(a, "no answer")
        fakes.health.probed(a, "no answer")
        fakes.health.probed(a, "")
    assert (fakes.order(), fakes.said()) == ("abc", [])


def test_a_request_that_succeeds_does_not_overrule_probes(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(FALL):
        fakes.health.probed(a, "no answer")
    fakes.health.answered(a)
    fakes.health.answered_badly(a, "answered 500")
    fakes.now += 1000
    assert (fakes.order(), fakes.said()) == ("bca", ["Lost a"])


def test_probes_bring_back_whom_requests_have_lost(fakes: Fakes) -> None:
    a = fakes.candidates[0]
    for _ in range(5):
        fakes.health.probed(a, "")
    fakes.health.failed(a, "broke off")
    fakes.health.probed(a, "")
    assert fakes.said() == ["Lost a"]  # what probes said before it failed does not count
    for _ in range(RISE - 1):
        fakes.health.probed(a, "")
    assert (fakes.order(), fakes.said()) == ("abc", ["Lost a", "Back a"])


def test_all_down_leaves_nobody_out(fakes: Fakes) -> None:
    for candidate in fakes.candidates:
        for _ in range(FALL):
            fakes.health.probed(candidate, "no answer")
    assert sorted(fakes.order()) == ["a", "b", "c"]


said = st.sampled_from(["good", "bad", "failed", "answered", "outlier"])


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2]), said, st.floats(0, 20)), max_size=60))
def test_whatever_happens_nobody_is_left_out_and_each_change_is_told_once(
    story: list[tuple[int, str, float]],
) -> None:
    fakes = Fakes("a", "b", "c")
    for who, what, pause in story:
        candidate = fakes.candidates[who]
        tell: dict[str, Callable[[], object]] = {
            "good": lambda candidate=candidate: fakes.health.probed(candidate, ""),  # type: ignore[misc]
            "bad": lambda candidate=candidate: fakes.health.probed(candidate, "no"),  # type: ignore[misc]
            "failed": lambda candidate=candidate: fakes.health.failed(candidate, "no"),  # type: ignore[misc]
            "answered": lambda candidate=candidate: fakes.health.answered(candidate),  # type: ignore[misc]
            "outlier": lambda candidate=candidate: fakes.health.answered_badly(candidate, "no"),  # type: ignore[misc]
        }
        tell[what]()
        fakes.now += pause
        assert sorted(fakes.order()) == ["a", "b", "c"]
    for candidate in fakes.candidates:
        mine = [line.split()[0] for line in fakes.said() if line.endswith(candidate.name)]
        assert mine == (["Lost", "Back"] * len(mine))[: len(mine)]


# --- probes, asked ---------------------------------------------------------------------------------------------


class Probed:
    """An upstream whose /healthz says what a test wants."""

    def __init__(self, answer: Response | float = Response(200)) -> None:  # noqa: B008
        self.answer = answer
        self.probes: list[float] = []
        self.mirror = Mirror()

    async def __call__(self, request: Request) -> Response:
        if request.path != "/healthz":
            return await self.mirror(request)
        self.probes.append(trio.current_time())
        if isinstance(self.answer, float):
            await trio.sleep(self.answer)
            return Response(200)
        return self.answer


def probed(*upstreams: object, every: float = 5.0, **options: object) -> object:
    return mirrored(*upstreams, health_path="/healthz", health_every=every, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Response(503), "answered 503"),
        (Response(404), "answered 404"),
        (Response(200, [], b"x" * 100_000), "longer than"),
        (PROBE_SECONDS + 1, "no answer within 2 s"),
    ],
)
async def test_who_fails_probes_is_asked_last_before_any_viewer_finds_out(
    answer: Response | float, why: str, autojump_clock: MockClock
) -> None:
    a, b = Probed(answer), Probed()
    async with mirrored(a, b, health_path="/healthz") as rig:
        await trio.sleep(30)
        (lost,) = rig.events.of(UpstreamLost)
        assert lost.upstream == "a"
        assert lost.reason.startswith("probe of /healthz: ")
        assert why in lost.reason
        assert (await rig.get()).body == BODY
        assert (len(a.mirror.asked), len(b.mirror.asked)) == (0, 1)
        a.answer = Response(204)
        await trio.sleep(30)
        assert [event.upstream for event in rig.events.of(UpstreamBack)] == ["a"]
        await rig.get("/live/s/media_2.ts")
        assert len(a.mirror.asked) == 1


async def test_who_does_not_listen_fails_probes(autojump_clock: MockClock) -> None:
    async with mirrored(None, Probed(), health_path="/healthz") as rig:
        await trio.sleep(30)
        (lost,) = rig.events.of(UpstreamLost)
        assert "refuses connections" in lost.reason


async def test_who_is_found_down_is_still_asked_when_nobody_else_answers(autojump_clock: MockClock) -> None:
    a, b = Probed(Response(503)), Mirror(status=500)
    async with mirrored(a, b, health_path="/healthz") as rig:
        await trio.sleep(30)
        assert (await rig.get()).body == BODY


async def test_probes_come_so_often_and_not_all_at_once(autojump_clock: MockClock) -> None:
    upstreams = [Probed() for _ in range(4)]
    async with mirrored(*upstreams, health_path="/healthz", health_every=10):
        await trio.sleep(1000)
    for each in upstreams:
        gaps = [after - before for before, after in zip(each.probes, each.probes[1:], strict=False)]
        assert each.probes[0] <= 10
        assert min(gaps) >= 9
        assert max(gaps) <= 11
    assert len({each.probes[5] for each in upstreams}) == 4


async def test_without_a_path_nobody_is_probed(autojump_clock: MockClock) -> None:
    a = Probed()
    async with mirrored(a):
        await trio.sleep(1000)
    assert a.probes == []


async def test_a_probe_finds_a_stream_by_its_playlist(autojump_clock: MockClock) -> None:
    a = Mirror(body=b"#EXTM3U\n")
    async with mirrored(a, health_path="/live/s/playlist.m3u8") as rig:
        await trio.sleep(30)
        assert {each.path for each in a.asked} == {"/live/s/playlist.m3u8"}
        assert rig.events.of(UpstreamLost) == []


def test_a_path_that_is_none() -> None:
    assert "health_path='healthz' is no path" in "\n".join(HLS(health_path="healthz").problems())
    assert HLS(health_path="/healthz").problems() == []


# --- by object or by folder ---------------------------------------------------------------------------------------

SEGMENTS = [f"/live/s/media_{i}.ts" for i in range(24)]


@pytest.mark.parametrize(("hash_by", "spread"), [("object", 3), ("folder", 1)])
async def test_a_shield_gets_a_stream_spread_or_together(hash_by: str, spread: int, autojump_clock: MockClock) -> None:
    shields = [Mirror(), Mirror(), Mirror()]
    async with mirrored(*shields, policy="hash", hash_by=hash_by) as rig:
        for path in SEGMENTS:
            assert (await rig.get(path)).status == 200
        assert sum(bool(each.asked) for each in shields) == spread
        assert sum(len(each.asked) for each in shields) == len(SEGMENTS)
