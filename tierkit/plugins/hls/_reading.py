"""Playlists and manifests as they come from upstream: read once for each version, and made fit for viewers."""

from __future__ import annotations

from tierkit.codecs.dash import MAX_MPD, read_mpd
from tierkit.codecs.hls import MAX_PLAYLIST, Kind, read_playlist
from tierkit.codecs.http1 import Headers, get
from tierkit.http import ClientResponse
from tierkit.plugin import Address, Candidate, Context, RemoteProtocolError

from ._about import About
from ._elsewhere import Elsewhere, own_name
from ._health import BadAnswer

__all__ = ["read_body"]

#: Playlists longer than this are parsed in a thread: some 3 µs a segment, and nobody waits for a day of DVR.
LONG_PLAYLIST = 65536


async def read_body(
    ctx: Context,
    elsewhere: Elsewhere,
    kind: Kind,
    path: str,
    candidate: Candidate,
    target: Address,
    response: ClientResponse,
) -> tuple[bytes | None, About]:
    """The body of a playlist or manifest as viewers may have it, and what it says; None for all else.

    Raises BadAnswer where it is not what it says it is.
    """
    if kind not in ("playlist", "mpd") or response.status != 200:
        return None, About(kind=kind)
    if is_compressed(response.headers):
        raise BadAnswer(candidate.name, "sent a compressed playlist, which was not asked for")
    try:
        if kind == "mpd":
            body = await response.read(MAX_MPD)
            return body, About(kind=kind, mpd=read_mpd(body))
        body = candidate.source.rewrite(path, await response.read(MAX_PLAYLIST))
        body = elsewhere.brought_home(path, body, {own_name(target)})
        facts = await ctx.run_sync(read_playlist, body) if len(body) > LONG_PLAYLIST else read_playlist(body)
        return body, About(kind=kind, facts=facts)
    except RemoteProtocolError as error:
        raise BadAnswer(candidate.name, f"{path.partition('?')[0]}: {error}") from None


def is_compressed(headers: Headers) -> bool:
    """Whether a body would have to be unpacked to be read: a few bytes may become any number."""
    return get(headers, b"content-encoding") not in (None, b"identity")
