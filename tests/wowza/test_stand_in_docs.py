"""The stand-in's page is true: its code runs, and its tables name what there is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import trio.testing

from tierkit.testing.wowza import PROFILES, Mode, StandIn

from .stand_in import opened

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "wowza-stand-in.md").read_text("utf-8")
WHOLE, *PIECES = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


def test_the_whole_test_passes() -> None:
    exec(compile(WHOLE, "wowza-stand-in.md", "exec"), {"__name__": "page"})


async def test_the_pieces_do_what_they_say(autojump_clock: trio.testing.MockClock) -> None:
    assert len(PIECES) == 2
    async with opened() as (stand_in, viewer):
        for piece in PIECES:
            exec(compile(textwrap.dedent(piece), "wowza-stand-in.md", "exec"), {"wowza": stand_in})
        playlist = await viewer.get("/live/smil:ch1.smil/playlist.m3u8")
        assert [re.sub(r"_w\d+", "", each.rpartition("/")[2]) for each in playlist.uris] == [
            "chunklist_b764000_slbul.m3u8",
            "chunklist_b300000_t64TWFpbg==.m3u8",
        ]


async def test_what_the_page_names_is_there(autojump_clock: trio.testing.MockClock) -> None:
    assert re.findall(r"\| `(w[a-z]+\d+)` \|", PAGE) == list(PROFILES)
    assert re.findall(r"\| `([a-z-]+)` \| (?:a new|HTTP origin|the same)", PAGE) == list(Mode)
    async with opened() as (stand_in, _):
        named = re.findall(r"\| `([a-z_]+)(?:[(.`])", PAGE[PAGE.index("To ask:") : PAGE.index("Streams may have")])
        assert len(named) > 10
        for each in set(named) - {"open_wowza"}:
            assert hasattr(stand_in, each) or hasattr(StandIn, each), each


@pytest.mark.parametrize("name", ["restart_encoder", "off_air", "restart", "slow", "truncate", "publish"])
def test_every_fault_is_on_the_page(name: str) -> None:
    assert f"`{name}(" in PAGE
