"""A process that syncs three rows, waits for a file named `go`, and then sends three more. Forked from a fork server."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import PayReadyError
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import SyncOptions, sync_source
from tests.landing_support import Script, catalog, complete, record, state


def sync_and_wait(app_url: str, tenant: TenantId, source: str, folder: Path) -> None:
    """Exit code 0 when complete, else that of the error."""
    configure_logs("error", "json")
    database = Database(app_url, PoolOptions(max_size=3, overflow=0))
    database.open()
    try:
        options = SyncOptions(limits=FlushLimits(rows=1), max_retries=0)
        sync_source(database, tenant, source, Script([_reading(folder)]), catalog(), options=options)
    except PayReadyError as error:
        (folder / "error").write_text(str(error))
        raise SystemExit(error.exit_code) from None
    finally:
        database.close()


def _reading(folder: Path) -> Iterator[list[Any]]:
    yield [*(record({"id": number, "seq": number}) for number in (1, 2, 3)), state(seq=3)]
    while not (folder / "go").exists():
        time.sleep(0.02)
    yield [*(record({"id": number, "seq": number}) for number in (4, 5, 6)), state(seq=6), complete()]
