"""What is held of one person: found, taken out, and the digests that follow. Every statement is in sql/queries/erasure.sql."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import BatchId, RunId, SourceId, new_id
from pay_ready.model.resolution import PublishReport
from pay_ready.resolve.golden import EntityVersion

_WHOLE = 1 << 256


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a landed row stands."""

    source_id: SourceId
    stream: str
    record_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandedContent:
    """A landed row with what the source sent. `is_staged`: staging has read it."""

    place: Place
    source: str
    content: bytes | None = field(repr=False)  # None: the source no longer has it
    payload_id: UUID | None
    batch_id: BatchId
    landed_at: datetime
    is_staged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressionGroup:
    """Suppressions of one kind that one erasure made."""

    kind: str
    reason: str
    created_at: datetime
    digests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine:
    """A canonical line of published states: of every run from `opened` on, before `closed`."""

    opened: int
    closed: int | None
    number: int  # the sha256 of the line

    def holds_in(self, run_no: int) -> bool:
        """Whether the line is in the state of a run."""
        return self.opened <= run_no and (self.closed is None or run_no < self.closed)


def places(rows: Iterable[Any]) -> set[Place]:
    """Rows as places."""
    return {Place(row.source_id, row.stream, row.record_key) for row in rows}


def place_params(wanted: Iterable[Place]) -> dict[str, object]:
    """Places as the parameters of a statement."""
    listed = sorted(wanted)
    return {
        "source_ids": [each.source_id for each in listed],
        "streams": [each.stream for each in listed],
        "record_keys": [each.record_key for each in listed],
    }


def landed(tx: TenantTransaction, wanted: Iterable[Place]) -> list[LandedContent]:
    """Landed rows by place, as far as they are there."""
    return [
        LandedContent(
            place=Place(row.source_id, row.stream, row.record_key),
            source=row.source,
            content=row.content if row.data is None else row.data.encode(),
            payload_id=row.payload_id,
            batch_id=row.batch_id,
            landed_at=row.landed_at,
            is_staged=row.is_staged,
        )
        for row in tx.rows("erasure.landed", place_params(wanted))
    ]


def suppressions(tx: TenantTransaction) -> dict[str, set[bytes]]:
    """The digests of what must not land, by kind; empty for a tenant that has erased nobody."""
    found: dict[str, set[bytes]] = {}
    for row in tx.rows("erasure.suppressions"):
        found.setdefault(row.kind, set()).add(bytes(row.subject_hmac))
    return found


def list_suppressions(tx: TenantTransaction) -> list[SuppressionGroup]:
    """What is suppressed, newest first, without any value."""
    return [SuppressionGroup(**row._asdict()) for row in tx.rows("erasure.list_suppressions")]


def add_suppressions(tx: TenantTransaction, wanted: Sequence[tuple[str, bytes]], reason: str) -> int:
    """Keep digests by kind; how many are new."""
    added = {
        "ids": [new_id() for _ in wanted], "kinds": [kind for kind, _ in wanted], "digests": [digest for _, digest in wanted],
        "reason": reason,
    }  # fmt: skip
    return tx.execute("erasure.add_suppressions", added) if wanted else 0


def lift_suppressions(tx: TenantTransaction, kind: str, digests: Sequence[bytes]) -> int:
    """Take away whatever the erasures suppressed that suppressed one of these; how many digests."""
    return tx.execute("erasure.lift_suppressions", {"kind": kind, "digests": list(digests)})


def write_version(tx: TenantTransaction, version: EntityVersion, opened_run_no: int, closed_run_no: int | None) -> None:
    """Write a golden record as it holds from one run to another."""
    tx.execute("erasure.add_version", {
        "entity_id": version.entity_id, "opened_run_no": opened_run_no, "closed_run_no": closed_run_no,
        **{name: version.value(name) for name in ("name", "email", "phone", "title")},
        "company_entity_id": version.company_entity_id, "record_count": version.record_count,
        "golden": Jsonb(version.golden.model_dump(mode="json")), "provenance": Jsonb(version.provenance.model_dump(mode="json")),
        "content_hash": version.content_hash,
    })  # fmt: skip


