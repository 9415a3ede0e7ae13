"""Blocks as rows: what each record was compared by, who else is there, and the edges of records that moved."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pay_ready.db.id_arrays import Ids, few_ids, hex_of, ids_of, number_list, uuid_list
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.resolution import EntityType
from pay_ready.resolve.linkage.moves import MEMBER, NEAR, PAIR, Members
from pay_ready.resolve.linkage.plain_moves import IdPair, Place

Numbers = NDArray[np.int64]
_PLANNER = ("hash_joins", "merge_joins", "kept_rows", "scans", "compiled")  # ways that are not by key
_FEW_KEYS = 100
_STORED = np.dtype([("block", "<i8"), ("place", "<i8")])
MATE = np.dtype([("entity", "S16"), ("record", "S16"), ("confidence", "<i8")])  # who is in an entity, and how sure, in ten-thousandths
_BOND = np.dtype([("kind", "<i8"), ("one", "S16"), ("other", "S16"), ("confidence", "<i8")])


def members(tx: TenantTransaction, records: Ids) -> Members:
    """What these records were compared by; nothing of those that were never resolved."""
    return _members(tx.rows("blocks.blocks_of", {"record_ids": uuid_list(records)}))


def _members(rows: list[Any]) -> Members:
    stored = np.frombuffer(b"".join(row.blocks for row in rows), dtype=_STORED)
    held = [len(row.blocks) // _STORED.itemsize for row in rows]
    ids = np.array([row.record_id.bytes for row in rows], dtype="S16")
    found = np.empty(len(stored), dtype=MEMBER)
    found["block"], found["place"], found["record"] = stored["block"], stored["place"], np.repeat(ids, held)
    return found


def put_all(tx: TenantTransaction, entity_type: EntityType, records: Ids, new: Members) -> None:
    """Make the blocks of all records of a type these (by record, ascending); what stands is not written."""
    stood = {row.record_id.bytes: bytes(row.blocks) for row in tx.rows("blocks.all_blocks", {"entity_type": entity_type})}
    ends = np.searchsorted(new["record"], records, side="right")
    starts = np.searchsorted(new["record"], records, side="left")
    changed = np.ones(len(records), dtype=np.bool_)
    gone: list[bytes] = []
    if stood:
        told = _packed(new).tobytes()
        keys = [each.ljust(16, b"\0") for each in records.tolist()]
        for row, (record, start, end) in enumerate(zip(keys, starts.tolist(), ends.tolist(), strict=True)):
            changed[row] = stood.pop(record, None) != (told[start * _STORED.itemsize : end * _STORED.itemsize] or None)
        gone = list(stood)
    moved = np.union1d(records[changed], np.array(gone, dtype="S16")) if gone else records[changed]
    drop_members(tx, members(tx, moved))
    add_members(tx, entity_type, moved, new[np.repeat(changed, ends - starts)])


def look_up_by_key(tx: TenantTransaction) -> None:
    """Until the transaction ends: look up by key, as everything here is made for.

    A planner that has no statistics yet of a table that was just filled would read all of a tenant's rows, once or,
    from what it keeps of them, once a key.
    """
    tx.row("blocks.set_planner", dict.fromkeys(_PLANNER, "off"))


@contextmanager
def by_index(tx: TenantTransaction) -> Iterator[None]:
    """`look_up_by_key` for some statements."""
    before = tx.row("blocks.planner_settings")
    look_up_by_key(tx)
    yield
    tx.row("blocks.set_planner", dict(zip(_PLANNER, before or (), strict=True)))


def make_tables(tx: TenantTransaction) -> None:
    """The temporary tables of this transaction."""
    tx.execute("blocks.make_member_table")
    tx.execute("blocks.make_record_table")


def drop_members(tx: TenantTransaction, old: Members) -> None:
    """Take records out of their blocks."""
    if len(old):
        _load(tx, old)
        tx.execute("blocks.analyze_member_table")
        tx.execute("blocks.drop_members")


def add_members(tx: TenantTransaction, entity_type: EntityType, records: Ids, new: Members) -> None:
    """Put records into their blocks.

    Args:
        tx: The transaction.
        entity_type: What the records are about.
        records: All of them, ascending; those without a block are gone, or have nothing to be compared by.
        new: Their blocks, by record.
    """
    starts, ends = (np.searchsorted(new["record"], records, side=side) for side in ("left", "right"))
    flat, size = _packed(new).tobytes(), _STORED.itemsize
    tx.execute("blocks.empty_record_table")
    with tx.copy_into("moved_records", ("record_id", "entity_type", "blocks")) as copy:
        for record, start, end in zip(hex_of(records), starts.tolist(), ends.tolist(), strict=True):
            copy.write_row((record, entity_type, flat[start * size : end * size] or None))
    if (starts == ends).any():
        tx.execute("blocks.drop_record_blocks")
    tx.execute("blocks.put_record_blocks")
    if len(new):
        _load(tx, new)
        tx.execute("blocks.add_members")


def _packed(rows: Members) -> NDArray[np.void]:
    stored = np.empty(len(rows), dtype=_STORED)
    stored["block"], stored["place"] = rows["block"], rows["place"]
    return stored


def _load(tx: TenantTransaction, rows: Members) -> None:
    tx.execute("blocks.empty_member_table")
    tx.copy_numbers("moved_members", rows)


@dataclass(frozen=True, slots=True)
class BlockRows:
    """Who is in blocks now (`moves.Standing`)."""

    tx: TenantTransaction

    def others(self, blocks: Numbers, limits: Numbers) -> Members:
        """The members of blocks, of each as many as its limit says."""
        params = {"blocks": number_list(blocks), "limits": number_list(limits)}
        return _found(self.tx, "blocks.others", params, MEMBER, asked=len(blocks))

    def near(self, asked: Members, windows: Numbers) -> Members:
        """The nearest members on both sides of places, as many as each window says."""
        if not len(asked):
            return np.empty(0, dtype=NEAR)
        params = {
            "blocks": number_list(asked["block"]), "places": number_list(asked["place"]), "record_ids": uuid_list(asked["record"]),
            "windows": number_list(windows),
        }  # fmt: skip
        return _found(self.tx, "blocks.near", params, NEAR, asked=len(asked))

    def sizes(self, blocks: Numbers, limits: Numbers) -> Numbers:
        """How many members blocks have, counted up to a limit each."""
        return self._counted("blocks.sizes", {"blocks": number_list(blocks), "limits": number_list(limits)}, len(blocks))

    def between(self, first: Members, last: Members, windows: Numbers) -> Numbers:
        """How many members lie between two places of a block, counted up to a window each."""
        params = {
            "blocks": number_list(first["block"]), "windows": number_list(windows),
            "first_places": number_list(first["place"]), "first_ids": uuid_list(first["record"]),
            "last_places": number_list(last["place"]), "last_ids": uuid_list(last["record"]),
        }  # fmt: skip
        return self._counted("blocks.between", params, len(first))

    def few_others(self, limits: Mapping[int, int]) -> dict[int, list[bytes]]:
        """The members of a handful of blocks."""
        found: dict[int, list[bytes]] = {}
        for row in self.tx.rows("blocks.others", {"blocks": list(limits), "limits": list(limits.values())}):
            found.setdefault(row.block, []).append(row.record_id.bytes)
        return found

    def few_near(self, record: bytes, asked: Mapping[int, Place]) -> dict[int, tuple[list[bytes], list[bytes]]]:
        """The nearest members on both sides of a record's places in a handful of blocks."""
        params = {
            "blocks": list(asked), "places": [each.place for each in asked.values()], "record_ids": few_ids([record] * len(asked)),
            "windows": [each.window for each in asked.values()],
        }  # fmt: skip
        rows = sorted(self.tx.rows("blocks.near", params), key=lambda row: (row.place, row.record_id))
        found: dict[int, tuple[list[bytes], list[bytes]]] = {block: ([], []) for block in asked}
        for row in rows:
            found[row.block][row.is_after].append(row.record_id.bytes)
        for before, _ in found.values():
            before.reverse()
        return found

    def _counted(self, name: str, params: Mapping[str, object], asked: int) -> Numbers:
        rows = self.tx.rows(name, params) if asked else []
        return np.array([row.members for row in rows], dtype=np.int64)


