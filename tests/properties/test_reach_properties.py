"""From part of a reach, in memory: whoever is connected by matches, entities and decisions, and nobody else."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from pay_ready.model.resolution import PairDecision
from pay_ready.pipeline.decide import FewReach, reached_within

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
    told = [PairDecision(left_id=one, right_id=other, verdict="match") for one, other in decided]
    told.append(PairDecision(left_id=RECORDS[0], right_id=RECORDS[8], verdict="no_match"))
    whole = FewReach(
        records={each.bytes for each in RECORDS},
        links={(one.bytes, other.bytes) for one, other in links},
        entity_of={record.bytes: entity.bytes for record, entity in entity_of.items()},
        decisions=told,
    )
    found = reached_within(whole, {each.bytes for each in start})
    entities = [{record for record, of in entity_of.items() if of == entity} for entity in ENTITIES]
    wanted = closure(start, [set(pair) for pair in (*links, *decided)] + entities)
    assert found.records == {each.bytes for each in wanted}
    assert found.links == {(one.bytes, other.bytes) for one, other in links if one in wanted}
    assert found.entity_of.keys() == {each.bytes for each in entity_of.keys() & wanted}
