"""Who is who: on made-up tables with a known truth, and where nothing may be joined."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pay_ready.errors import ConfigError, UsageError
from pay_ready.pipeline.evaluate import column_kinds, evaluate, read_table
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.resolve.linkage import link as linking
from pay_ready.resolve.linkage.grouping import group
from pay_ready.resolve.linkage.learning import LearntModel
from pay_ready.resolve.linkage.link import Linkage, link
from pay_ready.resolve.linkage.mapping import map_columns
from pay_ready.resolve.linkage.quality import quality_of
from pay_ready.resolve.linkage.tables import records_of
from pay_ready.resources import resource_path
from tests.linkage_support import companies, knowledge, people, people_table


def _linked(table: pa.Table, model: LearntModel | None = None) -> tuple[Linkage, np.ndarray]:
    kinds = map_columns(table, "person", {}, ["true_id"])
    records, _ = records_of(table, kinds, "person", knowledge())
    truth = np.unique(table.column("true_id").to_pylist(), return_inverse=True)[1]
    return link(records, model=model), truth


@pytest.mark.parametrize("with_email", [True, False])
def test_people_are_found_without_labels(with_email: bool) -> None:
    """Slips, initials and gaps, with addresses and without any: most pairs are found, hardly one is wrong, and the model says so."""
    linkage, truth = _linked(people_table(1_500, with_email=with_email))
    quality = quality_of(linkage.labels, truth)
    assert quality.pair_f1 > 0.9
    assert quality.pair_precision > 0.96
    assert abs(linkage.predicted_precision - quality.pair_precision) < 0.05


def test_namesakes_are_not_one_person() -> None:
    """Where twenty people share each full name, names decide little, a firm of a like name nothing, and the model knows it."""
    linkage, truth = _linked(people_table(3_000, families=6))
    quality = quality_of(linkage.labels, truth)
    assert quality.pair_precision > 0.85
    assert abs(linkage.predicted_precision - quality.pair_precision) < 0.1


def test_the_order_of_the_rows_does_not_matter() -> None:
    """Under one model shuffled rows end in the same clusters, with the same evidence."""
    table = people_table(400)
    order = np.random.default_rng(3).permutation(table.num_rows)
    first, _ = _linked(table)
    second, _ = _linked(table.take(pa.array(order)), first.model)
    assert quality_of(second.labels, first.labels[order]).pair_f1 == 1.0
    assert sorted(second.weighed.total.tolist()) == sorted(first.weighed.total.tolist())


@pytest.mark.parametrize(
    "rows",
    [
        [{"full_name": "Ann Lee"}],
        [{"full_name": "Ann Lee"}, {"full_name": "Ann Lee"}],
        [{"full_name": "Ann Lee"}] * 300,
        [{}] * 50,
        [{"email": "info@acme.io"}] * 50,
        [{"full_name": f"Person{n} Name{n}"} for n in range(40)],
    ],
    ids=["one", "pair", "all-equal", "all-null", "one-role-address", "all-different"],
)
def test_degenerate_data_never_fails(rows: list[dict[str, str]]) -> None:
    """Too little, nothing, or the same throughout: a model comes out, and what it predicts are shares."""
    linkage = link(people(rows))
    assert len(linkage.labels) == len(rows)
    assert 0.0 <= linkage.predicted_precision <= 1.0
    assert all(np.isfinite(shares).all() and abs(shares.sum() - 1) < 1e-6 for shares in linkage.model.matches.values())


def _alone(linkage: Linkage) -> bool:
    return len(np.unique(linkage.labels)) == len(linkage.labels)


@pytest.mark.parametrize(
    "shared",
    [
        {"email": "info@acme.io"}, {"email": "sales@acme.io"}, {"phone": "206-555-0100"}, {"email": "test@test.com"}, {"full_name": "n/a"},
        {"company": "Acme"}, {"phone": "0000000000"},
    ],
    ids=str,
)  # fmt: skip
def test_what_many_share_links_nobody(shared: dict[str, str]) -> None:
    """A role address, a switchboard, test values and blanks never link alone."""
    table = people_table(300).to_pylist()
    names = [row["full_name"] for row in table if "." not in row["full_name"]]
    distinct = sorted({name.split()[1]: name for name in names}.values())[:12]
    strangers = [{"full_name": name, **shared} if "full_name" not in shared else dict(shared) for name in distinct]
    others = [{"full_name": row["full_name"], "email": row["email"] or ""} for row in table]
    linkage = link(people([*strangers, *others]))
    labels = linkage.labels[: len(strangers)]
    assert len(np.unique(labels)) == len(labels)


def test_a_switchboard_of_thousands_costs_nothing() -> None:
    """A number that 3,000 records hold is compared in no block, and the report says what that leaves to other rules."""
    draw = random.Random(4)
    names = ("".join(draw.choices("abcdefghiklmnoprstuvwz", k=8)) for _ in range(6_000))
    rows = [{"full_name": f"{given} {family}", "phone": "2065550100"} for given, family in zip(names, names, strict=True)]
    linkage = link(people(rows))
    assert _alone(linkage)
    assert next(each for each in linkage.hot if each.rule == "phone").pairs == 3_000 * 2_999 // 2


def test_companies_by_domain_name_and_acronym() -> None:
    """Legal forms, a domain that carries the name, another company of a like name."""
    rows = [
        {"name": "Acme Robotics, Inc.", "domain": "acmerobotics.com"}, {"name": "ACME Robotics LLC", "domain": "www.acmerobotics.com"},
        {"name": "Acme Robotics GmbH"}, {"name": "Apex Systems", "domain": "apexsystems.com"},
        {"name": "Apex Solutions", "domain": "apexsolutions.io"},
        *({"name": f"Firm{n} Tools{n}", "domain": f"firm{n}.com"} for n in range(400)),
    ]  # fmt: skip
    labels = link(companies(rows)).labels
    assert labels[0] == labels[1]
    assert labels[3] != labels[4]


def test_reviewers_decide() -> None:
    """A must-link joins strangers, a cannot-link parts equals, and a contradiction is counted."""
    rows = [{"full_name": "Ann Lee", "email": "ann@acme.io"}] * 2 + [{"full_name": "Olga Petrova", "email": "olga@acme.io"}]
    records = people(rows)
    parted = link(records, cannot_link=[(0, 1)])
    assert parted.labels[0] != parted.labels[1]
    joined = link(records, must_link=[(0, 2)])
    assert joined.labels[0] == joined.labels[2]
    assert link(records, must_link=[(0, 2)], cannot_link=[(0, 2)]).ignored_decisions == 1


def test_an_evaluation_tells_the_errors_worth_reading() -> None:
    """Wrong pairs come with their bits and values, the truth is never evidence."""
    table = people_table(300)
    kinds = column_kinds(table, "person", (), ["true_id"])
    assert {each.column: each.kind for each in kinds}["true_id"] == "ignore"
    config = load_resolution_config(resource_path("config", "resolution", "default.toml"))
    found = evaluate(table, kinds, "person", config, truth="true_id", errors=3, threshold_bits=-20.0)
    assert found.quality is not None
    assert found.quality.pair_precision < 1.0
    assert any(each.kind == "joined" and each.left["full_name"] for each in found.errors)
    assert found.blocking_recall is not None
    assert 0.5 < found.blocking_recall <= 1.0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.csv", b"name,email\n", "has no rows"),
        ("twice.csv", b"name,name\nAnn Lee,Bob Ray\n", "two columns have one name"),
        ("empty.csv", b"", "no table"),
        ("latin.csv", b"name\nJos\xe9\n", "UTF-8"),
        ("text.parquet", b"name", "no table"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """One line says what is wrong with the file."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_table(path)


