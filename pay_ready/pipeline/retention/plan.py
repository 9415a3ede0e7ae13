"""What is due: counted where it is, in one snapshot; nothing is written."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pay_ready.db import retention as db_retention
from pay_ready.db.retention import Bounds
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.archived import TABLES, ArchiveKind
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.retention.work import DueTable, RetentionPlan, RetentionRules, RetentionWork, chosen_kinds


def plan_retention(work: RetentionWork, only: Iterable[ArchiveKind] = (), *, progress: Progress = no_progress) -> RetentionPlan:
    """What is due, by table.

    Args:
        work: The tenant; any login of the app may plan.
        only: Kinds to look at; none means all.
        progress: Told of each table.
    """
    with work.database.tenant_transaction(work.tenant, work="batch", snapshot=True) as tx:
        now = db_retention.moment(tx)
        kinds = [kind for kind in chosen_kinds(tuple(only)) if work.rules.days[kind] > 0]
        due: list[DueTable] = []
        history: Bounds | None = None
        for number, kind in enumerate(kinds):
            old = bounds_of(tx, kind, now, work.rules)
            for table in TABLES[kind]:
                found = db_retention.due_extent(tx, table, old)
                due.append(DueTable(
                    kind=kind, table=table.name, days=work.rules.days[kind], rows=found.rows, first_at=found.first_at, last_at=found.last_at
                ))  # fmt: skip
            if kind == "history" and any(each.rows for each in due if each.kind == kind):
                history = old
            progress(ProgressEvent(step="plan", subject=work.slug, done=number + 1, total=len(kinds), detail=kind))
        return RetentionPlan(
            tenant=work.slug, moment=now, days=dict(work.rules.days), due=tuple(due),
            through_run_no=history.through_run_no if history else 0, kept_runs=history.kept_runs if history else (),
            unfinished=tuple(each.archive_id for each in db_retention.archives(tx, statuses=("archived",))),
            outlived=tuple(each.archive_id for each in outlived(tx, now, work.rules)),
        )  # fmt: skip


def bounds_of(tx: TenantTransaction, kind: ArchiveKind, now: datetime, rules: RetentionRules) -> Bounds:
    """What is old of a kind by the rules."""
    return db_retention.bounds(tx, kind, now - timedelta(days=rules.days[kind]), keep_runs=rules.keep_runs)


def outlived(tx: TenantTransaction, now: datetime, rules: RetentionRules) -> list[db_retention.Archive]:
    """Archives that were kept long enough, counted from when the last of their rows went, or came back."""
    if not rules.archive_days:
        return []
    limit = now - timedelta(days=rules.archive_days)
    found = db_retention.archives(tx, statuses=("deleted", "restored"))
    return [each for each in found if max(filter(None, (each.deleted_at, each.restored_at, each.begun_at))) < limit]
