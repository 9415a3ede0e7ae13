"""`pay-ready serve-metrics`: figures of every tenant for Prometheus."""

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import opened_app
from pay_ready.cli.output import note
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.model.ids import TenantId

_STOP_S = 30.0  # that a look under way may take at the end


def serve_metrics(
    host: Annotated[str, typer.Option(help="Address to listen at. There is no login: keep it inside.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: a free one.")] = 9464,
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            "--tenant", "-t", envvar="PAY_READY_METRICS_TENANTS", help="Only these; without it all active ones (administrator's URL)."
        ),
    ] = None,
    alerts: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Look at the alerts every so often, too, and tell the webhook; 0: never.")
    ] = 0.0,
) -> None:
    """Serve /metrics, /healthz and /readyz (503 while the database is away) until it is stopped. Tenants are opaque hashes.

    Example: pay-ready serve-metrics --port 9464 --alerts 60
    """
    from pay_ready.api.metrics import open_server, watch_alerts

    ended = threading.Event()
    with opened_app(most_connections=4) as opened:
        wanted = tenant or []
        if not wanted and opened.urls.admin is None:
            raise UsageError("which tenants?", "name them with --tenant, or set PAY_READY_ADMIN_DATABASE_URL")
        server = open_server(opened, lambda: _tenants(opened, wanted), host, port)
        note(f"{server.url}/metrics, /healthz, /readyz")
        if threading.current_thread() is threading.main_thread():
            # serve_forever is ended from another thread alone.
            signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
        watching = threading.Thread(target=watch_alerts, args=(opened, lambda: _tenants(opened, wanted), alerts, ended), daemon=True)
        if alerts:
            watching.start()
        try:
            server.run()
        finally:
            ended.set()
            if alerts:
                watching.join(_STOP_S)


def _tenants(app: "App", wanted: list[str]) -> "dict[str, TenantId]":
    """Asked at each scrape: a new tenant is seen without a restart."""
    if wanted:
        return {slug: app.tenant_id(slug) for slug in wanted}
    from pay_ready.db.admin import list_tenants

    listed = list_tenants(app.admin_url, app.domain.database_schema)
    return {each.slug: each.tenant_id for each in listed if each.status == "active"}
