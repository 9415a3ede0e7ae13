"""The forty customer companies of the demo, with the spellings that their names get in the wild: `tables/companies.csv`.

The table holds traps on purpose: Harbor Lane and Harbour Light, Summit Grocers and Summit Grocery Supply sound alike and are not the same;
Meridian Canada and Rheinblick Radiologie belong to a group and are companies of their own; Marienhof is a customer of both tenants.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).parent / "tables" / "companies.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """A customer company; `key` is its identity in the truth file, the same in both tenants."""

    key: str
    legal: str
    short: str
    variants: tuple[str, ...]  # further spellings: acronyms, typos, other legal forms
    domain: str
    industry: str
    street: str
    city: str
    state: str
    postal_code: str
    country: str  # ISO 3166 alpha-2
    employees: int
    weight: int  # 1 to 3: how many people and how much work it brings
    parent: str  # key of the parent company, or empty


def companies_of(tenant: str) -> tuple[Company, ...]:
    """The customers of a tenant, in the order of the table."""
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        return tuple(_company(row) for row in csv.DictReader(lines, delimiter="|") if tenant in row["tenants"].split())


def _company(row: dict[str, str]) -> Company:
    return Company(
        key=row["key"],
        legal=row["legal"],
        short=row["short"],
        variants=tuple(name for name in row["variants"].split(";") if name),
        domain=row["domain"],
        industry=row["industry"],
        street=row["street"],
        city=row["city"],
        state=row["state"],
        postal_code=row["postal_code"],
        country=row["country"],
        employees=int(row["employees"]),
        weight=int(row["weight"]),
        parent=row["parent"],
    )
