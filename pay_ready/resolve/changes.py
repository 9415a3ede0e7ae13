"""What one run does to each entity: the lines of the change feed, and the digest of a published state."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from pay_ready.model.resolution import ChangeKind, EntityChange, EntityType
from pay_ready.resolve.ids import Cluster, Identities

_ORDER: Mapping[ChangeKind, int] = {"created": 0, "split": 1, "changed": 2, "merged": 3, "retired": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDecision:
    """A decision that a published state honours."""

    decision_id: UUID
    entity_type: EntityType
    left_id: UUID
    right_id: UUID
    verdict: str


def entity_changes(
    entity_type: EntityType,
    identities: Identities,
    current: Mapping[UUID, UUID],
    before: Mapping[UUID, bytes],
    after: Mapping[UUID, bytes],
) -> list[EntityChange]:
    """What happens to each entity, in a fixed order: created, split, changed, merged, retired; by id within each.

    An entity is named once, and not at all when neither its golden record nor its records are others. It is merged when one of
    its records lives on in another entity, retired when none does; split when most of its records that were published were so under
    another id, created when none was.

    Args:
        entity_type: Type of all entities here.
        identities: The state to be, or the touched part of it (`identify`).
        current: The published entity of every record, or of every record of the touched part.
        before: Content hash of every live entity in `current`, now.
        after: Content hash of every live entity in `identities`, then.
    """
    sizes = Counter(current.values())
    surviving = {current[record] for record in identities.entity_of if record in current}
    changes: list[EntityChange] = []
    for entity, cluster in identities.members.items():
        if entity not in sizes:
            changes.append(_appearance(entity_type, entity, cluster, current, after[entity]))
        elif before.get(entity) != after[entity] or not _is_whole(entity, cluster, current, sizes[entity]):
            changes.append(_change("changed", entity_type, entity, None, before.get(entity), after[entity]))
    for entity in sizes.keys() - identities.members.keys():
        heir = identities.redirects.get(entity) if entity in surviving else None
        kind: ChangeKind = "retired" if heir is None else "merged"
        changes.append(_change(kind, entity_type, entity, heir, before.get(entity), None))
    return sorted(changes, key=lambda each: (_ORDER[each.change], each.entity_id))


def moved_digest(before: bytes, closed: Iterable[str], opened: Iterable[str]) -> bytes:
    """The digest of a state without some canonical lines, and with others; that of no lines is 32 zero bytes.

    A state is who belongs to whom, the golden records of the ids that live, and the decisions honoured. Where retired ids lead is not
    part of it: a rollback gives back what was, and ids given since still lead somewhere.

    The digest is the sum of the sha256 of the lines, modulo 2^256: the same in whatever order they come, and a run knows that of what it
    makes from that of what it found (AdHash; Bellare and Micciancio 1997). It tells a state that is not what it was, by accident or by
    hand; who wants to forge one must first forge the audit chain that keeps it.
    """
    total = int.from_bytes(before) + sum(map(_line_number, opened)) - sum(map(_line_number, closed))
    return (total % (1 << 256)).to_bytes(32)


def _line_number(line: str) -> int:
    return int.from_bytes(hashlib.sha256(line.encode()).digest())


def assignment_line(entity_type: EntityType, record: UUID, entity: UUID, confidence: float) -> str:
    """The canonical line of a record's entity."""
    return f"assignment {entity_type} {record} {entity} {confidence:.4f}\n"


def version_line(entity: UUID, content_hash: bytes) -> str:
    """The canonical line of a golden record."""
    return f"version {entity} {content_hash.hex()}\n"


def decision_line(held: HeldDecision) -> str:
    """The canonical line of a decision that is honoured."""
    return f"decision {held.decision_id} {held.entity_type} {held.left_id} {held.right_id} {held.verdict}\n"


def _is_whole(entity: UUID, cluster: Cluster, current: Mapping[UUID, UUID], size: int) -> bool:
    """Whether a cluster is exactly the records of an entity, of which there are `size`."""
    return len(cluster) == size and all(current.get(record) == entity for record in cluster)


def _appearance(entity_type: EntityType, entity: UUID, cluster: Cluster, current: Mapping[UUID, UUID], after: bytes) -> EntityChange:
    """A split when its records come from another entity, else created."""
    parents = Counter(current[record] for record in cluster if record in current)
    if not parents:
        return _change("created", entity_type, entity, None, None, after)
    parent = min(parents.items(), key=lambda each: (-each[1], each[0]))[0]
    return _change("split", entity_type, entity, parent, None, after)


def _change(
    kind: ChangeKind, entity_type: EntityType, entity: UUID, other: UUID | None, before: bytes | None, after: bytes | None
) -> EntityChange:
    return EntityChange(change=kind, entity_type=entity_type, entity_id=entity, other_entity_id=other, before_hash=before, after_hash=after)
