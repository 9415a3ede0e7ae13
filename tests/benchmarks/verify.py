"""How long `pay-ready verify` takes for a large tenant, check by check.

    python -m tests.benchmarks.verify [--records 100000] [--deep]

The tenant is made by SQL: that many person records, landed and staged, two to an entity, with golden records, feed, edges, blocks, a call
for every tenth record, and a twentieth of the assignments moved by a second run. Uses the server that PAY_READY_TEST_ADMIN_URL and
PAY_READY_TEST_APP_URL name, else the embedded one, in a database of its own. Prints wall seconds, CPU seconds of this process (those of
the server are beside them where there is /proc) and peak memory; the goal is 60 s for a million records on an idle machine with two cores.
"""

import argparse
import logging
import os
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import structlog

from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.verify import Verification, verify_tenant
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import Scratch, cloned, make_tenant

_NAMES = (
    "landed_records", "person_records", "interaction_records", "interaction_participants", "entities", "assignments", "entity_versions",
    "entity_changes", "interaction_entities", "edges", "record_blocks", "block_members",
)  # fmt: skip
_FILL = """
    create function pg_temp.as_little_endian(sent bytea) returns bigint language sql immutable as $$
        select sum(get_byte(sent, place)::bigint << (8 * place))::bigint from generate_series(0, 7) as place $$;
    insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
    values (%(tenant)s, md5('source')::uuid, 'crm', 'hubspot', 'replay', 'replay', '{"schema_version": 1}');
    insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, finished_at)
    values (%(tenant)s, md5('run')::uuid, md5('source')::uuid, 'replay', 'complete', 1, now());
    insert into pay_ready.stream_runs (tenant_id, run_id, source_id, stream, status, emitted, landed, staged)
    values (%(tenant)s, md5('run')::uuid, md5('source')::uuid, 'contacts', 'complete', %(records)s, %(records)s, %(records)s),
           (%(tenant)s, md5('run')::uuid, md5('source')::uuid, 'calls', 'complete', %(records)s / 10, %(records)s / 10, %(records)s / 10);
    insert into pay_ready.landing_batches (tenant_id, batch_id, source_id, stream, run_id, commit_seq, landed)
    values (%(tenant)s, md5('b1')::uuid, md5('source')::uuid, 'contacts', md5('run')::uuid, 1, %(records)s),
           (%(tenant)s, md5('b2')::uuid, md5('source')::uuid, 'calls', md5('run')::uuid, 2, %(records)s / 10);
    insert into pay_ready.stream_states (tenant_id, source_id, stream, staged_commit_seq)
    values (%(tenant)s, md5('source')::uuid, 'contacts', 1), (%(tenant)s, md5('source')::uuid, 'calls', 2);
    insert into pay_ready.tenant_counters (tenant_id, counter, value)
    values (%(tenant)s, 'commit_seq', 2), (%(tenant)s, 'run_no', 2), (%(tenant)s, 'change_seq', %(records)s / 2);
    insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order,
                                          emitted_at, batch_id)
    select %(tenant)s, md5('source')::uuid, 'contacts', n::text, jsonb_build_object('id', n), sha256(n::text::bytea), 0, '', now(),
           md5('b1')::uuid
    from generate_series(1, %(records)s) as n;
    insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order,
                                          emitted_at, batch_id)
    select %(tenant)s, md5('source')::uuid, 'calls', n::text, jsonb_build_object('id', n), sha256(n::text::bytea), 0, '', now(),
           md5('b2')::uuid
    from generate_series(1, %(records)s / 10) as n;
    insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, stream, record_key, full_name, email,
                                          email_normalized, attributes, content_hash)
    select %(tenant)s, md5('p' || n)::uuid, md5('source')::uuid, 'id:' || n, 'listed', 'contacts', n::text, 'Ann Abel ' || n / 2,
           'ann' || n / 2 || '@people.example', 'ann' || n / 2 || '@people.example', '{"schema_version": 1}', sha256(n::text::bytea)
    from generate_series(1, %(records)s) as n;
    insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,
                                               interaction_type, external_id, occurred_at, metadata, content_hash, contract_version)
    select %(tenant)s, md5('i' || n)::uuid, md5('source')::uuid, 'calls', n::text, md5('i' || n)::uuid, true, 'call', n::text,
           '2026-01-01'::timestamptz + n * interval '1 minute', '{"schema_version": 1}', sha256(n::text::bytea), '1'
    from generate_series(1, %(records)s / 10) as n;
    insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role, person_record_id)
    select %(tenant)s, md5('i' || n)::uuid, place, md5('source')::uuid, md5('i' || n)::uuid, 'attendee',
           md5('p' || n * 10 - place * 3)::uuid
    from generate_series(1, %(records)s / 10) as n, generate_series(0, 1) as place;
    delete from pay_ready.resolution_queue where tenant_id = %(tenant)s;
    insert into pay_ready.resolution_models (tenant_id, model_id, entity_type, version, parameters, model_hash, trained_records)
    select %(tenant)s, md5(kind)::uuid, kind, 1, '{"schema_version": 2}', sha256(kind::bytea), %(records)s
    from (values ('person'), ('company')) as kinds (kind);
    insert into pay_ready.resolution_runs (tenant_id, run_no, run_id, kind, actor, config_hash, person_model_id, company_model_id, report)
    select %(tenant)s, n, md5('run' || n)::uuid, 'resolve', 'benchmark', sha256('x'), md5('person')::uuid, md5('company')::uuid,
           '{"schema_version": 2}'
    from generate_series(1, 2) as n;
    insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
    select %(tenant)s, md5('e' || n)::uuid, 'person', md5('p' || n * 2)::uuid, 1
    from generate_series(1, %(records)s / 2) as n;
    insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, closed_run_no, entity_id, confidence)
    select %(tenant)s, 'person', md5('p' || n)::uuid, 1, case when n %% 20 = 0 then 2 end, md5('e' || (n + 1) / 2)::uuid, 0.9
    from generate_series(1, %(records)s) as n
    union all
    select %(tenant)s, 'person', md5('p' || n * 20)::uuid, 2, null, md5('e' || (n * 20 + 1) / 2)::uuid, 0.95
    from generate_series(1, %(records)s / 20) as n;
    insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, name, email, record_count, golden, provenance,
                                           content_hash)
    select %(tenant)s, md5('e' || n)::uuid, 1, 'person', name, email, 2,
           jsonb_build_object('schema_version', 1, 'fields', jsonb_build_object(
               'name', jsonb_build_object('value', name, 'values', jsonb_build_array(name)),
               'email', jsonb_build_object('value', email, 'values', jsonb_build_array(email)))),
           jsonb_build_object('schema_version', 1, 'fields', jsonb_build_object('name', origin, 'email', origin)),
           sha256(convert_to(md5('e' || n)::uuid || ' 2' || chr(10)
               || '5:email36:' || origin || length(email) || ':' || email || length(email) || ':' || email || chr(10)
               || '4:name36:' || origin || length(name) || ':' || name || length(name) || ':' || name || chr(10), 'UTF8'))
    from generate_series(1, %(records)s / 2) as n
    cross join lateral (
        select 'Ann Abel ' || n as name, 'ann' || n || '@people.example' as email, md5('p' || n * 2)::uuid as origin
    ) as values;
    insert into pay_ready.entity_changes (tenant_id, change_seq, run_no, change, entity_type, entity_id, after_hash)
    select %(tenant)s, row_number() over (order by entity_id), 1, 'created', 'person', entity_id, content_hash
    from pay_ready.entity_versions where tenant_id = %(tenant)s;
    insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
    select %(tenant)s, md5('i' || n)::uuid, md5('e' || (n * 10 - place * 3 + 1) / 2)::uuid, 1, 'person', place = 0,
           '2026-01-01'::timestamptz + n * interval '1 minute'
    from generate_series(1, %(records)s / 10) as n, generate_series(0, 1) as place;
    insert into pay_ready.edges (tenant_id, entity_type, left_id, right_id, model_id, left_hash, right_hash, match_weight_millibits, levels)
    select %(tenant)s, 'person', least(one, other), greatest(one, other), md5('person')::uuid, sha256('x'), sha256('y'), 9000, ''
    from generate_series(1, %(records)s / 2) as n
    cross join lateral (select md5('p' || n * 2 - 1)::uuid as one, md5('p' || n * 2)::uuid as other) as pair;
    insert into pay_ready.record_blocks (tenant_id, record_id, entity_type, blocks)
    select %(tenant)s, md5('p' || n)::uuid, 'person',
           int8send(n / 2) || int8send(0) || int8send(n / 2 + 100000000) || int8send(0) || int8send(n / 2 + 200000000) || int8send(0)
    from generate_series(1, %(records)s) as n;
    insert into pay_ready.block_members (tenant_id, block, place, record_id)
    select %(tenant)s, pg_temp.as_little_endian(int8send(n / 2 + rule * 100000000)), 0, md5('p' || n)::uuid
    from generate_series(1, %(records)s) as n, generate_series(0, 2) as rule;
"""


