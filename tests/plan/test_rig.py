"""The processes that a calibration measures: what is told where they do not run."""

from __future__ import annotations

import shutil
import ssl
import sys
from pathlib import Path

import pytest

from tierkit import Address, TierkitError
from tierkit.plan import calibrate
from tierkit.plan._rig import Crowd, open_rig, self_signed


async def test_tiers_that_do_not_start_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(TierkitError, match=r"the tiers to be measured do not start: .*'hsl' is unknown"):
        async with open_rig('edge.e = { listen = ":0", serves = "hsl" }\n', tmp_path):
            pass


async def test_a_calibration_without_its_signal_is_told_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "tierkit.testing.signal", raising=False)
    with pytest.raises(TierkitError, match=r"needs PyAV, which is not installed: pip install 'tierkit\[ingest\]'"):
        await calibrate()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="not run: openssl is not installed")
async def test_a_certificate_for_this_machine(tmp_path: Path) -> None:
    made = await self_signed(tmp_path)
    assert made is not None
    cert, key = made
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
    assert key.stat().st_mode & 0o077 == 0


async def test_no_certificate_where_nothing_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await self_signed(tmp_path) is None


def test_what_a_load_is_called_with() -> None:
    doors = (Address.parse("http://127.0.0.1:1"), Address.parse("https://127.0.0.1:2"))
    crowd = Crowd(tier="edge", scheme="https", stream="live/s", viewers=7)
    words = crowd.command(doors, 60.0, 2.0, Path("/ca.pem"))
    assert words[3:6] == ["load", "hls", "https://127.0.0.1:2/live/s/playlist.m3u8"]
    assert words[6:] == ["--viewers", "7", "--seconds", "60", "--ramp", "2", "--ca", "/ca.pem", "--json"]
    rtmp = Crowd(tier="relay", scheme="rtmp", stream="live/s", viewers=7)
    words = rtmp.command((Address.parse("rtmp://127.0.0.1:3"),), 60.0, 2.0, Path("/ca.pem"))
    assert words[3:6] == ["load", "rtmp", "rtmp://127.0.0.1:3/live/s"]
    assert "--ca" not in words
