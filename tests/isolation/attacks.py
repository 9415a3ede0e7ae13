"""Attacks on one table each, as the app's role in the first tenant's transaction: what a finding says should not have happened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors as pg
from psycopg import sql

from pay_ready.db.failures import translated

from .catalogue import KEPT_BY_TRIGGERS, Table
from .rows import CHILDLESS, STRANGER, Owner, Row, RowFactory, World

FRESH = 9  # a set that no fill uses: its keys are free in every tenant
UNSET = (pg.UndefinedObject, pg.InvalidTextRepresentation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one statement came to: rows and a count, or an error."""

    rows: Sequence[tuple[Any, ...]] = ()
    count: int = 0
    error: psycopg.Error | None = None

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}" if self.error else f"{self.count} rows"

    @property
    def constraint(self) -> str | None:
        return self.error.diag.constraint_name if self.error else None

    @property
    def denied(self) -> bool:
        return isinstance(self.error, pg.InsufficientPrivilege)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacker:
    """A connection inside a transaction of the world's first tenant; each attempt is undone."""

    connection: psycopg.Connection[Any]
    factory: RowFactory
    world: World
    errors: list[psycopg.Error] = field(default_factory=list)

    def attempt(self, text: str, table: Table, params: Sequence[object] = ()) -> Outcome:
        """Run one statement (`{}` is the table, `{columns}` are those that may be written) in a savepoint that is rolled back."""
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        statement = sql.SQL(text).format(sql.Identifier(self.factory.schema, table.name), columns=columns)
        return self.undone(lambda: self._run(statement, params))

    def insert(self, table: Table, row: Row, tail: str = "") -> Outcome:
        """Insert a row in a savepoint that is rolled back."""

        def run() -> Outcome:
            kept = self.factory.insert(self.connection, table.name, row, tail)
            return Outcome(count=0 if kept is None else 1)

        return self.undone(run)

    def fresh(self, table: Table, pinned: Row | None = None) -> Row:
        """A valid row of the first tenant that is not there yet, under parents that have no children."""
        parents = self.world.of(self.world.first, CHILDLESS)
        return self.factory.build(self.connection, table.name, self.world.first, FRESH, parents, pinned)

    def undone(self, run: Callable[[], Outcome]) -> Outcome:
        """Whatever `run` does, none of it stays."""
        try:
            with self.connection.transaction(force_rollback=True):
                return run()
        except psycopg.Error as error:
            self.errors.append(error)
            return Outcome(error=error)

    @contextmanager
    def under(self, tenant: str) -> Iterator[None]:
        """Another value of the setting, until the block ends."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute("select set_config('app.tenant_id', %s, true)", (tenant,))
            yield

    @contextmanager
    def as_role(self, role: str) -> Iterator[None]:
        """Another role, until the block ends; the connection must be an administrator's."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
            yield

    def _run(self, statement: sql.SQL | sql.Composed, params: Sequence[object]) -> Outcome:
        cursor = self.connection.execute(statement, params or None)
        return Outcome(rows=cursor.fetchall() if cursor.description else (), count=cursor.rowcount)


Attack = Callable[[Attacker, Table], Iterator[str]]


@contextmanager
def attacking(connection: psycopg.Connection[Any], factory: RowFactory, world: World, role: str | None = None) -> Iterator[Attacker]:
    """A transaction of the first tenant that leaves nothing behind."""
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('app.tenant_id', %s, true)", (str(world.first.tenant_id),))
        if role:
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        yield Attacker(connection=connection, factory=factory, world=world)


def own_rows(world: World, table: Table, owner: Owner | None = None) -> int:
    """How many rows of the table a tenant owns."""
    tenant = (owner or world.first).tenant_id
    return len({tuple(row.items()) for (one, _, name), row in world.rows.items() if one == tenant and name == table.name})


def with_tenant(row: Row, tenant: UUID) -> Row:
    return {**row, "tenant_id": str(tenant)}


def reads_exactly_its_own(attacker: Attacker, table: Table) -> Iterator[str]:
    """Every own row is seen (so that silence is not mistaken for safety) and no other."""
    found = attacker.attempt("select tenant_id, r::text from {} as r", table)
    own = own_rows(attacker.world, table)
    if found.error or found.count != own:
        yield f"{table.name}: {found} instead of {own} own rows"
    if any(tenant != attacker.world.first.tenant_id or attacker.world.second.canary in text for tenant, text in found.rows):
        yield f"{table.name}: a foreign row was read"


