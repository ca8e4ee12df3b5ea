"""The names under a stream: how a rendition's chunklist and its chunks are called, and what a URL asks for.

    chunklist [_w<session>] [_b<bitrate>] [_vo] [_sl<lang>] [_t64<base64>] [_tk<base64>] [_DVR] .m3u8
    media     [-u<random>] [...the same...] _<n>.ts
    chunklist[-b<bitrate>].m3u8?wowzasessionid=<session>        as older servers have it

A name is made, and never taken apart again: what is asked for is compared with what would have been handed out.
Only a session's id is read out of it, because it says which session that was.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final
from urllib.parse import unquote

from attrs import frozen

from ._model import DEFAULT_INSTANCE
from ._sessions import Place
from ._shown_hls import INSTANCE_ALIAS, LABELS, QUERY_NAMES, RANDOM_NAMES, SESSION_NAMES
from ._streams import Rendition

__all__ = ["Asked", "Names", "asked_for"]

PLAYLIST: Final = "playlist.m3u8"
_CHUNK: Final = re.compile(r"(.*)_([0-9]{1,18})\.ts\Z")
_SESSION: Final = re.compile(r"_w([0-9]{1,10})(?=[_.])")
_QUERY_SESSION: Final = re.compile(r"wowzasessionid=([0-9]{1,10})\Z")
#: What a child does not inherit: it has a place of its own in names, or is for one request alone.
_OWN: Final = re.compile(r"wowzasessionid=|_HLS_|DVR\Z")


@frozen(kw_only=True)
class Names:
    """How one rendition's files are called for one session."""

    rendition: Rendition
    #: The id in names; None for none.
    session: int | None = None
    #: Whether the id stands in the query.
    by_query: bool = False
    dvr: bool = False
    #: The query of a SecureToken, for `_tk`.
    token: str = ""
    #: The encoder's random token, for chunks.
    random: str = ""

    @SESSION_NAMES.shown
    @LABELS.shown
    def _parts(self) -> dict[str, str]:
        rendition = self.rendition
        return {
            "w": f"_w{self.session}" if self.session is not None and not self.by_query else "",
            "b": f"{'-' if self.by_query else '_'}b{rendition.bitrate}" if rendition.bitrate is not None else "",
            "vo": "_vo" if rendition.video_only else "",
            "sl": f"_sl{rendition.language}" if rendition.language else "",
            "t64": f"_t64{_base64(rendition.label)}" if rendition.label else "",
            "tk": f"_tk{_base64(self.token)}" if self.token else "",
            "DVR": "_DVR" if self.dvr else "",
        }

    def _middle(self) -> str:
        parts = self._parts()
        return "".join(parts[each] for each in self.rendition.order)

    @property
    def chunklist(self) -> str:
        """``chunklist_w1_b764000.m3u8``."""
        return f"chunklist{self._middle()}.m3u8"

    @RANDOM_NAMES.shown
    def chunk(self, number: int) -> str:
        """``media_w1_b764000_26383.ts``."""
        random = f"-u{self.random}" if self.random else ""
        return f"media{random}{self._middle()}_{number}.ts"

    def number_of(self, file: str) -> int | None:
        """The number of a chunk by the name that `chunk` gives it; None for any other name."""
        match = _CHUNK.match(file)
        if match is None or self.chunk(int(match[2])) != file:
            return None
        return int(match[2])

    @QUERY_NAMES.shown
    def uri(self, file: str, echoed: str = "") -> str:
        """A file as a playlist spells it, with what its children inherit of the query."""
        own = f"wowzasessionid={self.session}" if self.by_query and self.session is not None else ""
        query = "&".join(filter(None, (own, echoed)))
        return f"{file}?{query}" if query else file


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


@frozen(kw_only=True)
class Asked:
    """What a URL asks for."""

    place: Place
    #: The last part of the path.
    file: str
    #: What a SecureToken is for: the path before the file, as it was spelt.
    content: str
    query: str
    #: The session that it names, in either grammar.
    session: int | None
    dvr: bool

    @property
    def echoed(self) -> str:
        """What of the query children inherit."""
        return "&".join(pair for pair in self.query.split("&") if pair and not _OWN.match(pair))

    @property
    def waits_for(self) -> int | None:
        """``_HLS_msn``: the chunk that a playlist of low latency is to end with, at least."""
        match = re.search(r"(?:^|&)_HLS_msn=([0-9]{1,15})(?:&|\Z)", self.query)
        return int(match[1]) if match else None


@INSTANCE_ALIAS.shown
def asked_for(path: str, query: str) -> Asked | None:
    """What a path and a query ask for: ``/app[/instance]/stream/file``; None for a path of another shape.

    A stream's name has slashes in it only where the instance is named (vendor's text, S2).
    """
    content, slash, file = path.rpartition("/")
    parts = [unquote(part) for part in content.split("/")[1:]]
    if not slash or len(parts) < 2 or not all(parts) or not file:
        return None
    application, *rest = parts
    instance = rest.pop(0) if len(rest) > 1 else DEFAULT_INSTANCE
    file = unquote(file)
    pairs = query.split("&")
    in_query = next((match for pair in pairs if (match := _QUERY_SESSION.match(pair))), None)
    match = in_query or _SESSION.search(file)
    return Asked(
        place=Place(application, instance, "/".join(rest)),
        file=file,
        content=content[1:],
        query=query,
        session=int(match[1]) if match else None,
        dvr="DVR" in pairs or file.endswith("_DVR.m3u8") or "_DVR_" in file,
    )
