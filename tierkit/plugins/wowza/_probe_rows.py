"""What the probe asks a Wowza, as a table, and what it was answered.

Each row stands for something that no recording tells of Wowza servers, so that tierkit assumes it.  A row that cannot
be answered without changing something, or without more than a tool may do unasked, says so and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from attrs import define, field, frozen

from tierkit.codecs.wowza_xml import plain

__all__ = ["QUESTIONS", "Answers", "Mask", "Row"]

#: Characters of one answer: a line for most, some for the names in a body.
LONGEST: Final = 3000

#: What is asked, in the order of the report.
QUESTIONS: Final[Mapping[str, str]] = {
    "version": "What it says it is: Server field, page at /, REST",
    "session-names": "Ids of sessions: ?wowzasessionid= or _w in names",
    "session-names-twice": "Whether two master playlists name the same children",
    "session-names-fixed": "Why _w stays in some set-ups of origin mode",
    "cache-control": "Cache-Control of master, media playlist, segment and 404",
    "headers": "Other fields of a cache's concern: ETag, Last-Modified, Set-Cookie, Age, CORS",
    "media-names": "How segments are spelt, with httpRandomizeMediaName above all",
    "session-idle": "How long an idle session lives, and what its children answer then",
    "session-foreign": "What a child answers whose id is nobody's",
    "unknown-stream": "Status of a stream that is not there",
    "unknown-instance": "Status of an instance that is not there",
    "unknown-application": "Status of an application that is not there",
    "head": "HEAD",
    "range": "Range of a segment",
    "if-modified-since": "If-Modified-Since",
    "gzip": "gzip for playlists",
    "keep-alive": "Requests on one connection",
    "admin-realm": "Challenge of the counters (8086)",
    "counts": "Elements of connectioncounts and serverinfo",
    "connectioninfo": "Body of connectioninfo",
    "rest-challenge": "Challenge of REST (8087)",
    "rest-xml": "Roots and attributes of REST's XML",
    "rest-nonce": "Lifetime of REST's nonces",
    "unknown-stream-statistics": "REST statistics of a stream that is not there",
    "rtmp-result": "Properties in connect's _result",
    "rtmp-controls": "Control messages before it",
    "rtmp-bandwidth": "Whether it calls onBWDone",
    "rtmp-subscribe": "Whether it plays without FCSubscribe",
    "rtmp-unpublished": "play of a name that nobody publishes",
    "publisher-challenge": "opaque in the challenge to publishers, and the words around it",
    "publisher-flash-version": "Which encoders it asks for a password (publishValidEncoders)",
    "tracking-origin": "Names of the properties of a session-tracking origin",
    "push-instance": "Whether pushes say _definst_",
}

#: What no read-only request can find out, and why.
NOT_ASKED: Final[Mapping[str, str]] = {
    "session-names-fixed": "it is in the server's configuration; what two master playlists say is above",
    "publisher-challenge": "one would have to begin to publish, and the server would log a refused login",
    "publisher-flash-version": "one would have to begin to publish",
    "tracking-origin": "they stand in Application.xml, which no read-only request shows",
    "push-instance": "the server would have to push to us",
}


@frozen(kw_only=True)
class Row:
    """One row of a report."""

    key: str
    question: str
    #: Empty where it was not asked.
    answer: str = ""
    #: Why it was not asked; empty where it was.
    reason: str = ""

    @property
    def asked(self) -> bool:
        """Whether there is an answer."""
        return bool(self.answer)


class Mask:
    """Takes out of answers what is somebody's own: hosts, addresses, users, names of applications and streams.

    Args:
        words: what to replace, and by what; empty ones are left out.
    """

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        found = {word: mask for word, mask in words if word}
        # Whole words: an application called "live" is no part of "delivered".
        self._words = [
            (re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])"), mask)
            for word, mask in sorted(found.items(), key=lambda each: -len(each[0]))
        ]

    def __call__(self, text: str) -> str:
        for pattern, mask in (*self._words, *_PATTERNS):
            text = pattern.sub(mask, text)
        text = _ADDRESS.sub(_address, text)
        return plain(text)[:LONGEST]


# What may be one; a version behind a slash ("WowzaStreamingEngine/4.7.7.1") is none.
_ADDRESS: Final = re.compile(r"(?<![\w.:])(?<![A-Za-z]/)[0-9A-Fa-f:.]{3,45}(?![\w:])")


def _address(match: re.Match[str]) -> str:
    text = match.group().rstrip(".")
    try:
        ip_address(text)
    except ValueError:
        return match.group()
    return "ADDRESS" + match.group()[len(text) :]


_PATTERNS: Final = (
    # Ids of sessions and tokens: how long they are says enough.
    (re.compile(r"_tk[A-Za-z0-9+=-]+"), "_tkTOKEN"),
    (re.compile(r"(?<=_w)[0-9]+"), "N"),
    (re.compile(r"(?<=wowzasessionid=)[0-9]+"), "N"),
)


@define
class Answers:
    """A report in the making."""

    mask: Mask
    _said: dict[str, str] = field(factory=dict)
    _why: dict[str, str] = field(factory=dict)

    def say(self, key: str, answer: str) -> None:
        """Answer a row; what is said again is added."""
        assert key in QUESTIONS, key
        masked = self.mask(answer)
        self._said[key] = f"{self._said[key]}; {masked}" if key in self._said else masked

    def cannot(self, reason: str, *keys: str) -> None:
        """Say why rows were not asked; what has an answer keeps it."""
        for key in keys:
            assert key in QUESTIONS, key
            self._why.setdefault(key, self.mask(reason))

    def rows(self) -> tuple[Row, ...]:
        """All of them, each with an answer or a reason."""
        rows = []
        for key, question in QUESTIONS.items():
            if key in self._said:
                rows.append(Row(key=key, question=question, answer=self._said[key]))
            else:
                reason = self._why.get(key) or NOT_ASKED.get(key) or "it did not come to that"
                rows.append(Row(key=key, question=question, reason=reason))
        return tuple(rows)
