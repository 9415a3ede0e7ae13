"""What every counter of tokens keeps to: add a way to open another one to BUDGETS."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from uuid import UUID

import psycopg
import pytest

from pay_ready.agent.llm.budget import MemoryBudget, TokenBudget
from pay_ready.db.model_tokens import StoredBudget
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch

BUDGETS: dict[str, Callable[[Database], TokenBudget]] = {"memory": lambda _: MemoryBudget(), "stored": StoredBudget}
DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)
ONE, OTHER = TenantId(UUID(int=1)), TenantId(UUID(int=2))


@pytest.fixture(params=BUDGETS)
def budget(request: pytest.FixtureRequest, database: Database, scratch: Scratch) -> TokenBudget:
    """Each implementation; both tenants are there."""
    with psycopg.connect(scratch.admin_url) as admin:
        for tenant in (ONE, OTHER):
            admin.execute("select set_config('app.tenant_id', %s, true)", (str(tenant),))
            admin.execute("insert into pay_ready.tenants (tenant_id, slug, name) values (%s, %s, 'T')", (tenant, f"t{tenant.int}"))
    return BUDGETS[request.param](database)


def test_what_was_used_takes_the_place_of_what_was_reserved(budget: TokenBudget) -> None:
    """Less gives room, more takes it."""
    assert budget.reserve(ONE, DAY, 100, 100)
    assert not budget.reserve(ONE, DAY, 1, 100)
    budget.settle(ONE, DAY, 100, 40)
    assert budget.reserve(ONE, DAY, 60, 100)
    budget.settle(ONE, DAY, 60, 70)
    assert not budget.reserve(ONE, DAY, 1, 110)
    assert budget.reserve(ONE, DAY, 1, 111)


def test_tenants_and_days_have_their_own(budget: TokenBudget) -> None:
    """What one spends another has, and a new day begins at nothing; an answer that comes after midnight counts for its own day."""
    assert budget.reserve(ONE, DAY, 100, 100)
    assert budget.reserve(OTHER, DAY, 100, 100)
    assert budget.reserve(ONE, NEXT, 100, 100)
    budget.settle(ONE, DAY, 100, 0)
    assert not budget.reserve(ONE, NEXT, 1, 100)


def test_questions_at_once_cannot_spend_the_same_rest(budget: TokenBudget) -> None:
    """Of forty that want a tenth each, ten get it."""
    with ThreadPoolExecutor(8) as threads:
        granted = list(threads.map(lambda _: budget.reserve(ONE, DAY, 10, 100), range(40)))
    assert sum(granted) == 10
