"""What tests of retention share: a tenant that grows old at once, its rules, and every row that may go and come back."""

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from pay_ready.db.tenancy import Database
from pay_ready.model.archived import KINDS, TABLES, ArchiveKind
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.retention.apply import run_retention
from pay_ready.pipeline.retention.restore import restore_archive
from pay_ready.pipeline.retention.shelf import Shelf
from pay_ready.pipeline.retention.work import RestoreReport, RetentionReport, RetentionRules, RetentionWork
from pay_ready.secrets import Keyring, generate_key

KEYS = Keyring.from_text(generate_key())
_TIMES = (
    "select c.relname, array_agg(a.attname::text) from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
    " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition"
    " and a.atttypid = 'timestamptz'::regtype and a.attnum > 0 and not a.attisdropped"
    # When an interaction took place is no age of a row, an event of the audit hashes its time, and leases are of this moment.
    " and a.attname not in ('occurred_at', 'ended_at') and c.relname not in ('audit_events', 'leases', 'schema_migrations')"
    " group by c.relname"
)


def aged(admin_url: str, tenant: TenantId, days: float) -> None:
    """All rows of a tenant were written so many days earlier than they were."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for table, columns in admin.execute(_TIMES).fetchall():
            earlier = sql.SQL(", ").join(
                sql.SQL("{0} = {0} - make_interval(secs => %(s)s)").format(sql.Identifier(name)) for name in columns
            )
            statement = sql.SQL("update {} set {} where tenant_id = %(tenant)s").format(sql.Identifier("pay_ready", table), earlier)
            admin.execute(statement, {"s": days * 86_400, "tenant": tenant})


def keeping(
    database: Database,
    tenant: TenantId,
    folder: Path,
    *,
    days: float = 0,
    batch_rows: int = 7,
    keep_runs: int = 0,
    archive_days: float = 0,
    keyring: Keyring = KEYS,
    **by_kind: float,
) -> RetentionWork:
    """A tenant's retention: `days` for every kind that is not named. Few rows at once, so that there are many pages."""
    kept: Mapping[ArchiveKind, float] = {kind: by_kind.get(kind, days) for kind in KINDS}
    rules = RetentionRules(days=kept, archive_days=archive_days, batch_rows=batch_rows, keep_runs=keep_runs)
    return RetentionWork(
        database=database, tenant=tenant, slug="acme", actor="tests", rules=rules, shelf=Shelf(folder, tenant), region="US",
        keyring=lambda: keyring,
    )  # fmt: skip


def retain(work: RetentionWork, *only: ArchiveKind) -> RetentionReport:
    """Archive and delete."""
    report = run_retention(work, only, run_id=RunId(new_id()))
    report.raise_for_failure()
    return report


def bring_back(work: RetentionWork, asked: object) -> RestoreReport:
    """Restore an archive by its id or its manifest."""
    return restore_archive(work, str(asked), run_id=RunId(new_id()))


def bring_all_back(work: RetentionWork, report: RetentionReport) -> list[RestoreReport]:
    """Restore every archive of a report, the last that was made first: rows follow the syncs that they name."""
    return [bring_back(work, each.archive_id) for each in reversed(report.archives)]


def archived_tables(admin_url: str, tenant: TenantId) -> dict[str, list[str]]:
    """Every row of every table that retention knows, as text; but for its own steps."""
    names = sorted({table.name for tables in TABLES.values() for table in tables} | {"archived_interactions"})
    with psycopg.connect(admin_url) as admin:
        return {
            name: sorted(
                line
                for (line,) in admin.execute(
                    sql.SQL("select t::text from {} as t where tenant_id = %s and {}").format(
                        sql.Identifier("pay_ready", name), sql.SQL("step <> 'retention'" if name == "step_runs" else "true")
                    ),
                    (tenant,),
                )
            )
            for name in names
        }


def differing(found: Mapping[str, list[str]], expected: Mapping[str, list[str]]) -> dict[str, tuple[int, int]]:
    """By table: rows that are there and should not be, and rows that are not there and should be; tables that are equal are left out."""
    told = {name: (len(set(found[name]) - set(expected[name])), len(set(expected[name]) - set(found[name]))) for name in expected}
    return {name: counts for name, counts in told.items() if counts != (0, 0) or len(found[name]) != len(expected[name])}
