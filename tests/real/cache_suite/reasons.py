"""What tierkit does not pass of the suite, and why: all of it, so that the test can say "no more, no less"."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from .judge import Verdict

FAIL, OPTIONAL_FAIL = Verdict.FAIL, Verdict.OPTIONAL_FAIL
SETUP_FAIL, RETRY, DEPENDENCY_FAIL = Verdict.SETUP_FAIL, Verdict.RETRY, Verdict.DEPENDENCY_FAIL


@frozen
class Reason:
    """Why some tests do not pass; `why` is prose for the documentation, `source` a section of an RFC."""

    verdict: Verdict
    tests: tuple[str, ...]
    why: str
    source: str


REASONS: Final = (
    Reason(
        FAIL,
        (
            "age-parse-nonnumeric",
            "age-parse-negative",
            "age-parse-float",
            "age-parse-parameter",
            "age-parse-numeric-parameter",
        ),
        "The suite wants an answer whose `Age` is no number to be stale. Since 2022 the RFC has such a field ignored.",
        "RFC 9111, 5.1",
    ),
    Reason(
        FAIL,
        ("age-parse-prefix-twoline", "age-parse-dup-0", "age-parse-dup-0-twoline", "age-parse-dup-old"),
        "The suite wants an answer with two `Age` to be stale. Since 2022 the RFC has the first one count.",
        "RFC 9111, 5.1",
    ),
    Reason(
        SETUP_FAIL,
        (
            "headers-store-Set-Cookie",
            "headers-store-Set-Cookie2",
            "304-etag-update-response-Set-Cookie",
            "304-etag-update-response-Set-Cookie2",
        ),
        "An answer that sets a cookie is not shared: whoever got it would be the same user. So there is nothing stored"
        " in which the field could be found, or updated.",
        "RFC 9111, 7.3",
    ),
    Reason(
        SETUP_FAIL,
        ("headers-store-Transfer-Encoding",),
        "The origin sends a transfer coding that does not exist. Nobody knows where such a body ends, or what it says:"
        " the viewer gets 502.",
        "RFC 9112, 6.1",
    ),
    Reason(
        RETRY,
        ("304-etag-update-response-ETag",),
        "The origin answers `If-None-Match` by a 304 with another `ETag`. It is about something that is not stored and"
        " updates nothing; the whole is fetched without conditions. The suite counts the second request against it.",
        "RFC 9111, 4.3.4",
    ),
    Reason(
        DEPENDENCY_FAIL,
        (
            "stale-close-must-revalidate",
            "stale-close-proxy-revalidate",
            "stale-close-no-cache",
            "stale-close-s-maxage=2",
        ),
        "They are judged where a cache serves what is stale by itself once the origin hangs up; this one does so where"
        " the origin says `stale-if-error`. Of these the viewer gets 504, or 502 where nothing is stored. By itself the"
        " suite would take that for an answer from store, because it has no count of its origin.",
        "RFC 9111, 4.2.4",
    ),
    Reason(
        OPTIONAL_FAIL,
        ("heuristic-405-cached", "heuristic-414-cached", "heuristic-501-cached", "status-400-fresh"),
        "An error that one odd request can provoke is not everybody's, even where the origin gives it a lifetime:"
        " stored, it would deny the object to all (CPDoS, Nguyen et al., CCS 2019). To store it is a MAY.",
        "RFC 9111, 3",
    ),
    Reason(
        DEPENDENCY_FAIL,
        ("status-400-stale",),
        "It is judged where a fresh 400 is reused. By itself it passes.",
        "RFC 9111, 3",
    ),
    Reason(
        OPTIONAL_FAIL,
        ("method-POST",),
        "The answer to a POST is not stored for a later GET, even with a `Content-Location` that allows it; the GET"
        " fetches its own. To store it is a MAY.",
        "RFC 9110, 9.3.3",
    ),
    Reason(
        OPTIONAL_FAIL,
        ("vary-normalise-lang-order", "vary-normalise-lang-select"),
        "Two `Accept-Language` with the same members in another order are two keys. Whether they mean the same to the"
        " origin is the origin's to know; to guess it is a MAY.",
        "RFC 9111, 4.1",
    ),
    Reason(
        OPTIONAL_FAIL,
        ("conditional-lm-fresh-no-lm",),
        "The suite wants a 304 to an `If-Modified-Since` before the `Date` of what is stored, which has no"
        " `Last-Modified`. The `Date` stands for it then, and it is later: 200.",
        "RFC 9111, 4.3.2",
    ),
    Reason(
        OPTIONAL_FAIL,
        (
            "partial-store-partial-reuse-partial",
            "partial-store-partial-reuse-partial-absent",
            "partial-store-partial-reuse-partial-byterange",
            "partial-store-partial-reuse-partial-suffix",
            "partial-store-partial-complete",
        ),
        "A part is not stored by itself, nor completed later: ranges come of a whole that is stored, or is arriving. To"
        " store a part is a MAY.",
        "RFC 9111, 3.3",
    ),
    Reason(
        OPTIONAL_FAIL,
        ("other-set-cookie",),
        "As above: an answer that sets a cookie is not shared.",
        "RFC 9111, 7.3",
    ),
)
#: The verdict that is expected of each test that does not pass.
EXPECTED: Final[dict[str, Verdict]] = {test: reason.verdict for reason in REASONS for test in reason.tests}
