"""What the engine links and what it leaves apart, by cases; edges, models and golden records beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import pyarrow as pa
import pytest

from pay_ready.model.ids import stable_id
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.resolve.engine import resolve
from pay_ready.resolve.golden import entity_version
from pay_ready.resolve.linkage.model import model_from, parameters_of
from pay_ready.resolve.staged import COMPANY_COLUMNS, PERSON_COLUMNS
from pay_ready.resolve.survivorship import SourceRecord
from tests.publish_support import config

CONFIG = config()
Row = Mapping[str, str | None]
ANN: Row = {"full_name": "Ann Lee", "email": "ann@globex.com", "company_domain": "globex.com"}


def ids(count: int) -> list[UUID]:
    """Record ids that ascend with the row."""
    return sorted(stable_id("row", str(number)) for number in range(count))


def table(rows: Sequence[Row], columns: Sequence[str]) -> pa.Table:
    """Rows as the engine reads them."""
    found: dict[str, pa.Array] = {"record_id": pa.array([each.bytes for each in ids(len(rows))], pa.binary(16))}
    return pa.table(found | {name: pa.array([row.get(name) for row in rows], pa.string()) for name in columns if name != "record_id"})


def people(*rows: Row, settings: ResolutionConfig = CONFIG) -> list[int]:
    """The cluster of each person row, named by its first row."""
    return resolve("person", table(rows, PERSON_COLUMNS), settings).labels.tolist()


def companies(*rows: Row, settings: ResolutionConfig = CONFIG) -> list[int]:
    """The cluster of each company row, named by its first row."""
    return resolve("company", table(rows, COMPANY_COLUMNS), settings).labels.tolist()


def test_personal_address_links_alone() -> None:
    """One personal address is one person, with a name or without, free-mail or not."""
    assert people(ANN, {"email": "ann@globex.com"}) == [0, 0]
    assert people({"full_name": "Ann Lee", "email": "ann@gmail.com"}, {"email": "ann@gmail.com", "full_name": "A. Lee"}) == [0, 0]


def test_shared_addresses_never_link_alone() -> None:
    """A role address links nobody, nor does an address that different people hold, nor one whose names contradict."""
    assert people({"email": "info@globex.com", "full_name": "Ann Lee"}, {"email": "info@globex.com"}) == [0, 1]
    assert people({"email": "lees@x.com", "full_name": "Ann Lee"}, {"email": "lees@x.com", "full_name": "Tom Lee"}) == [0, 1]
    household = ({"email": "lees@x.com", "full_name": "Ann Lee"}, {"email": "lees@x.com", "full_name": "Tom Lee"}, {"email": "lees@x.com"})
    assert people(*household) == [0, 1, 2]


def test_an_address_that_once_had_another_owner_links_the_owner_only() -> None:
    """One stranger among many records of an address stays apart, and a record without a name could be either's."""
    owner = {"email": "desk@x.com", "full_name": "Ann Lee"}
    stranger, nameless = {"email": "desk@x.com", "full_name": "Tom Ray"}, {"email": "desk@x.com"}
    assert people(owner, owner, owner, stranger, nameless) == [0, 0, 0, 3, 4]


@pytest.mark.parametrize(
    "row",
    [
        {"email": "test@test.com"},
        {"full_name": "asdf", "email": "asdf@example.com"},
        {"full_name": "n/a", "phone": "0000000000", "company_name": "n/a"},
        {"full_name": "", "email": "", "phone": "", "company_name": "", "city": ""},
        {"company_domain": "gmail.com"},
        {"company_name": "Globex", "city": "Oslo", "title": "CEO"},
        {"email": "sales@globex.com", "company_domain": "globex.com"},
    ],
)
def test_what_says_nothing_links_nobody(row: Row) -> None:
    """Test records, blanks, free-mail domains, role addresses and an employer by itself link nobody, however often they occur."""
    assert people(*[row] * 12) == list(range(12))