def reads_nothing_when_it_asks_for_another(attacker: Attacker, table: Table) -> Iterator[str]:
    """Naming the other tenant, in a read or a locking read, finds what naming an absent one finds."""
    for tail in ("", " for share"):
        foreign = attacker.attempt("select 1 from {} where tenant_id = %s" + tail, table, [attacker.world.second.tenant_id])
        absent = attacker.attempt("select 1 from {} where tenant_id = %s" + tail, table, [UUID(int=77)])
        if foreign.count or type(foreign.error) is not type(absent.error):
            yield f"{table.name}: select{tail}: foreign {foreign}, absent {absent}"


def reads_only_with_a_tenant(attacker: Attacker, table: Table) -> Iterator[str]:
    """An empty or garbled setting is an error, never rows and never silence."""
    for value in ("", "garbage", "00000000-0000-0000-0000-00000000000"):
        with attacker.under(value):
            found = attacker.attempt("select 1 from {} limit 1", table)
            written = attacker.insert(table, attacker.world.of(attacker.world.first, 0)[table.name])
        if not isinstance(found.error, UNSET) or not isinstance(written.error, UNSET):
            yield f"{table.name}: with the setting {value!r}: select {found}, insert {written}"


def writes_its_own(attacker: Attacker, table: Table) -> Iterator[str]:
    """The policy lets own rows be inserted, updated and deleted, where the role has the right at all."""
    outcomes = {
        "insert": attacker.insert(table, attacker.fresh(table)) if table.name != "tenants" else Outcome(count=1),
        "update": attacker.attempt(_touch(attacker, table), table, [attacker.world.first.tenant_id]),
        "delete": attacker.attempt("delete from {} where tenant_id = %s", table, [attacker.world.first.tenant_id]),
    }
    for command, outcome in outcomes.items():
        # Children stand in the way of a delete: then the row was at least within reach.
        if not outcome.count and not _no_right(outcome) and not isinstance(outcome.error, pg.ForeignKeyViolation):
            yield f"{table.name}: {command} of an own row: {outcome}"


def changes_no_foreign_row(attacker: Attacker, table: Table) -> Iterator[str]:
    """Update and delete of the other tenant's rows touch nothing."""
    for text in (_touch(attacker, table), "delete from {} where tenant_id = %s"):
        outcome = attacker.attempt(text, table, [attacker.world.second.tenant_id])
        if outcome.count or (outcome.error and not _no_right(outcome)):
            yield f"{table.name}: {text}: {outcome}"


def changes_no_foreign_row_blindly(attacker: Attacker, table: Table) -> Iterator[str]:
    """An update that reads nothing meets the UPDATE policy alone, not the SELECT one: it too stays within own rows."""
    for column, outcome in blind_updates(attacker, table):
        if outcome.count != own_rows(attacker.world, table):
            yield f"{table.name}: blind update of {column}: {outcome}"


def blind_updates(attacker: Attacker, table: Table) -> Iterator[tuple[str, Outcome]]:
    """Updates without a WHERE that set one column to its default, as far as the role's rights and the CHECKs let them through."""
    for column in table.columns.values():
        if column.name not in table.key_columns and (column.default or not column.not_null):
            outcome = attacker.attempt(f"update {{}} set {column.name} = default", table)
            # A default keeps every reference of an own row: what a trigger stops had reached another tenant's.
            if not outcome.error or outcome.constraint in {key.name for key in KEPT_BY_TRIGGERS.values()}:
                yield column.name, outcome


def inserts_no_foreign_row(attacker: Attacker, table: Table) -> Iterator[str]:
    """Insert, both upserts, insert … select and merge with the other tenant's id are refused by the policy."""
    row = with_tenant(attacker.fresh(table), attacker.world.second.tenant_id)
    names = [name for name in table.columns if name != "tenant_id"]
    columns = ", ".join(["tenant_id", *names])
    values = ", ".join([f"'{attacker.world.second.tenant_id}'::uuid", *(f"s.{name}" for name in names)])
    key = ", ".join(table.primary_key)
    outcomes = {
        "insert": attacker.insert(table, row),
        "do nothing": attacker.insert(table, row, "on conflict do nothing"),
        "do update": attacker.insert(table, row, f"on conflict ({key}) do update set {_assignment(attacker, table)}"),
        "insert select": attacker.attempt(f"insert into {{0}} ({columns}) select {values} from {{0}} as s limit 1", table),
        "merge": attacker.attempt(
            "merge into {0} as t using (select * from {0} limit 1) as s on false"
            f" when not matched then insert ({columns}) values ({values})",
            table,
        ),
    }
    for how, outcome in outcomes.items():
        # A table that is only appended to refuses `do update` one step earlier.
        early = how == "do update" and "tenant_id =" in _assignment(attacker, table) and _no_right(outcome)
        if not early and (not outcome.denied or "row-level security" not in str(outcome.error)):
            yield f"{table.name}: {how}: {outcome}"


