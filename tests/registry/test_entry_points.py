"""Plugins through installed entry points: a stranger's, next to the built-ins, by the same door."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tierkit import Registry

from .plugins import GOOD

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution on the path, as pip leaves it: a module, and metadata beside it."""

    def put(name: str, source: str, *, entry: str | None = None, extras: tuple[str, ...] = ()) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        provides = "".join(f"Provides-Extra: {each}\n" for each in extras)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{provides}")
        (info / "entry_points.txt").write_text(f"[tierkit]\n{entry or f'{name} = {name}'}\n")
        monkeypatch.delitem(sys.modules, name, raising=False)

    monkeypatch.syspath_prepend(str(tmp_path))
    return put


def test_an_installed_plugin_stands_beside_the_built_ins(install: Install) -> None:
    install("stranger", GOOD)
    registry = Registry.load()
    assert registry.failures == []
    built_in = {"callbacks", "control", "hls", "ingest", "keys", "networks", "package", "record", "rtmp", "signed_urls"}
    built_in |= {"console", "flv", "metrics", "wowza"}
    assert built_in | {"stranger"} == {info.name for info in registry.plugins()}
    assert {"gopher", "hls", "rtmp"} <= set(registry.services())
    assert registry.origin_of("service", "gopher") == "stranger (stranger 1.2)"
    assert registry.origin_of("service", "hls").startswith("hls (tierkit ")


def test_failures_are_named_and_take_nobody_down(install: Install) -> None:
    install("broken", "raise RuntimeError('out of order')\n")
    install("vanished", "", entry="vanished = vanished:plugin")
    install("gone", "", entry="gone = no_such_module")
    install("stranger", GOOD)
    registry = Registry.load()
    assert [str(each) for each in registry.failures] == [
        "plugin broken: does not load: RuntimeError: out of order",
        "plugin gone: does not load: ModuleNotFoundError: No module named 'no_such_module'",
        "plugin vanished: does not load: AttributeError: module 'vanished' has no attribute 'plugin'",
    ]
    assert {"gopher", "hls", "rtmp", "ingest"} <= set(registry.services())


def test_a_missing_extra_is_told_as_what_to_install(install: Install) -> None:
    install("needy", "import no_such_codec\n", entry="needy = needy", extras=("needy",))
    install("plain", "import no_such_codec\n")
    registry = Registry.load()
    assert [str(each) for each in registry.failures] == [
        "plugin needy: needs no_such_codec, which is not installed: pip install 'needy[needy]'",
        "plugin plain: does not load: ModuleNotFoundError: No module named 'no_such_codec'",
    ]


def test_a_stranger_cannot_take_a_built_ins_service(install: Install) -> None:
    install("usurper", GOOD.replace('"gopher"', '"hls"', 1))
    registry = Registry.load()
    (failure,) = registry.failures
    assert str(failure).startswith("plugin usurper: service 'hls' is already there from hls (tierkit ")
    assert registry.services()["hls"].__module__.startswith("tierkit.plugins.hls")


def test_a_registry_can_do_without_what_is_installed(install: Install) -> None:
    install("stranger", GOOD)
    assert Registry.load(installed=False).plugins() == []
