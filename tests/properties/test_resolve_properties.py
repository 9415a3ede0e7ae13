"""What holds of resolution for any records: order does not matter, ids last, decisions are honoured."""

import random
from collections.abc import Sequence
from uuid import UUID

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.model.ids import TenantId, stable_id
from pay_ready.model.resolution import PairDecision
from pay_ready.resolve.changes import StateRows, state_digest
from pay_ready.resolve.clusters import Clustering, cluster
from pay_ready.resolve.engine import resolve_people
from pay_ready.resolve.name_comparison import NameComparison, person_name
from pay_ready.resolve.weights import match_probability
from tests.publish_support import config

CONFIG = config()
TENANT = TenantId(stable_id("tenant", "properties"))
RECORDS = [stable_id("record", str(number)) for number in range(12)]
RECORDS.sort()

links = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 5)).filter(lambda link: link[0] < link[1]),
    unique_by=lambda link: link[:2],
    max_size=25,
)
pairs = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]), max_size=5, unique=True)
partitions = st.lists(st.integers(0, 5), min_size=12, max_size=12)


def clustered(
    given_links: Sequence[tuple[int, int, int]], must: Sequence[tuple[int, int]], cannot: Sequence[tuple[int, int]]
) -> Clustering:
    left, right, weights = (np.array([link[column] for link in given_links], dtype=np.int64) for column in range(3))
    return cluster(12, left, right, weights, must_link=sorted(must), cannot_link=sorted(cannot))


@given(given_links=links, must=pairs, cannot=pairs, order=st.randoms(use_true_random=False))
def test_clusters_ignore_the_order_of_links(
    given_links: list[tuple[int, int, int]], must: list[tuple[int, int]], cannot: list[tuple[int, int]], order: random.Random
) -> None:
    """Clusters depend on which records are linked, how strongly, and what was decided; not on when the links arrive."""
    shuffled = order.sample(given_links, len(given_links))
    assert clustered(given_links, must, cannot).labels.tolist() == clustered(shuffled, must, cannot).labels.tolist()


@given(given_links=links)
def test_clusters_are_the_components(given_links: list[tuple[int, int, int]]) -> None:
    """Without decisions, clusters are the connected components, by an oracle that paints over and over."""
    colours = list(range(12))
    for _ in range(12):
        for left, right, _weight in given_links:
            colours[left] = colours[right] = min(colours[left], colours[right])
    assert clustered(given_links, [], []).labels.tolist() == colours


@given(given_links=links, must=pairs, cannot=pairs)
def test_decisions_are_honoured(
    given_links: list[tuple[int, int, int]], must: list[tuple[int, int]], cannot: list[tuple[int, int]]
) -> None:
    """Every must-link joins; every cannot-link that the must-links leave possible parts, and the others are counted."""
    clustering = clustered(given_links, must, cannot)
    labels = clustering.labels
    decided = clustered([(left, right, 0) for left, right in must if left != right], [], []).labels
    assert all(labels[left] == labels[right] for left, right in must)
    possible = [pair for pair in cannot if decided[pair[0]] != decided[pair[1]]]
    assert all(labels[left] != labels[right] for left, right in possible)
    assert clustering.ignored_decisions == len(cannot) - len(possible)


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


@settings(max_examples=150, deadline=None)
@given(rows=people, order=st.randoms(use_true_random=False))
def test_shuffled_records_resolve_to_the_same(rows: list[dict[str, str | None]], order: random.Random) -> None:
    """Clusters, confidences and edges are the same for every order of the input rows."""
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    positions = order.sample(range(len(rows)), len(rows))
    straight = resolve_people(people_table(rows, ids), CONFIG)
    shuffled = resolve_people(people_table([rows[each] for each in positions], [ids[each] for each in positions]), CONFIG)
    assert straight.clusters() == shuffled.clusters()
    assert straight.confidences.tolist() == shuffled.confidences.tolist()
    assert straight.edges.equals(shuffled.edges)


@settings(max_examples=100, deadline=None)
@given(rows=people.filter(lambda rows: len(rows) > 1), verdict=st.sampled_from(["match", "no_match"]))
def test_one_decision_always_holds(rows: list[dict[str, str | None]], verdict: str) -> None:
    """Two records that somebody joined or parted are so in the result, whatever the evidence says."""
    ids = sorted(stable_id("row", str(number)) for number in range(len(rows)))
    decision = PairDecision(left_id=ids[0], right_id=ids[1], verdict=verdict)  # type: ignore[arg-type]
    found = resolve_people(people_table(rows, ids), CONFIG, [decision])
    assert (found.labels[0] == found.labels[1]) == (verdict == "match")


@given(rows=people)
@settings(max_examples=100, deadline=None)
def test_names_alone_never_link(rows: list[dict[str, str | None]]) -> None:
    """Records with nothing but a name stay alone."""
    bare: list[dict[str, str | None]] = [{"full_name": row["full_name"]} for row in rows]
    ids = [stable_id("row", str(number)) for number in range(len(rows))]
    assert all(len(each) == 1 for each in resolve_people(people_table(bare, ids), CONFIG).clusters())


any_name = st.text(alphabet="abcdeéøß ,.-'JNSmith", max_size=20)


@given(left=any_name, right=any_name)
def test_name_similarity_is_symmetric_and_bounded(left: str, right: str) -> None:
    """0 to 100, the same both ways, the level too; a whole name equals itself."""
    names = NameComparison(CONFIG.nicknames, 85)
    one, other = person_name(left, None, None), person_name(right, None, None)
    if one is None or other is None:
        return
    assert 0 <= names.similarity(one, other) <= 100
    assert names.similarity(one, other) == names.similarity(other, one)
    assert names.level(one, other) == names.level(other, one)


@given(low=st.integers(-90_000, 90_000), high=st.integers(-90_000, 90_000))
def test_match_probability_rises_with_evidence(low: int, high: int) -> None:
    """In [0, 1], monotonic, one half at no evidence, and p(-w) = 1 - p(w)."""
    assert match_probability(0) == 0.5
    assert 0 <= match_probability(low) <= 1
    assert abs(match_probability(-low) - (1 - match_probability(low))) < 1e-9
    assert (match_probability(low) <= match_probability(high)) or low > high


@given(colours=partitions, order=st.randoms(use_true_random=False))
def test_digest_ignores_the_order_of_rows(colours: list[int], order: random.Random) -> None:
    """A state has one digest, however it was read; another state has another."""
    entity_of = {record: found[0] for found in clusters_of(colours) for record in found}
    rows = [(("person", record), (entity, 0.5)) for record, entity in entity_of.items()]
    state = StateRows(assignments=dict(rows), versions={}, redirects={})  # type: ignore[arg-type]
    shuffled = StateRows(assignments=dict(order.sample(rows, len(rows))), versions={}, redirects={})  # type: ignore[arg-type]
    assert state_digest(state) == state_digest(shuffled)
    assert state_digest(state) != state_digest(StateRows(assignments={}, versions={}, redirects={}))
