"""One session at the server for everybody, whatever mode it is in: the source alone, against a server of few lines.

The stand-in, with all that is known of real servers, stands in the tests beside this one.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock

from tierkit import Address
from tierkit.events import Event, UpstreamFound
from tierkit.plugin import Known, UpstreamError
from tierkit.plugins.wowza import LiveWowza, Wowza
from tierkit.plugins.wowza._sessions import HOLD_SECONDS, LONGEST_RENEW_AFTER, MASTER_SECONDS, MAX_LISTS, MAX_STREAMS

HTTP = ("http", "https")
MASTER = "/live/s/playlist.m3u8"
CHUNKLIST = "/live/s/chunklist_b500000.m3u8"


class Server:
    """A Wowza's names, and nothing else.  `ids` gives the part that a new session has."""

    def __init__(self, ids: Callable[[int], str]) -> None:
        self.ids = ids
        self.asked: list[str] = []
        self.alive: set[str] = set()
        self.on_air = True
        self.down = False
        self.number = 10

    def masters(self) -> int:
        return sum("playlist.m3u8" in each for each in self.asked)

    async def fetch(self, target: Address) -> Known:
        await trio.sleep(0.01)
        if self.down:
            raise UpstreamError("wowza", "refused the connection")
        path = target.path + (f"?{target.query}" if target.query else "")
        self.asked.append(path)
        status, body = self.answer(path)
        return Known(status, ((b"cache-control", b"no-cache"),), body.encode())

    def answer(self, path: str) -> tuple[int, str]:
        file = path.rpartition("/")[2]
        if not self.on_air:
            return 404, ""
        if file.startswith("playlist"):
            own = self.ids(len(self.asked))
            self.alive.add(own)
            child = f"chunklist{own}_b500000.m3u8" if not own.startswith("?") else f"chunklist_b500000.m3u8{own}"
            return 200, f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\n{child}\n"
        own = next((each for each in self.alive if each and each in file), "")
        if not own and "" not in self.alive:
            return 403, ""
        if "chunklist" in file:
            name = f"media{own}_b500000_{self.number}.ts" if own[:1] != "?" else f"media_b500000_{self.number}.ts{own}"
            return 200, f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9.433,\n{name}\n"
        return 200, "media"


class Viewer:
    """What an edge does with the source, for one request: prepare, ask, look at the answer, perhaps once more."""

    def __init__(self, server: Server, **options: object) -> None:
        self.server = server
        self.events: list[Event] = []
        recipe = Wowza(**options)  # type: ignore[arg-type]
        address = Address.parse("wowza.example:1935")
        self.source = LiveWowza(recipe, "wowza", address, clock=trio.current_time, emit=self.events.append)

    async def get(self, path: str) -> tuple[int, str]:
        for attempt in (1, 2):
            known = await self.source.prepare(path, self.server.fetch)
            target = await self.source.target(path, HTTP)
            if known is None:
                known = await self.server.fetch(target)
                if self.source.observe(target, known.status, known.headers) and attempt == 1:
                    continue
            break
        body = known.body
        if body.startswith(b"#EXTM3U"):
            body = self.source.rewrite(path, body)
        return known.status, body.decode()

    @property
    def found(self) -> list[str]:
        return [each.found for each in self.events if isinstance(each, UpstreamFound)]


def sessions(count: int) -> str:
    return f"_w{1000 + count}"


