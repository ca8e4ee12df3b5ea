"""Access logs as others read them: real players write them, goaccess and logrotate take them."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from tierkit import AccessLog, Edge, Graph, Origin, Registry, open_graph
from tierkit.codecs.access_line import COMBINED
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest

from .media import make_clip, play_command, publish_command
from .test_end_to_end import PLAYLIST, until_on_air

#: What docs/how-to/logs.md says.
GOACCESS = '%h %^ %e [%d:%t %^] "%r" %s %b "%R" "%u" %T %C %^'


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def goaccess(log: Path, report: Path, *more: str) -> dict[str, dict[str, object]]:
    """goaccess's report of a log, and no line of it is odd to it."""
    odd = report.with_suffix(".odd")
    run(
        *("goaccess", str(log), "--no-global-config", "-o", str(report), "--invalid-requests", str(odd)),
        *("--date-format=%d/%b/%Y", "--time-format=%T", *more),
    )
    found: dict[str, dict[str, object]] = json.loads(report.read_text())
    assert found["general"]["failed_requests"] == 0, odd.read_text()
    return found


@pytest.mark.real("ffmpeg", "goaccess", "logrotate")
@pytest.mark.timeout(120)
async def test_players_goaccess_and_logrotate(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.flv", seconds=30, size="320x180")
    log, old = tmp_path / "access.log", tmp_path / "access.log.1"
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest(segment=1, patience=5))
    edge = Edge("edge", site="dc-a", upstream=studio, listen="127.0.0.1:0", serves=HLS())
    graph = Graph.of(edge, access_log=AccessLog(str(log)))
    async with open_graph(graph, registry=Registry(), drain=2) as handle, trio.open_nursery() as nursery:
        publish = publish_command(clip, handle.url("studio", "/live/s?key=secret", scheme="rtmp"))
        nursery.start_soon(partial(trio.run_process, publish, check=False))
        await until_on_air(handle, "studio")
        await trio.run_process(play_command(handle.url("edge", PLAYLIST), tmp_path / "a.md5", seconds=3))
        rtmp = handle.url("studio", "/live/s", scheme="rtmp")
        await trio.run_process(play_command(rtmp, tmp_path / "b.md5", seconds=2))
        await trio.sleep(1)
        config = tmp_path / "rotate"
        config.write_text(f"{log} {{\n rotate 14\n create 0640\n}}\n")
        config.chmod(0o600)
        await trio.to_thread.run_sync(run, "logrotate", "--force", "--state", str(tmp_path / "state"), str(config))
        await trio.run_process(play_command(handle.url("edge", PLAYLIST), tmp_path / "c.md5", seconds=1))
        await trio.sleep(1)
        figures = handle.statistics()["process"]["access_log"]
        nursery.cancel_scope.cancel()
    assert figures["lost"] == 0
    for file in (old, log):
        lines = file.read_text().splitlines()
        assert lines
        assert all(COMBINED.fullmatch(line) for line in lines)
        assert os.stat(file).st_mode & 0o777 == 0o640
        assert "secret" not in file.read_text()
    told = [found.groupdict() for line in old.read_text().splitlines() if (found := COMBINED.fullmatch(line))]
    assert {(each["tier"], each["version"]) for each in told} == {
        ("edge", "HTTP/1.1"), ("studio", "HTTP/1.1"), ("studio", "RTMP"),
    }  # fmt: skip
    whole = goaccess(old, tmp_path / "whole.json", f"--log-format={GOACCESS}")
    assert whole["general"]["valid_requests"] == len(told)
    hits = {each["data"]: each["hits"]["count"] for each in whole["cache_status"]["data"]}  # type: ignore[attr-defined]
    assert hits["HIT"] == sum(each["cache"] == "HIT" for each in told)
    plain = goaccess(old, tmp_path / "plain.json", "--log-format=COMBINED")
    assert plain["general"]["valid_requests"] == len(told)
    none = tmp_path / "none.log"
    none.write_text(old.read_text().replace("127.0.0.1 - - [", "- - - ["))
    goaccess(none, tmp_path / "none.json", "--log-format=COMBINED", "--no-ip-validation")
