"""Staged rows as resolution reads them: which columns there are, in which order, and what each of them is."""

from uuid import UUID

import numpy as np
import pyarrow as pa

from pay_ready.resolve.linkage.mapping import ColumnKind, Kind

PERSON_KINDS: dict[str, Kind] = {
    "full_name": "full_name", "first_name": "given_name", "last_name": "family_name", "email": "email", "phone": "phone", "title": "title",
    "city": "city", "company_name": "company", "company_domain": "domain",
}  # fmt: skip
COMPANY_KINDS: dict[str, Kind] = {"name": "company", "domain": "domain", "phone": "phone", "city": "city"}
PERSON_COLUMNS = ("record_id", *PERSON_KINDS)
COMPANY_COLUMNS = ("record_id", *COMPANY_KINDS)


def staged_kinds(entity_type: str) -> list[ColumnKind]:
    """What the columns of staged people or companies are; company values of a person are the record's own, never an entity's."""
    kinds = PERSON_KINDS if entity_type == "person" else COMPANY_KINDS
    return [ColumnKind(column=column, kind=kind, reason="given") for column, kind in kinds.items()]


def record_id_bytes(table: pa.Table) -> pa.Array:
    """The record ids as 16 bytes each, whether they come as arrow.uuid or as bytes."""
    ids = table.column("record_id").combine_chunks()
    return (ids.storage if isinstance(ids, pa.ExtensionArray) else ids).cast(pa.binary(16))


def in_id_order(table: pa.Table) -> pa.Table:
    """The table sorted by record id, so that nothing downstream can depend on the order of arrival."""
    if not table.num_rows:
        return table
    ids = record_id_bytes(table)
    halves = np.frombuffer(ids.buffers()[1], dtype=">u8")[2 * ids.offset :][: 2 * len(ids)].reshape(-1, 2)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    return table if (np.diff(order) == 1).all() else table.take(pa.array(order))


def uuids(ids: pa.Array) -> list[UUID]:
    """Ids of 16 bytes as UUIDs."""
    return [UUID(bytes=each) for each in ids.to_pylist()]


def record_ids_of(table: pa.Table) -> list[UUID]:
    """The ids of a table, in its order."""
    return uuids(record_id_bytes(table))
