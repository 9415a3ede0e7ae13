"""Measuring: nothing while nobody is told; and never more series than there may be."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from pay_ready.pipeline.metrics import FAMILIES, MOST_SERIES, DatabaseCollector, Row, capped
from pay_ready.telemetry import measured_call, measured_run, measured_statement, measured_step, measured_transaction, tenant_hash, use_sinks
from pay_ready.telemetry.figures import ProcessMetrics

TENANT, RUN = uuid4(), uuid4()


def test_off_is_nothing() -> None:
    """Every place gives the same empty context, and nothing for metrics or traces is loaded by the pipeline."""
    made = {
        id(each)
        for each in (
            measured_run("etl", TENANT, RUN), measured_step("sync", "crm", TENANT, RUN), measured_transaction("people", TENANT),
            measured_statement("runs.list", TENANT), measured_call("airbyte", "jobs"),
        )
    }  # fmt: skip
    assert len(made) == 1
    # Not opentelemetry as a whole: pybreaker loads redis where that is there, and redis its own metrics.
    ours = "('prometheus_client', 'pay_ready.telemetry.figures', 'pay_ready.telemetry.tracing', 'pay_ready.app_watch')"
    look = f"import sys, pay_ready.app, pay_ready.pipeline.etl; print([m for m in sys.modules if m in {ours}])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"


def test_what_is_done_is_counted() -> None:
    """By kind, group and outcome; Ctrl-C is no failure of the step."""
    metrics = ProcessMetrics()
    use_sinks(metrics)
    try:
        with measured_run("etl", TENANT, RUN), measured_step("sync", "crm", TENANT, RUN), measured_statement("runs.list", TENANT):
            pass
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error), measured_step("sync", "crm", TENANT, RUN):
                raise error
    finally:
        use_sinks()
    for outcome in ("ok", "failed", "aborted"):
        assert metrics.registry.get_sample_value("pay_ready_process_step_duration_seconds_count", {"step": "sync", "outcome": outcome}) == 1
    assert metrics.registry.get_sample_value("pay_ready_db_statement_duration_seconds_count", {"aggregate": "runs", "outcome": "ok"}) == 1
    assert str(TENANT) not in generate_latest(metrics.registry).decode()


def test_a_process_has_few_series() -> None:
    """Whatever words come: the next ones are counted as others."""
    metrics = ProcessMetrics()
    use_sinks(metrics)
    try:
        for number in range(500):
            for each in (
                measured_statement(f"a{number}.b", TENANT),
                measured_call(f"service{number}", ""),
                measured_step(f"s{number}", "", TENANT, RUN),
            ):
                with each:
                    pass
    finally:
        use_sinks()
    lines = [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]
    assert len(lines) <= MOST_SERIES
    assert metrics.registry.get_sample_value("pay_ready_external_call_duration_seconds_count", {"service": "other", "outcome": "ok"}) == 440


@settings(max_examples=30)
@example(dict.fromkeys((family.name for family in FAMILIES), 0) | {"pay_ready_step_duration_seconds": 1_500, "pay_ready_rows_total": 900})
@given(st.fixed_dictionaries({family.name: st.integers(min_value=0, max_value=900) for family in FAMILIES}))
def test_series_are_capped(sizes: dict[str, int]) -> None:
    """Never more than 2,000 with those of the process; what is left out is said; what comes first in the order stays."""
    rows = {
        family.name: [Row(labels=tuple(f"{number}" for _ in family.labels), value=1.0, count=1) for number in range(sizes[family.name])]
        for family in FAMILIES
    }
    figures = capped(rows)
    given_out = sum(len(figures.rows[family.name]) * family.per_row for family in FAMILIES)
    assert given_out <= MOST_SERIES - 150, "the process's own come on top"
    assert given_out + figures.dropped == sum(len(rows[family.name]) * family.per_row for family in FAMILIES)
    metrics = ProcessMetrics()
    metrics.registry.register(DatabaseCollector(lambda: figures))  # type: ignore[arg-type]
    lines = [line for line in generate_latest(metrics.registry).decode().splitlines() if not line.startswith("#")]
    assert len(lines) <= MOST_SERIES
    assert list(figures.rows[FAMILIES[0].name]) == rows[FAMILIES[0].name]


@given(st.uuids(), st.uuids())
def test_a_tenants_label_is_opaque(one: UUID, other: UUID) -> None:
    """The same for the same tenant alone, and nothing of its id in it."""
    assert (tenant_hash(one) == tenant_hash(other)) == (one == other)
    assert tenant_hash(one) not in one.hex