def test_columns_that_hold_no_texts_are_left_out() -> None:
    """Lists and bytes are no evidence, and asking for them is refused; numbers and dates are texts."""
    table = pa.table({
        "name": ["Ann Lee", "Ann Lee"], "tags": [["a"], None], "photo": pa.array([b"x", None]), "phone": [12065550100, None],
        "dob": pa.array(["1990-01-02", "1990-01-02"]).cast(pa.date32()), "gone": pa.nulls(2),
    })  # fmt: skip
    kinds = {each.column: each.kind for each in column_kinds(table, "person", (), ())}
    assert (kinds["tags"], kinds["photo"], kinds["gone"], kinds["phone"], kinds["dob"]) == ("ignore", "ignore", "ignore", "phone", "date")
    config = load_resolution_config(resource_path("config", "resolution", "default.toml"))
    assert evaluate(table, column_kinds(table, "person", (), ()), "person", config).clusters == 1
    with pytest.raises(UsageError, match="tags"):
        column_kinds(table, "person", ["tags=text"], ())


@pytest.mark.parametrize(("weight", "joined"), [(3_000, False), (15_000, True)])
def test_one_weak_link_joins_no_two_well_known_people(weight: int, joined: bool) -> None:
    """Two groups of three, told apart by every pair but one: the one link between them must outweigh twice what speaks against them."""
    sure = [(0, 1, 20_000), (1, 2, 20_000), (3, 4, 20_000), (4, 5, 20_000)]
    links = np.array([*sure, (2, 3, weight)])
    doubts = np.array([(a, b, -4_000) for a in range(3) for b in range(3, 6) if (a, b) != (2, 3)])
    found = group(6, links[:, 0], links[:, 1], links[:, 2], (doubts[:, 0], doubts[:, 1], doubts[:, 2]))
    assert found.labels.tolist() == ([0] * 6 if joined else [0, 0, 0, 3, 3, 3])
    assert found.cut.tolist() == [False] * 4 + [not joined]


