"""The composition root of watching: what a status, alerts and metrics are made with; and who is told of what a process does."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import structlog

from pay_ready.db.connect import connected
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConflictError, PayReadyError, TransientError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.status import StatusWork, Targets, disks, pool_use
from pay_ready.resources import resource_path
from pay_ready.settings import Environment, Settings
from pay_ready.telemetry import Sink, is_on, use_sinks

if TYPE_CHECKING:  # heavy
    from pay_ready.app import App
    from pay_ready.pipeline.alerts.check import WatchWork
    from pay_ready.pipeline.alerts.webhook import Webhook
    from pay_ready.pipeline.metrics import MetricsWork
    from pay_ready.telemetry.figures import ProcessMetrics
    from pay_ready.telemetry.serving import Answers, Readiness

log = structlog.get_logger()

_ANSWER_S = 3  # that the database may take
_FULL = 0.97  # of a disk: no more work can be begun


def open_status(app: "App", slug: str) -> StatusWork:
    """As `App.status`."""
    tenant = app.tenant(slug)
    return _status_work(app, tenant.tenant_id, slug, app.settings_of(tenant))


def open_watch(app: "App", slug: str) -> "WatchWork":
    """As `App.watch`."""
    from pay_ready.pipeline.alerts.check import WatchWork
    from pay_ready.pipeline.alerts.rules import load_rules

    tenant = app.tenant(slug)
    settings = app.settings_of(tenant)
    own = Path(settings.watch.alert_rules) if settings.watch.alert_rules else None
    return WatchWork(
        status=_status_work(app, tenant.tenant_id, slug, settings),
        rules=load_rules(resource_path("config", "alerts.toml"), own),
        webhook=_webhook(app, tenant.tenant_id, settings),
    )


def tell_operators(app: "App", slug: str) -> PayReadyError | None:
    """As `App.tell_operators`."""
    from pay_ready.pipeline.alerts.check import check_alerts
    from pay_ready.pipeline.alerts.deliver import deliver_alerts

    try:
        work = open_watch(app, slug)
        check_alerts(work)
        deliver_alerts(work)
    except PayReadyError as error:
        log.warning("alerts.not_checked", error_class=type(error).__name__)
        return error
    return None


def open_metrics(app: "App", tenants: Mapping[str, TenantId]) -> "MetricsWork":
    """What the metrics of these tenants are read with; a tenant that is not there, or is suspended, is left out."""
    from pay_ready.pipeline.metrics import MetricsWork

    found = [_status_work(app, tenant, slug, app.settings) for slug, tenant in tenants.items()]
    return MetricsWork(database=app.database, tenants=found, folders=_folders(app))


def webhook_secret(app: "App", tenant: UUID) -> bytes:
    """The key that messages to a tenant's webhook are signed with: the one that was given, or one derived from the secret key.

    Raises:
        SecretError: There is neither, or it is malformed.
    """
    from pay_ready.pipeline.alerts.webhook import secret_of

    given = app.environment.webhook_secret
    return secret_of(given.get_secret_value()) if given is not None else app.keyring.purpose_key(tenant, "alerts webhook")


def _webhook(app: "App", tenant: TenantId, settings: Settings) -> "Webhook | None":
    if not settings.watch.webhook_url:
        return None
    from pay_ready.pipeline.alerts.webhook import Webhook

    return Webhook(
        url=settings.watch.webhook_url,
        secret=lambda: webhook_secret(app, tenant),
        allow_private=app.settings.watch.webhook_private,  # the operator's alone
        attempts=settings.watch.webhook_attempts,
    )


def _status_work(app: "App", tenant: TenantId, slug: str, settings: Settings) -> StatusWork:
    targets = Targets(hours=settings.watch.freshness_hours, by_stream=settings.watch.stream_freshness_hours)
    return StatusWork(
        database=app.database, tenant=tenant, slug=slug, targets=targets, cold=settings.weaviate.mode, folders=_folders(app),
        cache_prefix=app.domain.cache_prefix,
    )  # fmt: skip


def _folders(app: "App") -> tuple[Path, ...]:
    return (app.environment.state_folder, app.environment.archives_folder)


def turned_on(environment: Environment, database: Database, place: tuple[str, str], closing: ExitStack) -> None:
    """Tell of what this process does, where its variables ask for that: PAY_READY_TRACE, OTEL_*, PAY_READY_METRICS_PORT.

    `place`: the app's URL and schema. Once a process: an app that is opened inside another one tells nobody new.

    Raises:
        ConfigError: What is asked for is not installed, or cannot be written to.
    """
    if is_on():
        return
    told: list[Sink] = []
    if environment.trace or environment.sends_traces:
        from pay_ready.telemetry.tracing import spans_to

        spans = spans_to(environment.trace, otlp=environment.sends_traces)
        closing.callback(spans.close)
        told.append(spans)
    if environment.metrics_port is not None:
        metrics = process_metrics(database)
        told.append(metrics)
        _serve(environment, answers_of(environment, place, metrics), closing)
    use_sinks(*told)
    closing.callback(use_sinks)


def process_metrics(database: Database) -> "ProcessMetrics":
    """What this process counts, with its pool."""
    from pay_ready.telemetry.figures import ProcessMetrics

    metrics = ProcessMetrics()
    metrics.watch("pay_ready_db_pool_in_use_ratio", "Connections of this process in use, from 0 to 1.", lambda: pool_use(database).share)
    metrics.watch("pay_ready_db_pool_waiting", "Who waits for a connection of this process.", lambda: float(pool_use(database).waiting))
    return metrics


def answers_of(environment: Environment, place: tuple[str, str], metrics: "ProcessMetrics") -> "Answers":
    """What /metrics and /readyz of a process say."""
    from prometheus_client import generate_latest

    from pay_ready.telemetry.serving import Answers

    return Answers(metrics=lambda: generate_latest(metrics.registry), ready=lambda: readiness(environment, place))


def insist_it_answers(url: str) -> None:
    """Ask the database by a connection of its own: a pool says only after its whole wait that none came free.

    Raises:
        TransientError: It does not answer.
        ConfigError, DeniedError: It never will.
    """
    with connected(url, variable="PAY_READY_DATABASE_URL", parameters={"connect_timeout": _ANSWER_S}):
        pass


def readiness(environment: Environment, place: tuple[str, str]) -> "Mapping[str, Readiness]":
    """Whether work can be begun: the database answers and is migrated, the disk is not full."""
    from pay_ready.db.migrate import migration_status

    try:
        found: dict[str, Readiness] = {"database": "ok", "migrations": "fail" if migration_status(*place).pending else "ok"}
    except PayReadyError as error:
        found = {"database": "fail"} if isinstance(error, TransientError) else {"database": "ok", "migrations": "fail"}
    shares = [each.share for each in disks((environment.state_folder, environment.archives_folder))]
    found["disk"] = "fail" if max(shares) > _FULL else "ok"
    return found


def _serve(environment: Environment, answers: "Answers", closing: ExitStack) -> None:
    from pay_ready.telemetry.serving import MetricsServer

    try:
        server = MetricsServer(answers, environment.metrics_host, environment.metrics_port or 0)
    except ConflictError as error:
        # Several processes of a machine may share their variables: work goes on without metrics.
        log.warning("metrics.not_served", error_class=type(error).__name__, port=environment.metrics_port)
        return
    server.start()
    log.info("metrics.served", port=server.port)
    closing.callback(server.stop)
