"""docs/reference/metrics.md has every metric that is exposed, as it is exposed, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tierkit.plugins.metrics._bounded import MAX_STREAMS, MAX_WORDS
from tierkit.plugins.metrics._collect import STATES, Collector
from tierkit.plugins.metrics._exposition import exposed
from tierkit.plugins.metrics._table import LABELS, TABLE

from .support import process, statistics

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "reference" / "metrics.md").read_text()
ROW = re.compile(r"^\| `(tierkit_\w+)` \| (\w+) \| ([\w, ]*)\| (.+) \|$", re.MULTILINE)
DOCUMENTED = {m[1]: (m[2], frozenset(m[3].replace(",", " ").split())) for m in ROW.finditer(PAGE)}


def test_every_metric_of_the_table_is_on_the_page_and_no_other() -> None:
    assert {each.name: (each.kind, frozenset(each.labels)) for each in TABLE} == DOCUMENTED
    assert len(ROW.findall(PAGE)) == len(TABLE)


async def test_what_is_exposed_is_what_is_documented() -> None:
    processes = {"edge-a1": {**process(), "alive": True, "starts": 1, "told_ago": 0.5}}
    body, _ = await exposed(Collector().collect(statistics(processes=processes)), accept="", gzip=False)
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for family in text_string_to_metric_families(body.decode()):
        labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
        kind = "info" if family.name.endswith("_info") else family.type
        found[family.name + ("_total" if kind == "counter" else "")] = kind, labels
    assert found == DOCUMENTED


def test_the_bounds_are_those_of_the_code() -> None:
    of = {name: sum(each.of == name and not each.more for each in TABLE) for name in LABELS}
    words = {
        name: sum(each.of == name and bool(each.more) and each.kind != "info" for each in TABLE) for name in LABELS
    }
    assert f"at most {MAX_WORDS + 1} results and {MAX_WORDS + 1} kinds of memory" in PAGE
    # Its words are those of three reasons; the states are a fixed set, and the info is one.
    assert words["tier"] == 4
    assert (
        f"| tier | {of['tier'] + len(STATES) + 1}, and of each of three kinds of reason at most {MAX_WORDS + 1} |"
        in PAGE
    )
    assert f"| service of a tier | {of['service']}, at most" in PAGE
    assert words["service"] == 2
    assert f"| door of a tier (service and scheme) | {of['traffic']} |" in PAGE
    assert f"| upstream of a tier | {of['upstream']} |" in PAGE
    assert (
        f"| stream of a tier | {of['stream']}, of at most {MAX_STREAMS}, and {of['stream'] - 1} for `other` |" in PAGE
    )
    assert f"| certificate | {of['certificate']} |" in PAGE
    # The descriptors are two, and the histogram counts beside.
    assert f"| process | {of['process'] - 1 + 2}, and 13 of the histogram; {of['child']} more" in PAGE
    assert all(f"`{each}`" in PAGE for each in STATES)
