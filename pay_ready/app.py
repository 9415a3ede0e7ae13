"""The composition root: builds the database, the keyring and the settings of a process. It alone knows the concrete classes."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pay_ready.db import tenants
from pay_ready.db.admin import grant_app, grant_erasure
from pay_ready.db.embedded import start_embedded, stop_embedded
from pay_ready.db.health import Finding, Place, disk, examine
from pay_ready.db.migrate import migrate, migration_status
from pay_ready.db.slow_statements import SlowStatements
from pay_ready.db.tenancy import Database, PoolOptions, Timeouts
from pay_ready.errors import PayReadyError, SecretError, UsageError
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId, tenant_id_of
from pay_ready.secrets import Keyring, generate_key
from pay_ready.settings import Domain, Environment, Settings, WorkTimeouts, load_domain, load_settings

if TYPE_CHECKING:  # heavy: each is loaded by the command that needs it
    from pay_ready.agent.answering import Agent
    from pay_ready.app_memory import MemoryParts
    from pay_ready.db.sources import DataSource
    from pay_ready.memory.tiers import MemoryManager
    from pay_ready.pipeline.alerts.check import WatchWork
    from pay_ready.pipeline.erase.work import Eraser
    from pay_ready.pipeline.feed import Feed
    from pay_ready.pipeline.mapping.rules import SourceMapping
    from pay_ready.pipeline.outer import OuterStore
    from pay_ready.pipeline.retention.work import RetentionWork
    from pay_ready.pipeline.review.desk import Desk
    from pay_ready.pipeline.status import StatusWork
    from pay_ready.pipeline.work import TenantWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Where the database is; `admin` is absent when only the app's URL was given."""

    app: str
    admin: str | None
    embedded: bool
    erasure: str | None = None  # of a login that may delete history


