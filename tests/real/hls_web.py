"""hls.js and Chromium's own HLS, all players in one page, each with its report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from .browser import open_browser
from .npm import installed_or_skipped

HERE = Path(__file__).with_name("hls_js")


@frozen
class Viewed:
    """What a player in the page has reported; times in the page's seconds."""

    seconds: float
    wall: float
    frames: int
    dropped: int
    width: int
    latency: float | None
    stalls: list[str]
    errors: list[str]


def install_player(folder: Path, hls_js: Path) -> None:
    """Put the page and hls.js into a folder that a web server serves."""
    folder.mkdir()
    shutil.copy(HERE / "index.html", folder)
    shutil.copy(hls_js, folder)


def fetch_hls_js() -> Path:
    """hls.js from npm."""
    return installed_or_skipped(HERE) / "node_modules" / "hls.js" / "dist" / "hls.min.js"


async def watch_in_browser(page: str, players: Mapping[str, tuple[str, str]], seconds: float) -> dict[str, Viewed]:
    """Play each URL of `players` (name: (URL, "live", "low latency" or "native")) in one page, all at once.

    Gives the reports when every player has played `seconds` of media, or half as long again has passed.
    """
    async with open_browser() as browser:
        await browser.open(page)
        for name, (url, how) in players.items():
            await browser.run("play(...arguments)", name, url, how)
        viewed: dict[str, Viewed] = {}
        with trio.move_on_after(seconds * 1.5):
            while len(viewed) < len(players):
                await trio.sleep(1)
                for name, report in json.loads(await browser.run("return JSON.stringify(reports)")).items():
                    if name not in viewed and _played(report) >= seconds:
                        viewed[name] = _viewed(report)
        last = json.loads(await browser.run("return JSON.stringify(reports)"))
        return {name: _viewed(report) for name, report in last.items()} | viewed


def _played(report: dict[str, Any]) -> float:
    return 0.0 if report["began"] is None else float(report["at"] - report["begin"])


def _viewed(report: dict[str, Any]) -> Viewed:
    wall = 0.0 if report["began"] is None else (report["now"] - report["began"]) / 1000
    told = {name: report[name] for name in ("frames", "dropped", "width", "latency", "stalls", "errors")}
    return Viewed(seconds=_played(report), wall=wall, **told)
