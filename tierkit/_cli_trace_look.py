"""How far one place is with a stream, seen as a viewer of it sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from urllib.parse import urljoin

import trio
from attrs import define, field

from tierkit import Address, Trust
from tierkit.codecs.hls import PlaylistFacts, read_playlist
from tierkit.codecs.http1 import get
from tierkit.errors import TierkitError
from tierkit.http import HttpClient
from tierkit.plugin import Network
from tierkit.rtmp import pull

from ._cli_trace_plan import Hop

__all__ = ["FrameLook", "PlaylistLook", "look_at_frames", "look_at_playlist", "look_once"]

#: Seconds between two questions for a playlist.
EVERY = 0.5
#: Seconds for one answer, and bytes of a playlist and of a segment.
PATIENCE = 10.0
LONGEST_PLAYLIST = 4 << 20
LONGEST_SEGMENT = 256 << 20
#: Seconds after the first frame from which on frames are live: before that comes what was there already.
SETTLED = 1.0
VIDEO, AUDIO = 9, 8


@define(eq=False)
class PlaylistLook:
    """A place, by its playlist.  Times are on trio's clock."""

    hop: Hop
    trouble: str = ""
    via: bytes = b""
    facts: PlaylistFacts | None = None
    #: When the playlist was found to reach further, and to which media sequence number.
    reached: list[tuple[float, int]] = field(factory=list)
    #: Of the newest segment: seconds to its first byte, and for all of it; its bytes; how long it lasts.
    first_byte: float | None = None
    took: float | None = None
    size: int = 0
    lasts: float = 0.0

    @property
    def next(self) -> int | None:
        """The media sequence number that comes next."""
        return self.reached[-1][1] if self.reached else None

    def at(self, now: float) -> int | None:
        """The same, some time ago."""
        found = None
        for when, number in self.reached:
            if when <= now:
                found = number
        return found

    @property
    def each(self) -> float:
        """Seconds that a segment lasts."""
        facts = self.facts
        if facts is None or not facts.listed:
            return 0.0
        return facts.window / (facts.listed + facts.skipped) or facts.pace


@define(eq=False)
class FrameLook:
    """A place, by the frames that a player gets there: when each has come, by a hash of it."""

    hop: Hop
    trouble: str = ""
    frames: dict[bytes, float] = field(factory=dict)
    first_at: float | None = None


def _trust(hop: Hop, trust: Trust | None) -> Trust | None:
    return Trust(verify=False) if hop.ours else trust


async def look_at_playlist(
    look: PlaylistLook, network: Network, trust: Trust | None, until: Callable[[], float]
) -> None:
    """Ask for the playlist again and again, and once for its newest segment when that is new."""
    client = HttpClient(network, trio.current_time)
    others = HttpClient(network, trio.current_time)
    trust = _trust(look.hop, trust)
    fetched = False
    async with trio.open_nursery() as nursery:
        due = trio.current_time()
        while trio.current_time() < until():
            facts = await _playlist(look, client, trust)
            if facts is not None:
                moved = look.next is None or facts.next_sequence > look.next
                if moved:
                    # The first that is seen may be old; what comes next is as new as it can be here.
                    if look.reached and not fetched and facts.segments:
                        fetched = True
                        nursery.start_soon(_segment, look, others, trust, facts.segments[-1].uri)
                        look.lasts = facts.segments[-1].duration
                    look.reached.append((trio.current_time(), facts.next_sequence))
                look.facts = facts
            due = max(due + EVERY, trio.current_time())
            await trio.sleep_until(due)
        nursery.cancel_scope.deadline = trio.current_time() + look.lasts * 2 + 1
    client.close()
    others.close()


async def look_once(look: PlaylistLook, network: Network, trust: Trust | None) -> None:
    """Ask for the playlist: where it is, and by which way it has come.  Raises TierkitError."""
    client = HttpClient(network, trio.current_time)
    try:
        look.facts = await _playlist(look, client, _trust(look.hop, trust))
    finally:
        client.close()
    if look.facts is None:
        raise TierkitError(f"{look.hop.url}: {look.trouble}: is it a playlist's URL?")


async def _playlist(look: PlaylistLook, client: HttpClient, trust: Trust | None) -> PlaylistFacts | None:
    """The media playlist there; a multivariant one leads to its first variant."""
    for _ in range(2):
        try:
            with trio.fail_after(PATIENCE):
                async with client.request("GET", look.hop.url, trust=trust) as response:
                    body = await response.read(LONGEST_PLAYLIST)
        except (TierkitError, trio.TooSlowError) as error:
            look.trouble = _said(error)
            return None
        if response.status != 200:
            look.trouble = f"answers {response.status}"
            return None
        look.via = get(response.headers, b"via") or look.via
        facts = read_playlist(body)
        if not facts.multivariant:
            look.trouble = ""
            return facts
        if not facts.variants:
            break
        look.hop = Hop(
            look.hop.name, _joined(look.hop.url, facts.variants[0]), look.hop.parents, look.hop.figures, look.hop.ours
        )
    look.trouble = "answers what is no media playlist"
    return None


async def _segment(look: PlaylistLook, client: HttpClient, trust: Trust | None, uri: str) -> None:
    begun = trio.current_time()
    try:
        async with client.request("GET", _joined(look.hop.url, uri), trust=trust) as response:
            look.first_byte = trio.current_time() - begun
            if response.status != 200:
                look.trouble = f"answers {response.status} for its newest segment"
                return
            while piece := await response.read_some():
                look.size += len(piece)
        look.took = trio.current_time() - begun
    except TierkitError as error:
        look.trouble = f"its newest segment: {_said(error)}"


def _joined(base: Address, uri: str) -> Address:
    found = Address.parse(urljoin(str(base), uri))
    return base.with_(path=found.path, query=found.query) if found.host == base.host else found


async def look_at_frames(look: FrameLook, network: Network, trust: Trust | None, until: Callable[[], float]) -> None:
    """Play until it is time, and write down when each frame has come."""

    def started() -> Callable[[int, int, bytes], None]:
        look.first_at = look.first_at or trio.current_time()
        return partial(_came, look)

    with trio.CancelScope() as scope:
        scope.deadline = until()
        try:
            look.trouble = f"ended: {await pull(network, look.hop.url, started=started, trust=_trust(look.hop, trust))}"
        except TierkitError as error:
            look.trouble = _said(error)
    if look.first_at is None and not look.trouble:
        look.trouble = "sends nothing"


def _came(look: FrameLook, kind: int, timestamp: int, payload: bytes) -> None:
    now = trio.current_time()
    assert look.first_at is not None
    if kind in (VIDEO, AUDIO) and now - look.first_at >= SETTLED:
        look.frames.setdefault(blake2b(payload, digest_size=8).digest(), now)


def _said(error: BaseException) -> str:
    if isinstance(error, trio.TooSlowError):
        return f"has not answered within {PATIENCE:g} s"
    return str(getattr(error, "reason", "") or error)
