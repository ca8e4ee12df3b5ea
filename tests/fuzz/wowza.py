"""Harnesses of what a Wowza says: its counters, its REST bodies, and how it asks who we are.

For all of them: any bytes give values or RemoteProtocolError, nothing else.
"""

from __future__ import annotations

import re

from tierkit.codecs import wowza_body, wowza_counts, wowza_rest, wowza_xml
from tierkit.codecs.http_auth import MAX_CHALLENGES, Authentication, challenges
from tierkit.errors import RemoteProtocolError

from .outcome import refused

__all__ = ["HARNESSES"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def of_wowza_xml(data: bytes) -> None:
    """A tree within its bounds, whose texts may stand on a terminal."""
    try:
        waiting = [(wowza_xml.read_xml(data), 1)]
    except RemoteProtocolError:
        return
    while waiting:
        element, depth = waiting.pop()
        assert depth <= wowza_xml.MAX_DEPTH
        for text in (element.text, *element.attributes.values()):
            assert len(text) <= wowza_xml.MAX_TEXT
            assert not _CONTROL.search(text)
        waiting += [(child, depth + 1) for child in element.children]


def of_wowza_counts(data: bytes) -> None:
    """Counts that are none below nothing, and rows without a query."""
    for document in (data, b"<W><VHost><Application><ApplicationInstance>" + data):
        try:
            found = wowza_counts.read_counts(document)
        except RemoteProtocolError:
            continue
        assert all(each.total >= 0 and min(each.sessions.values(), default=0) >= 0 for each in found.streams)
        assert all("?" not in each.uri for each in found.clients)


def of_wowza_rest(data: bytes) -> None:
    """Every reader takes every body, or refuses it."""
    for read in (
        wowza_body.read_body,
        wowza_rest.read_status,
        wowza_rest.read_machine,
        wowza_rest.read_traffic,
        wowza_rest.read_applications,
        wowza_rest.read_instances,
        wowza_rest.read_incoming,
        wowza_rest.read_stream_files,
        wowza_rest.read_failure,
    ):
        refused(lambda read=read: read(data))  # type: ignore[misc]
    assert wowza_rest.rest_path(data.decode("utf-8", "surrogateescape")).isascii()


def of_http_auth(data: bytes) -> None:
    """Challenges are whole or none, and an answer is one line that does not have the password in it."""
    headers = [(b"www-authenticate", line) for line in data.split(b"\n")]
    assert len(challenges(headers)) <= MAX_CHALLENGES
    authentication = Authentication("user", "s3cret")
    if authentication.challenged(headers, None):
        line = authentication.authorization("GET", "/v2?x", "0a4f")
        assert line is not None
        assert not re.search(rb"[\x00-\x1f\x7f]|s3cret", line)


HARNESSES = {
    "wowza_xml": of_wowza_xml,
    "wowza_counts": of_wowza_counts,
    "wowza_rest": of_wowza_rest,
    "http_auth": of_http_auth,
}
