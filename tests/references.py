"""Writes `sql/queries/references.sql` from the catalogue: one statement a table that looks for references which lead nowhere.

    python -m tests.references URL-OF-A-MIGRATED-DATABASE

`tests/integration/test_verify.py` fails when the file and the catalogue differ.
"""

import sys

import psycopg

from pay_ready.resources import resource_path
from tests.isolation.catalogue import ForeignKey, Table, read_tables

FILE = resource_path("sql", "queries") / "references.sql"
_HEAD = "-- References that lead nowhere, a statement a table; written from the catalogue by `python -m tests.references`, never by hand.\n"
_PERSONAL = "personal"


def statements(connection: psycopg.Connection[object]) -> str:
    """The whole file."""
    tables = read_tables(connection)
    return "\n".join([_HEAD, *(_statement(table) for _, table in sorted(tables.items()) if _keys(table))])


def _keys(table: Table) -> list[ForeignKey]:
    """References beyond the tenant; those of a partition are its parent's."""
    keys = [] if table.is_partition_of else [key for key in table.foreign_keys if len(key.columns) > 1]
    return sorted(keys, key=lambda each: each.columns)


def _statement(table: Table) -> str:
    branches = "    union all\n".join(_branch(table, key) for key in _keys(table))
    return (
        f"-- name: {table.name}\n"
        f"with wrong as materialized (\n{branches})\n"
        "select\n"
        f"    (select count(*) from pay_ready.{table.name} where tenant_id = %(tenant_id)s) as checked,\n"
        "    (select count(*) from wrong) as wrong,\n"
        "    array(select offender from wrong order by offender limit %(most)s) as offenders,\n"
        "    0::bigint as pending;\n"
    )


def _branch(table: Table, key: ForeignKey) -> str:
    pairs = [(own, other) for own, other in zip(key.columns, key.parent_columns, strict=True) if own != "tenant_id"]
    columns = [own for own, _ in pairs]
    # A distinct value is looked up once; what is personal of it is not shown.
    shown = [own for own in columns if table.columns[own].data_class != _PERSONAL]
    told = " || ' ' || ".join(f"child.{column}::text" for column in shown)
    conditions = "".join(f"\n          and {column} is not null" for column in columns)
    joined = "".join(f"\n          and parent.{other} = child.{own}" for own, other in pairs)
    return (
        f"    select '{table.name}.{shown[-1]} ' || {told} as offender\n"
        f"    from (\n        select distinct {', '.join(columns)}\n        from pay_ready.{table.name}\n"
        f"        where tenant_id = %(tenant_id)s{conditions}\n    ) as child\n"
        f"    where not exists (\n        select from pay_ready.{key.parent} as parent\n"
        f"        where parent.tenant_id = %(tenant_id)s{joined}\n    )\n"
    )


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as connection:
        FILE.write_text(statements(connection), "utf-8")