def test_phone_needs_a_name() -> None:
    """One number and one name is one person; a number alone, or with another name, is not."""
    phone = "+12065550100"
    assert people({"full_name": "Ann Lee", "phone": phone}, {"full_name": "Annie Lee", "phone": phone}) == [0, 0]
    assert people({"full_name": "Ann Lee", "phone": phone}, {"phone": phone}) == [0, 1]
    assert people({"full_name": "Ann Lee", "phone": phone}, {"full_name": "Tom Ray", "phone": phone}) == [0, 1]


def test_name_needs_a_second_field() -> None:
    """A name links with the company, and with nothing else known it does not; the company may come by domain or by name."""
    assert people(ANN, {"full_name": "Lee, Ann", "company_domain": "globex.com"}) == [0, 0]
    assert people(ANN, {"full_name": "Ann Lee", "company_name": "Globex Inc."}) == [0, 0]
    assert people({"full_name": "Ann Lee"}, {"full_name": "Ann Lee"}) == [0, 1]


def test_name_threshold_changes_what_links() -> None:
    """`entity_resolution.name_threshold` decides whether a slip of the finger still agrees."""
    rows = (
        {"full_name": "Shirley Bailey", "company_domain": "globex.com"},
        {"full_name": "Shirley Baiely", "company_domain": "globex.com"},
    )
    assert people(*rows) == [0, 0]
    assert people(*rows, settings=config(name_threshold=99)) == [0, 1]


def test_company_threshold_changes_what_links() -> None:
    """`entity_resolution.company_threshold` decides whether company names that differ a little still agree."""
    rows = [{"name": name, "phone": "+12065550100", "city": "Oslo"} for name in ("Globex Robotics", "Globex Rabotics")]
    assert companies(*rows) == [0, 0]
    assert companies(*rows, settings=config(company_threshold=99)) == [0, 1]


def test_email_validation_changes_what_is_evidence() -> None:
    """With `email_validation` a text that is no address links nobody; without it, it counts as written."""
    rows = ({"full_name": "Ann Lee", "email": "ann at globex"}, {"full_name": "Ann Lee", "email": "ann at globex"})
    assert people(*rows) == [0, 1]
    assert people(*rows, settings=config(email_validation=False)) == [0, 0]


def test_a_threshold_may_be_set() -> None:
    """A configured threshold goes before the one that sets itself, and is the model's."""
    settings = replace(CONFIG, person=replace(CONFIG.person, threshold_millibits=50_000))
    found = resolve("person", table([ANN, ANN], PERSON_COLUMNS), settings)
    assert (found.labels.tolist(), found.model.threshold_millibits) == ([0, 1], 50_000)


def test_companies_link_by_domain_and_by_owner() -> None:
    """One domain is one company whatever it is called; a name alone is none; other names in one city are two."""
    assert companies({"name": "Globex", "domain": "globex.com"}, {"name": "Globex Holding Europe", "domain": "globex.com"}) == [0, 0]
    assert companies({"name": "Globex Inc", "city": "Oslo"}, {"name": "Globex", "domain": "globex.com", "city": "Oslo"}) == [0, 0]
    assert companies({"name": "Globex Inc"}, {"name": "Globex"}) == [0, 1]
    assert companies({"name": "Apex Systems", "city": "Oslo"}, {"name": "Apex Solutions", "city": "Oslo"}) == [0, 1]


def test_edges_hold_levels_and_no_values() -> None:
    """An edge names its comparisons and bits; the bits and the prior add up to its weight."""
    resolution = resolve("person", table([ANN, ANN], PERSON_COLUMNS), CONFIG)
    (edge,) = resolution.edges.to_pylist()
    evidence = sum(value for name, value in edge.items() if name.startswith("millibits_"))
    assert round(resolution.model.learnt.prior_bits * 1_000) + evidence == edge["match_weight_millibits"]
    assert (edge["level_given"], edge["level_family"], edge["level_email"]) == ("same", "same", "same")
    assert not {"Ann Lee", "ann@globex.com"} & {value for value in edge.values() if isinstance(value, str)}
    assert resolution.confidences.tolist() == [1.0, 1.0]


