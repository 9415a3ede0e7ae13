"""Companies one at a time say what they say as columns: blocks with their places, levels, weights, to the last digit."""

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations, product
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pay_ready.resolve.engine import knowledge_of, resolve
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.link import scored_pairs
from pay_ready.resolve.linkage.model import ResolutionModel
from pay_ready.resolve.linkage.moves import members_of
from pay_ready.resolve.linkage.organisations import acronyms_or_short
from pay_ready.resolve.linkage.plain_companies import CompanyComparisons, PlainCompanies
from pay_ready.resolve.linkage.plain_counts import PlainCounts
from pay_ready.resolve.linkage.plain_link import COMPARISONS, Weights
from pay_ready.resolve.linkage.plain_texts import NAMELESS, organisation_name
from pay_ready.resolve.linkage.tables import Knowledge, records_of
from pay_ready.resolve.staged import COMPANY_KINDS, staged_kinds
from tests.publish_support import config

NAMES = [
    "Acme", "Acme Inc.", "ACME Holdings GmbH", "Acme Corp", "Acme Software", "Acme Software Solutions", "Acme Sofware Solutions",
    "North East Bank", "NEB", "Northeast Bank", "North East Savings Bank", "Bank of the North East", "Beta International", "Beta Intl",
    "Beta Systems", "Beta Systems Group", "Betta Systems", "The The", "B.E.T.A.", "A/S Beta", "Betta", "GmbH", "Société Générale",
    "Societe Generale", "Ромашка", "& Co", "Miller & Sons", "Miller Sons", "Muller and Sons", "K 9 Rescue", "K9 Rescue", "n/a",
    "Northeast Banking Corporation Services", "North East Banking Corporation Services", "Borealis Logistics", "Borealys Logistiks",
    "Boralys Lagistiks", "Alpha Beta Gammaworks", "Alphabeta Gammaworks",
]  # fmt: skip
DOMAINS = [
    "acme.com", "https://www.acme.com/about", "ACME.co.uk", "acme.io", "beta.io", "mail.beta.io", "gmail.com", "localhost", "neb.com",
    "northeastbank.com", "ünïcode.de", "millersons.example",
]  # fmt: skip
PHONES = ["+14155550101", "0014155550101", "415-555-0101", "+44 20 7946 0000", "1234567890", "12", "٤١٥٥٥٥٠١٠١"]
CITIES = ["Berlin", "berlin ", "Berlim", "New York", "NewYork", "n/a", "Ulm", "Köln", "Koln", "東京"]
POOLS = {"name": NAMES, "domain": DOMAINS, "phone": PHONES, "city": CITIES}
FREE = frozenset({"gmail.com"})
Row = Mapping[str, str | None]


def _one_of(values: list[str]) -> st.SearchStrategy[str | None]:
    return st.one_of(st.none(), st.just(""), st.sampled_from(values), st.sampled_from(values), st.text(max_size=12))


ROW = st.fixed_dictionaries({
    "name": st.one_of(_one_of(NAMES), st.lists(st.sampled_from(" ".join(NAMES).split()), max_size=5).map(" ".join)),
    "domain": _one_of(DOMAINS), "phone": _one_of(PHONES), "city": _one_of(CITIES),
})  # fmt: skip
ROWS = st.lists(ROW, min_size=2, max_size=7)


def table_of(rows: list[Row]) -> pa.Table:
    """Staged records with ids in the order of the rows."""
    columns = {column: pa.array([row[column] for row in rows], pa.string()) for column in COMPANY_KINDS}
    ids = pa.array([UUID(int=(number + 1) << 64).bytes for number in range(len(rows))], pa.binary(16))
    return pa.table({"record_id": ids, "content_hash": pa.array([bytes(32)] * len(rows), pa.binary()), **columns})


@cache
def trained(names_alone: bool) -> ResolutionModel:
    """A model of records of the same words, in which neighbours of a city agree on more; or of names and nothing else."""
    chosen = random.Random(7)
    rows: list[Row] = [
        {column: chosen.choice([None, *pool]) if column == "name" or not names_alone else None for column, pool in POOLS.items()}
        for _ in range(400)
    ]
    rows += [row(name="Solo Works", domain=None if names_alone else "solo.example"), row(name="Nowhere Works")] * 2
    found = resolve("company", table_of(rows), config()).model
    chances = {name: replace(each, in_context={"city": each.shares * 2.0}) for name, each in found.learnt.chances.items()}
    return replace(found, learnt=replace(found.learnt, chances=chances))


def knowledge(similar: float = 80.0) -> Knowledge:
    """What is known as it ships, and few hosts that are anybody's."""
    return replace(knowledge_of(config()), free_mail=FREE, similar_company_from=similar)


