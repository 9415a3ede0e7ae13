"""`pay-ready tenants`."""

from typing import Annotated

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.errors import UsageError

app = typer.Typer(help="Tenants: the companies whose customer data is kept here.", no_args_is_help=True, rich_markup_mode=None)
SlugArgument = Annotated[str, typer.Argument(help="Name: lower-case letters, digits and -.")]


@app.command()
def create(
    slug: SlugArgument,
    name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a tenant. Example: pay-ready tenants create acme --name "Acme Robotics" """
    import re

    from pay_ready.db import tenants

    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", slug):
        raise UsageError("not a tenant's name", "use lower-case letters, digits and - (at most 63)", tenant=slug)
    with opened_app() as opened:
        with opened.database.tenant_transaction(opened.tenant_id(slug)) as tx:
            tenants.create(tx, slug=slug, name=name or slug, settings={"schema_version": 1}, actor=opened.actor)
        if as_json:
            print_json("tenant", {"tenant_id": opened.tenant_id(slug), "slug": slug, "status": "active"})
        else:
            say(f"tenant {slug} made - next: pay-ready sources add --tenant {slug} --help")


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List all tenants (needs the administrator's URL)."""
    from pay_ready.db.admin import list_tenants

    with opened_app() as opened:
        found = list_tenants(opened.admin_url, opened.domain.database_schema)
    if as_json:
        print_json("tenants", found)
    else:
        print_table(("tenant", "name", "status", "since"), ((each.slug, each.name, each.status, each.created_at) for each in found))


@app.command()
def show(slug: SlugArgument, as_json: JsonOption = False) -> None:
    """Show a tenant: settings, sources, how much there is."""
    from pay_ready.db import entities, sources, tenants
    from pay_ready.errors import NotFoundError

    with opened_app() as opened, opened.database.tenant_transaction(opened.tenant_id(slug)) as tx:
        tenant = tenants.find(tx)
        if tenant is None:
            raise NotFoundError("no such tenant", "see them all: pay-ready tenants list", tenant=slug)
        counts, feeds = entities.counts(tx), sources.list_all(tx)
        summary = entities.cached_metric(tx, f"{opened.domain.cache_prefix}:published")
    if as_json:
        listed = [{"name": each.name, "kind": each.kind, "ingest_mode": each.ingest_mode, "status": each.status} for each in feeds]
        print_json("tenant", {"tenant": tenant, "counts": counts, "sources": listed, "last_publish": summary})
        return
    say(f"{tenant.name} ({tenant.slug}), {tenant.status} - seen by the {opened.domain.persona}")
    own = {key: value for key, value in tenant.settings.items() if key != "schema_version" and value}
    say(f"settings, version {tenant.settings_version}: {own or 'the shipped defaults'}")
    print_table(("people", "companies", "person records", "company records", "interactions", "in quarantine", "published run"), [(
        counts.people, counts.companies, counts.person_records, counts.company_records, counts.interactions, counts.quarantined,
        counts.run_no,
    )])  # fmt: skip
    print_table(("source", "kind", "how", "status"), ((each.name, each.kind, each.ingest_mode, each.status) for each in feeds))


@app.command()
def settings(
    slug: SlugArgument,
    assign: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeat for more.")] = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", help="section.key back to the default.")] = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show or change a tenant's settings. Example: pay-ready tenants settings acme --set staging.phone_region=DE"""
    from pay_ready.db import tenants

    with opened_app() as opened:
        tenant = opened.tenant(slug)
        if assign or unset:
            changed = _changed(dict(tenant.settings), assign or [], unset or [])
            opened.settings.for_tenant(changed)  # refused before it is kept
            with opened.database.tenant_transaction(tenant.tenant_id) as tx:
                tenants.change_settings(tx, changed, actor=opened.actor, reason=reason)
            tenant = opened.tenant(slug)
        effective = opened.settings_of(tenant)
    shown = ("entity_resolution", "etl", "staging", "checkpoints", "retention", "review", "watch")
    sections = {name: getattr(effective, name).model_dump() for name in shown}
    if as_json:
        print_json("settings", {"version": tenant.settings_version, "own": tenant.settings, "effective": sections})
        return
    rows = ((f"{section}.{key}", value, "own" if key in tenant.settings.get(section, {}) else "default")
            for section, keys in sections.items() for key, value in keys.items())  # fmt: skip
    print_table(("setting", "value", "from"), rows, title=f"{slug}, version {tenant.settings_version}")


@app.command()
def suspend(
    slug: SlugArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Wake it again.")] = False,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Suspend a tenant: every step refuses it, nothing is deleted."""
    from pay_ready.db import tenants
    from pay_ready.errors import NotFoundError

    with opened_app() as opened, opened.database.tenant_transaction(opened.tenant_id(slug)) as tx:
        if tenants.find(tx) is None:
            raise NotFoundError("no such tenant", "see them all: pay-ready tenants list", tenant=slug)
        changed = tenants.set_suspended(tx, not undo, actor=opened.actor, reason=reason)
    state = "active" if undo else "suspended"
    if as_json:
        print_json("tenant", {"slug": slug, "status": state, "changed": changed})
    else:
        say(f"tenant {slug} is {'now' if changed else 'already'} {state}")


def _changed(own: dict[str, object], assign: list[str], unset: list[str]) -> dict[str, object]:
    import tomllib

    result: dict[str, dict[str, object]] = {key: dict(value) for key, value in own.items() if isinstance(value, dict)}
    for text in assign:
        name, equals, value = text.partition("=")
        section, dot, key = name.partition(".")
        if not (equals and dot):
            raise UsageError("not section.key=value", "for example: --set etl.max_retries=5", given=text)
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        result.setdefault(section, {})[key] = parsed
    for name in unset:
        section, _, key = name.partition(".")
        if result.get(section, {}).pop(key, None) is None:
            raise UsageError("this tenant has no setting of its own there", "see them: pay-ready tenants settings NAME", key=name)
    return {"schema_version": 1, **result}