@dataclass(frozen=True, kw_only=True)
class App:
    """What a command or a flow works with."""

    environment: Environment
    domain: Domain
    settings: Settings
    urls: Urls
    database: Database

    def tenant_id(self, slug: str) -> TenantId:
        """The id of a tenant of this domain, made or not."""
        return tenant_id_of(self.domain.namespace, slug)

    def tenant(self, slug: str) -> tenants.Tenant:
        """An active tenant.

        Raises:
            NotFoundError: Never made.
            DeniedError: Suspended.
        """
        with self.database.tenant_transaction(self.tenant_id(slug)) as tx:
            return tenants.require_active(tx, slug)

    def settings_of(self, tenant: tenants.Tenant) -> Settings:
        """The settings with the tenant's own on top."""
        return self.settings.for_tenant(tenant.settings)

    @cached_property
    def keyring(self) -> Keyring:
        """Keys for credentials: PAY_READY_SECRET_KEY, PAY_READY_SECRET_KEY_FILE, or (embedded server only) a key in the state folder.

        Raises:
            SecretError: None is set, or it is malformed.
        """
        return load_keyring(self.environment, may_generate=self.urls.embedded)

    @cached_property
    def memory_parts(self) -> "MemoryParts":
        """What memory is made of."""
        from pay_ready.app_memory import MemoryParts

        return MemoryParts(
            environment=self.environment, domain=self.domain, settings=self.settings, database=self.database, admin_url=self.urls.admin,
            is_embedded=self.urls.embedded,
        )  # fmt: skip

    @property
    def memory(self) -> "MemoryManager":
        """Memory of every tenant: one of a process."""
        return self.memory_parts.memory

    @property
    def outer_store(self) -> "OuterStore | None":
        """The vector store beside Postgres; None, and nothing of memory loaded, where there is none."""
        if self.settings.weaviate.mode == "off":
            return None
        from pay_ready.pipeline.outer import OuterStore

        parts = self.memory_parts
        store = parts.vector_store
        return None if store is None else OuterStore(store=store, embedder_id=parts.embedder.id, dimensions=parts.embedder.dim)

    def agent(self, slug: str) -> "Agent":
        """What answers questions of one tenant.

        Raises:
            NotFoundError, DeniedError: As `tenant`.
            ConfigError: A setting or a file of the configuration is off.
        """
        from pay_ready.app_agent import open_agent

        return open_agent(self, slug)

    def close(self) -> None:
        """Let go of what was opened on the way."""
        if "memory_parts" in self.__dict__:
            self.memory_parts.close()

    def work(self, slug: str, *, accept_shrink: bool = False, cancel_on_timeout: bool = False, wait_s: float = 0.0) -> "TenantWork":
        """A tenant's pipeline with its settings; the options stand above them.

        Args:
            accept_shrink: Believe a refresh that drops much of a stream.
            cancel_on_timeout: Cancel an Airbyte job of ours that takes too long.
            wait_s: How long to wait while another run is at work.

        Raises:
            NotFoundError, DeniedError: As `tenant`.
            ConfigError: A setting or a file of the configuration is off.
        """
        from pay_ready.app_work import open_work

        return open_work(self, slug, accept_shrink=accept_shrink, cancel_on_timeout=cancel_on_timeout, wait_s=wait_s)

    def status(self, slug: str) -> "StatusWork":
        """What a tenant's status is read with.

        Raises:
            NotFoundError, DeniedError: As `tenant`.
            ConfigError: A setting of the tenant is off.
        """
        from pay_ready.app_watch import open_status

        return open_status(self, slug)

    def watch(self, slug: str) -> "WatchWork":
        """What a tenant's alerts are looked at with.

        Raises:
            NotFoundError, DeniedError: As `tenant`.
            ConfigError: A setting of the tenant, or an alert rule is off.
        """
        from pay_ready.app_watch import open_watch

        return open_watch(self, slug)

    def tell_operators(self, slug: str) -> PayReadyError | None:
        """Look at a tenant's alerts and tell its webhook what fired and what is over; what kept that from being done is given back."""
        from pay_ready.app_watch import tell_operators

        return tell_operators(self, slug)

    def desk(self, slug: str) -> "Desk":
        """A reviewer's desk: who runs this command, on a tenant's pairs.

        Raises:
            NotFoundError, DeniedError: As `tenant`.
            ConfigError: A setting or a file of the configuration is off.
        """
        from pay_ready.app_work import open_desk

        return open_desk(self, slug)

    def feed(self, source: "DataSource") -> "Feed":
        """How a source is read: the replay source or its installed connector, and its mapping.

        Raises:
            NotFoundError: The connector is not installed.
            ConfigError: There is no mapping of the source's kind; names those there are.
        """
        from pay_ready.app_work import open_feed

        return open_feed(self.environment, source)

    def mapping(self, source: "DataSource") -> "SourceMapping":
        """The mapping that reads a source.

        Raises:
            ConfigError: There is none of its kind, or it is wrong; names file, key and choices.
        """
        from pay_ready.app_work import mapping_of

        return mapping_of(source)

    @contextmanager
    def eraser(self, slug: str) -> Iterator["Eraser"]:
        """What erases people of a tenant, by the login that may delete history.

        Raises:
            NotFoundError, DeniedError: As `tenant`; or there is no such login.
            SecretError: There is no key for the digests that keep erased people out.
        """
        from pay_ready.app_work import open_eraser

        with open_eraser(self, slug, _pool_options(self.settings, None)) as eraser:
            yield eraser

    @contextmanager
    def retention(self, slug: str, *, may_delete: bool, wait_s: float = 0.0) -> Iterator["RetentionWork"]:
        """What archives and restores old rows of a tenant.

        Args:
            slug: The tenant.
            may_delete: By the login that may delete history; else by the app's, which can plan.
            wait_s: How long to wait while another process archives, restores or erases.

        Raises:
            NotFoundError, DeniedError: As `tenant`; or there is no such login.
            ConfigError: A setting of the tenant is off.
        """
        from pay_ready.app_work import open_retention

        pool = _pool_options(self.settings, None) if may_delete else None
        with open_retention(self, slug, pool, wait_s=wait_s) as work:
            yield work

    @property
    def admin_url(self) -> str:
        """The administrator's URL.

        Raises:
            UsageError: It is not set.
        """
        if self.urls.admin is None:
            raise UsageError("this needs an administrator", "set PAY_READY_ADMIN_DATABASE_URL")
        return self.urls.admin

    @property
    def actor(self) -> str:
        """Who acts, for the audit."""
        return os.environ.get("USER") or f"uid:{os.getuid()}"


