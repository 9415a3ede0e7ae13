"""`pay-ready rollback`, `redo`, `resume`, `pending`: a tenant's state of the past, and what waits meanwhile."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from collections.abc import Mapping

    from pay_ready.db.restore import Differences
    from pay_ready.model.resolution import EntityType
    from pay_ready.pipeline.rollback import RollbackReport

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write nothing: show what would change.")]
ExamplesOption = Annotated[int, typer.Option(min=0, max=1_000, help="Changed entities to show, of each kind.")]
_SHOWN_DECISIONS = 20
_SHOWN_REQUESTS = 50


def rollback(
    tenant: TenantOption,
    to: Annotated[str | None, typer.Option(metavar="CHECKPOINT", help="Name or id: pay-ready checkpoint list.")] = None,
    dry_run: DryRunOption = False,
    ask: Annotated[bool, typer.Option("--ask", help="With --to: only ask for it; somebody else approves it.")] = False,
    approve: Annotated[UUID | None, typer.Option(metavar="REQUEST", help="Instead of --to: approve what was asked for, and do it.")] = None,
    refuse: Annotated[UUID | None, typer.Option(metavar="REQUEST", help="Instead: refuse it.")] = None,
    requests: Annotated[bool, typer.Option("--requests", help="Instead: show what was asked for.")] = False,
    apply_decisions: Annotated[
        bool, typer.Option("--apply-decisions", help="Apply the decisions made since at once, not at the next resolve.")
    ] = False,
    reason: ReasonOption = None,
    examples: ExamplesOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Return to a checkpoint: who belongs to whom, golden records, models and settings are as they were. Exit 0 when they are already.

    Records that came since stay and wait, decisions stay in the log, and resolution rests until pay-ready resume. pay-ready redo takes
    the rollback back. Where the setting checkpoints.four_eyes is on, one asks for it and somebody else approves it; exit 5 otherwise.

    Example: pay-ready rollback --tenant acme --to before-run-7 --dry-run
    Example: pay-ready rollback --tenant acme --to before-cleanup --reason "merged two branches"
    Example: pay-ready rollback --tenant acme --to before-run-7 --ask; a colleague: pay-ready rollback --tenant acme --approve REQUEST
    """
    _refuse_two(to, approve, refuse, requests=requests)
    if ask and (to is None or dry_run):
        raise UsageError("--ask is for what --to would do", "add --to CHECKPOINT, leave out --dry-run")
    if requests:
        _show_requests(tenant, as_json=as_json)
    elif refuse is not None:
        _refuse(tenant, refuse, reason, as_json=as_json)
    elif approve is not None:
        _approve(tenant, approve, reason, examples, as_json=as_json)
    elif ask and to is not None:
        _ask(tenant, to, reason, apply_decisions, examples, as_json=as_json)
    elif to is not None:
        _roll_back(tenant, to, dry_run, apply_decisions, reason, examples, as_json=as_json)


def _refuse_two(*wanted: object, requests: bool) -> None:
    if sum(each is not None for each in wanted) + requests != 1:
        raise UsageError("one thing at a time", "give one of --to CHECKPOINT, --approve REQUEST, --refuse REQUEST or --requests")


def _roll_back(
    tenant: str, to: str, dry_run: bool, apply_decisions: bool, reason: str | None, examples: int, *, as_json: bool
) -> None:  # fmt: skip
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline import approval
    from pay_ready.pipeline import rollback as step

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        if not dry_run:
            approval.refuse_alone(four_eyes=work.four_eyes)
        report = step.rollback(
            work.database, work.tenant, to, actor=work.actor, run_id=RunId(new_id()), reason=reason, dry_run=dry_run,
            apply_with=work.resolution if apply_decisions else None, examples=examples, progress=progress,
        )  # fmt: skip
        is_other = opened.work(tenant).resolution.config_hash != report.config_hash
    print_json("rollback", report) if as_json else _print(report, tenant, is_other_configuration=is_other)


