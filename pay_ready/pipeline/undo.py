"""Take back one merge, split or decision, and leave everything else: exactly where nothing followed on it, else by name of what did.

Whoever shared an entity with those concerned, from just before the run until now, is looked at together: if no other run touched them
since, their state of then comes back byte for byte; if one did, the undo is refused with the changes that stand in the way, or, as a
tree, takes them back as well. Links that keep what was taken back from coming again are decisions like any other.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from uuid import UUID

from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import decisions as db_decisions
from pay_ready.db import publish as db_publish
from pay_ready.db import resolution as db_resolution
from pay_ready.db import restore as db_restore
from pay_ready.db import retention as db_retention
from pay_ready.db import tenants
from pay_ready.db.publish import DecisionChanges, RunHeader
from pay_ready.db.restore import Differences, FeedLine, Part
from pay_ready.db.state import digest_at
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConflictError, NotFoundError, UsageError
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.resolution import EntityType
from pay_ready.model.review import Decision, NewDecision, Pair, Verdict
from pay_ready.pipeline.rollback import differs, open_restored, restored_report
from pay_ready.resolve.changes import HeldDecision, decision_line, moved_digest

FAILPOINTS = ("undo.locked", "undo.found", "undo.run_opened", "undo.rows_written", "undo.before_commit", "undo.after_commit")
_UNDOABLE = ("merged", "split")
_CONTEXT = "undo"
_EXAMPLES = 5
_NAMED = 5  # changes in the way that an error names
_MOST_LINKS = 1_000  # pairs that are kept apart, of one merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which merges and splits: of one run, and of these those that fit; None is any."""

    run_no: int
    change: str | None = None
    entity_type: EntityType | None = None
    entity_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """A change that cannot be taken back by itself, and what stands in the way."""

    line: FeedLine
    blockers: tuple[FeedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoReport:
    """What an undo does, or would do; `run_no` is None where nothing was published."""

    run_no: int | None
    is_dry_run: bool
    is_undone: bool  # already: nothing differs from the state before the change
    undone: tuple[FeedLine, ...]
    followed: tuple[FeedLine, ...]  # later changes that go with them (as a tree)
    blocked: tuple[Blocked, ...]
    differences: Differences | None  # None where nothing is undone
    decided: int  # pairs that are kept apart, or together, from now on
    withdrawn: tuple[UUID, ...]  # decisions
    against: tuple[UUID, ...] = ()  # decisions of stewards that say the contrary: they stand in the way


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How to undo."""

    actor: str
    run_id: RunId  # in logs
    reason: str | None = None  # kept in the audit and with the decisions
    tree: bool = False  # take back with a change what followed on it
    allow_rematch: bool = False  # let the next run decide again; else decisions keep apart, or together, what the undo made so
    dry_run: bool = False


def undo_change(
    database: Database, tenant: TenantId, change_seq: int, asked: Asked, *, progress: Progress = no_progress
) -> UndoReport:  # fmt: skip
    """Take back one merge or split, by its number in the change feed.

    Raises:
        NotFoundError: There is no such change.
        UsageError: It is none that can be undone.
        ConflictError: The history that it needs was archived. Or later changes followed on it; names them. A preview does not raise.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        step = _locked(tx, asked, progress)
        line = db_restore.feed_line(tx, change_seq)
        if line is None:
            raise NotFoundError("no such change", "list them: pay-ready changes -t TENANT", change=change_seq)
        if line.change not in _UNDOABLE:
            hint = f"undo a merge or a split; for all that a run did: pay-ready rollback -t TENANT --to before-run-{line.run_no}"
            raise UsageError(f"a change of kind {line.change} is not undone by itself", hint, change=change_seq)
        step.refuse_archived(line.run_no)
        report = step.take_back([line])
        if report.blocked and step.is_undone(line, report.blocked[0].blockers):
            return replace(report, blocked=(), is_undone=True)
        _refuse_blocked(report)
        failpoint("undo.before_commit")
    failpoint("undo.after_commit")
    return report


def undo_where(
    database: Database, tenant: TenantId, where: Where, asked: Asked, *, progress: Progress = no_progress
) -> UndoReport:  # fmt: skip
    """Take back the merges and splits of a run in bulk: all that can be, by one run; the others are told with what stands in their way.

    Raises:
        NotFoundError: The run did none that fit.
        ConflictError: The history that it needs was archived.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        step = _locked(tx, asked, progress)
        lines = db_restore.feed_lines(
            tx, run_no=where.run_no, change=where.change, entity_type=where.entity_type, entity_id=where.entity_id, kinds=_UNDOABLE
        )  # fmt: skip
        if not lines:
            hint = f"see what it did: pay-ready changes --run {where.run_no} -t TENANT"
            raise NotFoundError("the run made no such merge or split", hint, run_no=where.run_no)
        step.refuse_archived(where.run_no)
        report = step.take_back(lines)
        failpoint("undo.before_commit")
    failpoint("undo.after_commit")
    return report


def undo_decision(
    database: Database, tenant: TenantId, decision_id: UUID, asked: Asked, *, progress: Progress = no_progress
) -> UndoReport:  # fmt: skip
    """Withdraw a decision, and take back what the run did that honoured it first.

    Raises:
        NotFoundError: There is no such decision.
        ConflictError: Another one took over from it; the history that it needs was archived; or later changes followed on what it did,
            which are named.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        step = _locked(tx, asked, progress)
        db_decisions.lock(tx)
        decision = db_decisions.require(tx, decision_id)
        if decision.superseded_at is not None:
            hint = "see the pair's: pay-ready review list -t TENANT"
            raise ConflictError("the decision holds no more: there is nothing to undo", hint, decision=decision_id)
        report = step.take_back_decision(decision)
        _refuse_blocked(report)
        failpoint("undo.before_commit")
    failpoint("undo.after_commit")
    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Changes of one run that can only be taken back together, with everybody concerned."""

    part: Part
    lines: tuple[FeedLine, ...]
    blockers: tuple[FeedLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Links:
    """Decisions that an undo makes and takes back."""

    pairs: Mapping[Pair, Verdict]
    withdrawn: Sequence[Decision]
    against: Sequence[UUID] = ()  # words of stewards that say the contrary


class _LookedError(Exception):
    """Ends a look that leaves nothing behind."""


@dataclass(frozen=True, slots=True)
class _Step:
    """An undo under the publish lock."""

    tx: TenantTransaction
    asked: Asked
    progress: Progress

    def take_back(self, lines: Sequence[FeedLine]) -> UndoReport:
        """Take back changes of one run, as far as nothing stands in their way."""
        groups = self._groups(lines)
        free = [each for each in groups if not each.blockers or (self.asked.tree and not self.is_undone(each.lines[0], each.blockers))]
        blocked = tuple(Blocked(line=line, blockers=each.blockers) for each in groups if each not in free for line in each.lines)
        undone = tuple(line for each in free for line in each.lines)
        if not undone:
            return self._told(blocked=blocked)
        part = Part(
            records=sorted({record for each in free for record in each.part.records}),
            entities=sorted({entity for each in free for entity in each.part.entities}),
        )
        followed = tuple(blocker for each in free for blocker in each.blockers)
        return self._restore(part, self._links(undone, part), self._told(undone=undone, followed=followed, blocked=blocked))

    def take_back_decision(self, decision: Decision) -> UndoReport:
        """Take back what the run did that honoured a decision first; where that was nothing yet, only the decision."""
        tx, links = self.tx, _Links(pairs={}, withdrawn=(decision,))
        run_no = db_restore.honoured_since(tx, decision.decision_id)
        part, changes = Part(records=(), entities=()), list[FeedLine]()
        if run_no is not None:
            self.refuse_archived(run_no, "only the decision is withdrawn by: pay-ready review undo")
            held = db_restore.entities_held(tx, run_no, (decision.left_id, decision.right_id))
            part = db_restore.closure(tx, run_no - 1, held)
            changes = db_restore.changes_of(tx, part, since=run_no)
        undone = tuple(each for each in changes if each.run_no == run_no and each.change in _UNDOABLE)
        if not undone:
            if not self.asked.dry_run:
                self._apply(links)
            return self._told(withdrawn=(decision.decision_id,))
        later = tuple(each for each in changes if each.run_no != run_no)
        if later and not self.asked.tree:
            return self._told(blocked=tuple(Blocked(line=line, blockers=later) for line in undone))
        return self._restore(part, links, self._told(undone=undone, followed=later))

    def refuse_archived(self, run_no: int, otherwise: str = "a checkpoint is whole all the same: pay-ready checkpoint list") -> None:
        """Refuse to undo what a run did when the state before it is in archives: what is left of it would come back for the whole.

        Raises:
            ConflictError: It is; names the archives to be restored first.
        """
        if run_no > db_retention.whole_since(self.tx):
            return
        archives = db_retention.archives(self.tx, kinds=("history",), statuses=("archived", "deleted"))
        named = ", ".join(str(each.archive_id) for each in archives if each.through_run_no >= run_no)
        hint = f"bring it back: pay-ready retention restore, of each of {named}" if named else "and is gone for good"
        raise ConflictError("the history that an undo needs was archived", f"{hint}; {otherwise}", run_no=run_no)

    def is_undone(self, line: FeedLine, blockers: Sequence[FeedLine]) -> bool:
        """Whether the change was undone already, and nothing else happened to those concerned."""
        if any(each.kind != "undo" for each in blockers):
            return False
        part = db_restore.closure(self.tx, line.run_no - 1, [each for each in (line.entity_id, line.other_entity_id) if each is not None])
        is_there = False
        with suppress(_LookedError), self.tx.savepoint():  # what it found it in goes with the savepoint
            db_restore.find(self.tx, line.run_no - 1, part)
            is_there = not differs(db_restore.differences(self.tx, part, examples=0))
            raise _LookedError
        return is_there

    def _told(
        self,
        *,
        undone: tuple[FeedLine, ...] = (),
        followed: tuple[FeedLine, ...] = (),
        blocked: tuple[Blocked, ...] = (),
        withdrawn: tuple[UUID, ...] = (),
    ) -> UndoReport:
        return UndoReport(
            run_no=None, is_dry_run=self.asked.dry_run, is_undone=False, undone=undone, followed=followed, blocked=blocked,
            differences=None, decided=0, withdrawn=withdrawn,
        )  # fmt: skip

    def _groups(self, lines: Sequence[FeedLine]) -> list[_Group]:
        """Changes with everybody concerned by them; those that share somebody are one."""
        run_no = lines[0].run_no
        wanted = {each.change_seq: each for each in lines}
        groups: list[_Group] = []
        done: set[int] = set()
        for line in lines:
            if line.change_seq in done:
                continue
            part = db_restore.closure(self.tx, run_no - 1, [each for each in (line.entity_id, line.other_entity_id) if each is not None])
            changes = db_restore.changes_of(self.tx, part, since=run_no)
            own = tuple(each for each in changes if each.change_seq in wanted)
            done |= {each.change_seq for each in own}
            blockers = tuple(
                each for each in changes if each.run_no > run_no or (each.change in _UNDOABLE and each.change_seq not in wanted)
            )
            groups.append(_Group(part=part, lines=own, blockers=blockers))
            self.progress(ProgressEvent(step="undo", subject="changes", done=len(done), total=len(wanted)))
        return groups

    def _links(self, lines: Sequence[FeedLine], part: Part) -> _Links:
        """What keeps the next run from making the same again: the decisions of an undo that is undone go, else pairs are decided."""
        if lines[0].kind == "undo":
            made = db_restore.decisions_of_run(self.tx, lines[0].run_no, _CONTEXT)
            words = [db_decisions.require(self.tx, each) for each in made]
            concerned = set(part.records)
            standing = [each for each in words if each.superseded_at is None and {each.left_id, each.right_id} <= concerned]
            pairs, against = self._contrary(lines, {each.decision_id for each in standing})
            return _Links(pairs=pairs, withdrawn=standing, against=against)
        pairs, against = self._contrary(lines, set())
        if self.asked.allow_rematch:
            return _Links(pairs={}, withdrawn=(), against=against)
        for line, sides in self._sides(lines):
            verdict: Verdict = "no_match" if line.change == "merged" else "match"
            told = [(min(sides[0]), min(sides[1]))]
            if line.change == "merged":
                told += islice(db_restore.matches_between(self.tx, line.entity_type, *sides), _MOST_LINKS)
            pairs |= {Pair.of(line.entity_type, one, other): verdict for one, other in told}
        return _Links(pairs=pairs, withdrawn=(), against=against)

    def _contrary(self, lines: Sequence[FeedLine], own: Collection[UUID]) -> tuple[dict[Pair, Verdict], list[UUID]]:
        """What holds of records of both sides and says the contrary: beside the undo neither could be honoured.

        Returns:
            Pairs whose word an undo or an agent said, to be said the other way round; and the words of stewards, which nobody overrules.
        """
        pairs: dict[Pair, Verdict] = {}
        against: list[UUID] = []
        for line, sides in self._sides(lines):
            words: tuple[Verdict, Verdict] = ("match", "no_match") if line.change == "merged" else ("no_match", "match")
            said, now = words
            for each in db_restore.decided_between(self.tx, line.entity_type, said, *sides):
                if each.is_word:
                    against.append(each.decision_id)
                elif each.decision_id not in own:
                    pairs[Pair.of(line.entity_type, each.left_id, each.right_id)] = now
        return pairs, against

    def _sides(self, lines: Sequence[FeedLine]) -> Iterator[tuple[FeedLine, tuple[list[UUID], list[UUID]]]]:
        """Each merge with the records of both entities before it, each split with those that it parted: they were in one entity before.

        After a split the two may hold records that were in third ones before: these go back there, and are no reason for a word.
        """
        for line in lines:
            if line.other_entity_id is None:
                continue
            is_merge, before = line.change == "merged", line.run_no - 1
            at = before if is_merge else line.run_no
            one, other = (db_restore.members_at(self.tx, at, each) for each in (line.entity_id, line.other_entity_id))
            if is_merge and one and other:
                yield line, (one, other)
            if is_merge:
                continue
            was = db_restore.entities_at(self.tx, before, line.entity_type, [*one, *other])
            for entity in sorted({was.get(each) for each in one} & {was.get(each) for each in other} - {None}, key=str):
                yield line, ([each for each in one if was.get(each) == entity], [each for each in other if was.get(each) == entity])

    def _restore(self, part: Part, links: _Links, report: UndoReport) -> UndoReport:
        """Give the part back the state from before the run whose changes are undone."""
        tx, asked = self.tx, self.asked
        run_no = report.undone[0].run_no - 1
        standing = db_resolution.standing(tx)
        current = db_checkpoints.run(tx, standing.run_no)
        db_restore.find(tx, run_no, part)
        found = db_restore.differences(tx, part, examples=_EXAMPLES)
        failpoint("undo.found")
        report = replace(
            report, differences=found, decided=len(links.pairs), withdrawn=tuple(each.decision_id for each in links.withdrawn),
            against=tuple(links.against),
        )  # fmt: skip
        if links.against and not asked.dry_run:
            hint = f"take that back first, with what it did: pay-ready undo --decision {links.against[0]}, or pay-ready review undo"
            raise ConflictError("a steward decided the contrary", hint, decision=links.against[0], decisions=len(links.against))
        if asked.dry_run or not (differs(found) or links.pairs or links.withdrawn):
            return report
        before = standing.state_digest or digest_at(tx, standing.run_no)
        decisions = self._apply(links)
        restored = db_restore.restored_digest(tx, before)
        after = moved_digest(restored, map(decision_line, decisions.closed), map(decision_line, decisions.opened))
        header = RunHeader(
            run_id=asked.run_id, kind="undo", actor=asked.actor, config_hash=current.config_hash, person_model_id=current.person_model_id,
            company_model_id=current.company_model_id, settings_version=current.settings_version, edges_fit=current.edges_fit,
        )  # fmt: skip
        why = f"undo of {len(report.undone)} changes of run {run_no + 1}"
        published = open_restored(tx, current, header, restored_report(current.report, found, (why,), is_part=True), before, after)
        failpoint("undo.run_opened")
        db_restore.write_rows(tx, published, part)
        db_publish.write_decisions(tx, decisions, published)
        failpoint("undo.rows_written")
        db_restore.write_feed(tx, published, found.count)
        db_restore.add_waiting(tx, asked.run_id)
        tenants.audit(
            tx, actor=asked.actor, action="resolution.undone", subject_kind="run", subject_id=str(published), reason=asked.reason,
            run_id=asked.run_id, before_hash=before, after_hash=after,
        )  # fmt: skip
        return replace(report, run_no=published)

    def _apply(self, links: _Links) -> DecisionChanges:
        """Say what keeps apart or together, and take back what does no more; what that changes in what is honoured."""
        tx = self.tx
        held = db_resolution.held_decisions(tx)
        moment = db_decisions.lock(tx)
        for decision in links.withdrawn:
            db_decisions.withdraw(tx, decision, actor=self.asked.actor, reason=self.asked.reason, moment=moment)
        new = [
            NewDecision(pair=pair, verdict=verdict, actor=self.asked.actor, reason=self.asked.reason, context=_CONTEXT)
            for pair, verdict in links.pairs.items()
        ]
        opened = [
            HeldDecision(
                decision_id=decision, entity_type=each.pair.entity_type, left_id=each.pair.left_id, right_id=each.pair.right_id,
                verdict=each.verdict,
            )
            for decision, each in zip(db_decisions.add_decisions(tx, new), new, strict=True)
        ]  # fmt: skip
        gone = {each.decision_id for each in links.withdrawn}
        closed = [
            each for each in held.values() if each.decision_id in gone or Pair(each.entity_type, each.left_id, each.right_id) in links.pairs
        ]  # fmt: skip
        return DecisionChanges(opened=opened, closed=closed)


def _locked(tx: TenantTransaction, asked: Asked, progress: Progress) -> _Step:
    db_resolution.lock_publish(tx)
    failpoint("undo.locked")
    return _Step(tx, asked, progress)


def _refuse_blocked(report: UndoReport) -> None:
    """Leave nothing half undone.

    Raises:
        ConflictError: Something stands in the way, and this is no preview.
    """
    if not report.blocked or report.is_dry_run:
        return
    blocked = report.blocked[0]
    named = "; ".join(f"{each.change} {each.entity_id} by run {each.run_no} ({each.kind})" for each in blocked.blockers[:_NAMED])
    more = f" and {len(blocked.blockers) - _NAMED} more" if len(blocked.blockers) > _NAMED else ""
    hint = "undo those first, or add --tree to take them back as well"
    what = "other changes of the same people or companies stand in the way"
    raise ConflictError(what, hint, change=blocked.line.change_seq, they=named + more)
