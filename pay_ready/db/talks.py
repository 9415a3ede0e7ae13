"""What was said, with whom and when: interactions of a scope, their words, and how many there are. Each function is one statement."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pay_ready.db.tenancy import TenantTransaction
from pay_ready.model.talk import MOST_NAMES, Entry, Scope, Talk, Utterance

EntityType = Literal["person", "company"]
_EARLIEST, _LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LAST_ID = UUID(int=2**128 - 1)
Grouping = Literal["day", "week", "month", "quarter", "source", "type"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The interactions of a scope: the latest, and how many there are."""

    interaction_ids: tuple[UUID, ...]  # the latest first
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A group of interactions."""

    bucket: str  # a period's first day, a source or a type
    interactions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSpread:
    """Percentiles of interactions a period, among the periods that have some."""

    p50: float
    p90: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """Somebody, or a company, and how many interactions of a scope they took part in."""

    entity_id: UUID
    name: str | None
    email: str | None
    title: str | None
    interactions: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEntity:
    """A person or company with every name that it goes by."""

    entity_id: UUID
    entity_type: EntityType
    name: str
    aliases: tuple[str, ...]
    emails: tuple[str, ...]
    domain: str | None
    record_count: int


def chosen(tx: TenantTransaction, scope: Scope, most: int) -> Chosen:
    """The latest interactions of a scope."""
    asked = _asked(tx, scope) | {"most": most}
    if scope.entity_ids:
        found = tx.rows("talks.chosen_with", asked | {"entity_ids": list(scope.entity_ids)})
    else:
        found = tx.rows("talks.chosen", asked)
    return Chosen(interaction_ids=tuple(row.interaction_id for row in found), total=found[0].total if found else 0)


def talks(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> list[Talk]:
    """Interactions with what was said, the earliest first; two statements, however many."""
    asked = {"interaction_ids": list(interaction_ids)}
    spoken = defaultdict(list)
    for row in tx.rows("talks.turns", asked):
        spoken[row.interaction_id].append(row)
    return [_talk(row, spoken.get(row.interaction_id, ())) for row in tx.rows("talks.talks", asked)]


def entries(tx: TenantTransaction, scope: Scope, most: int, before: tuple[datetime, UUID] | None = None) -> list[Entry]:
    """A page of a timeline, the latest first, behind a place."""
    before_at, before_id = before or (_LATEST, _LAST_ID)
    asked = _asked(tx, scope) | {
        "entity_ids": list(scope.entity_ids), "most": most, "since": scope.since or _EARLIEST, "until": scope.until or _LATEST,
        "before_at": before_at, "before_id": before_id, "most_names": MOST_NAMES,
    }  # fmt: skip
    return [
        Entry(
            interaction_id=row.interaction_id, occurred_at=row.occurred_at, source=row.source, interaction_type=row.interaction_type,
            subject=row.subject or "", text=row.said or "", participants=tuple(row.participants), more_participants=row.more_participants,
            sentiment=row.sentiment, thread_id=row.thread_id, url=row.url,
        )
        for row in tx.rows("talks.entries_with", asked)
    ]  # fmt: skip


def counts(tx: TenantTransaction, interaction_ids: Sequence[UUID], grouping: Grouping, time_zone: str) -> list[Bucket]:
    """Interactions by period in a time zone (weeks from Monday), by source or by type."""
    period = grouping if grouping in ("day", "week", "month", "quarter") else "day"
    asked = {"interaction_ids": list(interaction_ids), "grouping": grouping, "period": period, "time_zone": time_zone}
    return [Bucket(**row._asdict()) for row in tx.rows("talks.counts", asked)]


def count_spread(tx: TenantTransaction, interaction_ids: Sequence[UUID], grouping: Grouping, time_zone: str) -> CountSpread | None:
    """How the numbers of interactions a period lie apart; None by source or type, and without any."""
    if grouping not in ("day", "week", "month", "quarter") or not interaction_ids:
        return None
    found = tx.value("talks.spread", {"interaction_ids": list(interaction_ids), "period": grouping, "time_zone": time_zone})
    return None if found is None else CountSpread(p50=found[0], p90=found[1], p95=found[2])


def who(
    tx: TenantTransaction,
    interaction_ids: Sequence[UUID],
    entity_type: EntityType,
    *,
    without_ids: Sequence[UUID] = (),
    side: str | None = None,
    most: int = 20,
) -> list[Participation]:
    """Who took part in most of some interactions."""
    asked = {
        "interaction_ids": list(interaction_ids), "entity_type": entity_type, "without_ids": list(without_ids), "side": side, "most": most,
    }  # fmt: skip
    return [Participation(**row._asdict()) for row in tx.rows("talks.who", asked)]


def names(tx: TenantTransaction) -> list[NamedEntity]:
    """Everybody and every company that is there now."""
    return [
        NamedEntity(
            entity_id=row.entity_id, entity_type=row.entity_type, name=row.name, domain=row.domain, record_count=row.record_count,
            aliases=tuple(each for each in row.aliases if each != row.name),
            emails=tuple(dict.fromkeys(each for each in (row.email, *row.emails) if each)),
        )
        for row in tx.rows("talks.names")
    ]  # fmt: skip


def internal_ids(tx: TenantTransaction) -> set[UUID]:
    """People of the tenant's own."""
    return {row.entity_id for row in tx.rows("talks.internal_ids")}


def _asked(tx: TenantTransaction, scope: Scope) -> dict[str, object]:
    sources = None
    if scope.sources:
        sources = [row.source_id for row in tx.rows("memories.source_ids", {"names": list(scope.sources)})]
    return {
        "since": scope.since, "until": scope.until, "source_ids": sources, "interaction_types": list(scope.interaction_types) or None,
        "languages": list(scope.languages) or None, "with_ids": list(scope.with_ids) or None,
    }  # fmt: skip


def _talk(row: Any, spoken: Sequence[Any]) -> Talk:
    """A call's turns; of what is one text its subject and body together."""
    here = {
        "interaction_id": row.interaction_id, "occurred_at": row.occurred_at, "source": row.source,
        "interaction_type": row.interaction_type, "language": row.language,
    }  # fmt: skip
    utterances = tuple(
        Utterance(
            **here, turn_no=turn.turn_no, speaker=turn.speaker, speaker_id=turn.speaker_id, side=turn.side, text=turn.spoken_text,
            start_s=turn.start_s, end_s=turn.end_s,
        )
        for turn in spoken
    )  # fmt: skip
    text = row.body or row.subject or ""
    if not utterances and text:
        utterances = (Utterance(**here, speaker=row.speaker or "", speaker_id=row.speaker_id, side=row.side, text=text),)
    return Talk(
        interaction_id=row.interaction_id, occurred_at=row.occurred_at, source=row.source, interaction_type=row.interaction_type,
        subject=row.subject or "", thread_id=row.thread_id, utterances=utterances,
    )  # fmt: skip
