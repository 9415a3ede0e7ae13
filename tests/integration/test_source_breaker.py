"""A source whose service is down is left alone: its runs are deferred at once, in every process, the tenant's other sources go on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.breaker import BreakerOpenError
from pay_ready.db import sources
from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError, SourceAwayError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline import source_breaker
from pay_ready.pipeline.bring_in import sync_step
from pay_ready.pipeline.etl import run_etl
from pay_ready.pipeline.work import TenantWork
from tests.backfill_support import add_crm, tenant_work
from tests.conftest import Scratch

DOWN = {"kind": "trace_error", "at": 0, "failure_type": "transient_error", "message": "503 from the service"}
WRONG = {"kind": "trace_error", "at": 0, "failure_type": "config_error", "message": "bad key"}


@pytest.fixture
def work(database: Database, tenant: TenantId, tmp_path: Path) -> TenantWork:
    """A tenant's work; two failures open a breaker."""
    return tenant_work(database, tenant, tmp_path)


def set_to(work: TenantWork, **settings: Any) -> None:
    """What the scripted service does from now on."""
    with work.database.tenant_transaction(work.tenant) as tx:
        source = sources.require(tx, "crm")
        config = source.config.model_copy(update={"settings": {"streams": {"people": 3}, **settings}})
        sources.change_config(tx, source, config, actor="tests")


def sync(work: TenantWork) -> object:
    """One sync; how it ended: nothing, or the class of its error."""
    try:
        sync_step(work, "crm", RunId(new_id())).raise_for_failure()
    except PayReadyError as error:
        return type(error)
    return None


def state(scratch: Scratch, tenant: TenantId) -> object:
    """What is stored of the source."""
    with psycopg.connect(scratch.admin_url) as admin:
        return admin.execute("select state, failures from pay_ready.breaker_states where tenant_id = %s", (tenant,)).fetchone()


def pass_time(scratch: Scratch, tenant: TenantId) -> None:
    """Fifteen minutes later."""
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("update pay_ready.breaker_states set changed_at = changed_at - interval '15 minutes' where tenant_id = %s", (tenant,))


def test_a_service_that_is_down_is_left_alone_and_tried_again(work: TenantWork, scratch: Scratch, tenant: TenantId) -> None:
    """Two failures; then nothing is started; after the time one probe, which opens it again or closes it."""
    add_crm(work, {"streams": {"people": 3}, "fault": DOWN})
    assert [sync(work), sync(work)] == [SourceAwayError, SourceAwayError]
    assert state(scratch, tenant) == ("open", 2)
    assert sync(work) is BreakerOpenError
    pass_time(scratch, tenant)
    assert sync(work) is SourceAwayError  # the probe
    assert sync(work) is BreakerOpenError
    pass_time(scratch, tenant)
    set_to(work)
    assert sync(work) is None
    assert state(scratch, tenant) == ("closed", 0)
    assert sync(work) is None


def test_the_run_is_deferred(work: TenantWork) -> None:
    """The run says when to come again (75); the tenant's other source is brought in meanwhile."""
    add_crm(work, {"streams": {"people": 3}, "fault": DOWN})
    for _ in range(2):
        run_etl(work)
    report = run_etl(work)
    assert isinstance(report.sources[0].error, BreakerOpenError)
    with pytest.raises(BreakerOpenError) as caught:
        report.raise_for_failure()
    assert caught.value.exit_code == 75
    assert caught.value.where["retry_in_s"] <= 600
    add_crm(work, {"streams": {"people": 3}}, name="other")
    report = run_etl(work)
    assert [outcome.error is None for outcome in report.sources] == [False, True]
    assert report.status == "partial"
    assert report.resolve is not None


def test_what_says_nothing_about_the_service_opens_nothing(work: TenantWork, scratch: Scratch, tenant: TenantId) -> None:
    """A wrong configuration is no outage, and a success in between begins the count anew."""
    add_crm(work, {"streams": {"people": 3}, "fault": WRONG})
    assert {sync(work) for _ in range(4)} != {BreakerOpenError}
    assert state(scratch, tenant) is None
    for fault in (DOWN, None, DOWN, None):
        set_to(work, **({"fault": fault} if fault else {}))
        assert sync(work) is (SourceAwayError if fault else None)
    assert state(scratch, tenant) == ("closed", 0)


def test_one_process_tries(work: TenantWork, scratch: Scratch, tenant: TenantId) -> None:
    """Of two that come when the time is over one gets the probe; whoever dies with it gives it up after the same time."""
    add_crm(work, {"streams": {"people": 3}, "fault": DOWN})
    for _ in range(2):
        sync(work)
    pass_time(scratch, tenant)
    with work.database.tenant_transaction(tenant) as tx:
        source = sources.require(tx, "crm")
    with source_breaker.admitted(work.database, tenant, source, work.breaker):  # and dies: it tells nothing
        assert sync(work) is BreakerOpenError
    assert sync(work) is BreakerOpenError
    pass_time(scratch, tenant)
    set_to(work)
    assert sync(work) is None


def test_tenants_have_breakers_of_their_own(work: TenantWork, new_tenant: Callable[[str], TenantId], tmp_path: Path) -> None:
    """What one tenant's account meets keeps nobody else from the same service."""
    other = replace(tenant_work(work.database, new_tenant("other"), tmp_path))
    for each in (work, other):
        add_crm(each, {"streams": {"people": 3}, "fault": DOWN})
    for _ in range(2):
        sync(work)
    assert sync(work) is BreakerOpenError
    assert sync(other) is SourceAwayError


def test_a_check_that_succeeds_lets_the_next_sync_try(work: TenantWork, tenant: TenantId) -> None:
    """Who has seen the service back need not wait."""
    add_crm(work, {"streams": {"people": 3}, "fault": DOWN})
    for _ in range(2):
        sync(work)
    set_to(work)
    with work.database.tenant_transaction(tenant) as tx:
        source_breaker.forget(tx, sources.require(tx, "crm"))
    assert sync(work) is None
