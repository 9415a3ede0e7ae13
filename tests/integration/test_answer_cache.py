"""Answers are kept by what was asked and of which version: computed once, given again, and gone with what they rest on."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from pay_ready.agent.answer_cache import AnswerCache, CacheOptions, Wanted
from pay_ready.agent.answers import Basis
from pay_ready.db import answers as db_answers
from pay_ready.db import memories as db_memories
from pay_ready.db import tenants as db_tenants
from pay_ready.db.tenancy import Database
from pay_ready.errors import UsageError
from pay_ready.model.ids import TenantId
from tests.conftest import Scratch


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer of a tool that only this file has."""

    words: str
    at: datetime
    ids: tuple[UUID, ...]
    basis: Basis = field(default_factory=lambda: Basis(interactions=1, total=1))


@pytest.fixture
def told() -> Told:
    """With every kind of value that answers have."""
    return Told(words='said "so" – ünïcode', at=datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC), ids=(uuid4(), uuid4()))


def wanted(scope: str = "acme") -> Wanted[Told]:
    """The answer about somebody."""
    return Wanted(tool="summary", plan={"scope": scope}, kind=Told, again={"schema_version": 1, "tool": "summary", "scope": {}, "more": {}})


class Counted:
    """How often an answer was computed."""

    def __init__(self, answer: Told, slow_s: float = 0.0, during: Callable[[], None] = lambda: None) -> None:
        self.times, self._answer, self._slow_s, self._during = 0, answer, slow_s, during

    def __call__(self) -> Told:
        self.times += 1
        time.sleep(self._slow_s)
        self._during()
        return self._answer


def cache(database: Database, tenant: TenantId, **options: float) -> AnswerCache:
    """Of one process."""
    return AnswerCache(database, tenant, CacheOptions(**options))


def test_the_second_time_it_is_given_as_it_was(database: Database, tenant: TenantId, told: Told) -> None:
    """Every value comes back as it was, from another process, too; of another scope it is computed."""
    counted = Counted(told)
    assert cache(database, tenant).answer(wanted(), counted) == told
    assert cache(database, tenant).answer(wanted(), counted) == told
    assert counted.times == 1
    cache(database, tenant).answer(wanted("globex"), counted)
    assert counted.times == 2


def test_a_kept_answer_is_audited_by_who_asks(database: Database, tenant: TenantId, told: Told) -> None:
    """Whoever is given a kept one asked for it, and the audit says so in the same transaction."""
    asked: list[object] = []
    cache(database, tenant).answer(wanted(), Counted(told), seen=asked.append)
    assert asked == []  # computing writes its own
    cache(database, tenant).answer(wanted(), Counted(told), seen=asked.append)
    assert len(asked) == 1


def test_what_changes_makes_it_anew(database: Database, tenant: TenantId, told: Told) -> None:
    """A publish moves run_no, a staged change and an erasure outbox_seq: each is another version."""
    counted = Counted(told)
    for counter in ("run_no", "outbox_seq"):
        cache(database, tenant).answer(wanted(), counted)
        before = counted.times
        with database.tenant_transaction(tenant) as tx:
            db_tenants.next_number(tx, counter)
        cache(database, tenant).answer(wanted(), counted)
        assert counted.times == before + 1


def test_after_its_time_it_is_made_anew(database: Database, tenant: TenantId, told: Told) -> None:
    """And with a time of 0 nothing is kept."""
    counted = Counted(told)
    for _ in range(2):
        cache(database, tenant, ttl_s=0.05).answer(wanted(), counted)
        time.sleep(0.1)
    assert counted.times == 2
    for _ in range(2):
        cache(database, tenant, ttl_s=0.0).answer(wanted(), counted)
    assert counted.times == 4


@pytest.mark.parametrize("shared", [True, False], ids=["one process", "a process each"])
def test_a_stampede_computes_once(database: Database, tenant: TenantId, told: Told, shared: bool) -> None:
    """Sixteen who ask at the same moment: one computes, all are given the same."""
    counted, one = Counted(told, slow_s=0.3), cache(database, tenant)
    given: list[Told] = []

    def ask() -> None:
        given.append((one if shared else cache(database, tenant)).answer(wanted(), counted))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.times == 1
    assert given == [told] * 16


