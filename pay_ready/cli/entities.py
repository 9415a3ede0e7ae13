"""`pay-ready people`, `companies` and `timeline`: what is published."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say, write
from pay_ready.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # the database room is heavy; --help must not load it
    from pay_ready.db.entities import EntityMatch, EntityType, GoldenRecord, SourceRecord, TimelineEntry
    from pay_ready.db.tenancy import TenantTransaction

WantedArgument = Annotated[str, typer.Argument(help="Name, e-mail, phone, domain or id; retired ids lead on.")]
_LONGEST_TITLE = 100  # characters of one timeline line's title
_NOT_EXACTLY = "nobody and nothing by exactly that name"
_EXACT = 100.0  # similarity of what was asked for; below it is a guess


def people(tenant: TenantOption, wanted: WantedArgument, as_json: JsonOption = False) -> None:
    """Show a person: the golden record and the records behind it. Example: pay-ready people "Jane Doe" -t acme"""
    _show(tenant, wanted, "person", as_json)


def companies(tenant: TenantOption, wanted: WantedArgument, as_json: JsonOption = False) -> None:
    """Show a company: the golden record, the records behind it, its people. Example: pay-ready companies acme.example -t acme"""
    _show(tenant, wanted, "company", as_json)


def timeline(
    tenant: TenantOption,
    wanted: WantedArgument,
    since: Annotated[str | None, typer.Option(help="First day (2026-01-31); default: a year back.")] = None,
    until: Annotated[str | None, typer.Option(help="First day after it; default: tomorrow.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; repeat for more.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="Only this type (call, email, message …); repeat for more.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest so many.")] = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Interactions with a person or company over all sources, oldest first; personal values are masked by the tenant's policy.

    Example: pay-ready timeline Acme -t demo --since 2026-01-01
    """
    from pay_ready.agent.masked import masked
    from pay_ready.app_agent import open_masker
    from pay_ready.db import entities, sources
    from pay_ready.model.staged import InteractionType

    if as_csv and as_json:
        raise UsageError("one form at a time", "say --csv or --json")
    _refuse_unknown(kind, get_args(InteractionType), "type")
    now = datetime.now(UTC)
    wanted_part = entities.TimelineFilter(
        since=_day(since, "since", now - timedelta(days=366)), until=_day(until, "until", now + timedelta(days=1)),
        sources=source, types=kind, most=limit,
    )  # fmt: skip
    if wanted_part.until <= wanted_part.since:
        raise UsageError("--until is not after --since", "--since is the first day, --until the first day after the last",
                         since=f"{wanted_part.since:%Y-%m-%d}", until=f"{wanted_part.until:%Y-%m-%d}")  # fmt: skip
    with opened_app() as opened:
        found = opened.tenant(tenant)
        mask = open_masker(opened, tenant)()
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            _refuse_unknown(source, [each.name for each in sources.list_all(tx)], "source")
            golden = one_entity(tx, wanted, None, opened.settings_of(found).staging.phone_region, mask)
            entries = entities.timeline(tx, golden.entity_id, wanted_part)[::-1]
    entries, name = masked(entries, mask), masked(golden.name or "", mask)
    if as_json:
        print_json("timeline", {"entity_id": golden.entity_id, "name": name or None, "since": wanted_part.since,
                                "until": wanted_part.until, "entries": entries})  # fmt: skip
    elif as_csv:
        write_timeline_csv(entries)
    else:
        print_timeline(name or str(golden.entity_id), entries)


def print_timeline(name: str, entries: Sequence["TimelineEntry"]) -> None:
    """The timeline as a table, oldest first."""
    rows = ((each.occurred_at, each.source, each.interaction_type, title_of(each), each.participants) for each in entries)
    print_table(("when (UTC)", "source", "type", "what", "who"), rows, title=f"{name}: {len(entries)} interactions")


def title_of(entry: "TimelineEntry") -> str:
    """One line for an interaction: its subject, else the beginning of what was written or said."""
    text = " ".join((entry.subject or entry.body or entry.first_turn or "").split())
    return text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 1] + "…"


