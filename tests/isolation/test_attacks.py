"""Every attack on every table of the catalogue, directly and through PgBouncer in transaction mode."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from .attacks import TABLE_ATTACKS, UNSET, Attack, Attacker, errors_name_no_values, own_rows, with_tenant
from .catalogue import Table
from .conftest import Filled, Route, enter
from .rows import STRANGER


@pytest.mark.parametrize("attack", TABLE_ATTACKS, ids=lambda attack: attack.__name__)
def test_no_table_yields(attack: Attack, attacker: Attacker, filled: Filled) -> None:
    """The attack finds nothing in any table, and the errors on its way name nobody's values."""
    findings = [finding for table in filled.open_tables for finding in attack(attacker, table)]
    assert [*findings, *errors_name_no_values(attacker)] == []


def test_every_table_is_covered(filled: Filled) -> None:
    """Each table of the schema has rows of both tenants, with the same keys in both: a new table cannot slip by.

    Of a partitioned one, as many as its partitions together: each row lies in the one that is its own.
    """
    for name, table in filled.tables.items():
        if table.is_partition_of:
            continue
        parts = [each for each in filled.tables.values() if each.is_partition_of == name]
        for owner in (filled.world.first, filled.world.second):
            assert not parts or sum(own_rows(filled.world, each, owner) for each in parts) == own_rows(filled.world, table, owner), name
        first, second = (filled.world.of(owner, 0).get(name) for owner in (filled.world.first, filled.world.second))
        assert first, f"{name} has no row of the first tenant"
        assert second, f"{name} has no row of the second tenant"
        if name != "tenants":
            key = [column for column in table.primary_key if column not in ("tenant_id", "logged_at", "taken_at")]
            assert [first[column] for column in key] == [second[column] for column in key], f"{name}: keys do not overlap"
        assert filled.world.of(filled.world.second, STRANGER).get(name), f"{name} has no row that only one tenant has"


def test_vectors_of_an_embedder_are_covered(filled: Filled) -> None:
    """The table that an administrator makes for an embedder is in the catalogue with its partitions, and attacked like the others."""
    if filled.embedder_tag is None:
        pytest.skip("this server has no pgvector")
    names = [name for name in filled.tables if name.startswith(f"memory_vectors_{filled.embedder_tag}")]
    assert len(names) == 9
    (table,) = (each for each in filled.open_tables if each.name in names)
    assert {key.parent for key in table.foreign_keys} == {"memories"}


def test_a_session_without_a_tenant_reads_and_writes_nothing(route: Route, filled: Filled) -> None:
    """Where the setting was never made, every table raises: no rows, and no silence either."""
    findings = []
    with psycopg.connect(route.app_url, prepare_threshold=None) as connection:
        for table in filled.open_tables:
            for text in ("select 1 from {} limit 1", "delete from {}", "copy {} to stdout"):
                try:
                    with connection.transaction(force_rollback=True):
                        given = _given(connection, sql.SQL(text).format(sql.Identifier("pay_ready", table.name)))
                except psycopg.Error as error:
                    if not isinstance(error, (*UNSET, pg.InsufficientPrivilege)):
                        findings.append(f"{table.name}: {text}: {error!r}")
                else:
                    # COPY of a partitioned table under row security reads the parent alone, which has no rows.
                    if given or not text.startswith("copy"):
                        findings.append(f"{table.name}: {text}: {given}")
    assert findings == []


def test_the_empty_tenant_sees_its_own_name_and_nothing_else(route: Route, filled: Filled) -> None:
    """A tenant without rows reads none of anybody's."""
    with psycopg.connect(route.app_url, prepare_threshold=None) as connection:
        enter(connection, filled.world.empty)
        counts = {
            table.name: connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier("pay_ready", table.name))).fetchone()
            for table in filled.open_tables
        }
    assert {name: count for name, count in counts.items() if count != (0,)} == {"tenants": (1,)}


