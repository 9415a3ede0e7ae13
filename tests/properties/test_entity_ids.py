"""What holds of ids through any history of records that come and go, clusters that merge and split, and runs over all or a part."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pay_ready.model.ids import stable_id
from pay_ready.model.resolution import EntityChange
from pay_ready.resolve.changes import entity_changes
from pay_ready.resolve.ids import Cluster, Identities, entity_id_of
from tests.identity_support import TENANT, Passed, Published

RECORDS = sorted(stable_id("record", str(number)) for number in range(12))
Colours = dict[UUID, int]  # record -> its cluster; absent records have none

records = st.sampled_from(RECORDS)
colours = st.integers(0, 5)
partitions = st.lists(colours, min_size=12, max_size=12)


def clusters_of(painted: Colours) -> list[Cluster]:
    """Records of one colour, ascending, as one cluster."""
    found: dict[int, list[UUID]] = {}
    for record in sorted(painted):
        found.setdefault(painted[record], []).append(record)
    return [tuple(each) for each in found.values()]


def painted(numbers: Sequence[int]) -> list[Cluster]:
    """A partition of all records."""
    return clusters_of(dict(zip(RECORDS, numbers, strict=True)))


class Histories(RuleBasedStateMachine):
    """Edits gather until a run publishes them, so that any of them may meet in one run."""

    def __init__(self) -> None:
        super().__init__()
        self.published = Published()
        self.colours: Colours = {}

    @initialize(numbers=partitions, present=st.sets(records))
    def _first_records(self, numbers: list[int], present: set[UUID]) -> None:
        self.colours = {record: number for record, number in zip(RECORDS, numbers, strict=True) if record in present}

    @rule(record=records, colour=colours)
    def arrive_or_move(self, record: UUID, colour: int) -> None:
        """A record comes, or goes over to another cluster."""
        self.colours[record] = colour

    @rule(gone=st.sets(records, min_size=1, max_size=3))
    def vanish(self, gone: set[UUID]) -> None:
        """Records are deleted."""
        self.colours = {record: colour for record, colour in self.colours.items() if record not in gone}

    @rule(colour=colours, into=colours)
    def merge(self, colour: int, into: int) -> None:
        """Two clusters become one."""
        self.colours = {record: into if each == colour else each for record, each in self.colours.items()}

    @rule(colour=colours, parts=st.lists(colours, min_size=12, max_size=12))
    def split(self, colour: int, parts: list[int]) -> None:
        """A cluster falls into parts, some of which may fall to other clusters."""
        self.colours = {record: parts[RECORDS.index(record)] if each == colour else each for record, each in self.colours.items()}

    @rule(numbers=partitions)
    def everything_is_other(self, numbers: list[int]) -> None:
        """A run over everything with another model."""
        self.colours = {record: numbers[RECORDS.index(record)] for record in self.colours}

    @rule(order=st.randoms(use_true_random=False), by_parts=st.booleans())
    def run(self, order: random.Random, by_parts: bool) -> None:
        """Publish; the answer is the same for the whole and for what is touched, in any order, and the feed tells all of it."""
        clusters, published = clusters_of(self.colours), self.published
        before, led_to = dict(published.members), {entity: published.resolved(entity) for entity in published.known}
        passed = self._checked(clusters, order, by_parts)
        found = published.publish(passed)
        assert sorted(published.members.values()) == sorted(map(tuple, clusters))
        assert published.redirects.keys() == published.known.keys() - published.members.keys()
        assert all(entity == entity_id_of(TENANT, "person", minted_for) for entity, minted_for in found.minted.items())
        assert told_and_replayed(passed, found, before) == published.members
        for entity, live in led_to.items():
            if published.resolved(entity) is None:
                assert live is None or not published.current.keys() & set(before[live])

    @rule()
    def run_unchanged(self) -> None:
        """The same clusters again change nothing and say nothing."""
        self.run(random.Random(0), by_parts=False)
        clusters, before = clusters_of(self.colours), self.published.snapshot()
        assert self.published.changed(clusters) == []
        passed = self.published.whole(clusters)
        found = self.published.publish(passed)
        assert not found.minted
        assert self.published.snapshot() == before
        assert feed(passed, found) == []

    @rule(painting=st.lists(st.integers(0, 3), min_size=6, max_size=6), by_parts=st.booleans())
    def merge_then_unmerge(self, painting: list[int], by_parts: bool) -> None:
        """After clusters were merged in any way and parted again, nothing is left of it: records, ids, redirects are as they were."""
        self.run(random.Random(0), by_parts=False)
        merged = clusters_of({record: painting[colour] for record, colour in self.colours.items()})
        before = self.published.snapshot()
        for clusters in (merged, clusters_of(self.colours)):
            changed = self.published.changed(clusters)
            found = self.published.publish(self.published.touched(changed) if by_parts else self.published.whole(clusters))
            assert not found.minted
        assert self.published.snapshot() == before

    @invariant()
    def every_id_leads_to_its_anchor(self) -> None:
        """An id once given is live or leads to a live one, that of its anchor where it is there, or to nothing."""
        for entity, known in self.published.known.items():
            leads_to, anchor = self.published.resolved(entity), known.anchor_record_id
            assert anchor not in self.published.current or leads_to == self.published.current[anchor]

    @invariant()
    def no_id_names_two_clusters(self) -> None:
        """Records and entities say the same of each other."""
        assert self.published.current == {record: entity for entity, held in self.published.members.items() for record in held}

    def _checked(self, clusters: list[Cluster], order: random.Random, by_parts: bool) -> Passed:
        """What to publish with, the whole or the touched part, of which one answer was found."""
        published, whole = self.published, self.published.whole(clusters)
        found = whole.identities()
        shuffled = Passed(
            clusters=order.sample(clusters, len(clusters)),
            current=dict(order.sample(list(whole.current.items()), len(whole.current))),
            known=dict(order.sample(list(whole.known.items()), len(whole.known))),
            redirects=dict(order.sample(list(whole.redirects.items()), len(whole.redirects))),
        )
        assert shuffled.identities() == found
        part = published.touched(published.changed(clusters), published.current.keys() - self.colours.keys())
        for passed in (part, replace(part, known=whole.known, redirects=whole.redirects)):
            partial = passed.identities()
            touched = set(passed.current.values())
            untouched = {entity: held for entity, held in published.members.items() if entity not in touched}
            assert {**untouched, **partial.members} == found.members
            assert partial.minted == found.minted
            stay = {entity: target for entity, target in published.redirects.items() if entity not in partial.members}
            assert {**stay, **partial.redirects} == found.redirects
        return part if by_parts else whole


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)


def feed(passed: Passed, found: Identities) -> list[EntityChange]:
    """The change feed of a run in which every golden record has the same hash."""
    same = dict.fromkeys({*passed.current.values(), *found.members}, b"same")
    return entity_changes("person", found, passed.current, same, same)


def told_and_replayed(passed: Passed, found: Identities, before: Mapping[UUID, Cluster]) -> dict[UUID, Cluster]:
    """The members before, and on them what the feed tells, each kind of it checked against who holds which record."""
    after, state = dict(found.members), dict(before)
    for each in feed(passed, found):
        now, then = set(state.get(each.entity_id, ())), set(after.get(each.entity_id, ()))
        other = each.other_entity_id
        came_from: Counter[UUID | None] = Counter(passed.current[record] for record in then if record in passed.current)
        went_to = {found.entity_of[record] for record in now if record in found.entity_of}
        match each.change:
            case "created":
                assert (not now, not came_from, other) == (True, True, None)
            case "split":
                assert (not now, came_from.get(other)) == (True, max(came_from.values()))
            case "changed":
                assert (now != then, bool(now and then), other) == (True, True, None)
            case "merged":
                assert (not now, not then, other in went_to) == (False, True, True)
            case "retired":
                assert (not now, not then, went_to, other) == (False, True, set(), None)
        state.pop(each.entity_id, None)
        if then:
            state[each.entity_id] = after[each.entity_id]
    return state


def id_of(published: Published, *numbers: int) -> UUID:
    """The one id of some records."""
    (found,) = {published.current[RECORDS[number]] for number in numbers}
    return found


def test_of_merged_entities_the_one_with_most_records_then_the_oldest_keeps_its_id() -> None:
    """Size goes before age, age before everything else."""
    published = Published()
    published.publish_whole(clusters_of({RECORDS[5]: 5}))
    published.publish_whole(clusters_of({RECORDS[5]: 5, RECORDS[1]: 1, RECORDS[2]: 2, RECORDS[3]: 2}))
    old, young, large = id_of(published, 5), id_of(published, 1), id_of(published, 2, 3)
    published.publish_whole(clusters_of({RECORDS[5]: 5, RECORDS[1]: 5, RECORDS[2]: 2, RECORDS[3]: 2}))
    assert id_of(published, 5, 1) == old
    assert published.resolved(young) == old
    published.publish_whole(clusters_of({RECORDS[5]: 5, RECORDS[1]: 1, RECORDS[2]: 2, RECORDS[3]: 2}))
    assert id_of(published, 1) == young
    published.publish_whole(clusters_of({RECORDS[5]: 5, RECORDS[1]: 1, RECORDS[2]: 5, RECORDS[3]: 5}))
    assert id_of(published, 5, 2, 3) == large == published.resolved(old)


def test_of_a_split_the_larger_part_keeps_the_id_and_takes_another_anchor() -> None:
    """The record that an id was minted for leaves with the smaller part: the id stays, comes back after a merge, and leads to its own."""
    published = Published()
    published.publish_whole(painted([0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    whole = id_of(published, 0, 1, 2)
    published.publish_whole(painted([3, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    alone = id_of(published, 0)
    assert id_of(published, 1, 2) == whole != alone
    published.publish_whole(painted([3, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    assert published.resolved(whole) == id_of(published, 3)
    published.publish_whole(painted([3, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]))
    assert (id_of(published, 1, 2), id_of(published, 0)) == (whole, alone)


def test_of_equal_parts_the_one_with_the_anchor_keeps_the_id() -> None:
    """Not the one whose records sort first."""
    published = Published()
    published.publish_whole(clusters_of({RECORDS[2]: 0, RECORDS[3]: 0}))
    founded = id_of(published, 2, 3)
    published.publish_whole(clusters_of(dict.fromkeys(RECORDS[:4], 0)))
    published.publish_whole(clusters_of({RECORDS[0]: 0, RECORDS[1]: 0, RECORDS[2]: 1, RECORDS[3]: 1}))
    assert id_of(published, 2, 3) == founded


def test_a_record_whose_ids_all_live_elsewhere_gets_another_each_time() -> None:
    """Whom a founder leaves behind keep the id: no id is given twice, and each is minted for the one before."""
    published, left_behind = Published(), dict[UUID, int]()
    given = []
    for turn in range(4):
        published.publish_whole(clusters_of({RECORDS[0]: 0} | left_behind))
        given.append(id_of(published, 0))
        others = RECORDS[2 * turn + 1 : 2 * turn + 3]
        published.publish_whole(clusters_of({RECORDS[0]: 0} | dict.fromkeys(others, 0) | left_behind))
        left_behind |= dict.fromkeys(others, turn + 1)
    assert len(set(given)) == len(given)
    assert [published.minted_for[each] for each in given] == [RECORDS[0], *given[:-1]]


def test_an_id_whose_anchor_is_gone_goes_on_with_the_id_that_it_led_to() -> None:
    """That one merges and parts again, and what leads to it goes with it both times; of nothing left it leads to nothing."""
    published = Published()
    apart = {RECORDS[0]: 0, RECORDS[1]: 1, RECORDS[2]: 1, RECORDS[3]: 3, RECORDS[4]: 3, RECORDS[5]: 3}
    published.publish_whole(clusters_of(apart))
    lost = id_of(published, 0)
    published.publish_whole(clusters_of(apart | {RECORDS[0]: 1}))
    del apart[RECORDS[0]]
    published.publish_whole(clusters_of(apart))
    before = published.snapshot()
    assert published.resolved(lost) == id_of(published, 1, 2)
    published.publish_whole(clusters_of(dict.fromkeys(apart, 3)))
    assert published.resolved(lost) == id_of(published, 1, 2, 3, 4, 5)
    published.publish_whole(clusters_of(apart))
    assert published.snapshot() == before
    published.publish_whole(clusters_of({RECORDS[3]: 3}))
    assert published.resolved(lost) is None


def test_an_id_that_retires_with_its_anchor_leads_to_where_most_of_its_records_went() -> None:
    """One run deletes the record an id was minted for and parts the others among larger entities."""
    published = Published()
    published.publish_whole(painted([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]))
    parted, most = id_of(published, 0, 1, 2, 3), id_of(published, 8, 9)
    parts = dict(zip(RECORDS, [0, 1, 2, 2, 1, 1, 1, 1, 2, 2, 2, 2], strict=True))
    del parts[RECORDS[0]]
    published.publish_whole(clusters_of(parts))
    assert published.resolved(parted) == most


def test_of_two_heirs_with_as_many_records_the_lower_id_is_led_to() -> None:
    """Whichever record is told of first."""
    published = Published()
    published.publish_whole(painted([0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]))
    parted, heirs = id_of(published, 0, 1, 2), sorted((id_of(published, 3), id_of(published, 8)))
    parts = dict(zip(RECORDS[1:], [1, 2, 1, 1, 1, 1, 1, 2, 2, 2, 2], strict=True))
    passed = published.whole(clusters_of(parts))
    for current in (passed.current, dict(reversed(list(passed.current.items())))):
        assert replace(passed, current=current).identities().redirects[parted] == heirs[0]


def test_changes_name_entities_whose_golden_record_alone_is_other() -> None:
    """The same records with another golden record are a change; the same of both is none."""
    published = Published()
    published.publish_whole(painted([0] * 6 + [1] * 6))
    passed = published.whole(painted([0] * 6 + [1] * 6))
    found = passed.identities()
    before = dict.fromkeys(found.members, b"before")
    after = before | {id_of(published, 0): b"after"}
    (told,) = entity_changes("person", found, passed.current, before, after)
    assert (told.change, told.entity_id, told.before_hash, told.after_hash) == ("changed", id_of(published, 0), b"before", b"after")


def kinds(published: Published, numbers: Sequence[int]) -> Counter[str]:
    """How often a run tells of each kind of change."""
    passed = published.whole(painted(numbers))
    return Counter(each.change for each in feed(passed, published.publish(passed)))


def test_changes_in_one_run_that_meet() -> None:
    """A record that goes over changes two; two merge while one splits; an entity falls into three."""
    published = Published()
    assert kinds(published, [0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3]) == {"created": 4}
    assert kinds(published, [0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 3]) == {"changed": 2}
    assert kinds(published, [0, 0, 5, 1, 1, 1, 1, 1, 1, 3, 3, 3]) == {"changed": 2, "split": 1, "merged": 1}
    assert kinds(published, [0, 0, 5, 1, 1, 1, 6, 6, 7, 3, 3, 3]) == {"changed": 1, "split": 2}


def test_a_split_names_the_entity_that_most_records_come_from() -> None:
    """A new cluster of two records of one entity and one of another is split from the first."""
    published = Published()
    published.publish_whole(painted([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]))
    larger, smaller = id_of(published, 0, 4), id_of(published, 5, 7)
    passed = published.whole(painted([0, 0, 0, 3, 3, 1, 1, 3, 2, 2, 2, 2]))
    told = {each.change: each for each in feed(passed, passed.identities())}
    assert told["split"].other_entity_id == larger != smaller


def test_an_entity_none_of_whose_records_lives_on_is_retired_wherever_its_id_leads() -> None:
    """A caller that knows only what ids were minted for: that record went to another entity before, and no record goes there now."""
    published = Published()
    published.publish_whole(painted([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    published.publish_whole(painted([2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
    left = id_of(published, 1, 2)
    passed = published.whole(clusters_of({RECORDS[0]: 2} | dict.fromkeys(RECORDS[3:], 1)))
    known = {**passed.known, left: replace(passed.known[left], anchor_record_id=published.minted_for[left])}
    found = replace(passed, known=known).identities()
    assert found.redirects[left] == id_of(published, 0)
    assert [(each.change, each.entity_id, each.other_entity_id) for each in feed(passed, found)] == [("retired", left, None)]