def fill(scratch: Scratch, tenant: TenantId, records: int) -> None:
    """Make the tenant, past triggers and foreign keys."""
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")
        for statement in _split(_FILL):
            admin.execute(statement, {"tenant": tenant, "records": records})  # type: ignore[arg-type]
        admin.execute("set session_replication_role = origin")
        for name in _NAMES:
            admin.execute(f"vacuum analyze pay_ready.{name}")  # type: ignore[arg-type]


def _split(text: str) -> list[str]:
    """Statements; a function's body has a semicolon of its own nowhere."""
    return [each for each in text.split(";\n") if each.strip()]


def seal(scratch: Scratch, database: Database, tenant: TenantId) -> None:
    """Give the runs their digests and their audit events."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        digests = [digest_at(tx, run_no) for run_no in (1, 2)]
    with psycopg.connect(scratch.admin_url) as admin:
        for run_no, (before, after) in enumerate(zip((bytes(32), digests[0]), digests, strict=True), start=1):
            admin.execute(
                "update pay_ready.resolution_runs set state_digest = %s where tenant_id = %s and run_no = %s", (after, tenant, run_no)
            )
            admin.execute(
                "insert into pay_ready.audit_events (tenant_id, seq, actor, action, subject_kind, subject_id, before_hash, after_hash,"
                " event_hash) values (%s, 1, 'benchmark', 'resolution.published', 'run', %s, %s, %s, sha256(''))",
                (tenant, str(run_no), before, after),
            )


def server_cpu_s(admin_url: str) -> float:
    """CPU seconds of the server's processes so far; 0 where there is no /proc."""
    with psycopg.connect(admin_url) as admin:
        row = admin.execute("select pg_backend_pid()").fetchone()
    own = _stat(Path("/proc") / str(row[0] if row else 0) / "stat")
    if own is None:
        return 0.0
    postmaster = own[1]
    told = [stat for path in Path("/proc").glob("[0-9]*/stat") if (stat := _stat(path)) and postmaster in (path.parent.name, stat[1])]
    # Its own, of its children that live, and of those that ended.
    return sum(sum(map(int, stat[11:15])) for stat in told) / os.sysconf("SC_CLK_TCK")


