"""The plugins: the only user of pluggy's PluginManager, as an instance with typed methods.

pluggy checks names but not types, cannot await, and stops at the first implementation that raises.  So
implementations are called one by one under a guard, what they hand over is looked at before anybody uses
it, and a plugin that fails is named with its reason while the others are none the worse.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import attrs
import pluggy

from . import hookspecs
from ._authorise import Authoriser
from ._companion import Companion, ControlRoute
from ._plugin import Observer, Role, Service, Source
from ._recipe import Recipe
from .errors import PluginError

__all__ = ["PluginInfo", "Registry"]

#: The entry-point group, and the name of the pluggy project.
GROUP = "tierkit"
_ROLES = frozenset(get_args(Role)) - {"restream"}  # nothing runs there


@attrs.frozen
class PluginInfo:
    """One plugin that has loaded."""

    name: str
    #: Its distribution with version, or the file it was loaded from.
    where: str
    services: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    authorisers: tuple[str, ...] = ()
    #: Names of the hooks that it implements.
    hooks: tuple[str, ...] = ()

    @property
    def provides(self) -> tuple[str, ...]:
        """What it brings, each with its kind: "service hls", "source wowza"."""
        kinds = (("service", self.services), ("source", self.sources), ("authoriser", self.authorisers))
        return tuple(f"{kind} {each}" for kind, names in kinds for each in names)


class Registry:
    """The plugins of one process; make it with `Registry.load`.

    Attributes:
        failures: what did not load or broke a promise, as errors that name the plugin and the reason.
    """

    def __init__(self) -> None:
        self.failures: list[PluginError] = []
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._where: dict[str, str] = {}
        self._services: dict[str, type[Service]] = {}
        self._sources: dict[str, type[Source]] = {}
        self._authorisers: dict[str, type[Authoriser]] = {}
        self._owner: dict[tuple[str, str], str] = {}
        self._files: set[Path] = set()

    @classmethod
    def load(cls, files: Iterable[str | Path] = (), *, installed: bool = True) -> Registry:
        """The plugins that are installed, and those in `files`.  Never raises: see `failures`."""
        registry = cls()
        if installed:
            for entry in sorted(entry_points(group=GROUP), key=lambda each: each.name):
                registry._guarded(entry.name, partial(_entry, entry))
        for file in files:
            registry.load_file(file)
        return registry

    def load_file(self, file: str | Path) -> None:
        """Load one plugin from a Python file; its name is the file's.  A file that is here already stays as it is."""
        path = Path(file).resolve()
        if path not in self._files:
            self._files.add(path)
            self._guarded(path.stem, lambda: (_module(path), str(path)))

    def add(self, name: str, plugin: object, *, where: str = "given by the program") -> None:
        """Add a plugin that the program has in hand: a module or an object with hook implementations."""
        self._guarded(name, lambda: (plugin, where))

    def services(self) -> Mapping[str, type[Service]]:
        """The services, by name."""
        return MappingProxyType(self._services)

    def sources(self) -> Mapping[str, type[Source]]:
        """The kinds of external server that can be pulled from, by name."""
        return MappingProxyType(self._sources)

    def authorisers(self) -> Mapping[str, type[Authoriser]]:
        """The kinds of authoriser, by name."""
        return MappingProxyType(self._authorisers)

    def observers(self) -> list[Observer]:
        """The observers that plugins bring."""
        return self._collect("tierkit_observers", callable, "a callable")

    def companions(self) -> list[Companion]:
        """What plugins run once per process beside the graph."""
        return self._collect("tierkit_companions", lambda each: isinstance(each, Companion), "a Companion")

    def control_routes(self) -> list[ControlRoute]:
        """The paths that plugins add to the control address."""
        return self._collect("tierkit_control_routes", lambda each: isinstance(each, ControlRoute), "a ControlRoute")

    def commands(self) -> list[Any]:
        """The command groups that plugins add to the command line."""
        return self._collect("tierkit_commands", lambda each: hasattr(each, "registered_commands"), "a typer.Typer")

    def origin_of(self, kind: str, name: str) -> str:
        """The plugin that brings the "service", "source" or "authoriser" of this name, and where that is from.

        Raises KeyError where nobody brings it.
        """
        owner = self._owner[kind, name]
        return f"{owner} ({self._where[owner]})"

    def failure_of(self, plugin: str) -> PluginError | None:
        """Why the plugin of this name did not load; None where it did, or was never asked for."""
        return next((each for each in self.failures if each.plugin == plugin), None)

    def plugins(self) -> list[PluginInfo]:
        """What has loaded, in order."""
        found = []
        for name, plugin in self._manager.list_name_plugin():
            hooks = tuple(caller.name for caller in self._manager.get_hookcallers(plugin) or ())
            services, sources, authorisers = (self._names(name, kind) for kind in ("service", "source", "authoriser"))
            found.append(PluginInfo(name, self._where[name], services, sources, authorisers, hooks))
        return found

    def _names(self, owner: str, kind: str) -> tuple[str, ...]:
        return tuple(name for (a_kind, name), an_owner in self._owner.items() if (a_kind, an_owner) == (kind, owner))

    # --- loading ---------------------------------------------------------------------------------

    def _guarded(self, name: str, find: Callable[[], tuple[object, str]]) -> None:
        try:
            plugin, where = find()
            self._register(name, plugin, where)
        except PluginError as error:
            self.failures.append(error)
        except (Exception, SystemExit) as error:
            # SystemExit too: a script that calls sys.exit() on import must not end a streaming server.
            self.failures.append(PluginError(name, f"does not load: {_told(error)}"))

    def _register(self, name: str, plugin: object, where: str) -> None:
        if self._manager.has_plugin(name):
            raise PluginError(name, f"is here twice: the one from {self._where[name]} stays, rename {where}")
        try:
            self._manager.register(plugin, name)
        except Exception as error:
            # pluggy has read the implementations one by one, so those before the bad one are in its tables.
            self._forget(plugin)
            raise PluginError(name, _misfit(error)) from error
        self._where[name] = where
        try:
            self._verify(name, plugin)
            self._take(name, plugin, "tierkit_services", "service", Service, self._services)
            self._take(name, plugin, "tierkit_sources", "source", Source, self._sources)
            self._take(name, plugin, "tierkit_authorisers", "authoriser", Authoriser, self._authorisers)
        except PluginError:
            self._forget(plugin)
            del self._where[name]
            raise

    def _forget(self, plugin: object) -> None:
        if self._manager.is_registered(plugin):
            self._manager.unregister(plugin)

    def _verify(self, name: str, plugin: object) -> None:
        known = {each for each in vars(hookspecs) if each.startswith("tierkit_")}
        callers = self._manager.get_hookcallers(plugin) or ()
        for caller in callers:
            if caller.name not in known:
                raise PluginError(name, f"implements {caller.name}, which is no hook: {', '.join(sorted(known))} are")
        if not callers:
            raise PluginError(name, "implements no hook: put @tierkit.plugin.hookimpl before its tierkit_... functions")

    def _take(self, name: str, plugin: object, hook: str, kind: str, base: type[Recipe], into: dict[str, Any]) -> None:
        """Ask one plugin for its recipes, look at them all, and only then keep them."""
        taken: dict[str, Any] = {}
        for recipe in self._ask(name, plugin, hook):
            if problem := _recipe_problem(recipe, base):
                raise PluginError(name, f"{hook} gave {_shown(recipe)}: {problem}")
            if recipe.name in into or recipe.name in taken:
                owner = self.origin_of(kind, recipe.name) if recipe.name in into else name
                raise PluginError(name, f"{kind} {recipe.name!r} is already there from {owner}: rename it")
            taken[recipe.name] = recipe
        into.update(taken)
        self._owner.update({(kind, each): name for each in taken})

    def _ask(self, name: str, plugin: object, hook: str) -> Sequence[Any]:
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            if inspect.iscoroutinefunction(implementation.function):
                raise PluginError(name, f"{hook} is async, and hooks are not: return the objects, and await in those")
            try:
                given = implementation.function()
                if isinstance(given, (list, tuple, set, frozenset)) or inspect.isgenerator(given):
                    return tuple(given)
            except (Exception, SystemExit) as error:
                raise PluginError(name, f"{hook} raised {_told(error)}") from error
            raise PluginError(name, f"{hook} gave {_shown(given)}: return a list")
        return ()

    def _collect(self, hook: str, good: Callable[[Any], bool], what: str) -> list[Any]:
        found: list[Any] = []
        for name, plugin in self._manager.list_name_plugin():
            try:
                for each in self._ask(name, plugin, hook):
                    if good(each):
                        found.append(each)
                    else:
                        raise PluginError(name, f"{hook} gave {_shown(each)}, which is not {what}")
            except PluginError as error:
                # Asked again, it would fail again: told once is enough.
                if all(str(error) != str(other) for other in self.failures):
                    self.failures.append(error)
        return found


