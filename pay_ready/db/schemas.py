"""The shapes that streams had: versions, closed and never rewritten."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId, SourceId


def current(tx: TenantTransaction, source: SourceId) -> dict[str, Mapping[str, Any]]:
    """The stored shape of each stream, by stream; a stream never seen, or whose shape was given up, has none."""
    return {row.stream: row.fields for row in tx.rows("schemas.current", {"source_id": source})}


def lock(tx: TenantTransaction, source: SourceId) -> None:
    """Have whoever else compares and keeps shapes of the source wait for the end of this transaction."""
    tx.execute("schemas.lock", {"source_id": source})


def replace(tx: TenantTransaction, source: SourceId, stream: str, fields: Mapping[str, Any], run: RunId | None) -> None:
    """Take a shape over as the stream's current one."""
    close(tx, source, [stream])
    tx.execute("schemas.add", {"source_id": source, "stream": stream, "fields": Jsonb(dict(fields)), "run_id": run})


def close(tx: TenantTransaction, source: SourceId, streams: Sequence[str] = ()) -> int:
    """Give up the current shape of streams (all when none are named): whatever comes next is taken over; how many there were."""
    return tx.execute("schemas.close", {"source_id": source, "streams": list(streams)})
