"""Allow and deny lists of addresses."""

from __future__ import annotations

import pytest
from trio.testing import MockClock

from tests.access.fakes import at_work, attempt
from tests.plugins.access_rig import guarded, refused, told
from tierkit import Graph, Relay, check
from tierkit.access import AccessDenied
from tierkit.plugins.networks import Networks
from tierkit.plugins.rtmp import RTMP


@pytest.mark.parametrize(
    ("allow", "deny", "host", "good"),
    [
        (("10.0.0.0/8",), (), "10.1.2.3", True),
        (("10.0.0.0/8",), (), "192.0.2.7", False),
        (("10.0.0.0/8",), (), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), ("10.1.0.0/16",), "10.1.2.3", False),
        ((), ("10.1.0.0/16",), "10.2.2.3", True),
        ((), ("10.1.0.0/16",), "::ffff:10.1.2.3", False),
        (("2001:db8::/32",), (), "2001:db8::1", True),
        (("unix",), (), "unix", True),
        (("public",), (), "unix", False),
        (("public",), (), "10.0.0.1", False),
        (("10.0.0.0/8",), (), "not an address", False),
    ],
)
async def test_lists(
    allow: tuple[str, ...], deny: tuple[str, ...], host: str, good: bool, autojump_clock: MockClock
) -> None:
    async with at_work(Networks(allow=allow, deny=deny)) as (access, _):
        try:
            await access.admit(attempt(host=host), lambda reason: None)
            found = True
        except AccessDenied:
            found = False
        assert found == good


async def test_at_a_relay_by_what_is_asked(autojump_clock: MockClock) -> None:
    async with guarded(
        Networks(allow=("10.0.0.0/8",), on="publish"), Networks(deny=("192.0.2.0/24",), on="play")
    ) as rig:
        assert "NetStream.Publish.BadName" in await refused(rig, "/live/s")
        assert await told(rig, "/live/s") == "NetStream.Play.Failed"
    async with guarded(Networks(allow="10.0.0.0/8", on="publish")) as rig:  # type: ignore[arg-type]
        assert await told(rig, "/live/s") == ""


def test_what_is_no_network_is_told() -> None:
    serves = RTMP(authorise=(Networks(allow=("10.0.0.0/33",)), Networks()))
    problems = check(Graph.of(Relay("r", listen=":1935", serves=serves)))
    assert [each.partition("networks: ")[2] for each in problems] == [
        "option allow: '10.0.0.0/33' is no network: write for instance 10.0.0.0/8",
        "options allow and deny are both empty: give networks to one of them",
    ]
