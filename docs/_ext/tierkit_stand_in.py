"""What Wowza's stand-in shows and how that is known, from its own register."""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from tierkit_rules import plain

from tierkit.testing.wowza import SOURCES, Tag, behaviours


class Behaviours(SphinxDirective):
    """``.. tierkit-wowza-behaviours:: TAG`` lists the behaviours with one tag: recorded, documented or assumed."""

    required_arguments = 1

    def run(self):
        lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 56 22", ""]
        tag = Tag(self.arguments[0])
        lines += ["   * - name", "     - what", f"     - {'why' if tag is Tag.assumed else 'source'}"]
        for each in behaviours(tag):
            lines += [f"   * - ``{each.name}``", f"     - {plain(each.text)}", f"     - {plain(each.source)}"]
        return nested(self, lines)


class Sources(SphinxDirective):
    """``.. tierkit-wowza-sources::`` lists the sources by their tags."""

    def run(self):
        lines = [".. list-table::", "   :widths: 10 90", ""]
        for tag, what in SOURCES.items():
            lines += [f"   * - {tag}", f"     - {plain(what)}"]
        return nested(self, lines)


def nested(directive, lines):
    """Lines of reStructuredText, as nodes."""
    holder = nodes.container()
    directive.state.nested_parse(StringList(lines, source="tierkit.testing.wowza"), directive.content_offset, holder)
    return holder.children


def setup(app):
    """Register the directives."""
    app.add_directive("tierkit-wowza-behaviours", Behaviours)
    app.add_directive("tierkit-wowza-sources", Sources)
    return {"parallel_read_safe": True}
