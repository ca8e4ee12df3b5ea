"""The page about the command line names every command and every option that there is, and none that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tierkit._cli_app import app

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "command-line.md").read_text()


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


GROUP: Any = typer.main.get_command(app)
COMMANDS = dict(commands(GROUP, "tierkit"))


def options(command: Any) -> set[str]:
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return {name for each in shown for name in each.opts if name.startswith("--")}


def test_every_command_and_option_is_on_the_page() -> None:
    assert {"tierkit run", "tierkit load hls", "tierkit plugins"} <= set(COMMANDS)
    for path, command in COMMANDS.items():
        assert f"`{path}" in PAGE or f"\n$ {path} " in PAGE, path
        for option in options(command) - {"--help"}:
            assert re.search(rf"`(tierkit )?{option}\b", PAGE), f"{path} {option}"


def test_nothing_else_is() -> None:
    known = {name for command in (*COMMANDS.values(), GROUP) for name in options(command)} | {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known