def copies_nothing_in_and_only_its_own_out(attacker: Attacker, table: Table) -> Iterator[str]:
    """COPY FROM is refused altogether; COPY TO gives own rows."""

    def copy_in() -> Outcome:
        with attacker.connection.cursor().copy(
            sql.SQL("copy {} from stdin").format(sql.Identifier(attacker.factory.schema, table.name))
        ) as copy:
            copy.write(b"")
        return Outcome(count=1)

    def copy_out() -> Outcome:
        with attacker.connection.cursor().copy(
            sql.SQL("copy (select r::text from {} as r) to stdout").format(sql.Identifier(attacker.factory.schema, table.name))
        ) as copy:
            return Outcome(rows=[(bytes(block).decode(),) for block in copy], count=1)

    arrived, left = attacker.undone(copy_in), attacker.undone(copy_out)
    if not isinstance(arrived.error, pg.FeatureNotSupported | pg.InsufficientPrivilege):
        yield f"{table.name}: copy from: {arrived}"
    if left.error or any(attacker.world.second.canary in text or str(attacker.world.second.tenant_id) in text for (text,) in left.rows):
        yield f"{table.name}: copy to: {left}"


def gives_no_row_away(attacker: Attacker, table: Table) -> Iterator[str]:
    """`set tenant_id` is denied by the policy and, before it, by a missing right."""
    outcome = attacker.attempt("update {} set tenant_id = %s", table, [attacker.world.second.tenant_id])
    if not outcome.denied or "permission denied" not in str(outcome.error):
        yield f"{table.name}: {outcome}"


def points_at_no_foreign_parent(attacker: Attacker, table: Table) -> Iterator[str]:
    """A child cannot point at a parent that only the other tenant has; the refusal is that for an absent parent."""
    strangers = attacker.world.of(attacker.world.second, STRANGER)
    for key in table.foreign_keys:
        columns = [pair for pair in zip(key.columns, key.parent_columns, strict=True) if pair[0] != "tenant_id"]
        if columns:
            pinned = {child: strangers[key.parent][parent] for child, parent in columns}
            yield from _refused_as_absent(attacker, table, key.name, pinned)


def points_at_no_parent_of_another_source(attacker: Attacker, table: Table) -> Iterator[str]:
    """Inside one tenant, a child of one source cannot point at a parent of another."""
    siblings = attacker.world.of(attacker.world.first, 1)
    for key in table.foreign_keys:
        columns = [pair for pair in zip(key.columns, key.parent_columns, strict=True) if pair[0] not in ("tenant_id", "source_id")]
        if "source_id" in key.columns and columns:
            pinned = {child: siblings[key.parent][parent] for child, parent in columns}
            yield from _refused_as_absent(attacker, table, key.name, pinned)


def leaks_nothing_to_a_function(attacker: Attacker, table: Table) -> Iterator[str]:
    """A cheap function in the WHERE clause that shouts its argument hears own rows alone (A19)."""
    heard: list[str] = []

    def hear(notice: psycopg.errors.Diagnostic) -> None:
        heard.append(notice.message_primary or "")

    def run() -> Outcome:
        attacker.connection.execute(
            "create function pg_temp.shout(text) returns boolean language plpgsql cost 0.0000001"
            " as $$ begin raise notice '%', $1; return true; end $$"
        )
        found = attacker.connection.execute(sql.SQL("select count(*) from {} as r where pg_temp.shout(r::text)").format(
            sql.Identifier(attacker.factory.schema, table.name))).fetchone()  # fmt: skip
        return Outcome(count=found[0] if found else 0)

    attacker.connection.add_notice_handler(hear)
    outcome = attacker.undone(run)
    attacker.connection.remove_notice_handler(hear)
    if outcome.error or len(heard) != own_rows(attacker.world, table):
        yield f"{table.name}: {outcome}, heard {len(heard)}"
    if any(attacker.world.second.canary in text or str(attacker.world.second.tenant_id) in text for text in heard):
        yield f"{table.name}: heard a foreign row"


