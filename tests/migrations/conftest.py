"""What the tests of migrations share: databases with nothing in them, and a small piece of work in a migrated one."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from pay_ready.db import tenants
from pay_ready.db.migrate import migrate
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from pay_ready.resources import resource_path

from ..conftest import Scratch, Server, cloned
from .catalogue_dump import dump_of

SHIPPED = resource_path("sql", "migrations")


@pytest.fixture(scope="session")
def expected(server: Server) -> Iterator[list[str]]:
    """The dump of a database that the runner migrated in one go."""
    with cloned(server, None) as scratch:
        migrate(scratch.admin_url)
        yield dump_of(scratch.admin_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped files in a folder that a test may change."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "migrations"))


@pytest.fixture
def run_apart() -> Iterator[Callable[[str, Path], "subprocess.Popen[str]"]]:
    """Starts a runner in a process of its own, which prints each file that it applied; killed at the end if it still runs."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str, folder: Path) -> "subprocess.Popen[str]":
        code = (
            "import sys; from pathlib import Path; from pay_ready.db.migrate import migrate;"
            "migrate(sys.argv[1], folder=Path(sys.argv[2]), on_applied=lambda name: print(name, flush=True))"
        )
        command = [sys.executable, "-c", code, url, str(folder)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=SHIPPED.parents[1]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def next_file(folder: Path, words: str, text: str) -> Path:
    """Add the next migration to a folder."""
    path = folder / f"{len(list(folder.glob('*.sql'))) + 1:04}_{words}.sql"
    path.write_text(text, "utf-8")
    return path


def smoke(app_url: str, schema: str = "pay_ready") -> None:
    """A small write and read of two tenants through the one door; leaves nothing but two tenants."""
    database = Database(app_url, PoolOptions(max_size=2, overflow=0), schema)
    database.open()
    try:
        first, second = TenantId(uuid4()), TenantId(uuid4())
        for tenant in (first, second):
            with database.tenant_transaction(tenant) as tx:
                tenants.create(tx, slug="same-slug", name="Same", settings={"schema_version": 1}, actor="tests")
                assert tenants.next_number(tx, "commit_seq", 3) == 1
        with database.tenant_transaction(first) as tx:
            assert tenants.change_settings(tx, {"schema_version": 1, "x": 2}, actor="tests", reason="smoke") == 2
        for tenant, version in ((first, 2), (second, 1)):
            with database.tenant_transaction(tenant) as tx:
                found = tenants.find(tx)
                assert found is not None
                assert (found.tenant_id, found.settings_version) == (tenant, version)
            assert database.tenant_arrow(tenant, "tenants.find").num_rows == 1
    finally:
        database.close()


def applied(url: str, schema: str = "pay_ready") -> list[str]:
    """File names in the ledger."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"select name from {schema}.schema_migrations order by version").fetchall()
    return [name for (name,) in rows]


def emptied(scratch: Scratch) -> None:
    """Drop the schema, so that the same database can be migrated again."""
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute("drop schema if exists pay_ready cascade")
