"""`pay-ready quarantine`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import ConfigError, PartialError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.quarantine import QuarantineFilter
    from pay_ready.pipeline.quarantine import Replay, Selection

app = typer.Typer(help="Rows that broke their contract: why, and how to bring them back.", no_args_is_help=True, rich_markup_mode=None)
SourceOption = Annotated[str | None, typer.Option("--source", "-s", help="Only this source.")]
StreamOption = Annotated[str | None, typer.Option(help="Only this stream.")]
ReasonFilter = Annotated[str | None, typer.Option("--reason", help="Only this reason, for example email.invalid.")]
IdsArgument = Annotated[list[str] | None, typer.Argument(help="Ids, as `quarantine list` prints them, or use the options.")]
AllOption = Annotated[bool, typer.Option("--all", help="Everything that is open, when neither ids nor filters are given.")]


@app.command("list")
def list_all(
    tenant: TenantOption,
    source: SourceOption = None,
    stream: StreamOption = None,
    reason: ReasonFilter = None,
    status: Annotated[str, typer.Option(help="open, replayed, superseded, dismissed or any.")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List quarantined rows and their reasons, without what is in them.

    Example: pay-ready quarantine list -t acme --reason email.invalid
    """
    from pay_ready.pipeline.quarantine import group_quarantine, list_quarantine

    with opened_app() as opened:
        tenant_id = opened.tenant(tenant).tenant_id
        wanted = _filter(opened, tenant, source, stream, reason, status)
        groups = group_quarantine(opened.database, tenant_id, wanted)
        records = list_quarantine(opened.database, tenant_id, wanted, most=limit)
    if as_json:
        print_json("quarantine", {"groups": groups, "records": records})
        return
    print_table(
        ("source", "stream", "step", "reason", "field", "rows", "since"),
        ((each.source, each.stream, each.step, each.reason, each.field, each.row_count, each.first_at) for each in groups),
    )
    print_table(
        ("id", "source", "stream", "reason", "field", "status", "bytes", "when"),
        ((each.quarantine_id, each.source, each.stream, each.reason, each.field, each.status, each.size_bytes, each.quarantined_at)
         for each in records),
    )  # fmt: skip
    if records:
        say("next: pay-ready quarantine show ID, then mend it at the source, or: quarantine replay ID --data FILE")


@app.command()
def show(
    tenant: TenantOption,
    record: Annotated[str, typer.Argument(help="Id, as `quarantine list` prints it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the record's bytes, for a file: … --raw > row.json")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one quarantined row with what is in it (audited). Example: pay-ready quarantine show ID -t acme --raw > row.json"""
    from pay_ready.pipeline.contracts import BREACHES
    from pay_ready.pipeline.quarantine import show_quarantined

    with opened_app() as opened:
        shown = show_quarantined(opened.database, opened.tenant(tenant).tenant_id, _id(record), actor=opened.actor)
    if raw:
        sys.stdout.buffer.write(shown.content)
        return
    text = shown.content.decode("utf-8", "replace")
    if as_json:
        print_json("quarantined", {"record": shown.record, "content": text})
        return
    kept = shown.record
    say(f"{kept.source}/{kept.stream}, {kept.status}: {kept.reason} in {kept.field or 'the record as a whole'}, step {kept.step}")
    say(f"{BREACHES.get(kept.reason, 'no row could hold it')}; contract {kept.contract_version}, run {kept.run_id}")
    say(text)


@app.command()
def replay(
    tenant: TenantOption,
    ids: IdsArgument = None,
    source: SourceOption = None,
    stream: StreamOption = None,
    reason: ReasonFilter = None,
    everything: AllOption = False,
    data: Annotated[Path | None, typer.Option(help="JSON file with the corrected record, for one id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take quarantined rows through the pipeline again: as they are (the mapping or a setting was mended), or corrected.

    Example: pay-ready quarantine replay ID -t acme --data row.json
    """
    from pay_ready.pipeline.quarantine import replay_quarantined

    corrected = _read(data) if data else None
    with opened_app() as opened:
        selected = _selection(opened, tenant, ids, source, stream, reason, everything)
        report = replay_quarantined(_replay(opened, tenant), selected, corrected=corrected)
    if as_json:
        print_json("replay", report)
    else:
        say(f"{report.replayed} replayed, {report.still_broken} still broken")
        for failure in report.failures:
            say(f"{failure.source}/{failure.stream}: {failure.records} not replayed: {failure.error}")
        note(f"next: pay-ready run resolve --tenant {tenant}")
    if report.failures:
        left = sum(failure.records for failure in report.failures)
        streams = ", ".join(sorted({f"{failure.source}/{failure.stream}" for failure in report.failures}))
        raise PartialError("some records could not be replayed and stay open", "mend what is said above", records=left, streams=streams)


@app.command()
def dismiss(
    tenant: TenantOption,
    reason_text: Annotated[str, typer.Option("--because", help="Why; kept in the audit.")],
    ids: IdsArgument = None,
    source: SourceOption = None,
    stream: StreamOption = None,
    reason: ReasonFilter = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Close quarantined rows for good; they stay, and are not opened again by the same bytes."""
    from pay_ready.pipeline.quarantine import dismiss_quarantined

    with opened_app() as opened:
        selected = _selection(opened, tenant, ids, source, stream, reason, everything)
        tenant_id = opened.tenant(tenant).tenant_id
        closed = dismiss_quarantined(opened.database, tenant_id, selected, actor=opened.actor, reason=reason_text)
    if as_json:
        print_json("dismissed", {"closed": closed})
    else:
        say(f"{closed} dismissed")


def _replay(opened: "App", tenant: str) -> "Replay":
    from pay_ready.pipeline.quarantine import Replay

    work = opened.work(tenant)
    return Replay(
        database=opened.database,
        tenant=work.tenant,
        mapping_of=opened.mapping,
        context=work.context,
        actor=opened.actor,
        keyring=work.keyring,
    )


def _selection(
    opened: "App", tenant: str, ids: list[str] | None, source: str | None, stream: str | None, reason: str | None, everything: bool
) -> "Selection":
    filtered = bool(source or stream or reason)
    if ids and filtered:
        raise UsageError("either ids or filters", "name ids, or --source, --stream, --reason")
    if ids:
        return [_id(each) for each in ids]
    if not filtered and not everything:
        raise UsageError("which rows?", "name ids, filter by --source, --stream or --reason, or say --all")
    return _filter(opened, tenant, source, stream, reason, "open")


def _filter(opened: "App", tenant: str, source: str | None, stream: str | None, reason: str | None, status: str) -> "QuarantineFilter":
    from typing import cast

    from pay_ready.db import sources
    from pay_ready.db.quarantine import QuarantineFilter, Status

    choices = ("open", "replayed", "superseded", "dismissed", "any")
    if status not in choices:
        raise UsageError("not a status", f"choose one of {', '.join(choices)}", status=status)
    source_id = None
    if source:
        with opened.database.tenant_transaction(opened.tenant_id(tenant)) as tx:
            source_id = sources.require(tx, source).source_id
    wanted = None if status == "any" else cast("Status", status)
    return QuarantineFilter(source_id=source_id, stream=stream, reason=reason, status=wanted)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError("not an id", "copy one from: pay-ready quarantine list", given=text) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError("cannot read the file", type(error).__name__, file=path) from None