def test_many_pairs_are_weighed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few pairs are compared at once: the same model, evidence, clusters and predictions."""
    table = people_table(300)
    whole, _ = _linked(table)
    assert len(whole.left) > 500
    monkeypatch.setattr(linking, "_PAIRS_AT_ONCE", 100)
    parts, _ = _linked(table)
    assert parts.model.prior_bits == whole.model.prior_bits
    assert parts.labels.tolist() == whole.labels.tolist()
    assert parts.weighed.total.tolist() == whole.weighed.total.tolist()
    assert parts.weighed.contradiction.tolist() == whole.weighed.contradiction.tolist()
    for name, reached in whole.compared.items():
        assert parts.compared[name].levels.tolist() == reached.levels.tolist()
        assert parts.weighed.by_comparison[name].tolist() == whole.weighed.by_comparison[name].tolist()
    assert (parts.predicted_precision, parts.predicted_recall) == (whole.predicted_precision, whole.predicted_recall)


def test_copies_of_a_record_are_one_person_however_many() -> None:
    """Three hundred records that are all alike are above every cap; they end in one cluster, with one comparison each."""
    table = people_table(300)
    copied = next(row for row in table.to_pylist() if row["email"] and row["phone"] and row["company"])
    more = pa.concat_tables([table, pa.Table.from_pylist([copied] * 300, schema=table.schema)])
    linkage, _ = _linked(more)
    assert len(np.unique(linkage.labels[-300:])) == 1
    assert any(each.rule == "email" for each in linkage.hot)
    assert len(linkage.left) < len(_linked(table)[0].left) + 1_000


@pytest.mark.parametrize(
    "rows",
    [
        [{"full_name": "Ann Lee", "email": "ann.lee@acme.io", "phone": "2065550100", "company": "Acme"}] * 3_000,
        [{"given_name": name} for name in ("Ann", "Bob", "Cleo") for _ in range(1_000)],
        [{"company": "Acme Robotics"}] * 3_000,
    ],
    ids=["all-alike", "given-names-only", "one-company"],
)
def test_what_is_all_alike_costs_little(rows: list[dict[str, str]]) -> None:
    """Pairs grow with the records and not with their square, and what the caps left out is reported."""
    linkage = link(people(rows))
    assert len(linkage.left) <= 10 * len(rows)
    assert all(each.pairs > 0 for each in linkage.hot)
    assert 0.0 <= linkage.predicted_precision <= 1.0


def test_one_company_name_costs_little() -> None:
    """Companies of one name are compared with a few neighbours each."""
    linkage = link(companies([{"name": "Acme Robotics"}] * 3_000))
    assert len(linkage.left) <= 10 * 3_000
    assert any(each.rule == "owner" for each in linkage.hot)


def test_few_names_are_no_rare_names() -> None:
    """Where some hundred people share a few names, a name says less than few records' shares alone would have it."""
    few = link(people([{"full_name": row["full_name"]} for row in people_table(250, families=8).to_pylist()]))
    many = link(people([{"full_name": row["full_name"]} for row in people_table(250).to_pylist()]))
    assert few.model.chances["family"].value_bits > 0.3
    assert many.model.chances["family"].value_bits == 0.0
    assert few.model.chances["family"].value_bits <= np.log2(1 + 1_000 / len(few.labels))


