"""What tests of the Airbyte client and of jobs share: quick options, and a search for credentials in whatever an error carries."""

import base64
import json
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

from pay_ready.breaker import Breaker
from pay_ready.db import sources
from pay_ready.db.sources import DataSource, SourceConfigV1
from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.airbyte.job import JobOptions
from pay_ready.pipeline.airbyte.watch import Intervals
from pay_ready.sources.airbyte import AirbyteClient
from pay_ready.sources.airbyte_access import open_access
from pay_ready.sources.airbyte_http import HttpOptions
from tests.airbyte_simulator.server import AirbyteSimulator

TESTS = str(Path(__file__).parent)
QUICK = HttpOptions(call_s=5.0, start_job_s=5.0, attempts=3, wait_initial_s=0.01, wait_max_s=0.02, wait_jitter_s=0.0)
ONCE = HttpOptions(call_s=5.0, start_job_s=5.0, attempts=1)


def client_of(simulator: AirbyteSimulator, options: HttpOptions = QUICK, breaker: Breaker | None = None) -> AirbyteClient:
    """Our client, with the application's credentials unless the server wants none."""
    access = open_access(simulator.url, simulator.credentials if simulator.auth == "application" else None)
    return AirbyteClient(access, options=options, breaker=breaker)


def carried(error: BaseException) -> Iterator[tuple[str, str]]:
    """Everything that an error may show: its texts, its pickle, and every local of every frame but those of tests."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        waiting += [each.__cause__, each.__context__]
        yield "str", str(each)
        yield "repr", repr(each)
        yield "args", repr(each.args)
        if isinstance(each, PayReadyError):
            yield "where", repr(each.where)
            yield "pickle", pickle.dumps(each).decode("latin-1")
        yield "notes", repr(getattr(each, "__notes__", ""))
        for frame in traceback.TracebackException.from_exception(each, capture_locals=True).stack:
            if not frame.filename.startswith(TESTS):
                yield from ((f"{frame.name}:{frame.lineno} {name}", value) for name, value in (frame.locals or {}).items())


def leaks(texts: Iterator[tuple[str, str]], secrets: Iterator[str]) -> list[str]:
    """Where a secret stands, in plain or as URLs, JSON and Basic headers write it."""
    shapes = {shape for secret in secrets for shape in _shapes(secret)}
    return [place for place, text in texts if any(shape in text for shape in shapes)]


def secrets_of(simulator: AirbyteSimulator) -> Iterator[str]:
    """What nobody may see: the application's credentials and every token given."""
    yield from (simulator.client_id, simulator.client_secret, *simulator.tokens, *simulator.tokens_gone)


def _shapes(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    yield base64.b64encode(secret.encode()).decode().rstrip("=")[:-2]


def airbyte_source(database: Database, tenant: TenantId, name: str = "crm") -> DataSource:
    """A source that an Airbyte connection feeds."""
    with database.tenant_transaction(tenant) as tx:
        return sources.add(tx, name=name, kind="crm", ingest_mode="airbyte", connector="airbyte", config=SourceConfigV1(), actor="tests")


QUICK_JOB = JobOptions(timeout_s=30.0, intervals=Intervals(first_s=0.01, most_s=0.03), look_for_s=0.15, cancel_grace_s=10.0)
