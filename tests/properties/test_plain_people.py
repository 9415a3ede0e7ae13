"""People one at a time say what they say as columns: texts, blocks, levels, weights and clusters, to the last digit."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations, zip_longest
from typing import Literal
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pay_ready.model.resolution import PairDecision
from pay_ready.resolve.engine import Resolution, knowledge_of, resolve
from pay_ready.resolve.linkage import plain_texts
from pay_ready.resolve.linkage.cleaning import words_of
from pay_ready.resolve.linkage.columns import key_numbers, key_of
from pay_ready.resolve.linkage.contact import PLAUSIBLE, WRITTEN, domains_of, normalised, phones_of
from pay_ready.resolve.linkage.counts import Counts, CountTable
from pay_ready.resolve.linkage.grouping import components_of, group
from pay_ready.resolve.linkage.learning import probability
from pay_ready.resolve.linkage.link import scored_pairs
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.moves import PAIR, members_of
from pay_ready.resolve.linkage.names import names_of
from pay_ready.resolve.linkage.organisations import organisation_names
from pay_ready.resolve.linkage.plain_compare import PersonComparisons
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_link import COMPARISONS, Evidence, Pairs, Weights, clustered
from pay_ready.resolve.linkage.plain_people import PlainPeople
from pay_ready.resolve.linkage.tables import Knowledge, records_of
from pay_ready.resolve.linkage.values import cleaned_column
from pay_ready.resolve.staged import PERSON_KINDS, staged_kinds
from tests.publish_support import config

FREE = frozenset({"gmail.com", "web.de"})
NAMES = [
    "Anna Bell", "Bell, Anna", "anna bell", "A. Bell", "Anna", "Bell", "Ana Bel", "Anne-Marie van der Berg",
    "van der Berg", "de la Cruz, José",
    "Jose Cruz", "Garcia Lopez, Maria", "Maria Garcia", "Bob Smith", "Robert Smith", "Smith Robert", "Smith R", "R Smith", "Rob Smyth",
    "Dr. Robert J. Smith", "Robert K Smith", "Sir Baronet", "Анна Белл", "李 伟", "n/a", "test user", "O'Neil Bob",
    "O’Neil B", "Joan Lee", "John Lee", "Kola Stone",
    "Mola Stone", "Kolla Stone",
]  # fmt: skip
PARTS = ["Anna", "Bell", "A", "Robert", "Bob", "Smith", "Smyth", "Lee", "Dr.", "van der Berg", "Sánchez", "Sir Baronet", "Null"]
EMAILS = [
    "anna.bell@acme.com", "anna.bell@acme.co.uk", "anna.bel@acme.com", "abell@acme.com", "a.bell@gmail.com", "anna.bell@gmail.com",
    "anna.bell+news@acme.com", "anna.bell84@web.de", "anna.bell84@gmail.com", "anna.bell@acmee.com", "info@acme.com", "sales2@beta.io",
    "test@test.com", "bob@acme.com", "robert.smith@beta.io", "r.smith@beta.io", "bob.smith@beta.io",
    "robert.smith@betaa.io", "@acme.com", "@acne.com",
    "no address", "x@mail.eu.acme.com", "mailto:bob@beta.io", "Bob <bob@beta.io>", "böb@beta.io", "robert.smith@beta-worldwide.com",
    "robert.smith@beta-wordlwide.com",
]  # fmt: skip
PHONES = [
    "+14155550101",
    "0014155550101",
    "415-555-0101",
    "+44 20 7946 0000",
    "020 7946 0000 x12",
    "1234567890",
    "0000000000",
    "12",
    "ext 7",
    "٤١٥٥٥٥٠١٠١",
]
COMPANIES = [
    "Acme", "Acme Inc.", "ACME Holdings GmbH", "Acme Corp", "North East Bank", "NEB", "Northeast Bank",
    "Beta International", "Beta Intl", "The The",
    "B.E.T.A.", "A/S Beta", "Betta", "GmbH", "Société Générale", "Ромашка", "& Co",
]  # fmt: skip
DOMAINS = [
    "acme.com",
    "https://www.acme.com/about",
    "ACME.co.uk",
    "beta.io",
    "mail.beta.io",
    "gmail.com",
    "localhost",
    "neb.com",
    "ünïcode.de",
]
CITIES = ["Berlin", "berlin ", "Berlim", "New York", "NewYork", "n/a", "Ulm", "Köln", "Koln", "東京"]
TITLES = ["Sales Manager", "sales manager", "Sales Manger", "CEO", "CTO", "unknown"]


def _one_of(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.just(""), st.sampled_from(values), st.sampled_from(values), st.text(max_size=12))


ROW = st.fixed_dictionaries({
    "full_name": _one_of(NAMES), "first_name": st.one_of(st.none(), _one_of(PARTS)), "last_name": st.one_of(st.none(), _one_of(PARTS)),
    "email": _one_of(EMAILS), "phone": _one_of(PHONES), "title": _one_of(TITLES), "city": _one_of(CITIES),
    "company_name": _one_of(COMPANIES),
    "company_domain": _one_of(DOMAINS),
})  # fmt: skip


@st.composite
def variants(draw: st.DrawFn, most: int = 7) -> list[dict[str, str | None]]:
    """A record, and others that differ from one before them in a few fields."""
    rows = [draw(ROW)]
    while len(rows) < 2 or (len(rows) < most and draw(st.booleans())):
        other, fields = draw(ROW), draw(st.sets(st.sampled_from(sorted(PERSON_KINDS)), max_size=3))
        rows.append(draw(st.sampled_from(rows)) | {field: other[field] for field in fields})
    return rows


ROWS = variants()
Row = Mapping[str, str | None]
Verdict = Literal["match", "no_match"]


def table_of(rows: list[Row]) -> pa.Table:
    """Staged records with ids in the order of the rows."""
    columns = {column: pa.array([row[column] for row in rows], pa.string()) for column in PERSON_KINDS}
    ids = pa.array([UUID(int=(number + 1) << 64).bytes for number in range(len(rows))], pa.binary(16))  # zeros at the end
    return pa.table({"record_id": ids, "content_hash": pa.array([bytes(32)] * len(rows), pa.binary()), **columns})


@cache
def trained(validation: bool) -> ResolutionModel:
    """A model of records of the same words, that has neighbours in every context and in which every kind of level says something."""
    chosen = random.Random(7)
    pools = {
        "full_name": NAMES, "first_name": PARTS, "last_name": PARTS, "email": EMAILS, "phone": PHONES, "title": TITLES, "city": CITIES,
        "company_name": COMPANIES, "company_domain": DOMAINS,
    }  # fmt: skip
    rows = [{column: chosen.choice([None, *pool]) for column, pool in pools.items()} for _ in range(400)]
    found = resolve("person", table_of(rows), config(email_validation=validation)).model
    chances = {
        name: replace(each, in_context={place: each.shares * factor for place, factor in (("employer", 3.0), ("city", 1.5))})
        for name, each in found.learnt.chances.items()
    }
    return replace(found, learnt=replace(found.learnt, chances=chances))


def knowledge(validation: bool) -> Knowledge:
    """What is known as it ships, and few hosts that are anybody's."""
    return replace(knowledge_of(config(email_validation=validation)), free_mail=FREE)