def write_timeline_csv(entries: Sequence["TimelineEntry"]) -> None:
    """CSV for spreadsheets; a cell that would be read as a formula is quoted with an apostrophe."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(("occurred_at", "source", "type", "title", "participants", "interaction_id", "url"))
    for each in entries:
        cells = (each.occurred_at.isoformat(), each.source, each.interaction_type, title_of(each), each.participants or "",
                 str(each.interaction_id), each.url or "")  # fmt: skip
        writer.writerow(f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text for text in cells)
    write(lines.getvalue())


def print_entity(golden: "GoldenRecord", records: Sequence["SourceRecord"]) -> None:
    """The golden record in a line, its records side by side."""
    known = [golden.title, golden.company_name, golden.email, golden.phone, golden.domain]
    say(f"{golden.name or '(no name)'} - {', '.join(filter(None, known)) or 'nothing more known'}")
    say(f"{golden.entity_type} {golden.entity_id}, {golden.record_count} records, as of run {golden.opened_run_no}")
    fields = tuple(records[0].values) if records else ()
    rows = ((each.source, each.stream or "(mentioned)", *each.values.values(), each.confidence) for each in records)
    print_table(("source", "stream", *(field.replace("_", " ") for field in fields), "confidence"), rows)


def _show(tenant: str, wanted: str, entity_type: "EntityType", as_json: bool) -> None:
    from pay_ready.db import entities

    with opened_app() as opened:
        found = opened.tenant(tenant)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            golden = one_entity(tx, wanted, entity_type, opened.settings_of(found).staging.phone_region)
            records = entities.records_of(tx, golden)
            staff = entities.people_of(tx, golden.entity_id) if entity_type == "company" else []
    if as_json:
        print_json(entity_type, {"golden": golden, "records": records, "people": [each._asdict() for each in staff]})
        return
    print_entity(golden, records)
    if staff:
        rows = ((each.name, each.title, each.email, each.interactions) for each in staff)
        print_table(("person", "title", "e-mail", "interactions"), rows)


def one_entity(
    tx: "TenantTransaction", wanted: str, entity_type: "EntityType | None", region: str, mask: Callable[[str], str] = str
) -> "GoldenRecord":  # fmt: skip
    """The one entity that a text means; where several may be meant their names are shown masked.

    Raises:
        NotFoundError: None is meant.
        UsageError: Several are.
    """
    from pay_ready.db import entities

    matches = entities.find_entities(tx, wanted, entity_type, region=region)
    if not matches:
        raise NotFoundError("nobody and nothing by that name", "try another spelling, an e-mail or a domain", tenant=tx.tenant)
    best = matches[0]
    tied = [each for each in matches if each.similarity == best.similarity]
    if len(tied) > 1:
        what = "more than one is meant" if best.similarity == _EXACT else f"{_NOT_EXACTLY}; did you mean one of these"
        raise UsageError(what, f"ask by id:\n{_choices(tied, mask)}", found=len(tied))
    golden = entities.golden_record(tx, best.entity_id)
    if golden is None:
        raise NotFoundError("its records are all gone", "look at the quarantine or the source", entity=best.entity_id)
    if best.similarity < _EXACT:
        # Stated, not hidden: whoever asked for another customer must not take this one for it.
        note(f"{_NOT_EXACTLY}; did you mean {mask(best.name or '')}, as shown? Its likeness is {best.similarity:.0f} of 100")
    return golden


def _refuse_unknown(given: Sequence[str] | None, choices: Sequence[str], option: str) -> None:
    for name in given or ():
        if name not in choices:
            hint = f"choose one of: {', '.join(choices)}" if choices else "there is none yet"
            raise UsageError(f"no such {option}", hint, option=f"--{option}", given=name)


def _choices(matches: Sequence["EntityMatch"], mask: Callable[[str], str]) -> str:
    return "\n".join(
        f"  {each.entity_id}  {each.entity_type}, {each.record_count} records: "
        f"{mask(each.name or '')} {mask(each.email or each.domain or '')}"
        for each in matches
    )


def _day(text: str | None, option: str, default: datetime) -> datetime:
    if text is None:
        return default
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("not a day", "write it like 2026-01-31", option=f"--{option}", given=text) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