def add_run(tx: TenantTransaction, *, run_no: int, run_id: RunId, actor: str, report: PublishReport, state_digest: bytes | None) -> None:
    """Open the version without the person."""
    tx.execute("erasure.add_run", {
        "run_no": run_no, "run_id": run_id, "actor": actor, "report": Jsonb(report.model_dump(mode="json")), "state_digest": state_digest,
    })  # fmt: skip


def rebased(digest: bytes, run_no: int, taken: Sequence[StateLine], added: Sequence[StateLine]) -> bytes:
    """The digest of a run without some lines and with others: a sum, so the rest of the state is not read (`changes.state_digest`).

    What was wrong with a digest before stays wrong: a re-based digest hides no tampering.
    """
    total = int.from_bytes(digest)
    total += sum(each.number for each in added if each.holds_in(run_no)) - sum(each.number for each in taken if each.holds_in(run_no))
    return (total % _WHOLE).to_bytes(32)


def tell_tiers(tx: TenantTransaction, first_seq: int, told: Sequence[tuple[str, str, str]]) -> None:
    """Tell caches and vector stores: (change, kind of object, id), numbered from `first_seq` on."""
    tx.execute("erasure.add_outbox", {
        "first_seq": first_seq, "changes": [each[0] for each in told], "kinds": [each[1] for each in told],
        "ids": [each[2] for each in told],
    })  # fmt: skip


# Columns of class personal or secret, and what erasure does about each. A new one must be thought of here
# (tests/integration/test_erasure_catalogue.py).
_OF_THE_ROW = "goes with the row"
HANDLED: Mapping[str, str] = {
    "api_keys.secret_hmac": "a program's, nobody's person",
    "source_credentials.envelope": "the tenant's own, encrypted",
    "suppressions.subject_hmac": "a keyed digest: what is left on purpose",
    "stream_states.watermark": "emptied where it holds a value",
    "stream_runs.watermark_before": "emptied where it holds a value",
    "stream_runs.watermark_after": "emptied where it holds a value",
    "large_payloads.content": "goes, or is replaced by a masked one",
    "landed_records.record_key": _OF_THE_ROW,
    "landed_records.data": "goes, or is masked in a row of others",
    "landed_records.cursor_order": _OF_THE_ROW,
    "seen_keys.record_key": _OF_THE_ROW,
    "quarantined_records.record_key": _OF_THE_ROW,
    "quarantined_records.raw": _OF_THE_ROW,
    **{
        f"{table}.{column}": "staged anew from the landed rows" if table.startswith("shadowed") else "goes with the row"
        for table in ("person_records", "shadowed_person_records")
        for column in ("record_reference", "record_key", "full_name", "first_name", "last_name", "email", "email_normalized", "phone",
                       "title", "city", "country", "attributes")
    },
    "shadowed_person_records.company_reference": "goes with the row",
    "company_records.record_reference": "a company's; a mention that only the person's rows made goes with them",
    "company_records.record_key": "staged anew from the landed rows",
    "shadowed_company_records.record_reference": "a company's",
    "shadowed_company_records.record_key": "staged anew from the landed rows",
    **{
        f"interaction_records.{column}": "staged anew from masked rows, or goes"
        for column in ("record_key", "subject", "body", "metadata")
    },
    **{
        f"interaction_participants.{column}": "staged anew from masked rows, or goes"
        for column in ("full_name", "first_name", "last_name", "email", "email_normalized", "phone", "title")
    },
    "interaction_turns.spoken_text": "staged anew from masked rows, or goes",
    **{
        f"entity_versions.{column}": "goes, or is made anew from the records that stay, in every version"
        for column in ("name", "name_lower", "email", "email_lower", "phone", "title", "golden")
    },
    "memories.chunk_text": "passages of touched interactions go",
    "memories.lexemes": "with the passage",
    "memory_vectors_plain.vector": "with the passage",
    "memory_common_words.lexeme": "all of the tenant's go, and are counted anew",
    "context_cache.content": "all of the tenant's go",
    "analytics_cache.metric_value": "all of the tenant's go",
}  # fmt: skip