def _ask(tenant: str, to: str, reason: str | None, apply_decisions: bool, examples: int, *, as_json: bool) -> None:
    from pay_ready.pipeline import approval

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        asking = approval.Asking(
            to=to, actor=work.actor, reason=reason, apply_decisions=apply_decisions, four_eyes=True
        )  # fmt: skip
        asked = approval.ask(work.database, work.tenant, asking, examples=examples, progress=progress)
    if as_json:
        print_json("rollback_request", asked)
        return
    _print(asked.preview, tenant)
    say(f"asked for by {asked.request.requested_by}; a colleague: pay-ready rollback -t {tenant} --approve {asked.request.request_id}")


def _approve(tenant: str, request: UUID, reason: str | None, examples: int, *, as_json: bool) -> None:
    from pay_ready.pipeline import approval

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        approval.decide(work.database, work.tenant, request, "approved", actor=work.actor, reason=reason)
        report = approval.carry_out(
            work.database, work.tenant, request, actor=work.actor, config=work.resolution, examples=examples, progress=progress
        )  # fmt: skip
    print_json("rollback", report) if as_json else _print(report, tenant)


def _refuse(tenant: str, request: UUID, reason: str | None, *, as_json: bool) -> None:
    from pay_ready.pipeline import approval

    with opened_app() as opened:
        found = opened.tenant(tenant)
        refused = approval.decide(opened.database, found.tenant_id, request, "refused", actor=opened.actor, reason=reason)
    print_json("rollback_request", refused) if as_json else say(f"refused by {refused.decided_by}: nothing was changed")


def _show_requests(tenant: str, *, as_json: bool) -> None:
    from pay_ready.db import rollback_requests

    with opened_app() as opened:
        found = opened.tenant(tenant)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            rows = rollback_requests.newest(tx, _SHOWN_REQUESTS)
    if as_json:
        print_json("rollback_requests", rows)
        return
    print_table(
        ("request", "to run", "asked by", "when", "state", "decided by", "run"),
        [
            (each.request_id, each.to_run_no, each.requested_by, each.requested_at, each.status, each.decided_by, each.run_no)
            for each in rows
        ],
    )  # fmt: skip


def redo(
    tenant: TenantOption,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    examples: ExamplesOption = 5,
    as_json: JsonOption = False,
) -> None:
    """Take the last rollback back: exactly the state before it, and its hold ends. Exit 6 when none is in force.

    Example: pay-ready redo --tenant acme
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline import rollback as step

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        report = step.redo(
            work.database, work.tenant, actor=work.actor, run_id=RunId(new_id()), reason=reason, dry_run=dry_run, examples=examples,
            progress=progress,
        )  # fmt: skip
    print_json("rollback", report) if as_json else _print(report, tenant)


def resume(tenant: TenantOption, reason: ReasonOption = None, as_json: JsonOption = False) -> None:
    """Let a tenant's resolution go on after a rollback: the next resolve looks at what waits, and may make again what was taken back.

    Example: pay-ready resume --tenant acme
    """
    from pay_ready.pipeline import rollback as step

    with opened_app() as opened:
        found = opened.tenant(tenant)
        resumed = step.resume(opened.database, found.tenant_id, actor=opened.actor, reason=reason)
    if as_json:
        print_json("resumed", resumed)
        return
    say("resolution was not on hold" if resumed.hold is None else f"resolution goes on: the hold after run {resumed.hold.run_no} has ended")
    say(f"{_waiting(resumed.waiting)}; resolve: pay-ready resolve -t {tenant}")


def pending(
    tenant: TenantOption,
    limit: Annotated[int, typer.Option(min=1, help="So many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Records and interactions that wait for the next resolve: those that came, changed or went, and what a rollback took back.

    Example: pay-ready pending --tenant acme
    """
    from pay_ready.db import resolution as db_resolution

    with opened_app() as opened:
        found = opened.tenant(tenant)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            hold, counts = db_resolution.hold(tx), db_resolution.count_queued(tx)
            rows = db_resolution.pending(tx, most=limit)
    if as_json:
        print_json("pending", {"hold": hold, "counts": counts, "objects": rows})
        return
    if rows:
        print_table(
            ("kind", "id", "source", "entity now"),
            [(each.kind, each.object_id, "gone" if each.is_gone else each.source, each.entity_id) for each in rows],
        )
    say(_waiting(counts) + (f", the first {limit} are shown" if sum(counts.values()) > limit else ""))
    if hold is not None:
        say(f"resolution is on hold since {hold.held_at:%Y-%m-%d %H:%M} (rollback run {hold.run_no}): pay-ready resume -t {tenant}")


