"""The step `caches`: answers of former versions go, and those that are most asked for are made anew before somebody asks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from pay_ready.agent.toolbox import Toolbox, again
from pay_ready.db import answers as db_answers
from pay_ready.db import memories as db_memories
from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.talk import Scope
from pay_ready.resilience import insist

log = structlog.get_logger()

_ACCOUNTS = 5  # whose plain summary is made even if nobody asked for just that


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmReport:
    """What one call did."""

    answers: int  # that were made anew
    elapsed_s: float


def warm_tenant(
    database: Database, tenant: TenantId, toolbox: Toolbox, *, most: int, progress: Progress = no_progress
) -> WarmReport:  # fmt: skip
    """Make the answers that are most asked for anew, and drop what rests on former versions.

    First what was asked of versions before this one, about the people and companies that the audit names most often; then the plain
    summaries of these. An answer that cannot be made is left to whoever asks.
    """
    started = time.monotonic()
    asked = insist(_asked)(database, tenant, most)
    insist(_drop_former)(database, tenant)
    made, ask = 0, insist(toolbox.ask_again)
    for number, each in enumerate(asked, 1):
        try:
            ask(each)
            made += 1
        except PayReadyError as error:
            log.warning("answers.not_warmed", tenant=tenant, error_class=type(error).__name__)
        progress(ProgressEvent(step="caches", subject="answers", done=number, total=len(asked)))
    return WarmReport(answers=made, elapsed_s=time.monotonic() - started)


def _asked(database: Database, tenant: TenantId, most: int) -> list[Mapping[str, Any]]:
    with database.tenant_transaction(tenant) as tx:
        asked = db_answers.former(tx, db_memories.epoch(tx), most)
        accounts = db_answers.accounts(tx, min(most, _ACCOUNTS))
    for account in accounts:
        plain = again("summary", Scope(entity_ids=(account,)), {})
        asked += [] if plain in asked else [plain]
    return asked[:most]


def _drop_former(database: Database, tenant: TenantId) -> None:
    """In a transaction of its own: where its answer is lost and it is done again, what was asked is known already."""
    with database.tenant_transaction(tenant) as tx:
        db_answers.drop_former(tx, db_memories.epoch(tx))
