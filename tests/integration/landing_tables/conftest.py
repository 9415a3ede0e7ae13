"""One database a module, for each test a tenant and a schema of its own: a database a test would take longer than the test."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.airbyte_simulator.destination import SimulatedStream
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.tables_support import COLUMNS, Reader

MakeStream = Callable[..., SimulatedStream]


@pytest.fixture(scope="module")
def scratch(server: Server, template: str) -> Iterator[Scratch]:
    """A migrated database of this module's own."""
    with cloned(server, template) as database:
        yield database


@pytest.fixture(scope="module")
def database(scratch: Scratch) -> Iterator[Database]:
    """The app's pool on it."""
    pool = Database(scratch.app_url, PoolOptions(max_size=4, overflow=0))
    pool.open()
    yield pool
    pool.close()


@pytest.fixture
def word() -> str:
    """A name that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def tenant(database: Database, word: str) -> TenantId:
    """This test's tenant."""
    return make_tenant(database, word)


@pytest.fixture
def reader(database: Database, tenant: TenantId, scratch: Scratch) -> Reader:
    """A source of this test's tenant that reads tables of our own database."""
    return Reader(database=database, tenant=tenant, url=scratch.admin_url, admin_url=scratch.admin_url).add()


@pytest.fixture
def make_stream(scratch: Scratch, word: str) -> MakeStream:
    """Makes streams, of people unless told otherwise, in this test's schema of our own database."""

    def make(name: str = "people", **more: Any) -> SimulatedStream:
        return SimulatedStream(**{"url": scratch.admin_url, "name": name, "schema": word, "columns": dict(COLUMNS), **more})

    return make


@pytest.fixture
def simulated(make_stream: MakeStream) -> SimulatedStream:
    """An appended stream of people."""
    return make_stream()
