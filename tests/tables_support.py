"""What tests of a destination's tables share: a sync of simulated streams, and an oracle for what must be landed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.report import StreamReport, SyncReport
from pay_ready.pipeline.land.sync import Reading, SyncOptions, sync_source
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.sources.landing_streams import TableStream
from pay_ready.sources.landing_tables import LandingTables
from pay_ready.sources.protocol import Message
from tests.airbyte_simulator.destination import SimulatedStream
from tests.landing_support import QUICK, add_source

COLUMNS = {"id": "bigint", "seq": "bigint", "name": "varchar"}
START = datetime(2026, 11, 1, tzinfo=UTC)
ACCEPTING = replace(QUICK, guard=ShrinkGuard(accept=True))


def moment(minutes: float) -> datetime:
    """A moment of extraction."""
    return START + timedelta(minutes=minutes)


def person(number: int, seq: int | None = None, name: str = "Ann") -> dict[str, Any]:
    """A row with a key and a cursor."""
    return {"id": number, "seq": number if seq is None else seq, "name": name}


def people(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    """Rows numbered from `first` to `last`."""
    return [person(number, **more) for number in range(first, last + 1)]


def table_stream(simulated: SimulatedStream, **more: Any) -> TableStream:
    """The stream as its connection would configure it."""
    modes = {"append": "append", "dedup": "append_dedup", "overwrite": "overwrite"}
    has_cursor = simulated.cursor is not None and simulated.mode != "overwrite"
    described: dict[str, Any] = {
        "name": simulated.name,
        "schema": simulated.schema,
        "sync_mode": "full_refresh" if simulated.mode == "overwrite" else "incremental",
        "destination_sync_mode": modes[simulated.mode],
        "primary_key": ((simulated.primary_key,),) if simulated.primary_key else (),
        "cursor_field": (simulated.cursor,) if has_cursor else (),
    }
    return TableStream(**{**described, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """A sync's report, and what was worth knowing."""

    report: SyncReport
    remarks: Sequence[str]

    def counts(self, stream: str = "people") -> tuple[int, int, int, int]:
        """emitted, landed, unchanged, tombstoned."""
        found = self.stream(stream)
        return found.emitted, found.landed, found.unchanged, found.tombstoned

    def stream(self, name: str = "people") -> StreamReport:
        """One stream's report."""
        return next(each for each in self.report.streams if each.stream == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A source of a tenant that reads simulated streams."""

    database: Database
    tenant: TenantId
    url: str  # of the destination
    admin_url: str  # of our database
    source: str = "crm"

    def add(self) -> "Reader":
        """Make the source."""
        add_source(self.database, self.tenant, self.source)
        return self

    def sync(
        self, *streams: SimulatedStream | TableStream, upto: int | None, options: SyncOptions = QUICK, connector: Any = None, **more: Any
    ) -> Synced:
        """One sync up to a job; what is worth knowing about it comes along."""
        described = [each if isinstance(each, TableStream) else table_stream(each) for each in streams]
        tables = LandingTables(self.url, described, upto_sync=upto, **more)
        report = sync_source(
            self.database, self.tenant, self.source, connector(tables) if connector else tables, tables.plan, options=options
        )
        return Synced(report=report, remarks=tables.remarks)

    def landed(self, stream: str = "people") -> dict[str, Any]:
        """Live rows by key, as landed."""
        with psycopg.connect(self.admin_url) as connection:
            rows = connection.execute(
                "select record_key, data::text from pay_ready.landed_records where tenant_id = %s and stream = %s and deleted_at is null",
                (self.tenant, stream),
            ).fetchall()
        return {key: msgspec.json.decode(data) for key, data in rows}


def expected(simulated: SimulatedStream) -> dict[str, Any]:
    """What must be landed of a typed table with a key: of each key the newest row that stands in it, if it is not deleted."""
    names = list(simulated.columns)
    rows = simulated.execute(f"select _airbyte_extracted_at, {', '.join(names)} from {{}}")
    best: dict[Any, tuple[Any, dict[str, Any]]] = {}
    for at, *values in rows:
        data = dict(zip(names, values, strict=True))
        order = (data.get(simulated.cursor or "", 0) or 0, at)
        key = data[simulated.primary_key]
        if key not in best or order > best[key][0]:
            best[key] = (order, data)
    return {str(key): data for key, (_, data) in best.items() if not data.get("_ab_cdc_deleted_at")}


def without_empty(rows: Mapping[str, Any]) -> dict[str, Any]:
    """Rows without their empty fields: a column that came later is empty in the table and absent from what was landed before."""
    return {key: {name: value for name, value in row.items() if value is not None} for key, row in rows.items()}


class _Cut:
    """A reading that meets with something before its n-th batch."""

    def __init__(self, whole: Reading, at: int, happening: Callable[[], None]) -> None:
        self._whole, self._at, self._happening = whole, at, happening

    def batches(self) -> Iterator[list[Message]]:
        for number, batch in enumerate(self._whole.batches()):
            if number == self._at:
                self._happening()
            yield batch

    @property
    def outcome(self) -> Any:
        return self._whole.outcome


def cut_once(tables: LandingTables, at: int, happening: Callable[[], None]) -> Any:
    """The connector, whose first reading meets with something."""
    first = iter([True])

    def read(config: Mapping[str, object], catalog: Any, state: Sequence[bytes]) -> AbstractContextManager[Reading]:
        return _cut(tables(config, catalog, state), at, happening) if next(first, False) else tables(config, catalog, state)

    return read


@contextmanager
def _cut(reading: AbstractContextManager[Reading], at: int, happening: Callable[[], None]) -> Iterator[Reading]:
    with reading as whole:
        yield _Cut(whole, at, happening)
