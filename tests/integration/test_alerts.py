"""Each shipped rule fires and clears, once each; and what the webhook is told of it."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from pay_ready.breaker import Breaker, BreakerState
from pay_ready.db import alerts as db_alerts
from pay_ready.db import breakers
from pay_ready.db.operation import begin_step, finish_step
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConfigError
from pay_ready.model.ids import RunId, TenantId, new_id
from pay_ready.pipeline.alerts.check import WatchWork, check_alerts
from pay_ready.pipeline.alerts.deliver import deliver_alerts, revive_dead, send_test
from pay_ready.pipeline.alerts.rules import load_rules
from pay_ready.pipeline.alerts.webhook import Webhook
from pay_ready.resources import resource_path
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.watch_support import SECRET, Receiver, receiving, rows, synced, watch_work


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A tenant of its own in the file's database."""

    admin_url: str
    app_url: str
    database: Database
    tenant: TenantId

    def sql(self, *statements: str) -> None:
        """Rows put straight into tables."""
        rows(self.admin_url, self.tenant, *statements)

    def step(self, status: str, *, step: str = "resolve", error: str | None = None) -> None:
        """A step that ran now."""
        with self.database.tenant_transaction(self.tenant) as tx:
            begun = begin_step(tx, RunId(new_id()), step, "")
            finish_step(tx, begun, status, error_class=error)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def base(server: Server, template: str) -> Iterator[Scratch]:
    """One database for all of them."""
    with cloned(server, template) as scratch:
        yield scratch


@pytest.fixture
def place(base: Scratch) -> Iterator[Place]:
    """A new tenant."""
    database = Database(base.app_url, PoolOptions(max_size=4, overflow=0))
    database.open()
    tenant = make_tenant(database, f"t{uuid4().hex[:12]}")
    yield Place(admin_url=base.admin_url, app_url=base.app_url, database=database, tenant=tenant)
    database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook's receiver."""
    with receiving() as found:
        yield found


SOURCE = uuid4()
FINDING = new_id()
LONG_AGO = "now() - interval '5 hours'"
Does = Callable[[Place], None]


def breaker(circuit: str) -> Does:
    """A service fails, or is back."""

    def does(place: Place) -> None:
        guard = Breaker("source:crm")
        guard.restore(BreakerState(circuit=circuit, failures=5 if circuit == "open" else 0))  # type: ignore[arg-type]
        with place.database.tenant_transaction(place.tenant) as tx:
            breakers.store(tx, guard)

    return does


def sql(*statements: str) -> Does:
    """Rows."""
    return lambda place: place.sql(*statements)


QUALITY = (
    "insert into pay_ready.quality_results (tenant_id, result_id, run_id, check_name, subject, severity, passed)"
    " values (:t, '{}', '{}', 'volume', 'crm/contacts', 'error', {})"
)
RULES: dict[str, tuple[str, Does, Does]] = {
    "stale_stream": (
        "crm/contacts",
        lambda place: synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=4),
        lambda place: synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=0.1),
    ),
    "run_failed": ("resolve", lambda place: place.step("failed"), lambda place: place.step("complete")),
    "run_stuck": (
        "sync:crm",
        sql(
            "insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, subject, status, started_at)"
            f" values (:t, '{new_id()}', '{new_id()}', 'sync', 'crm', 'running', now() - interval '7 hours')"
        ),
        sql(
            "insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, subject, status)"
            f" values (:t, '{new_id()}', '{new_id()}', 'sync', 'crm', 'running')"
        ),
    ),
    "quarantine": (
        "crm/contacts",
        lambda place: synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=1, emitted=1000, broken=11),
        lambda place: synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=0.5, emitted=1000, broken=0),
    ),
    "outbox_lag": (
        "warm",
        sql(
            "insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id, created_at)"
            " values (:t, 1, 'upsert', 'interaction', 'x', now() - interval '61 minutes')"
        ),
        sql("delete from pay_ready.memory_outbox where tenant_id = :t"),
    ),
    "breaker_open": ("source:crm", breaker("open"), breaker("closed")),
    "isolation_violation": (
        "stage",
        lambda place: place.step("failed", step="stage", error="IsolationError"),
        sql("update pay_ready.step_runs set started_at = now() - interval '25 hours' where tenant_id = :t"),
    ),
    "review_age": (
        "pairs",
        sql(
            "insert into pay_ready.decisions"
            " (tenant_id, decision_id, entity_type, left_id, right_id, verdict, actor_type, actor, status, made_at)"
            f" values (:t, '{new_id()}', 'person', '{new_id(1)}', '{new_id(2)}', 'match', 'human', 'a', 'open', now() - interval '8 days')"
        ),
        sql("update pay_ready.decisions set superseded_at = now() where tenant_id = :t"),
    ),
    "quality": (
        "volume:crm/contacts", sql(QUALITY.format(new_id(), new_id(), "false")), sql(QUALITY.format(new_id(), new_id(), "true")),
    ),
    "drift": (
        str(FINDING),
        sql(
            "insert into pay_ready.drift_findings (tenant_id, finding_id, metric_name, window_start, window_end, baseline_value,"
            " current_value, baseline_count, current_count, severity)"
            f" values (:t, '{FINDING}', 'volume', now() - interval '14 days', now(), 1, 9, 100, 100, 0.7)"
        ),
        sql("update pay_ready.drift_findings set severity = 0.2 where tenant_id = :t"),
    ),
}  # fmt: skip
ELSEWHERE = {"pool", "disk"}  # have tests of their own below


