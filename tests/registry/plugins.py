"""Plugins as strangers write them, as source text: good ones, and each with one thing wrong."""

HEAD = """
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import define, frozen

from tierkit.plugin import Running, Service, Source, hookimpl, option
"""

GOOD = (
    HEAD
    + '''
@frozen
class Gopher(Service):
    """A gopher hole."""

    name: ClassVar[str] = "gopher"
    roles = frozenset({"origin", "relay"})
    schemes = ("gopher",)
    pulls = ("gopher",)

    depth: int = option(3, "How deep it goes.", minimum=1, maximum=9, unit="m")
    menu: tuple[str, ...] = option((), "What is on the menu.")
    cache: int = option(1 << 20, "How much it keeps.", minimum=1024, unit="bytes")
    nap: float = option(0.5, "How long it sleeps.", unit="s")
    mood: str = option("calm", "How it feels.", choices=("calm", "wild"))
    shy: bool = option(False, "Whether it hides.")

    @asynccontextmanager
    async def open(self, tier, ctx):
        yield None


@frozen
class Burrow(Source):
    """Where gophers live."""

    name: ClassVar[str] = "burrow"
    schemes = ("gopher",)

    @asynccontextmanager
    async def open(self, origin, ctx):
        yield None


@hookimpl
def tierkit_services():
    return [Gopher]


@hookimpl
def tierkit_sources():
    yield Burrow
'''
)


def service(body: str = "", *, mark: str = "@frozen", given: str = "[It]", base: str = "Service") -> str:
    """A plugin with one service, of which a part is replaced."""
    return (
        HEAD
        + f"""
{mark}
class It({base}):
    name: ClassVar[str] = "it"
    roles = frozenset({{"relay"}})
    schemes = ("it",)

    @asynccontextmanager
    async def open(self, tier, ctx):
        yield None
{body}

@hookimpl
def tierkit_services():
    return {given}
"""
    )


AUTHORISER = (
    HEAD
    + '''
from tierkit.plugin import Allowed, Authoriser, Denied, LiveAuthoriser


@frozen
class Door(Authoriser):
    """Lets some in."""

    name: ClassVar[str] = "door"

    names: tuple[str, ...] = option((), "Who may.")
    patience: float = option(1.0, "How long it looks.", unit="s", minimum=0.5)

    @asynccontextmanager
    async def open(self, ctx):
        yield Live(self)


class Live(LiveAuthoriser):
    def __init__(self, recipe):
        self.recipe = recipe

    async def check(self, attempt):
        return Allowed() if attempt.path in self.recipe.names else Denied("not one of them")


@hookimpl
def tierkit_authorisers():
    return [Door]
'''
)

#: What is wrong, the source, and what the failure has to say.
BAD = {
    "raises": ("x = 1 / 0\n", ["does not load", "ZeroDivisionError: division by zero", "bad.py:1"]),
    "syntax": ("def f(:\n", ["does not load", "SyntaxError", "bad.py:1"]),
    "exits": ("import sys\nsys.exit(3)\n", ["does not load", "SystemExit: 3", "bad.py:2"]),
    "import": ("import no_such_module_at_all\n", ["No module named 'no_such_module_at_all'"]),
    "unknown hook": (
        HEAD + "@hookimpl\ndef tierkit_servces():\n    return []\n",
        ["implements tierkit_servces, which is no hook", "tierkit_services"],
    ),
    "arguments": (
        HEAD + "@hookimpl\ndef tierkit_services(app):\n    return []\n",
        ["tierkit_services(app)", "does not fit", "{'app'}", "no arguments"],
    ),
    "arguments of the second": (
        HEAD
        + "@hookimpl\ndef tierkit_companions():\n    return []\n\n@hookimpl\ndef tierkit_sources(x):\n    return []\n",
        ["tierkit_sources(x)", "does not fit"],
    ),
    "no mark": (HEAD + "def tierkit_services():\n    return []\n", ["implements no hook", "hookimpl"]),
    "hook raises": (HEAD + "@hookimpl\ndef tierkit_services():\n    raise OSError('x\\ny')\n", ["raised OSError: x y"]),
    "hook exits": (HEAD + "@hookimpl\ndef tierkit_services():\n    raise SystemExit(1)\n", ["raised SystemExit: 1"]),
    "hook is async": (HEAD + "@hookimpl\nasync def tierkit_services():\n    return []\n", ["is async"]),
    "nothing given": (HEAD + "@hookimpl\ndef tierkit_services():\n    pass\n", ["gave None: return a list"]),
    "a class given": (service(given="It"), ["return a list"]),
    "an instance": (service(given="[It()]"), ["gave It()", "classes derived from tierkit.plugin.Service"]),
    "another class": (service(given="[int]"), ["gave <class 'int'>", "derived from tierkit.plugin.Service"]),
    "not attrs": (service(mark=""), ["@attrs.frozen"]),
    "not frozen": (service(mark="@define"), ["@attrs.frozen"]),
    "no name": (service("    name = ''\n"), ["give it a name"]),
    "no roles": (service("    roles = frozenset()\n"), ["where it can stand"]),
    "odd role": (service("    roles = frozenset({'server'})\n"), ["where it can stand"]),
    "no schemes": (service("").replace('    schemes = ("it",)\n', ""), ["what it speaks", "needs no door"]),
    "schemes a string": (service("    schemes = 'it'\n"), ["schemes must be a tuple of strings"]),
    "pulls a string": (service("    pulls = 'it'\n"), ["pulls must be a tuple of strings"]),
    "abstract": (
        HEAD
        + """
@frozen
class It(Service):
    name: ClassVar[str] = "it"
    roles = frozenset({"relay"})
    schemes = ("it",)

@hookimpl
def tierkit_services():
    return [It]
""",
        ["it lacks open"],
    ),
    "twice in itself": (service(given="[It, It]"), ["service 'it' is already there from bad: rename it"]),
    "authoriser of another kind": (
        HEAD + "@hookimpl\ndef tierkit_authorisers():\n    return [int]\n",
        ["tierkit_authorisers gave <class 'int'>", "derived from tierkit.plugin.Authoriser"],
    ),
    "authoriser without a body": (
        HEAD
        + """
from tierkit.plugin import Authoriser

@frozen
class It(Authoriser):
    name: ClassVar[str] = "it"

@hookimpl
def tierkit_authorisers():
    return [It]
""",
        ["it lacks open"],
    ),
    "broken repr": (
        HEAD
        + """
class Odd:
    def __repr__(self):
        raise ValueError

@hookimpl
def tierkit_services():
    return [Odd()]
""",
        ["gave a Odd"],
    ),
}
