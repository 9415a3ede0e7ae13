"""What holds of resolution for any records: order does not matter, ids last, decisions are honoured."""

import random
from collections.abc import Sequence
from uuid import UUID

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import KnownEntity, PairDecision
from pay_ready.resolve.changes import StateRows, entity_changes, state_digest
from pay_ready.resolve.engine import resolve
from pay_ready.resolve.golden import EntityVersion, entity_version
from pay_ready.resolve.ids import Identities, entity_id_of, identify
from pay_ready.resolve.survivorship import SourceRecord
from tests.publish_support import config

CONFIG = config()
TENANT = TenantId(stable_id("tenant", "properties"))
RECORDS = [stable_id("record", str(number)) for number in range(12)]
RECORDS.sort()

partitions = st.lists(st.integers(0, 5), min_size=12, max_size=12)


def clusters_of(colours: Sequence[int]) -> list[list[UUID]]:
    """A partition of the records by colour."""
    found: dict[int, list[UUID]] = {}
    for record, colour in zip(RECORDS, colours, strict=True):
        found.setdefault(colour, []).append(record)
    return list(found.values())


class Register:
    """Publishes partitions one after another, as the database would keep them."""

    def __init__(self) -> None:
        self.known: dict[UUID, KnownEntity] = {}
        self.current: dict[UUID, UUID] = {}
        self.redirects: dict[UUID, UUID | None] = {}
        self.run_no = 0

    def publish(self, clusters: Sequence[Sequence[UUID]]) -> Identities:
        """The next version."""
        self.run_no += 1
        found = identify(TENANT, "person", clusters, self.current, self.known, self.redirects)
        for entity, anchor in found.minted.items():
            assert entity not in self.known
            self.known[entity] = KnownEntity(entity_id=entity, anchor_record_id=anchor, minted_run_no=self.run_no)
        for entity, each in list(self.known.items()):
            live = entity in found.members
            retired = None if live else (each.retired_run_no or self.run_no)
            self.known[entity] = KnownEntity(
                entity_id=entity, anchor_record_id=each.anchor_record_id, minted_run_no=each.minted_run_no, retired_run_no=retired
            )
        self.current, self.redirects = dict(found.entity_of), dict(found.redirects)
        return found


