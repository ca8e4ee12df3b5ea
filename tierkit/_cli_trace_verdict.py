"""Who is late: pure sums over what was seen at each place at the same time.

With playlists the places are compared by their media sequence numbers, at many moments: one that is on average half a
segment behind the origin is late by half a segment.  With frames it is the same frame's arrival at each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from attrs import evolve, frozen

from ._cli_trace_look import FrameLook, PlaylistLook

__all__ = ["Finding", "frames_found", "playlists_found", "verdict"]

#: Moments at which playlists are compared, seconds apart.
GRAIN = 0.1
#: Seconds by which a tier may be later than what it pulls from.  With playlists: what a cache keeps one for, half a
#: target duration, and the grain of the looks; with frames: two passes of the fan-out.
PLAYLIST_SLACK = 1.0
FRAME_LATE = 1.0


@frozen(kw_only=True)
class Finding:
    """What was found at one place."""

    name: str
    parents: tuple[str, ...] = ()
    newest: str = ""
    #: Seconds behind the first place that could be looked at, and behind its own upstream; None where nobody can say.
    behind: float | None = None
    own: float | None = None
    #: Seconds of that which are usual.
    slack: float = FRAME_LATE
    first_byte: float | None = None
    took: float | None = None
    lasts: float = 0.0
    viewers: int | None = None
    chopped: int | None = None
    #: It does not get any further, or cannot be asked.
    trouble: str = ""

    @property
    def slow(self) -> bool:
        """Whether its newest segment has come more slowly than it plays."""
        return self.took is not None and self.lasts > 0 and self.took > self.lasts

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        took = "" if self.took is None else f"{self.took:.2f} s of {self.lasts:.2f} s"
        return (
            self.name,
            ", ".join(self.parents),
            self.newest,
            _seconds(self.behind),
            _seconds(self.own),
            "" if self.first_byte is None else f"{self.first_byte * 1000:.0f} ms",
            took,
            "" if self.viewers is None else str(self.viewers),
            "" if self.chopped is None else str(self.chopped),
            self.trouble,
        )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def playlists_found(looks: Sequence[PlaylistLook], begun: float, end: float) -> list[Finding]:
    """From playlists."""
    root = next((each for each in looks if each.reached), None)
    found = []
    for look in looks:
        trouble = look.trouble
        if not trouble and look.facts is not None and look.facts.ended:
            trouble = "has ended"
        elif not trouble and len(look.reached) == 1 and end - begun > 2 * (look.facts.pace if look.facts else 0):
            trouble = f"stands still: nothing new for {end - begun:.0f} s"
        found.append(
            Finding(
                name=look.hop.name,
                parents=look.hop.parents,
                newest=str(look.next - 1) if look.next is not None else "",
                behind=_behind(root, look, begun, end) if root is not None else None,
                slack=PLAYLIST_SLACK + (look.facts.pace / 2 if look.facts is not None else 0.0),
                first_byte=look.first_byte,
                took=look.took,
                lasts=look.lasts,
                viewers=look.hop.figures.get("viewers"),
                chopped=look.hop.figures.get("chopped"),
                trouble=trouble,
            )
        )
    return _shares(found)


def _behind(root: PlaylistLook, look: PlaylistLook, begun: float, end: float) -> float | None:
    """Seconds of media between two playlists, on average over all moments at which both are known."""
    lags = []
    for number in range(int((end - begun) / GRAIN)):
        first, other = root.at(begun + number * GRAIN), look.at(begun + number * GRAIN)
        if first is not None and other is not None:
            lags.append((first - other) * root.each)
    if not lags:
        return None
    found = sum(lags) / len(lags)
    window = root.facts.window if root.facts is not None else 0.0
    # Beyond that they do not count alike: another packager's numbers, not a tier that is hours behind.
    return found if abs(found) <= max(60.0, 2 * window) else None


def frames_found(looks: Sequence[FrameLook], seconds: float) -> list[Finding]:
    """From frames."""
    root = next((each for each in looks if each.frames), None)
    found = []
    for look in looks:
        behind, trouble = None, look.trouble
        if root is not None and look.frames:
            both = look.frames.keys() & root.frames.keys()
            if both:
                behind = median(look.frames[each] - root.frames[each] for each in both)
            elif not trouble:
                trouble = (
                    f"no frame of it was seen at {root.hop.name}: more than {seconds:.0f} s behind, or another stream"
                )
        elif not trouble:
            trouble = "sends no new frames"
        found.append(
            Finding(
                name=look.hop.name,
                parents=look.hop.parents,
                newest=f"{len(look.frames)} frames" if look.frames else "",
                behind=behind,
                viewers=look.hop.figures.get("viewers"),
                chopped=look.hop.figures.get("chopped"),
                trouble=trouble,
            )
        )
    return _shares(found)


def _shares(found: list[Finding]) -> list[Finding]:
    """With what each adds to what it pulls from."""
    by_name = {each.name: each for each in found}
    done = []
    for each in found:
        above = [by_name[name] for name in each.parents if name in by_name]
        known = [parent.behind for parent in above if parent.behind is not None]
        own = each.behind - max(known) if each.behind is not None and known else None
        done.append(evolve(each, own=own))
    return done


def verdict(found: Sequence[Finding]) -> tuple[bool, str]:
    """Whether a tier is late, and one line that says which."""
    by_name = {each.name: each for each in found}
    if not any(each.newest for each in found):
        first = found[0] if found else None
        return True, "nothing could be looked at" + (f": {first.name} {first.trouble}" if first is not None else "")
    lines = []
    for each in found:
        above = [by_name[name] for name in each.parents if name in by_name]
        if reason := _late(each, above):
            lines.append(f"{each.name} is late: {reason}")
    if lines:
        return True, "\n".join(lines)
    last = max(found, key=lambda each: each.behind or 0.0)
    unseen = [each for each in found if not each.newest]
    note = "".join(f"; {each.name} was not looked at: {each.trouble}" for each in unseen)
    return False, f"nobody is late: {last.name} is furthest behind, by {last.behind or 0.0:.1f} s{note}"


def _late(each: Finding, above: Sequence[Finding]) -> str:
    """Why it is this one's own fault; empty where it is in time, or no later than what it pulls from."""
    fine_above = all(not parent.trouble for parent in above)
    since = f"since {above[0].name}" if above else "at the origin itself"
    if each.trouble:
        # An origin that wants to be asked otherwise (a session, a token) is no tier that is late.
        if not each.parents and not each.newest:
            return ""
        return f"{each.trouble}, {since}" if fine_above else ""
    if each.own is not None and each.own > each.slack:
        whole = f"{each.behind:.1f} s behind" if each.behind is not None else "behind"
        return f"{whole}, {each.own:.1f} s of that {since}"
    if each.slow and not any(parent.slow for parent in above):
        return f"a segment of {each.lasts:.1f} s took {each.took:.1f} s to come, {since}"
    return ""