@settings(deadline=None)
@given(rows=ROWS, validation=st.booleans(), large=st.booleans())
def test_blocks_are_those_of_columns(rows: list[Row], validation: bool, large: bool) -> None:
    """Of every rule, those that only small tenants have included."""
    counts = dict(trained(validation).counts)
    if large:
        counts["owner"] = replace(counts["owner"], total=5_000_000)
    known, table = knowledge(validation), table_of(rows)
    records = records_of(table, staged_kinds("person"), "person", known, Counts(counts))[0]
    ids = np.array([each.as_py() for each in table.column("record_id")], dtype="S16")
    wanted = members_of("person", records.rules(), ids)
    plain = PlainPeople(known, PlainCounts(counts))
    for row, record in zip(rows, ids, strict=True):
        own = wanted[wanted["record"] == record]
        assert plain.places(plain.record(row)) == dict(zip(own["block"].tolist(), own["place"].tolist(), strict=True))


def check_pairs(rows: list[Row], validation: bool, similar: float) -> int:
    """Every two of the records say the same in both forms; how many pairs say a bit or more for a match."""
    model, known = trained(validation), replace(knowledge(validation), similar_name_from=similar, similar_company_from=similar - 5)
    records = records_of(table_of(rows), staged_kinds("person"), "person", known, Counts(model.counts))[0]
    left, right = (np.array(side, dtype=np.int64) for side in zip(*combinations(range(len(rows)), 2), strict=True))
    scored = scored_pairs(records, left, right, model.learnt)
    counts = PlainCounts(model.counts)
    reader, comparisons = PlainPeople(known, counts), PersonComparisons(known, counts)
    people = [reader.record(row) for row in rows]
    pairs = Pairs(lambda record: people[int.from_bytes(record)], comparisons, Weights("person", model.learnt))
    for number, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        said = comparisons.compare(people[one], people[other])
        for name, reached in scored.reached.items():
            assert said[name][0] == reached.levels[number], (name, rows[one], rows[other])
        evidence = pairs.of(one.to_bytes(2), other.to_bytes(2))
        told = (int(scored.weighed.total[number]), int(scored.weighed.contradiction[number]))
        assert (evidence.total, evidence.doubt) == told, (rows[one], rows[other])
    return int((scored.weighed.total > 1_000 * model.learnt.prior_bits + 1_000).sum())


