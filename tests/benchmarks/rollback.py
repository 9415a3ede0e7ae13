"""How long a rollback of many assignments takes, with a few per cent and with all of them changed; and the digest from scratch.

    python -m tests.benchmarks.rollback [--records 1000000]

Two runs are written straight into the history: the second brings entities together in twos, for a share of the records. Then: roll back
to the first, redo. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one. Prints wall
seconds, CPU seconds of this process (the server's are its own) and peak memory, beside a limit: the changed rows copied into bare tables.
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psycopg
import structlog

from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.rollback import redo, resume, rollback
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant

_GOLDEN = (
    "jsonb_build_object('schema_version', 1, 'fields', jsonb_build_object('name', jsonb_build_object('value', 'Anna Bell ' || number,"
    " 'values', jsonb_build_array('Anna Bell ' || number)), 'email', jsonb_build_object('value', 'anna' || number || '@bell.example',"
    " 'values', jsonb_build_array('anna' || number || '@bell.example')), 'title', jsonb_build_object('value', 'Head of Sales', 'values',"
    " jsonb_build_array('Head of Sales'))))"
)
_VERSION = (
    "insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, closed_run_no, entity_type, name, email, record_count,"
    " golden, provenance, content_hash) select {tenant}, {entity}, {opened}, {closed}, 'person', 'Anna Bell ' || number,"
    " 'anna' || number || '@bell.example', {count}, " + _GOLDEN + ", jsonb_build_object('schema_version', 1, 'fields',"
    " jsonb_build_object('name', {record})), sha256(convert_to(number || ' {opened}', 'UTF8')) from generate_series({first}, {last}{step})"
    " as number"
)


def fill(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId, records: int, percent: int) -> None:
    """Two published runs: `records` in twos; then, for a share of them, in fours."""

    def uuid(kind: str, number: str) -> str:
        return f"md5('{tenant}{kind}' || ({number}))::uuid"

    def run(statement: str) -> None:
        admin.execute(statement)  # type: ignore[call-overload]

    mine, entities = f"'{tenant}'::uuid", records // 2
    changed = entities * percent // 100 // 2 * 2  # entities
    run("set session_replication_role = replica")
    for kind in ("person", "company"):
        run(
            "insert into pay_ready.resolution_models (tenant_id, model_id, entity_type, version, parameters, model_hash, trained_records)"
            f" values ({mine}, {uuid(kind, '0')}, '{kind}', 1, '{{\"schema_version\": 2}}', sha256('{kind}'), 0)"
        )
    for run_no in (1, 2):
        run(
            "insert into pay_ready.resolution_runs (tenant_id, run_no, run_id, kind, actor, config_hash, person_model_id, company_model_id,"
            f" report) values ({mine}, {run_no}, gen_random_uuid(), 'resolve', 'bench', sha256(''), {uuid('person', '0')},"
            f' {uuid("company", "0")}, \'{{"schema_version": 2, "people": {{}}, "companies": {{}}}}\')'
        )
    run(
        "insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)"
        f" select {mine}, {uuid('e', 'number')}, 'person', {uuid('r', '2 * number')}, 1 from generate_series(0, {entities - 1}) as number"
    )
    columns = "(tenant_id, entity_type, record_id, opened_run_no, closed_run_no, entity_id, confidence)"
    run(
        f"insert into pay_ready.assignments {columns} select {mine}, 'person', {uuid('r', 'number')}, 1,"
        f" case when number < {2 * changed} then 2 end, {uuid('e', 'number / 2')}, 0.9 from generate_series(0, {records - 1}) as number"
    )
    run(
        f"insert into pay_ready.assignments {columns} select {mine}, 'person', {uuid('r', 'number')}, 2, null,"
        f" {uuid('e', 'number / 4 * 2')}, 0.8 from generate_series(0, {2 * changed - 1}) as number"
    )
    parts = {"tenant": mine, "entity": uuid("e", "number"), "record": uuid("r", "2 * number")}
    run(_VERSION.format(**parts, opened=1, closed="2", count=2, first=0, last=changed - 1, step=""))
    run(_VERSION.format(**parts, opened=1, closed="null::bigint", count=2, first=changed, last=entities - 1, step=""))
    run(_VERSION.format(**parts, opened=2, closed="null::bigint", count=4, first=0, last=changed - 1, step=", 2"))
    run(
        "insert into pay_ready.entity_redirects (tenant_id, entity_id, opened_run_no, target_entity_id)"
        f" select {mine}, {uuid('e', 'number')}, 2, {uuid('e', 'number - 1')} from generate_series(1, {changed - 1}, 2) as number"
    )
    run(f"insert into pay_ready.tenant_counters (tenant_id, counter, value) values ({mine}, 'run_no', 2)")
    run(
        "insert into pay_ready.checkpoints (tenant_id, checkpoint_id, name, run_no, digest, kind)"
        f" values ({mine}, gen_random_uuid(), 'before-run-2', 1, sha256(''), 'automatic')"
    )
    admin.commit()
    admin.autocommit = True
    run("vacuum analyze pay_ready.assignments, pay_ready.entity_versions, pay_ready.entity_redirects, pay_ready.entities")


def measured(name: str, work: Callable[[], object]) -> object:
    """Run and print one line."""
    wall, cpu = time.perf_counter(), time.process_time()
    done = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = f"{time.perf_counter() - wall:8.2f} s wall {time.process_time() - cpu:7.2f} s CPU here, peak {peak:,.0f} MB here"
    sys.stdout.write(f"{name:52} {took}\n")
    sys.stdout.flush()
    return done


def copied(admin: psycopg.Connection[tuple[object, ...]], tenant: TenantId) -> None:
    """The rows that the second run closed, written once more into tables without keys."""
    for table in ("assignments", "entity_versions"):
        admin.execute(  # type: ignore[call-overload]
            f"create temporary table bare_{table} as select * from pay_ready.{table} where tenant_id = '{tenant}' and closed_run_no = 2"
        )


def rolled_back(database: Database, admin_url: str, tenant: TenantId, records: int, percent: int) -> None:
    """Roll back and redo."""

    def digest() -> bytes:
        with database.tenant_transaction(tenant, work="batch") as tx:
            return digest_at(tx, 1)

    then = measured(f"digest of {records:,} assignments from scratch", digest)
    with psycopg.connect(admin_url) as admin, database.tenant_transaction(tenant, work="batch") as tx:
        for run_no in (1, 2):  # as runs keep them
            kept = {"tenant": tenant, "run_no": run_no, "digest": digest_at(tx, run_no)}
            admin.execute(
                "update pay_ready.resolution_runs set state_digest = %(digest)s where tenant_id = %(tenant)s and run_no = %(run_no)s", kept
            )
        admin.execute("update pay_ready.checkpoints set digest = %s where tenant_id = %s", (then, tenant))
    for name, run in (
        ("preview", lambda: rollback(database, tenant, "before-run-2", actor="bench", run_id=RunId(new_id()), dry_run=True)),
        ("rollback", lambda: rollback(database, tenant, "before-run-2", actor="bench", run_id=RunId(new_id()))),
        ("redo", lambda: redo(database, tenant, actor="bench", run_id=RunId(new_id()))),
    ):
        report = measured(f"{name}, {percent} % of {records:,} changed", run)
        if name == "rollback" and report.digest != then:  # type: ignore[attr-defined]
            raise SystemExit("the digest is another one")
    resume(database, tenant, actor="bench")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--percent", type=int, nargs="*", default=[5, 100])
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        for percent in asked.percent:
            tenant = make_tenant(database, f"bench-{percent}")
            with psycopg.connect(scratch.admin_url) as admin:
                fill(admin, tenant, asked.records, percent)
                measured(f"the limit: {percent} % copied into bare tables", partial(copied, admin, tenant))
            rolled_back(database, scratch.admin_url, tenant, asked.records, percent)


if __name__ == "__main__":
    main()