def has_no_rights_over_the_table(attacker: Attacker, table: Table) -> Iterator[str]:
    """TRUNCATE, DROP, and every way of taking the policy off are denied."""
    for text in (
        "truncate {}", "truncate {} cascade", "drop table {} cascade", "alter table {} disable row level security",
        "alter table {} no force row level security", "drop policy tenant_isolation on {}",
        "alter policy tenant_isolation on {} using (true)", "create policy mine on {} using (true)",
        "alter table {} owner to current_user", "create index on {} (tenant_id)",
        "create rule mine as on select to {} do instead nothing", "comment on table {} is 'mine'",
        "create trigger mine before insert on {} execute function suppress_redundant_updates_trigger()", "vacuum {}",
    ):  # fmt: skip
        outcome = attacker.attempt(text, table)
        if not (outcome.denied or isinstance(outcome.error, pg.ActiveSqlTransaction)):
            yield f"{table.name}: {text}: {outcome}"


def fails_without_row_security(attacker: Attacker, table: Table) -> Iterator[str]:
    """`row_security = off` is an error for this role, not a way around."""

    def run() -> Outcome:
        attacker.connection.execute("set local row_security = off")
        return attacker._run(sql.SQL("select 1 from {}").format(sql.Identifier(attacker.factory.schema, table.name)), ())

    outcome = attacker.undone(run)
    if not outcome.denied:
        yield f"{table.name}: {outcome}"


def sees_no_statistics(attacker: Attacker, table: Table) -> Iterator[str]:
    """The planner's samples hold values of every tenant: hidden for a table under row security (A21)."""
    for view in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
        outcome = attacker.attempt(
            f"select 1 from {view} where schemaname = %s and tablename = %s", table, [attacker.factory.schema, table.name]
        )
        if outcome.error or outcome.count:
            yield f"{table.name}: {view}: {outcome}"


TABLE_ATTACKS: Sequence[Attack] = (
    reads_exactly_its_own,
    reads_nothing_when_it_asks_for_another,
    reads_only_with_a_tenant,
    writes_its_own,
    changes_no_foreign_row,
    changes_no_foreign_row_blindly,
    inserts_no_foreign_row,
    copies_nothing_in_and_only_its_own_out,
    gives_no_row_away,
    points_at_no_foreign_parent,
    points_at_no_parent_of_another_source,
    leaks_nothing_to_a_function,
    has_no_rights_over_the_table,
    fails_without_row_security,
    sees_no_statistics,
)


def errors_name_no_values(attacker: Attacker) -> Iterator[str]:
    """No error so far quotes the other tenant, and none in our words quotes anybody (A20)."""
    for error in attacker.errors:
        if attacker.world.second.canary in f"{error} {error.diag.message_detail} {error.diag.context}":
            yield f"foreign values in: {error}"
        if "canary" in str(translated(error)):
            yield f"values in: {translated(error)}"


def _refused_as_absent(attacker: Attacker, table: Table, key: str, pinned: Mapping[str, str | None]) -> Iterator[str]:
    try:
        row = attacker.fresh(table, pinned)
    except AssertionError as error:
        yield f"{table.name}: {key}: {error}"
        return
    outcome = attacker.insert(table, row)
    related = {one.name for one in table.foreign_keys if set(one.columns) & set(pinned)}
    if not isinstance(outcome.error, pg.ForeignKeyViolation) or outcome.error.diag.constraint_name not in related:
        yield f"{table.name}: {key}: {outcome}"


def _assignment(attacker: Attacker, table: Table) -> str:
    """An assignment that the role may make, or that of the tenant where it may make none."""
    rows = attacker.connection.execute(
        "select quote_ident(attname) from pg_attribute where attrelid = %s::regclass and attnum > 0"
        " and not attisdropped and attgenerated = ''"
        " and has_column_privilege(attrelid, attnum, 'update') order by attnum desc limit 1",
        (f"{attacker.factory.schema}.{table.name}",),
    ).fetchall()
    name = rows[0][0] if rows else None
    return f"{name} = excluded.{name}" if name else "tenant_id = excluded.tenant_id"


def _touch(attacker: Attacker, table: Table) -> str:
    assignment = _assignment(attacker, table).replace("excluded.", "")
    return f"update {{}} set {assignment} where tenant_id = %s"


def _no_right(outcome: Outcome) -> bool:
    return outcome.denied and "permission denied" in str(outcome.error)
