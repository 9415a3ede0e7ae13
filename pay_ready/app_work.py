"""The composition root of the pipeline: a tenant's work, its review desk, its eraser. Only commands that change something load it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pay_ready.db import tenants
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConfigError, DeniedError
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.pipeline.drift.options import DriftOptions
from pay_ready.pipeline.feed import Feed
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.poison import PoisonLimit
from pay_ready.pipeline.land.sync import SyncOptions
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.lineage.events import Lineage, LineageTarget
from pay_ready.pipeline.lineage.steps import Place
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.pipeline.resolution_config import load_resolution_config
from pay_ready.pipeline.source_breaker import BreakerOptions
from pay_ready.pipeline.work import InsightSteps, TenantWork
from pay_ready.resources import resource_path
from pay_ready.settings import Environment, Settings
from pay_ready.sources.installs import find_connector
from pay_ready.sources.replay import replay_command

if TYPE_CHECKING:  # heavy
    from pay_ready.agent.toolbox import Toolbox
    from pay_ready.app import App
    from pay_ready.pipeline.airbyte.source import PlatformOptions
    from pay_ready.pipeline.erase.work import Eraser
    from pay_ready.pipeline.quality.rules import Rule
    from pay_ready.pipeline.retention.work import RetentionWork
    from pay_ready.pipeline.review.desk import Desk


def open_work(app: "App", slug: str, *, accept_shrink: bool, cancel_on_timeout: bool, wait_s: float) -> TenantWork:
    """As `App.work`."""
    tenant = app.tenant(slug)
    settings = app.settings_of(tenant)
    resolution = _resolution_config(tenant, settings)
    return TenantWork(
        database=app.database,
        tenant=tenant.tenant_id,
        slug=slug,
        actor=app.actor,
        cache_prefix=app.domain.cache_prefix,
        options=SyncOptions(
            limits=FlushLimits(rows=settings.etl.default_batch_size),
            max_retries=settings.etl.max_retries,
            timeout_s=settings.etl.sync_timeout_minutes * 60,
            guard=ShrinkGuard(max_percent=settings.etl.max_shrink_percent, accept=accept_shrink),
            poison=PoisonLimit(max_percent=settings.etl.max_quarantine_percent),
            lease_wait_s=wait_s,
        ),
        context=MappingContext(
            phone_region=settings.staging.phone_region,
            time_zone=settings.staging.time_zone,
            email_validation=settings.entity_resolution.email_validation,
            free_mail=resolution.free_mail_domains,
            internal_domains=frozenset(settings.staging.internal_domains),
            now=datetime.now(UTC),
        ),
        resolution=resolution,
        breaker=BreakerOptions(opens_after=settings.etl.breaker_failures, open_s=settings.etl.breaker_open_minutes * 60),
        keep_count=settings.checkpoints.keep_count,
        keep_days=settings.checkpoints.keep_days,
        four_eyes=settings.checkpoints.four_eyes,
        keyring=lambda: app.keyring,
        feed=app.feed,
        platform=lambda: _platform_options(settings, cancel_on_timeout=cancel_on_timeout),
        memory=(lambda: app.memory) if settings.memory_management.index_after_run else None,
        insight=InsightSteps(
            toolbox=lambda: _toolbox(app, tenant),
            is_analysed=settings.agent.analyse_after_run,
            most_s=settings.agent.analyse_seconds,
            answers=settings.agent.warm_answers,
        ),
        drift=DriftOptions(
            baseline_days=settings.drift.baseline_days,
            current_days=settings.drift.current_days,
            least_observations=settings.drift.least_observations,
            high=settings.drift.high_severity,
            critical=settings.drift.critical_severity,
            metrics=settings.drift.metrics,
        ),
        quality=quality_rules(settings) if settings.quality.check_runs else None,
        lineage=_lineage(app, slug, settings),
    )


def quality_rules(settings: Settings) -> "tuple[Rule, ...]":
    """The rules of data quality that hold under a tenant's settings.

    Raises:
        ConfigError: A file, key or value is wrong; names it and the choices.
    """
    from pay_ready.pipeline.quality.rules import load_rules

    own = Path(settings.quality.folder) if settings.quality.folder else None
    return load_rules(resource_path("config", "quality"), own, settings.quality.rules)


def open_desk(app: "App", slug: str) -> "Desk":
    """As `App.desk`."""
    from pay_ready.pipeline.review.desk import Desk, ReviewRules

    tenant = app.tenant(slug)
    settings = app.settings_of(tenant)
    resolution = _resolution_config(tenant, settings)
    rules = ReviewRules(
        blind=settings.review.blind,
        double=settings.review.double,
        gold_percent=settings.review.gold_percent,
        lease_s=settings.review.lease_minutes * 60,
        agent_decides=settings.review.agent_decides,
    )
    return Desk(database=app.database, tenant=tenant.tenant_id, actor=app.actor, resolution=resolution, rules=rules)


def open_feed(environment: Environment, source: DataSource) -> Feed:
    """As `App.feed`."""
    scratch = environment.state_folder / "scratch"
    command = None
    if source.ingest_mode == "replay":
        command = replay_command(scratch)
    elif source.ingest_mode == "connector":
        command = find_connector(source.connector, environment.connectors_folder).command(scratch)
    return Feed(command=command, mapping=mapping_of(source), is_replay=source.ingest_mode == "replay")


def mapping_of(source: DataSource) -> SourceMapping:
    """As `App.mapping`."""
    return load_mapping(mapping_path(source.kind, source.config.mapping))


@contextmanager
def open_eraser(app: "App", slug: str, pool: PoolOptions) -> Iterator["Eraser"]:
    """As `App.eraser`."""
    from pay_ready.pipeline.erase.work import Eraser
    from pay_ready.pipeline.retention.shelf import Shelf

    with _deleting(app, "erasing", pool) as database:
        work = app.work(slug)
        digest_key = work.keyring().digest_keys(work.tenant)[0]
        yield Eraser(
            database=database, tenant=work.tenant, slug=slug, actor=app.actor, digest_key=digest_key, config=work.resolution,
            context=work.context, mapping_of=app.mapping, state_folder=app.environment.state_folder,
            shelf=Shelf(app.environment.archives_folder, work.tenant),
        )  # fmt: skip


@contextmanager
def open_retention(app: "App", slug: str, pool: PoolOptions | None, *, wait_s: float) -> Iterator["RetentionWork"]:
    """As `App.retention`; with a pool by the login that may delete history, else by the app's."""
    from pay_ready.pipeline.retention.shelf import Shelf
    from pay_ready.pipeline.retention.work import RetentionRules, RetentionWork

    tenant = app.tenant(slug)
    settings = app.settings_of(tenant)
    kept = settings.retention
    rules = RetentionRules(
        days={
            "history": kept.history_days, "landed": kept.landed_days, "quarantine": kept.quarantine_days, "memories": kept.memories_days,
            "runs": kept.runs_days, "logs": kept.logs_days,
        },
        archive_days=kept.archive_days, batch_rows=kept.batch_rows,
    )  # fmt: skip
    with nullcontext(app.database) if pool is None else _deleting(app, "archiving", pool) as database:
        yield RetentionWork(
            database=database, tenant=tenant.tenant_id, slug=slug, actor=app.actor, rules=rules,
            shelf=Shelf(app.environment.archives_folder, tenant.tenant_id), region=settings.staging.phone_region,
            keyring=lambda: app.keyring, lease_wait_s=wait_s,
        )  # fmt: skip