def test_a_join_that_its_pairs_outweigh_is_refused() -> None:
    """The best of nine pairs is worth little where all of them are as bad as this on average."""
    sure = [(0, 1, 20_000), (1, 2, 20_000), (3, 4, 20_000), (4, 5, 20_000)]
    links = np.array([*sure, (2, 3, 4_000)])
    none = np.empty(0, dtype=np.int64)
    for average, joined in ((-6_000, False), (-1_000, True)):
        cross = [(a, b, average) for a in range(3) for b in range(3, 6) if (a, b) != (2, 3)]
        known = np.array([*sure, (0, 2, 20_000), (3, 5, 20_000), (2, 3, 4_000), *cross])
        found = group(6, links[:, 0], links[:, 1], links[:, 2], (none, none, none), between=(known[:, 0], known[:, 1], known[:, 2]))
        assert found.labels.tolist() == ([0] * 6 if joined else [0, 0, 0, 3, 3, 3])


def test_two_places_that_are_confirmed_are_two_sites() -> None:
    """Sites of one organisation share its name and its number; two addresses that two records each have are no slip."""
    draw = random.Random(5)
    words = ["".join(draw.choices("abcdefghiklmnoprstuvwz", k=7)) for _ in range(900)]
    rows = []
    for number in range(0, 600, 2):
        name, phone = f"{words[number]} {words[number + 1]} school", f"20655{number:05d}"
        streets = [f"{draw.randrange(100, 9_000)} {words[600 + (number + step) % 300]} street" for step in range(2 if number < 60 else 1)]
        rows += [{"name": name, "phone": phone, "address": street, "true_id": f"{number} {street}"} for street in streets for _ in range(2)]
    table = pa.Table.from_pylist(rows)
    records, _ = records_of(table, map_columns(table, "company", {}, ["true_id"]), "company", knowledge())
    linkage = link(records)
    quality = quality_of(linkage.labels, np.unique(table.column("true_id").to_pylist(), return_inverse=True)[1])
    assert quality.pair_precision > 0.95
    assert quality.pair_recall > 0.95


def test_a_list_of_company_names_is_resolved_by_them() -> None:
    """Where nothing but names is known, equal names without their legal forms are one company, and other names are not."""
    draw = random.Random(9)
    words = ["".join(draw.choices("abcdefghiklmnoprstuvwz", k=7)) for _ in range(800)]
    names = [f"{words[number]} {words[number + 1]}" for number in range(0, 800, 2)]
    rows = [{"name": f"{name}{form}".title(), "true_id": name} for name in names for form in draw.sample(["", " Inc", " GmbH", ", LLC"], 2)]
    table = pa.Table.from_pylist(rows)
    records, _ = records_of(table, map_columns(table, "company", {}, ["true_id"]), "company", knowledge())
    quality = quality_of(link(records).labels, np.unique(table.column("true_id").to_pylist(), return_inverse=True)[1])
    assert (quality.pair_precision, quality.pair_recall) == (1.0, 1.0)