@contextmanager
def open_app(environment: Environment | None = None, *, most_connections: int | None = None) -> Iterator[App]:
    """Settings checked, database reachable and migrated (the embedded one by itself), closed under every exit.

    Args:
        environment: Variables of the process; None reads them.
        most_connections: So many in the pool at most, whatever is configured: for who works alone, one step after the other.
    """
    environment = environment or Environment()
    domain = load_domain(environment.domain)
    settings = load_settings(environment, domain)
    configure_logs(settings.logging.level, settings.logging.format)
    with _urls(environment) as urls, ExitStack() as closing:
        slow = _slow_statements(environment, settings)
        database = Database(urls.app, _pool_options(settings, most_connections), domain.database_schema, slow=slow)
        if environment.is_watched:
            from pay_ready.app_watch import turned_on  # heavy, for who is watched alone

            turned_on(environment, database, (urls.app, domain.database_schema), closing)
        database.open()
        app = App(environment=environment, domain=domain, settings=settings, urls=urls, database=database)
        try:
            yield app
        finally:
            app.close()
            database.close()


@contextmanager
def admin_urls(environment: Environment | None = None) -> Iterator[tuple[Urls, str]]:
    """The database's URLs and schema before anything is known to work: for migrate and doctor."""
    environment = environment or Environment()
    domain = load_domain(environment.domain)
    settings = load_settings(environment, domain)
    configure_logs(settings.logging.level, settings.logging.format)
    if environment.database_url is not None or environment.admin_database_url is not None:
        admin = environment.admin_database_url.get_secret_value() if environment.admin_database_url else None
        app = environment.database_url.get_secret_value() if environment.database_url else admin or ""
        erasure = environment.erasure_database_url.get_secret_value() if environment.erasure_database_url else None
        yield Urls(app=app, admin=admin, embedded=False, erasure=erasure), domain.database_schema
        return
    server = start_embedded(environment.state_folder)
    try:
        urls = Urls(app=server.app_url, admin=server.admin_url, embedded=True, erasure=server.erasure_url)
        yield urls, domain.database_schema
    finally:
        stop_embedded(environment.state_folder)


def _slow_statements(environment: Environment, settings: Settings) -> SlowStatements | None:
    bound = settings.database.slow_statement_ms
    return SlowStatements(bound, slow_statements_file(environment)) if bound else None


def slow_statements_file(environment: Environment) -> Path:
    """Where statements that took long are kept account of, on this machine."""
    return environment.state_folder / "slow-statements.jsonl"


def diagnose(environment: Environment | None = None, *, deep: bool = False) -> list[Finding]:
    """Every finding about configuration, database, disk, key and connectors; a deep look also into how the database does its work."""
    environment = environment or Environment()
    findings: list[Finding] = []
    try:
        with admin_urls(environment) as (urls, schema):
            if urls.embedded and urls.admin and migration_status(urls.admin, schema).pending:
                _prepare_embedded(urls, schema)
            how = f"embedded, in {environment.state_folder}" if urls.embedded else "PAY_READY_DATABASE_URL"
            findings.append(Finding(check="configuration", state="ok", found=f"domain {environment.domain}, database: {how}"))
            place = Place(app_url=urls.app, admin_url=urls.admin, schema=schema, erasure_url=urls.erasure)
            findings += examine(place)
            if deep:
                findings += _deep_findings(environment, place)
    except PayReadyError as error:
        findings.append(Finding(check="configuration", state="fail", found=str(error), fix=error.hint))
    return [*findings, disk(environment.state_folder), _key_finding(environment), _connector_finding()]


