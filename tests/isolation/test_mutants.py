"""The suite is worth something: without any one policy, FORCE flag, key or right, it finds something (A45).

Each mutant is DDL in a transaction of an administrator that is rolled back; the attacks run in it as the app's role.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from .attacks import (
    TABLE_ATTACKS,
    Attack,
    Attacker,
    attacking,
    blind_updates,
    changes_no_foreign_row_blindly,
    fails_without_row_security,
    gives_no_row_away,
    inserts_no_foreign_row,
    points_at_no_foreign_parent,
    points_at_no_parent_of_another_source,
    reads_exactly_its_own,
    reads_only_with_a_tenant,
    writes_its_own,
)
from .catalogue import KEPT_BY_TRIGGERS, Table, read_tables
from .conftest import Filled
from .rows import RowFactory, World
from .test_roles import owner_is_held

OWN = "tenant_id = (select current_setting('app.tenant_id')::uuid)"
# Right with a tenant, silent without: the form that many recommend and design section 4 refuses.
SILENT = "tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)"
GRANTEES = "pay_ready_owner, pay_ready_app, pay_ready_readonly_bi, pay_ready_erasure"


def _owner_is_held(attacker: Attacker, table: Table) -> Iterator[str]:
    yield from owner_is_held(attacker, table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A way of breaking a table's guard, and the attacks that are to notice."""

    name: str
    ddl: Callable[[Table], Sequence[str]]
    attacks: Sequence[Attack]
    applies: Callable[[Attacker, Table], bool] = lambda _attacker, _table: True


def _policy(using: str, check: str, command: str = "all") -> Callable[[Table], Sequence[str]]:
    """The table's policy with other expressions or for one command alone."""
    clauses = {"insert": f"with check ({check})", "select": f"using ({using})", "delete": f"using ({using})"}
    clause = clauses.get(command, f"using ({using}) with check ({check})")
    return lambda _: (
        "drop policy tenant_isolation on {}",
        f"create policy tenant_isolation on {{}} for {command} to {GRANTEES} {clause}",
    )


