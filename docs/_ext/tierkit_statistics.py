"""Tables of statistics, made from the classes and the comments beside their fields."""

import importlib
import inspect
import re

import attrs
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

FIELD = re.compile(r"    (\w+): ")
COMMENT = re.compile(r"    #: ?(.*)")


class Statistics(SphinxDirective):
    """``.. tierkit-statistics:: module.Class`` lists every figure, what it means and how it adds up."""

    required_arguments = 1

    def run(self):
        module, _, name = self.arguments[0].rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        said = comments(cls)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 25 65 10", ""]
        lines += ["   * - figure", "     - what it is", "     - over processes"]
        for each in attrs.fields(cls):
            merge = each.metadata.get("merge", "")
            lines += [f"   * - ``{each.name}``", f"     - {said.get(each.name, '')}", f"     - {merge}"]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.arguments[0]), self.content_offset, holder)
        return holder.children


def comments(cls):
    """What the ``#:`` comment above each field says; one above several is said at the first of them."""
    found, words = {}, []
    for line in inspect.getsource(cls).splitlines():
        if match := COMMENT.match(line):
            words.append(match.group(1))
        elif match := FIELD.match(line):
            found[match.group(1)] = " ".join(words).replace("*", r"\*").replace("`", "``") if words else ""
            words = []
    return found


def setup(app):
    """Register the directive."""
    app.add_directive("tierkit-statistics", Statistics)
    return {"parallel_read_safe": True}
