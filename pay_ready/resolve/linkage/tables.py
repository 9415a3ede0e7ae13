"""Records of any table: its columns mapped to comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pay_ready.resolve.linkage.caps import Caps, CompanyCaps
from pay_ready.resolve.linkage.columns import Column, Ids, Rows, column_of, first_of, key_of
from pay_ready.resolve.linkage.companies import Companies, companies_of
from pay_ready.resolve.linkage.contact import domains_of, emails_of, phones_of
from pay_ready.resolve.linkage.counts import Counts
from pay_ready.resolve.linkage.learning import Records
from pay_ready.resolve.linkage.mapping import ColumnKind, EntityKind, Kind
from pay_ready.resolve.linkage.organisations import organisation_names
from pay_ready.resolve.linkage.people import People, people_of
from pay_ready.resolve.linkage.texts import addresses_of, texts_of
from pay_ready.resolve.linkage.values import Values, category_from, category_of, cleaned_column, dates_of, identifiers_of, postcodes_of

_PARTS_OF_A_DATE: tuple[Kind, ...] = ("month", "day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What is known of a language community before any record is seen, and the configured levels."""

    nicknames: tuple[frozenset[str], ...]
    role_local_parts: frozenset[str]
    free_mail: frozenset[str]
    similar_name_from: float = 85.0
    similar_company_from: float = 80.0
    email_validation: bool = True  # an address without a dot in its host is none
    person_caps: Caps = field(default_factory=Caps)
    company_caps: CompanyCaps = field(default_factory=CompanyCaps)


def records_of(
    table: pa.Table, kinds: Sequence[ColumnKind], entity: EntityKind, knowledge: Knowledge, counts: Counts | None = None
) -> tuple[Records, Rows]:
    """People or companies of a table, and by row the record that it became; how common values are is counted, or a model's `counts`."""
    counted = counts or Counts()
    by_kind: dict[Kind, list[str]] = {}
    for each in kinds:
        by_kind.setdefault(each.kind, []).append(each.column)
    columns = _Columns(table, by_kind)
    rows = np.arange(table.num_rows)
    if entity == "person":
        return _people(columns, knowledge, counted), rows
    if columns.names("given_name") or columns.names("family_name"):
        return _employers(columns, knowledge, counted)
    return _companies(columns, knowledge, counted), rows


@dataclass(frozen=True, slots=True)
class _Columns:
    table: pa.Table
    by_kind: dict[Kind, list[str]]

    def names(self, kind: Kind) -> list[str]:
        return self.by_kind.get(kind, [])

    def texts(self, column: str) -> pa.Array:
        values = self.table.column(column).combine_chunks()
        return values if pa.types.is_string(values.type) else values.cast(pa.string())

    def first(self, kind: Kind) -> pa.Array:
        """The first value that is there, of all columns of a kind."""
        found = [self.texts(name) for name in self.names(kind)]
        return first_of(*found) if found else pa.nulls(self.table.num_rows, pa.string())

    def joined(self, kind: Kind) -> pa.Array:
        """All columns of a kind in one text."""
        found = [pc.coalesce(self.texts(name), "") for name in self.names(kind)]
        if not found:
            return pa.nulls(self.table.num_rows, pa.string())
        text = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*found, " ")) if len(found) > 1 else found[0]
        return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _values(columns: _Columns, entity: EntityKind, counts: Counts) -> list[Values]:
    found: list[Values] = [category_of(name, columns.texts(name), counts=counts) for name in columns.names("city")]
    found += [category_of(name, columns.texts(name), 0.5, counts) for name in columns.names("title")]
    found += [category_of(name, columns.texts(name), 0.85, counts) for name in columns.names("category")]
    found += [postcodes_of(name, columns.texts(name), counts) for name in columns.names("postcode")]
    found += [dates_of(name, columns.texts(name), counts) for name in columns.names("date")]
    found += [identifiers_of(name, columns.texts(name), counts) for name in columns.names("identifier")]
    if columns.names("address"):
        found.append(addresses_of("address", columns.joined("address"), contradicts=entity == "company", counts=counts))
    if columns.names("year"):
        found.append(dates_of("date", _joined_date(columns), counts))
    found += [texts_of(name, columns.texts(name), (0.0, 0.3, 0.15, 0.1, 0.15, 0.3), counts=counts) for name in columns.names("text")]
    if entity == "company":
        found += [
            texts_of(name, columns.texts(name), (0.0, 0.35, 0.1, 0.1, 0.15, 0.3), counts=counts) for name in columns.names("full_name")
        ]
    return [each for each in found if each.column.filled]


