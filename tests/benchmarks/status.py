"""How long `pay-ready status`, a look at the alerts and a scrape take, for a tenant with a million interactions and ten thousand runs.

    python -m tests.benchmarks.status [--interactions 1000000] [--runs 10000] [--rounds 15]

As the app's role, each statement by itself and all together, the limit of 300 ms beside it; the peer is what one writes first: the last
run of each step by `distinct on` over all steps. Then what measuring costs: the bare place that is measured with nobody told, and short
statements without and with metrics. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one.
"""

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import psycopg
import structlog

from pay_ready.db.queries import load_queries
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.alerts.check import check_alerts
from pay_ready.pipeline.metrics import MetricsWork, all_figures
from pay_ready.pipeline.status import tenant_status
from pay_ready.telemetry import measured_statement, use_sinks
from pay_ready.telemetry.figures import ProcessMetrics
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant
from tests.watch_support import rows, watch_work

LIMIT_MS = 300
_SOURCES, _STREAMS = 5, 6
STATEMENTS = ("freshness", "last_steps", "review", "outbox", "breakers", "leases", "hold", "connections", "step_totals", "row_totals")

FILL = """
insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
select :t, md5('s' || n)::uuid, 'source' || n, 'hubspot', 'replay', '', '{"schema_version": 1}' from generate_series(1, {sources}) as n;
insert into pay_ready.stream_states (tenant_id, source_id, stream)
select :t, md5('s' || n)::uuid, 'stream' || m from generate_series(1, {sources}) as n, generate_series(1, {streams}) as m;
insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at, report)
select :t, lpad(to_hex(n), 32, '0')::uuid, md5('s' || (n % {sources} + 1))::uuid, 'replay', 'complete', n,
    now() - make_interval(mins => {runs} - n), now() - make_interval(mins => {runs} - n), '{"schema_version": 2, "notes": []}'
from generate_series(1, {runs}) as n;
insert into pay_ready.stream_runs (tenant_id, run_id, source_id, stream, status, emitted, landed)
select :t, lpad(to_hex(n), 32, '0')::uuid, md5('s' || (n % {sources} + 1))::uuid, 'stream' || m, 'complete', 1000, 1000
from generate_series(1, {runs}) as n, generate_series(1, {streams}) as m;
insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, subject, status, started_at, finished_at, row_count)
select :t, md5(n || step || subject)::uuid, lpad(to_hex(n), 32, '0')::uuid, step, subject, 'complete',
    now() - make_interval(mins => {runs} - n), now() - make_interval(mins => {runs} - n) + interval '9 seconds', 10
from generate_series(1, {runs}) as n,
    lateral (values ('sync', 'source' || (n % {sources} + 1)), ('stage', 'source' || (n % {sources} + 1)), ('volume', ''), ('resolve', ''),
        ('index', ''), ('analyse', '')) as steps (step, subject);
insert into pay_ready.interaction_records (
    tenant_id, record_id, source_id, stream, record_key, interaction_id, interaction_type, occurred_at, content_hash, is_primary, body,
    external_id, metadata, contract_version
)
select :t, md5('i' || n)::uuid, md5('s1')::uuid, 'stream1', n::text, md5('i' || n)::uuid, 'note', now() - make_interval(mins => n),
    sha256(n::text::bytea), true, 'x', n::text, '{"schema_version": 1}', 'v1'
from generate_series(1, {interactions}) as n;
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select :t, n, 'upsert', 'interaction', n::text from generate_series(1, {interactions} / 10) as n;
insert into pay_ready.memory_projections (tenant_id, interaction_id, queued_seq)
select :t, md5('i' || n)::uuid, n from generate_series(1, {interactions} / 10) as n;
insert into pay_ready.resolution_models (tenant_id, model_id, entity_type, version, parameters, model_hash, trained_records)
select :t, md5('m' || kind)::uuid, kind, 1, '{"schema_version": 1, "threshold_millibits": 9000}', sha256(''), 1
from unnest(array['person', 'company']) as kind;
insert into pay_ready.resolution_runs (
    tenant_id, run_no, run_id, kind, actor, config_hash, report, published_at, person_model_id, company_model_id
)
select :t, n, gen_random_uuid(), 'resolve', 'bench', sha256(''), '{"schema_version": 2}', now() - make_interval(mins => 100 - n),
    md5('mperson')::uuid, md5('mcompany')::uuid
from generate_series(1, 100) as n;
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select :t, 'person', md5('p' || n)::uuid, n % 100 + 1, md5('e' || n / 2)::uuid, 1 from generate_series(1, {interactions} / 5) as n;
insert into pay_ready.edges (tenant_id, entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits, levels)
select :t, 'person', least(md5('p' || n)::uuid, md5('p' || n + 1)::uuid), greatest(md5('p' || n)::uuid, md5('p' || n + 1)::uuid),
    md5('mperson')::uuid, sha256(''), sha256(''), n % 40 * 500, '{"schema_version": 1}'
from generate_series(1, {interactions} / 5 - 1) as n;
"""
NAIVE = """
select distinct on (step, subject) step, subject, status, started_at from pay_ready.step_runs where tenant_id = %(tenant_id)s
order by step, subject, started_at desc
"""