@settings(deadline=None)
@given(rows=ROWS, names_alone=st.booleans())
def test_blocks_are_those_of_columns(rows: list[Row], names_alone: bool) -> None:
    """Of every rule, each with the place that a record takes."""
    counts, table = trained(names_alone).counts, table_of(rows)
    records = records_of(table, staged_kinds("company"), "company", knowledge(), Counts(counts))[0]
    ids = np.array([each.as_py() for each in table.column("record_id")], dtype="S16")
    wanted = members_of("company", records.rules(), ids)
    plain = PlainCompanies(knowledge(), PlainCounts(counts))
    weights = np.append(records.texts.totals, 0.0)  # type: ignore[attr-defined]
    for number, (row, record) in enumerate(zip(rows, ids, strict=True)):
        own, company = wanted[wanted["record"] == record], plain.record(row)
        assert plain.places(company) == dict(zip(own["block"].tolist(), own["place"].tolist(), strict=True))
        assert company.weight == pytest.approx(weights[records.texts.column.ids[number]])  # type: ignore[attr-defined]


def check_pairs(rows: list[Row], similar: float, *, names_alone: bool) -> set[tuple[str, int]]:
    """Every two of the records say the same in both forms; the levels that they reached."""
    model, known = trained(names_alone), knowledge(similar)
    records = records_of(table_of(rows), staged_kinds("company"), "company", known, Counts(model.counts))[0]
    left, right = (np.array(side, dtype=np.int64) for side in zip(*combinations(range(len(rows)), 2), strict=True))
    scored = scored_pairs(records, left, right, model.learnt)
    counts = PlainCounts(model.counts)
    reader, comparisons, weights = PlainCompanies(known, counts), CompanyComparisons(known, counts), Weights("company", model.learnt)
    companies = [reader.record(row) for row in rows]
    met = set()
    for number, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        said = comparisons.compare(companies[one], companies[other])
        for name, reached in scored.reached.items():
            assert said[name][0] == reached.levels[number], (name, rows[one], rows[other])
            met.add((name, said[name][0]))
        evidence = weights.evidence(said, comparisons.contexts(companies[one], companies[other]))
        told = (int(scored.weighed.total[number]), int(scored.weighed.contradiction[number]))
        assert (evidence.total, evidence.doubt) == told, (rows[one], rows[other])
    return met


@settings(deadline=None)
@given(rows=ROWS, similar=st.sampled_from([60.0, 80.0, 97.0]), names_alone=st.booleans())
def test_pairs_say_what_they_say_in_columns(rows: list[Row], similar: float, names_alone: bool) -> None:
    """Every comparison's level, all evidence together, and what of it contradicts."""
    check_pairs(rows, similar, names_alone=names_alone)


def test_every_two_known_values_say_what_they_say_in_columns() -> None:
    """Names alone, names with domains, numbers and places: every level of every comparison is met."""
    rows = [row(name=name) for name in NAMES]
    rows += [row(name=name, domain=domain) for name, domain in product(("Acme", "Beta Systems", None), DOMAINS)]
    rows += [row(name=name, phone=phone) for name, phone in product(("Acme", None), (*PHONES, "+15125550177"))]
    rows += [row(city=city) for city in CITIES] + [row(name=name) for name in (*NAMES, *["Solo Works", "Nowhere Works"] * 2)]
    for similar in (60.0, 80.0, 88.0, 97.0):
        met = check_pairs(rows, similar, names_alone=False)
        assert met == {(each.name, level) for each in COMPARISONS["company"] for level in range(len(each.levels))}
    check_pairs(rows, 80.0, names_alone=True)


def row(**told: str | None) -> Row:
    """A record of which only this is known."""
    return dict.fromkeys(COMPANY_KINDS) | told


def test_no_comparison_of_companies_is_looked_at_more_closely() -> None:
    """A circumstance that contradicts is confirmed by other records of its component (`link`): one record at a time does not do that."""
    compared = COMPARISONS["company"]
    assert not [each.name for each in compared if each.contradicts and each.circumstance]
    rows = [row(name="Acme", domain="acme.com", phone="+14155550101", city=city) for city in ("Ulm", "Köln")]
    records = records_of(table_of(rows), staged_kinds("company"), "company", knowledge(), Counts())[0]
    assert {each.name: each.levels for each in records.comparisons} == {each.name: each.levels for each in compared}


@given(st.one_of(st.sampled_from(NAMES), st.text(max_size=20)))
def test_initials_are_those_of_columns(text: str) -> None:
    """Of names of three words or more; a short name is its own."""
    name = organisation_name(text)
    if name is not NAMELESS:
        company = PlainCompanies(knowledge(), PlainCounts({})).record({"name": text})
        assert company.initials == acronyms_or_short(pa.array([name.words], pa.string()))[0].as_py()