def test_no_shipped_rule_is_without_its_test() -> None:
    """Whoever adds a rule adds what makes it fire and clear."""
    assert {rule.name for rule in load_rules(resource_path("config", "alerts.toml"))} == RULES.keys() | ELSEWHERE


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_fires_and_clears(rule: str, place: Place) -> None:
    """Before: nothing. Broken: it fires, once. Mended: it is over, once, and the table keeps it."""
    subject, breaks, mends = RULES[rule]
    work = watch_work(place.database, place.tenant)

    def changes() -> tuple[list[str], list[str]]:
        report = check_alerts(work)
        fired, cleared = ([each.subject_id for each in some if each.alert == rule] for some in (report.fired, report.cleared))
        return fired, cleared

    assert changes() == ([], [])
    breaks(place)
    assert changes() == ([subject], [])
    assert changes() == ([], [])
    mends(place)
    assert changes() == ([], [subject])
    assert changes() == ([], [])
    with place.database.tenant_transaction(place.tenant) as tx:
        kept = [each for each in db_alerts.kept(tx, 100) if each.alert == rule]
    assert [(each.subject_id, each.status, each.cleared_at is not None) for each in kept] == [(subject, "cleared", True)]
    assert [each.severity for each in kept] == [one.severity for one in work.rules if one.name == rule]


def test_a_finding_is_told_of_once(place: Place) -> None:
    """A drift that was judged away and comes back is no news; a stream that is stale once more is."""
    _, breaks, mends = RULES["drift"]
    work = watch_work(place.database, place.tenant)
    breaks(place)
    assert [each.alert for each in check_alerts(work).fired] == ["drift"]
    mends(place)
    check_alerts(work)
    place.sql("update pay_ready.drift_findings set severity = 0.9 where tenant_id = :t")
    assert check_alerts(work).fired == []
    for hours in (4.0, 0.1):
        synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=hours)
        check_alerts(work)
    place.sql(f"update pay_ready.sync_runs set started_at = {LONG_AGO}, finished_at = {LONG_AGO} where tenant_id = :t")
    assert [each.alert for each in check_alerts(work).fired] == ["stale_stream"]


@pytest.mark.parametrize(
    "column", ["ingest_mode = 'backfill'", """report = '{"schema_version": 2, "notes": ["replayed from quarantine"]}'"""]
)
def test_what_brings_nothing_up_to_date(column: str, place: Place) -> None:
    """A backfill of last year and a replay of broken rows leave a stream as stale as it was; a paused source is nobody's alert."""
    work = watch_work(place.database, place.tenant)
    synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=4)
    synced(place.admin_url, place.tenant, SOURCE, "contacts", hours_ago=0.1)
    place.sql(f"update pay_ready.sync_runs set {column} where tenant_id = :t and started_at > now() - interval '1 hour'")
    assert [each.subject_id for each in check_alerts(work).fired] == ["crm/contacts"]
    place.sql("update pay_ready.data_sources set status = 'paused' where tenant_id = :t")
    assert [each.subject_id for each in check_alerts(work).cleared] == ["crm/contacts"]