@settings(deadline=None)
@given(rows=ROWS, validation=st.booleans(), similar=st.sampled_from([70.0, 85.0, 97.0]))
def test_pairs_say_what_they_say_in_columns(rows: list[Row], validation: bool, similar: float) -> None:
    """Every comparison's level, all evidence together, and what of it contradicts."""
    check_pairs(rows, validation, similar)


@pytest.mark.parametrize("validation", [True, False])
def test_every_two_known_values_say_what_they_say_in_columns(validation: bool) -> None:
    """Names alone; addresses, numbers and employers of people of one name, of others, and of nobody; and each way to tell a name."""
    rows: list[Row] = [row(full_name=name) for name in NAMES]
    rows += [row(email=email, full_name=name) for email in EMAILS for name in ("Anna Bell", "Robert Smith", None)]
    rows += [row(full_name=name, company_name=company) for company in COMPANIES for name in ("Anna Bell", None)]
    rows += [
        row(full_name=name, phone=phone, company_domain="acme.com") for phone in PHONES[:4] for name in ("A Bell", "Bob Lee", "R Smith")
    ]
    rows += [row(full_name=name, phone="+49 30 7654321", company_domain="acme.com") for name in ("Anna Bell", "Bob Lee")]
    rows += [row(full_name=name, email="robert.smith@beta.io") for name in ("R Jones", "R Smithers", "B Smith")]
    rows += [row(city=city) for city in ("Munich", "Minuch", "Hamburg", "Hombarg")]
    rows += [row(city=city, title=title) for city, title in zip_longest(CITIES, TITLES)]
    rows += [row(first_name=part, email="r.smith@beta.io") for part in PARTS] + [row(last_name=part) for part in PARTS]
    rows += [row(company_domain=domain, email=email) for domain in DOMAINS for email in ("info@acme.com", "bob@beta.io")]
    assert check_pairs(rows, validation, 85.0) > 500


def row(**told: str | None) -> Row:
    """A record of which only this is known."""
    return dict.fromkeys(PERSON_KINDS) | told


VERDICTS: list[Verdict] = ["match", "no_match"]


