"""What tests of status, alerts and metrics share: one migrated database for a file of tests, and rows as an operator would find them."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import psycopg

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId, new_id
from pay_ready.pipeline.alerts.check import WatchWork
from pay_ready.pipeline.alerts.rules import load_rules
from pay_ready.pipeline.alerts.webhook import Webhook
from pay_ready.pipeline.status import StatusWork, Targets
from pay_ready.resources import resource_path

SECRET = b"a secret of twenty-eight byte"


def rows(admin_url: str, tenant: TenantId, *statements: str) -> None:
    """Rows put straight into tables, whatever they refer to; `:t` stands for the tenant."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for statement in statements:
            admin.execute(re.sub(r"(?<!:):t\b", f"'{tenant}'", statement))  # type: ignore[arg-type]


def synced(admin_url: str, tenant: TenantId, source: UUID, stream: str, *, hours_ago: float, emitted: int = 100, broken: int = 0) -> None:
    """A source with a stream, whose last complete sync ended so long ago."""
    run, at = new_id(), f"now() - interval '{hours_ago} hours'"
    rows(
        admin_url, tenant,
        "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config, created_at)"
        f" values (:t, '{source}', 'crm', 'hubspot', 'replay', '', '{{\"schema_version\": 1}}', now() - interval '9 days')"
        " on conflict do nothing",
        f"insert into pay_ready.stream_states (tenant_id, source_id, stream) values (:t, '{source}', '{stream}') on conflict do nothing",
        "insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at)"
        f" values (:t, '{run}', '{source}', 'replay', 'complete', 1, {at}, {at})",
        "insert into pay_ready.stream_runs (tenant_id, run_id, source_id, stream, status, emitted, landed, quarantined)"
        f" values (:t, '{run}', '{source}', '{stream}', 'complete', {emitted}, {emitted - broken}, {broken})",
    )  # fmt: skip


def watch_work(database: Database, tenant: TenantId, *, own: Path | None = None, webhook: Webhook | None = None) -> WatchWork:
    """The shipped rules, and a file that is laid over them."""
    status = StatusWork(database=database, tenant=tenant, slug="acme", targets=Targets(), folders=(Path("/tmp"),))
    return WatchWork(status=status, rules=load_rules(resource_path("config", "alerts.toml"), own), webhook=webhook)


@dataclass(slots=True)
class Receiver:
    """A webhook's receiver: what it got, and what it is to answer, the last answer again and again."""

    url: str
    port: int
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(204, {})])

    @property
    def kinds(self) -> list[str]:
        """The types of what came, in order."""
        return [json.loads(body)["type"] for _, body in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on this machine."""
    found: list[Receiver] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver = found[0]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers = receiver.answers[0] if len(receiver.answers) == 1 else receiver.answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    port = int(server.server_address[1])
    found.append(Receiver(url=f"http://127.0.0.1:{port}/hook?a=b", port=port))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    yield found[0]
    server.shutdown()
    server.server_close()
    thread.join()
