"""One filled database per worker: three tenants, every table, reached directly and through PgBouncer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.db.vector_tables import enable_vectors, has_pgvector
from pay_ready.model.ids import TenantId, tenant_id_of

from ..conftest import Scratch, Server, cloned
from .attacks import Attacker, attacking
from .catalogue import Table, read_tables
from .pooler import pooling
from .rows import CHILDLESS, STRANGER, Owner, RowFactory, World

SCHEMA = "pay_ready"
EMBEDDER, DIMENSIONS = "tests: isolation", 3  # whose table of vectors an administrator has made, beside what migrations make
_QUEUE_TRIGGERS = (
    "select event_object_table, trigger_name from information_schema.triggers where trigger_schema = %s and trigger_name ^@ 'queue_'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A database with its catalogue and the rows in it. Tests leave it as they found it."""

    scratch: Scratch
    tables: Mapping[str, Table]
    factory: RowFactory
    world: World
    embedder_tag: str | None  # None where the server has no pgvector

    @property
    def open_tables(self) -> list[Table]:
        """Tables that the app reaches by name: all but partitions."""
        return [table for table in self.tables.values() if not table.is_partition_of]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to the filled database as the app."""

    name: str
    app_url: str
    options: PoolOptions


@pytest.fixture(scope="session")
def filled(server: Server, template: str) -> Iterator[Filled]:
    """Two tenants with equal keys, and a third with nothing but its name.

    Each insert says `on conflict do nothing` and must insert: a key that met another tenant's would be swallowed.
    """
    with cloned(server, template) as scratch:
        tag = with_vectors(scratch.admin_url)
        with psycopg.connect(scratch.admin_url) as admin:
            tables = read_tables(admin, SCHEMA)
            # Rows are counted one by one here: what triggers would add has a test of its own (test_queue.py).
            for table, trigger in admin.execute(_QUEUE_TRIGGERS, (SCHEMA,)).fetchall():
                admin.execute(sql.SQL("alter table {}.{} disable trigger {}").format(*map(sql.Identifier, (SCHEMA, table, trigger))))
        factory = RowFactory(schema=SCHEMA, tables=tables)
        world = World(first=_owner("first"), second=_owner("second"), empty=_owner("empty"))
        with psycopg.connect(scratch.app_url) as app:
            for owner, sets in ((world.first, (0, 1, CHILDLESS)), (world.second, (0, 1, STRANGER))):
                fill(app, factory, world, owner, sets)
            with app.transaction():
                enter(app, world.empty)
                name = factory.insert(app, "tenants", factory.build(app, "tenants", world.empty, 0, {}))
                assert name is not None
                world.rows[world.empty.tenant_id, 0, "tenants"] = name
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute("analyze")
        yield Filled(scratch=scratch, tables=tables, factory=factory, world=world, embedder_tag=tag)


@pytest.fixture(scope="session")
def pooler_url(filled: Filled) -> Iterator[str]:
    """The app's URL through PgBouncer in transaction mode; skips where there is no PgBouncer."""
    with pooling(filled.scratch.app_url) as url:
        yield url


@pytest.fixture(params=["direct", "pgbouncer"])
def route(request: pytest.FixtureRequest, filled: Filled) -> Route:
    """Straight to the server, and through PgBouncer in transaction mode."""
    if request.param == "direct":
        return Route(name="direct", app_url=filled.scratch.app_url, options=PoolOptions(max_size=4, overflow=0))
    options = PoolOptions(max_size=4, overflow=0, transaction_pooler=True)
    return Route(name="pgbouncer", app_url=request.getfixturevalue("pooler_url"), options=options)


@pytest.fixture
def attacker(route: Route, filled: Filled) -> Iterator[Attacker]:
    """The app's login inside the first tenant's transaction."""
    with (
        psycopg.connect(route.app_url, prepare_threshold=None, autocommit=True) as connection,
        attacking(connection, filled.factory, filled.world) as attacker,
    ):
        yield attacker


@pytest.fixture
def administrator(filled: Filled) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to the filled database: what it changes, it must roll back."""
    with psycopg.connect(filled.scratch.admin_url, autocommit=True, prepare_threshold=None) as connection:
        yield connection


@pytest.fixture
def door(route: Route) -> Iterator[Database]:
    """The one door to the filled database."""
    database = Database(route.app_url, route.options)
    database.open()
    yield database
    database.close()


def with_vectors(admin_url: str) -> str | None:
    """Make the table of an embedder's vectors, where the server has pgvector; its tag."""
    return enable_vectors(admin_url, SCHEMA, EMBEDDER, DIMENSIONS) if has_pgvector(admin_url) else None


def enter(connection: psycopg.Connection[Any], owner: Owner) -> None:
    """Make the open transaction the tenant's."""
    connection.execute("select set_config('app.tenant_id', %s, true)", (str(owner.tenant_id),))


def fill(connection: psycopg.Connection[Any], factory: RowFactory, world: World, owner: Owner, sets: tuple[int, ...]) -> None:
    """Put whole sets of rows into the world, in one transaction of the tenant."""
    with connection.transaction():
        enter(connection, owner)
        for set_no in sets:
            made = factory.fill(connection, owner, set_no, world.of(owner, sets[0]))
            world.rows.update({(owner.tenant_id, set_no, table): row for table, row in made.items()})


def tenant_of(owner: Owner) -> TenantId:
    """The id as the door takes it."""
    return TenantId(owner.tenant_id)


def _owner(word: str) -> Owner:
    return Owner(tenant_id=tenant_id_of(SCHEMA, word), canary=f"canary-of-{word}")