def milliseconds(work: Callable[[], object], rounds: int) -> np.ndarray:  # type: ignore[type-arg]
    """How long it takes, each time; once before that."""
    work()
    spans = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        spans.append((time.perf_counter() - began) * 1_000)
    return np.array(spans)


def told(name: str, spans: np.ndarray, limit_ms: float | None = None) -> None:  # type: ignore[type-arg]
    """One line."""
    half, most = np.percentile(spans, (50, 95))
    limit = "" if limit_ms is None else f"  limit {limit_ms:g} ms: {'kept' if most <= limit_ms else 'MISSED'}"
    sys.stdout.write(f"{name:40} p50 {half:8.2f} ms  p95 {most:8.2f} ms{limit}\n")


def main() -> None:
    """Fill and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        tenant = make_tenant(database, "bench")
        sizes = {"sources": _SOURCES, "streams": _STREAMS, "runs": asked.runs, "interactions": asked.interactions}
        filled = FILL
        for name, size in sizes.items():
            filled = filled.replace(f"{{{name}}}", str(size))
        rows(scratch.admin_url, tenant, *(each for each in filled.split(";\n") if each.strip()))
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("analyze")
        statements(database, tenant, asked.rounds)
        work = watch_work(database, tenant)
        told("status, all of it", milliseconds(lambda: tenant_status(work.status), asked.rounds), LIMIT_MS)
        told("alerts, all rules", milliseconds(lambda: check_alerts(work), asked.rounds))
        scrape = MetricsWork(database=database, tenants=[work.status], folders=())
        told("a scrape of one tenant", milliseconds(lambda: all_figures(scrape), asked.rounds))
        measuring(database, tenant, asked.rounds)


def statements(database: Database, tenant: TenantId, rounds: int) -> None:
    """Each by itself, in an open transaction."""
    with database.tenant_transaction(tenant) as tx:
        for name in STATEMENTS:
            params = {"most": 10_000}
            told(f"status.{name}", milliseconds(lambda: tx.rows(f"status.{name}", params), rounds))  # noqa: B023
        connection = tx._connection
        told("peer: distinct on over all steps", milliseconds(lambda: connection.execute(NAIVE, {"tenant_id": tenant}).fetchall(), rounds))
    assert set(STATEMENTS) <= {name.partition(".")[2] for name in load_queries() if name.startswith("status.")}


def measuring(database: Database, tenant: TenantId, rounds: int) -> None:
    """What it costs that places are measured, off and on, beside the shortest statement there is."""
    count = 200_000
    began = time.perf_counter()
    for _ in range(count):
        with measured_statement("runs.list", tenant):
            pass
    off_ns = (time.perf_counter() - began) / count * 1e9
    sys.stdout.write(f"a place that is measured, nobody told: {off_ns:.0f} ns\n")

    def hundred() -> None:
        with database.tenant_transaction(tenant) as tx:
            for _ in range(100):
                tx.rows("status.hold")

    told("100 short statements, nobody told", milliseconds(hundred, rounds * 4))
    use_sinks(ProcessMetrics())
    told("100 short statements, counted", milliseconds(hundred, rounds * 4))
    use_sinks()


if __name__ == "__main__":
    main()
