"""A vector store beside Postgres, compared with the record object by object. Nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pay_ready.db import memories as db_memories
from pay_ready.db import vectors as db_vectors
from pay_ready.db import verify as db_verify
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.vector_tables import embedder_tag
from pay_ready.db.vectors import VectorTable
from pay_ready.db.verify import Counted
from pay_ready.errors import IsolationError, TransientError
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import KeptObject, VectorStore

_PAGE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How an outer store differs from the record."""

    passages: int  # in the record, with a vector
    kept: int  # in the store
    orphans: int  # there, and not in the record
    missing: int  # in the record, and not there
    stale: int  # other content, or linked to people and companies that neither are its own nor lead to them

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.orphans or self.missing or self.stale)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Differing:
    """One object that is not as it should be."""

    kind: Literal["orphan", "missing", "stale"]
    memory_id: UUID
    interaction_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and what differs."""

    passages: int
    kept: int
    differing: frozenset[Differing]

    @property
    def difference(self) -> Difference:
        """In numbers."""
        kinds = [each.kind for each in self.differing]
        return Difference(
            passages=self.passages, kept=self.kept, orphans=kinds.count("orphan"), missing=kinds.count("missing"),
            stale=kinds.count("stale"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OuterStore:
    """A store beside Postgres, with the embedder whose vectors it has."""

    store: VectorStore
    embedder_id: str
    dimensions: int


def scanned(store: VectorStore, tenant: TenantId) -> dict[UUID, KeptObject]:
    """What a store has of a tenant, by passage.

    Raises:
        TransientError: It is away.
    """
    return {each.memory_id: each for each in store.scan(tenant)}


def compared(tx: TenantTransaction, table: VectorTable, there: Mapping[UUID, KeptObject]) -> Comparison:
    """What a store has, beside what the record has now."""
    left, passages, size = dict(there), 0, len(there)
    differing: set[Differing] = set()
    for page in db_vectors.in_pages(table, tx, page=_PAGE):
        leads = _leads(tx, page, there)
        passages += len(page)
        for each in page:
            kept = left.pop(each.memory_id, None)
            if kept is None:
                differing.add(Differing(kind="missing", memory_id=each.memory_id, interaction_id=each.interaction_id))
            elif kept.content_hash != each.content_hash or {leads.get(one, one) for one in kept.entity_ids} != each.entity_ids:
                differing.add(Differing(kind="stale", memory_id=each.memory_id, interaction_id=each.interaction_id))
    differing |= {Differing(kind="orphan", memory_id=each.memory_id, interaction_id=each.interaction_id) for each in left.values()}
    return Comparison(passages=passages, kept=size, differing=frozenset(differing))


def is_outer_equal(database: Database, tenant: TenantId, outer: OuterStore, *, most: int) -> Counted:
    """Whether a store has what the record has, as far as memory was told of it; a store that is away is not looked at.

    No snapshot holds two stores: what differs is looked at a second time, and counts when it differs then, too.
    """
    try:
        found, waiting = _unexplained(database, tenant, outer)
        differing = found.differing
        if differing:
            differing &= _unexplained(database, tenant, outer)[0].differing
    except TransientError:
        return Counted(skipped=f"{outer.store.name} is away: it was not compared")
    except IsolationError as error:
        return Counted(checked=1, wrong=1, offenders=(f"{outer.store.name}: {error.what}",))
    named = sorted(differing)[:most]
    return Counted(
        checked=max(found.passages, found.kept), wrong=len(differing), pending=waiting,
        offenders=tuple(f"{each.kind} {each.memory_id}" for each in named),
    )  # fmt: skip


def _unexplained(database: Database, tenant: TenantId, outer: OuterStore) -> tuple[Comparison, int]:
    """A comparison without what waits to be told, and how many interactions wait."""
    there = scanned(outer.store, tenant)
    with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
        table = db_vectors.vector_table(tx, embedder_tag(outer.embedder_id), outer.dimensions)
        found, waiting = compared(tx, table, there), db_verify.waiting_interactions(tx)
    unexplained = frozenset(each for each in found.differing if each.interaction_id not in waiting)
    return Comparison(passages=found.passages, kept=found.kept, differing=unexplained), len(waiting)


def _leads(tx: TenantTransaction, page: list[KeptObject], there: Mapping[UUID, KeptObject]) -> dict[UUID, UUID]:
    """Where ids that objects carry lead now."""
    carried: set[UUID] = set()
    for each in page:
        if (kept := there.get(each.memory_id)) is not None:
            carried |= kept.entity_ids - each.entity_ids
    return db_memories.leads(tx, sorted(carried)) if carried else {}
