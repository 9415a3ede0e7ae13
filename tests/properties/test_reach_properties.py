"""From part of a reach, in memory: whoever is connected by matches, entities and decisions, and nobody else."""

from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.db.blocks import MATE, PAIR
from pay_ready.model.resolution import PairDecision
from pay_ready.pipeline.touched import Reach, reached_within

# Ids that end in zeros, too: numpy leaves those out.
RECORDS = [UUID(int=(number + 1) << (0 if number % 2 else 64)) for number in range(9)]
ENTITIES = [UUID(int=(number + 1) << 100) for number in range(4)]
pairs = st.lists(
    st.tuples(st.sampled_from(RECORDS), st.sampled_from(RECORDS)).filter(lambda pair: pair[0] < pair[1]), max_size=5, unique=True
)


def closure(start: set[UUID], bonds: list[set[UUID]]) -> set[UUID]:
    """The definition: as long as a bond holds somebody who is there and somebody who is not."""
    while more := [bond for bond in bonds if bond & start and not bond <= start]:
        start = start.union(*more)
    return start


@given(
    links=pairs,
    decided=pairs,
    entity_of=st.dictionaries(st.sampled_from(RECORDS), st.sampled_from(ENTITIES)),
    start=st.sets(st.sampled_from(RECORDS), min_size=1),
)
def test_the_reach_is_the_closure(
    links: list[tuple[UUID, UUID]], decided: list[tuple[UUID, UUID]], entity_of: dict[UUID, UUID], start: set[UUID]
) -> None:
    """With its matches, and all who are published with one of its records."""
    whole = Reach(
        records=np.array(sorted(each.bytes for each in RECORDS), dtype="S16"),
        links=np.array([(one.bytes, other.bytes) for one, other in links], dtype=PAIR),
        mates=np.array([(entity.bytes, record.bytes, 1) for record, entity in entity_of.items()], dtype=MATE),
    )
    told = [PairDecision(left_id=one, right_id=other, verdict="match") for one, other in decided]
    told.append(PairDecision(left_id=RECORDS[0], right_id=RECORDS[8], verdict="no_match"))
    found = reached_within(whole, np.array(sorted(each.bytes for each in start), dtype="S16"), told)
    entities = [{record for record, of in entity_of.items() if of == entity} for entity in ENTITIES]
    wanted = closure(start, [set(pair) for pair in (*links, *decided)] + entities)
    ids = {each.bytes.rstrip(b"\0"): each for each in RECORDS}
    assert {ids[each] for each in found.records.tolist()} == wanted
    assert {(ids[one], ids[other]) for one, other in found.links.tolist()} == {pair for pair in links if pair[0] in wanted}
    assert {ids[record] for _, record, _ in found.mates.tolist()} == entity_of.keys() & wanted
