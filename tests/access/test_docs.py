"""The how-to is true: its graphs, its command line, its URLs and its authoriser do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from trio.testing import MockClock

from tierkit import Graph, Registry, Relay, check
from tierkit.access import AccessDenied
from tierkit.config import load_graph, parse_options
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.keys import Keys
from tierkit.plugins.networks import Networks
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.signed_urls import SignedURLs

from .fakes import at_work, attempt

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "access.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def in_python(index: int) -> dict[str, object]:
    told: dict[str, object] = {"__name__": "page"}
    exec(blocks("python")[index], told)
    return told


def test_the_three_spellings_are_one(tmp_path: Path) -> None:
    serves = in_python(0)["serves"]
    assert isinstance(serves, RTMP)
    path = tmp_path / "g.toml"
    path.write_text(blocks("toml")[0])
    graph = load_graph(path)
    assert graph == Graph.of(Relay("relay", listen="rtmp://:1935", serves=serves))
    assert check(graph) == []
    (command,) = blocks("sh")
    text = shlex.split(command)[-1]
    made, problems = parse_options(Ingest, [text], Registry.load())
    assert (problems, made) == (
        [],
        Ingest(authorise=(Networks(on="publish", allow=("10.0.0.0/8",)), Keys(file="/etc/tierkit/stream-keys"))),
    )


def test_the_back_ends_graph_can_run(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text("[relay.relay]\nlisten = ':1935'\n" + blocks("toml")[1])
    assert check(load_graph(path)) == []


async def test_the_file_of_keys_and_the_signed_url(tmp_path: Path, autojump_clock: MockClock) -> None:
    keys, secrets = tmp_path / "keys", tmp_path / "secrets"
    keys.write_text(blocks("text")[0])
    secrets.write_text("k1 the-secret-of-the-file\n")
    async with at_work(Keys(file=str(keys)), SignedURLs(keys=str(secrets))) as (access, _):
        entry = await access.admit(attempt("publish", "/live/hall", "key=0d77aa"), lambda reason: None)
        assert entry.attempt.path == "/live/hall"
        path, _, query = str(in_python(1)["url"]).removeprefix("rtmp://relay.example").partition("?")
        await access.admit(attempt("play", path, query), lambda reason: None)


async def test_the_authoriser_of_ones_own(autojump_clock: MockClock) -> None:
    encrypted = in_python(2)["Encrypted"]
    async with at_work(encrypted()) as (access, _):  # type: ignore[operator]
        await access.admit(attempt("play"), lambda reason: None)
        await access.admit(attempt("publish").with_(secure=True), lambda reason: None)
        with pytest.raises(AccessDenied, match="come by rtmps"):
            await access.admit(attempt("publish"), lambda reason: None)


@pytest.mark.parametrize(
    "option", ["on_publish", "on_update", "update_every", "update_strict", "method", "decide_within"]
)
def test_what_the_table_of_directives_names_is_there(option: str) -> None:
    assert f"`{option}" in PAGE
