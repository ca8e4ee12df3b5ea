"""How upstreams fare: what requests have shown, and what probes have (`_probe`).

Whose fault a failure is decides what follows.

* One that cannot be reached, is too slow or breaks off has failed: it rests, with back-off (`Upstreams.failed`).
* One that answers, but with a 5xx, has nothing good to say about this path.  It is passed over for this request alone;
  `OUTLIER` such answers in a row, whatever the path, are a failure like any other.
* Retry-After on a 429 or 503 is taken at its word, within a bound, for that path: it goes to the end of the line there.
* One that probes have found down stays at the end of the line until probes find it up again, whatever single requests
  say.  Nobody is ever left out: the last in the line is still asked when all before it have failed.

Observers are told once when an upstream is lost, for whatever reason, and once when nothing holds it back any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_fields import delta_seconds, parse_date
from tierkit.events import UpstreamBack, UpstreamLost
from tierkit.plugin import Candidate, Context, UpstreamError

from ._objects import Memory

__all__ = ["FALL", "OUTLIER", "RETRY_AFTER_MOST", "RISE", "BadAnswer", "Health", "retry_after"]

#: 5xx answers in a row that make a failure: Envoy's `consecutive_5xx`.
OUTLIER = 5
#: Probes in a row that find an upstream down, and that find it up again: HAProxy's `fall` and `rise`.
FALL = 3
RISE = 2
#: Seconds of Retry-After that are believed: no longer than the longest rest of a failed upstream, because an operator
#: who has mended it should not have to wait for what it said in its trouble.
RETRY_AFTER_MOST = 15.0
#: Answers whose Retry-After says when to come back (RFC 9110 section 10.2.3, RFC 6585 section 4).
COME_BACK = frozenset({429, 503})


class BadAnswer(UpstreamError):
    """An upstream that works, but has nothing good to say about this path."""


class Health:
    """A tier's upstreams as HTTP sees them; decisions are synchronous."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        #: Who is lost, and by what: "requests" that failed, "answers" that were no good, "probes".
        self._lost: dict[str, set[str]] = {}
        self._bad: dict[str, int] = {}
        #: Probes in a row that said the same: good ones above zero, bad ones below.
        self._runs: dict[str, int] = {}
        #: Until when one is not asked for a key if others can be.
        self._later: Memory[tuple[str, str], float] = Memory()

    def order(self, candidates: Sequence[Candidate], key: str) -> list[Candidate]:
        """The same, in the order in which to ask: who is up and willing, who said to come later, who is down."""
        now = self.ctx.clock()

        def place(candidate: Candidate) -> int:
            if self.down(candidate):
                return 2
            return int((self._later.get((candidate.name, key)) or 0.0) > now)

        return sorted(candidates, key=place)

    def down(self, candidate: Candidate) -> bool:
        """Whether probes have found it down."""
        return "probes" in self._lost.get(candidate.name, ())

    def failed(self, candidate: Candidate, reason: str, by: str = "requests") -> bool:
        """Note a failure; whether it is news, so that observers were told."""
        rest = self.ctx.upstream.failed(candidate, reason)
        self._bad.pop(candidate.name, None)
        if by != "probes":  # what was good before does not count any more
            self._runs[candidate.name] = min(0, self._runs.get(candidate.name, 0))
        causes = self._lost.setdefault(candidate.name, set())
        news = not causes
        causes.add(by)
        if news:
            self.ctx.emit(UpstreamLost(upstream=candidate.name, reason=reason, retry_in=rest))
        return news

    def answered(self, candidate: Candidate) -> None:
        """Note a good answer to a request."""
        self._bad.pop(candidate.name, None)
        self._clear(candidate, {"requests", "answers"})

    def answered_badly(self, candidate: Candidate, reason: str) -> bool:
        """Note an answer that it works but was no good; whether observers were told of a failure."""
        bad = self._bad.get(candidate.name, 0) + 1
        if bad >= OUTLIER:
            news = self.failed(candidate, f"{reason}, {bad} times in a row", "answers")
        else:
            news = False
            self._clear(candidate, {"requests"})
        self._bad[candidate.name] = bad
        return news

    def come_back(self, candidate: Candidate, key: str, status: int, headers: Headers, wall: float) -> None:
        """Note when an answer says to come back, where it does."""
        if status in COME_BACK and (seconds := retry_after(headers, wall)):
            self._later.put((candidate.name, key), self.ctx.clock() + seconds)

    def probed(self, candidate: Candidate, problem: str) -> None:
        """Note what a probe has found, "" where all was well."""
        run = self._runs.get(candidate.name, 0)
        run = self._runs[candidate.name] = min(run, 0) - 1 if problem else max(run, 0) + 1
        if run <= -FALL:
            self.failed(candidate, problem, "probes")
        elif run >= RISE and self._lost.get(candidate.name):
            # That forgives whatever requests had to say, too, as HAProxy's `rise` does after `observe`.
            self._bad.pop(candidate.name, None)
            self._clear(candidate, {"requests", "answers", "probes"})

    def _clear(self, candidate: Candidate, by: set[str]) -> None:
        causes = self._lost.get(candidate.name, set())
        if causes - by:
            return
        self.ctx.upstream.succeeded(candidate)
        if causes:
            del self._lost[candidate.name]
            self.ctx.emit(UpstreamBack(upstream=candidate.name))


def retry_after(headers: Headers, wall: float) -> float:
    """Seconds that Retry-After asks for, within the bound; 0 where it says nothing that can be read.

    Args:
        wall: Unix seconds; a date counts from the answer's own Date where it has one, so that clocks need not agree.
    """
    value = get(headers, b"retry-after")
    if value is None:
        return 0.0
    seconds: float | None = delta_seconds(value)
    if seconds is None and (until := parse_date(value, wall)) is not None:
        sent = parse_date(get(headers, b"date") or b"", wall)
        seconds = until - (wall if sent is None else sent)
    return min(RETRY_AFTER_MOST, max(0.0, seconds or 0.0))