def test_on_conflict_meets_own_keys_alone(route: Route, filled: Filled) -> None:
    """`on conflict do update` with keys that two other tenants hold really inserts, in every table (A17)."""

    def do_update(table: Table) -> str:
        key = ", ".join(table.primary_key)
        for name in table.columns:
            if name not in table.primary_key and _may_update(connection, table, name):
                return f"on conflict ({key}) do update set {name} = excluded.{name}"
        return "on conflict do nothing"

    with psycopg.connect(route.app_url, prepare_threshold=None) as connection, connection.transaction(force_rollback=True):
        enter(connection, filled.world.empty)
        for set_no in (0, 1):
            made = filled.factory.fill(connection, filled.world.empty, set_no, filled.world.of(filled.world.empty, 0), do_update)
            kept = filled.world.of(filled.world.second, set_no)
            assert all(row["tenant_id"] == str(filled.world.empty.tenant_id) for row in made.values())
            assert kept["data_sources"]["name"] == made["data_sources"]["name"], "the keys were meant to overlap"


def test_an_unknown_tenant_owns_nothing(route: Route, filled: Filled) -> None:
    """A tenant that was never made cannot be given rows: every table hangs on `tenants` by foreign keys.

    Blocks and the queue of resolution alone do not: millions of rows made from records, where a key check per row would cost more
    than the rows; row security binds them all the same.
    """
    nobody = UUID(int=4711)
    findings = []
    with psycopg.connect(route.app_url, prepare_threshold=None) as connection, connection.transaction(force_rollback=True):
        connection.execute("select set_config('app.tenant_id', %s, true)", (str(nobody),))
        for table in filled.open_tables:
            row = with_tenant(filled.world.of(filled.world.first, 0)[table.name], nobody)
            try:
                with connection.transaction(force_rollback=True):
                    filled.factory.insert(connection, table.name, row)
                findings.append(table.name)
            except pg.ForeignKeyViolation:
                pass
    assert findings == ["block_members", "record_blocks", "resolution_queue", "tenants"]


def test_partitions_are_closed_by_name(attacker: Attacker, filled: Filled) -> None:
    """A partition has no rights of its own: it is reached through its parent (A12)."""
    partitions = [table for table in filled.tables.values() if table.is_partition_of]
    assert partitions, "the schema has partitions"
    for table in partitions:
        for text in ("select 1 from {}", "insert into {} default values", "delete from {}", "copy {} to stdout", "truncate {}"):
            outcome = attacker.attempt(text, table)
            assert outcome.denied, f"{table.name}: {text}: {outcome}"


def test_views_show_what_their_reader_may_see(attacker: Attacker, filled: Filled) -> None:
    """Every view of the schema shows rows of the tenant, none of another's, and raises without a tenant."""
    views = attacker.connection.execute(
        "select relname, coalesce(reloptions, '{}') from pg_class where relnamespace = 'pay_ready'::regnamespace and relkind = 'v'"
    ).fetchall()
    assert {name for name, _ in views} >= {"interactions", "sync_state", "entity_mappings"}
    for name, options in views:
        assert "security_invoker=true" in options, name
        read = sql.SQL("select tenant_id, v::text from {} as v").format(sql.Identifier("pay_ready", name))
        rows = attacker.connection.execute(read).fetchall()
        assert rows, f"{name} shows nothing: the test would prove nothing"
        assert {tenant for tenant, _ in rows} == {filled.world.first.tenant_id}, name
        assert not any(filled.world.second.canary in text for _, text in rows), name
        with attacker.under(""), pytest.raises(UNSET):
            attacker.connection.execute(read)


def _given(connection: psycopg.Connection[Any], statement: sql.Composed) -> list[Any]:
    with connection.cursor() as cursor:
        if statement.as_string().startswith("copy"):
            with cursor.copy(statement) as copy:
                return list(copy)
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else [cursor.rowcount]


def _may_update(connection: psycopg.Connection[Any], table: Table, column: str) -> bool:
    row = connection.execute("select has_column_privilege(%s::regclass, %s, 'update')", (f"pay_ready.{table.name}", column)).fetchone()
    return row is not None and bool(row[0])