def test_the_pool_fires_when_it_is_full_for_a_minute(place: Place) -> None:
    """Full at one look: pending, nobody is told. Still full a minute later: it fires. Free: over. Free within the minute: nothing."""
    work, subject = watch_work(place.database, place.tenant), f"{socket.gethostname()}:pool"

    def standing() -> list[tuple[str, str]]:
        with place.database.tenant_transaction(place.tenant) as tx:
            return [(each.subject_id, each.status) for each in db_alerts.standing(tx)]

    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(place.database._pool.connection())
        assert check_alerts(work).fired == []
        assert standing() == [(subject, "pending")]
        held.close()
        check_alerts(work)
        assert standing() == []
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(place.database._pool.connection())
        check_alerts(work)
        place.sql("update pay_ready.alerts set fired_at = fired_at - interval '59 seconds' where tenant_id = :t")
        assert check_alerts(work).fired == []
        place.sql("update pay_ready.alerts set fired_at = fired_at - interval '2 seconds' where tenant_id = :t")
        assert [each.subject_id for each in check_alerts(work).fired] == [subject]
    assert [each.subject_id for each in check_alerts(work).cleared] == [subject]


def test_a_full_disk_fires_and_clears(place: Place, tmp_path: Path) -> None:
    """The disk that data is on, by another threshold than the shipped one; another machine's alert is not ours to clear."""
    low, high = tmp_path / "low.toml", tmp_path / "high.toml"
    low.write_text("[disk]\nthreshold = 0\n")
    high.write_text("[disk]\nthreshold = 100\n")
    fired = check_alerts(watch_work(place.database, place.tenant, own=low)).fired
    assert [(each.alert, each.subject_id.partition(":")[0]) for each in fired] == [("disk", socket.gethostname())]
    place.sql(
        f"insert into pay_ready.alerts (tenant_id, alert_id, alert, subject_id, severity, status)"
        f" values (:t, '{new_id()}', 'disk', 'elsewhere:/', 0.8, 'firing')"
    )
    report = check_alerts(watch_work(place.database, place.tenant, own=high))
    assert [each.subject_id for each in report.cleared] == [fired[0].subject_id]
    assert [each.subject_id for each in report.standing] == ["elsewhere:/"]


def test_rules_of_ones_own(place: Place, tmp_path: Path) -> None:
    """A key alone is changed; a rule that is off clears what it left; what is off is refused with file and key."""
    own = tmp_path / "own.toml"
    RULES["run_failed"][1](place)
    assert [each.alert for each in check_alerts(watch_work(place.database, place.tenant)).fired] == ["run_failed"]
    own.write_text("[run_failed]\nenabled = false\n")
    assert [each.alert for each in check_alerts(watch_work(place.database, place.tenant, own=own)).cleared] == ["run_failed"]
    for text, key in (
        ("[run_failed]\nthreshold = 'high'\n", "run_failed.threshold"), ("[run_failed]\nseverity = 7\n", "run_failed.severity"),
        ("[other]\nthreshold = 1\n", "other"), ("severity = 1\n", "severity"),
    ):  # fmt: skip
        own.write_text(text)
        with pytest.raises(ConfigError, match=re.escape(f"file={own}, key={key}")):
            watch_work(place.database, place.tenant, own=own)
    own.write_text("[other]\nsays = ''\nunit = ''\nseverity = 1\nthreshold = 1\n")
    unknown = watch_work(place.database, place.tenant, own=own)
    with pytest.raises(ConfigError, match="no such alert rule"):
        check_alerts(unknown)


def told(place: Place, receiver: Receiver, *, attempts: int = 3) -> WatchWork:
    """With a webhook on this machine."""
    webhook = Webhook(url=receiver.url, secret=lambda: SECRET, allow_private=True, attempts=attempts)
    return watch_work(place.database, place.tenant, webhook=webhook)


def due(place: Place) -> None:
    """Time passes until everything may be tried again."""
    place.sql("update pay_ready.alert_deliveries set next_try_at = now() where tenant_id = :t",
              "delete from pay_ready.breaker_states where tenant_id = :t")  # fmt: skip


def deliveries(place: Place) -> dict[str, int]:
    """How many there are, by what became of them."""
    with place.database.tenant_transaction(place.tenant) as tx:
        return {each.status: each.deliveries for each in db_alerts.delivery_counts(tx)}


def test_the_webhook_is_told_in_order_and_once(place: Place, receiver: Receiver) -> None:
    """Signed as the library of Standard Webhooks wants it; fired, then cleared; nothing is sent twice."""
    standardwebhooks = pytest.importorskip("standardwebhooks", reason="of the dev group")
    work = told(place, receiver)
    place.step("failed")
    check_alerts(work)
    place.step("complete")
    check_alerts(work)
    assert deliver_alerts(work).delivered == 2
    assert receiver.kinds == ["alert.fired", "alert.cleared"]
    assert deliver_alerts(work).delivered == 0
    assert deliveries(place) == {"delivered": 2}
    import base64

    checker = standardwebhooks.Webhook("whsec_" + base64.b64encode(SECRET).decode())
    for headers, body in receiver.got:
        assert checker.verify(body, headers)["data"]["alert"] == "run_failed"
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            checker.verify(body + b" ", headers)
    data = json.loads(receiver.got[1][1])["data"]
    assert data["tenant"] == "acme"
    assert data["cleared_at"] > data["fired_at"]


