"""Back to a checkpoint, and forth again: the state of a run of the past becomes the new version, in one transaction or not at all.

Nothing is deleted. What differs is closed and opened like in any run; the models and the tenant's settings come back; records that came
since are assigned to nobody and wait, like everything that differs, for the next run; and the tenant's resolution rests until somebody
resumes it, so that no schedule makes anew what was taken back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db import tenants
from pay_ready.db.checkpoints import Run
from pay_ready.db.publish import RunHeader
from pay_ready.db.resolution import Hold, Queue
from pay_ready.db.restore import Differences
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import CheckFailedError, ConflictError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, PublishReport, ResolutionConfig

FAILPOINTS = (
    "rollback.locked",
    "rollback.found",
    "rollback.run_opened",
    "rollback.rows_written",
    "rollback.before_commit",
    "rollback.after_commit",
)
_EXAMPLES = 5
_FIGURES = ("records", "candidate_pairs", "edges", "entities", "predicted_precision", "predicted_recall", "threshold_bits")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackReport:
    """What a rollback does, or would do; `run_no` is None where nothing was written."""

    to: str  # checkpoint
    to_run_no: int
    from_run_no: int
    run_no: int | None
    is_dry_run: bool
    is_there: bool  # already: nothing differs
    differences: Differences
    digest: bytes  # of the state, as it was kept for the checkpoint
    models_change: bool
    settings_change: bool  # the tenant's own
    config_hash: bytes  # that the restored run was made with
    is_on_hold: bool  # afterwards
    decisions_run_no: int | None = None  # that applied the decisions made since, where that was asked for


def rollback(
    database: Database,
    tenant: TenantId,
    to: str,
    *,
    actor: str,
    run_id: RunId,
    reason: str | None = None,
    dry_run: bool = False,
    apply_with: ResolutionConfig | None = None,
    examples: int = _EXAMPLES,
    progress: Progress = no_progress,
    begin: Callable[[TenantTransaction], None] = lambda _: None,
    end: "Callable[[TenantTransaction, RollbackReport], None]" = lambda *_: None,
) -> RollbackReport:
    """Return to a checkpoint.

    Args:
        database: The store.
        tenant: Whose state.
        to: Name or id of the checkpoint.
        actor: Who does it.
        run_id: The run in logs.
        reason: Why; kept in the audit and with the hold.
        dry_run: Write nothing: say what would differ.
        apply_with: Apply the decisions made since at once, by a run of its own in the same transaction, with this configuration.
        examples: Changed entities to show, of each kind.
        progress: Told of each phase.
        begin: Looks, under the publish lock, whether it may be; raises what stands in the way.
        end: Notes that it was, in the same transaction.

    Raises:
        NotFoundError: No such checkpoint.
        CheckFailedError: The rows are not those of the checkpoint any more; nothing was changed.
        ConflictError: The decisions cannot be applied at once: the restored models are not those that the kept evidence is of.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        failpoint("rollback.locked")
        begin(tx)
        point = db_checkpoints.checkpoint(tx, to)
        if point.state_digest is not None and point.state_digest != point.digest:
            raise _not_whole(to, point.run_no)
        step = _Step(tx, actor=actor, run_id=run_id, reason=reason, progress=progress)
        report = step.restore(db_checkpoints.run(tx, point.run_no), to=point.name, dry_run=dry_run, examples=examples)
        if apply_with is not None and report.run_no is not None and report.differences.decisions_since:
            report = step.with_decisions(report, database, apply_with)
        end(tx, report)
        failpoint("rollback.before_commit")
    failpoint("rollback.after_commit")
    return report


def redo(
    database: Database,
    tenant: TenantId,
    *,
    actor: str,
    run_id: RunId,
    reason: str | None = None,
    dry_run: bool = False,
    examples: int = _EXAMPLES,
    progress: Progress = no_progress,
) -> RollbackReport:
    """Take back the last rollback that is in force: the state before it comes back, and its hold ends.

    Raises:
        ConflictError: No rollback is in force.
        CheckFailedError: The rows are not those of that state any more; nothing was changed.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        db_resolution.lock_publish(tx)
        failpoint("rollback.locked")
        hold = db_resolution.hold(tx)
        if hold is None:
            hint = "go back to any state by its checkpoint: pay-ready checkpoint list -t TENANT"
            raise ConflictError("no rollback is in force: nothing to redo", hint)
        step = _Step(tx, actor=actor, run_id=run_id, reason=reason, progress=progress)
        undone = db_checkpoints.run(tx, hold.run_no)
        before = db_checkpoints.run(tx, hold.run_no - 1)
        report = step.restore(before, to=f"before-run-{hold.run_no}", dry_run=dry_run, examples=examples, undone=undone)
        failpoint("rollback.before_commit")
    failpoint("rollback.after_commit")
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """A tenant's resolution goes on."""

    hold: Hold | None  # the latest that ended; None when there was none
    waiting: Mapping[str, int]  # for the next run, by kind


