"""The rules that something holds to, with the tests that fail without them, from the lists that the tests throw."""

import importlib

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Rules(SphinxDirective):
    """``.. tierkit-rules:: PAGE`` lists every rule of a page: who says so, which test notices when it does not hold."""

    required_arguments = 1

    def run(self):
        groups = importlib.import_module("tests.switches.rules").PAGES[self.arguments[0]]
        found = []
        for title, rules in groups.items():
            section = nodes.section(ids=[nodes.make_id(f"rules-{title}")])
            section += nodes.title(text=title)
            holder = nodes.container()
            self.state.nested_parse(StringList(table(rules), source="tests/switches"), self.content_offset, holder)
            section += holder.children
            found.append(section)
        return found


def table(rules):
    """One group, as lines of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 45 20 35", ""]
    lines += ["   * - rule", "     - source", "     - without it, this fails"]
    for each in rules:
        source = "" if each.source == "-" else each.source
        lines += [f"   * - {plain(each.rule)}", f"     - {plain(source)}", f"     - {witnesses(each.tests)}"]
    return lines


def witnesses(tests):
    """The names of tests, each once, with the cases that are meant behind it."""
    named = {}
    for test in tests:
        name, _, case = test.partition("::")[2].partition("[")
        named.setdefault(name, []).append(case.removesuffix("]").removeprefix("whole-"))
    return ", ".join(
        f"``{name}``" + plain(f" ({', '.join(cases)})" if all(cases) else "") for name, cases in named.items()
    )


def plain(text):
    """Text that reStructuredText leaves as it is, but for what stands in backticks."""
    pieces = text.split("`")
    escaped = [each.replace("*", r"\*").replace("_", r"\_") for each in pieces[::2]]
    return "".join(a + (f"``{b}``" if b else "") for a, b in zip(escaped, [*pieces[1::2], ""], strict=True)) or "\\ "


def setup(app):
    """Register the directive."""
    app.add_directive("tierkit-rules", Rules)
    return {"parallel_read_safe": True}
