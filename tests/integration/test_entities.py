"""Finding people and companies: what any of their records knows leads to them, a likeness is never taken for the same."""

from collections.abc import Callable

import pytest

from pay_ready.db import entities
from pay_ready.db.entities import EntityMatch, EntityType
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch
from tests.publish_support import CompanyRow, PersonRow, Staged, resolve, stage

# Ann's records are one person by her phone; her golden record shows one of her two addresses.
ANN = (
    PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@summit-grocers.com", phone="+12065550100"),
    PersonRow(source="hubspot", key="id:2", full_name="Ann Lee", email="ann@home.example", phone="+12065550100"),
)
DAN = PersonRow(source="gong", key="id:3", full_name="Dan Okafor", email="dan@tidewater.com", phone="+442079460958")
SUMMIT = (
    CompanyRow(
        source="salesforce", key="id:s", name="Summit Grocers, Inc.", domain="summit-grocers.com", phone="+12065550177", city="Seattle"
    ),
    CompanyRow(source="hubspot", key="id:s", name="Summit Grocers, Inc.", domain="summit.example", phone="+12065550177", city="Seattle"),
)
OTHERS = (
    CompanyRow(source="gong", key="id:t", name="Tidewater Logistics LLC", domain="tidewater.com"),
    CompanyRow(source="gong", key="id:u", name="Northwind One GmbH", domain="northwind-one.com"),
    CompanyRow(source="gong", key="id:v", name="Northwind Two GmbH", domain="northwind-two.com"),
)
Find = Callable[..., list[EntityMatch]]


@pytest.fixture
def find(database: Database, scratch: Scratch, tenant: TenantId) -> Find:
    """`find_entities` on the published rows above."""
    stage(scratch.admin_url, tenant, Staged(companies=(*SUMMIT, *OTHERS), people=(*ANN, DAN)))
    resolve(database, tenant)

    def call(wanted: str, entity_type: EntityType | None = None, region: str = "US", most: int = 10) -> list[EntityMatch]:
        with database.tenant_transaction(tenant) as tx:
            return entities.find_entities(tx, wanted, entity_type, most, region=region)

    return call


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Ann Lee", "Ann Lee"),
        ("ANN@summit-grocers.com", "Ann Lee"),
        ("ann@home.example", "Ann Lee"),
        ("Ann <ann+news@home.example>", "Ann Lee"),
        ("+1 206 555 0100", "Ann Lee"),
        ("(206) 555-0100", "Ann Lee"),
        ("+44 20 7946 0958", "Dan Okafor"),
        ("summit-grocers.com", "Summit Grocers, Inc."),
        ("summit.example", "Summit Grocers, Inc."),
        ("https://www.summit.example/about?x=1", "Summit Grocers, Inc."),
        ("summit grocers", "Summit Grocers, Inc."),
    ],
)
def test_what_any_record_knows_leads_to_its_entity(find: Find, wanted: str, name: str) -> None:
    """Secondary addresses, phones however written, web addresses, a name without its legal form: one match, no guess."""
    assert [(each.name, each.similarity) for each in find(wanted)] == [(name, 100.0)]


@pytest.mark.parametrize(
    "wanted",
    ["anne@home.example", "ann@home.exampel", "https://summit-grocer.com/", "https://linkedin.com/company/summit", "+1 206 555 0199",
     "206-555-0101", "", "   ", "\x00", "\udcff"],
)  # fmt: skip
def test_an_address_or_number_is_never_guessed(find: Find, wanted: str) -> None:
    """One letter or digit off is another person's: nothing is found. Nor do bytes that are no text break the search."""
    assert find(wanted) == []


def test_a_phone_without_its_countrys_code_needs_a_region(find: Find) -> None:
    """The tenant's region says whose number it is; without one it is nobody's."""
    assert [each.name for each in find("020 7946 0958", region="GB")] == ["Dan Okafor"]
    assert find("020 7946 0958", region=entities.NO_REGION) == []


def test_a_misspelt_name_is_marked_as_a_guess(find: Find) -> None:
    """Its similarity is below 100, and legal forms count for nothing."""
    best = find("sumit grocers")[0]
    assert best.name == "Summit Grocers, Inc."
    assert 90 < best.similarity < 100


def test_better_matches_come_first_then_those_of_more_records(find: Find) -> None:
    """Likeness descends; the limit and the type are kept to, the type before the limit."""
    found = find("northwind")
    assert {each.name for each in found} == {"Northwind One GmbH", "Northwind Two GmbH"}
    assert [each.similarity for each in found] == sorted((each.similarity for each in found), reverse=True)
    assert len(find("northwind", most=1)) == 1
    assert find("Ann Lee", "company") == []
    assert [each.name for each in find("+12065550100", "person", most=1)] == ["Ann Lee"]


def test_an_id_of_the_other_type_is_not_shown(find: Find) -> None:
    """A person's id asked for among companies is nobody's."""
    (ann,) = find("ann@home.example")
    assert [each.entity_id for each in find(str(ann.entity_id))] == [ann.entity_id]
    assert find(str(ann.entity_id), "company") == []
