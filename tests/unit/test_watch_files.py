"""The dashboard and the rules that are shipped: whole, in PromQL, and of metrics that are exported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pay_ready.pipeline.metrics import FAMILIES, DatabaseCollector, Figures, Row
from pay_ready.telemetry.figures import ProcessMetrics

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "pay_ready.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
# Of Prometheus itself, and of the client's collector, which is silent where there is no /proc.
OF_OTHERS = {"up", "process_resident_memory_bytes"}
_VARIABLES = {"$tenant": ".*", "$__rate_interval": "5m"}


def exported() -> set[str]:
    """Every name that a scrape may hold, with the suffixes of its kind; each family given one row."""
    metrics = ProcessMetrics()
    for kind, group in (("run", "etl"), ("step", "sync"), ("transaction", "people"), ("statement", "runs"), ("call", "airbyte")):
        metrics._metrics[kind].labels(group, "ok").observe(1)
    for name in ("pay_ready_db_pool_in_use_ratio", "pay_ready_db_pool_waiting"):
        metrics.watch(name, "as app_watch has it", lambda: 0.0)
    rows = {family.name: [Row(labels=("x",) * len(family.labels), value=1.0, count=1)] for family in FAMILIES}
    metrics.registry.register(DatabaseCollector(lambda: Figures(rows=rows, dropped=0)))  # type: ignore[arg-type]
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    return {sample.name for family in families for sample in family.samples}


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of every group."""
    for group in RULES["groups"]:
        yield from group["rules"]


def queries() -> dict[str, str]:
    """Every query, by where it stands."""
    found = {f"rules.yml: {each.get('alert') or each['record']}": each["expr"] for each in rules()}
    for panel in DASHBOARD["panels"]:
        found |= {f"pay_ready.json: {panel['title']} {target['refId']}": target["expr"] for target in panel.get("targets", ())}
    return found


def names_in(expression: object) -> Iterator[str]:
    """The metrics that a parsed query selects."""
    name = getattr(expression, "name", None)
    if type(expression).__name__ == "VectorSelector":
        assert name, "every selector names its metric"
        yield str(name)
    for attribute in ("expr", "lhs", "rhs", "vector_selector", "param", "args"):
        inner = getattr(expression, attribute, None)
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None and not isinstance(one, str):
                yield from names_in(one)


def test_every_query_names_exported_metrics() -> None:
    """Parsed as Prometheus parses it; what it selects is exported, or recorded by another rule."""
    parser = pytest.importorskip("promql_parser", reason="of the dev group")
    known = exported() | OF_OTHERS | {each["record"] for each in rules() if "record" in each}
    for place, query in queries().items():
        for variable, value in _VARIABLES.items():
            query = query.replace(variable, value)
        names = set(names_in(parser.parse(query)))
        assert names, place
        assert names <= known, f"{place}: {names - known} is not exported"


def test_labels_in_queries_are_those_of_the_metrics() -> None:
    """A label that a metric does not have selects nothing, and nobody sees why."""
    labels = {family.name: set(family.labels) for family in FAMILIES}
    for place, query in queries().items():
        for name, matchers in re.findall(r"(pay_ready_\w+)\{([^}]*)\}", query):
            base = name if name in labels else re.sub(r"_(sum|count|bucket)$", "", name)
            asked = set(re.findall(r"(\w+)\s*[=!]", matchers))
            if base in labels:
                assert asked <= labels[base], f"{place}: {name} has no {asked - labels[base]}"


def test_rules_are_whole() -> None:
    """As promtool wants them: an alert says what is off and what to do; names are there once; a duration is one."""
    alerts = [each for each in rules() if "alert" in each]
    assert len({each["alert"] for each in alerts}) == len(alerts)
    for each in alerts:
        assert set(each) <= {"alert", "expr", "for", "labels", "annotations"}
        assert each["labels"]["severity"] in ("critical", "warning", "info")
        assert set(each["annotations"]) == {"summary", "description"}
        assert re.fullmatch(r"\d+[smh]", each.get("for", "0s"))
    assert all(set(group) == {"name", "rules"} for group in RULES["groups"])
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules.yml"]
    assert {"pay_ready"} <= {each["job_name"] for each in config["scrape_configs"]}


def test_the_dashboard_is_what_grafana_reads() -> None:
    """Ids and places of panels are there once, within the 24 columns, none upon another; every panel asks the variable's data source."""
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= DASHBOARD.keys()
    assert "id" not in DASHBOARD  # a number of somebody's Grafana
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["type"] in ("stat", "timeseries", "bargauge")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    used = {name for query in queries().values() for name in re.findall(r"\$(\w+)", query)}
    assert used <= variables
