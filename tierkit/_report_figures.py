"""How figures are written for people, and what of a night stands beside another."""

from __future__ import annotations

from ._report_night import Night, TierNight

__all__ = ["clock", "cores", "count", "figures", "marks", "megabytes", "percent", "rate", "rows", "span", "unit_of"]

#: Seconds below which times are told since the beginning, and not by the clock.
ELAPSED = 900
#: Seconds between two marks of a time axis.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_UNITS = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"))


def unit_of(bits: float) -> tuple[float, str]:
    """What a rate is best written in."""
    return next(((size, name) for size, name in _UNITS if bits >= size), (1.0, "bit/s"))


def rate(bits: float) -> str:
    """Bits per second in three digits: "3.55 Gbit/s", "888 Mbit/s"."""
    # Three digits of 999.6 Mbit/s are 1.00 Gbit/s.
    size, name = unit_of(bits * 1.0005)
    value = bits / size
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {name}"


def count(number: float | None) -> str:
    """A whole number: "6,000"."""
    return "not known" if number is None else f"{number:,.0f}"


def megabytes(size: float) -> str:
    """Bytes, by the million, as the seed's "6 GB" are."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def cores(share: float | None) -> str:
    """A share of one core, "0.31 core"; nothing where nobody knows it."""
    return "" if share is None else f"{share:.2f} core"


def percent(ratio: float | None) -> str:
    """A ratio from 0 to 1; nothing where there is none."""
    return "" if ratio is None else f"{100 * ratio:.2f}%"


def span(seconds: float) -> str:
    """How long: "75 s", "12 min", "3 h 20 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def clock(at: float, began: float, whole: float) -> str:
    """A time on an axis: of the day in UTC, or, where all of it is under a quarter of an hour, since it began."""
    if whole < ELAPSED:
        return f"{int(at - began) // 60}:{int(at - began) % 60:02}"
    minute = int(at // 60)
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def marks(began: float, whole: float, most: int) -> list[float]:
    """Where times stand on an axis, seconds since it began: at round ones, at most so many of them."""
    step = next((each for each in _STEPS if whole / each <= most - 1), _STEPS[-1])
    first = 0.0 if whole < ELAPSED else -began % step
    return [first + n * step for n in range(int((whole - first) // step) + 1)]


def figures(night: Night) -> dict[str, str]:
    """The figures of a night, by the words that `GRNET_2013` has for them."""
    peak, first = night.peak
    viewers = max((each or 0.0 for each in night.audience.values[first : first + night.peak_width]), default=0.0)
    stalled = night.stalled_viewers
    told = f"{stalled:,}" if stalled is not None else "not known"
    if stalled is None and any(tier.chopped.last is not None for tier in night.tiers):
        told = f"{sum(tier.chopped.peak for tier in night.tiers):,.0f} inferred by the tiers"
    return {
        "viewers": count(night.audience.peak),
        "peak traffic": f"{rate(peak)}, over {span(night.peak_width * night.step)}",
        "for each viewer": f"{rate(peak / viewers)}, at the peak" if viewers else "not known",
        "viewers that stalled": told,
        "clients that the origin saw": count(night.origin_clients),
        "memory of an HLS tier": _memory(night, "edge"),
        "memory of an RTMP tier": _memory(night, "relay"),
        "memory of all tiers": megabytes(sum(each.memory.peak for each in night.tiers)),
    }


def rows(night: Night) -> list[tuple[str, str, str]]:
    """What was measured beside what is set there: the figure, the other night's, this night's."""
    mine = figures(night)
    theirs = dict(night.beside)
    names = [*mine, *(name for name in theirs if name not in mine and name != "night")]
    return [(name, theirs.get(name, ""), mine.get(name, "")) for name in names]


def _memory(night: Night, role: str) -> str:
    """The most that a tier of this kind has had, and for what traffic."""
    found: list[tuple[float, float, TierNight]] = [
        (tier.memory.peak, night.at_peak(tier.bits) or 0.0, tier)
        for tier in night.tiers
        if tier.role == role and tier.memory.peak
    ]
    if not found:
        return "not known"
    memory, bits, tier = max(found, key=lambda each: each[0])
    return f"{tier.name}: {megabytes(memory)} for {rate(bits)}"
