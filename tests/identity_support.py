"""A published state of one entity type, as a store keeps it, and what a caller passes of it when only a part is touched."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import KnownEntity
from pay_ready.resolve.ids import Cluster, Identities, identify

_NOBODY: frozenset[UUID] = frozenset()
TENANT = TenantId(stable_id("tenant", "identities"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What `identify` is given."""

    clusters: Sequence[Cluster]
    current: Mapping[UUID, UUID]
    known: Mapping[UUID, KnownEntity]
    redirects: Mapping[UUID, UUID | None]

    def identities(self) -> Identities:
        """The answer."""
        return identify(TENANT, "person", self.clusters, self.current, self.known, self.redirects)


class Published:
    """Keeps what a store keeps, by what `identify` says; `anchor_of` and `touched` are the caller's side of its docstring."""

    def __init__(self) -> None:
        self.run_no = 0
        self.current: dict[UUID, UUID] = {}
        self.members: dict[UUID, tuple[UUID, ...]] = {}  # of live entities
        self.known: dict[UUID, KnownEntity] = {}
        self.minted_for: dict[UUID, UUID] = {}  # id -> the record, or the id, that it was minted for
        self.minted_by: dict[UUID | None, UUID] = {}  # the other way round
        self.anchored: dict[UUID, set[UUID]] = {}  # record -> retired ids
        self.redirects: dict[UUID, UUID | None] = {}

    def anchor_of(self, entity: UUID, records: Collection[UUID]) -> UUID:
        """The record an id was minted for while it is among its records, else the lowest of them."""
        minted_for = self.minted_for[entity]
        return minted_for if minted_for in records else min(records)

    def whole(self, clusters: Sequence[Cluster]) -> Passed:
        """Everything there is."""
        return Passed(clusters=clusters, current=dict(self.current), known=dict(self.known), redirects=dict(self.redirects))

    def changed(self, clusters: Iterable[Cluster]) -> list[Cluster]:
        """Of all clusters those that are not an entity as it stands."""
        return [each for each in clusters if self.members.get(self.current.get(each[0], each[0])) != tuple(each)]

    def touched(self, clusters: Sequence[Cluster], gone: Iterable[UUID] = ()) -> Passed:
        """What these clusters touch, and no more."""
        records = [record for cluster in clusters for record in cluster]
        entities = {entity for record in (*records, *gone) if (entity := self.current.get(record)) is not None}
        retired: set[UUID] = set()
        minted: list[UUID] = []
        for record in records:
            retired |= self.anchored.get(record, _NOBODY)
            by: UUID | None = record
            while (by := self.minted_by.get(by)) is not None:
                minted.append(by)
        redirects = {each: self.redirects[each] for each in retired}
        redirects |= {each: self.redirects[each] for each in minted if each in self.redirects}
        return Passed(
            clusters=clusters,
            current={record: entity for entity in entities for record in self.members[entity]},
            known={each: self.known[each] for each in {*entities, *retired, *minted}},
            redirects=redirects,
        )

    def publish(self, passed: Passed) -> Identities:
        """The next version: what was passed becomes what `identify` says, the rest stays."""
        found = passed.identities()
        self.run_no += 1
        for entity in set(passed.current.values()) - found.members.keys():
            self._retire(entity)
        for record in passed.current.keys() - found.entity_of.keys():
            del self.current[record]
        self.current.update(found.entity_of)
        for entity, cluster in found.members.items():
            self._keep(entity, tuple(cluster), found.minted)
        self.redirects.update(found.redirects)
        return found

    def publish_whole(self, clusters: Sequence[Cluster]) -> Identities:
        """The next version, of everything."""
        return self.publish(self.whole(clusters))

    def resolved(self, entity: UUID) -> UUID | None:
        """Where an id leads; an endless chain fails."""
        steps, found = 0, entity
        while found not in self.members:
            steps += 1
            assert steps <= len(self.known), "a circle of redirects"
            if (target := self.redirects[found]) is None:
                return None
            found = target
        return found

    def snapshot(self) -> tuple[object, ...]:
        """Assignments, redirects and every id with its anchor, as values to be compared."""
        anchors = {entity: each.anchor_record_id for entity, each in self.known.items()}
        return dict(self.current), dict(self.members), dict(self.redirects), anchors

    def _retire(self, entity: UUID) -> None:
        known = self.known[entity]
        anchor = self.anchor_of(entity, self.members.pop(entity))
        self.known[entity] = KnownEntity(
            entity_id=entity, anchor_record_id=anchor, minted_run_no=known.minted_run_no, retired_run_no=self.run_no
        )
        self.anchored.setdefault(anchor, set()).add(entity)

    def _keep(self, entity: UUID, cluster: tuple[UUID, ...], minted: Mapping[UUID, UUID]) -> None:
        if entity in minted:
            assert entity not in self.known, "minted twice"
            self.minted_for[entity] = minted[entity]
            self.minted_by[minted[entity]] = entity
        known = self.known.get(entity)
        if known is not None and known.retired_run_no is not None:
            self.anchored[known.anchor_record_id].discard(entity)
            del self.redirects[entity]
        self.members[entity] = cluster
        self.known[entity] = KnownEntity(
            entity_id=entity,
            anchor_record_id=self.anchor_of(entity, cluster),
            minted_run_no=known.minted_run_no if known else self.run_no,
        )