def test_a_receiver_in_trouble_is_asked_again(place: Place, receiver: Receiver) -> None:
    """Twice 500 and then 204: taken in one pass, under one id."""
    receiver.answers = [(500, {}), (503, {}), (204, {})]
    work = told(place, receiver)
    place.step("failed")
    check_alerts(work)
    assert deliver_alerts(work, wait_s=0.001).delivered == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 3


def test_what_is_not_taken_is_kept_and_can_be_sent_anew(place: Place, receiver: Receiver) -> None:
    """400 each time: not again in the same pass; after its attempts a dead letter; revived, it is taken."""
    receiver.answers = [(400, {})]
    work = told(place, receiver, attempts=2)
    place.step("failed")
    check_alerts(work)
    assert deliver_alerts(work).waiting == 1
    place.step("complete")
    assert [each.alert for each in check_alerts(work).cleared] == ["run_failed"]
    assert deliver_alerts(work).waiting == 0  # that it is over is not told before that it fired
    assert len(receiver.got) == 1
    due(place)
    assert deliver_alerts(work).dead == 1
    assert deliveries(place) == {"dead": 1, "waiting": 1}
    receiver.answers = [(200, {})]
    assert revive_dead(work) == 1
    due(place)
    assert deliver_alerts(work).delivered == 2
    assert receiver.kinds[-2:] == ["alert.fired", "alert.cleared"]
    assert receiver.got[-2][0]["webhook-id"] == receiver.got[0][0]["webhook-id"]


@pytest.mark.parametrize(
    ("status", "headers", "becomes"), [(410, {}, "dead"), (302, {"Location": "/other"}, "waiting"), (429, {"Retry-After": "7"}, "waiting")]
)
def test_what_an_answer_means(status: int, headers: dict[str, str], becomes: str, place: Place, receiver: Receiver) -> None:
    """Gone: given up at once. A redirect is not followed. Who asks to wait is asked once, and not before."""
    receiver.answers = [(status, headers)]
    work = told(place, receiver)
    place.step("failed")
    check_alerts(work)
    deliver_alerts(work, wait_s=0.001)
    assert deliveries(place) == {becomes: 1}
    assert len(receiver.got) == 1
    if status == 429:
        with psycopg.connect(place.admin_url) as admin:
            row = admin.execute(
                "select extract(epoch from next_try_at - now()) from pay_ready.alert_deliveries where tenant_id = %s", (place.tenant,)
            ).fetchone()
        assert row is not None
        assert 5 < row[0] <= 7


def test_a_receiver_that_is_down_is_left_alone(place: Place, receiver: Receiver) -> None:
    """Its breaker opens within a pass; later passes, of other processes too, send nothing, and no attempt is lost by that."""
    receiver.answers = [(500, {})]
    work = told(place, receiver)
    for step in ("resolve", "index", "analyse"):
        place.step("failed", step=step)
    check_alerts(work)
    deliver_alerts(work, wait_s=0.001)
    assert len(receiver.got) == 3
    place.sql("update pay_ready.alert_deliveries set next_try_at = now() where tenant_id = :t")
    assert deliver_alerts(work).waiting == 3
    assert len(receiver.got) == 3
    receiver.answers = [(204, {})]
    due(place)
    assert deliver_alerts(work).delivered == 3


def test_a_process_that_dies_while_it_sends(place: Place, receiver: Receiver) -> None:
    """What it had claimed is nobody else's for two minutes; then it is sent once more, under the same id."""
    work = told(place, receiver)
    place.step("failed")
    check_alerts(work)
    with place.database.tenant_transaction(place.tenant) as tx:
        claimed = db_alerts.claim_deliveries(tx, 10, 120.0)
    assert deliver_alerts(work).delivered == 0
    due(place)
    assert deliver_alerts(work).delivered == 1
    assert receiver.got[0][0]["webhook-id"] == str(claimed[0].delivery_id)


def test_a_test_message_and_logs(place: Place, receiver: Receiver) -> None:
    """It says that it is a test; no line that is logged on the way holds the address or the secret."""
    work = told(place, receiver)
    assert work.webhook is not None
    with capture_logs() as lines:
        send_test(work, work.webhook)
    assert receiver.kinds == ["alert.test"]
    assert "127.0.0.1" not in str(lines)
    assert str(SECRET) not in repr(work.webhook)
