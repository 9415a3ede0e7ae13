"""Which column of an unknown table is what: by its name, and where that is not enough by what is in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal[
    "full_name", "given_name", "family_name", "company", "email", "phone", "domain", "title", "city", "postcode", "address", "date",
    "year", "month", "day", "identifier", "category", "text", "ignore",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
EntityKind = Literal["person", "company"]

# The first pattern that matches the column's name (lower case, words parted by "_") tells its kind.
_BY_NAME: tuple[tuple[str, Kind], ...] = (
    (
        r"^(id|.*_id|uuid|guid|rec_?id|record|row|index|unnamed.*|source|source_.*|.*_source|truth|true_.*|cluster.*|label|created.*|updated.*)$",
        "ignore",
    ),
    (r"^(fore|first|given)_?names?$|^fname.*$|^vorname$|^prenom$|^nombre$", "given_name"),
    (r"^(sur|last|family)_?names?$|^lname.*$|^nachname$|^nom(_de_famille)?$|^apellidos?$", "family_name"),
    (r"^(full|display|person|contact|customer)_?name$|^name$|^(first|given)_.*(surname|last|family).*$", "full_name"),
    (r"^(company|organi[sz]ation|employer|account|business|firm|org|legal|vendor)(_?name)?$", "company"),
    (r"e_?mail", "email"),
    (r"phone|mobile|(^|_)(cell|tel|telephone|fax)($|_)", "phone"),
    (r"domain|web_?site|(^|_)(url|homepage|web)($|_)", "domain"),
    (r"(^|_)(job|title|occupation|position|profession|role)($|_)", "title"),
    (r"post_?code|postal|(^|_)(zip|plz)($|_|code)", "postcode"),
    (r"^(dob|.*birth_?(date|day)|date_of_birth|.*_dob|birth)$", "date"),
    (r"^(by|birth_?year|yob|year_of_birth)$", "year"),
    (r"^(bm|birth_?month)$", "month"),
    (r"^(bd|birth_?day_of_month)$", "day"),
    (
        r"(^|_)(ssn|soc_?sec.*|social.*|passport|tax.*|vat.*|iban|national.*|ein|duns|lei|nin|licen[cs]e.*|registration.*)($|_)",
        "identifier",
    ),
    (r"addr|street|strasse|(^|_)road($|_)", "address"),
    (r"(^|_)(city|town|suburb|place|birth_?place|municipality|village|locality)($|_)|birth_?place", "city"),
    (r"(^|_)(gender|sex|state|region|country|county|province|cuisine|nationality|language)($|_)", "category"),
    (r"(^|_)date($|_)", "ignore"),
    (r"^(lat|lng|lon|latitude|longitude)$", "ignore"),
)
# soc_sec_id ends in "_id" and is no key of the table.
_IDENTIFIERS = re.compile(r"(^|_)(ssn|soc_?sec|social|passport|tax|vat|national|registration|ein|duns|lei)")
_SAMPLE = 2_000
_FEW_VALUES, _MANY_VALUES = 40, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnKind:
    """What a column was taken for, and why."""

    column: str
    kind: Kind
    reason: Literal["given", "name", "content"]


def map_columns(table: pa.Table, entity: EntityKind, given: Mapping[str, Kind], keys: Sequence[str] = ()) -> list[ColumnKind]:
    """The kind of every column.

    Args:
        table: What is to be resolved.
        entity: A company's table has its name in "name".
        given: Kinds that the user set, by column.
        keys: Columns that are no evidence: the truth, the record's key.
    """
    found = []
    for column in table.column_names:
        if column in given:
            found.append(ColumnKind(column=column, kind=given[column], reason="given"))
        elif column in keys or not is_text_like(table.schema.field(column).type):
            found.append(ColumnKind(column=column, kind="ignore", reason="given"))
        else:
            found.append(_by_name(column, table.column(column), entity))
    return found


def is_text_like(kind: pa.DataType) -> bool:
    """Whether values of an Arrow type can be compared as texts: texts, numbers, dates; no lists, structures or bytes."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_nested(value) or pa.types.is_binary(value) or pa.types.is_large_binary(value) or pa.types.is_null(value))


def _by_name(column: str, values: pa.ChunkedArray, entity: EntityKind) -> ColumnKind:
    name = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()).strip("_")
    if _IDENTIFIERS.search(name):
        return ColumnKind(column=column, kind="identifier", reason="name")
    for pattern, kind in _BY_NAME:
        if re.search(pattern, name):
            if entity == "company" and kind == "full_name" and name == "name":
                return ColumnKind(column=column, kind="company", reason="name")
            return ColumnKind(column=column, kind=kind, reason="name")
    return ColumnKind(column=column, kind=_by_content(values), reason="content")


def _by_content(values: pa.ChunkedArray) -> Kind:
    texts = pc.drop_null(values.slice(0, _SAMPLE).combine_chunks().cast(pa.string()))
    count = max(len(texts), 1)

    def share(pattern: str) -> float:
        return float(pc.sum(pc.match_substring_regex(texts, pattern).cast(pa.int64())).as_py() or 0) / count

    if share(r"^[^@\s]+@[^@\s]+\.[^@\s]+$") > 0.7:
        return "email"
    if share(r"^\d{4}-\d\d-\d\d|^\d{1,2}[./]\d{1,2}[./]\d{4}$") > 0.7:
        return "date"
    if share(r"^[+(]?[\d][\d\s().-]{6,}$") > 0.7 and share(r"[\s().+-]") > 0.3:
        return "phone"
    if share(r"^(https?://|www\.)\S+$") > 0.7:
        return "domain"
    distinct = len(texts.unique())
    if distinct <= max(_FEW_VALUES, _MANY_VALUES * count):
        return "category"
    return "text"