def _joined_date(columns: _Columns) -> pa.Array:
    """Year, month and day of columns of their own; the first where one is not told."""
    parts = [pc.utf8_lpad(pc.coalesce(columns.first(kind), "1"), 2, "0") for kind in _PARTS_OF_A_DATE]
    return pc.binary_join_element_wise(columns.first("year"), *parts, "-")


def _contexts(columns: _Columns, values: Sequence[Values]) -> dict[str, Ids]:
    places = {*columns.names("city"), *columns.names("postcode"), *columns.names("category"), "address"}
    return {each.comparison.name: each.column.ids for each in values if each.comparison.name in places}


def _people(columns: _Columns, knowledge: Knowledge, counts: Counts) -> People:
    values = _values(columns, "person", counts)
    return people_of(
        size=columns.table.num_rows,
        full_name=columns.first("full_name"),
        given_name=columns.first("given_name"),
        family_name=columns.first("family_name"),
        email=columns.first("email"),
        phone=columns.first("phone"),
        company=columns.first("company"),
        domain=columns.first("domain"),
        values=values,
        contexts=_contexts(columns, values),
        nicknames=knowledge.nicknames,
        role_local_parts=knowledge.role_local_parts,
        free_mail=knowledge.free_mail,
        similar_name_from=knowledge.similar_name_from,
        similar_company_from=knowledge.similar_company_from,
        email_validation=knowledge.email_validation,
        caps=knowledge.person_caps,
        counts=counts,
    )


def _companies(columns: _Columns, knowledge: Knowledge, counts: Counts) -> Companies:
    values = _values(columns, "company", counts)
    return companies_of(
        size=columns.table.num_rows,
        name=columns.first("company"),
        domain=columns.first("domain"),
        email=columns.first("email"),
        phone=columns.first("phone"),
        values=values,
        contexts=_contexts(columns, values),
        role_local_parts=knowledge.role_local_parts,
        free_mail=knowledge.free_mail,
        compare_email=True,
        similar_from=knowledge.similar_company_from,
        caps=knowledge.company_caps,
        counts=counts,
    )


def _employers(columns: _Columns, knowledge: Knowledge, counts: Counts) -> tuple[Companies, Rows]:
    """The companies that people's records name, one record for each name with a domain; by row the record that it became."""
    name, phone = organisation_names(columns.first("company")).core, phones_of(columns.first("phone"))
    emails = emails_of(columns.first("email"), knowledge.role_local_parts, knowledge.free_mail, validation=knowledge.email_validation)
    own = domains_of(columns.first("domain"), knowledge.free_mail)
    hosts = pa.array(emails.domains, pa.string()).take(pa.array(emails.host, mask=emails.host < 0))
    domain = column_of(pc.coalesce(own.values.take(pa.array(own.ids, mask=own.ids < 0)), hosts))
    rows = np.arange(columns.table.num_rows)
    unknown = (name.ids < 0) & (domain.ids < 0)
    # A record that names neither is alone with what else it has.
    keys = np.where(unknown, -1 - rows, key_of(name.ids + 1, domain.ids + 1))
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    shared_phone = _most_common(phone.ids, member, len(first), least=2)
    values: list[Values] = []
    for column in columns.names("city"):
        city = cleaned_column(columns.texts(column))
        usual = _most_common(city.ids, member, len(first), least=1)
        values.append(category_from(column, Column(usual, city.values), counts=counts))

    def of_first(texts: pa.Array) -> pa.Array:
        return texts.take(pa.array(first))

    companies = companies_of(
        size=len(first),
        name=of_first(columns.first("company")),
        domain=of_first(domain.values.take(pa.array(domain.ids, mask=domain.ids < 0))),
        email=pa.nulls(len(first), pa.string()),
        phone=phone.values.take(pa.array(shared_phone, mask=shared_phone < 0)),
        values=[each for each in values if each.column.filled],
        contexts={each.comparison.name: each.column.ids for each in values},
        role_local_parts=knowledge.role_local_parts,
        free_mail=knowledge.free_mail,
        similar_from=knowledge.similar_company_from,
        caps=knowledge.company_caps,
        counts=counts,
    )
    return companies, member


def _most_common(ids: Ids, member: Rows, groups: int, least: int) -> Ids:
    """By group the value that most of its rows have, -1 where not even `least` have one; of equally common ones the first."""
    held = np.flatnonzero(ids >= 0)
    pairs, counts = np.unique(member[held].astype(np.int64) << 32 | ids[held], return_counts=True)
    common = counts >= least
    pairs, counts = pairs[common], counts[common]
    order = np.lexsort((-pairs, counts))
    found = np.full(groups, -1, dtype=np.int32)
    found[pairs[order] >> 32] = (pairs[order] & 0xFFFFFFFF).astype(np.int32)
    return found
