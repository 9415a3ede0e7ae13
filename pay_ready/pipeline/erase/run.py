"""Erasure: all that is held of one person goes, out of every version ever published, in one transaction.

What the person's own rows say goes with them; in rows of others their values are masked, and the staged rows are made anew from what
is left. History is rewritten: no run has a trace, so no rollback brings them back. Digests of the versions are re-based, which the audit
says. Keyed digests of addresses, numbers and keys stay, so that a re-import brings nothing back.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from pay_ready.db import erasure, leases, sources, tenants
from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import DeniedError, PayReadyError, TransientError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, new_id
from pay_ready.model.resolution import PublishReport
from pay_ready.pipeline.erase.archives import Archives, interactions_to_remember, opened_archives, take_archived
from pay_ready.pipeline.erase.history import History, take_history
from pay_ready.pipeline.erase.rows import take_landed, take_quarantined, take_states
from pay_ready.pipeline.erase.work import Eraser, EraseReport, Work, begun, going, live_versions
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.pipeline.land.suppress import (
    Kind,
    digest_of,
    id_text,
    key_text,
    plain_key,
)
from pay_ready.pipeline.retention.apply import sweep
from pay_ready.pipeline.retention.work import LEASE
from pay_ready.pipeline.stage import stage_source
from pay_ready.pipeline.subject import Subject, export_folder

FAILPOINTS = (
    "erase.found",
    "erase.staged",
    "erase.history_written",
    "erase.run_opened",
    "erase.before_commit",
    "erase.after_commit",
)


class _DryRunError(PayReadyError):
    """Ends the transaction of a preview: what it did is rolled back."""


def erase(
    eraser: Eraser, subject: Subject, *, records_only: bool = False, dry_run: bool = False, reason: str | None = None,
    void_archives: bool = False,
) -> EraseReport:  # fmt: skip
    """Erase a subject, or show what that would take: the preview does all of it and rolls it back.

    Args:
        records_only: Only the records that carry what was given; else the whole published person.
        reason: Kept in the audit and beside the suppressions.
        void_archives: Give archives up for good that are not in their place, where nobody can look for the person.

    Raises:
        DeniedError: The login may not delete history.
        NotFoundError: An id that was never given.
        RetryLaterError: A run lands one of the tenant's sources right now, or rows are archived or restored.
        ConflictError: An archive is away or damaged, and is not to be given up.
    """
    run_id = RunId(new_id())
    made: list[EraseReport] = []
    with _sources_at_rest(eraser, run_id), suppress(_DryRunError):
        with eraser.database.tenant_transaction(eraser.tenant, work="batch") as tx:
            archives = opened_archives(eraser, tx, void_away=void_archives)
            made.append(_erase(eraser, tx, subject, archives, run_id, records_only=records_only, dry_run=dry_run, reason=reason))
            _end_preview(dry_run=dry_run)
            failpoint("erase.before_commit")
        failpoint("erase.after_commit")
    (report,) = made
    files = _exports_of(eraser, subject, report)
    if not dry_run:
        for path in files:
            path.unlink(missing_ok=True)
    return _with_exports(report, files)


def _end_preview(*, dry_run: bool) -> None:
    if dry_run:
        raise _DryRunError("a preview")


def _with_exports(report: EraseReport, files: Sequence[Path]) -> EraseReport:
    return replace(report, exports=tuple(files), is_held=report.is_held or bool(files))


@contextmanager
def _sources_at_rest(eraser: Eraser, run_id: RunId) -> Iterator[None]:
    """No run lands anything meanwhile (it might bring in what it looked at before it was suppressed), and all that landed is staged."""
    with eraser.database.tenant_transaction(eraser.tenant) as tx:
        if not tx.value("erasure.is_erasure"):
            hint = "it must be a member of the erasure role: pay-ready migrate --erasure-login NAME"
            raise DeniedError("this login may not delete history", hint)
        known = sorted(sources.list_all(tx), key=lambda each: each.source_id)
    with ExitStack() as stack:
        for each in known:
            name, holder = f"source:{each.source_id}", leases.holder_name(run_id)
            stack.enter_context(held_lease(eraser.database, eraser.tenant, name, holder, wait_s=eraser.lease_wait_s))
        stack.enter_context(held_lease(eraser.database, eraser.tenant, LEASE, leases.holder_name(run_id), wait_s=eraser.lease_wait_s))
        # Whatever becomes of it: what is no archive any more goes, and what an erasure that was cut off left.
        stack.callback(_sweep, eraser)
        # What waits might be the person's, too.
        for each in known:
            stage_source(eraser.database, eraser.tenant, each.source_id, eraser.mapping_of(each), eraser.context, run_id=run_id)
        yield


def _sweep(eraser: Eraser) -> None:
    # Where the database is away, what ended the erasure is the news; whoever comes next sweeps.
    with suppress(TransientError):
        sweep(eraser.database, eraser.tenant, eraser.shelf)


def _erase(
    eraser: Eraser, tx: TenantTransaction, subject: Subject, archives: Archives, run_id: RunId, *, records_only: bool, dry_run: bool,
    reason: str | None,
) -> EraseReport:  # fmt: skip
    db_resolution.lock_publish(tx)
    work = begun(eraser, tx, subject, records_only=records_only, archived=archives.golden_of)
    failpoint("erase.found")
    before = {row.entity_id: row for row in live_versions(work)}
    records = going(work, named=dry_run)
    touched = take_landed(work)
    failpoint("erase.staged")
    take_quarantined(work)
    take_states(work)
    history = take_history(work, before)
    _take_memories(work, touched)
    failpoint("erase.history_written")
    take_archived(work, archives, history, touched, run_id, write=not dry_run)
    is_held = bool(work.counts)
    added = _suppress(work, interactions_to_remember(work, history, touched), reason) if is_held else 0
    run_no, rebased = _publish(work, run_id, history, touched, reason) if is_held else (None, 0)
    return EraseReport(
        is_held=is_held, is_dry_run=dry_run, run_no=run_no, counts=dict(sorted(work.counts.items())), entities=history.entities,
        records=records, suppressed=added, rebased=rebased, exports=(),
    )  # fmt: skip


def _take_memories(work: Work, touched: set[UUID]) -> None:
    """Passages, moods and caches that were made of what the person said or did."""
    asked: dict[str, object] = {"interaction_ids": sorted(touched)}
    work.execute("memories", "drop_memories", asked)
    work.execute("interaction_sentiment", "drop_sentiment", asked)
    work.execute("archived_interactions", "drop_archived_interactions", asked)
    gone = [row.interaction_id for row in work.tx.rows("erasure.gone_interactions", asked)]
    work.count("interactions", len(gone))
    work.execute("interaction_entities", "drop_links_of_interactions", {"interaction_ids": gone})
    if work.counts.pop("(staging)", 0) and work.counts:
        work.execute("context_cache", "drop_contexts", {})
        work.execute("analytics_cache", "drop_analytics", {})
        work.execute("memory_common_words", "drop_common_words", {})


def _suppress(work: Work, further: Iterable[str], reason: str | None) -> int:
    """Keep keyed digests of what must not come back; `further` is digested as it is."""
    values = work.values
    wanted: set[tuple[Kind, str]] = {work.subject.digested}
    wanted |= {("email", each) for each in values.emails} | {("phone", each) for each in values.phones}
    for source, ids in values.ids.items():
        known = work.sources[source].source_id
        wanted |= {("record", id_text(known, each)) for each in ids & values.distinct_ids(source)}
    wanted |= {("record", key_text(place.source_id, place.stream, plain_key(place.record_key))) for place in work.keys_gone}
    wanted |= {("record", key_text(place.source_id, place.stream, plain_key(place.record_key))) for place in work.keys_frozen}
    wanted |= {("record", f"refused\n{each}") for each in work.refused}
    wanted |= {("record", f"record\n{each}") for each in work.held.records}
    wanted |= {("record", f"entity\n{each}") for each in work.held.entities}
    wanted |= {("record", each) for each in further}
    digests = [(kind, digest_of(work.eraser.digest_key, kind, text)) for kind, text in sorted(wanted)]
    return erasure.add_suppressions(work.tx, digests, reason or "erased")


def _publish(work: Work, run_id: RunId, history: History, touched: set[UUID], reason: str | None) -> tuple[int | None, int]:
    """Re-base the digests of all versions and open the one without the person; its number, and how many digests are others now."""
    tx, actor = work.tx, work.eraser.actor
    standing = db_resolution.standing(tx)
    tx.execute("erasure.unqueue", work.records)
    tx.execute("erasure.queue_people", {"record_ids": list(history.remaining)})
    if not standing.run_no:
        _tell(work, history, touched)
        _audit_erased(work, None, run_id, reason, before=None, after=None)
        return None, 0
    rebased = _rebase(work, history, run_id)
    digest = db_resolution.standing(tx).state_digest
    tenants.next_number(tx, "resolution_no")
    run_no = tenants.next_number(tx, "run_no")
    erasure.add_run(tx, run_no=run_no, run_id=run_id, actor=actor, report=_report(standing.report, history), state_digest=digest)
    failpoint("erase.run_opened")
    tenants.audit(
        tx, actor=actor, action="resolution.published", subject_kind="run", subject_id=str(run_no), run_id=run_id, before_hash=digest,
        after_hash=digest,
    )  # fmt: skip
    db_publish.add_checkpoint(tx, before_run_no=standing.run_no, run_no=run_no, digest=digest or digest_at(tx, standing.run_no))
    tx.execute("publish.make_change_table")
    db_publish.write_changes(tx, history.changes, run_no)
    _tell(work, history, touched)
    _audit_erased(work, run_no, run_id, reason, before=standing.state_digest, after=digest)
    return run_no, rebased


def _report(before: Mapping[str, Any], history: History) -> PublishReport:
    """The figures of the version before it without the person's, which the next increment goes on from."""
    people, companies = dict(before.get("people", {})), before.get("companies", {})
    if people:
        people["records"] -= sum(each.records - each.remaining for each in history.entities)
        people["entities"] -= sum(not each.remaining for each in history.entities)
    return PublishReport(
        people=people, companies=companies, reasons=["erasure"], interactions_linked=0, interactions_unlinked=0, capped_blocks=[],
        ignored_decisions=0,
    )  # fmt: skip


