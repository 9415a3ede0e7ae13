"""Each role has the rights that its name says, on every table of the catalogue, and no more."""

from functools import partial
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import errors as pg
from psycopg import sql

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import DeniedError

from .attacks import UNSET, Attacker, Outcome, attacking, own_rows
from .catalogue import Table
from .conftest import Filled

ROLES = ("owner", "app", "operator", "readonly_bi", "erasure", "search")
OPERATOR_COLUMNS = ("tenant_id", "slug", "name", "status", "created_at", "suspended_at")
WRITES: tuple[LiteralString, ...] = (
    "insert into {} ({columns}) select {columns} from {}",
    "update {} set tenant_id = tenant_id",
    "delete from {}",
    "truncate {}",
)


@pytest.fixture
def acting(administrator: psycopg.Connection[Any], filled: Filled) -> Any:
    """An attacker on an administrator's connection, which may put on any role."""
    with attacking(administrator, filled.factory, filled.world) as attacker:
        yield attacker


def test_no_role_is_more_than_it_should_be(administrator: psycopg.Connection[Any]) -> None:
    """No role of ours logs in, is a superuser, makes roles or databases, or bypasses row security; none contains another."""
    ours = [f"pay_ready_{role}" for role in ROLES]
    rows = administrator.execute(
        "select rolname from pg_roles where rolname = any (%s)"
        " and (rolsuper or rolcreaterole or rolcreatedb or rolcanlogin or rolreplication or rolbypassrls)",
        (ours,),
    ).fetchall()
    # `search` may be given BYPASSRLS together with the one allow-listed function that it owns; as long as there is none, it has not.
    assert rows == []
    inside = administrator.execute(
        "select roleid::regrole::text, member::regrole::text from pg_auth_members"
        " where roleid::regrole::text = any (%(ours)s) and member::regrole::text = any (%(ours)s)",
        {"ours": ours},
    ).fetchall()
    assert inside == []


def test_the_app_cannot_become_anybody(attacker: Attacker, filled: Filled) -> None:
    """SET ROLE, session authorization, grants and settings that lift the guard are denied (A28)."""
    any_table = filled.tables["tenants"]
    for text in (
        *(f"set role pay_ready_{role}" for role in ROLES if role != "app"),
        *(f"set session authorization pay_ready_{role}" for role in ROLES),
        "set session_replication_role = replica",
        "select set_config('role', 'pay_ready_owner', true)",
        "alter role current_user bypassrls",
        "alter role current_user superuser",
        "grant pay_ready_owner to current_user",
        "create role mine",
        "create table pay_ready.mine ()",
        "create schema mine",
        "create function pay_ready.mine() returns int language sql as 'select 1'",
        "call pay_ready.protect_table('tenants')",
        "call pay_ready.describe_table('tenants', '', '')",
        "alter schema pay_ready rename to mine",
        "select pg_read_file('/etc/hostname')",
        "copy (select 1) to program 'true'",
    ):
        outcome = attacker.attempt(text.replace("{", "{{"), any_table)
        assert outcome.denied, f"{text}: {outcome}"


def test_the_owner_is_held_by_the_policy(acting: Attacker, filled: Filled) -> None:
    """FORCE: the owner of the tables reads one tenant's rows, and without a tenant an error (A08).

    A partition without any row would raise nothing: it has none to ask about.
    """
    empty = [table for table in filled.tables.values() if not any(name == table.name for _, _, name in filled.world.rows)]
    assert all(table.is_partition_of for table in empty)
    findings = [finding for table in filled.tables.values() if table not in empty for finding in owner_is_held(acting, table)]
    assert findings == []


def owner_is_held(acting: Attacker, table: Table) -> list[str]:
    """What the owner sees of a table beyond the tenant's rows."""
    with acting.as_role("pay_ready_owner"):
        found = acting.attempt("select 1 from {} where tenant_id = %s", table, [acting.world.second.tenant_id])
        everything = acting.attempt("select 1 from {}", table)
        with acting.under(""):
            unset = acting.attempt("select 1 from {}", table)
    findings = []
    if found.error or found.count or everything.count != own_rows(acting.world, table):
        findings.append(f"{table.name}: the owner reads {found} foreign of {everything}")
    if not isinstance(unset.error, UNSET):
        findings.append(f"{table.name}: without a tenant the owner reads {unset}")
    return findings


def test_the_operator_lists_tenants_and_nothing_else(acting: Attacker, filled: Filled) -> None:
    """Named columns of `tenants`, of all tenants, with or without a setting; every other read and every write is denied."""
    with acting.as_role("pay_ready_operator"), acting.under(""):
        listed = acting.attempt(f"select {', '.join(OPERATOR_COLUMNS)} from {{}}", filled.tables["tenants"])
        assert {row[0] for row in listed.rows} == {
            owner.tenant_id for owner in (filled.world.first, filled.world.second, filled.world.empty)
        }
        for table in filled.tables.values():
            readable = {column for column in table.columns if not acting.attempt(f"select {column} from {{}}", table).error}
            assert readable == (set(OPERATOR_COLUMNS) if table.name == "tenants" else set()), table.name
            for text in WRITES:
                assert acting.attempt(text.replace("{}", "{0}"), table).denied, f"{table.name}: {text}"
        for view in ("interactions", "sync_state", "entity_mappings"):
            assert acting.attempt(f"select 1 from pay_ready.{view}", filled.tables["tenants"]).denied, view


