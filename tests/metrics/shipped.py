"""What `tierkit metrics` writes, read as it is meant to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

__all__ = ["DASHBOARD", "RULES", "alerts", "exposed_names", "metrics_in", "panels", "queries", "with_variables"]

_DATA = files("tierkit.plugins.metrics")
RULES = _DATA.joinpath("rules.yml").read_text()
DASHBOARD: dict[str, Any] = json.loads(_DATA.joinpath("dashboard.json").read_text())


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, without the rows between them."""
    return [each for each in DASHBOARD["panels"] if each["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Each query of the dashboard, with where it stands."""
    for panel in panels():
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def with_variables(query: str, interval: str = "1m") -> str:
    """A query as Grafana sends it with everything selected."""
    return re.sub(r"\$(job|site|tier)\b", ".*", query).replace("$__rate_interval", interval)


def metrics_in(text: str) -> set[str]:
    """Every name that looks like one of our metrics."""
    return set(re.findall(r"(?<![\w:])tierkit_\w+", text))


def exposed_names() -> set[str]:
    """Every name under which samples are exposed."""
    from tierkit.plugins.metrics._table import TABLE

    found = {each.name for each in TABLE if each.kind != "histogram"}
    parts = ("_bucket", "_count", "_sum")
    return found | {each.name + part for each in TABLE if each.kind == "histogram" for part in parts}


def alerts() -> list[str]:
    """The names of the alerts."""
    return re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