@settings(deadline=None, max_examples=60)
@given(
    rows=variants(9),
    threshold=st.sampled_from([-6_000, 1_000, 4_000, 9_000]),
    decided=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from(VERDICTS)), max_size=3),
    dropped=st.sets(st.integers(0, 35), max_size=6),
)
def test_clusters_are_those_of_a_run(
    rows: list[Row], threshold: int, decided: list[tuple[int, int, Verdict]], dropped: set[int]
) -> None:  # fmt: skip
    """With decisions, with chains that are cut, with links that a block left out."""
    model = replace(trained(True), threshold_millibits=threshold)
    table, shipped = table_of(rows), config()
    known, counts = knowledge_of(shipped), PlainCounts(model.counts)
    reader = PlainPeople(known, counts)
    weights, comparisons = Weights("person", model.learnt), PersonComparisons(known, counts)
    pairs = Pairs(lambda record: reader.record(rows[int.from_bytes(record)]), comparisons, weights)

    def said(left: int, right: int) -> Evidence:
        return pairs.of(left.to_bytes(2), right.to_bytes(2))

    links = [pair for pair in combinations(range(len(rows)), 2) if said(*pair).total >= threshold]
    links = [pair for number, pair in enumerate(links) if number not in dropped]
    ids = [UUID(bytes=each.as_py()) for each in table.column("record_id")]
    told = sorted({(one, other, verdict) for one, other, verdict in decided if one < other < len(rows)})
    decisions = [PairDecision(left_id=ids[one], right_id=ids[other], verdict=verdict) for one, other, verdict in told]
    wanted: Resolution = resolve(
        "person", table, shipped, decisions, model=model, pairs=np.array([(ids[a].bytes, ids[b].bytes) for a, b in links], dtype=PAIR)
    )
    must, cannot = ([(one, other) for one, other, spoken in told if spoken == verdict] for verdict in VERDICTS)
    found = clustered(len(rows), links, said, must, cannot)
    assert found.labels == wanted.labels.tolist()
    assert found.confidences == wanted.confidences.tolist()


