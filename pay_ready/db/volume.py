"""How many rows of each stream live, beside how many did when the tenant was published last."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import RunId, SourceId, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSize:
    """Rows of a stream that live now, and those that lived when the tenant was published last (None: it never was)."""

    source_id: SourceId
    source: str
    stream: str
    run_id: RunId | None  # the run that moved it last
    before: int | None
    now: int
    commit_seq: int  # of the newest batch among those counted


def changed_streams(tx: TenantTransaction, named: Collection[tuple[str, str]] = ()) -> list[StreamSize]:
    """Streams whose landed rows changed since they were published last, and those named (source, stream); one snapshot."""
    asked = {"sources": [source for source, _ in named], "streams": [stream for _, stream in named]}
    return [StreamSize(**row._asdict()) for row in tx.rows("volume.changed_streams", asked)]


def keep_published(tx: TenantTransaction, sizes: Sequence[StreamSize]) -> None:
    """These sizes are what the next publish is compared with."""
    if sizes:
        tx.execute("volume.keep", {
            "source_ids": [each.source_id for each in sizes], "streams": [each.stream for each in sizes],
            "row_counts": [each.now for each in sizes], "commit_seqs": [each.commit_seq for each in sizes],
        })  # fmt: skip


def add_result(tx: TenantTransaction, run: RunId, subject: str, *, passed: bool, measured: int, expected: str) -> None:
    """Record the outcome of the check for one stream."""
    tx.execute("volume.add_result", {
        "result_id": new_id(), "run_id": run, "subject": subject, "passed": passed, "measured": float(measured), "expected": expected,
    })  # fmt: skip
