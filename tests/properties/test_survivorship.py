"""What holds of golden records for any records: each rule picks what it says, provenance is true, order does not matter."""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.model.ids import stable_id
from pay_ready.model.resolution import Criterion
from pay_ready.resolve.golden import company_sources, entity_version, person_sources
from pay_ready.resolve.survivorship import SourceRecord, Survivor, survivors
from tests.publish_support import config
from tests.resolution_support import table

CONFIG = config()
RECORDS = sorted(stable_id("record", str(number)) for number in range(40))
ENTITY = stable_id("entity", "one")
FIELDS = ("name", "email", "title")
VALUES = ("", "a", "b", "cc", "Ann Lee", "ann@x.com", "info@x.com")
CRITERIA: tuple[Criterion, ...] = ("valid", "source_order", "recent", "frequent", "longest")

EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1900, 2100))  # hypothesis wants them without a zone

held = st.fixed_dictionaries({}, optional={field: st.sampled_from(VALUES) for field in FIELDS})
rows = st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(-2, 2), held), min_size=1, max_size=7)
criteria = st.lists(st.sampled_from(CRITERIA), unique=True).map(tuple)
Rows = Sequence[tuple[int, int | None, Mapping[str, str]]]


def records_of(given_rows: Rows) -> list[SourceRecord]:
    """Records with ascending ids."""
    return [
        SourceRecord(record_id=record, source_rank=rank, updated_us=updated, values=values)
        for record, (rank, updated, values) in zip(RECORDS, given_rows, strict=False)
    ]


def has_an_a(field: str, value: str) -> bool:
    """A rule of validity for tests, other for each field."""
    return field[0] in value


def updated(record: SourceRecord) -> float:
    """When it changed; long ago when nobody says so."""
    return float("-inf") if record.updated_us is None else record.updated_us


# How good a value is, by its holders: the more, the better.
MERITS: Mapping[Criterion, Callable[[str, str, Sequence[SourceRecord]], float]] = {
    "valid": lambda field, value, _: has_an_a(field, value),
    "source_order": lambda _field, _value, holders: -min(each.source_rank for each in holders),
    "recent": lambda _field, _value, holders: max(map(updated, holders)),
    "frequent": lambda _field, _value, holders: len(holders),
    "longest": lambda _field, value, _: len(value),
}


def by_the_book(records: Sequence[SourceRecord], field: str, order: Sequence[Criterion]) -> Survivor | None:
    """The surviving value of a field by the rules as they are written, one after another over all values."""
    holders = {
        value: [each for each in records if each.values.get(field) == value] for each in records if (value := each.values.get(field))
    }
    if not holders:
        return None
    best = min(holders, key=lambda value: (*(-MERITS[each](field, value, holders[value]) for each in order), value))
    origin = min(holders[best], key=lambda each: (each.source_rank, -updated(each), each.record_id))
    shown = sorted(holders, key=lambda value: (-len(holders[value]), value))
    return Survivor(best, tuple(shown), origin.record_id)


@given(given_rows=rows, order=criteria)
def test_survivors_are_those_of_the_written_rules(given_rows: Rows, order: tuple[Criterion, ...]) -> None:
    """For any records and any list of criteria, also none, each field has the value, the list and the origin that the rules name."""
    records = records_of(given_rows)
    expected = {field: found for field in FIELDS if (found := by_the_book(records, field, order)) is not None}
    assert survivors(records, dict.fromkeys(FIELDS, order), has_an_a) == expected


@pytest.mark.parametrize("criterion", CRITERIA)
@given(given_rows=rows)
def test_each_rule_alone_lets_nothing_better_fall(criterion: Criterion, given_rows: Rows) -> None:
    """No value has more merit by the rule than the one that survives, and of equals the one that sorts first survives."""
    records = records_of(given_rows)
    for field, found in survivors(records, dict.fromkeys(FIELDS, (criterion,)), has_an_a).items():
        merits = {
            value: MERITS[criterion](field, value, [each for each in records if each.values.get(field) == value]) for value in found.values
        }
        assert found.value == min(value for value, merit in merits.items() if merit == max(merits.values()))


