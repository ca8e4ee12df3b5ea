"""Which session stands behind each stream: what its master playlist was, and what its children are called there.

Plain state: nothing is asked here.  `_live.py` tells what it is for.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from enum import Enum

import trio
from attrs import define, field

from tierkit.codecs.hls_rewrite import Child, rewrite
from tierkit.codecs.hls_uris import with_pairs
from tierkit.codecs.wowza_names import SESSION_PARAMETER, Ids, canonical, filled, ids_of, kept_query, named, pattern
from tierkit.plugin import Known

from ._newest import Newest
from ._runs import Runs

__all__ = ["MASTER_SECONDS", "MISSING_SECONDS", "Mode", "Session", "StreamNames", "Streams"]

#: Streams that one tier remembers: what a stranger asks for must not fill memory.
MAX_STREAMS = 1024
#: Master playlists of one stream: live, from its past, by either packetizer.
MAX_MASTERS = 4
#: Children of one stream whose names are kept: a chunklist and a pattern of segments for each rendition and language.
MAX_NAMES = 256
#: Seconds for which a master playlist of a session is not asked for again, because each time is one session more.
MASTER_SECONDS = 300.0
#: Seconds after a session was begun before a refusal is taken for the end of it, at first and at most: a segment that
#: has left the window is a 404 as well, and each look costs the server a session.
RENEW_AFTER, LONGEST_RENEW_AFTER = 1.0, 60.0
#: Seconds behind its last new version for which a media playlist that is not there is shown all the same.  An encoder
#: that comes back has Wowza take some 30 s until there is something to list, and hls.js gives up at the third 404.
HOLD_SECONDS = 60.0
#: Media playlists of one stream that are kept for that, and bytes of the largest: that of an hour and more.
MAX_LISTS, MAX_HELD = 16, 65536
#: Seconds for which a stream without a master playlist is not looked for again.
MISSING_SECONDS = 1.0


class Mode(Enum):
    """What the names of an application's children are made of."""

    UNKNOWN = "not known yet"
    SESSIONS = "a session for each viewer: one is shared by all"
    FIXED = "ids that stay the same (HTTP origin mode, older kind)"
    PLAIN = "no ids (HTTP origin mode)"


@define(eq=False)
class Session:
    """What began with one master playlist."""

    #: In the names of all its children.
    ids: Ids
    begun: float
    known: Known | None = None
    #: It was seen to be gone.
    stale: bool = False
    #: How long it is trusted after its beginning, whatever is refused.
    trust: float = RENEW_AFTER

    def holds(self, now: float) -> bool:
        """Whether its master playlist is still the one to give."""
        return not self.stale and now - self.begun < MASTER_SECONDS


