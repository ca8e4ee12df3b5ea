"""From statistics to rates, and from rates to costs."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tierkit.plan import Costs
from tierkit.plan._costs import Players, pump_cpu
from tierkit.plan._fitting import origin_costs, request_costs, stream_costs
from tierkit.plan._samples import Rates, Sample, rates


def told(second: float, **pump: float) -> dict[str, Any]:
    services = (
        {"rtmp": {"pump": {"passes": 10 * second, "sends": 1000 * second, "cost": 0.02 * second}}} if pump else {}
    )
    return {
        "processes": {
            "t": {
                "uptime": second, "cpu_seconds": 0.1 * second,
                "resident_bytes": 5, "memfd_bytes": 6, "socket_bytes": 7,
            }
        },
        "tiers": {
            "t": {
                "bytes_out": 1000 * second, "bytes_in": 10 * second, "services": services,
                "figures": {"requests": 50 * second, "viewers": 9, "upstream_connections": 2},
            }
        },
    }  # fmt: skip


def samples(*seconds: float, **pump: float) -> list[Sample]:
    found = [Sample.of(told(second, **pump), "t") for second in seconds]
    return [each for each in found if each is not None]


def test_rates_are_of_the_second_and_levels_are_as_they_are() -> None:
    found = rates(samples(1.0, 2.0, 3.1, 4.0, pump=1))
    assert found.cpu == pytest.approx(0.1)
    assert (found.bits_out, found.bits_in, found.requests) == pytest.approx((8000, 80, 50))
    assert (found.passes, found.sends, found.pump) == pytest.approx((10, 1000, 0.02))
    assert (found.viewers, found.resident, found.memfds, found.sockets, found.upstream_connections) == (9, 5, 6, 7, 2)


def test_a_window_that_others_have_spoilt_does_no_harm() -> None:
    good = samples(*range(1, 12))
    spoilt = [evolve(each, cpu=each.cpu + (1.0 if each.uptime >= 6 else 0.0)) for each in good]
    assert rates(spoilt).cpu == pytest.approx(0.1)


def test_a_look_that_tells_nothing_new_counts_once() -> None:
    assert rates(samples(1, 1, 1, 3, 3)) == rates(samples(1, 3))


def test_too_little_is_an_error_and_a_tier_that_has_told_nothing_no_sample() -> None:
    with pytest.raises(ValueError, match="less than 2 s"):
        rates(samples(1, 2))
    assert Sample.of({"processes": {"t": {"pid": 1}}, "tiers": {"t": {"state": "starting"}}}, "t") is None


IDLE = Rates(cpu=0.002, resident=50e6)


def at_edge(viewers: float, bitrate: float, costs: Costs) -> Rates:
    requests, bits = viewers, viewers * bitrate
    return Rates(
        viewers=viewers,
        cpu=costs.base_cpu + costs.stream_cpu + costs.requests(requests) + bits / 1e9 * costs.gbit_cpu,
        requests=requests,
        bits_out=bits,
        resident=costs.base_bytes + viewers * costs.viewer_bytes,
        sockets=viewers * costs.socket_bytes,
    )


TRUE = Costs(
    base_cpu=0.002, stream_cpu=0.004, gbit_cpu=0.05, curve=((20.0, 0.003), (200.0, 0.03), (800.0, 0.06)),
    request_cpu=5e-5, base_bytes=50e6, viewer_bytes=8000, socket_bytes=100,
)  # fmt: skip


def test_what_an_edge_costs_is_found_again() -> None:
    sizes = [at_edge(viewers, 5e5, TRUE) for viewers in (20, 200, 800)]
    found = request_costs("edge/http", IDLE, sizes, at_edge(200, 2e6, TRUE))
    for name in ("base_cpu", "stream_cpu", "gbit_cpu", "request_cpu", "base_bytes", "viewer_bytes", "socket_bytes"):
        assert getattr(found, name) == pytest.approx(getattr(TRUE, name)), name
    assert [cost for _, cost in found.curve] == pytest.approx([cost for _, cost in TRUE.curve])


def test_no_bit_is_free_because_of_noise() -> None:
    sizes = [at_edge(viewers, 5e5, TRUE) for viewers in (20, 200)]
    found = request_costs("edge/http", IDLE, sizes, evolve(at_edge(200, 2e6, TRUE), cpu=0.01))
    assert found.gbit_cpu > 0
    assert found.curve[-1][1] >= found.curve[0][1]


def test_what_a_relay_costs_is_found_again() -> None:
    true = Costs(base_cpu=0.002, stream_cpu=0.005, pass_cpu=5e-4, send_cpu=1e-5, gbit_cpu=0.02, base_bytes=50e6)

    def at(viewers: float, bitrate: float, passes: float) -> Rates:
        sends, bits = viewers * passes, viewers * bitrate
        pump = sends * 1e-5 + bits / 1e9 * 0.02
        cpu = 0.002 + 0.005 + pump + passes * 5e-4
        ring = 1.5 * 2.0 * bitrate / 8
        return Rates(
            viewers=viewers, cpu=cpu, pump=pump, bits_out=bits, passes=passes, sends=sends,
            resident=50e6 + ring + 9000 * viewers,
        )  # fmt: skip

    sizes = [at(20, 5e5, 60), at(200, 5e5, 14), at(800, 5e5, 3.4)]
    found = stream_costs("relay/rtmp", IDLE, sizes, at(200, 2e6, 12), 2.0)
    for name in ("base_cpu", "stream_cpu", "pass_cpu", "send_cpu", "gbit_cpu", "base_bytes"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), rel=1e-6), name
    assert found.viewer_bytes == pytest.approx(9000)
    assert pump_cpu([Players(1000, 1e6, found)]) == pytest.approx(pump_cpu([Players(1000, 1e6, true)]))


def test_what_an_origin_costs_goes_by_its_streams() -> None:
    found = origin_costs(IDLE, Rates(cpu=0.042, resident=58e6), 2, 5e6)
    assert (found.base_cpu, found.stream_cpu, found.base_bytes) == pytest.approx((0.002, 0.02, 53e6))
