"""What the database says of its own tables: the source from which every attack of this suite is generated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

# The one table that belongs to no tenant: the ledger of migrations. Any other table without a tenant fails the suite.
TENANTLESS = frozenset({"schema_migrations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column; `default` is SQL text or None, `comment` is "class: meaning"."""

    name: str
    type: str
    not_null: bool
    default: str | None
    comment: str | None

    @property
    def data_class(self) -> str | None:
        """public, internal, personal or secret; None when the comment does not say."""
        word = (self.comment or "").partition(":")[0]
        return word if word in ("public", "internal", "personal", "secret") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Columns of the child and, in the same order, of the parent."""

    name: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


_BATCH = ("tenant_id", "source_id", "stream", "batch_id")
# References that statement triggers keep, because a foreign key asks once a row; attacked like keys, and test_batch_reference.
KEPT_BY_TRIGGERS: Mapping[str, ForeignKey] = {
    "landed_records": ForeignKey(name="landed_records_batch_fkey", columns=_BATCH, parent="landing_batches", parent_columns=_BATCH),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """An index with its columns in order; an expression is the empty string."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    primary: bool
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A CHECK constraint, the columns it reads and its expression."""

    name: str
    columns: tuple[str, ...]
    expression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A row-security policy: for which command (`*` is all), to which roles, with its two expressions."""

    name: str
    command: str
    permissive: bool
    roles: tuple[str, ...]
    using: str | None
    with_check: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table or partition with everything that the attacks need to know."""

    name: str
    is_partition_of: str | None
    row_security: bool
    forced: bool
    comment: str | None
    columns: Mapping[str, Column]
    foreign_keys: Sequence[ForeignKey]
    indexes: Sequence[Index]
    checks: Sequence[Check]
    policies: Sequence[Policy]

    @property
    def key_columns(self) -> frozenset[str]:
        """Columns of some primary key or unique index, the tenant left out."""
        return frozenset(name for index in self.indexes if index.unique for name in index.columns if name) - {"tenant_id"}

    @property
    def primary_key(self) -> tuple[str, ...]:
        return next(index.columns for index in self.indexes if index.primary)


def read_tables(connection: psycopg.Connection[Any], schema: str = "pay_ready") -> Mapping[str, Table]:
    """Every tenant table and partition of the schema by name, parents before children."""
    found = {
        name: Table(
            name=name,
            is_partition_of=parent,
            row_security=row_security,
            forced=forced,
            comment=comment,
            columns=_columns(connection, oid),
            foreign_keys=[*_foreign_keys(connection, oid), *([KEPT_BY_TRIGGERS[name]] if name in KEPT_BY_TRIGGERS else [])],
            indexes=_indexes(connection, oid),
            checks=_checks(connection, oid),
            policies=_policies(connection, oid),
        )
        for oid, name, parent, row_security, forced, comment in connection.execute(_TABLES, (schema,)).fetchall()
        if name not in TENANTLESS
    }
    return {name: found[name] for name in parents_first(found)}


def parents_first(tables: Mapping[str, Table]) -> Sequence[str]:
    """Table names such that each comes after every other table that its foreign keys point at."""
    order: list[str] = []
    waiting = dict(tables)
    while waiting:
        ready = [
            name
            for name, table in waiting.items()
            if all(key.parent not in waiting or key.parent == name for key in table.foreign_keys) and table.is_partition_of not in waiting
        ]
        assert ready, f"foreign keys in a circle: {sorted(waiting)}"
        order += sorted(ready)
        waiting = {name: table for name, table in waiting.items() if name not in ready}
    return order


_TABLES: LiteralString = """
    select c.oid, c.relname, p.relname, c.relrowsecurity, c.relforcerowsecurity, obj_description(c.oid, 'pg_class')
    from pg_class as c
    left join pg_inherits as i on i.inhrelid = c.oid
    left join pg_class as p on p.oid = i.inhparent
    where c.relnamespace = %s::regnamespace and c.relkind in ('r', 'p', 'f', 'm')
    order by c.relname
"""


def _names(attnums: LiteralString, relation: LiteralString) -> LiteralString:
    """SQL for the names of the numbered columns of a relation, in that order."""
    return (
        f"array(select coalesce(a.attname, '')::text from unnest({attnums}) with ordinality as k (n, o)"
        f" left join pg_attribute as a on a.attrelid = {relation} and a.attnum = k.n order by k.o)"
    )


def _columns(connection: psycopg.Connection[Any], oid: int) -> Mapping[str, Column]:
    rows = connection.execute(
        "select a.attname, format_type(a.atttypid, null), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),"
        " col_description(a.attrelid, a.attnum) from pg_attribute as a"
        " left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum"
        " where a.attrelid = %s and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum",
        (oid,),
    )
    return {
        name: Column(name=name, type=kind, not_null=not_null, default=default, comment=comment)
        for name, kind, not_null, default, comment in rows
    }


def _foreign_keys(connection: psycopg.Connection[Any], oid: int) -> Sequence[ForeignKey]:
    rows = connection.execute(
        "select c.conname, " + _names("c.conkey", "c.conrelid") + ", p.relname, " + _names("c.confkey", "c.confrelid")
        + " from pg_constraint as c join pg_class as p on p.oid = c.confrelid"
        " where c.conrelid = %s and c.contype = 'f' order by c.conname",
        (oid,),
    )  # fmt: skip
    return [
        ForeignKey(name=name, columns=tuple(columns), parent=parent, parent_columns=tuple(parent_columns))
        for name, columns, parent, parent_columns in rows
    ]


def _indexes(connection: psycopg.Connection[Any], oid: int) -> Sequence[Index]:
    rows = connection.execute(
        "select c.relname, " + _names("i.indkey::int2[]", "i.indrelid") + ", i.indisunique, i.indisprimary,"
        " pg_get_indexdef(i.indexrelid) from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " where i.indrelid = %s order by c.relname",
        (oid,),
    )  # fmt: skip
    return [
        Index(name=name, columns=tuple(columns), unique=unique, primary=primary, definition=definition)
        for name, columns, unique, primary, definition in rows
    ]


def _checks(connection: psycopg.Connection[Any], oid: int) -> Sequence[Check]:
    rows = connection.execute(
        "select c.conname, " + _names("c.conkey", "c.conrelid") + ", pg_get_expr(c.conbin, c.conrelid)"
        " from pg_constraint as c where c.conrelid = %s and c.contype = 'c' order by c.conname",
        (oid,),
    )  # fmt: skip
    return [Check(name=name, columns=tuple(columns), expression=expression) for name, columns, expression in rows]


def _policies(connection: psycopg.Connection[Any], oid: int) -> Sequence[Policy]:
    rows = connection.execute(
        "select p.polname, p.polcmd::text, p.polpermissive,"
        " array(select case r when 0 then 'public' else pg_get_userbyid(r)::text end from unnest(p.polroles) as r order by 1),"
        " pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)"
        " from pg_policy as p where p.polrelid = %s order by p.polname",
        (oid,),
    )
    return [
        Policy(name=name, command=command, permissive=permissive, roles=tuple(roles), using=using, with_check=with_check)
        for name, command, permissive, roles, using, with_check in rows
    ]
