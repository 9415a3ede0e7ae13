"""A process that lands the scripted source and may be killed on the way. Imported once by a fork server, forked per run."""

import os
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import PayReadyError
from pay_ready.failpoints import FailpointMode, armed
from pay_ready.logs import configure_logs
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.buffer import FlushLimits
from pay_ready.pipeline.land.sync import Connector, Reading, SyncOptions, sync_source
from pay_ready.sources.catalog import ConfiguredCatalog
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import Message
from tests.landing_support import scripted, scripted_catalog

SLICE = 40  # messages landing takes at a time
OPTIONS = SyncOptions(limits=FlushLimits(rows=150), max_retries=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run: where, what, and how it ends early."""

    app_url: str
    tenant: TenantId
    config: Mapping[str, Any]
    choice: Mapping[str, Any]
    home: Path
    kill_at: int | None = None  # message index
    failpoint: str | None = None
    mode: FailpointMode = "kill"
    ttl_s: float = 60.0  # of its lease
    wait_s: float = 0.0  # for the lease
    host: str | None = None  # the name under which this machine is to be known
    last_words: Path | None = None  # where to write the error that ended it


def land(job: Job) -> None:
    """Run it: exit code 0 when complete, 1 when not, that of the error when one was raised, -9 when killed."""
    configure_logs("error", "json")
    if job.host is not None:
        socket.gethostname = lambda: str(job.host)
    connector = scripted(job.home)
    if job.kill_at is not None:
        connector = killed_at(connector, job.kill_at)
    database = Database(job.app_url, PoolOptions(max_size=3, overflow=0))
    database.open()
    try:
        if job.failpoint:
            with armed(job.failpoint, job.mode):
                _sync(database, job, connector)
        else:
            _sync(database, job, connector)
    except PayReadyError as error:
        if job.last_words:
            job.last_words.write_text(str(error))
        raise SystemExit(error.exit_code) from None
    finally:
        database.close()


def _sync(database: Database, job: Job, connector: Connector) -> None:
    catalog = scripted_catalog(job.config, **job.choice)
    options = replace(OPTIONS, lease_ttl_s=job.ttl_s, lease_wait_s=job.wait_s)
    report = sync_source(database, job.tenant, "crm", connector, catalog, options=options)
    if report.status != "complete":
        raise SystemExit(1)


def killed_at(connector: Connector, index: int) -> Connector:
    """The connector, and SIGKILL to our own process just before message `index` is taken.

    The connector's process dies with ours: by the death signal where there is one, else of its broken pipe.
    """

    def read(config: Mapping[str, object], configured: ConfiguredCatalog, given: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return _cut(connector(config, configured, given), index)

    return read


@contextmanager
def _cut(reading: AbstractContextManager[Reading], index: int) -> Iterator[Reading]:
    with reading as whole:
        yield _Cut(whole, index)


class _Cut:
    def __init__(self, whole: Reading, index: int) -> None:
        self._whole, self._left = whole, index

    def batches(self) -> Iterator[list[Message]]:
        for batch in self._whole.batches():
            for start in range(0, len(batch), SLICE):
                piece = batch[start : start + SLICE]
                if len(piece) > self._left:
                    yield piece[: self._left]
                    os.kill(os.getpid(), signal.SIGKILL)
                self._left -= len(piece)
                yield piece

    @property
    def outcome(self) -> RunOutcome:
        return self._whole.outcome
