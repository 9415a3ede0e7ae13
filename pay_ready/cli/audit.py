"""`pay-ready audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import CheckFailedError, NotFoundError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from datetime import datetime

    from pay_ready.app import App
    from pay_ready.model.audit import ChainFault, ChainReading
    from pay_ready.model.ids import TenantId

app = typer.Typer(
    help="Who did what, when and why: a trail in which no event can be changed unseen.", no_args_is_help=True, rich_markup_mode=None
)
_FORMATS = ("jsonl", "csv")
_SHOWN = 12  # digits of a hash in a table
_FAULT_HINT = "compare with an older export; keep both"


@app.command("list")
def list_all(
    tenant: TenantOption,
    action: Annotated[str | None, typer.Option(help="Only this action, or its beginning: source, source.added.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only of this actor.")] = None,
    since: Annotated[str | None, typer.Option(help="Only from this day or time on, for example 2026-03-01.")] = None,
    run: Annotated[str | None, typer.Option(help="Only of this run: its number, or its id.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only about the thing of this id.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List events, newest first.

    Example: pay-ready audit list -t acme --action source --since 2026-03-01
    """
    from pay_ready.db import audit

    wanted = audit.AuditFilter(action=action, actor=actor, since=_moment(since), run=run, subject=subject)
    with opened_app() as opened:
        tenant_id = _tenant_id(opened, tenant)
        with opened.database.tenant_transaction(tenant_id) as tx:
            events = audit.events(tx, wanted, most=limit)
    if as_json:
        print_json("audit", events)
        return
    print_table(
        ("no.", "when", "actor", "action", "subject", "reason", "before", "after"),
        (
            (each.seq, each.occurred_at, each.actor, each.action, f"{each.subject_kind} {each.subject_id}", each.reason,
             _short(each.before_hash), _short(each.after_hash))
            for each in events
        ),
    )  # fmt: skip


@app.command()
def export(
    tenant: TenantOption,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file; only its owner may read it.")],
    form: Annotated[str, typer.Option("--format", help="jsonl or csv (cells that a spreadsheet would run are escaped).")] = "jsonl",
    since: Annotated[int, typer.Option(min=1, metavar="SEQ", help="From this event on.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Put it in the place of a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the trail to a file, to be kept where nobody of the database can reach it. The export is itself an event.

    Example: pay-ready audit export -t acme --to acme-audit.jsonl
    """
    from pay_ready.pipeline.audit import export_audit

    if form not in _FORMATS:
        raise UsageError("not a format", f"choose one of {', '.join(_FORMATS)}", format=form)
    with opened_app() as opened:
        exported = export_audit(
            opened.database, _tenant_id(opened, tenant), to, form=cast("Literal['jsonl', 'csv']", form), first_seq=since, overwrite=force,
            actor=opened.actor,
        )  # fmt: skip
    if as_json:
        print_json("audit_export", exported)
        return
    say(f"{exported.events:,} events written to {to}" + (f", {exported.first_seq} to {exported.last_seq}" if exported.events else ""))
    note(f"next, wherever it is kept: pay-ready audit verify --file {to}")


@app.command()
def verify(
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", help="The trail in the database.", envvar="PAY_READY_TENANT")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="An export; needs no database. With -t: is its end still there?")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute every hash anew, in the database or of an export. Exit code 7 at an event that is changed, missing or out of order.

    Example: pay-ready audit verify --file acme-audit.jsonl
    """
    if tenant is None and file is None:
        raise UsageError("verify what?", "say --tenant NAME for the database, --file FILE for an export, or both")
    if file is not None:
        _verify_file(file, tenant, as_json=as_json)
    elif tenant is not None:
        _verify_database(tenant, as_json=as_json)


def _verify_database(tenant: str, *, as_json: bool) -> None:
    from pay_ready.pipeline.audit import verify_database

    with opened_app() as opened:
        found = verify_database(opened.database, _tenant_id(opened, tenant), most=5)
    if as_json:
        print_json("audit_chain", found)
    elif not found.wrong:
        say(f"{found.checked:,} events of {tenant}: the trail is whole")
    if found.wrong:
        raise CheckFailedError(
            "the audit trail is not what was written", _FAULT_HINT, tenant=tenant, first=found.offenders[0], wrong=found.wrong
        )


def _verify_file(file: Path, tenant: str | None, *, as_json: bool) -> None:
    from pay_ready.pipeline.audit import verify_file

    owner, reading = verify_file(file)
    fault = reading.fault or (_later_fault(tenant, owner, reading) if tenant else None)
    if as_json:
        print_json("audit_file", {"tenant_id": owner, "reading": reading, "is_from_the_start": reading.is_from_the_start, "fault": fault})
    elif fault is None:
        start = "from the first on" if reading.is_from_the_start else f"from event {reading.first_seq} on: what was before is not told here"
        say(f"{reading.events:,} events, {start}: the trail is whole" if reading.events else "no event")
        if tenant:
            say(f"the database still has event {reading.last_seq} as the file has it")
    if fault is not None:
        raise CheckFailedError(
            f"the audit trail is not what was written: {fault.says}", _FAULT_HINT, file=file, seq=fault.seq, fault=fault.fault
        )


def _later_fault(tenant: str, owner: object, reading: "ChainReading") -> "ChainFault | None":
    from pay_ready.pipeline.audit import stands_in_database

    with opened_app() as opened:
        tenant_id = _tenant_id(opened, tenant)
        if owner not in (None, tenant_id):
            raise UsageError("the file is another tenant's", "name its own tenant", tenant=tenant)
        return stands_in_database(opened.database, tenant_id, reading)


def _tenant_id(opened: "App", slug: str) -> "TenantId":
    """Of a tenant that is there, suspended or not: its trail may be read.

    Raises:
        NotFoundError: It was never made.
    """
    from pay_ready.db import tenants

    tenant_id = opened.tenant_id(slug)
    with opened.database.tenant_transaction(tenant_id) as tx:
        if tenants.find(tx) is None:
            raise NotFoundError("no such tenant", "see them all: pay-ready tenants list", tenant=slug)
    return tenant_id


def _moment(text: str | None) -> "datetime | None":
    from datetime import UTC, datetime

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("not a day or time", "write it like 2026-03-01 or 2026-03-01T10:00", given=text) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _short(digest: bytes | None) -> str:
    return "" if digest is None else digest.hex()[:_SHOWN]
