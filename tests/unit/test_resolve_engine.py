"""What the engine links and what it leaves apart, by cases; blocks, weights and golden records beside it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from pay_ready.model.ids import stable_id
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.resolve.blocking import BlockKeys, candidate_pairs
from pay_ready.resolve.clusters import cluster
from pay_ready.resolve.engine import resolve_companies, resolve_people
from pay_ready.resolve.features import COMPANY_COLUMNS, PERSON_COLUMNS
from pay_ready.resolve.golden import entity_version
from pay_ready.resolve.survivorship import SourceRecord
from pay_ready.resolve.weights import match_probability, rarity_millibits, shipped_model, size_bits
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
    return resolve_people(table(rows, PERSON_COLUMNS), settings).labels.tolist()


def companies(*rows: Row, settings: ResolutionConfig = CONFIG) -> list[int]:
    """The cluster of each company row, named by its first row."""
    return resolve_companies(table(rows, COMPANY_COLUMNS), settings).labels.tolist()


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
    assert people({"full_name": "Ann Lee", "title": "CFO"}, {"full_name": "Ann Lee", "title": "CFO"}) == [0, 1]


def test_user_part_at_another_host_is_a_second_field() -> None:
    """The same person at work and at home keeps the part before the @."""
    home = {"full_name": "Nathan Sanders", "email": "nathan.sanders@gmail.com"}
    assert people({"full_name": "Nathan Sanders", "email": "nathan.sanders@globex.com"}, home) == [0, 0]


def test_chain_of_initials_joins_no_two_people() -> None:
    """ "J. Lee" may be John or James, but does not make them one."""
    rows = [{"full_name": name, "company_domain": "globex.com"} for name in ("John Lee", "James Lee", "J. Lee")]
    found = people(*rows)
    assert found[0] != found[1]


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
    rows = ({"name": "Globex Robotics", "city": "Oslo"}, {"name": "Globex Robotic", "city": "Oslo"})
    assert companies(*rows) == [0, 0]
    assert companies(*rows, settings=config(company_threshold=99)) == [0, 1]


def test_email_validation_changes_what_is_evidence() -> None:
    """With `email_validation` a text that is no address links nobody; without it, it counts as written."""
    rows = ({"full_name": "Ann Lee", "email": "ann at globex"}, {"full_name": "Ann Lee", "email": "ann at globex"})
    assert people(*rows) == [0, 1]
    assert people(*rows, settings=config(email_validation=False)) == [0, 0]


def test_companies_link_by_domain_and_by_owner() -> None:
    """One domain is one company whatever it is called; a name alone is none; a domain that carries the name links."""
    assert companies({"name": "Globex", "domain": "globex.com"}, {"name": "Globex Holding Europe", "domain": "globex.com"}) == [0, 0]
    assert companies({"name": "Globex Inc"}, {"name": "Globex"}) == [0, 1]
    assert companies({"name": "Globex Inc"}, {"name": "Globex", "domain": "globex.com"}) == [0, 0]
    assert companies({"name": "Apex Systems", "city": "Oslo"}, {"name": "Apex Solutions", "city": "Oslo"}) == [0, 1]


def test_edges_hold_levels_and_no_values() -> None:
    """An edge names its comparisons and bits; the bits and the prior add up to its weight."""
    resolution = resolve_people(table([ANN, ANN], PERSON_COLUMNS), CONFIG)
    (edge,) = resolution.edges.to_pylist()
    evidence = sum(value for name, value in edge.items() if name.startswith("millibits_"))
    assert resolution.model.prior_millibits + evidence == edge["match_weight_millibits"]
    assert (edge["level_name"], edge["level_email"], edge["level_phone"]) == ("exact", "exact", "null")
    assert not {"Ann Lee", "ann@globex.com"} & {value for value in edge.values() if isinstance(value, str)}
    assert resolution.confidences.tolist() == [1.0, 1.0]


def test_strongest_link_is_taken_first() -> None:
    """Where a cannot-link lets only one of two links stand, it is the stronger one; of equals the one of the lower rows."""
    links = (np.array([0, 1]), np.array([1, 2]))
    weak_first = cluster(3, *links, np.array([4_000, 9_000]), cannot_link=[(0, 2)])
    assert (weak_first.labels.tolist(), weak_first.cut.tolist()) == ([0, 1, 1], [True, False])
    assert cluster(3, *links, np.array([9_000, 4_000]), cannot_link=[(0, 2)]).labels.tolist() == [0, 0, 2]
    assert cluster(3, *links, np.array([4_000, 4_000]), cannot_link=[(0, 2)]).labels.tolist() == [0, 0, 2]


def test_hot_block_is_left_out_and_reported() -> None:
    """A block over its cap gives no pair and is counted; the others are compared."""
    keys = BlockKeys("phone", np.arange(6), np.array([1, 1, 1, 1, 2, 2]))
    pairs = candidate_pairs([keys], 6, {"phone": 3}, "person")
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [(4, 5)]
    (capped,) = pairs.capped
    assert (capped.rule, capped.blocks, capped.records, capped.pairs) == ("phone", 1, 4, 6)


def test_pairs_come_once() -> None:
    """Records that share two keys, or a key twice, are one pair."""
    keys = [BlockKeys("email", np.array([0, 1, 2]), np.array([5, 5, 5])), BlockKeys("phone", np.array([1, 0, 1]), np.array([7, 7, 7]))]
    pairs = candidate_pairs(keys, 3, {"email": 10, "phone": 10}, "person")
    assert list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 2)]


def test_hot_phone_of_many_finishes_and_links_nobody() -> None:
    """Two thousand people at one switchboard stay two thousand people."""
    rows = [{"full_name": f"Given{number} Family{number}", "phone": "+12065550100"} for number in range(2_000)]
    resolution = resolve_people(table(rows, PERSON_COLUMNS), CONFIG)
    assert len(resolution.clusters()) == 2_000
    assert [each.rule for each in resolution.capped] == ["phone"]


def test_weights_follow_size_and_rarity() -> None:
    """The prior falls a bit as the tenant doubles; a value's evidence falls a bit as its holders double; both in whole bits."""
    small, large = (shipped_model("person", CONFIG.person, records) for records in (1_000, 2_000))
    assert small.prior_millibits - large.prior_millibits == 1_000
    assert rarity_millibits(large, np.array([1, 4, 5, 7, 2_051])).tolist() == [11_000, 11_000, 10_000, 9_000, 0]
    assert (size_bits(0), size_bits(256), size_bits(257)) == (8, 8, 9)
    assert match_probability(1_000) == pytest.approx(2 / 3, abs=1e-4)


def test_no_records_resolve_to_nothing() -> None:
    """An empty table has no clusters, pairs or edges."""
    for resolution in (resolve_people(table([], PERSON_COLUMNS), CONFIG), resolve_companies(table([], COMPANY_COLUMNS), CONFIG)):
        assert resolution.clusters() == []
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
