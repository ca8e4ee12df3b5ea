"""Samples in one of the two formats that scrapers read, by prometheus-client.

A family at a time, with a checkpoint behind each: with many streams the whole would hold the event loop up for longer
than viewers should wait for a scraper.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import trio
from attrs import frozen
from prometheus_client import exposition
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics

from ._collect import Samples
from ._table import TABLE, Metric

__all__ = ["exposed", "takes_gzip"]

#: The fastest level: a scrape shrinks to a twelfth by it, and by the dearest one to a fifteenth.
_LEVEL: Final = 1
#: A gzip header, of the largest window (zlib.h).
_GZIP: Final = 16 + zlib.MAX_WBITS
_END: Final = b"# EOF\n"


class _Encode(Protocol):
    def __call__(self, registry: Any) -> bytes: ...


@frozen
class _Format:
    encode: _Encode
    content_type: str
    end: bytes = b""


_TEXT: Final = _Format(exposition.generate_latest, "text/plain; version=0.0.4; charset=utf-8")
_OPENMETRICS: Final = _Format(
    openmetrics.generate_latest, "application/openmetrics-text; version=1.0.0; charset=utf-8", _END
)


async def exposed(samples: Samples, *, accept: str, gzip: bool) -> tuple[bytes, str]:
    """The samples as bytes, and their media type.

    Args:
        accept: the request's Accept; whoever does not ask for OpenMetrics gets the older text format.
        gzip: compress it.
    """
    form = _chosen(accept)
    squeeze: Callable[[bytes], bytes] = bytes
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    if gzip:
        squeeze = packer.compress
    parts = []
    for metric in TABLE:
        if values := samples.get(metric.name):
            parts.append(squeeze(form.encode(_One(_family(metric, values))).removesuffix(_END)))
            await trio.lowlevel.checkpoint()
    parts.append(squeeze(form.end))
    if gzip:
        parts.append(packer.flush())
    return b"".join(parts), form.content_type


def _family(metric: Metric, values: Mapping[tuple[str, ...], Any]) -> Family:
    name, text = metric.name, metric.help
    if metric.kind == "counter":
        counter = CounterMetricFamily(name, text, labels=metric.labels)
        for labels, value in values.items():
            counter.add_metric(labels, value)
        return counter
    if metric.kind == "gauge":
        gauge = GaugeMetricFamily(name, text, labels=metric.labels)
        for labels, value in values.items():
            gauge.add_metric(labels, value)
        return gauge
    if metric.kind == "info":
        info = InfoMetricFamily(name.removesuffix("_info"), text, labels=metric.labels[: -len(metric.more)])
        for labels, value in values.items():
            info.add_metric(labels, {key: str(value.get(key, "")) for key in metric.more})
        return info
    histogram = HistogramMetricFamily(name, text, labels=metric.labels)
    for labels, value in values.items():
        # As floats are written: OpenMetrics 1.0 takes "1.0" and "1" for two bounds.
        buckets = [(str(float(bound)), float(count)) for bound, count in value["buckets"].items()]
        histogram.add_metric(labels, [*buckets, ("+Inf", float(value["count"]))], float(value["sum"]))
    return histogram


@frozen
class _One:
    """What prometheus-client takes for a registry: one family."""

    family: Family

    def collect(self) -> Iterable[Family]:
        return (self.family,)


# --- what the scraper takes ------------------------------------------------------------------------


def _chosen(accept: str) -> _Format:
    """By the weights of Accept (RFC 9110, 12.5.1); the older format where both are as good."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for kind, weight in _weighed(accept):
        for known in weights:
            if kind == known:
                weights[known] = max(weights[known], weight)
    return _OPENMETRICS if weights["application/openmetrics-text"] > weights["text/plain"] else _TEXT


def takes_gzip(accept_encoding: str) -> bool:
    """Whether Accept-Encoding names gzip, or everything."""
    weights = dict(_weighed(accept_encoding))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighed(header: str) -> Iterable[tuple[str, float]]:
    """The members of a header with their weights; one whose weight is none has none."""
    for member in header.split(","):
        kind, *parameters = (each.strip().lower() for each in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        yield kind, weight
