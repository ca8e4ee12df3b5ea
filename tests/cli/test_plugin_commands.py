"""Commands that plugins bring by the hook."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tierkit import Registry
from tierkit._cli_app import add_plugin_commands

PLUGIN = """
import typer
from tierkit.plugin import hookimpl

group = typer.Typer(name="{name}", help="Says things.")

@group.command()
def hello(who: str) -> None:
    typer.echo(f"hello {{who}}")

@group.command()
def again() -> None:
    pass

@hookimpl
def tierkit_commands():
    return [group]
"""


def app_with(*texts: str, folder: Path) -> typer.Typer:
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"plugin{number}.py")
        files[-1].write_text(text)
    registry = Registry.load(files, installed=False)
    assert registry.failures == []
    app = typer.Typer()
    app.callback()(lambda: None)
    add_plugin_commands(app, registry)
    return app


def test_a_plugin_brings_a_command(tmp_path: Path) -> None:
    app = app_with(PLUGIN.format(name="say"), folder=tmp_path)
    assert CliRunner().invoke(app, ["say", "hello", "you"]).stdout == "hello you\n"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("run", "plugins: the command run is taken: rename the group"),
        ("load", "plugins: the command load is taken: rename the group"),
        ("", "plugins: a command group has no name: give it one, typer.Typer(name='...')"),
    ],
)
def test_it_takes_no_name_of_ours(tmp_path: Path, name: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    app_with(PLUGIN.format(name=name), folder=tmp_path)
    assert capsys.readouterr().err.splitlines() == [line]


def test_two_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = app_with(PLUGIN.format(name="say"), PLUGIN.format(name="say"), folder=tmp_path)
    assert capsys.readouterr().err.splitlines() == ["plugins: the command say is taken: rename the group"]
    assert CliRunner().invoke(app, ["say", "hello", "you"]).stdout == "hello you\n"
