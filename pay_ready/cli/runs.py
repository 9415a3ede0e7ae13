"""`pay-ready runs`: what ran, how it went, and what to do about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.cli.run_report import held_line, job_line, plain_report, print_syncs, steps_line, volume_cells
from pay_ready.errors import UsageError
from pay_ready.model.rows import ROW_EQUATIONS

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.run_stats import FlowFigures
    from pay_ready.db.runs import Run, RunFilter
    from pay_ready.pipeline.run_stats import RunStats
    from pay_ready.pipeline.runs import Aborted, RunDetail

app = typer.Typer(
    help="Runs that brought records in: list them, show one whole, take one up again, end one.", no_args_is_help=True, rich_markup_mode=None
)
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id, or its beginning, as `runs list` prints it.")]
WatermarksOption = Annotated[bool, typer.Option("--watermarks", help="Also show watermarks that are texts: they may be about people.")]
ShrinkOption = Annotated[bool, typer.Option("--accept-shrink", help="Believe a refresh that drops much of a stream.")]
_FIGURES = (
    "emitted", "landed", "unchanged", "superseded", "deleted", "quarantined", "suppressed", "staged", "unmapped", "refused", "waiting",
    "tombstoned", "flagged",
)  # fmt: skip
_VOLUME = ("stream", "records", "volume", "usually", "least", "most", "of runs", "watermark before", "after")
_LONGEST_WHY = 60
_MOST_SPARKS = 40


@app.command("list")
def list_all(
    tenant: TenantOption,
    source: Annotated[str | None, typer.Option("--source", "-s", help="Only this source.")] = None,
    status: Annotated[str | None, typer.Option(help="running, complete, partial, failed or aborted.")] = None,
    since: Annotated[str | None, typer.Option(help="Only runs that began then or later, for example 2026-01-31.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Newest so many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first. Example: pay-ready runs list -t acme --status failed --since 2026-11-01"""
    from pay_ready.pipeline.runs import list_runs

    with opened_app() as opened:
        tenant_id = opened.tenant(tenant).tenant_id
        found = list_runs(opened.database, tenant_id, _filter(opened, tenant, source, status, since), most=limit)
    if as_json:
        print_json("runs", found)
        return
    columns = ("run", "source", "how", "status", "began (UTC)", "seconds", "emitted", "landed", "quarantined", "why")
    print_table(columns, map(_row, found))
    if found:
        note(f"next: pay-ready runs show {found[0].run_id} --tenant {tenant}")


@app.command()
def show(tenant: TenantOption, run: RunArgument, watermarks: WatermarksOption = False, as_json: JsonOption = False) -> None:
    """Show a run whole: what became of its records, volumes, schema changes, times, notes, quarantine.

    Example: pay-ready runs show 019ab3 -t acme
    """
    from pay_ready.pipeline.runs import show_run

    with opened_app() as opened:
        detail = show_run(opened.database, opened.tenant(tenant).tenant_id, run, show_text=watermarks)
    if as_json:
        print_json("run", detail)
    else:
        print_run(detail, tenant)


