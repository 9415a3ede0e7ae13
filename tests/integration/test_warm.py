"""The step `caches`: after a publish the answers that are most asked for are there, and nobody is said to have asked."""

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from pay_ready.agent.toolbox import Toolbox, ToolOptions
from pay_ready.db import memories as db_memories
from pay_ready.db.tenancy import Database
from pay_ready.errors import UsageError
from pay_ready.model.ids import TenantId
from pay_ready.model.talk import Scope
from pay_ready.pipeline.warm import warm_tenant
from tests.conftest import Scratch
from tests.memory_support import Talk, indexed, memory_on, relink, say

ANN, BOB, CARLA = UUID(int=1), UUID(int=2), UUID(int=3)
TALKS = tuple(
    Talk(key=str(number), body=f"We will send part {number} on Monday. It is great.", entities=(("person", who),), minute=number)
    for number, who in enumerate((ANN, ANN, BOB, CARLA))
)


@pytest.fixture
def told(database: Database, scratch: Scratch, tenant: TenantId) -> TenantId:
    """A tenant with interactions in memory."""
    say(scratch.admin_url, tenant, *TALKS)
    indexed(database, tenant, memory_on(database))
    return tenant


def toolbox(database: Database, tenant: TenantId, actor: str | None = "me") -> Toolbox:
    """The tenant's tools."""

    def no_rules() -> object:
        raise AssertionError

    return Toolbox(database, tenant, lambda: memory_on(database), options=ToolOptions(), actor=actor, coaching_rules=no_rules)  # type: ignore[arg-type]


def warmed(database: Database, tenant: TenantId, most: int) -> int:
    """The step."""
    return warm_tenant(database, tenant, toolbox(database, tenant, None), most=most).answers


def moved(database: Database, scratch: Scratch, tenant: TenantId, run_no: int) -> None:
    """A publish: one interaction is about somebody else."""
    relink(scratch.admin_url, tenant, TALKS[3], BOB, run_no)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.tenant_counters (tenant_id, counter, value) values (%s, 'run_no', %s)"
            " on conflict (tenant_id, counter) do update set value = excluded.value",
            (tenant, run_no),
        )
    with database.tenant_transaction(tenant) as tx:
        assert db_memories.epoch(tx).run_no == run_no


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[Scope]:
    """The scopes of summaries that were computed, not given."""
    seen: list[Scope] = []
    original = Toolbox._summary

    def counted(self: Toolbox, scope: Scope) -> object:
        seen.append(scope)
        return original(self, scope)

    monkeypatch.setattr(Toolbox, "_summary", counted)
    return seen


def test_what_is_most_asked_for_is_there_after_a_publish(
    database: Database, scratch: Scratch, told: TenantId, computed: list[Scope]
) -> None:
    """By the audit's accounts; the answer is the new version's, and whoever asks is given it."""
    ann, bob = Scope(entity_ids=(ANN,)), Scope(entity_ids=(BOB,))
    for scope, times in ((bob, 4), (ann, 2)):
        for _ in range(times):
            before = toolbox(database, told).summary(scope)
    assert len(computed) == 2
    moved(database, scratch, told, 7)
    assert warmed(database, told, most=1) == 1
    assert computed[2:] == [bob]
    answer = toolbox(database, told).summary(bob)
    assert answer.basis.interactions == 2  # Carla's is his now
    assert answer.basis.run_no == 7
    assert computed[2:] == [bob]
    toolbox(database, told).summary(ann)
    assert computed[2:] == [bob, ann]  # beyond `most`
    assert before.basis.run_no == 0


def test_nobody_is_said_to_have_asked(database: Database, scratch: Scratch, told: TenantId) -> None:
    """Warming writes nothing to the audit; being given a warm answer does."""

    def asked() -> int:
        with psycopg.connect(scratch.admin_url) as admin:
            row = admin.execute(
                "select count(*) from pay_ready.audit_events where tenant_id = %s and action like '%%.asked'", (told,)
            ).fetchone()
        return int(row[0]) if row else 0

    toolbox(database, told).summary(Scope(entity_ids=(ANN,)))
    assert asked() == 1
    moved(database, scratch, told, 3)
    warmed(database, told, most=10)
    assert asked() == 1
    toolbox(database, told).summary(Scope(entity_ids=(ANN,)))
    assert asked() == 2


@pytest.mark.parametrize("tool", ["summary", "sentiment", "topics", "count", "who"])
def test_each_tool_is_asked_again_as_it_was(database: Database, scratch: Scratch, told: TenantId, tool: str) -> None:
    """With its options: after the step the same question is given what was made."""
    calls: dict[str, Callable[[Toolbox], object]] = {
        "summary": lambda tools: tools.summary(Scope(entity_ids=(ANN,))),
        "sentiment": lambda tools: tools.sentiment(Scope(entity_ids=(ANN,)), period="month"),
        "topics": lambda tools: tools.topics(Scope(), min_frequency=2),
        "count": lambda tools: tools.count(Scope(interaction_types=("message",)), grouping="type"),
        "who": lambda tools: tools.who(Scope(), side=None, most=3),
    }
    calls[tool](toolbox(database, told))
    moved(database, scratch, told, 2)
    warmed(database, told, most=10)

    def refuse(*_: object, **__: object) -> object:
        raise AssertionError(tool)

    tools = toolbox(database, told)
    tools._opened = refuse  # type: ignore[method-assign, assignment] # computing begins there
    assert calls[tool](tools)


def test_one_that_fails_costs_one(database: Database, scratch: Scratch, told: TenantId, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are made; what this version does not know is left."""
    for each in (ANN, BOB):
        toolbox(database, told).summary(Scope(entity_ids=(each,)))
    toolbox(database, told).count(Scope())
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.analytics_cache (tenant_id, metric_name, metric_value, run_no, outbox_seq, asked)"
            """ values (%s, 'answer:of another time', '{"schema_version": 1}', 0, 0, '{"schema_version": 1, "tool": "divine"}')""",
            (told,),
        )
    moved(database, scratch, told, 2)

    def failing(_: Toolbox, scope: Scope) -> object:
        raise UsageError("not today", "tomorrow", scope=scope)

    monkeypatch.setattr(Toolbox, "_summary", failing)
    assert warmed(database, told, most=10) == 2  # the count, and what is left alone


def test_former_answers_go(database: Database, scratch: Scratch, told: TenantId) -> None:
    """Only this version's stay."""
    toolbox(database, told).summary(Scope(entity_ids=(ANN,)))
    moved(database, scratch, told, 2)
    warmed(database, told, most=10)
    with psycopg.connect(scratch.admin_url) as admin:
        rows = admin.execute("select distinct run_no from pay_ready.analytics_cache where run_no is not null").fetchall()
    assert rows == [(2,)]