@given(
    size=st.integers(3, 8),
    figures=st.lists(st.tuples(st.integers(-9_000, 12_000), st.sampled_from([0, 0, -500, -4_000, -9_000])), min_size=28, max_size=28),
    dropped=st.sets(st.integers(0, 27), max_size=8),
    must=st.lists(st.sampled_from([(0, 1), (1, 2)]), max_size=1),
)
def test_contested_clusters_are_those_of_all_joins_weighed(
    size: int, figures: list[tuple[int, int]], dropped: set[int], must: list[tuple[int, int]]
) -> None:  # fmt: skip
    """Where every component's joins are weighed, contested or not; a pair that matches does not speak against itself."""
    every = list(combinations(range(size), 2))
    said = {pair: Evidence(*told) for pair, told in zip(every, figures, strict=False)}
    links = [pair for number, pair in enumerate(every) if said[pair].total >= 1_000 and number not in dropped]

    def arrays(pairs: list[tuple[int, int]], told: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        sides = np.array(pairs, dtype=np.int64).reshape(-1, 2)
        return sides[:, 0], sides[:, 1], np.array(told, dtype=np.int64)

    label = components_of(size, *arrays(links, [])[:2]).tolist()
    inside = [pair for pair in every if label[pair[0]] == label[pair[1]] and label.count(label[pair[0]]) > 2]
    against = [pair for pair in inside if pair not in links and said[pair].doubt < 0]
    wanted = group(
        size, *arrays(links, [said[pair].total for pair in links]), arrays(against, [said[pair].doubt for pair in against]),
        between=arrays(inside, [said[pair].total for pair in inside]), must_link=must,
    )  # fmt: skip
    found = clustered(size, links, lambda left, right: said[left, right], must, [])
    assert found.labels == wanted.labels.tolist()
    held = [pair for pair, is_cut in zip(links, wanted.cut.tolist(), strict=True) if not is_cut]
    for record, confidence in enumerate(found.confidences):
        strongest = [said[pair].total for pair in held if record in pair]
        likely = float(np.round(probability(np.array([max(strongest) / 1_000])), 4)[0]) if strongest else 1.0
        assert confidence == (1.0 if any(record in pair for pair in must) else likely)


def test_no_comparison_of_people_is_looked_at_more_closely() -> None:
    """A circumstance that contradicts is confirmed by other records of its component (`link`): one record at a time does not do that."""
    compared = COMPARISONS["person"]
    assert not [each.name for each in compared if each.contradicts and each.circumstance]
    rows: list[Row] = [dict.fromkeys(PERSON_KINDS, value) for value in ("x@y.example", "1234567")]
    records = records_of(table_of(rows), staged_kinds("person"), "person", knowledge(True), Counts())[0]
    assert {each.name: each.levels for each in records.comparisons}.items() <= {each.name: each.levels for each in compared}.items()


TEXT = st.one_of(
    st.text(max_size=20), st.sampled_from([*NAMES, *EMAILS, *PHONES, *COMPANIES, *DOMAINS, *CITIES]),
    st.text("aB.é /-'’@+<>:,0 x1\t\n\xa0ß", max_size=14),
)  # fmt: skip


def _alone(text: str) -> pa.Array:
    return pa.array([text, None], pa.string())  # with a null, so that no column is of one kind alone


@pytest.mark.parametrize(
    ("plain", "column"),
    [
        (plain_texts.words_of, lambda texts: words_of(texts)),
        (plain_texts.category_of, lambda texts: cleaned_column(texts)),
        (plain_texts.phone_of, lambda texts: phones_of(texts)),
        (lambda text: plain_texts.domain_of(text, FREE), lambda texts: domains_of(texts, FREE)),
        (lambda text: plain_texts.address_of(text, validation=True), lambda texts: normalised(texts, PLAUSIBLE)),
        (lambda text: plain_texts.address_of(text, validation=False), lambda texts: normalised(texts, WRITTEN)),
        (lambda text: plain_texts.organisation_name(text).words, lambda texts: organisation_names(texts).words),
        (lambda text: plain_texts.organisation_name(text).core, lambda texts: organisation_names(texts).core),
    ],
    ids=["words", "category", "phone", "domain", "address", "address as written", "organisation", "core"],
)
@given(data=st.data())
def test_a_text_is_read_as_a_column_of_it(
    data: st.DataObject, plain: Callable[[str], str | None], column: Callable[[pa.Array], object]
) -> None:
    """Whatever is written in it."""
    text = data.draw(TEXT)
    found = column(_alone(text))
    wanted = found[0].as_py() if isinstance(found, pa.Array) else next(iter(found.values.to_pylist()), None)  # type: ignore[attr-defined]
    assert (plain(text) or None) == (wanted or None)


@given(full=TEXT, given=TEXT, family=TEXT)
@example(full="Bell, Anna\n", given="", family="")
@example(full="", given="Sir", family="Baronet")
def test_a_name_is_read_as_a_column_of_it(full: str, given: str, family: str) -> None:
    """First and last word, and what stands between."""
    names = names_of(*(pa.array([each or None], pa.string()) for each in (full, given, family)), ())
    texts = [*names.words.texts.to_pylist(), None]
    plain = PlainPeople(knowledge(True), PlainCounts({})).record({"full_name": full, "first_name": given, "last_name": family})
    wanted = [texts[each[0]] for each in (names.given, names.family, names.second_family)]
    assert [plain.given, plain.family, plain.second_family] == wanted


@given(st.lists(st.one_of(st.integers(-1, 2**63 - 1), st.integers(-1, 40)), min_size=1, max_size=4), st.text(max_size=20))
def test_keys_are_those_of_columns(numbers: list[int], text: str) -> None:
    """Of numbers, and of texts."""
    assert plain_texts.key_of(*numbers) == key_of(*(np.array([each], dtype=np.int64) for each in numbers))[0]
    assert PlainCounts({}).key(text) == key_numbers(pa.array([text], pa.string()))[0]


@given(st.dictionaries(st.text(max_size=6), st.integers(0, 9), max_size=30), st.text(max_size=6))
def test_counts_are_those_of_the_table(held: dict[str, int], asked: str) -> None:
    """Of a value that is there and of one that is not; and of a table that is not there."""
    counts = Counts()
    column = cleaned_column(pa.array(list(held), pa.string()))
    counts.of("values", column.distinct, np.arange(len(column.values), dtype=np.int64), usual=1, total=50)
    tables: Mapping[str, CountTable] = counts.tables()
    pinned, plain = Counts(tables), PlainCounts(tables)
    for text in (*column.values.to_pylist(), asked):
        distinct = cleaned_column(pa.array([text], pa.string())).distinct
        if len(distinct.texts) == 1 and distinct.texts[0].as_py() == text:
            assert plain.count("values", text) == pinned.of("values", distinct, np.zeros(1, dtype=np.int64), usual=1, total=0)[0][0]
    assert (plain.count("nothing", asked), plain.total("nothing"), plain.total("values")) == (1, 0, 50)
