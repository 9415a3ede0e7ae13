"""Passages of interactions: what changed, what they are made of, and how they are written, found and shown."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from pay_ready.db import tenants
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.db.vectors import filter_params
from pay_ready.model.memory import Filters
from pay_ready.model.staged import InteractionType

# Postgres's configurations by ISO 639-1; other languages are split into words and not stemmed.
_CONFIGS: Final[Mapping[str, str]] = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "hu": "hungarian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "nl": "dutch", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
_PASSAGE_COLUMNS = (
    "memory_id", "interaction_id", "chunk_no", "source_id", "interaction_type", "thread_id", "chunk_text", "language", "language_config",
    "start_s", "end_s", "content_hash", "occurred_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """One change that memory has yet to hear of."""

    outbox_seq: int
    change: Literal["publish", "upsert", "delete"]
    object_kind: Literal["run", "interaction", "entity"]
    object_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTurn:
    """A stretch of speech with the name of who speaks."""

    speaker: str
    text: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInteraction:
    """An interaction as it was staged: what passages are made of."""

    interaction_id: UUID
    source_id: UUID
    source_kind: str
    interaction_type: InteractionType
    thread_id: str | None
    occurred_at: datetime
    subject: str | None
    body: str | None
    turns: tuple[SpokenTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage to be written."""

    memory_id: UUID
    chunk_no: int
    chunk_text: str
    language: str | None
    start_s: float | None
    end_s: float | None
    content_hash: bytes
    interaction: SourceInteraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPassage:
    """A passage with what is shown of it."""

    memory_id: UUID
    interaction_id: UUID
    chunk_no: int
    chunk_text: str
    language: str | None
    start_s: float | None
    end_s: float | None
    occurred_at: datetime
    interaction_type: InteractionType
    source: str
    source_kind: str
    content_hash: bytes
    touched_at: datetime
    subject: str | None
    url: str | None
    entity_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextPassage:
    """A passage of a thread, a call, or somebody's latest interactions."""

    memory_id: UUID
    interaction_id: UUID
    chunk_no: int
    chunk_text: str
    start_s: float | None
    end_s: float | None
    occurred_at: datetime
    interaction_type: InteractionType
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """One interaction whole, as it is shown."""

    interaction_id: UUID
    interaction_type: InteractionType
    subject: str | None
    body: str | None
    direction: str | None
    thread_id: str | None
    url: str | None
    occurred_at: datetime
    ended_at: datetime | None
    source: str
    source_kind: str
    content_hash: bytes
    turns: tuple[SpokenTurn, ...]
    entity_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WordCount:
    """A word of a question, as full text has it, and how many of the tenant's passages have it."""

    lexeme: str
    passages: int
    is_common: bool  # many have it: counted when the tenant had grown, not now


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedWord:
    """A word of a question with what a passage gains by having it."""

    lexeme: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WordHit:
    """A passage with words of the question; `text_rank` is the sum of their weights."""

    memory_id: UUID
    interaction_id: UUID
    text_rank: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A passage that may answer, and those right beside it in its interaction or thread."""

    memory_id: UUID
    interaction_id: UUID
    text_rank: float  # sum of the weights of the words that it has
    beside: tuple[UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What a cache's values hold for: it moves with every publish, rollback, erasure and staged change."""

    outbox_seq: int
    run_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What memory is behind with: changes not heard of, and interactions that the outer store was not told of."""

    changes: int
    changes_since: datetime | None
    interactions: int
    failing: int
    interactions_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """An interaction that the outer store has yet to hear of."""

    interaction_id: UUID
    queued_seq: int
    is_shorter: bool  # it lost passages
    attempts: int


def text_config(language: str | None) -> str:
    """Postgres's text search configuration of a language (ISO 639-1); where the language is not certain, English."""
    return _CONFIGS.get(language or "en", "simple")


def epoch(tx: TenantTransaction) -> Epoch:
    """Where the tenant is now."""
    row = tx.row("memories.epoch")
    return Epoch(outbox_seq=row.epoch, run_no=row.run_no) if row else Epoch(outbox_seq=0, run_no=0)


def claim_outbox(tx: TenantTransaction, most: int) -> list[OutboxRow]:
    """The next changes, in commit order."""
    return [OutboxRow(**row._asdict()) for row in tx.rows("memories.claim_outbox", {"most": most})]


def drop_outbox(tx: TenantTransaction, up_to: int) -> None:
    """Take out what was dealt with."""
    tx.execute("memories.drop_outbox", {"up_to": up_to})


def waiting(tx: TenantTransaction) -> Waiting:
    """What memory is behind with."""
    outbox, projections = tx.row("memories.outbox_size"), tx.row("memories.projections_size")
    return Waiting(
        changes=outbox.changes if outbox else 0, changes_since=outbox.since if outbox else None,
        interactions=projections.interactions if projections else 0, failing=projections.failing if projections else 0,
        interactions_since=projections.since if projections else None,
    )  # fmt: skip


def queue_everything(tx: TenantTransaction) -> int:
    """Have every interaction looked at again; how many."""
    count = int(tx.value("memories.count_everything"))
    if count:
        tx.execute("memories.queue_everything", {"first_seq": tenants.next_number(tx, "outbox_seq", count)})
    return count


