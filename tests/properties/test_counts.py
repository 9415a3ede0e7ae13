"""Counts that a model pins: the same for the same values, whatever else is there, and never the values."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.model.resolution import EntityType
from pay_ready.resolve.engine import knowledge_of, resolve
from pay_ready.resolve.linkage.blocks import BlockRule
from pay_ready.resolve.linkage.columns import Distinct, column_of, hashes_of
from pay_ready.resolve.linkage.counts import Counts, table_of
from pay_ready.resolve.linkage.mapping import map_columns
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.parts import Part, score_part, with_parts
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resolve.staged import staged_kinds
from tests.linkage_support import knowledge, people_table
from tests.publish_support import config

texts = st.lists(st.text(max_size=40), max_size=30)


@given(values=texts, before=texts)
def test_a_hash_is_of_the_text_alone(values: list[str], before: list[str]) -> None:
    """Equal texts have equal hashes, other texts other ones, wherever they stand in an array."""
    hashes = hashes_of(pa.array([*before, *values], pa.string()).slice(len(before)))
    assert hashes.tolist() == [int(hashes_of(pa.array([value], pa.string()))[0]) for value in values]
    assert len(set(hashes.tolist())) == len(set(values))


def test_hashes_stay_as_they_are() -> None:
    """Stored models hold them: another hash would make every stored count another value's."""
    found = hashes_of(pa.array(["", "a", "lindqvist", "Ærøskøbing 12345678", None], pa.string()))
    assert found.tolist() == [
        16_294_208_416_658_607_535,
        6_774_081_908_283_191_102,
        14_576_782_195_192_114_736,
        15_247_943_229_793_581_155,
        16_294_208_416_658_607_535,
    ]


@given(values=st.lists(st.sampled_from("abcdefgh"), max_size=40), asked=st.lists(st.sampled_from("abcdefghxyz"), max_size=12, unique=True))
def test_a_table_gives_back_what_was_counted(values: list[str], asked: list[str]) -> None:
    """Of every value its count; of a value that was not there, the usual one."""
    counted = Counter(values)
    names = sorted(counted)
    table = table_of(
        Distinct(pa.array(names, pa.string())), np.array([counted[each] for each in names], dtype=np.int64), usual=1, total=len(values)
    )
    assert table.counts_of(Distinct(pa.array(asked, pa.string()))).tolist() == [counted.get(each, 1) for each in asked]
    assert len(table.keys) == sum(count != 1 for count in counted.values())


@given(values=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), some=st.integers(1, 40))
def test_pinned_shares_do_not_move(values: list[str], some: int) -> None:
    """A part of the records has the shares of the whole, when these are pinned."""
    counts = Counts()
    whole = column_of(pa.array(values, pa.string()))
    shares = dict(zip(whole.values.to_pylist(), counts.shares("value.x", whole, 0.01).tolist(), strict=True))
    part = column_of(pa.array(values[:some], pa.string()))
    pinned = Counts(counts.tables())
    assert dict(zip(part.values.to_pylist(), pinned.shares("value.x", part, 0.01).tolist(), strict=True)) == {
        value: shares[value] for value in part.values.to_pylist()
    }


@pytest.mark.parametrize("entity_type", ["person", "company"])
def test_a_record_has_the_same_keys_whoever_else_is_there(entity_type: EntityType) -> None:
    """Under a model's counts, the blocking keys of some records among themselves are those that they have among all."""
    table = people_table(150, seed=3).drop_columns(["true_id"])
    if entity_type == "company":
        table = table.select(["company", "phone", "city"]).rename_columns(["name", "phone", "city"])
    kinds = map_columns(table, entity_type, {})
    counts = Counts()
    whole, _ = records_of(table, kinds, entity_type, knowledge(), counts)
    some = np.arange(0, table.num_rows, 7)
    part, _ = records_of(table.take(pa.array(some)), kinds, entity_type, knowledge(), Counts(counts.tables()))
    assert [rule.name for rule in part.rules()] == [rule.name for rule in whole.rules()]
    for rule, wider in zip(part.rules(), whole.rules(), strict=True):
        assert keys_of(rule, range(len(some))) == keys_of(wider, some.tolist()), rule.name


def keys_of(rule: BlockRule, rows: Sequence[int]) -> list[set[int]]:
    """The keys of each of some rows."""
    held = np.arange(len(rule.keys)) if rule.rows is None else rule.rows
    return [set(rule.keys[held == row].tolist()) - {-1} for row in rows]


@pytest.mark.parametrize("parts", [1, 2, 7])
@pytest.mark.parametrize("entity_type", ["person", "company"])
def test_the_edges_of_all_parts_are_those_of_one_run(entity_type: EntityType, parts: int) -> None:
    """However the keys are divided, the same pairs come out with the same evidence, and so do the clusters."""
    people = people_table(150, seed=4)
    ids = pa.array([number.to_bytes(16, "big") for number in range(people.num_rows)], pa.binary(16))
    names = {"person": {"full_name": "full_name", "email": "email", "phone": "phone", "city": "city", "company_name": "company"},
             "company": {"name": "company", "phone": "phone", "city": "city"}}[entity_type]  # fmt: skip
    columns = {each.column: pa.nulls(people.num_rows, pa.string()) for each in staged_kinds(entity_type)}
    staged = pa.table({"record_id": ids, **columns, **{name: people.column(column) for name, column in names.items()}})
    settings = config()
    knowledge_used = knowledge_of(settings)
    scored: list[int] = []

    def in_parts(table: pa.Table, model: ResolutionModel, review: int) -> pa.Table:
        numbered = with_parts(table, knowledge_used, model, parts)
        found = []
        for number in range(parts):
            rows = numbered.filter(pc.equal(numbered.column("part"), number)).drop_columns(["part"])
            scored.append(rows.num_rows)
            part = Part(number=number, of=parts)
            found.append(score_part(rows, knowledge_used, model, part, model.threshold_millibits - review))
        return pa.concat_tables(found)

    model = resolve(entity_type, staged, settings).model
    whole = resolve(entity_type, staged, settings, model=model)
    divided = resolve(entity_type, staged, settings, model=model, scorer=in_parts)
    assert divided.edges.equals(whole.edges)
    assert whole.edges.num_rows > 20
    assert divided.clusters == whole.clusters
    assert len(scored) == parts
    assert parts < 3 or max(scored) < staged.num_rows
