"""A SecureToken in a file's name: how a Wowza hands a viewer's token on to the chunklists and segments of HLS.

    chunklist_w1_b764000_tkd293emF0b2tlbmhhc2g9_DVR.m3u8        _tk<base64 of the token's query>

From URLs of public players, decoded (two samples, with the padding of base64 as it is).  The place among the other
pieces of the name varies, so it is found by its mark.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

from ..errors import LocalProtocolError

__all__ = ["read_name", "write_name"]

#: Characters of a name that is looked into; file systems have 255, tokens by SHA-512 make names of some 300.
MAX_NAME = 4096

# A slash cannot stand in a name, and an underscore begins its next piece.
_TOKEN = re.compile(r"_tk([A-Za-z0-9+-]{4,}={0,2})(?=[_.]|\Z)")
# What stays behind a token: the mark of a DVR's playlist, the number of a segment, the extension.
_REST = re.compile(r"(?:_DVR)?(?:_[0-9]+)?(?:\.[A-Za-z0-9]+)?\Z")
# A query of one parameter at least, of characters that a query may have.
_QUERY = re.compile(r"[A-Za-z0-9._~-]+=[A-Za-z0-9._~!$&'()*+;:@/?=%-]*\Z")


def read_name(name: str) -> tuple[str, str]:
    """The name without its token, and the token as a query; the name as it is, and "", where it has none.  Total."""
    match = _TOKEN.search(name) if len(name) <= MAX_NAME else None
    if match is None:
        return name, ""
    text = match[1].rstrip("=")
    try:
        query = b64decode(text + "=" * (-len(text) % 4), b"+-", validate=True).decode("ascii")
    except ValueError:  # a length that base64 has not, or bytes that are not ASCII
        return name, ""
    if _QUERY.match(query) is None:
        return name, ""
    return name[: match.start()] + name[match.end() :], query


def write_name(name: str, query: str) -> str:
    """The name with a token in it, where `read_name` finds it.

    Raises LocalProtocolError for a name that has one, for what is no token's query, and for one with a character at a
    place where base64 makes an underscore or a slash of it: a question mark may, of the usual parameters none does.
    """
    text = b64encode(query.encode("utf-8", "surrogatepass")).decode("ascii")
    match = _REST.search(name)
    assert match is not None  # it matches at the end at the latest
    whole = f"{name[: match.start()]}_tk{text}{name[match.start() :]}"
    if read_name(whole) != (name, query):
        raise LocalProtocolError("this token cannot stand in a name, or this name has one already")
    return whole
