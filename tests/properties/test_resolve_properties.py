"""What holds of resolution for any records: order does not matter, ids last, decisions are honoured."""

import os
import random
from collections.abc import Sequence
from uuid import UUID

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import PairDecision
from pay_ready.resolve.changes import assignment_line, moved_digest
from pay_ready.resolve.engine import resolve
from tests.publish_support import config

DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
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


@settings(max_examples=150 if DEEP else 50, deadline=None)
@given(rows=people, order=st.randoms(use_true_random=False))
def test_shuffled_records_resolve_to_the_same(rows: list[dict[str, str | None]], order: random.Random) -> None:
    """Clusters, confidences and edges are the same for every order of the input rows."""
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    positions = order.sample(range(len(rows)), len(rows))
    straight = resolve("person", people_table(rows, ids), CONFIG)
    shuffled = resolve("person", people_table([rows[each] for each in positions], [ids[each] for each in positions]), CONFIG)
    assert straight.clusters == shuffled.clusters
    assert straight.confidences.tolist() == shuffled.confidences.tolist()
    assert straight.edges.equals(shuffled.edges)


@settings(max_examples=100 if DEEP else 30, deadline=None)
@given(rows=people.filter(lambda rows: len(rows) > 1), verdict=st.sampled_from(["match", "no_match"]))
def test_one_decision_always_holds(rows: list[dict[str, str | None]], verdict: str) -> None:
    """Two records that somebody joined or parted are so in the result, whatever the evidence says."""
    ids = sorted(stable_id("row", str(number)) for number in range(len(rows)))
    decision = PairDecision(left_id=ids[0], right_id=ids[1], verdict=verdict)  # type: ignore[arg-type]
    found = resolve("person", people_table(rows, ids), CONFIG, [decision])
    assert (found.labels[0] == found.labels[1]) == (verdict == "match")


@given(rows=people)
@settings(max_examples=100 if DEEP else 30, deadline=None)
def test_common_names_alone_never_link(rows: list[dict[str, str | None]]) -> None:
    """Records with nothing but a first and a last name stay alone in a small tenant, where nobody knows how rare a name is."""
    bare: list[dict[str, str | None]] = [{"full_name": (row["full_name"] or "").replace("García López", "Lopez")} for row in rows]
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    assert all(len(each) == 1 for each in resolve("person", people_table(bare, ids), CONFIG).clusters)


@settings(max_examples=60 if DEEP else 20, deadline=None)
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


@given(colours=partitions, order=st.randoms(use_true_random=False))
def test_digest_ignores_the_order_of_rows(colours: list[int], order: random.Random) -> None:
    """A state has one digest, however it was read; another state has another."""
    entity_of = {record: found[0] for found in clusters_of(colours) for record in found}
    rows = [(("person", record), (entity, 0.5)) for record, entity in entity_of.items()]
    lines = [assignment_line(*key, *row) for key, row in rows]  # type: ignore[misc]
    digest = moved_digest(bytes(32), (), lines)
    assert digest == moved_digest(bytes(32), (), order.sample(lines, len(lines))) != bytes(32)
    assert moved_digest(digest, lines, ()) == bytes(32)