@define(eq=False)
class StreamNames:
    """One stream: a folder on the server."""

    #: By master playlist, its file and query: a stream is played live and from its past (``?DVR``) by two of them.
    sessions: OrderedDict[str, Session] = field(factory=OrderedDict)
    #: Canonical patterns of children, the session that they are of, and what they are called in it.
    names: Newest[str, tuple[Session, str]] = field(factory=lambda: Newest(MAX_NAMES))
    #: The master playlist that was asked for last: by it a session is begun for a child that nobody has told of.
    master: str = "playlist.m3u8"
    missing_until: float = -math.inf
    runs: Runs = field(factory=Runs)
    #: The last version of each media playlist, and when it was new; those that are to be shown in the server's stead.
    lists: Newest[str, tuple[bytes, float]] = field(factory=lambda: Newest(MAX_LISTS))
    held: set[str] = field(factory=set)
    lock: trio.Lock = field(factory=trio.Lock)

    def session_of(self, file: str) -> tuple[str, Session | None]:
        """The master playlist that a canonical child belongs to, and its session."""
        told = self.names.get(pattern(file)[0])
        if told is not None:
            for master, session in self.sessions.items():
                if session is told[0]:
                    return master, session
        return self.master, self.sessions.get(self.master)

    def begin(self, master: str, ids: Ids, known: Known | None, now: float) -> None:
        """Another session stands behind a master playlist from now on."""
        before = self.sessions.get(master)
        session = Session(ids, now, known, trust=RENEW_AFTER if before is None else before.trust)
        # Players go on with what they know, and the server spells names as it did: only the ids are others.
        if before is not None and bool(before.ids.session) == bool(ids.session):
            for of, (told, actual) in self.names.items():
                if told is before:
                    self.names[of] = session, _with(actual, before.ids, ids)
        self.end(master)
        self.sessions[master] = session
        while len(self.sessions) > MAX_MASTERS:
            self.end(next(iter(self.sessions)))

    def end(self, master: str) -> None:
        """Forget a session, and what its children are called."""
        ended = self.sessions.pop(master, None)
        for of in [of for of, (session, _) in self.names.items() if session is ended]:
            del self.names[of]

    def judge(self, file: str, query: str, *, refused: bool, now: float) -> bool:
        """What came of asking for a child by its name in a session; True where it is to be asked for once more."""
        if not (ids := ids_of(file, query)):
            return False
        session = next((each for each in self.sessions.values() if each.ids == ids), None)
        if session is None:  # of one that another has taken the place of meanwhile
            return refused
        if not refused:
            session.trust = RENEW_AFTER
            return False
        if now - session.begun < session.trust:
            return False
        session.trust = min(LONGEST_RENEW_AFTER, 2 * session.trust)  # until one of its children is there
        session.stale = True
        return True

    def note(self, listed: str, playlist: bytes, now: float) -> None:
        """A version of a media playlist has come, or the last one once more."""
        if len(playlist) > MAX_HELD or self.lists.get(listed, (b"", 0.0))[0] == playlist:
            return
        self.lists.put(listed, (playlist, now))

    def last(self, listed: str, now: float) -> Known | None:
        """The last version of a media playlist, while that may be shown for one that is not there."""
        playlist, new = self.lists.get(listed, (b"", -math.inf))
        if now - new > HOLD_SECONDS:
            return None
        return Known(200, ((b"content-type", b"application/vnd.apple.mpegurl"),), playlist)

    def hold(self, listed: str, now: float) -> bool:
        """A media playlist is not there: whether its last version is to be shown when it is asked for next."""
        if self.last(listed, now) is None:
            return False
        self.held.add(listed)
        return True

    def shown_for(self, listed: str, now: float) -> Known | None:
        """What is shown for a media playlist this once."""
        if listed not in self.held:
            return None
        self.held.discard(listed)
        return self.last(listed, now)

    def actual(self, file: str) -> tuple[str, str]:
        """What a canonical child is called in its session, and what its query must say there."""
        of, number = pattern(file)
        told = self.names.get(of)
        session = told[0] if told is not None else self.sessions.get(self.master)
        if session is None:
            return file, ""
        return (named(file, session.ids) if told is None else filled(told[1], number)), session.ids.query

    def learn(self, file: str, query: str) -> str:
        """Take a name from a playlist; returns the canonical one."""
        plain, ids = canonical(file), ids_of(file, query)
        # What was under way when a session was begun anew is of the one before, and of none.
        for session in self.sessions.values() if ids else ():
            if (session.ids.session, session.ids.query) == (ids.session, ids.query):
                self.names.put(pattern(plain)[0], (session, pattern(file)[0]))
        return plain

    def rewritten(self, file: str, playlist: bytes, kept: tuple[str, ...]) -> bytes:
        """The playlist of this canonical name with canonical names in it, one run of the encoder after the other, and
        without what the server has echoed of our request."""
        playlist, before = self.runs.shown(file, playlist)

        def home(child: Child) -> str:
            uri = child.uri
            if "://" in uri or uri.startswith("//"):
                return with_pairs(uri, {SESSION_PARAMETER}, "") if SESSION_PARAMETER in uri else uri
            path, mark, query = uri.partition("?")
            folder, slash, name = path.rpartition("/")
            plain = self.runs.marked(self.learn(name, query), before)
            left = kept_query(query, kept)
            if plain == name and left == query and bool(mark) == bool(query):
                return uri
            return f"{folder}{slash}{plain}{'?' if left else ''}{left}"

        return rewrite(playlist, home)


def _with(actual: str, old: Ids, new: Ids) -> str:
    """A child's name, or pattern, with the ids of another session."""
    for before, after in ((old.session, new.session), (old.token, new.token)):
        actual = actual.replace(before, after, 1) if before else actual
    return actual


class Streams:
    """All streams of one server that were asked for lately; its length is the number of sessions."""

    def __init__(self) -> None:
        self._streams = Newest[str, StreamNames](MAX_STREAMS)
        self.modes: dict[str, Mode] = {}

    def __len__(self) -> int:
        return sum(bool(session.ids) for stream in self._streams.values() for session in stream.sessions.values())

    def get(self, folder: str) -> StreamNames | None:
        """One that is known."""
        return self._streams.get(folder)

    def of(self, folder: str) -> StreamNames:
        """One stream, known from now on; the one that was asked for longest ago is forgotten."""
        found = self._streams.get(folder) or StreamNames()
        self._streams.put(folder, found)
        return found

    def mode(self, app: str) -> Mode:
        """What is known of an application."""
        return self.modes.get(app, Mode.UNKNOWN)