def test_a_model_is_the_same_after_it_was_stored() -> None:
    """Written and read, a model has the same hash and says the same of every pair; another tenant's has another hash."""
    rows = table([ANN, ANN, {"full_name": "A. Lee", "company_domain": "globex.com"}], PERSON_COLUMNS)
    first = resolve("person", rows, CONFIG)
    stored = model_from(
        type(parameters_of(first.model)).model_validate_json(parameters_of(first.model).model_dump_json()), first.model.counts
    )
    again = resolve("person", rows, CONFIG, model=stored)
    assert stored.model_hash == first.model.model_hash
    assert again.edges.equals(first.edges)
    assert again.drift == ()
    assert resolve("person", rows.slice(0, 2), CONFIG).model.model_hash != first.model.model_hash


def test_a_model_without_phones_keeps_quiet_about_them_and_says_so() -> None:
    """A comparison that a model has not learnt weighs nothing, and is a reason to train anew."""
    without = resolve("company", table([{"name": "Globex"}, {"name": "Initech"}], COMPANY_COLUMNS), CONFIG)
    rows = table([{"name": "Globex", "phone": "+12065550100"}, {"name": "Hooli", "phone": "+12065550100"}], COMPANY_COLUMNS)
    found = resolve("company", rows, CONFIG, model=without.model)
    assert "phone" not in without.model.levels
    assert not any(name.endswith("_phone") for name in found.edges.column_names)
    assert found.drift == ("not known to it: phone",)


def test_other_settings_are_drift() -> None:
    """A model that was trained under other settings says so."""
    rows = table([ANN, ANN], PERSON_COLUMNS)
    model = resolve("person", rows, CONFIG).model
    assert resolve("person", rows, config(name_threshold=90), model=model).drift == ("the settings changed",)


def test_hot_phone_of_many_finishes_and_links_nobody() -> None:
    """Two thousand people at one switchboard stay two thousand people."""
    rows = [{"full_name": f"Given{number} Family{number}", "phone": "+12065550100"} for number in range(2_000)]
    resolution = resolve("person", table(rows, PERSON_COLUMNS), CONFIG)
    assert len(resolution.clusters) == 2_000
    assert "phone" in [each.rule for each in resolution.capped]


def test_no_records_resolve_to_nothing() -> None:
    """An empty table has no clusters, pairs or edges."""
    for resolution in (resolve("person", table([], PERSON_COLUMNS), CONFIG), resolve("company", table([], COMPANY_COLUMNS), CONFIG)):
        assert resolution.clusters == []
        assert resolution.edges.num_rows == resolution.candidate_pairs == 0


def record(number: int, rank: int = 0, updated_us: int | None = None, **values: str) -> SourceRecord:
    """A record for survivorship."""
    return SourceRecord(record_id=ids(9)[number], source_rank=rank, updated_us=updated_us, values=values)


def golden(*records: SourceRecord) -> dict[str, str]:
    """The surviving values of a person."""
    version = entity_version(ids(1)[0], "person", records, CONFIG)
    return {field: each.value for field, each in version.golden.fields.items()}


def test_survivorship_follows_the_configured_criteria() -> None:
    """Validity before recency, recency before frequency, frequency before trust, each where the configuration says so."""
    assert golden(record(0, email="ann@x.com"), record(1, email="info@x.com", updated_us=9))["email"] == "ann@x.com"
    assert golden(record(0, title="CEO", updated_us=5), record(1, title="CFO", updated_us=3), record(2, title="CFO"))["title"] == "CEO"
    assert golden(record(0, name="Ann Lee"), record(1, 2, name="Anne Lee"), record(2, 3, name="Anne Lee"))["name"] == "Anne Lee"
    assert golden(record(0, 1, name="Ann Lee"), record(1, 0, name="Anne Lee"))["name"] == "Anne Lee"
    assert golden(record(0, name="ANN LEE"), record(1, 5, name="Ann Lee"))["name"] == "Ann Lee"


def test_golden_record_keeps_the_most_frequent_values() -> None:
    """At most twenty values of a field, the most frequent first."""
    rows = [record(number, phone=f"+1206555010{number}") for number in range(8)] + [record(8, phone="+12065550107")]
    version = entity_version(ids(1)[0], "person", rows, CONFIG)
    assert version.golden.fields["phone"].values[0] == "+12065550107"
    assert version.record_count == 9
