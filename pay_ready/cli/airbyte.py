"""`pay-ready airbyte`: what an Airbyte has, and the jobs of a source's connection."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.cli.sources import read_json_file
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.pipeline.airbyte.source import PlatformSource
    from pay_ready.pipeline.work import TenantWork

app = typer.Typer(
    help="The Airbyte that extracts a source: its connections and jobs. `run etl` triggers and watches the job by itself.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
SourceArgument = Annotated[str, typer.Argument(help="Name of the source within the tenant.")]


@app.command()
def connections(
    file: Annotated[Path, typer.Argument(help='JSON file: {"api_url", "client_id", "client_secret"}; without api_url it is Cloud.')],
    as_json: JsonOption = False,
) -> None:
    """List the connections that these credentials may see, with the id that `sources add --airbyte` wants.

    Example: pay-ready airbyte connections airbyte.json
    """
    from pay_ready.pipeline.airbyte.catalog import list_connections

    found = list_connections(read_json_file(file))
    if as_json:
        print_json("connections", found)
    else:
        rows = ((each.connection_id, each.name, each.workspace, each.status, each.schedule, len(each.streams)) for each in found)
        print_table(("connection", "name", "workspace", "status", "schedule", "streams"), rows)


@app.command()
def jobs(
    tenant: TenantOption,
    source: SourceArgument,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest so many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs of a source's connection, as Airbyte tells of them. Example: pay-ready airbyte jobs crm -t acme"""
    from pay_ready.pipeline.airbyte.catalog import list_jobs

    with opened_app() as opened:
        work, platform = _opened(opened, tenant, source)
        found = list_jobs(work.database, work.tenant, platform, limit)
    if as_json:
        print_json("jobs", found)
    else:
        rows = ((each.job_id, each.job_type, each.status, each.started, each.rows, "yes" if each.is_ours else "") for each in found)
        print_table(("job", "type", "status", "started", "rows", "ours"), rows)


@app.command()
def cancel(
    tenant: TenantOption,
    source: SourceArgument,
    job: Annotated[int, typer.Argument(help="Number of the job.")],
    as_json: JsonOption = False,
) -> None:
    """Cancel a job that pay-ready started; others are left alone (exit 5). Example: pay-ready airbyte cancel crm 4711 -t acme"""
    from pay_ready.pipeline.airbyte.catalog import cancel_job

    with opened_app() as opened:
        work, platform = _opened(opened, tenant, source)
        cancelled = cancel_job(work.database, work.tenant, platform, job, actor=work.actor)
    if as_json:
        print_json("job", cancelled)
    else:
        say(f"job {job} is {cancelled.status} - the next run finds it so")


@app.command()
def reset(
    tenant: TenantOption,
    source: SourceArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: Airbyte empties the connection's tables and forgets its state.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Have Airbyte reset the connection: its tables are emptied, the next sync brings everything again. What is landed here stays.

    Example: pay-ready airbyte reset crm -t acme --yes
    """
    from dataclasses import replace

    from pay_ready.pipeline.airbyte.source import run_platform_job

    if not yes:
        raise UsageError("a reset empties the connection's tables in the destination", "add --yes to do it", source=source)
    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work, platform = _opened(opened, tenant, source)
        options = work.platform()
        options = replace(options, job=replace(options.job, job_type="reset"))
        _, findings = run_platform_job(work.database, work.tenant, platform, options, progress)
    if as_json:
        print_json("job", findings.job)
    elif findings.job is not None:
        say(f"job {findings.job.job_id}: {findings.job.outcome} - next: pay-ready run etl --tenant {tenant}")


def _opened(opened: "App", tenant: str, source: str) -> "tuple[TenantWork, PlatformSource]":
    from pay_ready.pipeline.airbyte.catalog import stored_platform

    work = opened.work(tenant)
    return work, stored_platform(work.database, work.tenant, source, opened.mapping, work.keyring)