@given(fine=partitions, painting=st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_merge_then_unmerge_is_the_identity(fine: list[int], painting: list[int]) -> None:
    """Clusters that are merged in any way and parted again have the ids they had before."""
    register = Register()
    before = dict(register.publish(clusters_of(fine)).entity_of)
    register.publish(clusters_of([painting[colour] for colour in fine]))
    assert dict(register.publish(clusters_of(fine)).entity_of) == before


@given(
    fine=partitions,
    first=st.lists(st.integers(0, 3), min_size=6, max_size=6),
    second=st.lists(st.integers(0, 1), min_size=4, max_size=4),
)
def test_nested_merges_come_apart_layer_by_layer(fine: list[int], first: list[int], second: list[int]) -> None:
    """Merged twice and parted once, the clusters have the ids of the layer between: of several former ids the last one."""
    register = Register()
    middle = [first[colour] for colour in fine]
    register.publish(clusters_of(fine))
    before = dict(register.publish(clusters_of(middle)).entity_of)
    register.publish(clusters_of([second[colour] for colour in middle]))
    assert dict(register.publish(clusters_of(middle)).entity_of) == before


def test_a_part_without_an_anchor_of_its_own_has_one_id_for_ever() -> None:
    """When the larger part keeps the id but not its anchor record, the other part gets an id that it finds again next time."""
    register = Register()
    whole, parted = clusters_of([0, 0, 0, *range(1, 10)]), clusters_of([10, 0, 0, *range(1, 10)])
    kept = register.publish(whole).entity_of[RECORDS[1]]
    alone = register.publish(parted).entity_of[RECORDS[0]]
    register.publish(whole)
    again = register.publish(parted)
    assert (again.entity_of[RECORDS[0]], again.entity_of[RECORDS[1]]) == (alone, kept)
    assert not again.minted


@settings(max_examples=200)
@given(histories=st.lists(partitions, min_size=1, max_size=6), gone=st.lists(st.integers(0, 11), max_size=6))
def test_every_id_resolves_for_ever(histories: list[list[int]], gone: list[int]) -> None:
    """Through any history a cluster has one id, and an id once given is live or leads to a live one: to its anchor's, if that is there."""
    register = Register()
    for step, colours in enumerate(histories):
        clusters = clusters_of(colours)
        if step == len(histories) - 1:
            clusters = [left for each in clusters if (left := [record for record in each if RECORDS.index(record) not in gone])]
        found = register.publish(clusters)
        assert len(found.members) == len(clusters)
        assert sorted(map(list, found.members.values())) == sorted(clusters)
        assert found.redirects.keys() == register.known.keys() - found.members.keys()
        for entity, target in found.redirects.items():
            assert target is None or target in found.members
            anchor = register.known[entity].anchor_record_id
            assert anchor not in found.entity_of or target == found.entity_of[anchor]


@given(colours=partitions)
def test_publishing_the_same_again_changes_nothing(colours: list[int]) -> None:
    """The same clusters get the same ids, mint nothing and report no change."""
    register = Register()
    register.publish(clusters_of(colours))
    before = dict(register.current)
    found = register.publish(clusters_of(colours))
    hashes = dict.fromkeys(found.members, b"same")
    assert dict(found.entity_of) == before
    assert not found.minted
    assert entity_changes("person", found, before, hashes, hashes) == []


@given(before=partitions, after=partitions)
def test_changes_tell_the_whole_story(before: list[int], after: list[int]) -> None:
    """Who appears, vanishes or has other members is in the feed once, and nobody else."""
    register = Register()
    first = register.publish(clusters_of(before))
    old = {entity: frozenset(members) for entity, members in first.members.items()}
    current = dict(register.current)
    found = register.publish(clusters_of(after))
    new = {entity: frozenset(members) for entity, members in found.members.items()}
    told = entity_changes("person", found, current, dict.fromkeys(old, b"h"), dict.fromkeys(new, b"h"))
    assert {each.entity_id for each in told} == {each for each in old.keys() | new.keys() if old.get(each) != new.get(each)}
    assert len({each.entity_id for each in told}) == len(told)
    assert {each.entity_id for each in told if each.change == "merged"} == old.keys() - new.keys()
    assert {each.entity_id for each in told if each.change == "split"} == new.keys() - old.keys()


GIVEN = st.sampled_from(["Ann", "Annie", "A.", "Bob", "Robert", "Joan", "John", "Søren", "J"])
FAMILY = st.sampled_from(["Lee", "Leigh", "Ray", "García López", "Lopez", "O'Neil"])
people = st.lists(
    st.fixed_dictionaries({
        "full_name": st.none() | st.builds("{} {}".format, GIVEN, FAMILY) | st.builds("{1}, {0}".format, GIVEN, FAMILY) | GIVEN,
        "email": st.none() | st.sampled_from(["ann@globex.com", "bob@globex.com", "info@globex.com", "ann@gmail.com", "lee@hooli.com"]),
        "phone": st.none() | st.sampled_from(["+12065550100", "+12065550101"]),
        "city": st.none() | st.sampled_from(["Berlin", "Oslo"]),
        "company_domain": st.none() | st.sampled_from(["globex.com", "hooli.com"]),
        "company_name": st.none() | st.sampled_from(["Globex Inc.", "Hooli", "GLOBEX"]),
    }),
    max_size=14,
)  # fmt: skip


def people_table(rows: Sequence[dict[str, str | None]], ids: Sequence[UUID]) -> pa.Table:
    """Staged people as Arrow."""
    columns: dict[str, pa.Array] = {"record_id": pa.array([each.bytes for each in ids], pa.binary(16))}
    for name in ("full_name", "first_name", "last_name", "email", "phone", "title", "city", "company_name", "company_domain"):
        columns[name] = pa.array([row.get(name) for row in rows], pa.string())
    return pa.table(columns)


@settings(max_examples=150, deadline=None)
@given(rows=people, order=st.randoms(use_true_random=False))
def test_shuffled_records_resolve_to_the_same(rows: list[dict[str, str | None]], order: random.Random) -> None:
    """Clusters, confidences and edges are the same for every order of the input rows."""
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    positions = order.sample(range(len(rows)), len(rows))
    straight = resolve("person", people_table(rows, ids), CONFIG)
    shuffled = resolve("person", people_table([rows[each] for each in positions], [ids[each] for each in positions]), CONFIG)
    assert straight.clusters() == shuffled.clusters()
    assert straight.confidences.tolist() == shuffled.confidences.tolist()
    assert straight.edges.equals(shuffled.edges)


@settings(max_examples=100, deadline=None)
@given(rows=people.filter(lambda rows: len(rows) > 1), verdict=st.sampled_from(["match", "no_match"]))
def test_one_decision_always_holds(rows: list[dict[str, str | None]], verdict: str) -> None:
    """Two records that somebody joined or parted are so in the result, whatever the evidence says."""
    ids = sorted(stable_id("row", str(number)) for number in range(len(rows)))
    decision = PairDecision(left_id=ids[0], right_id=ids[1], verdict=verdict)  # type: ignore[arg-type]
    found = resolve("person", people_table(rows, ids), CONFIG, [decision])
    assert (found.labels[0] == found.labels[1]) == (verdict == "match")


@given(rows=people)
@settings(max_examples=100, deadline=None)
def test_common_names_alone_never_link(rows: list[dict[str, str | None]]) -> None:
    """Records with nothing but a first and a last name stay alone in a small tenant, where nobody knows how rare a name is."""
    bare: list[dict[str, str | None]] = [{"full_name": (row["full_name"] or "").replace("García López", "Lopez")} for row in rows]
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    assert all(len(each) == 1 for each in resolve("person", people_table(bare, ids), CONFIG).clusters())


@settings(max_examples=60, deadline=None)
@given(rows=people, more=people)
def test_a_model_says_the_same_of_two_records_whoever_else_is_there(
    rows: list[dict[str, str | None]], more: list[dict[str, str | None]]
) -> None:
    """Under one model an edge between two records is the same, to the millibit, with and without other records beside them."""
    ids = sorted(stable_id("row", str(number)) for number in range(len(rows) + len(more)))
    model = resolve("person", people_table(rows, ids[: len(rows)]), CONFIG).model
    few = resolve("person", people_table(rows, ids[: len(rows)]), CONFIG, model=model)
    many = resolve("person", people_table([*rows, *more], ids), CONFIG, model=model)
    alone, beside = (
        {(edge["left_id"], edge["right_id"]): edge["match_weight_millibits"] for edge in each.edges.to_pylist()} for each in (few, many)
    )
    known = {each.bytes for each in ids[: len(rows)]}
    # A block that others make too large says nothing of a pair any more, and never something else.
    kept = {pair: weight for pair, weight in beside.items() if known.issuperset(pair)}
    assert kept == {pair: alone[pair] for pair in kept}


values = st.dictionaries(st.sampled_from(["name", "email", "title"]), st.sampled_from(["a", "b", "Ann Lee", "x@y.com"]), max_size=3)
sources = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 3), values), min_size=1, max_size=6)


