"""Who may import whom: the table of tierkit/__init__.py's docstring, walked module by module.

Lower never imports higher, nothing imports a plugin, and the codecs never touch the world.  A module that
the table does not know fails `test_every_module_stands_somewhere`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parent.parent / "tierkit"

#: Level of each module by its name below `tierkit`; a trailing "." stands for a whole package, and a module
#: called like another one with "_..." behind it is a part of that.  A module may import those of its own
#: level and below, with the exceptions that the tests name.
LEVELS = {
    "errors": 0,
    "_version": 0,
    "codecs": 1,
    "codecs.": 1,
    "_address": 1,
    "_accesslog": 1,
    "_authorise": 1,
    "_masking": 1,
    "_because": 1,
    "_merge": 1,
    "_visible": 1,
    "_networks": 1,
    "_event": 1,
    "_events": 1,
    "_events_process": 1,
    "_ports": 1,
    "_plugin": 1,
    "_model": 1,
    "_recipe": 1,
    "_restream": 1,
    "_companion": 1,
    "_purge": 1,
    "events": 1,
    "_check": 2,
    "_draw": 2,
    "hookspecs": 2,
    "_registry": 2,
    "plugin": 3,  # re-exports; what it may re-export is in REEXPORTS
    "_upstream": 3,
    "_limits": 3,
    "_blob": 3,
    "_logfile": 3,
    "_logwriter": 3,
    "_store": 3,
    "_fanout": 3,
    "_net": 3,
    "_certificates": 3,
    "_dial": 3,
    "_readable": 3,
    "_reasons": 3,
    "_sockets": 3,
    "_tls": 3,
    "_notable": 1,
    "_traffic": 2,
    "_process": 4,
    "_sources": 4,
    "_watch": 4,
    "_tier": 5,
    "_serve": 6,
    "_background": 7,
    "_log": 7,
    "_report": 7,
    "_run": 7,
    "": 8,  # tierkit/__init__.py
    "access": 9,
    "history": 9,
    "http": 9,
    "rtmp": 9,
    "live": 9,
    "off_air": 9,
    "packaging": 9,
    "websocket": 9,
    "plugins": 10,
    "plugins.": 10,
    "testing": 11,
    "testing.": 11,
    "config": 11,
    "cli": 12,
    "cli.": 12,
    "demo": 12,
    "demo.": 12,
    "load": 12,
    "load.": 12,
    "night": 12,
    "night.": 12,
    "reporting": 12,
    "reporting.": 12,
    "plan": 12,
    "plan.": 12,
    "__main__": 13,
}
ADVICE = (
    "{module} has no place in the layers: give it a level in LEVELS of tests/test_layers.py and a line in the "
    "docstring of tierkit/__init__.py"
)

MODEL = {"_address", "_authorise", "_networks", "_events", "_ports", "_plugin", "_model", "_companion", "_purge"}
MODEL |= {"_recipe", "_restream", "_because", "_merge", "_visible"}
MODEL |= {"_accesslog", "_notable", "_masking", "_event", "_events_process"}
#: The border to the sockets: below the plugins' public names, nobody else touches them.
BORDER = {"_net", "_certificates", "_dial", "_readable", "_reasons", "_sockets", "_tls"}
KITS = {"access", "history", "http", "rtmp", "live", "off_air", "packaging", "websocket"}
#: Modules that gather public names from everywhere below `tierkit` itself and hold no logic.
REEXPORTS = {"", "plugin", "events"}
#: What a plugin may import of tierkit besides the kits and the codecs.
PLUGIN_PUBLIC = {"", "plugin", "events"}
#: Third parties by module or level; what is not named may import none.
ALLOWED = {
    "codecs": {"attrs"},
    "model": {"attrs"},
    "hookspecs": {"pluggy"},
    "_registry": {"attrs", "pluggy"},
    "machinery": {"attrs", "trio", "outcome"},
    "_log": {"attrs", "structlog"},
    "_report_png": {"attrs", "matplotlib"},
    "kit": {"attrs", "trio", "h11", "av", "wsproto"},
}
#: The standard library's ways to the outside world, to the clock and to chance.
WORLD = {
    "asyncio", "http", "logging", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal",
    "socket", "ssl", "subprocess", "threading", "time", "urllib.request",
}  # fmt: skip


@frozen
class Import:
    """One name that a module imports: `top` is the distribution, `inside` the module below tierkit, if any."""

    line: int
    name: str
    typing_only: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    @property
    def inside(self) -> str | None:
        return self.name.partition(".")[2] if self.top == "tierkit" else None


def of_each(several: Iterable[str]) -> Callable[[Callable[[str], None]], Callable[[], None]]:
    """Have a check be one test over several modules, which tells all that are wrong.

    Thousands of tests would take longer to hand out than to run.
    """

    def decorate(check: Callable[[str], None]) -> Callable[[], None]:
        def test() -> None:
            wrong = []
            for module in several:
                try:
                    check(module)
                except AssertionError as error:
                    wrong.append(str(error).partition("\nassert ")[0])
            assert not wrong, "\n".join(wrong)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def level(module: str) -> int | None:
    if module in LEVELS:
        return LEVELS[module]
    parents = module.split(".")[:-1]
    while parents:
        if (found := LEVELS.get(".".join(parents) + ".")) is not None:
            return found
        parents.pop()
    # A part of another module stands where that stands: _http_client with http, _net_tls with _net.
    for known in sorted(LEVELS, key=len, reverse=True):
        if known and module.startswith((f"{known}_", f"_{known}_")):
            return LEVELS[known]
    return None


def root_of(module: str) -> str:
    """The kit or other public module that a private half belongs to; itself for all others."""
    bare = module.lstrip("_")
    return next((k for k in LEVELS if k and not k.startswith("_") and bare.startswith(f"{k}_")), module)


@cache
def imports(module: str) -> tuple[Import, ...]:
    path = MODULES[module]
    package = ["tierkit", *module.split(".")] if module else ["tierkit"]
    if path.name != "__init__.py":
        package.pop()
    return tuple(_walk(ast.parse(path.read_text()), package, typing_only=False))


def _walk(node: ast.AST, package: list[str], *, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(child.lineno, alias.name, typing_only)
        elif isinstance(child, ast.ImportFrom):
            base = package[: len(package) - child.level + 1] if child.level else []
            name = ".".join([*base, *([child.module] if child.module else [])])
            for alias in child.names:
                # `from . import x` may name a module: then that is what is imported.
                whole = f"{name}.{alias.name}"
                is_module = whole.startswith("tierkit.") and whole.partition(".")[2] in MODULES
                yield Import(child.lineno, whole if is_module else name, typing_only)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for each in child.body:
                yield from _walk(ast.Module([each], []), package, typing_only=True)
            for each in child.orelse:
                yield from _walk(ast.Module([each], []), package, typing_only=typing_only)
        else:
            yield from _walk(child, package, typing_only=typing_only)


def where(module: str, each: Import) -> str:
    return f"{MODULES[module].relative_to(ROOT.parent)}:{each.line} imports {each.name}"


def test_the_walk_sees_something() -> None:
    assert len(MODULES) > 20
    assert any(each.name == "tierkit._address" for each in imports("_events"))
    assert any(each.typing_only and each.name == "tierkit._model" for each in imports("_plugin"))
    assert any(each.name == "trio" for each in imports("_serve"))


@of_each(MODULES)
def test_every_module_stands_somewhere(module: str) -> None:
    assert level(module) is not None, ADVICE.format(module=f"tierkit/{module.replace('.', '/')}.py")


@of_each(MODULES)
def test_lower_never_imports_higher(module: str) -> None:
    mine = level(module)
    assert mine is not None
    for each in imports(module):
        if each.inside is None or each.typing_only:
            continue
        other = level(each.inside)
        assert other is not None, where(module, each)
        assert other <= mine, f"{where(module, each)}, which stands above it"


@of_each(MODULES)
def test_type_checking_imports_only_where_the_model_needs_them(module: str) -> None:
    # The model's files name each other's types; anywhere else such an import hides a cycle.
    for each in imports(module):
        if each.typing_only and each.inside is not None:
            assert module in MODEL | {"hookspecs"}, f"{where(module, each)} under TYPE_CHECKING"
            assert each.inside in MODEL, where(module, each)


@of_each(MODULES)
def test_nothing_imports_a_plugin(module: str) -> None:
    for each in imports(module):
        if each.inside is None or not each.inside.startswith("plugins."):
            continue
        # A plugin may be a package of its own; the command line offers some of them by name.
        same = module.startswith("plugins.") and module.split(".")[:2] == each.inside.split(".")[:2]
        assert same or LEVELS["testing"] <= (level(module) or 0), where(module, each)


@of_each([m for m in MODULES if (level(m) or 0) < LEVELS["http"] and m not in REEXPORTS])
def test_the_core_never_imports_a_kit_or_the_package_itself(module: str) -> None:
    for each in imports(module):
        if each.inside is not None:
            assert each.inside.partition(".")[0] not in KITS, where(module, each)
            assert each.inside not in ("", "plugin", "events"), f"{where(module, each)}: import the file that has it"


@of_each([m for m in MODULES if m.partition(".")[0] == "codecs"])
def test_codecs_are_sans_io(module: str) -> None:
    for each in imports(module):
        if each.inside is not None:
            assert each.inside.partition(".")[0] in ("codecs", "errors"), where(module, each)
            continue
        assert each.top in sys.stdlib_module_names | ALLOWED.get(module, ALLOWED["codecs"]), where(module, each)
        assert each.top not in WORLD, f"{where(module, each)}: now, nonces and bytes are arguments"
        assert each.name not in WORLD, where(module, each)


@of_each(["errors"])
def test_errors_need_the_standard_library_alone(module: str) -> None:
    for each in imports(module):
        assert each.top in sys.stdlib_module_names, where(module, each)


@of_each(sorted(MODEL | {"_check"}))
def test_the_model_opens_nothing(module: str) -> None:
    for each in imports(module):
        if each.inside is None:
            assert each.top in sys.stdlib_module_names | ALLOWED["model"], where(module, each)
            assert each.top not in WORLD, where(module, each)
        else:
            assert each.inside in MODEL | {"errors"}, where(module, each)


@of_each(MODULES)
def test_third_parties_stay_where_they_belong(module: str) -> None:
    mine = level(module)
    if mine is None or mine > LEVELS["packaging"] or module in REEXPORTS:
        return
    if module in ALLOWED:
        allowed = ALLOWED[module]
    elif mine <= LEVELS["_check"]:
        allowed = ALLOWED["model"]
    elif mine >= LEVELS["http"]:
        allowed = ALLOWED["kit"]
    else:
        allowed = ALLOWED["machinery"]
    for each in imports(module):
        if each.inside is None:
            assert each.top in sys.stdlib_module_names | allowed, where(module, each)


@of_each([m for m in MODULES if m not in BORDER and (level(m) or 0) < LEVELS["testing"]])
def test_sockets_have_one_border(module: str) -> None:
    for each in imports(module):
        assert each.top not in ("socket", "ssl", "select"), f"{where(module, each)}: go through tierkit.plugin.Network"


@of_each(MODULES)
def test_pluggy_has_one_user(module: str) -> None:
    if module not in ("hookspecs", "_registry"):
        assert all(each.top != "pluggy" for each in imports(module))


@of_each([m for m in MODULES if m.startswith("plugins.")])
def test_a_builtin_plugin_has_what_a_strangers_has(module: str) -> None:
    own = "plugins." + module.split(".")[1]
    for each in imports(module):
        if each.inside is None or each.inside == own or each.inside.startswith(f"{own}."):
            continue
        head = each.inside.partition(".")[0]
        assert each.inside in PLUGIN_PUBLIC or head in KITS | {"codecs"}, f"{where(module, each)}: not a public name"


@of_each([m for m in MODULES if (level(m) or 0) >= LEVELS["testing"]])
def test_those_on_top_use_public_names(module: str) -> None:
    mine = module.split(".")[0].lstrip("_")
    for each in imports(module):
        if each.inside is None:
            continue
        for part in each.inside.split("."):
            private = part.startswith("_") and part != "_version"
            family = root_of(each.inside).partition(".")[0] == root_of(mine).partition(".")[0]
            assert not private or family, f"{where(module, each)}: public names only up here"


# `run` is the command line of a user's own file: its ready lines and its failures are printed.
@of_each([m for m in MODULES if root_of(m).split(".")[0] not in ("cli", "__main__", "_run")])
def test_nothing_but_the_command_line_prints(module: str) -> None:
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            printing = name == "print" or name.startswith(("sys.stdout.", "sys.stderr.", "rich.print"))
            assert not printing, f"tierkit/{module}.py:{node.lineno} prints"


def test_the_library_alone_brings_no_extra() -> None:
    extras = ("av", "cattrs", "m3u8", "matplotlib", "prometheus_client", "rich", "structlog", "typer", "wsproto")
    look = f"import sys, tierkit, tierkit.plugin; print(*[each for each in {extras} if each in sys.modules])"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_reexports_hold_no_logic() -> None:
    for module in REEXPORTS & set(MODULES):
        for node in ast.parse(MODULES[module].read_text()).body:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            # One exception: `run` may be written where it is exported, as it is four lines over `serve`.
            assert docstring or isinstance(node, (ast.Import, ast.ImportFrom)), f"tierkit/{module}: line {node.lineno}"
            if isinstance(node, ast.ImportFrom):
                assert all(a.asname == a.name for a in node.names), f"tierkit/{module}: line {node.lineno}: as itself"
