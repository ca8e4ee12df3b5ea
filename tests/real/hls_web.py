"""hls.js and Chromium's own HLS, all players in one page, each with its report."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import frozen

from .browser import open_browser

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
    """hls.js from npm, as the lock file has it; kept outside the repository from one run to the next."""
    lock = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    kept = Path(tempfile.gettempdir()) / f"tierkit-tests-{os.getuid()}" / lock
    script = kept / "node_modules" / "hls.js" / "dist" / "hls.min.js"
    if script.exists():
        return script
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as fresh:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, fresh)
        failed = _npm_ci(fresh)
        if failed and os.environ.get("TIERKIT_REAL") != "1":
            pytest.skip(f"not run: npm cannot install hls.js: {failed}")
        assert not failed
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(fresh, kept)
    return script


def _npm_ci(folder: str) -> str:
    """Why npm cannot install what the lock file in a folder says; "" where it has."""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    except subprocess.TimeoutExpired:
        return "it takes too long"
    return done.stderr[-300:] if done.returncode else ""


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
