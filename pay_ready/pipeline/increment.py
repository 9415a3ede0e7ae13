"""An increment: only what changed is resolved, and the outcome is that of a run over everything with the same models.

Under the publish lock, in one transaction. Records that came, changed or went are taken out of their blocks; whoever shares a block with
them before or after is looked up there; pairs with one of them are weighed anew, and so are those of others that a block let in or
shut out by growing or shrinking over its limit. Then everybody whom links, entities or decisions connect with a change is clustered
anew, and published as a part: no record beside these is read.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import pyarrow as pa

from pay_ready.db import blocks as db_blocks
from pay_ready.db import resolution as db_resolution
from pay_ready.db.id_arrays import uuid_list, uuids_of
from pay_ready.db.publish import PublishPlan, Touched
from pay_ready.db.resolution import PublishedState, Queue, Standing
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.model.ids import RunId
from pay_ready.model.progress import Progress, ProgressEvent
from pay_ready.model.resolution import ENTITY_TYPES, EntityType, PairDecision, ResolutionConfig, RunKind, TypeFigures
from pay_ready.pipeline.publish import (
    Published,
    Resolved,
    Version,
    decision_changes,
    header_of,
    identities,
    plan_publish,
    report_of,
    write_version,
)
from pay_ready.pipeline.touched import Part, Scope, all_bounds, resolved_part, write_edges
from pay_ready.resolve.changes import HeldDecision
from pay_ready.resolve.engine import Resolution
from pay_ready.resolve.linkage.model import ResolutionModel, growth_of
from pay_ready.threads import in_threads

_LARGEST_SHARE = 0.25  # of the records; when more have changed, reading all of them costs less


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment:
    """What an increment did."""

    published: Published
    resolutions: Mapping[EntityType, Resolution]  # of the touched part
    changed: int  # records that came, changed or went
    drift: tuple[str, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an increment starts from."""

    standing: Standing
    queue: Queue
    models: Mapping[EntityType, tuple[UUID, ResolutionModel]]
    decisions: Mapping[EntityType, Sequence[PairDecision]]
    seeds: Mapping[EntityType, Sequence[UUID]] = field(default_factory=dict)  # records to cluster anew, though they did not change
    only_published: bool = False  # leave records out that are not assigned


def is_small(queue: Queue, standing: Standing) -> bool:
    """Whether so few records changed that an increment costs less than a run over everything."""
    counts = [int(standing.report[name]["records"]) for name in ("people", "companies")]
    return len(queue.of("person")) + len(queue.of("company")) <= _LARGEST_SHARE * sum(counts)


def decisions_with(
    queue: Queue, told: Mapping[EntityType, Sequence[PairDecision]], held: Iterable[HeldDecision]
) -> dict[EntityType, list[PairDecision]]:  # fmt: skip
    """The decisions that go with what waits, where they were read a moment after it.

    A decision brings its records into the queue in the transaction that makes it. One whose records do not wait is honoured already, or was
    made after the queue was read: the next run's. And one that is honoured, and told no more, holds on until its records wait.

    Args:
        queue: What waits.
        told: The decisions read.
        held: Those that the published version honours.
    """
    honoured = {each.decision_id: each for each in held}
    found: dict[EntityType, list[PairDecision]] = {}
    for entity_type in ENTITY_TYPES:
        waiting = {bytes(each).rstrip(b"\0") for each in queue.of(entity_type)}
        known = {each.decision_id for each in told[entity_type]}
        found[entity_type] = [
            each for each in told[entity_type] if each.decision_id in honoured or waits(waiting, each.left_id, each.right_id)
        ] + [
            PairDecision(
                left_id=each.left_id, right_id=each.right_id, verdict="match" if each.verdict == "match" else "no_match",
                decision_id=each.decision_id,
            )
            for each in honoured.values()
            if each.entity_type == entity_type and each.decision_id not in known and not waits(waiting, each.left_id, each.right_id)
        ]  # fmt: skip
    return found


def waits(waiting: Collection[bytes], *records: UUID) -> bool:
    """Whether any of the records does; numpy leaves out zeros at the end of an id."""
    return any(each.bytes.rstrip(b"\0") in waiting for each in records)