@given(given_rows=rows, order=st.randoms(use_true_random=False))
def test_records_in_any_order_give_one_golden_record(given_rows: Rows, order: random.Random) -> None:
    """Values, lists, origins and hash do not depend on the order of records; what is stored says the same."""
    records = records_of(given_rows)
    version = entity_version(ENTITY, "person", records, CONFIG)
    assert entity_version(ENTITY, "person", order.sample(records, len(records)), CONFIG) == version
    assert {field: each.value for field, each in version.golden.fields.items()} == {
        field: each.value for field, each in version.survivors.items()
    }
    assert version.provenance.fields == {field: each.record_id for field, each in version.survivors.items()}
    assert {field: tuple(each.values) for field, each in version.golden.fields.items()} == {
        field: each.values for field, each in version.survivors.items()
    }


@given(given_rows=rows)
def test_every_value_comes_from_a_record_that_holds_it(given_rows: Rows) -> None:
    """The named record is of the entity and holds the value; every listed value is somebody's, and no value is left out."""
    records = {each.record_id: each for each in records_of(given_rows)}
    version = entity_version(ENTITY, "person", list(records.values()), CONFIG)
    for field in FIELDS:
        values = {value for each in records.values() if (value := each.values.get(field))}
        assert (field in version.survivors) == bool(values)
        if values:
            found = version.survivors[field]
            assert records[found.record_id].values[field] == found.value
            assert set(found.values) == values


@given(distinct=st.integers(1, 30), again=st.lists(st.integers(0, 29), max_size=10), newest=st.integers(0, 29))
def test_the_list_of_values_is_capped_and_has_the_survivor(distinct: int, again: list[int], newest: int) -> None:
    """At most twenty values, the most frequent first; the one that survives is listed however rare it is."""
    numbers = [*range(distinct), *(number % distinct for number in again)]
    records = records_of([(0, int(place == newest), {"title": f"T{number:02}"}) for place, number in enumerate(numbers)])
    found = survivors(records, {"title": ("recent",)}, has_an_a)["title"]
    counts = Counter(f"T{number:02}" for number in numbers)
    by_frequency = sorted(counts, key=lambda value: (-counts[value], value))
    assert len(found.values) == min(20, len(counts))
    assert found.value in found.values
    assert [value for value in found.values if value != found.value] == [
        value for value in by_frequency if value != found.value and value in found.values
    ]
    assert set(found.values) ^ set(by_frequency[:20]) <= {found.value, by_frequency[:20][-1]}


roles = st.sampled_from(["info@x.com", "Info@X.com", "sales@y.org", "support@x.com"])
personal = st.sampled_from(["ann@x.com", "ann.lee@y.org"])
addresses = st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9), st.fixed_dictionaries({"email": roles}))


@given(functions=st.lists(addresses, max_size=5), who=personal, rank=st.integers(0, 3), place=st.integers(0, 5))
def test_a_role_address_never_survives_beside_a_personal_one(
    functions: list[tuple[int, int | None, dict[str, str]]], who: str, rank: int, place: int
) -> None:
    """However new, frequent and trusted the function's address is; alone it does survive."""
    version = entity_version(ENTITY, "person", records_of([*functions[:place], (rank, None, {"email": who}), *functions[place:]]), CONFIG)
    assert version.value("email") == who
    if functions:
        assert entity_version(ENTITY, "person", records_of(functions), CONFIG).value("email") in {each["email"] for _, _, each in functions}


@pytest.mark.parametrize(("well_formed", "other"), [
    ("Ann Lee", "ANN LEE"), ("Ann Lee", "ann lee"), ("Ann Lee", "A. Lee"), ("王 伟", "wang wei"),
])  # fmt: skip
def test_a_name_written_out_survives_an_initial_or_shouting(well_formed: str, other: str) -> None:
    """However often it is shouted; in a script without case one letter is a name."""
    records = records_of([(0, 9, {"name": other})] * 3 + [(2, 1, {"name": well_formed})])
    assert entity_version(ENTITY, "person", records, CONFIG).value("name") == well_formed


@pytest.mark.parametrize(("trusted", "other", "survivor"), [
    ("IBM", "Ibm", "IBM"), ("X Corp", "X. Corp", "X Corp"), ("3M", "3m", "3M"), ("GLOBEX TRADING", "Globex Trading", "Globex Trading"),
])  # fmt: skip
def test_an_acronym_is_no_shouting(trusted: str, other: str, survivor: str) -> None:
    """A company may be called by an acronym or a letter: the trusted source decides; two words in capitals are shouting."""
    records = records_of([(0, None, {"name": trusted}), (1, None, {"name": other}), (1, None, {"name": other})])
    assert entity_version(ENTITY, "company", records, CONFIG).value("name") == survivor


