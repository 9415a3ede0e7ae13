"""What must hold of a tenant at any moment, looked at in one snapshot of a live database; nothing is written.

Each check is an entry of `CHECKS`: what it promises, how that is looked at, and what to do when it does not hold. What waits for the
next run (records that changed since, decisions made since) is counted as pending, and is no breach.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from pay_ready.db import resolution as db_resolution
from pay_ready.db import verify as db_verify
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.verify import Counted, Honoured
from pay_ready.errors import UsageError
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.outer import OuterStore, is_outer_equal

MOST_OFFENDERS = 5
_BESIDE = 1  # connections that look beside the first, at the same snapshot
_LONG = ("golden", "records", "blocks")  # begun first


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a promise is looked at with."""

    tx: TenantTransaction
    most: int  # offenders to name
    deep: bool  # history too
    outer: Counted = field(default_factory=Counted)  # what a comparison with the vector store beside Postgres found, where there is one


@dataclass(frozen=True, slots=True)
class Promise:
    """One thing that holds, in words, and how to look."""

    words: str
    look: Callable[[Look], Counted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Promises that stand or fall together, and the next command when they fall."""

    name: str
    says: str
    fix: str
    promises: tuple[Promise, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A promise that does not hold."""

    promise: str
    wrong: int
    offenders: tuple[str, ...]  # the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found in one tenant."""

    check: str
    says: str
    state: Literal["ok", "failed", "skipped"]
    checked: int  # of the promise that looked at most
    pending: int  # what waits for the next run
    breaches: tuple[Breach, ...]
    reason: str  # why it was skipped
    fix: str  # what to do when it failed
    seconds: float

    @property
    def wrong(self) -> int:
        """What is off, all promises together."""
        return sum(breach.wrong for breach in self.breaches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was found in one tenant, as of its published run."""

    tenant: str
    run_no: int  # 0 before the first
    deep: bool
    results: tuple[CheckResult, ...]

    @property
    def failed(self) -> tuple[CheckResult, ...]:
        """Checks that do not hold."""
        return tuple(result for result in self.results if result.state == "failed")


def verify_tenant(
    database: Database,
    tenant: TenantId,
    *,
    name: str,
    only: Sequence[str] = (),
    deep: bool = False,
    most: int = MOST_OFFENDERS,
    outer: OuterStore | None = None,
    progress: Progress = no_progress,
    clock: Callable[[], float] = time.perf_counter,
) -> Verification:
    """Look at every promise, in one snapshot: a publish meanwhile is seen whole or not at all. A vector store is looked at before.

    Args:
        database: The store.
        tenant: Whose rows.
        name: The tenant's name, for the report.
        only: Names of checks; none means all.
        deep: Work every checkpoint's digest out from its rows, and every golden record's hash, also of versions that are past.
        most: Offenders to name of each promise.
        outer: The vector store beside Postgres, which the check `memory` compares with the record; None where there is none.
        progress: Told of each check.
        clock: Seconds, for the report alone.

    Raises:
        UsageError: There is no such check.
    """
    chosen = chosen_checks(only)
    waiting = deque(sorted(chosen, key=lambda check: check.name not in _LONG))
    results: dict[str, CheckResult] = {}
    beside_postgres = Counted()
    if outer is not None and asks_outer(only):
        beside_postgres = is_outer_equal(database, tenant, outer, most=most)

    def work_off(tx: TenantTransaction) -> None:
        db_verify.prefer_sets(tx)
        while waiting:
            with suppress(IndexError):  # another one took the last
                check = waiting.popleft()
                results[check.name] = _looked_at(check, Look(tx=tx, most=most, deep=deep, outer=beside_postgres), clock)
                progress(ProgressEvent(step="verify", subject=name, done=len(results), total=len(chosen), detail=check.name))

    def beside(snapshot: str) -> None:
        with database.tenant_transaction(tenant, work="batch", snapshot=snapshot) as tx:
            work_off(tx)

    with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx, ThreadPoolExecutor(_BESIDE) as threads:
        run_no = db_resolution.standing(tx).run_no
        is_room = database.most_connections > 1 and len(chosen) > 1
        others = [threads.submit(beside, tx.export_snapshot()) for _ in range(_BESIDE if is_room else 0)]
        work_off(tx)
        for each in others:
            each.result()
    return Verification(tenant=name, run_no=run_no, deep=deep, results=tuple(results[check.name] for check in chosen))


def chosen_checks(only: Sequence[str]) -> list[Check]:
    """The checks of these names, in their order; all of them without a name.

    Raises:
        UsageError: There is none of a name; tells those there are.
    """
    known = [check.name for check in CHECKS]
    for name in only:
        if name not in known:
            raise UsageError("no such check", f"choose of {', '.join(known)}", check=name)
    return [check for check in CHECKS if not only or check.name in only]


def asks_outer(only: Sequence[str]) -> bool:
    """Whether the checks of these names look at a vector store beside Postgres."""
    return any(check.name == "memory" for check in chosen_checks(only))


def _looked_at(check: Check, look: Look, clock: Callable[[], float]) -> CheckResult:
    began = clock()
    counts = [(promise.words, promise.look(look)) for promise in check.promises]
    breaches = tuple(Breach(promise=words, wrong=each.wrong, offenders=each.offenders) for words, each in counts if each.wrong)
    reason = "; ".join(each.skipped for _, each in counts if each.skipped)
    return CheckResult(
        check=check.name,
        says=check.says,
        state="failed" if breaches else "skipped" if reason else "ok",
        checked=max(each.checked for _, each in counts),
        pending=max(each.pending for _, each in counts),
        breaches=breaches,
        reason="" if breaches else reason,
        fix=check.fix if breaches else "",
        seconds=round(clock() - began, 3),
    )


def _stated(statement: str, words: str) -> Promise:
    """A promise that one statement of `sql/queries/verify.sql` looks at."""
    return Promise(words, lambda look: db_verify.look(look.tx, f"verify.{statement}", most=look.most, deep=look.deep))


def _references(look: Look) -> Counted:
    """References of every table that lead nowhere: also where a foreign key was dropped, or the server told not to look."""
    counts = [db_verify.look(look.tx, name, most=look.most, deep=look.deep) for name in db_verify.reference_statements()]
    offenders = [offender for each in counts for offender in each.offenders]
    return Counted(
        checked=sum(each.checked for each in counts), wrong=sum(each.wrong for each in counts), offenders=tuple(offenders[: look.most])
    )


def _newest_digest(look: Look) -> Counted:
    if not (found := db_verify.digests(look.tx, deep=False)):
        return Counted(skipped="no run has kept a digest")
    return _digests_counted(found)


def _checkpoint_digests(look: Look) -> Counted:
    """Those of checkpoints, worked out from rows: seconds each, so only when deep. The newest run's is a check of its own."""
    return _digests_counted([each for each in db_verify.digests(look.tx, deep=True) if not each.is_newest]) if look.deep else Counted()


def _digests_counted(found: Sequence[db_verify.Digest]) -> Counted:
    wrong = [f"run {each.run_no}" for each in found if each.kept != each.found]
    return Counted(checked=len(found), wrong=len(wrong), offenders=tuple(wrong[:MOST_OFFENDERS]))


def _honoured(look: Look) -> Counted:
    told = db_verify.honoured_decisions(look.tx)
    broken = broken_links(told)
    waiting = sum(1 for each in told if each.waits or each.left_entity_id is None or each.right_entity_id is None)
    names = sorted(str(each.decision_id) for each in broken)
    return Counted(checked=len(told), wrong=len(broken), offenders=tuple(names[: look.most]), pending=waiting)


def broken_links(decisions: Iterable[Honoured]) -> list[Honoured]:
    """Decisions that the published version should honour and does not, as far as both records are assigned.

    A no match whose records are connected by matches is one that resolution ignores, as it always honours matches.
    """
    held = [each for each in decisions if not each.waits]
    group_of = _connected(each for each in held if each.verdict == "match")
    broken = []
    for each in held:
        left, right = each.left_entity_id, each.right_entity_id
        if left is None or right is None or (left == right) == (each.verdict == "match"):
            continue
        if each.verdict == "match" or group_of.get(each.left_id, each.left_id) != group_of.get(each.right_id, each.right_id):
            broken.append(each)
    return broken


def _contradictions(look: Look) -> Counted:
    told = db_verify.honoured_decisions(look.tx)
    found = sorted(str(each.decision_id) for each in contradictions(told))
    return Counted(checked=len(told), wrong=len(found), offenders=tuple(found[: look.most]))


def contradictions(decisions: Iterable[Honoured]) -> list[Honoured]:
    """What people said to be two, of records that people's matches make one."""
    people = [each for each in decisions if each.is_current and each.actor_type == "human"]
    group_of = _connected(each for each in people if each.verdict == "match")
    return [
        each
        for each in people
        if each.verdict == "no_match" and each.left_id in group_of and group_of[each.left_id] == group_of.get(each.right_id)
    ]


def _connected(matches: Iterable[Honoured]) -> Mapping[UUID, UUID]:
    """A record of its group for every record that a match names: equal for records that matches connect."""
    leads: dict[UUID, UUID] = {}

    def root(record: UUID) -> UUID:
        while (above := leads.setdefault(record, record)) != record:
            leads[record] = leads[above]
            record = above
        return record

    for match in matches:
        leads[root(match.left_id)] = root(match.right_id)
    return {record: root(record) for record in list(leads)}


_RESOLVE_AGAIN = "read everything again: pay-ready resolve --all; what a publish cannot mend was written by hand"
_BY_HAND = "somebody wrote past the app: find out who, and restore these rows from a backup"

CHECKS: tuple[Check, ...] = (
    Check(
        name="records",
        says="every accepted record is there once",
        fix="look at the run: pay-ready runs show RUN; stage again: pay-ready run stage",
        promises=(
            _stated("emitted", "what a run read is landed, unchanged, superseded, deleted or in quarantine"),
            _stated("landed", "what a run landed is staged, unmapped, in quarantine, or waits to be staged"),
            _stated("standing_rows", "no landed row is nowhere"),
            _stated("staged_of_landed", "what is staged has its landed row"),
            _stated("staged_once", "nothing is staged twice"),
            _stated("batches", "batches are numbered, each by itself"),
        ),
    ),
    Check(
        name="assignments",
        says="every live record has one assignment, or waits",
        fix=_RESOLVE_AGAIN,
        promises=(
            _stated("assigned", "every staged record is assigned, or waits"),
            _stated("assigned_staged", "who is assigned is staged, or waits"),
            _stated("assigned_once", "nobody is assigned twice"),
        ),
    ),
    Check(
        name="entities",
        says="no entity is empty",
        fix=_RESOLVE_AGAIN,
        promises=(_stated("members", "every live entity has the records that it says, and who has records lives"),),
    ),
    Check(
        name="ids",
        says="every id ever given resolves",
        fix=_BY_HAND,
        promises=(
            _stated("given_ids", "every id is live or leads on, never both, and the feed tells when it came"),
            _stated("redirect_ends", "a retired id leads to one that lives or nowhere, never in a circle"),
        ),
    ),
    Check(
        name="links",
        says="decisions are honoured",
        fix="pay-ready resolve --all; of two that contradict each other, undo one",
        promises=(
            Promise("a match is in one entity, a no match in two", _honoured),
            Promise("people do not contradict themselves", _contradictions),
        ),
    ),
    Check(
        name="versions",
        says="one version is published",
        fix=_BY_HAND,
        promises=(
            _stated("run_numbers", "runs are numbered without a gap"),
            _stated("run_references", "rows are opened and closed by runs that are there"),
            _stated("intervals", "at any run a key has one row"),
            _stated("primary_links", "an interaction has one first person and one first company"),
        ),
    ),
    Check(
        name="digest",
        says="the published rows are those that the run wrote",
        fix=_BY_HAND,
        promises=(Promise("the newest run's digest is that of its rows", _newest_digest),),
    ),
    Check(
        name="golden",
        says="golden records are what their hashes say",
        fix=_BY_HAND,
        promises=(
            _stated("golden_hashes", "the hash is that of the golden record"),
            _stated("golden_columns", "columns show the golden record's values"),
            _stated("provenance", "every value comes from a record of the entity"),
        ),
    ),
    Check(
        name="interactions",
        says="interactions are linked to the entities of who takes part",
        fix=_RESOLVE_AGAIN,
        promises=(_stated("interactions", "links are those of participants and assignments"),),
    ),
    Check(
        name="feed",
        says="the change feed rebuilds the state",
        fix=_BY_HAND,
        promises=(
            _stated("feed_numbers", "changes are numbered without a gap, in the order of runs"),
            _stated("feed_chain", "each change begins where the one before ended"),
            _stated("feed_state", "read from the beginning it gives the live entities"),
            _stated("feed_merges", "where it says that an entity went, its id leads"),
        ),
    ),
    Check(
        name="audit",
        says="the audit trail is whole",
        fix="keep a copy: pay-ready audit export; compare it with older ones: pay-ready audit verify --file FILE",
        promises=(
            _stated("audit_chain", "every event hashes itself and the one before"),
            _stated("audit_runs", "every run is in the trail, from the state before to its own"),
        ),
    ),
    Check(
        name="isolation",
        says="nothing leads out of the tenant",
        fix="pay-ready doctor; put the table's protection back: call pay_ready.protect_table('TABLE')",
        promises=(
            _stated("row_security", "row security holds on every table"),
            _stated("foreign_keys", "every foreign key begins with the tenant"),
            Promise("every reference leads to a row of the tenant", _references),
        ),
    ),
    Check(
        name="blocks",
        says="what records are compared by is told alike on both sides",
        fix="train anew, which compares everybody: pay-ready resolve --refresh",
        promises=(
            Promise("records and blocks agree", lambda look: db_verify.blocks(look.tx, most=look.most)),
            _stated("edges", "edges are of records that are staged, or wait"),
        ),
    ),
    Check(
        name="memory",
        says="tiers show the published version",
        fix="of a vector store: pay-ready memory reconcile -t TENANT; of the record: " + _BY_HAND,
        promises=(
            _stated("outbox", "what memory has yet to hear of is numbered without a gap"),
            _stated("passages", "passages are of interactions that are staged, or memory has yet to hear of them"),
            Promise("the vector store beside Postgres has what the record has, or is yet to hear of it", lambda look: look.outer),
        ),
    ),
    Check(
        name="checkpoints",
        says="checkpoints name states that are there",
        fix="drop what names no state, and make another",
        promises=(
            _stated("checkpoints", "each names a run that is there, by its digest"),
            Promise("each digest is that of the run's rows (--deep)", _checkpoint_digests),
        ),
    ),
)
