"""Who is who: on made-up tables with a known truth, and where nothing may be joined."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pay_ready.errors import ConfigError, UsageError
from pay_ready.pipeline.evaluate import column_kinds, evaluate, read_table
from pay_ready.pipeline.resolution_config import load_resolution_config
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