def resume(database: Database, tenant: TenantId, *, actor: str, reason: str | None = None) -> Resumed:
    """End every hold of the tenant: the next run resolves what waits, and what was taken back may come again."""
    with database.tenant_transaction(tenant) as tx:
        db_resolution.lock_publish(tx)
        hold = db_resolution.hold(tx)
        if hold is not None:
            db_resolution.drop_holds(tx)
            tenants.audit(
                tx, actor=actor, action="resolution.resumed", subject_kind="run", subject_id=str(hold.run_no), reason=reason
            )  # fmt: skip
        return Resumed(hold=hold, waiting=db_resolution.count_queued(tx))


@dataclass(frozen=True, slots=True)
class _Step:
    """A restoration under the publish lock."""

    tx: TenantTransaction
    actor: str
    run_id: RunId
    reason: str | None
    progress: Progress

    def restore(self, target: Run, *, to: str, dry_run: bool, examples: int, undone: Run | None = None) -> RollbackReport:
        """Make the state of a run the published one; `undone` is the rollback that is taken back by it."""
        tx = self.tx
        standing = db_resolution.standing(tx)
        current = db_checkpoints.run(tx, standing.run_no)
        db_restore.find(tx, target.run_no)
        dropped = None if undone is None else undone.run_id
        found = db_restore.differences(tx, None, examples=examples, dropped_change_id=dropped)
        before = standing.state_digest or digest_at(tx, standing.run_no)
        after = db_restore.restored_digest(tx, before)
        if after != (target.state_digest or digest_at(tx, target.run_no)):
            raise _not_whole(to, target.run_no)
        failpoint("rollback.found")
        self._told("found", found.count)
        settings = self._settings_to_restore(target)
        models_change = current.models != target.models
        is_there = not (models_change or settings is not None or differs(found))
        held = db_resolution.hold(tx) is not None
        run_no = None
        if not dry_run and not is_there:
            run_no = self._write(current, target, found, settings, before, after, undone=undone, to=to)
            held = db_resolution.hold(tx) is not None
        return RollbackReport(
            to=to, to_run_no=target.run_no, from_run_no=current.run_no, run_no=run_no, is_dry_run=dry_run, is_there=is_there,
            differences=found, digest=after, models_change=models_change, settings_change=settings is not None,
            config_hash=target.config_hash, is_on_hold=held,
        )  # fmt: skip

    def _settings_to_restore(self, target: Run) -> Mapping[str, Any] | None:
        """The tenant's settings that the run was made with, where they are others now."""
        if target.settings_version is None:
            return None
        then, now = db_checkpoints.settings_at(self.tx, target.settings_version), tenants.find(self.tx)
        return None if then is None or now is None or then == now.settings else then

    def _write(
        self,
        current: Run,
        target: Run,
        found: Differences,
        settings: Mapping[str, Any] | None,
        before: bytes,
        after: bytes,
        *,
        undone: Run | None,
        to: str,
    ) -> int:
        tx = self.tx
        version = target.settings_version
        if settings is not None:
            version = tenants.change_settings(tx, settings, actor=self.actor, reason=f"rollback to {to}")
        header = RunHeader(
            run_id=self.run_id, kind="rollback", actor=self.actor, config_hash=target.config_hash,
            person_model_id=target.person_model_id, company_model_id=target.company_model_id, settings_version=version,
            edges_fit=target.models == db_checkpoints.edges_written_for(tx), equals_run_no=target.run_no,
        )  # fmt: skip
        why = f"rollback to {to}" if undone is None else f"redo of what run {undone.run_no} undid"
        run_no = open_restored(tx, current, header, restored_report(target.report, found, (why,)), before, after)
        failpoint("rollback.run_opened")
        db_restore.write_rows(tx, run_no, None)
        failpoint("rollback.rows_written")
        db_restore.write_feed(tx, run_no, found.count)
        if undone is None:
            db_restore.add_waiting(tx, self.run_id)
            db_resolution.add_hold(tx, run_no=run_no, actor=self.actor, reason=self.reason)
        else:
            db_restore.drop_waiting(tx, undone.run_id)
            db_resolution.drop_hold(tx, undone.run_no)
        tenants.audit(
            tx, actor=self.actor, action="resolution.rolled_back" if undone is None else "resolution.redone", subject_kind="run",
            subject_id=str(run_no), reason=self.reason, run_id=self.run_id, before_hash=before, after_hash=after,
        )  # fmt: skip
        self._told("restored", found.count)
        return run_no

    def with_decisions(self, report: RollbackReport, database: Database, config: ResolutionConfig) -> RollbackReport:
        """Apply the decisions made since to the restored state: a run of its own; who waits, goes on waiting."""
        from pay_ready.pipeline.increment import Basis, publish_changes  # heavy

        tx = self.tx
        db_restore.forget(tx)
        standing, models = db_resolution.standing(tx), db_resolution.current_models(tx)
        fits = standing.edges_fit and all(models[each][1].settings_hash == config.settings_hash for each in ENTITY_TYPES if each in models)
        if not fits or len(models) < len(ENTITY_TYPES):
            hint = "leave out --apply-decisions: after pay-ready resume they apply at the next pay-ready resolve"
            raise ConflictError("the decisions cannot be applied at once: the evidence kept is of other models or settings", hint)
        decided: dict[EntityType, list[UUID]] = {"company": [], "person": []}
        for each in report.differences.decisions_since:
            decided[each.entity_type] += (each.left_id, each.right_id)
        basis = Basis(
            standing=standing, queue=Queue(), models=models, decisions=db_resolution.decisions(tx), seeds=decided, only_published=True
        )  # fmt: skip
        done = publish_changes(
            tx, database, basis, config, kind="decision", actor=self.actor, run_id=RunId(new_id()), progress=self.progress
        )  # fmt: skip
        return replace(report, decisions_run_no=done.published.run_no)

    def _told(self, subject: str, done: int) -> None:
        self.progress(ProgressEvent(step="rollback", subject=subject, done=done, total=done))