@app.command()
def retry(
    tenant: TenantOption,
    run: RunArgument,
    force: Annotated[bool, typer.Option("--force", help="Also after a run that is complete.")] = False,
    accept_shrink: ShrinkOption = False,
    watermarks: WatermarksOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sync the source of a run again; it goes on from what is committed. Example: pay-ready runs retry 019ab3 -t acme"""
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.bring_in import sync_step
    from pay_ready.pipeline.runs import require_retryable

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant, accept_shrink=accept_shrink)
        with work.database.tenant_transaction(work.tenant) as tx:
            retried = require_retryable(tx, run, tenant, force=force)
        report = sync_step(work, retried.source, RunId(new_id()), progress=progress)
    if as_json:
        print_json("retry", {"retried": retried.run_id, "sync": plain_report(report, show_text=watermarks)})
    else:
        print_syncs([report], show_text=watermarks)
        note(f"next, to stage and publish: pay-ready run etl --tenant {tenant}")
    report.raise_for_failure()


@app.command()
def abort(tenant: TenantOption, run: RunArgument, reason: ReasonOption = None, as_json: JsonOption = False) -> None:
    """End a running run: whatever its process still sends is refused; what is committed stays.

    Example: pay-ready runs abort 019ab3 -t acme --reason "stuck since noon"
    """
    from pay_ready.pipeline.runs import abort_run

    with opened_app() as opened:
        ended = abort_run(opened.database, opened.tenant(tenant).tenant_id, run, actor=opened.actor, reason=reason)
    if as_json:
        print_json("aborted", ended)
        return
    say(f"run {ended.run_id} of {ended.source} is aborted: its lease is taken away, late writes are refused")
    say(_process_line(ended))
    note(f"next: pay-ready runs retry {ended.run_id} --tenant {tenant}")


@app.command()
def stats(
    tenant: TenantOption,
    days: Annotated[float, typer.Option(min=0.01, max=3_660, help="How far back.")] = 30,
    slowest: Annotated[int, typer.Option(min=0, max=1_000, help="Steps to name that took longest.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """How often each flow and step ran, how it ended, how long it took; what failed; each day. Example: pay-ready runs stats -t acme"""
    from pay_ready.pipeline.run_stats import stats_of

    with opened_app() as opened:
        found = stats_of(opened.database, opened.tenant(tenant).tenant_id, days, slowest=slowest)
    if as_json:
        print_json("run_stats", found)
    else:
        print_stats(found, tenant)


@app.command()
def trend(
    tenant: TenantOption,
    metric: Annotated[str | None, typer.Option(help="Only this figure, for example entities.person, quarantine.open, stream.rows.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=3_660, help="How far back.")] = 90,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Newest so many points.")] = 10_000,
    as_json: JsonOption = False,
) -> None:
    """What stood at the end of each run: entities, records, quarantine, queues. Example: pay-ready runs trend -t acme"""
    from pay_ready.pipeline.run_stats import trend_of

    with opened_app() as opened:
        points = trend_of(opened.database, opened.tenant(tenant).tenant_id, metric, days, limit)
    if as_json:
        print_json("run_trend", points)
        return
    series: dict[tuple[str, str], list[float]] = {}
    for point in reversed(points):
        series.setdefault((point.metric_name, point.subject_id), []).append(point.metric_value)
    rows = [(name, subject, len(each), int(each[0]), int(each[-1]), _sparks(each)) for (name, subject), each in sorted(series.items())]
    print_table(("figure", "of", "runs", "first", "now", "trend"), rows)


def print_stats(found: "RunStats", tenant: str) -> None:
    """Flows, steps, days, slow steps and errors as tables."""
    heads = ("runs", "success", "partial", "failed", "p50 s", "p95 s", "p99 s")
    title = f"{tenant}, {found.since:%Y-%m-%d %H:%M} to {found.until:%Y-%m-%d %H:%M} UTC"
    print_table(("flow", *heads), ((each.flow, *_figures_of(each)) for each in found.flows), title=title)
    print_table(("flow", "step", *heads, "rows"), ((each.flow, each.step, *_figures_of(each), each.row_count) for each in found.steps))
    print_table(("day", "flow", *heads), ((each.day, each.flow, *_figures_of(each)) for each in found.days))
    if found.slowest:
        columns = ("slowest step", "of", "run", "began (UTC)", "status", "rows", "seconds")
        print_table(
            columns,
            ((each.step, each.subject, each.run_id, each.started_at, each.status, each.row_count, each.seconds) for each in found.slowest),
        )
    if found.errors:
        rows = ((each.error_class, each.step, each.times, each.runs, each.last_at) for each in found.errors)
        print_table(("error", "step", "times", "runs", "last (UTC)"), rows)
        note(f"next: pay-ready runs list --tenant {tenant} --status failed")


def _figures_of(each: "FlowFigures") -> Sequence[object]:
    of = each.figures
    success = None if of.success_rate is None else f"{100 * of.success_rate:.1f} %"
    return (of.runs, success, of.partial or None, of.failed or None, of.p50, of.p95, of.p99)


def _sparks(values: Sequence[float]) -> str:
    """The last values as blocks, from the least to the most of them."""
    from pay_ready.agent.chart import sparkline

    last = values[-_MOST_SPARKS:]
    low, high = min(last), max(last)
    return sparkline(last, low, high if high > low else low + 1)


def print_run(detail: "RunDetail", tenant: str) -> None:
    """A run as tables and lines."""
    run, report = detail.run, detail.report
    attempts = f", {report.attempts} attempts" if report and report.attempts != 1 else ""
    ended = f" to {run.finished_at:%Y-%m-%d %H:%M:%S}" if run.finished_at else ""
    say(f"run {run.run_id} of {run.source}: {_status(run)}, {run.ingest_mode}{attempts}, {run.started_at:%Y-%m-%d %H:%M:%S}{ended} UTC")
    if run.error_text:
        say(f"{run.error_class}: {run.error_text}")
    for held in report.held if report else ():
        say(f"nothing was published after it: {held_line(held)}")
    if report and report.job:
        say(job_line(report.job))
    holds = all(each.landing_holds and each.staging_holds for each in detail.streams)
    title = f"{ROW_EQUATIONS} + waiting"
    rows = ((each.stream, each.status, *(_figure(getattr(each, _field(name))) for name in _FIGURES)) for each in detail.streams)
    print_table(("stream", "status", *_FIGURES), rows, title=f"{title}: {'both hold' if holds else 'THEY DO NOT HOLD'}")
    print_table(_VOLUME, ((each.stream, each.emitted, *volume_cells(each.volume), each.watermark_before, each.watermark_after)
                          for each in detail.streams))  # fmt: skip
    for stream, lines in [*((each.stream, each.schema_changes) for each in detail.streams), *detail.schema_changes.items()]:
        for line in lines:
            say(f"schema of {stream}: {line}")
    if detail.quarantine:
        columns = ("stream", "step", "reason", "field", "status", "rows")
        print_table(columns, ((each.stream, each.step, each.reason, each.field, each.status, each.row_count) for each in detail.quarantine))
    if report:
        say(f"time: {steps_line(report.seconds, report.seconds_by_step)}")
        for text in (*report.notes, *report.remarks):
            say(text)
    _say_next(detail, tenant)


def _say_next(detail: "RunDetail", tenant: str) -> None:
    run = detail.run
    if run.status == "running":
        note(f"next: wait for its end, or: pay-ready runs abort {run.run_id} --tenant {tenant}")
    elif run.status != "complete":
        note(f"next: pay-ready runs retry {run.run_id} --tenant {tenant}")
    elif detail.quarantine:
        note(f"next: pay-ready quarantine list --tenant {tenant} --source {run.source}")


def _field(figure: str) -> str:
    return "stage_quarantined" if figure == "refused" else figure


def _figure(value: int) -> int | None:
    """Nothing for a zero: in a wide table the zeros hide the rest."""
    return value or None


def _row(run: "Run") -> Sequence[object]:
    return (
        run.run_id, run.source, run.ingest_mode, _status(run), run.started_at, run.seconds, run.emitted, run.landed, run.quarantined,
        _why(run),
    )  # fmt: skip


def _status(run: "Run") -> str:
    return "running (its lease ran out)" if run.status == "running" and not run.is_alive else run.status


def _why(run: "Run") -> str:
    if run.held_streams:
        return "held back: a stream is far smaller"
    what = (run.error_text or "").partition(" - ")[0]
    return what if len(what) <= _LONGEST_WHY else what[:_LONGEST_WHY] + "…"


def _process_line(ended: "Aborted") -> str:
    process = ended.process
    if process is None:
        return "no process held it"
    where = f"process {process.pid} on {process.host}"
    return {
        "alive": f"its {where} is still alive: it stops at its next write; to end it now: kill {process.pid}",
        "gone": f"its {where} is gone",
        "unknown": f"its {where} may still be alive: this host cannot say; it stops at its next write",
    }[ended.process_state]


def _filter(opened: "App", tenant: str, source: str | None, status: str | None, since: str | None) -> "RunFilter":
    from pay_ready.db import sources
    from pay_ready.db.runs import RunFilter, RunState

    choices = get_args(RunState)
    if status is not None and status not in choices:
        raise UsageError("not a status", f"choose one of {', '.join(choices)}", status=status)
    source_id = None
    if source:
        with opened.database.tenant_transaction(opened.tenant_id(tenant)) as tx:
            # Also one that was removed: its runs are still there.
            source_id = (sources.find(tx, source) or sources.require(tx, source)).source_id
    return RunFilter(source_id=source_id, status=cast("RunState | None", status), since=_moment(since))


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("not a day", "write it like 2026-01-31", option="--since", given=text) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
