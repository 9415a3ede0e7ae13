"""`pay-ready erase` and `pay-ready export`: a person's right to be forgotten, and to see what is held of them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import DeniedError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.pipeline.erase.work import EraseReport
    from pay_ready.pipeline.subject import Subject

app = typer.Typer(
    help="Erase a person: out of every table and every version ever published, for good.\n\n"
    "Example: pay-ready export -t acme --subject email:ann@customer.example\n\n"
    "Example: pay-ready erase -t acme --subject email:ann@customer.example --dry-run",
    invoke_without_command=True,
    rich_markup_mode=None,
)
SubjectOption = Annotated[str, typer.Option("--subject", help="email:ANN@X.COM, phone:+12065550100, record:ID or entity:ID.")]
TenantName = Annotated[str | None, typer.Option("--tenant", "-t", help="Tenant, by its name.", envvar="PAY_READY_TENANT")]
ReasonText = Annotated[str | None, typer.Option("--reason", help="Why; kept in the audit: name nobody in it.")]
_SHOWN = 20  # records


@app.callback()
def erase(
    context: typer.Context,
    tenant: TenantName = None,
    subject: Annotated[str | None, typer.Option("--subject", help="email:ANN@X.COM, phone:+12065550100, record:ID or entity:ID.")] = None,
    records_only: Annotated[
        bool, typer.Option("--records-only", help="Only records that carry it; others of the same published person stay.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the tenant's name.")] = False,
    void_archives: Annotated[
        bool, typer.Option("--void-archives", help="Give up for good archives that are away: nobody can look for the person in them.")
    ] = False,
    reason: ReasonText = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a person: out of every table and every version ever published, for good; a re-import brings nothing back.

    Shows first what goes. Rows of others in which the person occurs are masked. Rollbacks do not bring the person back, nor do archives:
    their files are written anew without the person, and copies of the former ones are refused. Twice is as once.

    Example: pay-ready export -t acme --subject email:ann@customer.example
    Example: pay-ready erase -t acme --subject email:ann@customer.example --dry-run
    Example: pay-ready erase -t acme --subject email:ann@customer.example --records-only --yes --reason "request 4711"
    """
    if context.invoked_subcommand is not None:
        return
    if tenant is None or subject is None:
        raise UsageError("whom?", "say --tenant NAME and --subject email:ANN@X.COM")
    from pay_ready.pipeline.erase import run as steps

    with opened_app() as opened, opened.eraser(tenant) as eraser:
        meant = _read(opened, tenant, subject)
        if dry_run or not yes:
            preview = steps.erase(
                eraser, meant, records_only=records_only, dry_run=True, reason=reason, void_archives=void_archives
            )  # fmt: skip
            if dry_run or not preview.is_held:
                _print(preview, as_json=as_json)
                return
            _confirm(preview, tenant, as_json=as_json)
        report = steps.erase(eraser, meant, records_only=records_only, reason=reason, void_archives=void_archives)
    _print(report, as_json=as_json)
    if report.is_held and not as_json:
        note("the person is still where the records came from: erase them there, too, and in backups and copies of archives")
        note(f"next: pay-ready run resolve --tenant {tenant}")


@app.command("list")
def list_suppressed(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """What keeps erased people out: kind, when, why; never a value. Example: pay-ready erase list -t acme"""
    from pay_ready.pipeline.subject import suppressed

    with opened_app() as opened:
        found = suppressed(opened.database, opened.tenant(tenant).tenant_id)
    if as_json:
        print_json("suppressions", found)
        return
    if not found:
        say("nobody was erased")
        return
    print_table(("kind", "digests", "since (UTC)", "reason"), ((each.kind, each.digests, each.created_at, each.reason) for each in found))


@app.command()
def lift(tenant: TenantOption, subject: SubjectOption, reason: ReasonText = None, as_json: JsonOption = False) -> None:
    """Let an erased person come in again with the next sync. Example: pay-ready erase lift -t acme --subject email:ann@customer.example"""
    from pay_ready.pipeline import subject as steps

    with opened_app() as opened:
        work = opened.work(tenant)
        meant = _read(opened, tenant, subject)
        lifted = steps.lift(work.database, work.tenant, meant, work.keyring(), actor=opened.actor, reason=reason)
    if as_json:
        print_json("lifted", {"digests": lifted})
        return
    say(f"{lifted} digests taken away: the person's records are let in again")
    note("what was erased is not restored: read the source from its start to have it again")


def export(
    tenant: TenantOption,
    subject: SubjectOption,
    to: Annotated[Path | None, typer.Option("--to", help="File to be made; default: a new one in the tenant's folder of exports.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write all that is held of a person to a file, as JSON: source rows, records, golden records with history, interactions, decisions.

    Example: pay-ready export -t acme --subject email:ann@customer.example --to ann.json
    Example: pay-ready export -t acme --subject entity:0b6f2f0e-5d1c-5b62-8b1f-6c1f1f0a8f11 --json
    """
    from pay_ready.pipeline.subject import export_path, export_subject

    with opened_app() as opened:
        found = opened.tenant(tenant)
        target = to.expanduser().absolute() if to else export_path(opened.environment.state_folder, tenant)
        meant = _read(opened, tenant, subject)
        report = export_subject(opened.database, found.tenant_id, tenant, meant, target, actor=opened.actor)
    if as_json:
        print_json("export", report)
        return
    print_table(("what", "rows"), report.counts.items())
    say(f"{report.records} records, {len(report.entities)} published people, {report.size_bytes:,} bytes: {report.path}")


def _read(opened: "App", tenant: str, text: str) -> "Subject":
    from pay_ready.pipeline.subject import read_subject

    return read_subject(text, opened.settings_of(opened.tenant(tenant)).staging.phone_region)


def _confirm(preview: "EraseReport", tenant: str, *, as_json: bool) -> None:
    """Have somebody at a terminal type the tenant's name.

    Raises:
        DeniedError: Nobody is there, or the name is another.
    """
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise DeniedError("erasing asks at a terminal", "look with --dry-run, then say --yes; nothing was erased")
    _print(preview, as_json=False)
    if typer.prompt("this cannot be undone; type the tenant's name to erase", default="", show_default=False) != tenant:
        raise DeniedError("not confirmed", "nothing was erased")


def _print(report: "EraseReport", *, as_json: bool) -> None:
    if as_json:
        print_json("erasure", report)
        return
    if not report.is_held:
        say("nothing is held of this subject")
        return
    verb = "would go" if report.is_dry_run else "gone"
    print_table(("table", f"rows that {verb}" if report.is_dry_run else "rows gone"), report.counts.items())
    for each in report.entities:
        left = f"{each.remaining} of its {each.records} records stay" if each.remaining else f"all of its {each.records} records"
        say(f"published person {each.entity_id}: {left}")
    for record in report.records[:_SHOWN]:
        why = "carries it" if record.carries else "does not carry it, and goes with the person (--records-only keeps it)"
        say(f"record {record.record_id} of {record.source or 'no source any more'}{f', {record.name}' * report.is_dry_run}: {why}")
    if len(report.records) > _SHOWN:
        say(f"and {len(report.records) - _SHOWN} records more")
    for path in report.exports:
        say(f"export {verb}: {path}")
    if report.run_no is not None:
        said = "would be published" if report.is_dry_run else "is published"
        say(f"run {report.run_no} {said} without them; {report.rebased} digests of versions re-based, {report.suppressed} suppressions")
