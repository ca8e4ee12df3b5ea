"""Headless Chromium through its own driver, spoken to in plain WebDriver (W3C) over HTTP."""

from __future__ import annotations

import base64
import json
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio

from tests.ports import free_port

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
]


class Browser:
    """One browser window."""

    def __init__(self, base: str, session: str) -> None:
        self._base = f"{base}/session/{session}"

    async def open(self, url: str) -> None:
        await self._post("/url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """What a script's `return` gives."""
        return await self._post("/execute/sync", {"script": script, "args": list(arguments)})

    async def press(self, key: str) -> None:
        """Press a key in whatever has the focus; WebDriver gives those without a character one (U+E004 is Tab)."""
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        await self._post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    async def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own protocol."""
        return await self._post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    async def screen(self, width: int, height: int, *, dark: bool = False, still: bool = True) -> None:
        """Be a screen of this size, CSS pixels."""
        await self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        await self.devtools("Emulation.setScrollbarsHidden", hidden=True)
        features = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
        if not still:
            del features["prefers-reduced-motion"]
        wanted = [{"name": name, "value": value} for name, value in features.items()]
        await self.devtools("Emulation.setEmulatedMedia", features=wanted)

    async def whole_page(self, path: Path) -> None:
        """A picture of all of the page, whatever of it the screen shows."""
        shot = await self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        await trio.Path(path).write_bytes(base64.b64decode(shot["data"]))

    async def screenshot(self, path: Path) -> None:
        data = await trio.to_thread.run_sync(partial(_call, "GET", self._base + "/screenshot"))
        await trio.Path(path).write_bytes(base64.b64decode(data))

    async def _post(self, path: str, body: object) -> Any:
        return await trio.to_thread.run_sync(partial(_call, "POST", self._base + path, body))


def _call(method: str, url: str, body: object | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A browser for as long as the block lasts.  It takes any certificate, as a laboratory's must."""
    async with trio.open_nursery() as nursery:
        port = free_port()
        start = partial(
            trio.run_process, ["chromedriver", f"--port={port}"], capture_stdout=True, capture_stderr=True, check=False
        )
        process = await nursery.start(start)
        base = f"http://127.0.0.1:{port}"
        try:
            await _until_up(base)
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                options = {"args": [*ARGUMENTS, f"--user-data-dir={profile}"], "binary": "/usr/bin/chromium"}
                wanted = {"alwaysMatch": {"acceptInsecureCerts": True, "goog:chromeOptions": options}}
                made = await trio.to_thread.run_sync(
                    partial(_call, "POST", base + "/session", {"capabilities": wanted})
                )
                try:
                    yield Browser(base, made["sessionId"])
                finally:
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(partial(_call, "DELETE", f"{base}/session/{made['sessionId']}"))
        finally:
            process.terminate()


async def _until_up(base: str) -> None:
    with trio.fail_after(30):
        while True:
            try:
                if (await trio.to_thread.run_sync(partial(_call, "GET", base + "/status")))["ready"]:
                    return
            except OSError:
                pass
            await trio.sleep(0.1)
