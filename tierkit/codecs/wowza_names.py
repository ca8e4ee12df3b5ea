"""What Wowza calls the children of an HLS stream: with the ids of sessions in them, and without.

    chunklist [_w<session>] [_b<bitrate>] [_vo] [_sl<lang>] [_t64<base64>] [_tk<base64>] [_DVR] .m3u8
    media     [_w<session>] [_b<bitrate>] [... the same ...] _<number>.ts
    media     ... _<number>_m3u8.cmfv                        header ... _m3u8.cmfv

(reconstructed from recordings; the order of the parts varies, so they are told by their letters, not their place.)
Older servers have the id in the query: ``chunklist-b1089536.m3u8?wowzasessionid=N``.  DASH is left alone.

Two parts belong to a viewer and not to the object: the id of his session (``_w``) and his token (``_tk``).  The
*canonical* name is the one without them; a *pattern* is a name with ``#`` in the place of a segment's number, so that
what is known of one segment is known of all its stream's.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from attrs import frozen

__all__ = ["SESSION_PARAMETER", "Ids", "canonical", "filled", "ids_of", "is_child", "kept_query", "named", "pattern"]

#: The parameter that older servers tell sessions apart by.
SESSION_PARAMETER = "wowzasessionid"
# What children begin with, by the packetizers for HLS and CMAF.
_HEAD = re.compile(r"(?:chunklist|media|header)(?=[_.-])")
# 31 bits in decimal; a part ends where the next begins.
_SESSION = re.compile(r"_w[0-9]{1,20}(?=[_.])")
# Base64 of text has no underscore in it: that would take a byte beyond ASCII.
_TOKEN = re.compile(r"_tk[A-Za-z0-9+=-]+(?=[_.])")
_NUMBER = re.compile(r"_[0-9]{1,20}(?=(?:_m3u8)?\.[A-Za-z0-9]{1,8}\Z)")
#: In front of these a token stands where nothing else is known: they come last.
_LAST = re.compile(r"(?:_DVR)?(?:_#|_[0-9]{1,20})?(?:_m3u8)?\.[A-Za-z0-9]{1,8}\Z")


@frozen
class Ids:
    """What in a child's name is a viewer's: the parts as they stand in it, ``_w123`` and ``_tk...``."""

    session: str = ""
    token: str = ""
    #: ``wowzasessionid=N`` of older servers.
    query: str = ""

    def __bool__(self) -> bool:
        return bool(self.session or self.token or self.query)


def is_child(file: str) -> bool:
    """Whether a file is named as Wowza names what its master playlists list."""
    return _HEAD.match(file) is not None


def ids_of(file: str, query: str = "") -> Ids:
    """The viewer's part of a child's name, and of its query."""
    if not is_child(file):
        return Ids()
    session, token = _SESSION.search(file), _TOKEN.search(file)
    own = next((pair for pair in query.split("&") if pair.startswith(f"{SESSION_PARAMETER}=")), "")
    return Ids(session.group() if session else "", token.group() if token else "", own)


def canonical(file: str) -> str:
    """A child's name without the parts that are a viewer's; any other name as it is."""
    if "_" not in file or not is_child(file):
        return file
    return _TOKEN.sub("", _SESSION.sub("", file, count=1), count=1)


def pattern(file: str) -> tuple[str, str]:
    """A name with ``#`` for a segment's number, and the number; empty where it has none."""
    match = _NUMBER.search(file)
    if match is None:
        return file, ""
    return f"{file[: match.start()]}_#{file[match.end() :]}", match.group()[1:]


def filled(of: str, number: str) -> str:
    """The other way round."""
    return of.replace("#", number, 1) if number else of


def named(plain: str, ids: Ids) -> str:
    """A canonical name (or pattern) with the ids where the grammar has them, for children that no playlist has told.

    The session stands behind the first word, the token before what comes last.
    """
    head = _HEAD.match(plain)
    if head is None:
        return plain
    last = _LAST.search(plain)
    at = max(head.end(), last.start() if last is not None else len(plain))
    return f"{plain[: head.end()]}{ids.session}{plain[head.end() : at]}{ids.token}{plain[at:]}"


def kept_query(query: str, names: Collection[str]) -> str:
    """What of a query names the object: parameters of these names, spelt as they are, with or without a value, and
    the delivery directives of low-latency HLS (``_HLS_msn`` and its kin, RFC 8216bis section 6.2.5)."""
    if not query:
        return ""
    pairs = [pair for pair in query.split("&") if pair.partition("=")[0] in names or pair.startswith("_HLS_")]
    return "&".join(pairs)