TEXTS = ("full_name", "first_name", "last_name", "email", "phone", "title", "city", "country", "name", "domain", "industry")


def staged(*staged_rows: Mapping[str, str | None], sources: Sequence[tuple[str, str]] = (), moments: Sequence[datetime] = ()) -> pa.Table:
    """Staged rows with the source (name, kind) and time of change of each."""
    found = table(staged_rows, TEXTS)
    found = found.append_column("company_record_id", pa.nulls(len(staged_rows), pa.binary(16)))
    named = [*sources, *[("", "")] * len(staged_rows)][: len(staged_rows)]
    times: list[datetime | None] = [*moments, *[None] * len(staged_rows)][: len(staged_rows)]
    for column, values in (("source_name", [name for name, _ in named]), ("source_kind", [kind for _, kind in named])):
        found = found.append_column(column, pa.array(values, pa.string()))
    return found.append_column("source_updated_at", pa.array(times, pa.timestamp("us", "UTC")))


@given(blank=st.text(alphabet=" \t\n\u00a0\u3000", max_size=3), around=st.text(alphabet=" \t\n\u00a0\u3000", max_size=3))
def test_blanks_are_no_values(blank: str, around: str) -> None:
    """A field of white space is absent, white space around a value is none of it, and a name is joined of what is there."""
    (person,) = person_sources(
        staged({"full_name": blank, "first_name": f"{around}Ann{blank}", "last_name": blank, "city": blank}), CONFIG, {}
    ).values()
    assert person.values == {"name": "Ann", "first_name": "Ann"}
    (company,) = company_sources(staged({"name": f"{around}Globex{blank}", "domain": blank}), CONFIG).values()
    assert company.values == {"name": "Globex"}


@given(
    given_sources=st.lists(
        st.tuples(st.sampled_from([*CONFIG.source_order, "ours"]), st.sampled_from([*CONFIG.source_order, "other"])), min_size=1
    )
)
def test_a_source_is_trusted_by_its_name_else_by_its_kind(given_sources: list[tuple[str, str]]) -> None:
    """The place of the name in the list, else that of the kind, else after all that are listed."""
    order = list(CONFIG.source_order)
    expected = [order.index(name) if name in order else order.index(kind) if kind in order else len(order) for name, kind in given_sources]
    found = company_sources(staged(*[{"name": "Globex"}] * len(given_sources), sources=given_sources), CONFIG)
    assert [each.source_rank for each in found.values()] == expected


@given(older=st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)), later=st.timedeltas(timedelta(microseconds=1), timedelta(days=9)))
def test_times_are_compared_to_the_microsecond(older: datetime, later: timedelta) -> None:
    """Before 1970 too: of two titles the one that changed later survives, and one without a time before neither."""
    moments = [older, older + later]
    found = person_sources(staged({"title": "A"}, {"title": "B"}, {"title": "C"}, moments=moments), CONFIG, {})
    assert entity_version(ENTITY, "person", list(found.values()), CONFIG).value("title") == "B"


def test_a_golden_record_has_the_hash_that_it_had_in_earlier_versions() -> None:
    """Of one record and of several: another hash would open a new version of every entity at the next run."""
    one, two, three = RECORDS[:3]
    record = SourceRecord(record_id=one, source_rank=0, updated_us=None, values={"title": "CEO", "name": "Ann Lée"})
    other = SourceRecord(record_id=two, source_rank=1, updated_us=5, values={"title": "CTO", "name": "Ann Lée"})
    third = SourceRecord(record_id=three, source_rank=1, updated_us=4, values={"title": "CEO"})
    entity = UUID(int=7)
    alone = f"{entity} 1\n4:name36:{one}7:Ann Lée7:Ann Lée\n5:title36:{one}3:CEO3:CEO\n"
    together = f"{entity} 3\n4:name36:{one}7:Ann Lée7:Ann Lée\n5:title36:{two}3:CTO3:CEO3:CTO\n"
    assert entity_version(entity, "person", [record], CONFIG).content_hash == hashlib.sha256(alone.encode()).digest()
    assert entity_version(entity, "person", [record, other, third], CONFIG).content_hash == hashlib.sha256(together.encode()).digest()
