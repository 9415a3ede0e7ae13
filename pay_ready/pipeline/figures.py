"""What stands of a tenant and what waits, in numbers: the end of every run tells them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pay_ready.db import entities, memories, resolution
from pay_ready.db.entities import Counts
from pay_ready.pipeline.review.desk import Desk
from pay_ready.pipeline.review.queue import ranked

MOST_PAIRS = 1_000  # that are counted


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantFigures:
    """What stands, and what waits for whom."""

    counts: Counts
    waiting: Mapping[str, int]  # for the next resolve, by kind
    to_review: int  # pairs, MOST_PAIRS at most
    unheard: int  # changes that memory was not told of
    is_on_hold: bool  # resolution rests after a rollback


def tenant_figures(desk: Desk) -> TenantFigures:
    """The figures of the desk's tenant."""
    to_review = len(ranked(desk, None, MOST_PAIRS))
    with desk.database.tenant_transaction(desk.tenant) as tx:
        return TenantFigures(
            counts=entities.counts(tx), waiting=resolution.count_queued(tx), to_review=to_review, unheard=memories.waiting(tx).changes,
            is_on_hold=resolution.hold(tx) is not None,
        )  # fmt: skip
