"""What requests and passes of the pump cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.plan import MEASURED, Costs
from tierkit.plan._costs import BATCH, MESSAGES, Players, pump_cpu
from tierkit.plugin import FanoutPolicy, pass_delay

RTMP = MEASURED["relay/rtmp"]


def test_requests_go_along_the_curve_and_on_by_the_cost_of_one() -> None:
    costs = Costs(curve=((100.0, 0.02), (300.0, 0.03)), request_cpu=20e-6)
    shares = [costs.requests(rate) for rate in (0, 50, 100, 200, 300, 1300)]
    assert shares == pytest.approx([0, 0.01, 0.02, 0.025, 0.03, 0.05])
    assert Costs(request_cpu=20e-6).requests(1000) == pytest.approx(0.02)


@pytest.mark.parametrize("points", [((0.0, 1.0),), ((2.0, 1.0), (1.0, 2.0)), ((1.0, 2.0), (2.0, 1.0)), ((1.0, -1.0),)])
def test_a_curve_that_does_not_rise_is_none(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Costs(curve=points)


def test_a_cost_below_zero_is_none() -> None:
    with pytest.raises(ValueError, match="gbit_cpu"):
        Costs(gbit_cpu=-1.0)


@pytest.mark.parametrize(
    ("players", "rate", "per_gbit"),
    # The RTMP table of docs/explanation/performance.md, Gbit/s delivered by players; it is what MEASURED is made of.
    [(500, 0.557, 0.0575), (1500, 1.63, 0.0516), (4000, 4.25, 0.0611), (6000, 6.65, 0.0578)],
)
def test_the_measured_relays_come_out_again(players: int, rate: float, per_gbit: float) -> None:
    cpu = pump_cpu([Players(players, rate * 1e9 / players, RTMP)]) + RTMP.base_cpu + RTMP.stream_cpu
    assert cpu / rate == pytest.approx(per_gbit, rel=0.2)


def test_a_bit_is_cheaper_the_more_players_there_are() -> None:
    shares = [pump_cpu([Players(n, 1.1e6, RTMP)]) / n for n in (20, 100, 400, 1000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 5 * shares[-1]


def test_the_pace_is_the_pumps_own() -> None:
    players = Players(2000, 1e6, RTMP)
    cpu = pump_cpu([players])
    # The interval for which this is the cost is what the pump makes of that cost.
    low, high = 0.001, BATCH
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pass_delay(players.sends_cpu(middle), BATCH) > middle else (low, middle)
    assert cpu == pytest.approx((players.sends_cpu(low) + RTMP.pass_cpu) / low, rel=1e-3)
    assert FanoutPolicy().max_delay == BATCH


def test_one_player_is_sent_each_message_and_no_more() -> None:
    costs = Costs(send_cpu=1e-5)
    assert pump_cpu([Players(1, 1e6, costs)]) == pytest.approx(MESSAGES * 1e-5)
    assert pump_cpu([]) == 0


@given(st.integers(1, 100_000), st.floats(1e4, 1e8))
def test_more_players_never_cost_less(count: int, rate: float) -> None:
    dear = Costs(send_cpu=1e-5, gbit_cpu=0.1)
    assert pump_cpu([Players(count + 1, rate, dear)]) >= 0.97 * pump_cpu([Players(count, rate, dear)])
