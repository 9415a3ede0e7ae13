"""Ids that last. An entity keeps its id while its larger part lives; an id once given resolves for ever.

- A cluster takes the id that most of its records have now, on a tie the oldest. Of the parts of a split the one with most
  records keeps the id; on a tie the one that has no former id to go back to, then the one that holds the anchor.
- An anchor is the record that stands for an id. A part that splits off gets the former id of an anchor among its records, of
  several the one retired last; a retired id is given to nobody else.
- A new id is a UUIDv5 of tenant, type and record, the lowest one whose id was never given. When all were, it is minted for the
  id that is in the way, as if that were a record.
- A retired id leads to the entity that holds its anchor. Once that record is gone, it leads for ever to the id that it led to
  then, and on with that one: a redirect names an id, which may be redirected itself.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import EntityType, KnownEntity

Cluster = Sequence[UUID]
Counts = Mapping[UUID, int]  # entity -> records


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Who is who under which id."""

    entity_of: Mapping[UUID, UUID]  # by record
    members: Mapping[UUID, Cluster]  # by entity
    minted: Mapping[UUID, UUID]  # new ids with the record, or the id, that they were minted for
    redirects: Mapping[UUID, UUID | None]  # every retired id that was passed, with the id it leads to


def entity_id_of(tenant: TenantId, entity_type: EntityType, anchor: UUID) -> UUID:
    """The id minted for a record, the same whenever it is minted."""
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

    The whole state may be passed, or only what a run touches: the answer is the same. Touched is every cluster that holds a record
    that is new, changed its cluster, or was published together with a record that did or is gone. Then the caller passes

    - these clusters, and in `current` every record of every entity that one of their records, or one that is gone, has now;
    - in `known` the entities of `current`, the retired ids whose anchor is in one of the clusters, and every id that was minted for a
      record in them, or for an id that was minted so;
    - in `redirects` where the retired ones of these lead now.

    More than that does no harm: an id that is live elsewhere is left alone, and a retired one with its anchor elsewhere stays as it is.

    Args:
        tenant: Owner of the records.
        entity_type: What the records are about.
        clusters: Record ids, ascending in each cluster; a record is in one cluster.
        current: The published entity of every record.
        known: Ids ever given. The anchor of an id is the record it was minted for while it holds that, else the lowest of its
            records; of a retired one, among those it held last. Where a caller knows only what each id was minted for and passes
            that, ids last as long, but one that had lost that record does not come back after a merge, and the whole must be passed.
        redirects: Where the retired ones lead now.
    """
    sizes = Counter(current.values())
    kept, contested = _whole_entities(clusters, current, sizes)
    if contested:
        formers = _former_ids(clusters, contested, known)
        kept |= _claimed_ids(clusters, contested, known, formers)
        kept |= {position: former.entity_id for position, former in formers.items() if position not in kept}
    minted: dict[UUID, UUID] = {}
    members: dict[UUID, Cluster] = {}
    entity_of: dict[UUID, UUID] = {}
    for position, cluster in enumerate(clusters):
        if (entity := kept.get(position)) is None:
            minted_for, entity = _fresh_id(tenant, entity_type, cluster, known)
            minted[entity] = minted_for
        members[entity] = cluster
        for record in cluster:
            entity_of[record] = entity
    retired = [each for entity, each in known.items() if entity not in members and (entity in sizes or each.retired_run_no is not None)]
    gone = {each.entity_id for each in retired if each.entity_id in sizes and each.anchor_record_id not in entity_of}
    heirs = _heirs(gone, entity_of, current)
    return Identities(
        entity_of=entity_of,
        members=members,
        minted=minted,
        redirects={
            each.entity_id: entity_of.get(each.anchor_record_id) or heirs.get(each.entity_id) or redirects.get(each.entity_id)
            for each in retired
        },
    )


def _whole_entities(
    clusters: Sequence[Cluster], current: Mapping[UUID, UUID], sizes: Mapping[UUID, int]
) -> tuple[dict[int, UUID], dict[int, Counts]]:
    """By position: the id of clusters that are one entity, with or without new records; of all others how many records of whom."""
    kept: dict[int, UUID] = {}
    contested: dict[int, Counts] = {}
    for position, cluster in enumerate(clusters):
        now = [entity for record in cluster if (entity := current.get(record)) is not None]
        if now and sizes[now[0]] == len(now) == now.count(now[0]):
            kept[position] = now[0]
        else:
            contested[position] = Counter(now) if now else {}
    return kept, contested


def _claimed_ids(
    clusters: Sequence[Cluster],
    contested: Mapping[int, Counts],
    known: Mapping[UUID, KnownEntity],
    formers: Mapping[int, KnownEntity],
) -> dict[int, UUID]:
    """Cluster position -> id that goes on living: the largest common part first, each id and each cluster once."""
    claims = []
    for position, counts in contested.items():
        cluster = clusters[position]
        former_run = (former.retired_run_no or 0) if (former := formers.get(position)) else -1
        for entity, records in counts.items():
            claimed = known[entity]
            claims.append((-records, claimed.minted_run_no, entity, former_run, not _holds(cluster, claimed), cluster[0], position))
    kept: dict[int, UUID] = {}
    taken: set[UUID] = set()
    for _, _, entity, *_, position in sorted(claims):
        if position not in kept and entity not in taken:
            kept[position] = entity
            taken.add(entity)
    return kept


def _holds(cluster: Cluster, entity: KnownEntity) -> bool:
    """Whether the anchor of an entity is in a cluster, which is ascending."""
    at = bisect_left(cluster, entity.anchor_record_id)
    return at < len(cluster) and cluster[at] == entity.anchor_record_id


def _former_ids(clusters: Sequence[Cluster], contested: Iterable[int], known: Mapping[UUID, KnownEntity]) -> dict[int, KnownEntity]:
    """Cluster position -> of the retired ids whose anchor is there the one retired last, then the oldest."""
    anchored: dict[UUID, list[KnownEntity]] = {}
    for each in known.values():
        if each.retired_run_no is not None:
            anchored.setdefault(each.anchor_record_id, []).append(each)
    formers: dict[int, KnownEntity] = {}
    for position in contested:
        if found := [each for record in clusters[position] if record in anchored for each in anchored[record]]:
            formers[position] = min(found, key=lambda each: (-(each.retired_run_no or 0), each.minted_run_no, each.entity_id))
    return formers


def _fresh_id(tenant: TenantId, entity_type: EntityType, cluster: Cluster, known: Mapping[UUID, KnownEntity]) -> tuple[UUID, UUID]:
    """What an id that was never given is minted for, and the id."""
    free = (
        (minted_for, entity)
        for minted_for in chain(cluster, _ids_in_the_way(tenant, entity_type, cluster[0], known))
        if (entity := entity_id_of(tenant, entity_type, minted_for)) not in known
    )
    return next(free)


def _ids_in_the_way(tenant: TenantId, entity_type: EntityType, record: UUID, known: Mapping[UUID, KnownEntity]) -> Iterator[UUID]:
    """The id of a record, the id minted for that id and so on, as far as they were given."""
    entity = entity_id_of(tenant, entity_type, record)
    while entity in known:
        yield entity
        entity = entity_id_of(tenant, entity_type, entity)


def _heirs(waiting: Set[UUID], entity_of: Mapping[UUID, UUID], current: Mapping[UUID, UUID]) -> dict[UUID, UUID]:
    """For ids that retire now: where most of their records went, ties to the lowest id."""
    gone: dict[UUID, dict[UUID, int]] = {}
    for record, entity in current.items() if waiting else ():
        if entity in waiting and (heir := entity_of.get(record)) is not None:
            heirs = gone.setdefault(entity, {})
            heirs[heir] = heirs.get(heir, 0) + 1
    return {entity: min(heirs, key=lambda heir: (-heirs[heir], heir)) for entity, heirs in gone.items()}