def test_who_fails_leaves_it_to_the_next(database: Database, tenant: TenantId, told: Told) -> None:
    """An error is no answer, and nobody waits for it."""

    def fail() -> Told:
        raise UsageError("not so", "otherwise")

    with pytest.raises(UsageError):
        cache(database, tenant).answer(wanted(), fail)
    counted = Counted(told)
    started = time.monotonic()
    cache(database, tenant, claim_s=30.0).answer(wanted(), counted)
    assert counted.times == 1
    assert time.monotonic() - started < 15


def test_who_died_is_waited_for_no_longer_than_was_said(database: Database, tenant: TenantId, told: Told) -> None:
    """A claim of a process that is gone runs out."""
    one = cache(database, tenant, claim_s=0.3)

    def vanish() -> Told:
        raise KeyboardInterrupt

    original, one._give_up = one._give_up, lambda _: None  # type: ignore[method-assign] # killed: it gives nothing up
    with pytest.raises(KeyboardInterrupt):
        one.answer(wanted(), vanish)
    one._give_up = original  # type: ignore[method-assign]
    counted = Counted(told)
    assert cache(database, tenant, claim_s=0.3).answer(wanted(), counted) == told
    assert cache(database, tenant, claim_s=0.3).answer(wanted(), counted) == told
    assert counted.times == 1


def test_what_was_erased_meanwhile_does_not_come_back(database: Database, tenant: TenantId, told: Told, scratch: Scratch) -> None:
    """An erasure drops every answer and every claim: who computed on what stood before keeps nothing."""
    import psycopg

    def erase() -> None:
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute("delete from pay_ready.analytics_cache where tenant_id = %s", (tenant,))

    cache(database, tenant).answer(wanted(), Counted(told, during=erase))
    with psycopg.connect(scratch.admin_url) as admin:
        left = admin.execute("select count(*) from pay_ready.analytics_cache where metric_value::text like '%%said%%'").fetchone()
    assert left == (0,)


def test_what_will_soon_be_better_is_not_kept(database: Database, tenant: TenantId, told: Told) -> None:
    """Nor what is too large for a row."""
    counted = Counted(told)
    for _ in range(2):
        cache(database, tenant).answer(wanted(), counted, is_whole=lambda _: False)
    assert counted.times == 2
    large = Counted(Told(words="x" * 1_200_000, at=told.at, ids=()))
    for _ in range(2):
        assert len(cache(database, tenant).answer(wanted("large"), large).words) == 1_200_000
    assert large.times == 2


def test_a_damaged_one_is_computed(database: Database, tenant: TenantId, told: Told, scratch: Scratch) -> None:
    """Whatever stands in the row, the answer is right."""
    import psycopg

    cache(database, tenant).answer(wanted(), Counted(told))
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("""update pay_ready.analytics_cache set metric_value = '{"schema_version": 1, "answer": {"words": 3}}'""")
    counted, started = Counted(told), time.monotonic()
    assert [cache(database, tenant).answer(wanted(), counted) for _ in range(2)] == [told, told]
    assert counted.times == 1
    assert time.monotonic() - started < 15  # nobody is waited for


def test_former_versions_go_and_say_what_was_asked(database: Database, tenant: TenantId, told: Told) -> None:
    """What was asked most comes first; the audit's accounts before others; then only this version's answers stay."""
    about = uuid4()
    for scope, entity, uses in (("rare", None, 1), ("often", None, 3), ("account", about, 1)):
        again = {"schema_version": 1, "tool": "summary", "scope": {"entity_ids": [str(entity)] if entity else []}, "more": {"name": scope}}
        for _ in range(uses):
            cache(database, tenant).answer(Wanted(tool="summary", plan={"scope": scope}, kind=Told, again=again), Counted(told))
    with database.tenant_transaction(tenant) as tx:
        for _ in range(2):
            db_tenants.audit(tx, actor="me", action="summary.asked", subject_kind="entity", subject_id=str(about))
        db_tenants.next_number(tx, "run_no")
        epoch = db_memories.epoch(tx)
        assert [each["more"]["name"] for each in db_answers.former(tx, epoch, 10)] == ["account", "often", "rare"]
        assert db_answers.accounts(tx, 5) == [about]
    cache(database, tenant).answer(wanted("now"), Counted(told))
    with database.tenant_transaction(tenant) as tx:
        db_answers.drop_former(tx, epoch)
        assert db_answers.former(tx, epoch, 10) == []
    counted = Counted(told)
    cache(database, tenant).answer(wanted("now"), counted)
    assert counted.times == 0
