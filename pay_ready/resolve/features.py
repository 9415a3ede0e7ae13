"""What the comparisons and blocking rules look at: each field of all records as small integers, equal values sharing one."""

from collections.abc import Callable, Hashable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pay_ready.resolve.name_comparison import CompanyName, PersonName, company_name, domain_root, folded, person_name
from pay_ready.resolve.normalize import is_role_address

T = TypeVar("T", bound=Hashable)
U = TypeVar("U", bound=Hashable)
Ids = NDArray[np.int32]
_SHORTEST_USER_PART = 4

PERSON_COLUMNS = ("record_id", "full_name", "first_name", "last_name", "email", "phone", "title", "city", "company_name", "company_domain")
COMPANY_COLUMNS = ("record_id", "name", "domain", "phone", "city")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A field of all records: `ids[row]` is the position of its value in `values`, -1 where there is none."""

    ids: Ids
    values: Sequence[T]

    def holders(self) -> NDArray[np.int64]:
        """Records that hold each value."""
        return np.bincount(self.ids[self.ids >= 0], minlength=len(self.values)).astype(np.int64)

    def mapped(self, function: Callable[[T], U | None]) -> "Column[U]":
        """The column of a function of the values, computed once per value; None is no value."""
        inner = encode([function(value) for value in self.values])
        ids = np.where(self.ids >= 0, np.append(inner.ids, -1)[self.ids], -1).astype(np.int32)
        return Column(ids, inner.values)


def encode(values: Iterable[T | None]) -> Column[T]:
    """Equal values get one number, in the order of their first appearance."""
    known: dict[T, int] = {}
    ids = [-1 if value is None else known.setdefault(value, len(known)) for value in values]
    return Column(np.array(ids, dtype=np.int32), list(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The person records of a tenant, in the order of their ids."""

    record_ids: list[UUID]
    name: Column[PersonName]
    email: Column[str]
    is_role: NDArray[np.bool_]  # by value of `email`
    user: Column[str]  # local part of an address that is nobody's function
    phone: Column[str]
    title: Column[str]
    city: Column[str]
    domain: Column[str]
    company: Column[CompanyName]
    core: Column[str]  # joined words of the company's name
    root: Column[str]  # owner's label of the domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Companies:
    """The company records of a tenant, in the order of their ids."""

    record_ids: list[UUID]
    name: Column[CompanyName]
    domain: Column[str]
    core: Column[str]
    root: Column[str]
    phone: Column[str]
    city: Column[str]


def in_id_order(table: pa.Table) -> pa.Table:
    """The table sorted by record id, so that nothing downstream can depend on the order of arrival."""
    ids = table.column("record_id").combine_chunks()
    storage = ids.storage if isinstance(ids, pa.ExtensionArray) else ids
    # By whole bytes: a fixed-width numpy string would drop trailing zeros.
    order = sorted(range(len(storage)), key=storage.to_pylist().__getitem__)
    return table.take(pa.array(order, pa.int64()))


def record_ids_of(table: pa.Table) -> list[UUID]:
    """The ids, whether they come as arrow.uuid or as 16 bytes."""
    return [value if isinstance(value, UUID) else UUID(bytes=value) for value in table.column("record_id").to_pylist()]


def people_of(table: pa.Table, role_local_parts: Set[str], *, email_validation: bool = True) -> People:
    """Features of staged person records (`PERSON_COLUMNS`, sorted by `in_id_order`)."""
    email = encode([_address(text, email_validation) for text in _texts(table, "email")])
    domain = encode(_texts(table, "company_domain"))
    company = _companies(table, "company_name")
    names = zip(_texts(table, "full_name"), _texts(table, "first_name"), _texts(table, "last_name"), strict=True)
    return People(
        record_ids=record_ids_of(table),
        name=encode(names).mapped(lambda parts: person_name(*parts)),
        email=email,
        is_role=np.array([is_role_address(address, role_local_parts) for address in email.values], dtype=np.bool_),
        user=email.mapped(lambda address: _user_part(address, role_local_parts)),
        phone=encode(_texts(table, "phone")),
        title=encode(_texts(table, "title")).mapped(_folded_or_none),
        city=encode(_texts(table, "city")).mapped(_folded_or_none),
        domain=domain,
        company=company,
        core=company.mapped(lambda name: name.core),
        root=domain.mapped(domain_root),
    )


def companies_of(table: pa.Table) -> Companies:
    """Features of staged company records (`COMPANY_COLUMNS`, sorted by `in_id_order`)."""
    domain = encode(_texts(table, "domain"))
    name = _companies(table, "name")
    return Companies(
        record_ids=record_ids_of(table),
        name=name,
        domain=domain,
        core=name.mapped(lambda value: value.core),
        root=domain.mapped(domain_root),
        phone=encode(_texts(table, "phone")),
        city=encode(_texts(table, "city")).mapped(_folded_or_none),
    )


def _texts(table: pa.Table, column: str) -> list[str | None]:
    return [text or None for text in table.column(column).to_pylist()]


def _companies(table: pa.Table, column: str) -> Column[CompanyName]:
    return encode(_texts(table, column)).mapped(company_name)


def _folded_or_none(text: str) -> str | None:
    return folded(text) or None


def _address(text: str | None, validation: bool) -> str | None:
    if text is None or not validation:
        return text
    user, at, host = text.rpartition("@")
    return text if user and at and "." in host else None


def _user_part(address: str, role_local_parts: Set[str]) -> str | None:
    user = address.partition("@")[0]
    return None if len(user) < _SHORTEST_USER_PART or user in role_local_parts else user