def test_readonly_bi_reads_own_rows_without_secrets(acting: Attacker, filled: Filled) -> None:
    """The BI role reads the tenant's rows, no column of class secret, no partition, and writes nothing."""
    secrets = 0
    with acting.as_role("pay_ready_readonly_bi"):
        for table in filled.tables.values():
            for column in table.columns.values():
                outcome = acting.attempt(f"select tenant_id, {column.name}::text from {{}}", table)
                if column.data_class == "secret" or table.is_partition_of:
                    secrets += column.data_class == "secret"
                    assert outcome.denied, f"{table.name}.{column.name}: {outcome}"
                else:
                    assert outcome.count == own_rows(filled.world, table), f"{table.name}.{column.name}: {outcome}"
                    assert {row[0] for row in outcome.rows} <= {filled.world.first.tenant_id}, table.name
            for text in WRITES:
                assert acting.attempt(text.replace("{}", "{0}"), table).denied, f"{table.name}: {text}"
    assert secrets >= 3, "api_keys, source_credentials and suppressions hold secrets"


def test_erasure_reads_and_deletes_own_rows_only(acting: Attacker, filled: Filled) -> None:
    """The erasure role deletes within the tenant, changes nothing, and cannot touch the audit log."""
    with acting.as_role("pay_ready_erasure"):
        for table in filled.open_tables:
            assert acting.attempt("select 1 from {}", table).count == own_rows(filled.world, table), table.name
            foreign = acting.attempt("delete from {} where tenant_id = %s", table, [filled.world.second.tenant_id])
            assert not foreign.count if table.name != "audit_events" else foreign.denied, f"{table.name}: {foreign}"
            own = acting.attempt("delete from {}", table)
            deletable = own.count == own_rows(filled.world, table) or isinstance(own.error, pg.ForeignKeyViolation)
            assert deletable if table.name != "audit_events" else own.denied, f"{table.name}: {own}"
            for text in (WRITES[0], WRITES[1], WRITES[3]):
                assert acting.attempt(text.replace("{}", "{0}"), table).denied, f"{table.name}: {text}"


def test_erasure_rewrites_digests_of_versions_and_nothing_else(administrator: psycopg.Connection[Any]) -> None:
    """The one column that the erasure role may update; the app may not."""
    granted = administrator.execute(
        "select grantee, table_name, column_name from information_schema.column_privileges"
        " where table_schema = 'pay_ready' and privilege_type = 'UPDATE' and grantee <> 'pay_ready_owner'"
        " and (grantee = 'pay_ready_erasure' or column_name = 'state_digest')"
    ).fetchall()
    assert granted == [("pay_ready_erasure", "resolution_runs", "state_digest")]


def test_search_and_public_have_no_rights_on_tables(acting: Attacker, filled: Filled) -> None:
    """The search role reads ids and words of passages and nothing else; whoever is no member of anything reads nothing."""
    acting.connection.execute("create role nobody_in_particular")  # rolled back with the test's transaction
    for role in ("pay_ready_search", "nobody_in_particular"):
        with acting.as_role(role):
            for table in filled.tables.values():
                for text in ("select 1 from {}", *WRITES):
                    if (role, table.name, text) == ("pay_ready_search", "memories", "select 1 from {}"):
                        assert acting.attempt("select chunk_text from {0}", table).denied
                        continue
                    assert acting.attempt(text.replace("{}", "{0}"), table).denied, f"{role}: {table.name}: {text}"


def test_the_audit_log_is_append_only(acting: Attacker, filled: Filled) -> None:
    """Even the owner neither updates nor deletes an audit event."""
    with acting.as_role("pay_ready_owner"):
        for text in ("update {} set reason = 'other'", "delete from {}"):
            outcome = acting.attempt(text, filled.tables["audit_events"])
            assert outcome.denied, f"{text}: {outcome}"
            assert "append-only" in str(outcome.error)


def test_the_door_refuses_roles_that_row_security_does_not_bind(filled: Filled) -> None:
    """A superuser's URL, and that of a login outside the app role, open no pool; the message says what to do."""
    with pytest.raises(DeniedError, match="pay-ready migrate --app-login"):
        Database(filled.scratch.admin_url, PoolOptions(max_size=1)).open()
    with pytest.raises(DeniedError, match="no member of the app role"):
        Database(filled.scratch.app_url, PoolOptions(max_size=1), schema="never_migrated").open()


def test_sequences_and_notifications_give_nothing_away(administrator: psycopg.Connection[Any]) -> None:
    """No sequence shows other tenants' volume, and nothing in the database notifies (A23, A24)."""
    kinds = administrator.execute(
        "select relname from pg_class where relnamespace = 'pay_ready'::regnamespace and relkind in ('S', 'm', 'f')"
    ).fetchall()
    assert kinds == []
    notifying = administrator.execute(
        "select proname from pg_proc where pronamespace = 'pay_ready'::regnamespace and prosrc ~* '\\m(pg_notify|notify)\\M'"
    ).fetchall()
    assert notifying == []


def test_pg_dump_of_the_app_stops(attacker: Attacker, filled: Filled) -> None:
    """What pg_dump says first (row_security off, then COPY) fails for every table (A29)."""

    def dumped(table: Table) -> Outcome:
        attacker.connection.execute("set local row_security = off")
        with attacker.connection.cursor().copy(sql.SQL("copy {} to stdout").format(sql.Identifier("pay_ready", table.name))) as copy:
            return Outcome(count=len(list(copy)))

    for table in filled.open_tables:
        outcome = attacker.undone(partial(dumped, table))
        assert outcome.denied, f"{table.name}: {outcome}"