def interactions(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> list[SourceInteraction]:
    """Those of the asked that are there, as staged."""
    asked = {"interaction_ids": list(interaction_ids)}
    turns: dict[UUID, list[SpokenTurn]] = {}
    for row in tx.rows("memories.turns", asked):
        turn = SpokenTurn(speaker=row.speaker or row.speaker_key, text=row.spoken_text, start_s=row.start_s, end_s=row.end_s)
        turns.setdefault(row.interaction_id, []).append(turn)
    return [
        SourceInteraction(
            interaction_id=row.interaction_id, source_id=row.source_id, source_kind=row.source_kind, interaction_type=row.interaction_type,
            thread_id=row.thread_id, occurred_at=row.occurred_at, subject=row.subject, body=row.body,
            turns=tuple(turns.get(row.interaction_id, ())),
        )
        for row in tx.rows("memories.interactions", asked)
    ]  # fmt: skip


def write_passages(tx: TenantTransaction, interaction_ids: Sequence[UUID], passages: Iterable[Passage]) -> tuple[int, list[UUID]]:
    """Make the passages of interactions these, and no others: how many were written, and the interaction of each that went."""
    tx.execute("memories.passage_table")
    tx.execute("memories.empty_passages")
    with tx.copy_into("passages", _PASSAGE_COLUMNS) as copy:
        for each in passages:
            told = each.interaction
            copy.write_row((
                each.memory_id, told.interaction_id, each.chunk_no, told.source_id, told.interaction_type, told.thread_id, each.chunk_text,
                each.language, text_config(each.language), each.start_s, each.end_s, each.content_hash, told.occurred_at,
            ))  # fmt: skip
    written = tx.execute("memories.write_passages")
    gone = tx.rows("memories.drop_surplus", {"interaction_ids": list(interaction_ids)})
    return written, [row.interaction_id for row in gone]


def forget(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> int:
    """Take out the passages of interactions, with their vectors."""
    return tx.execute("memories.forget", {"interaction_ids": list(interaction_ids)})


def queue_projections(tx: TenantTransaction, interaction_ids: Sequence[UUID], queued_seq: int, shorter: Collection[UUID] = ()) -> int:
    """Have the outer store told of interactions; of the shorter ones it takes everything out first."""
    asked = {"interaction_ids": list(interaction_ids), "shorter_ids": list(shorter), "queued_seq": queued_seq}
    return tx.execute("memories.queue_projections", asked)


def queue_relinked(tx: TenantTransaction, run_no: int, queued_seq: int) -> int:
    """Have the outer store told of interactions that a run gave other people or companies; how many."""
    return tx.execute("memories.queue_relinked", {"run_no": run_no, "queued_seq": queued_seq})


def projections(tx: TenantTransaction, most: int) -> list[Projection]:
    """What the outer store has yet to hear of."""
    return [Projection(**row._asdict()) for row in tx.rows("memories.projections", {"most": most})]


def drop_projections(tx: TenantTransaction, told: Sequence[Projection]) -> None:
    """Take out what the outer store has confirmed; what changed meanwhile stays."""
    tx.execute("memories.drop_projections", {
        "interaction_ids": [each.interaction_id for each in told], "queued_seqs": [each.queued_seq for each in told],
    })  # fmt: skip


def fail_projections(tx: TenantTransaction, failed: Mapping[UUID, str]) -> None:
    """Note what the outer store refused, by interaction."""
    tx.execute("memories.fail_projections", {"interaction_ids": list(failed), "errors": list(failed.values())})


def touch(tx: TenantTransaction, memory_ids: Sequence[UUID], moment: datetime, at_least: timedelta) -> int:
    """Passages were asked for; those touched less than `at_least` ago are not written again."""
    return tx.execute("memories.touch", {"memory_ids": list(memory_ids), "moment": moment, "at_least": at_least})


def touch_interaction(tx: TenantTransaction, interaction_id: UUID, moment: datetime, at_least: timedelta) -> int:
    """As `touch`, of every passage of an interaction."""
    return tx.execute("memories.touch_interaction", {"interaction_id": interaction_id, "moment": moment, "at_least": at_least})


def passages_of(tx: TenantTransaction, memory_ids: Sequence[UUID]) -> dict[UUID, ShownPassage]:
    """Passages by id, as they are shown."""
    found = tx.rows("memories.passages_of", {"memory_ids": list(memory_ids)})
    return {
        row.memory_id: ShownPassage(
            **row._asdict() | {"entity_ids": tuple(row.entity_ids), "content_hash": bytes(row.content_hash)}
        )
        for row in found
    }  # fmt: skip


def present(tx: TenantTransaction, interaction_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the interactions that have passages."""
    return {row.interaction_id for row in tx.rows("memories.present", {"interaction_ids": list(interaction_ids)})}


def word_counts(tx: TenantTransaction, words: str, configs: Sequence[str]) -> tuple[list[WordCount], int]:
    """The words of a question that the tenant's passages have, in any of the given text search configurations; and how many passages."""
    found = tx.rows("memories.word_counts", {"configs": list(configs), "question": words})
    counts = [WordCount(lexeme=row.lexeme, passages=row.passages, is_common=row.is_common) for row in found]
    known = max((row.of_passages for row in found if row.of_passages is not None), default=None)
    return counts, int(tx.value("memories.count_passages")) if known is None else known


def search_words(
    tx: TenantTransaction, words: Sequence[WeighedWord], looked_for: int, filters: Filters, most: int
) -> list[WordHit]:  # fmt: skip
    """The passages with the weightiest words, the best first: of those that have any of the first so many words."""
    if not words:
        return []
    asked = filter_params(tx, filters) | _words(words) | {"most": most}
    if filters.entity_ids:
        found = tx.rows("memories.rank_words_of", asked | {"entity_ids": list(filters.entity_ids)})
    else:
        found = tx.rows("memories.rank_words", asked | {"looked_for": looked_for})
    return [WordHit(**row._asdict()) for row in found]


def candidates(tx: TenantTransaction, memory_ids: Sequence[UUID], words: Sequence[WeighedWord]) -> list[Candidate]:
    """Passages with what they have of the words, and their neighbours."""
    found = tx.rows("memories.candidates", _words(words) | {"memory_ids": list(memory_ids)})
    return [Candidate(**row._asdict() | {"beside": tuple(each for each in row.beside if each is not None)}) for row in found]


def count_common_words(tx: TenantTransaction, *, least_passages: int, least_share: float, sample: int, growth: float) -> int:
    """Count the words that many passages have, where the tenant has grown or shrunk since the last count; how many passages there are.

    Args:
        tx: The tenant's.
        least_passages: Below so many, every word is counted when somebody asks.
        least_share: Of the passages: rarer words are no common ones.
        sample: Passages that are looked at.
        growth: Share of the passages by which their number may differ from the last count.
    """
    passages = int(tx.value("memories.count_passages"))
    counted = tx.value("memories.words_counted") or 0
    if passages < least_passages and not counted:
        return passages
    if passages >= least_passages and abs(passages - counted) <= growth * passages:
        return passages
    tx.execute("memories.forget_words")
    if passages >= least_passages:
        tx.execute("memories.count_words", {"sample": sample, "least_share": least_share, "passages": passages})
    return passages


def absorbed(tx: TenantTransaction, entity_ids: Sequence[UUID]) -> list[UUID]:
    """The present ids of entities with all that lead to them."""
    return [row.entity_id for row in tx.rows("memories.absorbed", {"entity_ids": list(entity_ids)})]


def leads(tx: TenantTransaction, entity_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Where retired ids lead; the others are left out."""
    return {row.entity_id: row.target_entity_id for row in tx.rows("memories.leads", {"entity_ids": list(entity_ids)})}


def interaction(tx: TenantTransaction, interaction_id: UUID) -> tuple[Interaction, datetime | None] | None:
    """One interaction, whole, and when the first of its passages was touched; None where it has none."""
    row = tx.row("memories.interaction", {"interaction_id": interaction_id})
    if row is None:
        return None
    turns = tuple(SpokenTurn(**each) for each in row.turns)
    told = row._asdict() | {"turns": turns, "entity_ids": tuple(row.entity_ids), "content_hash": bytes(row.content_hash)}
    touched_at = told.pop("touched_at")
    return Interaction(**told), touched_at


def thread(tx: TenantTransaction, interaction_id: UUID, most: int) -> list[ContextPassage]:
    """The passages of an interaction's thread around it: at most so many until it, and after it; the earliest first."""
    return _context(tx.rows("memories.thread_passages", {"interaction_id": interaction_id, "most": most}))


def surroundings(tx: TenantTransaction, memory_id: UUID, most: int) -> list[ContextPassage]:
    """A passage of a call with at most so many before it and after it."""
    return _context(tx.rows("memories.surrounding_passages", {"memory_id": memory_id, "most": most}))


def recent(tx: TenantTransaction, entity_ids: Sequence[UUID], most: int, until: datetime | None = None) -> list[ContextPassage]:
    """The latest passages of people and companies, with those that they absorbed, the newest first."""
    return _context(tx.rows("memories.recent_passages", {"entity_ids": list(entity_ids), "most": most, "until": until}))


def passages_in(tx: TenantTransaction, interaction_id: UUID, most: int) -> list[ContextPassage]:
    """The first passages of an interaction."""
    return _context(tx.rows("memories.passages_in", {"interaction_id": interaction_id, "most": most}))


def figures(tx: TenantTransaction, warm_since: datetime) -> Mapping[str, int]:
    """Passages, interactions, passages touched since, characters."""
    row = tx.row("memories.figures", {"warm_since": warm_since})
    return {} if row is None else {name: int(value) for name, value in row._asdict().items()}


def _context(rows: Iterable[Any]) -> list[ContextPassage]:
    return [ContextPassage(**row._asdict()) for row in rows]


def _words(words: Sequence[WeighedWord]) -> dict[str, object]:
    return {"lexemes": [each.lexeme for each in words], "weights": [each.weight for each in words]}