def publish_changes(
    tx: TenantTransaction,
    database: Database,
    basis: Basis,
    config: ResolutionConfig,
    *,
    kind: RunKind = "resolve",
    actor: str,
    run_id: RunId,
    progress: Progress,
    clock: Callable[[], float] = time.perf_counter,
) -> Increment:
    """Resolve what waits in the queue and publish what differs, under the publish lock.

    Args:
        tx: The transaction that holds the lock.
        database: Where staged rows are read from.
        basis: The published version, what waits, the models in use.
        config: How people and companies are recognised; the models are of its settings.
        kind: What the run is.
        actor: Who runs it.
        run_id: The run in logs.
        progress: Told of each phase.
        clock: Seconds, for the report alone.
    """
    laps = _Laps(clock, progress)
    db_blocks.make_tables(tx)
    db_resolution.make_edge_table(tx)
    changed = {each: basis.queue.of(each) for each in ENTITY_TYPES}
    scope = {
        each: Scope(
            tx=tx, database=database, entity_type=each, config=config, model=basis.models[each],
            bounds=all_bounds(each, config, basis.models[each][1]), run_no=basis.standing.run_no, only_published=basis.only_published,
        )
        for each in ENTITY_TYPES
    }  # fmt: skip
    with db_blocks.by_index(tx):
        companies = resolved_part(scope["company"], changed["company"], basis.seeds.get("company", ()), basis.decisions["company"])
        laps.lap("companies", len(changed["company"]))
        company_ids = identities(tx.tenant, "company", companies.resolved.resolution, companies.state)
        before = companies.state.entity_of("company")
        renamed = [record for record, entity in company_ids.entity_of.items() if before.get(record) != entity]
        employees = db_resolution.employees(tx, renamed) if renamed else set()
        people = resolved_part(scope["person"], changed["person"], {*employees, *basis.seeds.get("person", ())}, basis.decisions["person"])
        laps.lap("people", len(changed["person"]))
        state = _together(companies.state, people.state)
        employers = _employers(tx, people.resolved.staged, company_ids.entity_of)
    resolved: Mapping[EntityType, Resolved] = {"company": companies.resolved, "person": people.resolved}
    values: Mapping[EntityType, set[UUID]] = {
        "company": set(uuids_of(changed["company"])),
        "person": set(uuids_of(changed["person"])) | employees,
    }
    parts: Mapping[EntityType, Part] = {"company": companies, "person": people}
    # The server writes edges while golden records are made here.
    plans: list[PublishPlan] = []

    def make_plan() -> None:
        plans.append(plan_publish(tx.tenant, resolved, config, state, employers, values))

    def write() -> None:
        with db_blocks.by_index(tx):
            for entity_type, part in parts.items():
                write_edges(scope[entity_type], part)

    in_threads([write, make_plan], name="publish")
    (plan,) = plans
    db_resolution.drop_queued(tx, basis.queue)
    figures = {each: _figures(each, parts[each], plan, state, basis.standing) for each in ENTITY_TYPES}
    models = {each: basis.models[each][0] for each in ENTITY_TYPES}
    published = write_version(
        tx,
        Version(
            plan=plan,
            state=state,
            digest=basis.standing.state_digest or b"",
            touched=Touched(
                interactions=uuid_list(basis.queue.of("interaction")),
                people=uuid_list(changed["person"]),
                companies=uuid_list(changed["company"]),
            ),
            figures=figures,
            decisions=decision_changes(tx, basis.decisions),
        ),
        header_of(kind, actor, run_id, config, models),
        lambda interactions: report_of(resolved, figures, interactions, ()),
    )
    laps.lap("publish", sum(each.entities for each in figures.values()))
    drift = [
        f"{each}: {reason}"
        for each in ENTITY_TYPES
        for reason in growth_of(basis.models[each][1], records=figures[each].records, growth=config.refresh_growth) + parts[each].unknown
    ]
    return Increment(
        published=published,
        resolutions={each: parts[each].resolved.resolution for each in ENTITY_TYPES},
        changed=sum(map(len, changed.values())),
        drift=tuple(drift),
        seconds=laps.spans,
    )


class _Laps:
    def __init__(self, clock: Callable[[], float], progress: Progress) -> None:
        self._clock, self._last, self._progress = clock, clock(), progress
        self.spans: dict[str, float] = {}

    def lap(self, subject: str, done: int) -> None:
        now = self._clock()
        self.spans[subject] = now - self._last
        self._last = now
        self._progress(ProgressEvent(step="resolve", subject=subject, done=done, total=done))


def _together(first: PublishedState, second: PublishedState) -> PublishedState:
    """The parts of two types as one."""
    return replace(
        first,
        assignments={"company": first.assignments["company"], "person": second.assignments["person"]},
        versions={**first.versions, **second.versions},
        redirects={**first.redirects, **second.redirects},
        known={"company": first.known["company"], "person": second.known["person"]},
    )


def _employers(tx: TenantTransaction, people: pa.Table, resolved: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """The entities of the company records that people's records name, of those that are not resolved here."""
    named = {UUID(bytes=each) if isinstance(each, bytes) else each for each in people.column("company_record_id").to_pylist() if each}
    return db_resolution.entities_of(tx, "company", list(named - resolved.keys()))


def _figures(entity_type: EntityType, part: Part, plan: PublishPlan, state: PublishedState, standing: Standing) -> TypeFigures:
    """What a run over everything would count, from what the version before counted and what changes."""
    said = standing.report["people" if entity_type == "person" else "companies"]
    rows = [(record, entity) for kind, record, entity, _ in plan.assignments if kind == entity_type]
    current = state.assignments[entity_type]
    records = sum(1 for record, entity in rows if entity and record not in current) - sum(1 for _, entity in rows if not entity)
    known = state.known[entity_type]
    new = [version for entity, version in plan.versions.items() if version and entity not in state.versions]
    opened = sum(1 for version in new if version.entity_type == entity_type)
    closed = sum(1 for entity, version in plan.versions.items() if version is None and entity in known)
    changes: dict[str, int] = {}
    for change in plan.changes:
        if change.entity_type == entity_type:
            changes[change.change] = changes.get(change.change, 0) + 1
    return TypeFigures(
        records=int(said["records"]) + records,
        candidate_pairs=part.compared,
        edges=part.linked,
        entities=int(said["entities"]) + opened - closed,
        predicted_precision=said["predicted_precision"],
        predicted_recall=said["predicted_recall"],
        threshold_bits=said["threshold_bits"],
        changes=changes,  # type: ignore[arg-type]
    )
