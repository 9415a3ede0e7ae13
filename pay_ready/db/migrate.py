"""Plain numbered SQL files, forward only: a ledger with sha256, one transaction a file, one runner at a time."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from pay_ready.db.connect import connected
from pay_ready.db.failures import translated
from pay_ready.db.queries import SCHEMA, in_schema
from pay_ready.errors import CheckFailedError, ConfigError, PayReadyError, RetryLaterError, TransientError
from pay_ready.resources import resource_path

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
# CREATE INDEX CONCURRENTLY and its like; such a file must be idempotent and is split at ";\n".
_NO_TRANSACTION = "-- pay_ready:no-transaction"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One file; `sha256` is over its text with LF line ends."""

    version: int
    name: str
    text: str
    sha256: str

    @property
    def in_transaction(self) -> bool:
        return not self.text.startswith(_NO_TRANSACTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationStatus:
    """Ledger against files."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]


def read_migrations(folder: Path | None = None) -> tuple[Migration, ...]:
    """The files in order.

    Raises:
        ConfigError: A file name is off, or a number is missing or doubled; names the file.
    """
    migrations = []
    for path in sorted((folder or resource_path("sql", "migrations")).glob("*.sql")):
        if not (match := _FILE_NAME.fullmatch(path.name)):
            raise ConfigError("not the name of a migration", "name it NNNN_words.sql", file=path.name)
        text = path.read_text("utf-8").replace("\r\n", "\n")
        digest = hashlib.sha256(text.encode()).hexdigest()
        migrations.append(Migration(version=int(match[1]), name=path.name, text=text, sha256=digest))
    for expected, migration in enumerate(migrations, start=1):
        if migration.version != expected:
            raise ConfigError("the numbers of the migrations have a gap or a double", file=migration.name, expected=f"{expected:04}")
    return tuple(migrations)


def migrate(
    admin_url: str,
    schema: str = SCHEMA,
    *,
    folder: Path | None = None,
    wait_s: float = 60.0,
    on_applied: Callable[[str], None] = lambda _: None,
) -> MigrationStatus:
    """Bring the schema up to the files; what is applied already is left alone.

    Raises:
        CheckFailedError: A file that was applied is edited or missing, the database is newer, or a concurrent index was
            left half built; names the file or the index.
        RetryLaterError: Another runner holds the lock for longer than `wait_s` seconds.
    """
    migrations = read_migrations(folder)
    with connected(admin_url, variable="PAY_READY_ADMIN_DATABASE_URL") as connection:
        _die_with_the_client(connection)
        _lock(connection, schema, wait_s)
        pending = _pending(migrations, _ledger(connection, schema))
        for migration in pending:
            with _named(migration):
                _apply(connection, migration, schema)
            on_applied(migration.name)
        return MigrationStatus(applied=tuple(each.name for each in migrations), pending=())


def migration_status(admin_url: str, schema: str = SCHEMA, *, folder: Path | None = None) -> MigrationStatus:
    """What is applied and what is not; changes nothing. Raises as `migrate` does."""
    migrations = read_migrations(folder)
    with connected(admin_url, variable="PAY_READY_ADMIN_DATABASE_URL") as connection:
        pending = _pending(migrations, _ledger(connection, schema))
    names = tuple(each.name for each in migrations)
    return MigrationStatus(applied=names[: len(names) - len(pending)], pending=tuple(each.name for each in pending))


def _die_with_the_client(connection: psycopg.Connection[Any]) -> None:
    """Let the server notice a killed runner inside a long statement: else its lock stands until the statement ends."""
    with suppress(psycopg.errors.InvalidParameterValue):  # servers on Windows cannot look
        connection.execute("set client_connection_check_interval = '1s'")


def _lock(connection: psycopg.Connection[Any], schema: str, wait_s: float) -> None:
    """Polled, not awaited: a session that waits for the lock holds a snapshot, and CREATE INDEX CONCURRENTLY waits for that."""
    give_up_at = time.monotonic() + wait_s
    while True:
        row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (f"pay_ready.migrate:{schema}",)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() >= give_up_at:
            raise RetryLaterError("another migration is running", "try again when it is through", schema=schema)
        time.sleep(_POLL_S)


def _ledger(connection: psycopg.Connection[Any], schema: str) -> list[tuple[int, str, str]]:
    table = in_schema("pay_ready.schema_migrations", schema)
    row = connection.execute("select to_regclass(%s)", (table,)).fetchone()
    if row is None or row[0] is None:
        return []
    statement = sql.SQL("select version, name, sha256 from {} order by version").format(_ledger_table(schema))
    return [(version, name, digest) for version, name, digest in connection.execute(statement)]


def _ledger_table(schema: str) -> sql.Identifier:
    return sql.Identifier(in_schema(SCHEMA, schema), "schema_migrations")


def _pending(migrations: Sequence[Migration], ledger: Sequence[tuple[int, str, str]]) -> Sequence[Migration]:
    by_version = {each.version: each for each in migrations}
    for position, (version, name, digest) in enumerate(ledger, start=1):
        known = by_version.get(version)
        if version > len(migrations):
            raise CheckFailedError("the database is newer than this installation", "install the newer pay_ready", file=name)
        if version != position or known is None or known.name != name:
            raise CheckFailedError("a migration that was applied is missing", "bring the file back", file=name)
        if known.sha256 != digest:
            raise CheckFailedError("a migration that was applied has been edited", "restore the file and write a new one", file=name)
    return migrations[len(ledger) :]


@contextmanager
def _named(migration: Migration) -> Iterator[None]:
    """A failing statement names its file; a file is SQL of ours, so the server's words may be shown.

    Raises:
        PayReadyError: The database refused; an error that may pass on a retry stays what it is.
    """
    try:
        yield
    except psycopg.Error as error:
        failure = translated(error)
        if isinstance(failure, TransientError):
            raise failure from None
        hint = "nothing of the file was kept; mend it and migrate again"
        raise PayReadyError(f"a migration failed: {error.diag.message_primary or error}", hint, file=migration.name) from None


def _apply(connection: psycopg.Connection[Any], migration: Migration, schema: str) -> None:
    text = in_schema(migration.text, schema)
    if migration.in_transaction:
        with connection.transaction():
            connection.execute(text)
            _record(connection, migration, schema)
        return
    for statement in text.split(";\n"):
        if re.sub(r"--[^\n]*", "", statement).strip():
            connection.execute(statement)
    _refuse_half_built(connection, migration, schema)
    _record(connection, migration, schema)


def _refuse_half_built(connection: psycopg.Connection[Any], migration: Migration, schema: str) -> None:
    """A CREATE INDEX CONCURRENTLY that was cut short leaves an invalid index, which `if not exists` then passes over."""
    row = connection.execute(
        "select c.relname from pg_index as i join pg_class as c on c.oid = i.indexrelid"
        " join pg_namespace as n on n.oid = c.relnamespace where n.nspname = %s and not i.indisvalid order by 1 limit 1",
        (schema,),
    ).fetchone()
    if row is not None:
        raise CheckFailedError(
            "an index was left half built", f"drop index concurrently {schema}.{row[0]}; then migrate again", file=migration.name
        )


def _record(connection: psycopg.Connection[Any], migration: Migration, schema: str) -> None:
    connection.execute("reset role")
    connection.execute(
        sql.SQL("insert into {} (version, name, sha256) values (%s, %s, %s)").format(_ledger_table(schema)),
        (migration.version, migration.name, migration.sha256),
    )
