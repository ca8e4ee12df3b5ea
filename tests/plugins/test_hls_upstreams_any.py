"""Any upstreams, breaking off anywhere: what a viewer gets to the end is the object, and what is stored is, too."""

from __future__ import annotations

from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.plugins.upstreams_rig import DATE, OLDER, SEGMENT, Mirror, mirrored
from tierkit.errors import ConnectionLost

GOOD, OTHER = bytes(range(256)) * 20, bytes(reversed(range(256))) * 20
LONGER = GOOD + b"x"

cuts = st.none() | st.integers(0, len(GOOD))
#: Bodies with the validators that an honest server gives them: what differs has others, or none.
OBJECTS: dict[str, dict[str, Any]] = {
    "good, strong": {"body": GOOD, "etag": b'"good"'},
    "good, dated": {"body": GOOD, "etag": b"", "modified": OLDER},
    "good, weak": {"body": GOOD, "etag": b'W/"good"'},
    "good": {"body": GOOD, "etag": b""},
    "other, strong": {"body": OTHER, "etag": b'"other"'},
    "other, dated": {"body": OTHER, "etag": b"", "modified": DATE},
    "other": {"body": OTHER, "etag": b""},
    "longer, strong": {"body": LONGER, "etag": b'"longer"', "modified": OLDER},
    "longer, dated": {"body": LONGER, "etag": b"", "modified": OLDER},
    "longer": {"body": LONGER, "etag": b""},
}
upstreams = st.fixed_dictionaries(
    {
        "what": st.sampled_from(sorted(OBJECTS)),
        "framing": st.sampled_from(["length", "length", "chunked"]),
        "ranges": st.booleans(),
        "how": st.sampled_from(["abort", "stall"]),
        "status": st.sampled_from([200, 200, 200, 200, 503, 404]),
        "piece": st.sampled_from([97, 700, 10_000]),
        "breaks": st.lists(cuts, max_size=4),
        "delay": st.sampled_from([0.0, 0.0, 2.0]),
    }
)


def made(what: str, breaks: list[int | None], **how: Any) -> Mirror:
    return Mirror(**OBJECTS[what], breaks=list(breaks), **how)


async def story(mirrors: list[Mirror], hedge_after: float, same_bytes: bool) -> None:
    waits: dict[str, Any] = {"between_bytes_timeout": 3, "first_byte_timeout": 3}
    wholes: set[bytes] = set()

    async def view() -> None:
        viewer = await rig.viewer()
        try:
            answer = await viewer.ask(SEGMENT)
            if answer.status == 200:
                wholes.add(answer.body)
        except ConnectionLost:
            pass
        finally:
            viewer.connection.close()

    async with mirrored(*mirrors, hedge_after=hedge_after, same_bytes=same_bytes, **waits) as rig:
        for _ in range(2):
            with trio.fail_after(600):
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(view)
        statistics = rig.statistics()
        assert statistics.store.filling == 0
        assert statistics.store.used <= statistics.store.budget
    assert wholes <= {GOOD, OTHER, LONGER}  # never the one's beginning with the other's end


@settings(max_examples=60)
@given(st.lists(upstreams, min_size=1, max_size=3), st.sampled_from([0.0, 1.0]), st.booleans())
def test_whatever_breaks_off_where_a_whole_answer_is_one_object(
    plan: list[dict[str, Any]], hedge_after: float, same_bytes: bool
) -> None:
    mirrors = [made(**each) for each in plan]
    trio.run(story, mirrors, hedge_after, same_bytes, clock=MockClock(autojump_threshold=0))


def test_and_much_does_arrive() -> None:
    """The test above would pass where nothing ever arrives: here a break each, of all kinds, loses nobody."""
    for cut in (0, 1, 96, 97, 2560, len(GOOD) - 1):
        for how in ("abort", "stall"):
            for framing in ("length", "chunked"):
                one = Mirror(body=GOOD, breaks=[cut], how=how, framing=framing, piece=97)
                two = Mirror(body=GOOD, breaks=[cut], how=how, framing=framing, ranges=False)

                async def main(one: Mirror = one, two: Mirror = two) -> bytes:
                    async with mirrored(one, two, between_bytes_timeout=3) as rig:
                        return (await rig.get()).body

                assert trio.run(main, clock=MockClock(autojump_threshold=0)) == GOOD
