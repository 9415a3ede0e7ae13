"""One server for the whole run, one migrated template, one database cloned from it per test."""

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import sql

from pay_ready.db.admin import grant_app, grant_erasure
from pay_ready.db.embedded import start_embedded
from pay_ready.db.migrate import migrate
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId, tenant_id_of

TEMPLATE = "pay_ready_template"
_MEMORY, _MEMORY_BYTES = Path("/dev/shm"), 4 << 30
_MEMORY_VARIABLE = "TESTS_IN_MEMORY"
_WITHOUT_MODEL, _OWN_SETTINGS = {"integration", "faults"}, {"test_config_keys"}

# An example takes as long as a busy machine lets it: no test is about time.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Several test processes share the cores: BLAS threads that wait for each other by turning in circles made them up to five times slower.
# Read when numpy is first loaded, by a test.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """URLs of the administrator, of the app's login and of the one that erases, each on any database of the server."""

    admin_url: str
    app_url: str
    erasure_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A migrated database of one test."""

    admin_url: str
    app_url: str
    erasure_url: str  # of a login that may delete history


@pytest.fixture(autouse=True, scope="module")
def hashed_words(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where nothing is about vectors, what is indexed on the way gets hashed words for them: the model takes a second to load."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name in _WITHOUT_MODEL and request.path.stem not in _OWN_SETTINGS:
            patch.setenv("PAY_READY_EMBEDDING__PROVIDER", "hash")
        yield


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """What a test that opens the app sets logs up to, and on which stream, is not the next one's."""
    yield
    structlog.reset_defaults()


def on_database(url: str, name: str) -> str:
    """The same URL on another database."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """One process of the run at a time."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of one run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base


def pytest_configure(config: pytest.Config) -> None:
    """A folder in memory for databases that are cloned and thrown away by the thousand, where the machine has room for it."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if is_worker or not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _MEMORY_BYTES:
        return
    for stale in _MEMORY.glob("pay-ready-tests-*"):  # of a run that was killed
        if not Path("/proc", stale.name.split("-")[3]).exists():
            shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=_MEMORY, prefix=f"pay-ready-tests-{os.getpid()}-"))
    folder.chmod(0o711)  # a server that was started by root runs as somebody else
    os.environ[_MEMORY_VARIABLE] = str(folder)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def thrown_away(run_folder: Path) -> Path:
    """A folder that all workers of one run share, for what need not outlive it."""
    return Path(os.environ.get(_MEMORY_VARIABLE, run_folder))


@pytest.fixture(scope="session")
def server(thrown_away: Path) -> Iterator[Server]:
    """The embedded server of this run, or the one that PAY_READY_TEST_ADMIN_URL, _APP_URL and _ERASURE_URL name."""
    if admin_url := os.environ.get("PAY_READY_TEST_ADMIN_URL"):
        app_url = os.environ["PAY_READY_TEST_APP_URL"]
        yield Server(admin_url=admin_url, app_url=app_url, erasure_url=os.environ.get("PAY_READY_TEST_ERASURE_URL", app_url))
        return
    from pay_ready.db.embedded import stop_embedded

    home = thrown_away / "embedded"
    embedded = start_embedded(home)
    # Hundreds of databases are cloned here and thrown away: none has to outlive a power cut. Crashes of processes do not need it.
    with psycopg.connect(embedded.admin_url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes"):
            admin.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        admin.execute("select pg_reload_conf()")
    yield Server(admin_url=embedded.admin_url, app_url=embedded.app_url, erasure_url=embedded.erasure_url)
    stop_embedded(home)


@pytest.fixture(scope="session")
def template(server: Server, run_folder: Path) -> str:
    """A migrated database that tests are cloned from; made once per run, under a lock."""
    with only_one(run_folder / "template.lock"), psycopg.connect(server.admin_url, autocommit=True) as admin:
        if admin.execute("select 1 from pg_database where datname = %s", (TEMPLATE,)).fetchone() is None:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE + "_new")))
            url = on_database(server.admin_url, TEMPLATE + "_new")
            migrate(url)
            login = urlsplit(server.app_url).username or ""
            grant_app(url, login)
            if server.erasure_url != server.app_url:
                grant_erasure(url, urlsplit(server.erasure_url).username or "")
            admin.execute(sql.SQL("alter database {} rename to {}").format(sql.Identifier(TEMPLATE + "_new"), sql.Identifier(TEMPLATE)))
    return TEMPLATE


@contextmanager
def cloned(server: Server, template: str | None) -> Iterator[Scratch]:
    """A database of its own, dropped afterwards; empty when there is no template."""
    name = f"test_{uuid.uuid4().hex[:16]}"
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        origin = sql.SQL(" template {}").format(sql.Identifier(template)) if template else sql.SQL("")
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)) + origin)
    try:
        yield Scratch(
            admin_url=on_database(server.admin_url, name), app_url=on_database(server.app_url, name),
            erasure_url=on_database(server.erasure_url, name),
        )  # fmt: skip
    finally:
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def scratch(server: Server, template: str) -> Iterator[Scratch]:
    """A migrated database of this test's own."""
    with cloned(server, template) as database:
        yield database


@pytest.fixture
def empty_database(server: Server) -> Iterator[Scratch]:
    """A database without anything in it."""
    with cloned(server, None) as database:
        yield database


@pytest.fixture
def database(scratch: Scratch) -> Iterator[Database]:
    """The app's pool on this test's database."""
    pool = Database(scratch.app_url, PoolOptions(max_size=4, overflow=0))
    pool.open()
    yield pool
    pool.close()


def make_tenant(database: Database, slug: str) -> TenantId:
    """A tenant with shipped settings."""
    from pay_ready.db import tenants

    tenant = tenant_id_of("pay_ready", slug)
    with database.tenant_transaction(tenant) as tx:
        tenants.create(tx, slug=slug, name=slug.title(), settings={"schema_version": 1}, actor="tests")
    return tenant


@pytest.fixture
def tenant(database: Database) -> TenantId:
    """One tenant."""
    return make_tenant(database, "acme")


@pytest.fixture
def new_tenant(database: Database) -> Callable[[str], TenantId]:
    """Makes further tenants by name."""
    return lambda slug: make_tenant(database, slug)
