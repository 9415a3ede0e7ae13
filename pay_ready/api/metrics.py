"""Metrics over HTTP: what the database says of every tenant, and what this process does."""

import threading
import time
from collections.abc import Callable, Mapping

import structlog

from pay_ready.app import App
from pay_ready.app_watch import answers_of, insist_it_answers, open_metrics, process_metrics
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.metrics import DatabaseCollector, Figures, all_figures
from pay_ready.telemetry import sinks, use_sinks
from pay_ready.telemetry.serving import MetricsServer

log = structlog.get_logger()

_FRESH_S = 2.0  # so long figures are given again: several scrapers ask at once


def open_server(app: App, tenants: Callable[[], Mapping[str, TenantId]], host: str, port: int) -> MetricsServer:
    """A server on its port; `run` serves.

    Args:
        app: Whose database is asked.
        tenants: Asked at each scrape: ids by name.
        host: Where to listen.
        port: 0 for a free one.

    Raises:
        ConflictError: The port is taken.
    """

    def read() -> Figures:
        insist_it_answers(app.urls.app)
        return all_figures(open_metrics(app, tenants()))

    metrics = process_metrics(app.database)
    metrics.registry.register(DatabaseCollector(_Once(read)))  # type: ignore[arg-type]
    use_sinks(*sinks(), metrics)
    return MetricsServer(answers_of(app.environment, (app.urls.app, app.domain.database_schema), metrics), host, port)


def watch_alerts(app: App, tenants: Callable[[], Mapping[str, TenantId]], every_s: float, ended: threading.Event) -> None:
    """Look at every tenant's alerts and tell its webhook, every so many seconds until `ended`: also when no run begins any more.

    What keeps one tenant's from being looked at is logged and holds up no other.
    """
    while not ended.wait(every_s):
        try:
            found = tenants()
        except PayReadyError as error:
            log.warning("alerts.not_checked", error_class=type(error).__name__)
            continue
        for slug in found:
            app.tell_operators(slug)


class _Once:
    """Reads for one asker at a time; who comes a moment later is given the same."""

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read, self._lock = read, threading.Lock()
        self._figures: Figures | None = None
        self._read_at = 0.0

    def __call__(self) -> Figures:
        with self._lock:
            if self._figures is None or time.monotonic() - self._read_at > _FRESH_S:
                self._figures = None  # a failure is not remembered
                self._figures, self._read_at = self._read(), time.monotonic()
            return self._figures
