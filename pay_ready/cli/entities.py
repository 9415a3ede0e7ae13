"""`pay-ready people` and `companies`: what is published."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # the database room is heavy; --help must not load it
    from pay_ready.db.entities import EntityMatch, EntityType, GoldenRecord, SourceRecord
    from pay_ready.db.tenancy import TenantTransaction

WantedArgument = Annotated[str, typer.Argument(help="Name, e-mail, phone, domain or id; retired ids lead on.")]
_NOT_EXACTLY = "nobody and nothing by exactly that name"
_EXACT = 100.0  # similarity of what was asked for; below it is a guess


def people(tenant: TenantOption, wanted: WantedArgument, as_json: JsonOption = False) -> None:
    """Show a person: the golden record and the records behind it. Example: pay-ready people "Jane Doe" -t acme"""
    _show(tenant, wanted, "person", as_json)


def companies(tenant: TenantOption, wanted: WantedArgument, as_json: JsonOption = False) -> None:
    """Show a company: the golden record, the records behind it, its people. Example: pay-ready companies acme.example -t acme"""
    _show(tenant, wanted, "company", as_json)


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


def _choices(matches: Sequence["EntityMatch"], mask: Callable[[str], str]) -> str:
    return "\n".join(
        f"  {each.entity_id}  {each.entity_type}, {each.record_count} records: "
        f"{mask(each.name or '')} {mask(each.email or each.domain or '')}"
        for each in matches
    )
