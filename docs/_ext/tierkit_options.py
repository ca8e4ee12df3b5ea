"""Tables of options, made from the recipes themselves so that they cannot drift from them."""

import importlib
import re

import attrs
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Options(SphinxDirective):
    """``.. tierkit-options:: module.Recipe`` lists every option with its default, range and help."""

    required_arguments = 1

    def run(self):
        module, _, name = self.arguments[0].rpartition(".")
        recipe = getattr(importlib.import_module(module), name)
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 15 65", ""]
        lines += ["   * - option", "     - default", "     - what it does"]
        for each in attrs.fields(recipe):
            if "help" not in each.metadata:
                continue
            lines += [
                f"   * - ``{each.name}``",
                f"     - ``{shown(each.default, each.metadata)}``",
                f"     - {plain(each.metadata['help'])}{bounds(each.metadata)}",
            ]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.arguments[0]), self.content_offset, holder)
        return holder.children


def plain(text):
    """A help as it is: asterisks are patterns, no emphasis, and a name that ends in ``_`` is no link."""
    return re.sub(r"(_(?=\W)|\*)", r"\\\1", text)


def shown(value, meta):
    """A default as one would write it."""
    if isinstance(value, attrs.Factory):
        value = value.factory()
    if meta["unit"] == "bytes" and isinstance(value, int) and value:
        for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if value % size == 0:
                return f"{value // size}{unit}"
    return f"{value!r} {meta['unit']}".rstrip() if meta["unit"] != "bytes" else repr(value)


def bounds(meta):
    """The range or the choices as a sentence."""
    if meta["choices"]:
        return f" One of {', '.join(f'``{each!r}``' for each in meta['choices'])}."
    low, high = meta["minimum"], meta["maximum"]
    if low is not None and high is not None:
        return f" From {low:g} to {high:g}."
    if low is not None:
        return f" At least {low:g}."
    return f" At most {high:g}." if high is not None else ""


def setup(app):
    """Register the directive."""
    app.add_directive("tierkit-options", Options)
    return {"parallel_read_safe": True}
