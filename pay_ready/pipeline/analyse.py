"""The step `analyse`: each sentence of each interaction is scored once, the latest first, so that answers need not do it.

One holder of the lease `analyse` a tenant. Every page is a transaction of its own, fenced by the lease's token: whatever is killed half-way
goes on where it was, and a page whose connection was lost is done again at once. An interaction that changes is forgotten by the step
`index`, and read anew here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pay_ready.agent.known_sentiment import by_interaction, known_of, scorer_for, sentence_vectors, words_hash
from pay_ready.agent.sentences import Sentence, told_sentences
from pay_ready.agent.sentiment import score_sentences
from pay_ready.db import answers as db_answers
from pay_ready.db import leases
from pay_ready.db import sentiment as db_sentiment
from pay_ready.db import talks as db_talks
from pay_ready.db.leases import Lease
from pay_ready.db.sentiment import KnownSentiment, Place
from pay_ready.db.tenancy import Database
from pay_ready.failpoints import failpoint
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.memory import Embedder
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.pipeline.land.lease import held_lease
from pay_ready.resilience import insist

_PAGE = 100  # interactions of one transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyseReport:
    """What one call did."""

    interactions: int  # that were read
    sentences: int  # of them, scored
    left: int  # interactions that nobody has read yet: its time was over
    scorer_id: str
    reason: str  # why VADER alone scored; empty when the model did
    elapsed_s: float


def analyse_tenant(
    database: Database,
    tenant: TenantId,
    embedder: Embedder,
    *,
    run_id: RunId,
    most_s: float | None = None,
    wait_s: float = 0.0,
    progress: Progress = no_progress,
) -> AnalyseReport:
    """Score what was said in interactions that this embedder's model has not read.

    Args:
        database: The record.
        tenant: Whose.
        embedder: Whose vectors of the sentences are read.
        run_id: Who holds the lease.
        most_s: Seconds after which it stops, with the latest interactions read; None: when all are.
        wait_s: How long to wait while another process is at it.
        progress: Told after every page.

    Raises:
        RetryLaterError: Another process is at it, after `wait_s` too; names it.
        TransientError: A remote embedder does not answer; what was done stands.
        EmbeddingError: The embedder gives no vectors.
    """
    started = time.monotonic()
    scorer = scorer_for(embedder)
    interactions = scored = 0
    after: Place | None = None
    with held_lease(database, tenant, "analyse", leases.holder_name(run_id), wait_s=wait_s) as lease:
        waiting = insist(_count_unread)(database, tenant, scorer.id)
        while most_s is None or time.monotonic() - started < most_s:
            page, sentences = insist(_unread)(database, tenant, scorer.id, after)
            if not page:
                break
            reading = score_sentences(sentences, sentence_vectors(sentences, embedder, scorer), scorer)
            failpoint("analyse.scored")
            known = known_of(sentences, reading.scored, [each.interaction_id for each in page])
            insist(_keep)(database, tenant, lease, scorer.id, known)
            after = page[-1]
            interactions, scored = interactions + len(page), scored + len(reading.scored)
            progress(ProgressEvent(step="analyse", subject="interactions", done=interactions, total=max(waiting, interactions)))
        left = insist(_settle)(database, tenant, lease, scorer.id, is_changed=interactions > 0)
    return AnalyseReport(
        interactions=interactions, sentences=scored, left=left, scorer_id=scorer.id, reason=scorer.reason,
        elapsed_s=time.monotonic() - started,
    )  # fmt: skip


def _count_unread(database: Database, tenant: TenantId, scorer_id: str) -> int:
    with database.tenant_transaction(tenant, work="batch") as tx:
        return db_sentiment.count_unread(tx, scorer_id)


def _unread(
    database: Database, tenant: TenantId, scorer_id: str, after: Place | None
) -> tuple[Sequence[Place], Sequence[Sentence]]:  # fmt: skip
    """The next page of interactions, and what was said in them."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        page = db_sentiment.unread(tx, scorer_id, after, _PAGE)
        return page, told_sentences(db_talks.talks(tx, [each.interaction_id for each in page]))


def _keep(database: Database, tenant: TenantId, lease: Lease, scorer_id: str, known: Sequence[KnownSentiment]) -> None:
    with database.tenant_transaction(tenant, work="batch") as tx:
        leases.guard(tx, lease)
        # What changed meanwhile was forgotten by the index perhaps, and must not come back.
        still = by_interaction(told_sentences(db_talks.talks(tx, [each.interaction_id for each in known])))
        same = [each for each in known if each.content_hash == words_hash(still.get(each.interaction_id, []))]
        db_sentiment.keep(tx, scorer_id, same)
        failpoint("analyse.kept")


def _settle(database: Database, tenant: TenantId, lease: Lease, scorer_id: str, *, is_changed: bool) -> int:
    """Drop readings of what is gone, and answers that rest on fewer readings; how many interactions nobody has read yet."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        leases.guard(tx, lease)
        db_sentiment.drop_gone(tx)
        if is_changed:
            db_answers.drop_all(tx)
        return db_sentiment.count_unread(tx, scorer_id)
