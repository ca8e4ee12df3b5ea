"""Every metric that there is: its name, what it is read from, and what it says.

The table is the whole of it: what is not a line here is not exposed, and docs/reference/metrics.md has the same lines
(a test compares them).  Names follow Prometheus' own advice: base units, the unit last, `_total` behind what only
grows, no ratios where two counters can be divided.
"""

from __future__ import annotations

from typing import Final, Literal

from attrs import frozen

__all__ = ["LABELS", "TABLE", "Metric", "Of"]

#: What a metric is told of: one value for each of these that there is.
Of = Literal["graph", "process", "child", "tier", "service", "traffic", "upstream", "certificate", "stream"]

_TIER = ("tier", "site")
#: The labels that name what a value is told of.
LABELS: Final[dict[Of, tuple[str, ...]]] = {
    "graph": (),
    "process": ("process",),
    "child": ("process",),
    "tier": _TIER,
    "service": (*_TIER, "protocol"),
    "traffic": (*_TIER, "protocol", "scheme"),
    "upstream": (*_TIER, "upstream"),
    "certificate": (*_TIER, "address", "file"),
    "stream": (*_TIER, "stream"),
}


@frozen
class Metric:
    """One metric.

    Attributes:
        name: as it is exposed, `_total` and `_info` included.
        key: where its value stands in the statistics of what it is told of, from `collect`'s point of view.
        more: further labels.  With one, the value there is a mapping from its words to numbers; an info has several,
            and the value maps each to its text.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram", "info"]
    of: Of
    key: str
    help: str
    more: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All its labels, in order."""
        return (*LABELS[self.of], *self.more)


def _gauge(name: str, of: Of, key: str, text: str, *more: str) -> Metric:
    return Metric(f"tierkit_{name}", "gauge", of, key, text, more)


def _counter(name: str, of: Of, key: str, text: str, *more: str) -> Metric:
    return Metric(f"tierkit_{name}_total", "counter", of, key, text, more)


def _info(name: str, of: Of, key: str, text: str, *more: str) -> Metric:
    return Metric(f"tierkit_{name}_info", "info", of, key, text, more)


TABLE: Final[tuple[Metric, ...]] = (
    _info("build", "graph", "build", "What runs here.", "version", "python"),
    _gauge("ready", "graph", "ready", "1 while every tier of this control address accepts connections."),
    # --- tiers
    _info("tier", "tier", "info", "A tier that runs here: whether it is an origin, an edge or a relay.", "role"),
    _gauge("tier_state", "tier", "states", "1 for the state that the tier is in, 0 for the others.", "state"),
    _gauge("viewers", "service", "viewers", "Players and clients served now."),
    _gauge("viewers_chopped", "service", "chopped", "Viewers whose picture has stood still in the last ten seconds."),
    _counter("rebufferings", "service", "rebufferings", "Times that a viewer's picture has begun to stand still."),
    _counter("connections_accepted", "tier", "accepted", "Connections accepted."),
    _counter("connections_refused", "tier", "refused", "Connections turned away by a bound of the tier."),
    _counter("connections_failed", "tier", "failed", "Connections that ended with an error."),
    _counter(
        "refusals", "tier", "refusals", "Connections, and attempts to play or publish, refused, by reason.", "reason"
    ),
    _counter("failures", "tier", "failures", "Connections that ended with an error, by its kind.", "reason"),
    _gauge("connections", "traffic", "connections", "Connections open now."),
    _counter("received_bytes", "traffic", "bytes_in", "Bytes received from those who connected."),
    _counter("sent_bytes", "traffic", "bytes_out", "Bytes sent to those who connected."),
    _counter("requests", "service", "requests", "Requests for an object, or for a stream to play, answered."),
    _counter("request_hits", "service", "hits", "Requests that needed nothing from upstream."),
    _counter("request_results", "service", "results", "Requests, by what became of them.", "result"),
    _counter("drops", "tier", "figures.drops", "Viewers and publishers sent away, by reason.", "reason"),
    _counter("skipped_gops", "service", "fanout.skipped_gops", "Groups of pictures that slow players were not sent."),
    _gauge("fanout_lag_seconds", "service", "fanout.lag", "How far the slowest player is behind the live edge."),
    _gauge("memory_bytes", "service", "memory", "Media held in rings and stores, memfds included.", "kind"),
    # --- upstream
    _gauge("upstream_connections", "service", "pulling.upstream_connections", "Connections to upstreams open now."),
    _counter("upstream_errors", "service", "pulling.upstream_errors", "Requests and pulls that an upstream failed."),
    _counter("upstream_received_bytes", "service", "pulling.upstream_bytes", "Bytes received from upstreams."),
    _gauge("upstream_up", "upstream", "healthy", "1 while the upstream is thought healthy, else 0."),
    _counter("upstream_failures", "upstream", "failures_total", "Times that the upstream was given a rest for."),
    _gauge("upstream_clients", "upstream", "clients", "Clients at its most played stream, as the server counts them."),
    # --- certificates
    _gauge(
        "certificate_expiry_timestamp_seconds",
        "certificate",
        "not_after",
        "When the certificate of a listener ends, seconds since 1970.",
    ),
    # --- streams
    _gauge("streams", "tier", "streams_known", "Streams that the tier knows of."),
    _gauge("streams_on_air", "tier", "streams_on_air", "Streams that media arrives for."),
    _gauge("stream_viewers", "stream", "viewers", "Viewers of a stream now."),
    _gauge("stream_on_air", "stream", "on_air", "1 while media arrives for a stream, else 0."),
    _counter("stream_received_bytes", "stream", "bytes_in", "Bytes received for a stream."),
    _counter("stream_sent_bytes", "stream", "bytes_out", "Bytes sent for a stream."),
    # --- processes
    _gauge("process_up", "child", "alive", "1 while the process of a tier lives."),
    _counter("process_starts", "child", "starts", "Times that the process of a tier was started."),
    _gauge("process_report_age_seconds", "child", "told_ago", "Age of what the process of a tier has told last."),
    _gauge("process_start_time_seconds", "process", "started_at", "When the process began, seconds since 1970."),
    _counter("process_cpu_seconds", "process", "cpu_seconds", "User and system time."),
    _gauge("process_resident_memory_bytes", "process", "resident_bytes", "Resident memory."),
    _gauge("process_memfd_bytes", "process", "memfd_bytes", "Blocks of memfds, which are in no resident memory."),
    _gauge("process_socket_memory_bytes", "process", "socket_bytes", "Kernel memory of the process's connections."),
    _gauge("process_memory_limit_bytes", "process", "memory_limit", "Memory that it may have, with others beside it."),
    _gauge("process_descriptors", "process", "descriptors_used", "Descriptors in use, by what for.", "kind"),
    _gauge("process_max_descriptors", "process", "descriptors.limit", "Descriptors that the process may have."),
    Metric(
        "tierkit_event_loop_delay_seconds",
        "histogram",
        "process",
        "loop_delay",
        "How late the event loop is: a ticker's lateness.",
    ),
    _counter("event_loop_long_steps", "process", "long_steps", "Steps of more than 50 ms that held the loop up."),
    _gauge("event_loop_longest_step_seconds", "process", "longest_step", "The longest step since the start."),
)