def _rebase(work: Work, history: History, run_id: RunId) -> int:
    """Give every version, and every checkpoint of one, the digest of its rows as they are now; each old and new digest is audited."""
    tx = work.tx
    now: dict[int, bytes] = {}
    count = 0
    for row in tx.rows("erasure.runs"):
        if row.state_digest is None:
            continue
        old = bytes(row.state_digest)
        new = now[row.run_no] = erasure.rebased(old, row.run_no, history.taken, history.added)
        if new != old:
            tx.execute("erasure.rebase_run", {"run_no": row.run_no, "state_digest": new})
            _audit_rebased(work, "run", str(row.run_no), run_id, old, new)
            count += 1
    for row in tx.rows("erasure.checkpoints"):
        old = bytes(row.digest)
        new = now.get(row.run_no) or digest_at(tx, row.run_no)
        if new != old:
            tx.execute("erasure.rebase_checkpoint", {"checkpoint_id": row.checkpoint_id, "digest": new})
            _audit_rebased(work, "checkpoint", str(row.checkpoint_id), run_id, old, new)
    return count


def _audit_rebased(work: Work, kind: str, subject_id: str, run_id: RunId, old: bytes, new: bytes) -> None:
    tenants.audit(
        work.tx, actor=work.eraser.actor, action="erasure.rebased", subject_kind=kind, subject_id=subject_id, run_id=run_id,
        before_hash=old, after_hash=new,
    )  # fmt: skip