async def test_a_session_for_each_viewer_is_one_for_all(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    for _ in range(50):
        status, master = await viewer.get(MASTER)
        assert (status, master.splitlines()[-1]) == (200, "chunklist_b500000.m3u8")
        status, chunklist = await viewer.get(CHUNKLIST)
        assert (status, chunklist.splitlines()[-1]) == (200, "media_b500000_10.ts")
        assert (await viewer.get("/live/s/media_b500000_10.ts"))[0] == 200
        await trio.sleep(1)
    # Twice to find out, and never again.
    assert server.masters() == 2
    assert {each for each in server.asked if "chunklist" in each} == {"/live/s/chunklist_w1001_b500000.m3u8"}
    assert {each for each in server.asked if "media" in each} == {"/live/s/media_w1001_b500000_10.ts"}
    assert viewer.found == ["application 'live': a session for each viewer: one is shared by all"]
    assert viewer.source.statistics().modes == {"live": "a session for each viewer: one is shared by all"}
    assert (viewer.source.statistics().sessions, viewer.source.statistics().begun) == (1, 1)
    # Another stream of the application: once is enough.
    await viewer.get("/live/t/playlist.m3u8")
    assert server.masters() == 3


async def test_a_session_that_was_reaped_is_begun_anew_unseen(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    await viewer.get(MASTER)
    await viewer.get(CHUNKLIST)
    await trio.sleep(60)
    server.alive.clear()
    assert (await viewer.get("/live/s/media_b500000_10.ts"))[0] == 200
    assert (await viewer.get(CHUNKLIST))[1].splitlines()[-1] == "media_b500000_10.ts"
    assert viewer.source.statistics().renewed == 1
    assert server.masters() == 3


async def test_a_session_that_ended_with_its_stream_is_begun_anew_when_that_is_back(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    await viewer.get(MASTER)
    await viewer.get(CHUNKLIST)
    await trio.sleep(HOLD_SECONDS + 10)  # for longer than the last playlist is shown in the server's stead
    server.on_air = False
    server.alive.clear()
    assert (await viewer.get(CHUNKLIST))[0] == 404
    server.on_air = True
    await trio.sleep(2)
    assert (await viewer.get(CHUNKLIST))[0] == 200


async def test_what_was_to_be_shown_and_was_not_is_not_shown_hours_later(autojump_clock: MockClock) -> None:
    """A session begun anew did not help, so nobody was shown the last playlist; it must not turn up afterwards."""
    server = Server(sessions)
    viewer = Viewer(server)
    await viewer.get(MASTER)
    await viewer.get(CHUNKLIST)
    await trio.sleep(10)
    answer = server.answer
    server.answer = lambda path: (404, "") if "chunklist" in path else answer(path)  # type: ignore[method-assign]
    server.alive.clear()
    assert (await viewer.get(CHUNKLIST))[0] == 404
    await trio.sleep(3600)
    assert (await viewer.get(CHUNKLIST))[0] == 404


async def test_what_was_to_be_shown_may_have_been_forgotten_meanwhile(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    await viewer.get(MASTER)
    await viewer.get(CHUNKLIST)
    stream = viewer.source._streams.of("/live/s")
    assert stream.hold("chunklist_b500000.m3u8?", trio.current_time())
    for number in range(MAX_LISTS):
        stream.note(f"chunklist_b{number}.m3u8?", b"#EXTM3U\n", trio.current_time())
    assert (await viewer.get(CHUNKLIST))[0] == 200


async def test_a_child_that_nobody_has_told_of_has_a_session_begun(autojump_clock: MockClock) -> None:
    """The tier was started again, and its viewers go on where they were."""
    server = Server(sessions)
    viewer = Viewer(server)
    assert (await viewer.get("/live/s/media_b500000_9.ts"))[0] == 200
    assert server.asked[-1] == "/live/s/media_w1001_b500000_9.ts"


async def test_viewers_who_come_from_the_server_itself_bring_ids_of_their_own(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    assert (await viewer.get("/live/s/chunklist_w77_b500000.m3u8?wowzasessionid=5"))[0] == 200
    assert viewer.source.key("/live/s/chunklist_w77_b500000.m3u8") == CHUNKLIST
    assert server.asked[-1] == "/live/s/chunklist_w1001_b500000.m3u8"


async def test_a_segment_that_has_left_the_window_is_no_end_of_a_session(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    await viewer.get(MASTER)
    answer, gone = server.answer, "_b500000_1.ts"
    server.answer = lambda path: (404, "") if path.endswith(gone) else answer(path)  # type: ignore[method-assign]
    before, start = server.masters(), trio.current_time()
    while trio.current_time() < start + 600:
        await trio.sleep(1)
        assert (await viewer.get("/live/s/media_b500000_1.ts"))[0] == 404
    # Looked into ever more rarely.
    assert server.masters() - before <= 6 + 600 / LONGEST_RENEW_AFTER
    # While something of the session is there, that is forgotten.
    await viewer.get(CHUNKLIST)
    server.alive.clear()
    await trio.sleep(2)
    assert (await viewer.get(CHUNKLIST))[0] == 200


async def test_ids_that_stay_are_taken_out_and_masters_asked_for_plainly(autojump_clock: MockClock) -> None:
    servers = [Server(lambda count: "_w7"), Server(lambda count: "_w8")]
    viewers = [Viewer(each) for each in servers]
    for viewer in viewers:
        for _ in range(3):
            assert (await viewer.get(MASTER))[1].splitlines()[-1] == "chunklist_b500000.m3u8"
            assert (await viewer.get(CHUNKLIST))[1].splitlines()[-1] == "media_b500000_10.ts"
        assert viewer.found == ["application 'live': ids that stay the same (HTTP origin mode, older kind)"]
    assert [each.masters() for each in servers] == [4, 4]
    assert servers[1].asked[-1] == "/live/s/chunklist_w8_b500000.m3u8"


async def test_a_server_with_other_ids_after_its_restart(autojump_clock: MockClock) -> None:
    own = ["_w7"]
    server = Server(lambda count: own[0])
    viewer = Viewer(server)
    await viewer.get(MASTER)
    await viewer.get(CHUNKLIST)
    await trio.sleep(5)
    own[0] = "_w9"
    server.alive.clear()
    assert (await viewer.get(CHUNKLIST))[0] == 200
    assert server.asked[-1] == "/live/s/chunklist_w9_b500000.m3u8"


async def test_where_there_are_no_ids_nothing_is_done(autojump_clock: MockClock) -> None:
    server = Server(lambda count: "")
    viewer = Viewer(server)
    for _ in range(3):
        assert (await viewer.get(MASTER))[1].splitlines()[-1] == "chunklist_b500000.m3u8"
        assert (await viewer.get(CHUNKLIST))[0] == 200
    assert server.masters() == 3
    assert viewer.found == ["application 'live': no ids (HTTP origin mode)"]
    server.on_air = False
    await trio.sleep(HOLD_SECONDS + 10)
    before = len(server.asked)
    assert (await viewer.get(CHUNKLIST))[0] == 404
    assert len(server.asked) == before + 1


async def test_older_servers_have_the_id_in_the_query(autojump_clock: MockClock) -> None:
    server = Server(lambda count: f"?wowzasessionid={count}")
    viewer = Viewer(server)
    assert (await viewer.get(MASTER))[1].splitlines()[-1] == "chunklist_b500000.m3u8"
    assert (await viewer.get(CHUNKLIST))[1].splitlines()[-1] == "media_b500000_10.ts"
    assert (await viewer.get("/live/s/media_b500000_10.ts"))[0] == 200
    assert server.asked[-1] == "/live/s/media_b500000_10.ts?wowzasessionid=1"


async def test_a_change_of_mode_is_noticed(autojump_clock: MockClock) -> None:
    """Somebody has set the application up as an HTTP origin, or has taken that back."""
    mode: list[Callable[[int], str]] = [sessions]
    server = Server(lambda count: mode[0](count))
    viewer = Viewer(server)
    await viewer.get(MASTER)
    for ids, words in ((lambda count: "", "no ids"), (sessions, "a session for each")):
        mode[0] = ids
        server.alive.clear()
        await trio.sleep(MASTER_SECONDS + 1)
        for _ in range(3):
            await viewer.get(MASTER)
        assert (await viewer.get(CHUNKLIST))[0] == 200
        assert words in viewer.found[-1]


async def test_many_who_wait_for_a_session_cost_one(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(viewer.get, f"/live/s/media_b500000_{number}.ts")
    assert server.masters() == 2


async def test_a_stream_that_is_not_there_costs_one_look_a_second(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    server.on_air = False
    viewer = Viewer(server)
    for number in range(100):
        assert (await viewer.get(f"/live/s/media_b500000_{number}.ts"))[0] == 404
        await trio.sleep(0.05)
    assert server.masters() <= 8
    server.on_air = True
    await trio.sleep(1)
    assert (await viewer.get(MASTER))[0] == 200


async def test_a_server_that_is_down_holds_nobody_in_a_line(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    server.down = True
    failures = []

    async def get(number: int) -> None:
        try:
            await viewer.get(f"/live/s/media_b500000_{number}.ts")
        except UpstreamError as error:
            failures.append(str(error))

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(get, number)
    assert len(failures) == 50
    assert trio.current_time() - start < 0.1


async def test_the_past_has_a_session_of_its_own(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    for _ in range(5):
        await viewer.get(MASTER)
        await viewer.get(f"{MASTER}?DVR")
    assert server.masters() == 3
    assert viewer.source.statistics().sessions == 2


async def test_what_is_remembered_is_bounded(autojump_clock: MockClock) -> None:
    server = Server(sessions)
    viewer = Viewer(server)
    for number in range(MAX_STREAMS + 50):
        await viewer.get(f"/live/s{number}/playlist.m3u8")
    assert viewer.source.statistics().sessions == MAX_STREAMS


async def test_what_a_server_echoes_of_a_request_is_no_viewers_business() -> None:
    source = Viewer(Server(sessions)).source
    playlist = b"""#EXTM3U
#EXT-X-MAP:URI="header_w5_b1_m3u8.cmfv?nc=0.39&DVR"
#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k?id=1&wowzasessionid=77"
#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k?id=1"
#EXTINF:4,
media_w5_b1_1_m3u8.cmfv?nc=0.39
#EXT-X-RENDITION-REPORT:URI="../s2/chunklist_w5_b2.m3u8?_HLS_msn=4&_HLS_part=1",LAST-MSN=4
"""
    assert source.rewrite("/live/s/chunklist_b1.m3u8", playlist).decode().splitlines() == [
        "#EXTM3U",
        '#EXT-X-MAP:URI="header_b1_m3u8.cmfv?DVR"',
        '#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k?id=1"',
        '#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example/k?id=1"',
        "#EXTINF:4,",
        "media_b1_1_m3u8.cmfv",
        '#EXT-X-RENDITION-REPORT:URI="../s2/chunklist_b2.m3u8",LAST-MSN=4',
    ]


async def test_a_parameter_that_the_server_must_see_may_be_named() -> None:
    source = Viewer(Server(sessions), query=("lang",)).source
    assert source.key("/live/s/playlist.m3u8?x=1&lang=el&DVR") == "/live/s/playlist.m3u8?lang=el&DVR"
    assert source.key("/live/s?x=1") == "/live/s?x=1"  # RTMP