def _deep_findings(environment: Environment, place: Place) -> list[Finding]:
    from pay_ready.db.care import CareBounds, examine_deeply  # for this alone

    settings = load_settings(environment, load_domain(environment.domain))
    pool = settings.database.pool
    bounds = CareBounds(
        slow_ms=settings.database.slow_statement_ms, slow_file=slow_statements_file(environment), connections=pool.max_size + pool.overflow,
    )  # fmt: skip
    return examine_deeply(place, bounds)


def _key_finding(environment: Environment) -> Finding:
    try:
        load_keyring(environment, may_generate=False)
    except SecretError as error:
        return Finding(check="secret key", state="warn", found=error.what, fix="pay-ready keys generate (sources with credentials need it)")
    return Finding(check="secret key", state="ok", found="there")


def _connector_finding() -> Finding:
    from pay_ready.sources.installs import find_python

    try:
        python = find_python(None)
    except PayReadyError as error:
        return Finding(check="connector python", state="warn", found=error.what, fix=error.hint)
    return Finding(check="connector python", state="ok", found=str(python))


def _prepare_embedded(urls: Urls, schema: str) -> None:
    """The embedded database is ours alone: it is migrated without being asked."""
    if urls.admin is None:
        return
    if migration_status(urls.admin, schema).pending:
        migrate(urls.admin, schema)
    grant_app(urls.admin, urlsplit(urls.app).username or "", schema)
    grant_erasure(urls.admin, urlsplit(urls.erasure or "").username or "", schema)


def key_file(environment: Environment) -> Path:
    """Where the embedded server's key is kept unless told otherwise."""
    return environment.secret_key_file or environment.state_folder / "secret.key"


def load_keyring(environment: Environment, *, may_generate: bool) -> Keyring:
    """The keys; made on first use when `may_generate`."""
    if environment.secret_key is not None:
        return Keyring.from_text(environment.secret_key.get_secret_value())
    path = key_file(environment)
    if path.is_file():
        return Keyring.from_file(path)
    if environment.secret_key_file is not None or not may_generate:
        hint = "make one: pay-ready keys generate; then set PAY_READY_SECRET_KEY or PAY_READY_SECRET_KEY_FILE"
        raise SecretError("no key to encrypt credentials with", hint)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole or absent: another process that looks at this moment must not find an empty key.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(generate_key() + "\n")
    with suppress(FileExistsError):  # another process was quicker: its key holds
        path.hardlink_to(draft)
    draft.unlink()
    return Keyring.from_file(path)


@contextmanager
def _urls(environment: Environment) -> Iterator[Urls]:
    if environment.database_url is not None:
        admin, erasure = environment.admin_database_url, environment.erasure_database_url
        yield Urls(
            app=environment.database_url.get_secret_value(), admin=admin.get_secret_value() if admin else None, embedded=False,
            erasure=erasure.get_secret_value() if erasure else None,
        )  # fmt: skip
        return
    if environment.admin_database_url is not None:
        # Never the administrator's URL in its place, and nobody's own database is migrated without being asked.
        hint = "make a login with: pay-ready migrate --app-login NAME; and put its URL into PAY_READY_DATABASE_URL"
        raise UsageError("there is an administrator's URL and none for the app", hint)
    with admin_urls(environment) as (urls, schema):
        _prepare_embedded(urls, schema)
        yield urls


def _pool_options(settings: Settings, most_connections: int | None) -> PoolOptions:
    pool = settings.database.pool
    most = pool.max_size + pool.overflow if most_connections is None else most_connections
    max_size = min(pool.max_size, most)
    return PoolOptions(
        min_size=min(pool.min_size, max_size),
        max_size=max_size,
        overflow=min(pool.overflow, most - max_size),
        wait_s=pool.wait_s,
        recycle_s=pool.recycle_s,
        max_idle_s=pool.max_idle_s,
        check_liveness=pool.check_liveness,
        transaction_pooler=settings.database.transaction_pooler,
        people=_timeouts(settings.database.people),
        batch=_timeouts(settings.database.batch),
    )


def _timeouts(configured: WorkTimeouts) -> Timeouts:
    return Timeouts(
        statement_ms=configured.statement_ms,
        lock_ms=configured.lock_ms,
        idle_in_transaction_ms=configured.idle_in_transaction_ms,
    )
