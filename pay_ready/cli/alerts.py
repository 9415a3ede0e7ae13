"""`pay-ready alerts`: look at the rules, list what fires, tell the webhook."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.errors import CheckFailedError, NotFoundError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.pipeline.alerts.check import AlertReport

app = typer.Typer(
    help="Alerts: what operators are told about. Rules are in config/alerts.toml, and a file of your own (watch.alert_rules).",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_HEADS = ("alert", "subject", "severity", "measured", "threshold", "unit")


@app.command("check")
def check(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Look at every rule, raise and clear alerts, tell the webhook. Exit 7 while one stands. Example: pay-ready alerts check -t acme"""
    from pay_ready.pipeline.alerts.check import check_alerts
    from pay_ready.pipeline.alerts.deliver import deliver_alerts

    with opened_app(most_connections=2) as opened:
        work = opened.watch(tenant)
        report = check_alerts(work)
        told = deliver_alerts(work)
    if as_json:
        print_json("alerts", {"report": report, "told": told})
    else:
        _print(report)
        if told.delivered or told.waiting or told.dead:
            say(f"webhook: {told.delivered} told, {told.waiting} to be tried again, {told.dead} given up")
    if report.standing:
        names = ", ".join(sorted({each.alert for each in report.standing}))
        raise CheckFailedError("alerts stand", f"pay-ready alerts list -t {tenant}", tenant=tenant, alerts=names)


@app.command("list")
def list_all(
    tenant: TenantOption,
    most: Annotated[int, typer.Option(min=1, max=1_000, help="The newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Alerts, also those that are over, and what the webhook was told. Example: pay-ready alerts list -t acme"""
    from pay_ready.db import alerts

    with opened_app(most_connections=1) as opened, opened.database.tenant_transaction(opened.tenant(tenant).tenant_id) as tx:
        found, deliveries = alerts.kept(tx, most), alerts.delivery_counts(tx)
    if as_json:
        print_json("alerts", {"alerts": found, "deliveries": deliveries})
        return
    rows = ((each.alert, each.subject_id, each.status, each.severity, each.measured, each.threshold, each.fired_at, each.cleared_at,
             str(each.alert_id)) for each in found)  # fmt: skip
    print_table(("alert", "subject", "state", "severity", "measured", "threshold", "since", "over", "id"), rows)
    for count in deliveries:
        say(f"webhook: {count.deliveries} {count.status}")
        if count.status == "dead":
            say(f"send them once more: pay-ready alerts deliver -t {tenant} --dead")


@app.command("acknowledge")
def acknowledge(tenant: TenantOption, alert: Annotated[str, typer.Argument(help="Its id, as `alerts list` shows it.")]) -> None:
    """Say that somebody has seen it. Example: pay-ready alerts acknowledge -t acme 0198…"""
    from pay_ready.db import alerts

    try:
        alert_id = UUID(alert)
    except ValueError:
        raise UsageError("not the id of an alert", f"pay-ready alerts list -t {tenant}", alert=alert) from None
    with opened_app(most_connections=1) as opened, opened.database.tenant_transaction(opened.tenant(tenant).tenant_id) as tx:
        if not alerts.acknowledge(tx, alert_id):
            raise NotFoundError("no such alert fires", f"pay-ready alerts list -t {tenant}", alert=alert)
    say("acknowledged")


@app.command("test")
def test(tenant: TenantOption) -> None:
    """Send the webhook a message that says it is a test. Example: pay-ready alerts test -t acme"""
    from pay_ready.pipeline.alerts.deliver import send_test

    with opened_app(most_connections=1) as opened:
        work = opened.watch(tenant)
        if work.webhook is None:
            raise UsageError("there is no webhook", "set watch.webhook_url, for example PAY_READY_WATCH__WEBHOOK_URL", tenant=tenant)
        message_id = send_test(work, work.webhook)
    say(f"the webhook took message {message_id}")


@app.command("deliver")
def deliver(
    tenant: TenantOption,
    dead: Annotated[bool, typer.Option("--dead", help="Also what was given up, as if it were new.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Tell the webhook what is due. Exit 7 when something was given up. Example: pay-ready alerts deliver -t acme --dead"""
    from pay_ready.pipeline.alerts.deliver import deliver_alerts, revive_dead

    with opened_app(most_connections=2) as opened:
        work = opened.watch(tenant)
        revived = revive_dead(work) if dead else 0
        told = deliver_alerts(work)
    if as_json:
        print_json("deliveries", {"revived": revived, "told": told})
    else:
        say(f"{told.delivered} told, {told.waiting} to be tried again, {told.dead} given up")
    if told.dead:
        raise CheckFailedError("messages were given up", f"pay-ready alerts deliver -t {tenant} --dead", tenant=tenant, messages=told.dead)


@app.command("secret")
def secret(tenant: TenantOption) -> None:
    """Show the secret that the webhook's receiver checks signatures with (Standard Webhooks). Example: pay-ready alerts secret -t acme"""
    from pay_ready.app_watch import webhook_secret
    from pay_ready.pipeline.alerts.webhook import written_secret

    with opened_app(most_connections=1) as opened:
        say(written_secret(webhook_secret(opened, opened.tenant(tenant).tenant_id)))


def _print(report: "AlertReport") -> None:
    rows = [("fires", each) for each in report.fired] + [("is over", each) for each in report.cleared]
    if rows:
        print_table(("", *_HEADS), ((what, each.alert, each.subject_id, each.severity, each.measured, each.threshold, each.unit)
                                    for what, each in rows))  # fmt: skip
    say(f"{report.tenant}: {len(report.fired)} fired, {len(report.cleared)} are over, {len(report.standing)} stand")
