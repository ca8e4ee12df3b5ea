"""Asking other servers: who we are, where they send us, when they take us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address
from tierkit.errors import NotServed, UpstreamError
from tierkit.rtmp import RTMPPlace, RTMPRefused, RTMPTimeouts, open_publisher, pull
from tierkit.testing import MemoryNetwork

from .double import Double, Refused, adobe, elsewhere
from .media import Sent, frame, gop, headers, key, letter

URL = "rtmp://source1:s3cret@far.example:1935/live/s"


def at(text: str) -> Address:
    return Address.parse(text)


@asynccontextmanager
async def double(where: str = "rtmp://far.example:1935", network: MemoryNetwork | None = None) -> AsyncIterator[Double]:
    async with trio.open_nursery() as nursery:
        made = Double(network or MemoryNetwork(), where)
        await nursery.start(made.run)
        yield made
        nursery.cancel_scope.cancel()


class Taken(list[Sent]):
    """What a pull hands over; `begun` counts its beginnings."""

    begun = 0

    def started(self) -> Callable[[int, int, bytes], None]:
        self.begun += 1
        return lambda *message: self.append(Sent(*message))

    @property
    def letters(self) -> str:
        return "".join(letter(each.type_id, each.payload) for each in self)


async def take(far: Double, url: str, seconds: float = 1, **options: Any) -> Taken:
    taken = Taken()
    with trio.move_on_after(seconds):
        await pull(far.network, at(url), started=taken.started, **options)
    return taken


# --- who we are --------------------------------------------------------------------------------------


@pytest.mark.parametrize("opaque", ["", "vgoAAA=="])
async def test_authmod_is_answered_by_who_plays_and_who_publishes(autojump_clock: MockClock, opaque: str) -> None:
    async with double() as far:
        far.judge = adobe("source1", "s3cret", opaque=opaque)
        far.media = [*headers(), *gop(0)]
        taken = await take(far, URL)
        assert taken.letters.startswith("MVAK")
        assert len(far.visits) == 3
        async with open_publisher(far.network, at(URL)) as publisher:
            await publisher.send(*key(0))
            await trio.sleep(1)
        assert len(far.visits) == 6
        assert far.last.asked[0].startswith("/live/s?authmod=adobe&user=source1&challenge=")
        assert [each.payload for each in far.last.media] == [key(0).payload]
        assert not any("s3cret" in repr(each.connect.object) for each in far.visits if each.connect)


async def test_limelights_digest_is_answered(autojump_clock: MockClock) -> None:
    def judge(request: Any) -> None:
        app = request.app
        if "authmod=llnw" not in app:
            raise Refused("[ code=403 need auth; authmod=llnw ]")
        if "response=" not in app:
            raise Refused("[ authmod=llnw ] : ?reason=needauth&user=source1&nonce=n0nce")

    async with double() as far:
        far.judge = judge
        far.media = [*headers(), *gop(0)]
        assert (await take(far, URL)).begun == 1
        assert "&nonce=n0nce&cnonce=" in far.last.asked[0]


@pytest.mark.parametrize(
    ("url", "told", "visits"),
    [
        (URL.replace("s3cret", "wr0ng"), "it takes neither this user nor this password: mend them in the URL", 3),
        (URL.replace("source1", "nobody"), "it knows no such user", 2),
        ("rtmp://far.example:1935/live/s", "wants a user and a password (authmod=adobe): write rtmp://USER:PASS", 1),
    ],
)
async def test_credentials_that_do_not_do_are_told_once(
    autojump_clock: MockClock, url: str, told: str, visits: int
) -> None:
    async with double() as far:
        far.judge = adobe("source1", "s3cret", opaque="o")
        with pytest.raises(RTMPRefused) as caught:
            await take(far, url)
        assert told in str(caught.value)
        assert not {"s3cret", "wr0ng", "xyz"} & set(str(caught.value).replace(":", " ").split())
        assert len(str(caught.value).splitlines()) == 1
        assert len(far.visits) == visits
        with pytest.raises(RTMPRefused, match="authmod=adobe"):
            async with open_publisher(far.network, at(url)):
                raise AssertionError("it was not to be taken")


@pytest.mark.parametrize("said", ["code=403 need auth; authmod=adobe", "authmod=adobe ?reason=needauth&salt=1"])
async def test_a_server_that_asks_for_ever_is_given_up(autojump_clock: MockClock, said: str) -> None:
    def judge(request: Any) -> None:
        raise Refused(said)

    async with double() as far:
        far.judge = judge
        with pytest.raises(RTMPRefused, match="does not take our answer"):
            await take(far, URL)
        assert len(far.visits) <= 3


async def test_a_greeting_is_sent_before_anything_is_asked(autojump_clock: MockClock) -> None:
    async with double() as far:
        far.more = {"secureToken": "9980e2f3f615b613871adcd3a7dc6608"}
        far.media = [*headers(), *gop(0)]

        def greeting(said: Any) -> list[tuple[str, str]]:
            assert not far.last.asked
            return [("secureTokenResponse", said["secureToken"][:4])]

        assert (await take(far, URL, greeting=greeting)).begun == 1
        assert far.last.calls == [("secureTokenResponse", "9980")]


# --- where they send us ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["connect", "play"])
async def test_a_redirect_to_a_known_host_is_followed(autojump_clock: MockClock, how: str) -> None:
    async with double() as far, double("rtmp://near.example:1936", far.network) as near:
        if how == "connect":
            far.judge = elsewhere("rtmp://near.example:1936/other")
        else:
            far.redirect = "rtmp://near.example:1936/other"
        near.judge = adobe("near", "pw")
        near.media = [*headers(), *gop(0)]
        others = [RTMPPlace(at("rtmp://near:pw@near.example/live/s"))]
        taken = await take(far, "rtmp://far.example:1935/live/s?k=v", others=others)
        assert taken.begun == 1
        assert near.last.asked[0].startswith("/other/s?")
        assert near.last.asked[0].endswith("&k=v")
        async with open_publisher(far.network, at(URL), others=others) as publisher:
            await publisher.send(*key(0))
            await trio.sleep(1)
        assert near.last.media


@pytest.mark.parametrize(
    ("scheme", "target", "told"),
    [
        ("rtmp", "rtmp://evil.example/live", "sends us to evil.example, which is none of ours: name it beside this"),
        ("rtmp", "http://far.example/live", "sends us elsewhere, but it points to no application"),
        ("rtmp", "rtmp://far.example:1935/live", "sends us elsewhere, as 3 before it did"),
    ],
)
async def test_a_redirect_elsewhere_is_told_and_not_followed(
    autojump_clock: MockClock, scheme: str, target: str, told: str
) -> None:
    async with double() as far:
        far.judge = elsewhere(target)
        with pytest.raises(UpstreamError) as caught:
            await take(far, URL)
        assert told in str(caught.value)
        with pytest.raises(UpstreamError) as caught:
            async with open_publisher(far.network, at(URL)):
                raise AssertionError("it was not to be taken")
        assert told in str(caught.value)
        assert {each.address.host for each in far.network.connections} == {"far.example"}


# --- when they ask us away ---------------------------------------------------------------------------


async def test_a_player_that_is_asked_away_plays_on_until_the_other_has_a_keyframe(autojump_clock: MockClock) -> None:
    taken = Taken()
    async with double() as far, double("rtmp://near.example:1935", far.network) as near, trio.open_nursery() as nursery:
        near.media = [*headers(mark=1), frame(1000)]
        others = [RTMPPlace(at("rtmp://near.example/live/s"))]
        nursery.start_soon(lambda: pull(far.network, at(URL), started=taken.started, others=others))
        await trio.sleep(1)
        old = far.last
        await old.send(*headers(), *gop(0, 2))
        await old.ask_away("rtmp://near.example/live")
        await old.ask_away("rtmp://near.example/live")  # once is enough
        await trio.sleep(3)
        await old.send(*gop(2000, 2))
        await trio.sleep(1)
        assert taken.letters == "MVAKSPSKSPS"
        assert (taken.begun, old.over) == (1, False)
        await near.last.send(*gop(1040, 2))
        await trio.sleep(1)
        # Its headers come along, and what it sent in the middle of a GOP does not.
        assert taken.letters == "MVAKSPSKSPSMVAKSPS"
        assert taken.begun == 2
        assert old.over
        assert len(near.visits) == 1
        nursery.cancel_scope.cancel()


async def test_sound_alone_is_gone_on_with(autojump_clock: MockClock) -> None:
    taken = Taken()
    sounds = [each for each in gop(0, 60) if each.type_id == 8]
    async with double() as far, trio.open_nursery() as nursery:
        far.media = sounds
        nursery.start_soon(lambda: pull(far.network, at(URL), started=taken.started))
        await trio.sleep(1)
        await far.last.ask_away("")
        await trio.sleep(3)
        assert (len(far.visits), taken.begun, far.visits[0].over) == (2, 2, True)
        nursery.cancel_scope.cancel()


async def test_where_the_other_comes_to_nothing_the_old_one_is_played_to_its_end(autojump_clock: MockClock) -> None:
    for target in ("rtmp://dead.example/live", "rtmp://evil.example/live", "nonsense://"):
        taken = Taken()
        async with double() as far:
            far.media = [*headers(), *gop(0)]
            others = [RTMPPlace(at("rtmp://dead.example/live/s"))]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_end_later, far, target)
                with pytest.raises(UpstreamError, match=r"far\.example:1935: the connection was lost"):
                    await pull(far.network, at(URL), started=taken.started, others=others)
            assert taken.letters == "MVAKSPSPSPSKSPSPSPS"


async def _end_later(far: Double, target: str) -> None:
    await trio.sleep(1)
    await far.last.ask_away(target)
    await trio.sleep(5)
    await far.last.send(*gop(1000))
    far.last.connection.close()


async def test_a_server_that_asks_away_without_end_does_not_keep_us_busy(autojump_clock: MockClock) -> None:
    async with double() as far, trio.open_nursery() as nursery:
        far.media = [*headers(), *gop(0)]
        taken = Taken()
        nursery.start_soon(lambda: pull(far.network, at(URL), started=taken.started))
        with trio.move_on_after(60):
            while True:
                await trio.sleep(0.1)
                for visit in far.visits:
                    if not visit.over:
                        await visit.ask_away("")
        assert 10 <= len(far.visits) <= 14
        nursery.cancel_scope.cancel()


# --- publishing --------------------------------------------------------------------------------------


async def test_nothing_is_sent_before_the_server_takes_it(autojump_clock: MockClock) -> None:
    """What comes earlier is lost on many servers, metadata and headers above all (arut/nginx-rtmp-module#1490)."""
    async with double() as far, trio.open_nursery() as nursery:
        far.wait = trio.Event()

        async def publish() -> None:
            async with open_publisher(far.network, at(URL)) as publisher:
                for each in [*headers(), *gop(0, 1)]:
                    await publisher.send(*each)
                await trio.sleep(1)

        nursery.start_soon(publish)
        await trio.sleep(4)
        assert far.last.asked == ["/live/s"]
        assert far.last.session.bytes_received < 1000
        assert far.last.media == []
        far.wait.set()
        await trio.sleep(0.5)
        assert "".join(letter(each.type_id, each.payload) for each in far.last.media) == "MVAKS"
        assert far.last.session.ignored == 0


async def _pour(far: Double) -> None:
    async with open_publisher(far.network, at(URL), timeouts=RTMPTimeouts(no_media=3)) as publisher:
        far.last.connection.recv = trio.sleep_forever  # type: ignore[method-assign, assignment]
        for index in range(1000):
            await publisher.send(*key(index * 40, 100_000))


async def test_a_server_that_takes_nothing_is_given_up(autojump_clock: MockClock) -> None:
    async with double() as far:
        started = trio.current_time()
        with pytest.raises(UpstreamError, match="the connection was lost: it has taken nothing for 3 s"):
            await _pour(far)
        assert 3 <= trio.current_time() - started < 5


async def test_why_a_server_ends_a_stream_is_told_without_its_key(autojump_clock: MockClock) -> None:
    url = at("rtmp://far.example/live2/abcd-key?token=t0k").with_(keyed=True)
    async with double() as far:
        far.refuse_publish = "abcd-key is published already (token=t0k)"
        with pytest.raises(UpstreamError) as caught:
            async with open_publisher(far.network, url):
                raise AssertionError("it was not to be taken")
        assert "refused: NetStream.Publish.BadName *** is published already (***)" in str(caught.value)
        far.refuse_publish = ""
        with pytest.raises(UpstreamError, match=r"lost: NetStream\.Publish\.Denied \*\*\* is over"):
            await _publish_until_denied(far, url)


async def _publish_until_denied(far: Double, url: Address) -> None:
    async with open_publisher(far.network, url) as publisher:
        far.last.session._status(1, "error", "NetStream.Publish.Denied", "abcd-key is over")
        await far.last.say()
        for index in range(100):
            await publisher.send(*key(index * 40))
            await trio.sleep(0.04)


async def test_a_publisher_is_told_where_to_go_and_goes_when_it_likes(autojump_clock: MockClock) -> None:
    async with double() as far, open_publisher(far.network, at(URL)) as publisher:
        await far.last.ask_away("rtmp://evil.example/live")
        await trio.sleep(1)
        nowhere = publisher.asked_away
        assert nowhere is None
        await far.last.ask_away("//far.example:1936/other")
        await trio.sleep(1)
        assert publisher.asked_away is not None
        assert publisher.asked_away.url == at(URL).with_(port=1936, path="/other/s")


def no_such_app(request: Any) -> None:
    raise Refused("none", code="NetConnection.Connect.InvalidApp")


async def test_an_unknown_application_is_no_fault_of_the_server(autojump_clock: MockClock) -> None:
    async with double() as far:
        far.judge = no_such_app
        with pytest.raises(NotServed, match="no such application"):
            await take(far, URL)


def test_tls_is_never_left() -> None:
    from tierkit._rtmp_dial import Dialler

    place = RTMPPlace(at("rtmps://far.example/live/s"))
    dialler = Dialler(MemoryNetwork(), place, lambda session, name: None, limits=RTMPTimeouts())
    with pytest.raises(UpstreamError, match="without TLS: that is not followed"):
        dialler.redirect("rtmp://far.example/live")
    dialler.redirect("rtmps://far.example:8443/live")
    assert dialler.place.url == at("rtmps://far.example:8443/live/s")