def _audit_erased(work: Work, run_no: int | None, run_id: RunId, reason: str | None, *, before: bytes | None, after: bytes | None) -> None:
    subject = work.held.entities[0] if work.held.entities else work.held.records[0] if work.held.records else run_no
    tenants.audit(
        work.tx, actor=work.eraser.actor, action="subject.erased", subject_kind="person", subject_id=str(subject), reason=reason,
        run_id=run_id, before_hash=before, after_hash=after,
    )  # fmt: skip


def _tell(work: Work, history: History, touched: set[UUID]) -> None:
    """Tell the tiers what went and what is to be read again."""
    # Of those that stay, too: what the tiers have of them goes, and what is left of them is made anew.
    told = [("delete", "interaction", str(each)) for each in sorted(touched)]
    told += [("delete" if each.change == "retired" else "upsert", "entity", str(each.entity_id)) for each in history.changes]
    if told:
        erasure.tell_tiers(work.tx, tenants.next_number(work.tx, "outbox_seq", len(told)), told)


def _exports_of(eraser: Eraser, subject: Subject, report: EraseReport) -> list[Path]:
    """Exports in the tenant's folder that are about the subject."""
    marks = {subject.value, *(str(each.record_id) for each in report.records), *(str(each.entity_id) for each in report.entities)}
    folder = export_folder(eraser.state_folder, eraser.slug)
    found = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        text = path.read_text("utf-8", "replace").casefold()
        if any(mark.casefold() in text for mark in marks):
            found.append(path)
    return found
