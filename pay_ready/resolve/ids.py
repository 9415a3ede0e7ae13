"""Ids that last. An entity keeps its id while its larger part lives; an id once given resolves for ever.

- A cluster takes the id that most of its records have now; on a tie the one whose anchor record it holds, then the oldest.
- A part that splits off gets the former id of an anchor record among its own, the one retired last; else a new one.
- A new id is a UUIDv5 of tenant, type and anchor record (the lowest record whose id is free): minted again, it is the same.
- A retired id leads to the entity that holds its anchor record; when that record is gone, to where its records went.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import EntityType, KnownEntity

Cluster = Sequence[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Who is who under which id."""

    entity_of: Mapping[UUID, UUID]  # by record
    members: Mapping[UUID, Cluster]  # by entity
    minted: Mapping[UUID, UUID]  # new ids with their anchor records
    redirects: Mapping[UUID, UUID | None]  # every known id that is not live, with the live one it leads to


def entity_id_of(tenant: TenantId, entity_type: EntityType, anchor: UUID) -> UUID:
    """The id minted for an anchor record, the same whenever it is minted."""
    return stable_id("entity", str(tenant), entity_type, str(anchor))


def identify(
    tenant: TenantId,
    entity_type: EntityType,
    clusters: Sequence[Cluster],
    current: Mapping[UUID, UUID],
    known: Mapping[UUID, KnownEntity],
    redirects: Mapping[UUID, UUID | None],
) -> Identities:
    """Give every cluster its id.

    Args:
        tenant: Owner of the records.
        entity_type: What the records are about.
        clusters: Record ids, ascending in each cluster; a record is in one cluster.
        current: The published entity of every record.
        known: Every id ever given.
        redirects: Where the retired ones lead now.
    """
    kept = _kept_ids(clusters, current, known)
    taken = set(kept.values())
    anchors = _free_anchors(known, taken)
    minted: dict[UUID, UUID] = {}
    members: dict[UUID, Cluster] = {}
    # Former ids before new ones: what is minted below must not take an id that a later cluster gets back.
    for position, cluster in enumerate(clusters):
        if position not in kept and (former := _former_id(cluster, anchors)) is not None:
            kept[position] = former
            taken.add(former)
    for position, cluster in enumerate(clusters):
        if (entity := kept.get(position)) is None:
            anchor, entity = _fresh_id(tenant, entity_type, cluster, taken)
            if entity not in known:
                minted[entity] = anchor
            taken.add(entity)
        members[entity] = cluster
    entity_of = {record: entity for entity, cluster in members.items() for record in cluster}
    retired = [each for entity_id, each in known.items() if entity_id not in members]
    return Identities(
        entity_of=entity_of,
        members=members,
        minted=minted,
        redirects=_redirects(retired, entity_of, current, redirects, members),
    )


def _kept_ids(clusters: Sequence[Cluster], current: Mapping[UUID, UUID], known: Mapping[UUID, KnownEntity]) -> dict[int, UUID]:
    """Cluster position -> id that goes on living: the largest common part first, each id and each cluster once."""
    claims = [
        (-records, known[entity].anchor_record_id not in set(cluster), known[entity].minted_run_no, entity, cluster[0], position)
        for position, cluster in enumerate(clusters)
        for entity, records in Counter(current[record] for record in cluster if record in current).items()
    ]
    kept: dict[int, UUID] = {}
    taken: set[UUID] = set()
    for *_, entity, _first, position in sorted(claims):
        if entity not in taken and position not in kept:
            kept[position] = entity
            taken.add(entity)
    return kept


def _free_anchors(known: Mapping[UUID, KnownEntity], taken: set[UUID]) -> dict[UUID, KnownEntity]:
    return {each.anchor_record_id: each for entity_id, each in known.items() if entity_id not in taken}


def _former_id(cluster: Cluster, anchors: Mapping[UUID, KnownEntity]) -> UUID | None:
    """Of the free ids whose anchor is here, the one retired last, then the oldest."""
    found = [anchors[record] for record in cluster if record in anchors]
    if not found:
        return None
    return min(found, key=lambda each: (-(each.retired_run_no or 0), each.minted_run_no, each.entity_id)).entity_id


def _fresh_id(tenant: TenantId, entity_type: EntityType, cluster: Cluster, taken: set[UUID]) -> tuple[UUID, UUID]:
    """Anchor and id for a cluster none of whose records anchors a free known id."""
    for record in cluster:
        entity = entity_id_of(tenant, entity_type, record)
        if entity not in taken:
            return record, entity
    # Every record anchors an id that lives elsewhere. An anchor names one id only, so the part goes without its own
    # anchor: the id is derived from the whole part, and its anchor is that derived value, held by no record.
    anchor = stable_id("anchor", *(str(record) for record in cluster))
    return anchor, entity_id_of(tenant, entity_type, anchor)


def _redirects(
    retired: Iterable[KnownEntity],
    entity_of: Mapping[UUID, UUID],
    current: Mapping[UUID, UUID],
    redirects: Mapping[UUID, UUID | None],
    live: Mapping[UUID, Cluster],
) -> dict[UUID, UUID | None]:
    waiting = {each.entity_id: each for each in retired}
    heirs = _heirs(waiting, entity_of, current)
    found = {entity_id: entity_of.get(each.anchor_record_id) or heirs.get(entity_id) for entity_id, each in waiting.items()}
    for entity_id in waiting:
        if found[entity_id] is None:
            before = redirects.get(entity_id)
            found[entity_id] = before if before is None or before in live else found.get(before)
    return found


def _heirs(waiting: Mapping[UUID, KnownEntity], entity_of: Mapping[UUID, UUID], current: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """For ids that retire now: where most of their records went, ties to the lowest id."""
    gone: dict[UUID, Counter[UUID]] = {}
    for record, entity in current.items():
        if entity in waiting and record in entity_of:
            gone.setdefault(entity, Counter())[entity_of[record]] += 1
    return {entity: min(heirs.items(), key=lambda each: (-each[1], each[0]))[0] for entity, heirs in gone.items()}