def drop_edges_of(tx: TenantTransaction, scope: Mapping[str, object], records: Ids) -> Ids:
    """Forget what a model said of records; the other records of those of its pairs that matched."""
    found = tx.rows("blocks.drop_edges_of", {**scope, "record_ids": uuid_list(records)})
    return ids_of([row.other_id for row in found])


def edges_among(tx: TenantTransaction, scope: Mapping[str, object], records: Ids) -> NDArray[np.void]:
    """Pairs (`left`, `right`) of these records of which a model keeps an edge."""
    found = _found(tx, "blocks.edges_after", {**scope, "record_ids": uuid_list(records)}, PAIR, asked=len(records))
    return found[np.isin(found["right"], records)]


def drop_pairs(tx: TenantTransaction, scope: Mapping[str, object], left: Ids, right: Ids) -> None:
    """Forget what a model said of pairs."""
    tx.execute("blocks.drop_pairs", {**scope, "left_ids": uuid_list(left), "right_ids": uuid_list(right)})


def bonds_of(tx: TenantTransaction, scope: Mapping[str, object], records: Ids) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Everybody who is published together with one of these records (`MATE`), and the matches (`PAIR`) of a model with one of all these."""
    found = _found(tx, "blocks.bonds_of", {**scope, "record_ids": uuid_list(records)}, _BOND, asked=len(records))
    matches, together = found[found["kind"] == 0], found[found["kind"] == 1]
    links, mates = np.empty(len(matches), dtype=PAIR), np.empty(len(together), dtype=MATE)
    links["left"], links["right"] = matches["one"], matches["other"]
    mates["entity"], mates["record"], mates["confidence"] = together["one"], together["other"], together["confidence"]
    return links, mates


@dataclass(frozen=True, slots=True)
class Bonds:
    """What connects a handful of records."""

    links: set[IdPair]  # matches
    entity_of: dict[bytes, bytes]  # by record that is published


def few_bonds_of(tx: TenantTransaction, scope: Mapping[str, object], records: Iterable[bytes]) -> Bonds:
    """`bonds_of` a handful of records."""
    found = Bonds(set(), {})
    for row in tx.rows("blocks.bonds_of", {**scope, "record_ids": few_ids(records)}):
        if row.kind:
            found.entity_of[row.other_id.bytes] = row.one_id.bytes
        else:
            found.links.add((row.one_id.bytes, row.other_id.bytes))
    return found


def _found(tx: TenantTransaction, name: str, params: Mapping[str, object], fields: np.dtype[np.void], *, asked: int) -> NDArray[np.void]:
    """The rows about so many keys as numpy, in any order."""
    return tx.few_out(name, params, fields) if asked <= _FEW_KEYS else tx.packed_out(name, params, fields)