MUTANTS = (
    Mutant(name="policy dropped", ddl=lambda _: ["drop policy tenant_isolation on {}"], attacks=[reads_exactly_its_own]),
    Mutant(name="row security disabled", ddl=lambda _: ["alter table {} disable row level security"], attacks=[reads_exactly_its_own]),
    Mutant(name="FORCE dropped", ddl=lambda _: ["alter table {} no force row level security"], attacks=[_owner_is_held]),
    Mutant(name="reads everything", ddl=_policy("true", OWN), attacks=[reads_exactly_its_own]),
    Mutant(name="writes anything", ddl=_policy(OWN, "true"), attacks=[inserts_no_foreign_row]),
    Mutant(name="silent without a tenant", ddl=_policy(SILENT, SILENT), attacks=[reads_only_with_a_tenant]),
    Mutant(name="only select", ddl=_policy(OWN, OWN, "select"), attacks=[writes_its_own]),
    Mutant(name="only insert", ddl=_policy(OWN, OWN, "insert"), attacks=[reads_exactly_its_own]),
    Mutant(name="a second, open policy", ddl=lambda _: ["create policy open on {} using (true)"], attacks=[reads_exactly_its_own]),
    Mutant(
        name="may give rows away", ddl=lambda _: ["grant update (tenant_id) on {} to pay_ready_app"], attacks=[gives_no_row_away]
    ),
    Mutant(
        name="a right on the whole table", ddl=lambda _: ["grant update on {} to pay_ready_app"], attacks=[gives_no_row_away]
    ),
    Mutant(
        name="open for update alone",
        ddl=lambda _: [
            "drop policy tenant_isolation on {}",
            *(f"create policy own_{command} on {{}} for {command} to {GRANTEES} using ({OWN})" for command in ("select", "delete")),
            f"create policy own_insert on {{}} for insert to {GRANTEES} with check ({OWN})",
            f"create policy any_update on {{}} for update to {GRANTEES} using (true) with check (true)",
        ],
        attacks=[changes_no_foreign_row_blindly],
        applies=lambda attacker, table: any(blind_updates(attacker, table)),
    ),
    Mutant(
        name="the app bypasses", ddl=lambda _: ["alter role pay_ready_app bypassrls"], attacks=[fails_without_row_security]
    ),
)  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_killed(mutant: Mutant, administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """In every table the attacks that are meant to notice do notice; without the mutation they find nothing."""
    unharmed, survivors, tried = [], [], 0
    for table in filled.open_tables:
        with attacking(administrator, filled.factory, filled.world, "pay_ready_app") as attacker:
            applies = mutant.applies(attacker, table)
        tried += applies
        if not applies:
            continue
        with administrator.transaction(force_rollback=True):
            unharmed += found(administrator, filled, mutant.attacks, table)
            apply(administrator, mutant.ddl(table), table)
            if not found(administrator, filled, mutant.attacks, table):
                survivors.append(table.name)
    assert (unharmed, survivors) == ([], [])
    assert tried > len(filled.open_tables) / 2


def test_every_composite_key_is_needed(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Each foreign key dropped, the attack that names it gets through, unless another key of the table says the same."""
    survivors = []
    for table in filled.open_tables:
        for key in table.foreign_keys:
            if key.columns == ("tenant_id",) or implied(table, key.columns, key.name):
                continue
            with administrator.transaction(force_rollback=True):
                apply(administrator, [removal(table, key.name)], table)
                if not found(administrator, filled, (points_at_no_foreign_parent, points_at_no_parent_of_another_source), table):
                    survivors.append(f"{table.name}: {key.name}")
    assert survivors == []


def test_a_key_without_its_tenant_is_noticed(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """A unique index over a table's key without the tenant cannot even be made: the tenants' keys overlap (A16)."""
    # A partitioned table refuses a key without its own columns before it looks at a row; metric_snapshots' key is a time.
    left_out = {table.is_partition_of for table in filled.tables.values()} | {"metric_snapshots"}
    for name, table in filled.tables.items():
        columns = [column for column in table.primary_key if column != "tenant_id"]
        if columns and not table.is_partition_of and name not in left_out:
            with pytest.raises(psycopg.errors.UniqueViolation), administrator.transaction(force_rollback=True):
                apply(administrator, [f"create unique index on {{}} ({', '.join(columns)})"], table)


def test_a_view_with_its_owners_eyes_is_noticed(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Without security_invoker, a view of a superuser shows both tenants: the attack on views would see it (A09)."""
    views = ("interactions", "sync_state", "entity_mappings")
    with administrator.transaction(force_rollback=True):
        for view in views:
            administrator.execute(sql.SQL("alter view {} reset (security_invoker)").format(sql.Identifier("pay_ready", view)))
            administrator.execute(sql.SQL("alter view {} owner to current_user").format(sql.Identifier("pay_ready", view)))
        with attacking(administrator, filled.factory, filled.world, "pay_ready_app") as attacker:
            for view in views:
                rows = attacker.connection.execute(sql.SQL("select tenant_id from {}").format(sql.Identifier("pay_ready", view))).fetchall()
                assert {tenant for (tenant,) in rows} >= {filled.world.first.tenant_id, filled.world.second.tenant_id}, view


def apply(connection: psycopg.Connection[Any], statements: Sequence[str], table: Table) -> None:
    """DDL on one table, `{}` being its name."""
    for text in statements:
        connection.execute(sql.SQL(text).format(sql.Identifier("pay_ready", table.name)))


def found(connection: psycopg.Connection[Any], filled: Filled, attacks: Sequence[Attack], table: Table) -> list[str]:
    """What the attacks find as the app's role."""
    with attacking(connection, filled.factory, filled.world, "pay_ready_app") as attacker:
        return [finding for attack in attacks for finding in attack(attacker, table)]


def removal(table: Table, key: str) -> str:
    """DDL that takes a reference away, whoever keeps it."""
    if table.name in KEPT_BY_TRIGGERS and KEPT_BY_TRIGGERS[table.name].name == key:
        return "alter table {} disable trigger user"
    return f'alter table {{}} drop constraint "{key}"'


def implied(table: Table, columns: tuple[str, ...], name: str) -> bool:
    """Whether another key of the table covers these columns, so that dropping one leaves the attack refused."""
    return any(set(columns) <= set(other.columns) for other in table.foreign_keys if other.name != name)


def test_a_forgotten_table_is_noticed(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """A new table without protection is attacked like the others, with nobody having listed it, and gives itself away."""
    with administrator.transaction(force_rollback=True):
        administrator.execute("create table pay_ready.forgotten (tenant_id uuid not null, id uuid, note text, primary key (tenant_id, id))")
        administrator.execute("grant select, insert, update, delete on pay_ready.forgotten to pay_ready_app")
        tables = read_tables(administrator)
        factory = RowFactory(schema="pay_ready", tables=tables)
        world = World(first=filled.world.first, second=filled.world.second, empty=filled.world.empty, rows=dict(filled.world.rows))
        for owner in (world.first, world.second):
            row = factory.insert(administrator, "forgotten", factory.build(administrator, "forgotten", owner, 0, {}))
            assert row is not None
            world.rows[owner.tenant_id, 0, "forgotten"] = row
        with attacking(administrator, factory, world, "pay_ready_app") as attacker:
            noticed = {attack.__name__ for attack in TABLE_ATTACKS if list(attack(attacker, tables["forgotten"]))}
    assert noticed >= {"reads_exactly_its_own", "changes_no_foreign_row", "inserts_no_foreign_row", "gives_no_row_away"}


def test_a_table_that_cannot_be_filled_fails(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """A type or a CHECK that the factory has no value for stops the suite and says where, instead of leaving the table out."""
    with administrator.transaction(force_rollback=True):
        administrator.execute("create table pay_ready.odd (tenant_id uuid primary key, place point not null)")
        administrator.execute("create table pay_ready.picky (tenant_id uuid primary key, word text check (word ~ '^xyzzy$') not null)")
        factory = RowFactory(schema="pay_ready", tables=read_tables(administrator))
        for name, complaint in (("odd", "odd.place of type point"), ("picky", "cannot fill picky")):
            with pytest.raises(AssertionError, match=complaint):
                factory.build(administrator, name, filled.world.first, 0, {})