@contextmanager
def _deleting(app: "App", what: str, pool: PoolOptions) -> Iterator[Database]:
    """The database by the login that may delete history.

    Raises:
        DeniedError: There is no such login.
    """
    if app.urls.erasure is None:
        hint = "as an administrator: pay-ready migrate --erasure-login NAME; put its URL into PAY_READY_ERASURE_DATABASE_URL"
        raise DeniedError(f"{what} needs a login of its own, which may delete history", hint)
    database = Database(app.urls.erasure, pool, app.domain.database_schema)
    database.open()
    try:
        yield database
    finally:
        database.close()


def mapping_path(kind: str, own: str | None) -> Path:
    """The mapping of a kind of source: its user's own file, or the shipped one.

    Raises:
        ConfigError: Neither is there; names the shipped kinds.
    """
    if own is not None:
        return Path(own)
    folder = resource_path("config", "sources")
    path = folder / f"{kind}.toml"
    if not path.is_file():
        choices = ", ".join(sorted(each.stem for each in folder.glob("*.toml")))
        raise ConfigError("no mapping of this kind", f"choose one of {choices}, or give your own file with --mapping", kind=kind)
    return path


def _lineage(app: "App", slug: str, settings: Settings) -> Lineage | None:
    """Who is told what steps read and write; None unless the settings, or OpenLineage's own variables, say where."""
    lineage, key = settings.lineage, app.environment.lineage_api_key
    if lineage.mode == "off" or (lineage.mode == "auto" and not app.environment.has_openlineage_variables):
        return None
    target = LineageTarget(
        to="client" if lineage.mode == "auto" else lineage.mode, target=lineage.target, api_key=key.get_secret_value() if key else None
    )
    parts = urlsplit(app.urls.app)
    place = Place(
        database=f"postgres://{parts.hostname or 'localhost'}:{parts.port or 5432}",
        prefix=f"{parts.path.lstrip('/') or 'postgres'}.{app.domain.database_schema}",
    )
    return Lineage(target, namespace=f"{lineage.namespace}.{slug}", place=place)


def _toolbox(app: "App", tenant: tenants.Tenant) -> "Toolbox":
    from pay_ready.app_agent import open_toolbox

    return open_toolbox(app, tenant)


def _resolution_config(tenant: tenants.Tenant, settings: Settings) -> ResolutionConfig:
    """How a tenant's people and companies are recognised."""
    shipped = resource_path("config", "resolution", "default.toml")
    config = load_resolution_config(shipped, settings.entity_resolution.model_dump())
    return replace(config, settings_version=tenant.settings_version)


def _platform_options(settings: Settings, *, cancel_on_timeout: bool) -> "PlatformOptions":
    """How an Airbyte's jobs are run and its tables read; loaded for those sources alone."""
    from pay_ready.pipeline.airbyte.job import JobOptions
    from pay_ready.pipeline.airbyte.source import PlatformOptions
    from pay_ready.pipeline.airbyte.watch import Intervals

    return PlatformOptions(
        job=JobOptions(
            timeout_s=settings.etl.sync_timeout_minutes * 60,
            cancel_on_timeout=settings.airbyte.cancel_on_timeout or cancel_on_timeout,
            intervals=Intervals(first_s=settings.airbyte.poll_seconds, most_s=settings.airbyte.longest_poll_seconds),
        ),
        lag_s=settings.airbyte.lag_hours * 3600,
    )
