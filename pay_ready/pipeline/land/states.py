"""Where the progress of a read is kept: a live sync's in the stream's own state, a backfill's in the scratch state of its chunk.

All else about landing is the same for both. A chunk moves no state, watermark, generation or pass of a live stream, drops no
keys but its own, and tombstones nothing.
"""

from collections.abc import Sequence

from pay_ready.db import backfills
from pay_ready.db import landing as rows_of
from pay_ready.db.landing import Landing, StreamMove, StreamState
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId


def lock_states(tx: TenantTransaction, run: Landing) -> dict[str, StreamState]:
    """How far the streams are, locked until the end of the transaction."""
    if run.chunk:
        return backfills.lock_states(tx, run, run.chunk)
    return rows_of.lock_states(tx, run.source_id)


def complete_streams(tx: TenantTransaction, run: Landing) -> set[str]:
    """Streams that need not be read, because an earlier run of the same chunk completed them."""
    return backfills.complete_streams(tx, run.chunk) if run.chunk else set()


def begin_stream(tx: TenantTransaction, run: Landing, stream: str, *, generation: int, pass_run: RunId | None, keep_state: bool) -> None:
    """A stream is about to be read: from its state, or anew.

    Raises:
        ConflictError: A newer run has taken the stream.
    """
    if run.chunk:
        backfills.begin_stream(tx, run, run.chunk, stream, pass_run=pass_run, keep_state=keep_state)
    else:
        rows_of.begin_stream(tx, run, stream, generation=generation, pass_run=pass_run, keep_state=keep_state)


def move_states(tx: TenantTransaction, run: Landing, moves: Sequence[StreamMove]) -> None:
    """Lock the streams of a flush and move their states.

    Raises:
        ConflictError: A newer run has taken one of them.
    """
    if run.chunk:
        backfills.move_states(tx, run, run.chunk, moves)
    else:
        rows_of.move_states(tx, run, moves)


def clear_state(tx: TenantTransaction, run: Landing, stream: str) -> None:
    """Forget a state."""
    if run.chunk:
        backfills.clear_state(tx, run.chunk, stream)
    else:
        rows_of.clear_state(tx, run, stream)


def end_stream(tx: TenantTransaction, run: Landing, stream: str, *, status: str, tombstoned: int = 0) -> None:
    """Close a stream's part of the run."""
    if run.chunk:
        backfills.end_stream(tx, run, run.chunk, stream, status=status)
    else:
        rows_of.end_stream(tx, run, stream, status=status, tombstoned=tombstoned)
