"""`pay-ready mart`: what BI tools read, listed, described to dbt, and exported."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say, write
from pay_ready.cli.progress import shown_progress

app = typer.Typer(
    no_args_is_help=True,
    help="Documented views for BI tools (schema pay_ready_mart): people, companies, interactions, account_health. They hold nothing of "
    "their own; the role pay_ready_readonly_bi reads them under row security.\n\n"
    "Example: pay-ready mart list -t acme",
    rich_markup_mode=None,
)
_VIEWS = "people, companies, interactions, account_health"


@app.command("list")
def list_views(
    tenant: TenantOption,
    columns: Annotated[bool, typer.Option("--columns", help="Show every column with its class and meaning.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The views, how many rows the tenant has in each, and when the youngest was loaded.

    Example: pay-ready mart list --tenant acme --columns
    """
    from pay_ready.db import mart

    with opened_app() as opened, opened.database.tenant_transaction(opened.tenant(tenant).tenant_id) as tx:
        views, found = mart.views_in(tx), {each.view: each for each in mart.standing(tx)}
    if as_json:
        print_json("mart", {"views": views, "standing": list(found.values())})
        return
    rows = ((each.name, found[each.name].row_count, found[each.name].loaded_at, len(each.columns), each.meaning) for each in views)
    print_table(("view", "rows", "loaded at", "columns", "meaning"), rows)
    if columns:
        told = ((each.name, column.name, column.type, column.data_class, column.meaning) for each in views for column in each.columns)
        print_table(("view", "column", "type", "class", "meaning"), told)


@app.command("dbt")
def dbt(
    warn_hours: Annotated[int, typer.Option(min=1, help="dbt warns of a view whose youngest row is older.")] = 24,
    error_hours: Annotated[int, typer.Option(min=1, help="dbt fails on a view whose youngest row is older.")] = 72,
) -> None:
    """The views as dbt sources with freshness, as YAML: for a file in the models folder of a dbt project (dbt 1.10 or newer).

    Example: pay-ready mart dbt > models/pay_ready_sources.yml
    """
    from pay_ready.db.mart import mart_schema, views
    from pay_ready.pipeline.mart import dbt_sources

    with opened_app(most_connections=1) as opened:
        schema = opened.domain.database_schema
        found = views(opened.urls.app, schema)
    write(dbt_sources(found, mart_schema(schema), warn_hours=warn_hours, error_hours=error_hours))


@app.command("export")
def export(
    tenant: TenantOption,
    to: Annotated[Path, typer.Option("--to", help="Folder to be made; it must be absent or empty.")],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="VIEW", help=f"Of {_VIEWS}; repeat for more.")] = None,
    mask: Annotated[
        Literal["none", "contacts", "all"] | None,
        typer.Option(help="Personal columns that stay out: none, contacts (all but names and titles) or all; default: agent.mask_policy."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the views to Parquet files of one moment, with a manifest (rows, sha256, columns, run). The folder is whole or absent.

    Example: pay-ready mart export -t acme --to exports/2026-11-30 --mask contacts
    """
    from pay_ready.pipeline.mart import export_mart

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        found = opened.tenant(tenant)
        policy = mask or opened.settings_of(found).agent.mask_policy
        target = to.expanduser().absolute()
        report = export_mart(
            opened.database, found.tenant_id, tenant, target, only=only or (), mask_policy=policy, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json("mart_export", {"folder": target, "export": report, "rows": report.rows})
        return
    shown = ((each.view, each.file, each.rows, each.size_bytes, ", ".join(each.left_out)) for each in report.files)
    print_table(("view", "file", "rows", "bytes", "left out"), shown)
    say(f"{report.rows:,} rows of version {report.version.run_no or 'none'}: {target}")
    if policy == "none":
        note("personal columns are in it: whoever is erased later is still in these files, and they are yours to delete")
