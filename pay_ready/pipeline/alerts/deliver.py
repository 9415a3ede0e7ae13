"""Tell the webhook what changed: in order, again and again until it was taken or given up; what was given up is kept, and can be sent anew.

A message is claimed for a while, sent outside any transaction, and then marked. A process that dies in between sends it once more: its id
is the same, by which a receiver tells.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from pay_ready.breaker import Breaker, BreakerOpenError, BreakerState
from pay_ready.db import alerts, breakers
from pay_ready.db.alerts import Delivery
from pay_ready.errors import PayReadyError, TransientError
from pay_ready.model.ids import new_id
from pay_ready.pipeline.alerts.check import WatchWork
from pay_ready.pipeline.alerts.rules import AlertRule
from pay_ready.pipeline.alerts.webhook import Message, ReceiverGoneError, Resolve, Webhook, send
from pay_ready.resilience import insist, transient_retries

TARGET = "webhook"
_MOST, _MOST_ROUNDS = 50, 10  # messages of a round, rounds of a pass
_LEASE_S = 120.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 30.0, 3_600.0
_OPENS_AFTER, _OPEN_S = 3, 300.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What became of a pass."""

    delivered: int = 0
    waiting: int = 0  # to be tried again
    dead: int = 0  # given up


def deliver_alerts(work: WatchWork, *, resolve: Resolve | None = None, wait_s: float = 0.2) -> DeliveryReport:
    """Send what is due.

    Args:
        work: The tenant's.
        resolve: Looks a host's addresses up; another one in tests.
        wait_s: Before the second of three attempts within this pass.

    Raises:
        SecretError: There is neither a secret nor a key to derive one from.
        TransientError: The database is away.
    """
    if work.webhook is None:
        return DeliveryReport()
    webhook, counts = work.webhook, {"delivered": 0, "waiting": 0, "dead": 0}
    rules = {rule.name: rule for rule in work.rules}
    breaker = Breaker(TARGET, opens_after=_OPENS_AFTER, open_s=_OPEN_S, measured=False)
    try:
        insist(_admit)(work, breaker)
    except BreakerOpenError:
        return DeliveryReport(waiting=sum(each.deliveries for each in _counts(work) if each.status == "waiting"))
    known = breaker.state
    # Of an alert one message at a time: that it is over is sent in the next round, once it was taken that it fired.
    for _ in range(_MOST_ROUNDS):
        if not (claimed := insist(_claimed)(work)):
            break
        for each in claimed:
            counts[_told(work, webhook, breaker, each, rules.get(each.alert), resolve, wait_s)] += 1
    if breaker.state != known or known != BreakerState():
        insist(_store)(work, breaker)
    return DeliveryReport(**counts)


def send_test(work: WatchWork, webhook: Webhook, *, resolve: Resolve | None = None) -> str:
    """Send a message that says it is a test, once; its id.

    Raises:
        PayReadyError: As `webhook.send`.
    """
    message_id = str(new_id())
    body = _body("alert.test", datetime.now(UTC), {"tenant": work.status.slug, "says": "a test of this webhook"})
    send(webhook, Message(message_id=message_id, body=body), resolve=resolve)
    return message_id


def revive_dead(work: WatchWork) -> int:
    """Have what was given up sent once more; how many."""
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        return alerts.revive(tx)


def payload(work: WatchWork, each: Delivery, rule: AlertRule | None) -> bytes:
    """What the receiver gets: names of ours and figures, no personal value. The same at each attempt, but for what was measured since."""
    data = {
        "alert_id": str(each.alert_id), "tenant": work.status.slug, "alert": each.alert, "subject": each.subject_id,
        "severity": round(each.severity, 3), "critical": each.severity >= 0.7, "measured": each.measured, "threshold": each.threshold,
        "unit": rule.unit if rule else "", "says": rule.says if rule else "", "fired_at": each.fired_at.isoformat(),
        "cleared_at": each.cleared_at.isoformat() if each.cleared_at and each.change == "cleared" else None,
    }  # fmt: skip
    return _body(f"alert.{each.change}", each.made_at, data)


def _body(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}, separators=(",", ":")).encode()


def _told(
    work: WatchWork, webhook: Webhook, breaker: Breaker, each: Delivery, rule: AlertRule | None, resolve: Resolve | None, wait_s: float
) -> str:
    message = Message(message_id=str(each.delivery_id), body=payload(work, each, rule))

    def attempt() -> None:
        with breaker.guarding():
            send(webhook, message, resolve=resolve)

    insisted = transient_retries(
        attempt, attempts=3, timeout_s=20.0, wait_initial_s=wait_s, wait_max_s=2.0, wait_jitter_s=wait_s, again=_again
    )
    try:
        insisted()
    except PayReadyError as error:
        return insist(_not_taken)(work, webhook, each, error)
    insist(_taken)(work, each)
    return "delivered"


def _again(error: Exception) -> bool:
    """In this pass: not where a wait was asked for, or the breaker opened."""
    return isinstance(error, TransientError) and "retry_in_s" not in error.where


def _not_taken(work: WatchWork, webhook: Webhook, each: Delivery, error: PayReadyError) -> str:
    dead = isinstance(error, ReceiverGoneError) or (each.attempts >= webhook.attempts and not isinstance(error, BreakerOpenError))
    asked_s = error.where.get("retry_in_s")
    grown_s = min(_FIRST_WAIT_S * 2.0 ** min(each.attempts - 1, 20), _LONGEST_WAIT_S) * random.uniform(0.8, 1.2)  # noqa: S311 - spread, no secret
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        alerts.not_delivered(
            tx, each.delivery_id, dead=dead, wait_s=float(asked_s) if isinstance(asked_s, int | float) else grown_s,
            why=f"{type(error).__name__}: {error.what}" + (f" ({error.where['status']})" if "status" in error.where else ""),
            took=not isinstance(error, BreakerOpenError),
        )  # fmt: skip
    log.warning("alert.not_delivered", tenant=work.status.tenant, rule=each.alert, attempt=each.attempts, error_class=type(error).__name__)
    return "dead" if dead else "waiting"


def _taken(work: WatchWork, each: Delivery) -> None:
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        alerts.delivered(tx, each.delivery_id)


def _claimed(work: WatchWork) -> list[Delivery]:
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        return list(alerts.claim_deliveries(tx, _MOST, _LEASE_S))


def _counts(work: WatchWork) -> list[alerts.DeliveryCount]:
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        return list(alerts.delivery_counts(tx))


def _admit(work: WatchWork, breaker: Breaker) -> None:
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        breakers.admit(tx, breaker)


def _store(work: WatchWork, breaker: Breaker) -> None:
    with work.status.database.tenant_transaction(work.status.tenant) as tx:
        breakers.store(tx, breaker)