@given(rows=sources, order=st.randoms(use_true_random=False))
def test_golden_record_ignores_the_order_of_records(rows: list[tuple[int, int | None, dict[str, str]]], order: random.Random) -> None:
    """The same records give the same golden record and hash in any order; each value comes from a record that holds it."""
    records = [
        SourceRecord(record_id=RECORDS[number], source_rank=rank, updated_us=updated, values=held)
        for number, (rank, updated, held) in enumerate(rows)
    ]
    shuffled = order.sample(records, len(records))
    version: EntityVersion = entity_version(entity_id_of(TENANT, "person", RECORDS[0]), "person", records, CONFIG)
    assert entity_version(version.entity_id, "person", shuffled, CONFIG) == version
    by_id = {each.record_id: each for each in records}
    for field, origin in version.provenance.fields.items():
        assert by_id[origin].values[field] == version.value(field)


@given(colours=partitions, order=st.randoms(use_true_random=False))
def test_digest_ignores_the_order_of_rows(colours: list[int], order: random.Random) -> None:
    """A state has one digest, however it was read; another state has another."""
    entity_of = dict(Register().publish(clusters_of(colours)).entity_of)
    rows = [(("person", record), (entity, 0.5)) for record, entity in entity_of.items()]
    state = StateRows(assignments=dict(rows), versions={}, redirects={})  # type: ignore[arg-type]
    shuffled = StateRows(assignments=dict(order.sample(rows, len(rows))), versions={}, redirects={})  # type: ignore[arg-type]
    assert state_digest(state) == state_digest(shuffled)
    assert state_digest(state) != state_digest(StateRows(assignments={}, versions={}, redirects={}))