def differs(found: Differences) -> bool:
    """Whether there is anything to write."""
    moves = sum(each.moved + each.unassigned + each.assigned for each in found.records.values())
    return bool(found.count or moves or found.links.opening or found.links.closing or found.is_honouring_others)


def open_restored(tx: TenantTransaction, current: Run, header: RunHeader, report: PublishReport, before: bytes, after: bytes) -> int:
    """Issue the number of a run that restores, with the checkpoint of what it replaces."""
    tenants.next_number(tx, "resolution_no")
    run_no = db_publish.open_run(tx, header, report, after)
    db_publish.add_checkpoint(tx, before_run_no=current.run_no, run_no=run_no, digest=before)
    return run_no


def restored_report(then: Mapping[str, Any], found: Differences, reasons: Sequence[str], *, is_part: bool = False) -> PublishReport:
    """What a run says of itself that restores what another one published.

    Args:
        then: What that one said; of a part, what the run said that this one follows.
        found: What changes.
        reasons: Why.
        is_part: Whether only a part is restored: its records and entities are counted on top.
    """

    def figures(name: str, entity_type: EntityType) -> dict[str, float]:
        told = dict(then.get(name, {}))
        if is_part and told:
            records, changes = found.records[entity_type], found.changes[entity_type]
            told["records"] += records.assigned - records.unassigned
            told["entities"] += sum(changes.get(each, 0) for each in ("created", "split"))
            told["entities"] -= sum(changes.get(each, 0) for each in ("merged", "retired"))
        return {each: told[each] for each in _FIGURES if each in told} | {str(each): n for each, n in found.changes[entity_type].items()}

    return PublishReport(
        people=figures("people", "person"),
        companies=figures("companies", "company"),
        reasons=list(reasons),
        interactions_linked=found.links.opening,
        interactions_unlinked=found.links.closing,
        capped_blocks=list(then.get("capped_blocks", [])),
        ignored_decisions=int(then.get("ignored_decisions", 0)),
    )


def _not_whole(to: str, run_no: int) -> CheckFailedError:
    hint = "nothing was changed; see what is off: pay-ready verify --deep -t TENANT"
    return CheckFailedError("the rows are not those of the checkpoint any more", hint, checkpoint=to, run_no=run_no)