def _print(report: "RollbackReport", tenant: str, *, is_other_configuration: bool = False) -> None:
    if report.is_there:
        say(f"already there: what is published is the state of {report.to} (run {report.to_run_no})")
        return
    print_differences(report.differences)
    verb = "would be" if report.is_dry_run else "is"
    if report.models_change:
        say(f"the models of run {report.to_run_no} {'would come' if report.is_dry_run else 'came'} back")
    if report.settings_change:
        say(f"the tenant's settings of run {report.to_run_no} {'would come' if report.is_dry_run else 'came'} back")
    if is_other_configuration and not report.is_dry_run:
        say("the configuration files are not those of that run: the next run uses the present ones")
    say(f"{_waiting(report.differences.waiting)} for the next resolve")
    if report.run_no is None:
        say(f"the state of {report.to} (run {report.to_run_no}) {verb} published; nothing was written")
        return
    say(f"published as run {report.run_no}: the state of {report.to} (run {report.to_run_no}), digest {report.digest.hex()[:16]}…")
    if report.decisions_run_no is not None:
        say(f"the decisions made since were applied by run {report.decisions_run_no}")
    if report.is_on_hold:
        say(f"resolution is on hold: pay-ready resume -t {tenant} lets it go on, pay-ready redo -t {tenant} takes this back")


def print_differences(found: "Differences") -> None:
    """What changes: entities by kind of change, fields, records, links, decisions, examples."""
    from typing import get_args

    from pay_ready.model.resolution import ChangeKind

    changes = get_args(ChangeKind)
    kinds: tuple[tuple[str, EntityType], ...] = (("people", "person"), ("companies", "company"))
    rows = [(name, *(found.changes[kind].get(change, 0) for change in changes)) for name, kind in kinds]
    print_table(("entities", *changes), rows)
    if found.examples:
        print_table(
            ("change", "of", "entity", "now", "then"),
            [
                (
                    each.change, each.entity_type, each.entity_id, _called(each.name_now, each.records_now),
                    _called(each.name_then, each.records_then),
                )
                for each in found.examples
            ],
        )  # fmt: skip
    if found.fields:
        say(f"other values: {', '.join(f'{count:,} {field}' for field, count in found.fields.items())}")
    moved, back, gone = (sum(getattr(each, name) for each in found.records.values()) for name in ("moved", "assigned", "unassigned"))
    say(f"records: {moved:,} move, {back:,} come back, {gone:,} wait unassigned")
    say(f"links to interactions: {found.links.opening:,} opened, {found.links.closing:,} closed; memories to move: {found.memories:,}")
    if found.decisions_since:
        say(f"decisions that are not honoured then (they stay in the log): {len(found.decisions_since):,}")
        shown = found.decisions_since[:_SHOWN_DECISIONS]
        print_table(
            ("decision", "of", "verdict", "left", "right", "by", "made"),
            [(each.decision_id, each.entity_type, each.verdict, each.left_id, each.right_id, each.actor, each.made_at) for each in shown],
        )


def _called(name: str | None, records: int | None) -> str:
    from pay_ready.db.resolution import golden_label

    return "" if records is None else golden_label(name, records)


def _waiting(counts: "Mapping[str, int]") -> str:
    words = {"person": "people's records", "company": "companies' records", "interaction": "interactions"}
    told = ", ".join(f"{counts[kind]:,} {word}" for kind, word in words.items() if counts.get(kind))
    return f"waiting: {told}" if told else "nothing waits"
