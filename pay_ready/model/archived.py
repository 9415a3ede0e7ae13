"""What an archive keeps of a table: its columns in order, with the type by which a file holds each of them without loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

ArchiveKind = Literal["landed", "history", "quarantine", "runs", "logs", "memories"]
ArchiveStatus = Literal["writing", "archived", "deleted", "restored", "dropped", "void"]
ColumnType = Literal["uuid", "text", "json", "integer", "bigint", "real", "double", "boolean", "time", "bytes"]
ArchivedRow = tuple[Any, ...]  # values in the order of the table's columns

KINDS: tuple[ArchiveKind, ...] = get_args(ArchiveKind)
WITH_FILES: tuple[ArchiveStatus, ...] = ("archived", "deleted", "restored")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedTable:
    """A table whose rows go to archives; the tenant is no column: an archive has one."""

    name: str
    columns: Mapping[str, ColumnType]
    together: str | None = None  # rows that have this column in common leave, and come back, in one transaction

    def place(self, column: str) -> int:
        """Where a column stands in a row."""
        return list(self.columns).index(column)


def _table(name: str, words: str, together: str | None = None) -> ArchivedTable:
    pairs = [word.partition(":") for word in words.split()]
    columns = {column: cast("ColumnType", kind) for column, _, kind in pairs}  # a test holds them to the catalogue
    return ArchivedTable(name=name, columns=columns, together=together)


_PAYLOADS = _table("large_payloads", "payload_id:uuid source_id:uuid size_bytes:bigint content:bytes created_at:time")

# By kind, parents first: so rows come back, and go the other way round.
TABLES: Mapping[ArchiveKind, Sequence[ArchivedTable]] = {
    "landed": (
        _table(
            "landed_records",
            "source_id:uuid stream:text record_key:text data:json payload_id:uuid content_hash:bytes generation:bigint cursor_order:text"
            " emitted_at:time batch_id:uuid first_landed_at:time landed_at:time corrects_hash:bytes deleted_at:time quality_flags:json",
        ),
    ),
    "history": (
        _table("assignments", "entity_type:text record_id:uuid opened_run_no:bigint closed_run_no:bigint entity_id:uuid confidence:real"),
        _table(
            "entity_versions",
            "entity_id:uuid opened_run_no:bigint closed_run_no:bigint entity_type:text name:text email:text phone:text domain:text"
            " title:text company_entity_id:uuid record_count:integer golden:json provenance:json content_hash:bytes",
        ),
        _table(
            "interaction_entities",
            "interaction_id:uuid entity_id:uuid opened_run_no:bigint closed_run_no:bigint entity_type:text is_primary:boolean"
            " occurred_at:time",
        ),
        _table("run_decisions", "decision_id:uuid opened_run_no:bigint closed_run_no:bigint"),
    ),
    "quarantine": (
        _PAYLOADS,
        _table(
            "quarantined_records",
            "quarantine_id:uuid source_id:uuid stream:text record_key:text step:text reason:text field:text contract_version:text"
            " run_id:uuid raw:bytes payload_id:uuid emitted_at:time status:text quarantined_at:time closed_at:time",
        ),
    ),
    "runs": (
        _table(
            "sync_runs",
            "run_id:uuid source_id:uuid ingest_mode:text status:text lease_token:bigint started_at:time finished_at:time error_class:text"
            " error_text:text report:json",
        ),
        _table(
            "stream_runs",
            "run_id:uuid source_id:uuid stream:text status:text emitted:bigint landed:bigint unchanged:bigint superseded:bigint"
            " deleted:bigint quarantined:bigint tombstoned:bigint staged:bigint unmapped:bigint stage_quarantined:bigint flagged:bigint"
            " watermark_before:text watermark_after:text skipped:bigint undated:bigint suppressed:bigint",
        ),
        _table(
            "landing_batches",
            "batch_id:uuid source_id:uuid stream:text run_id:uuid commit_seq:bigint landed:bigint landed_at:time",
        ),
    ),
    "logs": (
        _table(
            "step_runs",
            "step_run_id:uuid run_id:uuid step:text subject:text status:text started_at:time finished_at:time row_count:bigint"
            " error_class:text",
        ),
        _table("step_logs", "logged_at:time log_id:uuid run_id:uuid level:text event:text fields:json"),
        _table(
            "quality_results",
            "result_id:uuid run_id:uuid check_name:text subject:text severity:text passed:boolean measured:double expected:text"
            " checked_at:time",
        ),
    ),
    "memories": (
        _table(
            "memories",
            "memory_id:uuid interaction_id:uuid chunk_no:integer chunk_text:text language:text content_hash:bytes occurred_at:time"
            " touched_at:time source_id:uuid interaction_type:text thread_id:text start_s:double end_s:double lexemes:text",
            together="interaction_id",
        ),
    ),
}