def _entry(entry: EntryPoint) -> tuple[object, str]:
    try:
        return entry.load(), _where(entry)
    except ModuleNotFoundError as error:
        extras = (entry.dist.metadata.get_all("Provides-Extra") or ()) if entry.dist is not None else ()
        own = (error.name or "").partition(".")[0] == entry.module.partition(".")[0]
        if own or entry.dist is None or entry.name not in extras:
            raise
        remedy = f"pip install '{entry.dist.name}[{entry.name}]'"
        raise PluginError(entry.name, f"needs {error.name}, which is not installed: {remedy}") from error


def _where(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def _module(path: Path) -> object:
    if not path.is_file():
        raise PluginError(path.stem, f"there is no file {path}: give the path of a Python file")
    # By its whole path, so that two files of one name are two modules.
    name = f"tierkit_plugin_file_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(path.stem, f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    # attrs, pickle and typing look a class's module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, (Exception, SystemExit)):
            raise PluginError(path.stem, f"does not load: {_told(error)} ({_place(error, path)})") from error
        raise
    return module


def _told(error: BaseException) -> str:
    """An exception on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _shown(value: object) -> str:
    """Something that a plugin gave, short and on one line; its own repr may be broken."""
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _place(error: BaseException, path: Path) -> str:
    """Where in a file an exception has come from: its last line there."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{path}:{error.lineno}"
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f"{path}:{lines[-1]}" if lines else str(path)


def _misfit(error: Exception) -> str:
    """pluggy's complaint about an implementation, on one line."""
    if isinstance(error, pluggy.PluginValidationError):
        *_, last = str(error).splitlines()
        hook = next((line for line in str(error).splitlines() if "hookimpl definition:" in line), "")
        return f"{hook.partition(':')[2].strip() or 'a hook'} does not fit: {last.strip()}; hooks take no arguments"
    return f"cannot be registered: {_told(error)}"


def _recipe_problem(recipe: object, base: type[Recipe]) -> str:
    """Why a recipe class is not fit for use; empty where it is."""
    if not isinstance(recipe, type) or not issubclass(recipe, base):
        return f"give classes derived from tierkit.plugin.{base.__name__}"
    if "__attrs_attrs__" not in vars(recipe) or not _frozen(recipe):
        return "make it a frozen attrs class: put @attrs.frozen before it"
    if not isinstance(name := getattr(recipe, "name", None), str) or not name:
        return "give it a name: name: ClassVar[str] = '...'"
    if issubclass(recipe, (Service, Source)) and (problem := _schemes_problem(recipe)):
        return problem
    if abstract := sorted(getattr(recipe, "__abstractmethods__", ())):
        return f"it lacks {', '.join(abstract)}"
    return ""


def _schemes_problem(recipe: type[Service | Source]) -> str:
    for label in ("schemes", *(("pulls", "pushes") if issubclass(recipe, Service) else ())):
        value = getattr(recipe, label, ())
        if not isinstance(value, tuple) or not all(isinstance(each, str) for each in value):
            return f"its {label} must be a tuple of strings: {label}: ClassVar[tuple[str, ...]] = ('...',)"
    # A service that needs no door says so by an empty tuple; nothing is no answer.
    if not getattr(recipe, "schemes", ()) and not (issubclass(recipe, Service) and hasattr(recipe, "schemes")):
        door = ", or () where it needs no door" if issubclass(recipe, Service) else ""
        return f"say what it speaks: schemes: ClassVar[tuple[str, ...]] = ('...',){door}"
    if issubclass(recipe, Service) and not (frozenset(getattr(recipe, "roles", ())) or {"none"}) <= _ROLES:
        return "say where it can stand: roles: ClassVar[frozenset[Role]] = frozenset({'relay'})"
    return ""


def _frozen(recipe: type) -> bool:
    # attrs tells it since 25.4; before, what shows is that a class that compares by value can be hashed.
    look = getattr(attrs, "inspect", None)
    return bool(look(recipe).is_frozen) if look is not None else recipe.__hash__ is not None
