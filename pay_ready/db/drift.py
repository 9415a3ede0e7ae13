"""Daily figures for drift, and the findings as they are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.ids import new_id

Metric = Literal["volume", "sentiment", "response_time", "talk_ratio", "match_rate", "quarantine_rate"]
SubjectKind = Literal["account", "source", "tenant"]
Judgement = Literal["expected", "real"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The baseline from `since` until `split`, the current days from there until `until`; half-open, they share no moment."""

    since: datetime
    split: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFigure:
    """A day of a metric and subject, or a whole window (day None): observations, the sum of a share's hits, quantiles of a value."""

    subject_kind: SubjectKind
    subject_id: str
    is_current: bool
    day: date | None
    observations: int
    total: float | None
    quantiles: Sequence[float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A figure that moved away from its baseline."""

    finding_id: UUID
    metric_name: Metric
    subject_kind: SubjectKind
    subject_id: str
    direction: Literal["up", "down"]
    window_start: datetime
    window_end: datetime
    baseline_value: float
    current_value: float
    baseline_count: int
    current_count: int
    effect: float
    severity: float
    found_at: datetime
    last_seen_at: datetime
    alerted_at: datetime | None = None
    ended_at: datetime | None = None
    judgement: Judgement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What an operator said of a finding."""

    judgement: Judgement
    reason: str
    judged_by: str
    judged_at: datetime


def figures(tx: TenantTransaction, metric: Metric, windows: Windows, quantiles: Sequence[float]) -> list[DayFigure]:
    """A metric by subject and day, in one statement."""
    asked = {"since": windows.since, "split": windows.split, "until": windows.until, "quantiles": list(quantiles)}
    return [DayFigure(**row._asdict()) for row in tx.rows(f"drift.{metric}", asked)]


def give_room(tx: TenantTransaction) -> None:
    """Memory for the sorts of this transaction."""
    tx.execute("drift.room")


def standing(tx: TenantTransaction, ended_since: datetime) -> list[Finding]:
    """Findings that stand, and those that ended since then, the newest first."""
    return [Finding(**row._asdict()) for row in tx.rows("drift.standing", {"since": ended_since})]


def put(tx: TenantTransaction, finding: Finding, now: datetime) -> None:
    """Keep a finding, new or seen again."""
    tx.execute("drift.put", {
        "finding_id": finding.finding_id, "metric_name": finding.metric_name, "subject_kind": finding.subject_kind,
        "subject_id": finding.subject_id, "direction": finding.direction, "window_start": finding.window_start,
        "window_end": finding.window_end, "baseline_value": finding.baseline_value, "current_value": finding.current_value,
        "baseline_count": finding.baseline_count, "current_count": finding.current_count, "effect": finding.effect,
        "severity": finding.severity, "now": now,
    })  # fmt: skip


def finish(tx: TenantTransaction, findings: Sequence[UUID], now: datetime) -> None:
    """These are gone."""
    if findings:
        tx.execute("drift.finish", {"finding_ids": list(findings), "now": now})


def tell(tx: TenantTransaction, findings: Sequence[UUID], now: datetime) -> frozenset[UUID]:
    """Those of them of which nobody was told before; from now on somebody was."""
    if not findings:
        return frozenset()
    return frozenset(row.finding_id for row in tx.rows("drift.tell", {"finding_ids": list(findings), "now": now}))


def judge(tx: TenantTransaction, finding: UUID, judgement: Judgement, reason: str, actor: str) -> None:
    """Keep what an operator said; the newest word counts, all of them stay."""
    said: Mapping[str, object] = {"finding_id": finding, "judgement": judgement}
    tx.execute("drift.judge", said)
    tx.execute("drift.add_judgement", {**said, "judgement_id": new_id(), "reason": reason, "judged_by": actor})


def judgements(tx: TenantTransaction, finding: UUID) -> list[Judged]:
    """What was said of a finding, the newest first."""
    return [Judged(**row._asdict()) for row in tx.rows("drift.judgements", {"finding_id": finding})]


def names(tx: TenantTransaction, entities: Sequence[UUID]) -> dict[UUID, str]:
    """Names of accounts."""
    rows = tx.rows("drift.names", {"entity_ids": list(entities)}) if entities else []
    return {row.entity_id: row.name or "" for row in rows}


def lock(tx: TenantTransaction) -> None:
    """One look of a tenant at a time, until the commit."""
    tx.execute("drift.lock")
