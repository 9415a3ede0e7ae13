"""The step `caches`: answers of former versions go, and those that are most asked for are made anew before somebody asks."""

import time
from dataclasses import dataclass

import structlog

from pay_ready.agent.toolbox import Toolbox, again
from pay_ready.db import answers as db_answers
from pay_ready.db import memories as db_memories
from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId
from pay_ready.model.progress import Progress, ProgressEvent, no_progress
from pay_ready.model.talk import Scope

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
    with database.tenant_transaction(tenant) as tx:
        epoch = db_memories.epoch(tx)
        former = db_answers.former(tx, epoch, most)
        accounts = db_answers.accounts(tx, min(most, _ACCOUNTS))
        db_answers.drop_former(tx, epoch)
    asked = list(former)
    for account in accounts:
        plain = again("summary", Scope(entity_ids=(account,)), {})
        asked += [] if plain in asked else [plain]
    del asked[most:]
    made = 0
    for number, each in enumerate(asked, 1):
        try:
            toolbox.ask_again(each)
            made += 1
        except PayReadyError as error:
            log.warning("answers.not_warmed", tenant=tenant, error_class=type(error).__name__)
        progress(ProgressEvent(step="caches", subject="answers", done=number, total=len(asked)))
    return WarmReport(answers=made, elapsed_s=time.monotonic() - started)
