"""A hundred thousand merges and splits of entities, and who keeps an id each time."""

import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from pay_ready.model.ids import stable_id
from pay_ready.resolve.ids import Cluster
from tests.identity_support import Published

STEPS = 100_000
MOST_RECORDS = 8


def test_a_hundred_thousand_merges_and_splits() -> None:
    """Each run by its touched part alone, against rules written out once more; now and then, and at last, against the whole."""
    order = random.Random(11)
    everyone = sorted(stable_id("record", str(number)) for number in range(3_000))
    published = Published()
    published.publish_whole([(record,) for record in everyone])
    steps = Counter[str]()
    while steps.total() < STEPS:
        entities = list(dict.fromkeys(published.current[record] for record in order.sample(everyone, 150)))
        groups = [entities[start : start + 4] for start in range(0, len(entities), 4)]
        steps += one_run(published, groups, order)
        if published.run_no % 200 == 0:
            check_whole(published)
    check_whole(published)
    assert min(steps.values()) > STEPS / 3
    assert len(published.known) > 2 * len(published.members)


def one_run(published: Published, groups: Sequence[Sequence[UUID]], order: random.Random) -> Counter[str]:
    """The entities of a group become one, or each falls apart: who keeps an id is known before. How many merges and splits that is."""
    steps, clusters, expected = Counter[str](), list[Cluster](), dict[UUID, Cluster]()
    for group in groups:
        held = {entity: published.members[entity] for entity in group}
        if sum(map(len, held.values())) <= MOST_RECORDS:
            kept = min(held, key=lambda each: (-len(held[each]), published.known[each].minted_run_no, each))
            expected[kept] = tuple(sorted(record for records in held.values() for record in records))
            clusters.append(expected[kept])
            steps["merged"] += len(group) - 1
        else:
            for entity, records in held.items():
                parts = fallen_apart(records, order)
                clusters += parts
                steps["split"] += len(parts) - 1
                if len(parts) == 1 or len(parts[0]) > len(parts[1]):
                    expected[entity] = parts[0]
    found = published.publish(published.touched(clusters))
    assert expected.items() <= found.members.items()
    assert len(found.members) == len(clusters)
    assert not any(published.anchored.get(record) for entity in found.minted for record in found.members[entity])
    return steps


def fallen_apart(records: Cluster, order: random.Random) -> list[Cluster]:
    """Up to as many parts as there are records, the largest one first."""
    parts: dict[int, list[UUID]] = {}
    for record in records:
        parts.setdefault(order.randrange(len(records)), []).append(record)
    return sorted(map(tuple, parts.values()), key=len, reverse=True)


def check_whole(published: Published) -> None:
    """Every id leads to its anchor, and a run over everything finds what the parts gave."""
    for entity, known in published.known.items():
        assert published.resolved(entity) == published.current[known.anchor_record_id]
    found = published.whole(list(published.members.values())).identities()
    assert (found.members, found.entity_of, found.redirects) == (published.members, published.current, published.redirects)
    assert not found.minted
