"""`pay-ready decide`: whom a record would belong to, before it is there."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, say
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load it
    from pay_ready.pipeline.decide import Decision


def decide(
    tenant: TenantOption,
    entity: Annotated[Literal["person", "company"], typer.Option(help="What the record is about.")] = "person",
    name: Annotated[str | None, typer.Option(help="Full name of the person, or the company's.")] = None,
    email: Annotated[str | None, typer.Option()] = None,
    phone: Annotated[str | None, typer.Option(help="With its country code.")] = None,
    title: Annotated[str | None, typer.Option(help="Job title.")] = None,
    city: Annotated[str | None, typer.Option()] = None,
    company: Annotated[str | None, typer.Option(help="The person's employer.")] = None,
    domain: Annotated[str | None, typer.Option(help="The company's, or the employer's.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Whom a record would belong to if it came now; nothing is written, and the values are neither stored nor logged.

    Example: pay-ready decide --tenant acme --name "Jane Doe" --email jane@acme.example
    Example: pay-ready decide --tenant acme --entity company --name "Acme Inc" --domain acme.example
    """
    if entity == "person":
        values = {
            "full_name": name, "email": email.strip().lower() if email else None, "phone": phone, "title": title, "city": city,
            "company_name": company, "company_domain": domain,
        }  # fmt: skip
    else:
        values = {"name": name, "domain": domain, "phone": phone, "city": city}
        if wrong := next((option for option, value in (("--email", email), ("--title", title), ("--company", company)) if value), None):
            raise UsageError("a company is not recognised by that", "give --name, --domain, --phone, --city", option=wrong)
    if not any(values.values()):
        raise UsageError("nothing to decide by", "give a --name, an --email, …", entity=entity)
    from pay_ready.db import resolution as db_resolution
    from pay_ready.pipeline.decide import Decider

    with opened_app() as opened:
        work = opened.work(tenant)
        found = Decider(work.database, work.tenant, work.resolution).resolve_one(entity, values)
        if as_json:
            print_json("decision", found)
            return
        with work.database.tenant_transaction(work.tenant) as tx:
            labels = db_resolution.golden_names(tx, {each for each in (found.entity_id, *found.merges) if each})
    _print(found, {str(each): label for each, label in labels.items()})


def _print(found: "Decision", labels: dict[str, str]) -> None:
    compared = f"compared with {found.compared:,} records of run {found.run_no}"
    if found.entity_id is None and not found.records:
        say(f"nobody known: it would be new ({compared})")
        return
    whom = "a new one" if found.entity_id is None else f"{labels.get(str(found.entity_id), '')} {found.entity_id}"
    say(f"it would belong to {whom} with probability {found.confidence:.4f} ({compared})")
    for each in found.merges:
        say(f"and bring it together with {labels.get(str(each), '')} {each}")
