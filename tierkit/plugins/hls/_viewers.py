"""Who one viewer is, as far as requests tell."""

from __future__ import annotations

import re

from tierkit.codecs.audience import session_id
from tierkit.codecs.http1 import get
from tierkit.codecs.signed_url import family
from tierkit.http import Fields
from tierkit.plugin import Connection

__all__ = ["identity"]

# Not nginx's md5: it is another one for each path.
_TOKEN = re.compile(rb"[?&]token=([^&]+)")


def identity(connection: Connection, target: bytes, fields: Fields) -> int:
    """A hash of what tells this viewer from others: token, CMCD session, or address and user agent.

    It is odd for the first two, and even for the last, by which several may be one.
    """
    if b"?" in target and (shown := token(target)) is not None:
        if (kin := family(shown)) is not None:
            # One of ours is the same for all whose URLs were signed in one second, and another in each folder.
            return hash((b"token", kin, connection.peer.host)) | 1
        return hash((b"token", shown)) | 1
    field = get(fields.headers, b"cmcd-session") if b"cmcd-session" in fields.names else None
    if (sid := session_id(target, field)) is not None:
        return hash((b"sid", sid)) | 1
    agent = fields.notes.get("agent")
    if agent is None:
        agent = fields.notes["agent"] = hash(get(fields.headers, b"user-agent"))
    return hash((connection.peer.host, agent)) & ~1


def token(target: bytes) -> bytes | None:
    """The token of a signed URL in a target."""
    match = _TOKEN.search(target)
    return match.group(1) if match is not None else None
