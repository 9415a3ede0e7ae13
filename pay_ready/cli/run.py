"""`pay-ready run`: the pipeline, or one step of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.analyse import print_analyse, print_warm
from pay_ready.cli.memory import print_index
from pay_ready.cli.options import JsonOption, ShrinkOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.profiling import ProfileOption, profiled
from pay_ready.cli.progress import shown_progress
from pay_ready.cli.quality import print_quality
from pay_ready.cli.resolve import print_resolve, resolve
from pay_ready.cli.run_report import plain_report, print_syncs, say_run, unusual_volumes
from pay_ready.cli.run_tenants import run_tenants
from pay_ready.model.rows import ROW_EQUATIONS, ROW_HEADINGS

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.pipeline.bring_in import SourceOutcome
    from pay_ready.pipeline.etl import EtlReport

app = typer.Typer(
    help="The pipeline, or one step of it. Every step may be repeated: what is there is not done again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("resolve")(resolve)
app.command("tenants")(run_tenants)
SourcesOption = Annotated[list[str] | None, typer.Option("--source", "-s", help="Only this source; repeat for more.")]
CancelOption = Annotated[
    bool, typer.Option("--cancel-on-timeout", help="Cancel an Airbyte job of ours that passes etl.sync_timeout_minutes; else it goes on.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", metavar="SECONDS", min=0, help="Wait so long while another run is at work; without it: exit 75 at once.")
]
WatermarksOption = Annotated[bool, typer.Option("--watermarks", help="Also show watermarks that are texts: they may be about people.")]


@app.command()
def etl(
    tenant: TenantOption,
    source: SourcesOption = None,
    accept_shrink: ShrinkOption = False,
    cancel_on_timeout: CancelOption = False,
    wait: WaitOption = 0.0,
    watermarks: WatermarksOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sync, stage, resolve, publish, index. Exit 7 when a stream is far smaller than it was: then nothing is published.

    Example: pay-ready run etl --tenant acme --wait 600
    """
    from pay_ready.pipeline.etl import run_etl

    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant, accept_shrink=accept_shrink, cancel_on_timeout=cancel_on_timeout, wait_s=wait)
        report = run_etl(work, source or (), progress=progress)
        _tell_operators(opened, tenant)
    if as_json:
        print_json("etl", plain_report(report, show_text=watermarks))
    else:
        print_etl(report)
    report.raise_for_failure()


@app.command()
def sync(
    tenant: TenantOption,
    source: SourcesOption = None,
    accept_shrink: ShrinkOption = False,
    cancel_on_timeout: CancelOption = False,
    wait: WaitOption = 0.0,
    watermarks: WatermarksOption = False,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring records in, without staging them. Example: pay-ready run sync --tenant acme --source hubspot"""
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline import bring_in

    run_id = RunId(new_id())
    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant, accept_shrink=accept_shrink, cancel_on_timeout=cancel_on_timeout, wait_s=wait)
        reports = [bring_in.sync_step(work, name, run_id, progress=progress) for name in bring_in.source_names(work, source or ())]
    if as_json:
        print_json("syncs", plain_report(reports, show_text=watermarks))
    else:
        print_syncs(reports, show_text=watermarks)
    for report in reports:
        report.raise_for_failure()


@app.command()
def stage(tenant: TenantOption, source: SourcesOption = None, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Stage what is landed: typed rows, or quarantine. Example: pay-ready run stage --tenant acme"""
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline import bring_in

    run_id = RunId(new_id())
    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        names = bring_in.source_names(work, source or ())
        reports = [(name, bring_in.stage_step(work, name, run_id, progress=progress)) for name in names]
    if as_json:
        print_json("stages", [{"source": name, "report": report} for name, report in reports])
        return
    rows = (
        (name, each.stream, each.staged, each.unmapped, each.quarantined, each.removed, each.restaged)
        for name, report in reports
        for each in report.streams
    )
    print_table(("source", "stream", "staged", "unmapped", "quarantined", "removed", "restaged"), rows)


def _tell_operators(opened: "App", tenant: str) -> None:
    """Look at the alerts at the end of a run; what keeps that from being done is no failure of the run."""
    if error := opened.tell_operators(tenant):
        note(f"alerts were not looked at: {error}")


def print_etl(report: "EtlReport") -> None:
    """What came in, what became of it, who is who."""
    print_table(
        ("source", *ROW_HEADINGS, "seconds"),
        (_source_row(outcome) for outcome in report.sources),
        title=f"{report.tenant} ({ROW_EQUATIONS})",
    )
    for outcome in report.sources:
        if outcome.error is not None:
            say(f"{outcome.source}: {outcome.error}")
        if outcome.sync:
            for line in unusual_volumes(outcome.sync):
                say(line)
            say_run(outcome.sync, said=str(outcome.error))
    print_quality(report.quality)
    if report.resolve is not None:
        print_resolve(report.resolve)
    print_quality(report.entities)
    if report.index is not None:
        print_index(report.index)
    if report.analyse is not None:
        print_analyse(report.analyse, report.tenant)
    if report.caches is not None and report.caches.answers:
        print_warm(report.caches)
    if report.index_error is not None:
        say(f"published; memory or insight is behind: {report.index_error}")
    if report.held is not None:
        say(f"held back: {report.held}")
    if report.on_hold is not None:
        say(f"landed and staged, not resolved: {report.on_hold}")
    say(f"run {report.run_id}: {report.status}, {report.seconds:.1f} s")


def _source_row(outcome: "SourceOutcome") -> Sequence[object]:
    seconds = (outcome.sync.seconds if outcome.sync else 0) + (outcome.stage.elapsed_s if outcome.stage else 0)
    return (outcome.source, *outcome.rows.values(), seconds)
