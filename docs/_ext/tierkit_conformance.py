"""What does not pass of the suite of cache-tests.fyi, with its reason, from the list that the test is held to."""

import importlib

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective
from tierkit_rules import plain


class Conformance(SphinxDirective):
    """``.. tierkit-conformance::`` lists every reason with its tests and its source."""

    def run(self):
        reasons = importlib.import_module("tests.real.cache_suite.reasons").REASONS
        holder = nodes.container()
        text = StringList(table(reasons), source="tests/real/cache_suite/reasons.py")
        self.state.nested_parse(text, self.content_offset, holder)
        return holder.children


def table(reasons):
    """All of them, as lines of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 30 15 40 15", ""]
    lines += ["   * - tests", "     - verdict", "     - why", "     - source"]
    for each in reasons:
        tests = ", ".join(f"``{test}``" for test in each.tests)
        lines += [
            f"   * - {tests}",
            f"     - {each.verdict.value}",
            f"     - {plain(each.why)}",
            f"     - {each.source}",
        ]
    return lines


def setup(app):
    """Register the directive."""
    app.add_directive("tierkit-conformance", Conformance)
    return {"parallel_read_safe": True}