def _stat(path: Path) -> list[str] | None:
    """What stands after the name of a process: its state, its parent, …"""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return None


def measured(scratch: Scratch, database: Database, tenant: TenantId, *, deep: bool) -> Verification:
    """Verify, and print how long each check takes."""
    wall, cpu, server = time.perf_counter(), time.process_time(), server_cpu_s(scratch.admin_url)
    found = verify_tenant(database, tenant, name="bench", deep=deep)
    wall, cpu, server = time.perf_counter() - wall, time.process_time() - cpu, server_cpu_s(scratch.admin_url) - server
    for result in found.results:
        print(f"{result.check:14}{result.checked:12,} checked{result.seconds:9.2f} s  {result.state}")
        for breach in result.breaches:
            print(f"  {breach.promise}: {breach.wrong:,}, first {', '.join(breach.offenders)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{wall:.1f} s wall, {cpu:.1f} CPU s here, {server:.1f} CPU s of the server, peak {peak:,.0f} MB here", flush=True)
    return found


def main() -> int:
    """Run and print; 1 when something is off, as nothing should be."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--records", type=int, default=100_000)
    words.add_argument("--deep", action="store_true")
    asked = words.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(folder / "embedded"))
        scratch = stack.enter_context(cloned(server, None))
        database = stack.enter_context(migrated(scratch))
        tenant = make_tenant(database, "bench")
        began = time.perf_counter()
        fill(scratch, tenant, asked.records)
        seal(scratch, database, tenant)
        print(f"{asked.records:,} records made in {time.perf_counter() - began:.0f} s", flush=True)
        return 1 if measured(scratch, database, tenant, deep=asked.deep).failed else 0


if __name__ == "__main__":
    sys.exit(main())
