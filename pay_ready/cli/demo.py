"""`pay-ready demo`: two invented tenants, from export files to unified people and a timeline."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pay_ready.cli import entities as show
from pay_ready.cli.memory import print_answer
from pay_ready.cli.options import opened_app
from pay_ready.cli.output import note, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.cli.run import print_etl
from pay_ready.cli.timeline import print_lines

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.entities import GoldenRecord
    from pay_ready.demo import DemoTenant
    from pay_ready.pipeline.etl import EtlReport

_SHOWN = 15  # lines of the timeline
_ANALYSED_S = 8.0  # of the first tenant's interactions; `pay-ready analyse` does the rest
_ASKED = "customers who ask for a lower price"


def demo() -> None:
    """Bring two invented tenants' exports in, and show what was unified and what is found. A second run changes nothing and says so.

    The first tenant's texts are indexed by the real model; of the second that is left to `pay-ready index`.
    """
    from pay_ready.demo import DEMO_TENANTS

    with opened_app() as opened:
        where = f"embedded Postgres in {opened.environment.state_folder}" if opened.urls.embedded else "your Postgres"
        note(f"database: {where}")
        reports = [_bring_in(opened, tenant, is_indexed=tenant == DEMO_TENANTS[0]) for tenant in DEMO_TENANTS]
        for report in reports:
            print_etl(report)
        first = DEMO_TENANTS[0]
        tries = _show(opened, first, reports)
    for report in reports:
        report.raise_for_failure()
    say("try next:")
    for arguments in tries:
        say(f"  {_command()} {arguments}")


def _bring_in(opened: "App", wanted: "DemoTenant", *, is_indexed: bool) -> "EtlReport":
    from pay_ready.pipeline.etl import run_etl

    _make(opened, wanted)
    work = opened.work(wanted.slug)
    if work.insight is not None:
        work = replace(work, insight=replace(work.insight, most_s=_ANALYSED_S))
    with shown_progress() as progress:
        return run_etl(work if is_indexed else replace(work, memory=None), progress=progress)


def _make(opened: "App", wanted: "DemoTenant") -> None:
    from pay_ready.db import sources, tenants
    from pay_ready.demo import EXPORTS
    from pay_ready.pipeline.feed import NewSource, add_source

    tenant_id = opened.tenant_id(wanted.slug)
    with opened.database.tenant_transaction(tenant_id) as tx:
        absent = tenants.find(tx) is None
        if absent:
            own = {"schema_version": 1, "staging": {"phone_region": wanted.region, "internal_domains": [f"{wanted.slug}.example"]}}
            tenants.create(tx, slug=wanted.slug, name=wanted.name, settings=own, actor=opened.actor)
        there = {source.name for source in sources.list_all(tx)}
    note(f"tenant {wanted.slug}: {'made' if absent else 'was there already'}, with {len(there)} of {len(wanted.sources)} sources")
    for name in wanted.sources:
        if name not in there:
            folder = str(EXPORTS / wanted.slug / name)
            source = NewSource(name=name, kind=name, connector=None, settings={"path": folder})
            add_source(opened.database, tenant_id, source, opened.feed, lambda: opened.keyring, actor=opened.actor)


def _show(opened: "App", tenant: "DemoTenant", reports: list["EtlReport"]) -> list[str]:
    """What was unified and what is found; and arguments for the commands to try next."""
    from pay_ready.db import entities
    from pay_ready.demo import DEMO_TENANTS

    if nothing_was_new(reports):
        say("everything was there already: no row landed, nothing changed, nothing was published")
    tries = [f"tenants show {tenant.slug}", f"quarantine list -t {tenant.slug}", "doctor"]
    with opened.database.tenant_transaction(opened.tenant_id(tenant.slug)) as tx:
        counts = entities.counts(tx)
        print_table(
            ("person records", "people", "company records", "companies", "interactions", "in quarantine"),
            [(counts.person_records, counts.people, counts.company_records, counts.companies, counts.interactions, counts.quarantined)],
            title=f"{tenant.name}: what was unified",
        )
        person, company = entities.widest(tx, "person"), entities.widest(tx, "company")
        if person and (golden := entities.golden_record(tx, person)):
            say("one person, record by record:")
            show.print_entity(golden, entities.records_of(tx, golden))
            tries.insert(0, f'people "{golden.email or golden.name}" -t {tenant.slug}')
        account = entities.golden_record(tx, company) if company else None
    if account:
        _show_timeline(opened, tenant, account)
        tries.insert(0, f'timeline "{account.name}" -t {tenant.slug} --source gong --limit 5')
    answer = opened.memory.search(opened.tenant_id(tenant.slug), _ASKED, most=3)
    say(f'found by "{_ASKED}":')
    print_answer(answer, tenant.slug)
    tries[:0] = [f'memory search "who is unhappy" -t {tenant.slug} --type call', f"index -t {DEMO_TENANTS[1].slug}"]
    return tries


def _show_timeline(opened: "App", tenant: "DemoTenant", account: "GoldenRecord") -> None:
    from pay_ready.model.talk import Scope

    tools = opened.agent(tenant.slug).toolbox
    shown = tools.timeline(Scope(entity_ids=(account.entity_id,), until=datetime.now(UTC)), size=_SHOWN).page
    print_lines(f"{account.name}, the latest", reversed(shown.lines), tools.options.time_zone)


def nothing_was_new(reports: Sequence["EtlReport"]) -> bool:
    """Whether everything was there already: all was read, and no row landed and nothing was published."""
    complete = all(report.status == "complete" for report in reports)
    landed = sum(stream.landed for report in reports for outcome in report.sources for stream in outcome.equations)
    published = [report.resolve.run_no for report in reports if report.resolve and report.resolve.run_no is not None]
    return complete and not landed and not published


def _command() -> str:
    """How this command was called, as it can be called again."""
    called = Path(sys.argv[0])
    command = "pay-ready" if shutil.which("pay-ready") == str(called) else os.path.relpath(called)
    domain = os.environ.get("PAY_READY_DOMAIN")
    return f"{command} --domain {domain}" if domain else command
