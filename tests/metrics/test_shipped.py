"""The rules and the dashboard: what promtool says of them, and that they name what there is."""

from __future__ import annotations

import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tierkit.plugins.metrics import tierkit_commands
from tierkit.plugins.metrics._collect import Collector
from tierkit.plugins.metrics._exposition import exposed
from tierkit.reporting._prometheus import QUERIES

from .shipped import DASHBOARD, RULES, alerts, exposed_names, metrics_in, panels, queries
from .support import process, statistics

HERE = Path(__file__).parent
RUNBOOKS = (HERE.parent.parent / "docs" / "how-to" / "prometheus.md").read_text()


def promtool(*arguments: str, cwd: Path, given: bytes = b"") -> str:
    done = subprocess.run(["promtool", *arguments], cwd=cwd, input=given, capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


# --- promtool ------------------------------------------------------------------------------------


@pytest.mark.real("promtool")
async def test_the_metrics_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    processes = {"edge-a1": {**process(), "alive": True, "starts": 1, "told_ago": 0.5}}
    body, _ = await exposed(Collector().collect(statistics(processes=processes)), accept="", gzip=False)
    assert promtool("check", "metrics", cwd=tmp_path, given=body) == ""


@pytest.mark.real("promtool")
def test_the_rules_are_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    rules = len(re.findall(r"^ +- (alert|record): ", RULES, re.MULTILINE))
    assert f"SUCCESS: {rules} rules found" in promtool("check", "rules", "rules.yml", cwd=tmp_path)


@pytest.mark.real("promtool")
def test_each_alert_fires_where_it_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "alerts.yml").write_text((HERE / "alerts.yml").read_text())
    assert "SUCCESS" in promtool("test", "rules", "alerts.yml", cwd=tmp_path)


def test_each_alert_is_tried_before_it_fires_and_when_it_does() -> None:
    tried = re.split(r"^ +- eval_time: ", (HERE / "alerts.yml").read_text(), flags=re.MULTILINE)
    silent = {m[1] for each in tried if "exp_alerts" not in each and (m := re.search(r"alertname: (\w+)", each))}
    fires = {m[1] for each in tried if "exp_alerts" in each and (m := re.search(r"alertname: (\w+)", each))}
    assert silent == fires == set(alerts())


# --- what they name ------------------------------------------------------------------------------


def test_the_rules_name_metrics_that_there_are() -> None:
    assert metrics_in(RULES) <= exposed_names()


def test_reports_ask_for_metrics_that_there_are() -> None:
    assert metrics_in(" ".join(QUERIES.values())) <= exposed_names()


def test_the_dashboard_names_metrics_that_there_are_and_leaves_few_out() -> None:
    shown = metrics_in(" ".join(query for _, query in queries()))
    assert shown <= exposed_names()
    # What an alert or a look at /statistics is better for.
    assert {each.removesuffix("_bucket") for each in exposed_names() - shown} == {
        "tierkit_connections_accepted_total",
        "tierkit_connections_failed_total",
        "tierkit_event_loop_delay_seconds_count",
        "tierkit_event_loop_delay_seconds_sum",
        "tierkit_event_loop_longest_step_seconds",
        "tierkit_process_report_age_seconds",
        "tierkit_process_start_time_seconds",
        "tierkit_process_starts_total",
        "tierkit_process_up",
        "tierkit_ready",
        "tierkit_received_bytes_total",
        "tierkit_streams",
        "tierkit_upstream_clients",
    }


def test_each_alert_has_what_a_person_needs_at_night() -> None:
    for rule in re.split(r"^ +- (?=alert: )", RULES, flags=re.MULTILINE)[1:]:
        name = rule.split()[1]
        for part in ("severity: ", "summary: ", "description: ", "runbook_url: "):
            assert part in rule, name
        severity = re.search(r"severity: (\w+)", rule)
        assert severity is not None
        assert severity[1] in ("critical", "warning"), name
        link = re.search(r"runbook_url: docs/how-to/prometheus\.md#(\w+)", rule)
        assert link is not None, name
        heads = {re.sub(r"\W", "", head.lower()) for head in re.findall(r"^### (.+)$", RUNBOOKS, re.MULTILINE)}
        assert link[1] in heads, f"{name} has no section in the how-to"


# --- the dashboard -------------------------------------------------------------------------------


def test_it_can_be_imported_and_provisioned() -> None:
    # Grafana's import asks for __inputs, provisioning does not know them: a variable serves both.
    assert "__inputs" not in DASHBOARD
    assert DASHBOARD["uid"] == "tierkit"
    assert "id" not in DASHBOARD
    source, *others = DASHBOARD["templating"]["list"]
    assert (source["type"], source["query"], source["name"]) == ("datasource", "prometheus", "datasource")
    assert [each["name"] for each in others] == ["job", "site", "tier"]
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    assert all(each["datasource"] == wanted for each in [*panels(), *others])
    assert all(target["datasource"] == wanted for each in panels() for target in each["targets"])


def test_each_panel_has_a_place_of_its_own() -> None:
    everything = DASHBOARD["panels"]
    assert len({each["id"] for each in everything}) == len(everything)
    assert len({each["title"] for each in everything}) == len(everything)
    for each in everything:
        place = each["gridPos"]
        assert place["x"] + place["w"] <= 24, each["title"]
    for one, other in combinations(everything, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart, (one["title"], other["title"])


def test_each_query_listens_to_the_variables() -> None:
    for where, query in queries():
        if "ALERTS" not in query:
            assert 'job=~"$job"' in query, where
            assert query.count("tierkit_") == query.count('job=~"$job"'), where


# --- the command ---------------------------------------------------------------------------------


def test_the_command_writes_them() -> None:
    (group,) = tierkit_commands()
    assert CliRunner().invoke(group, ["rules"]).stdout == RULES  # type: ignore[arg-type]
    assert '"uid": "tierkit"' in CliRunner().invoke(group, ["dashboard"]).stdout  # type: ignore[arg-type]


def test_the_links_go_where_one_reads() -> None:
    (group,) = tierkit_commands()
    told = CliRunner().invoke(group, ["rules", "--runbooks", "https://wiki.example/tierkit"]).stdout  # type: ignore[arg-type]
    assert "runbook_url: https://wiki.example/tierkit#tierkittierdown" in told
    assert "runbook_url: docs/" not in told
