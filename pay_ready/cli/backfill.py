"""`pay-ready backfill`: a range of a source's history, chunk by chunk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError
from pay_ready.model.rows import ROW_EQUATIONS, ROW_FIGURES, ROW_HEADINGS

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.db.backfills import Chunk
    from pay_ready.model.backfill import Reprocess
    from pay_ready.model.ids import PlanId
    from pay_ready.pipeline.backfill.plan import BackfillPlan, BackfillSource
    from pay_ready.pipeline.backfill.report import BackfillReport
    from pay_ready.pipeline.backfill.request import BackfillRequest
    from pay_ready.pipeline.work import TenantWork

_FIGURES = (*ROW_FIGURES, "skipped")
_HEADINGS = ("from", "to", "status", *ROW_HEADINGS, "skipped", "there before", "seconds")
_SHOWN_CHUNKS = 400  # of a plan with more, the first and the last


SourceOption = Annotated[list[str], typer.Option("--source", "-s", help="The source; repeat for more.")]
FromOption = Annotated[str, typer.Option("--from", help="First moment wanted (UTC): 2026-01-31 or 2026-01-31T12:00.")]
ToOption = Annotated[str, typer.Option("--to", help="First moment no longer wanted.")]
StreamOption = Annotated[list[str] | None, typer.Option(help="Only this stream; repeat for more.")]
ChunkOption = Annotated[str, typer.Option(help="Length of a chunk: 12h, 1d, 7d, 1mo.")]
ByOption = Annotated[str, typer.Option(help="Date records by their stream's cursor, or (Airbyte's destination) by when extracted.")]
AgainOption = Annotated[bool, typer.Option("--again", help="Plan anew, whatever is complete or under way: --reprocess completed.")]
ReprocessOption = Annotated[
    str,
    typer.Option(help="none: leave chunks alone that failed; failed: try them again; completed: all of them, in a plan of their own."),
]
ActiveOption = Annotated[
    int, typer.Option("--max-active", min=1, max=64, help="Chunks read at once, of all sources; of a connector one (config/backfill.toml).")
]
BackwardsOption = Annotated[bool, typer.Option("--run-backwards", help="The latest chunk first.")]
GoingOption = Annotated[bool, typer.Option("--keep-going", help="After a chunk that fails go on with the others.")]
PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="The plan, as pay-ready backfill list prints it.", show_default=False)]


class _RunByDefault(TyperGroup):
    """A group of which options alone mean its command `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunByDefault,
    no_args_is_help=True,
    help="A range of a source's history, chunk by chunk, beside whatever else goes on.\n\n"
    "Options without a command are those of run: pay-ready backfill -t acme -s crm --from 2025-01-01 --to 2026-01-01 --dry-run",
)


@app.command("run")
def run(
    tenant: TenantOption,
    source: SourceOption,
    start: FromOption,
    end: ToOption,
    stream: StreamOption = None,
    chunk: ChunkOption = "1d",
    by: ByOption = "cursor",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    reprocess: ReprocessOption = "failed",
    again: AgainOption = False,
    max_active: ActiveOption = 1,
    backwards: BackwardsOption = False,
    keep_going: GoingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a range of a source's history in, chunk by chunk, beside whatever else goes on.

    The same command goes on where it was interrupted; syncs keep their place.

    Example: pay-ready backfill -t acme -s crm --from 2025-01-01 --to 2026-01-01 --chunk 1mo --dry-run
    """
    from pay_ready.pipeline.backfill import run as steps

    wanted = _reprocess(reprocess, again=again)
    requests = _requests(source, stream, start=start, end=end, chunk=chunk, by=by)
    with opened_app() as opened:
        ready = _opened(opened.work(tenant), requests)
        if dry_run:
            reports = [steps.show_plan(each, again=wanted == "completed") for each in ready]
        else:
            reports = _applied(
                ready, as_json=as_json, reprocess=wanted, max_active=max_active, backwards=backwards, keep_going=keep_going
            )  # fmt: skip
    _tell(reports, tenant, as_json=as_json)


@app.command("plan")
def plan(
    tenant: TenantOption,
    source: SourceOption,
    start: FromOption,
    end: ToOption,
    stream: StreamOption = None,
    chunk: ChunkOption = "1d",
    by: ByOption = "cursor",
    again: AgainOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make a plan and keep it: its chunks, what is landed of each already, how many records to expect. It never changes.

    Example: pay-ready backfill plan -t acme -s crm --from 2025-01-01 --to 2026-01-01
    """
    from pay_ready.pipeline.backfill import run as steps

    requests = _requests(source, stream, start=start, end=end, chunk=chunk, by=by)
    with opened_app() as opened:
        ready = _opened(opened.work(tenant), requests)
        reports = [steps.make_plan(each, again=again) for each in ready]
    _tell(reports, tenant, as_json=as_json)


@app.command("apply")
def apply(
    tenant: TenantOption,
    plan: Annotated[list[str], typer.Argument(metavar="PLAN...", help="As pay-ready backfill plan printed it.", show_default=False)],
    reprocess: ReprocessOption = "failed",
    max_active: ActiveOption = 1,
    backwards: BackwardsOption = False,
    keep_going: GoingOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the chunks of a plan that are not complete; several plans of different sources are run together.

    Example: pay-ready backfill apply 0192f0c1-… -t acme --max-active 4 --run-backwards
    """
    from pay_ready.pipeline.backfill.plan import open_plan

    wanted = _reprocess(reprocess, again=False)
    with opened_app() as opened:
        work = opened.work(tenant)
        ready = [open_plan(work, each) for each in _plan_ids(plan)]
        _refuse_double(ready)
        reports = _applied(ready, as_json=as_json, reprocess=wanted, max_active=max_active, backwards=backwards, keep_going=keep_going)
    _tell(reports, tenant, as_json=as_json)


@app.command("list")
def list_(
    tenant: TenantOption,
    source: Annotated[str, typer.Option("--source", "-s", help="Of this source alone.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List plans, the newest first.

    Example: pay-ready backfill list -t acme -s crm
    """
    from pay_ready.pipeline.backfill.plan import list_plans

    with opened_app() as opened:
        found = list_plans(opened.work(tenant), source, most=limit)
    if as_json:
        print_json("backfill_plans", found)
        return
    rows = [
        (each.plan_id, each.source, f"{each.start:%Y-%m-%d}", f"{each.end:%Y-%m-%d}", each.chunk, each.status, each.chunks, each.complete,
         each.failed, each.created_at)
        for each in found
    ]  # fmt: skip
    print_table(("plan", "source", "from", "to", "chunk", "status", "chunks", "complete", "failed", "made"), rows)
    say("next: pay-ready backfill show PLAN, or apply PLAN" if rows else "next: pay-ready backfill plan")


@app.command("show")
def show(
    tenant: TenantOption,
    plan: PlanArgument,
    by_stream: Annotated[bool, typer.Option("--by-stream", help="Each stream of each chunk.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a plan: what is done of it, what failed and why, what waits.

    Example: pay-ready backfill show 0192f0c1-… -t acme --by-stream
    """
    from pay_ready.pipeline.backfill.plan import partitions
    from pay_ready.pipeline.backfill.run import stored_report

    with opened_app() as opened:
        work = opened.work(tenant)
        report = stored_report(work, (wanted := _plan_ids([plan])[0]))
        parts = partitions(work, wanted) if by_stream else []
    if as_json:
        print_json("backfill", {"report": report, "partitions": parts} if by_stream else report)
        return
    _print(report, tenant)
    if by_stream:
        rows = [(each.start, each.stream, each.status, each.emitted, each.landed) for each in parts]
        print_table(("from", "stream", "status", "emitted", "landed"), rows)


def _requests(
    names: Sequence[str], streams: Sequence[str] | None, *, start: str, end: str, chunk: str, by: str
) -> "list[BackfillRequest]":  # fmt: skip
    from datetime import UTC, datetime

    from pay_ready.pipeline.backfill.request import parse_request

    now = datetime.now(UTC)
    return [parse_request(name, streams or (), start=start, end=end, chunk=chunk, by=by, now=now) for name in dict.fromkeys(names)]


def _opened(work: "TenantWork", requests: "Sequence[BackfillRequest]") -> "list[BackfillSource]":
    from pay_ready.pipeline.backfill.plan import open_backfill_source

    return [open_backfill_source(work, request) for request in requests]


def _reprocess(word: str, *, again: bool) -> "Reprocess":
    from pay_ready.model.backfill import REPROCESS

    if word not in REPROCESS:
        raise UsageError("not a way to reprocess", f"choices: {', '.join(REPROCESS)}", reprocess=word)
    return "completed" if again else word


def _plan_ids(words: Sequence[str]) -> "list[PlanId]":
    from uuid import UUID

    from pay_ready.model.ids import PlanId

    try:
        return [PlanId(UUID(word)) for word in dict.fromkeys(words)]
    except ValueError:
        raise UsageError("not the id of a plan", "list them: pay-ready backfill list", plan=" ".join(words)) from None


def _refuse_double(ready: "Sequence[BackfillSource]") -> None:
    names = [each.request.source for each in ready]
    if len(set(names)) < len(names):
        raise UsageError("two plans of one source would wait for each other", "apply them one after the other", sources=", ".join(names))


def _applied(
    ready: "Sequence[BackfillSource]", *, as_json: bool, reprocess: "Reprocess", max_active: int, backwards: bool, keep_going: bool
) -> "list[BackfillReport]":
    from pay_ready.pipeline.backfill.run import run_backfills

    with shown_progress(quiet=as_json) as progress:
        return run_backfills(
            ready, reprocess=reprocess, max_active=max_active, backwards=backwards, keep_going=keep_going, progress=progress,
            on_plan=_ignore if as_json else _announce,
        )  # fmt: skip


def _tell(reports: "Sequence[BackfillReport]", tenant: str, *, as_json: bool) -> None:
    """Print the reports (of one source its own, of several a list), then raise what failed first."""
    if as_json:
        print_json("backfill", reports[0] if len(reports) == 1 else list(reports))
    else:
        for report in reports:
            _print(report, tenant)
    for report in reports:
        report.raise_for_failure()


def _ignore(plan: "BackfillPlan") -> None:
    """For programs, who read the report."""


def _announce(plan: "BackfillPlan") -> None:
    """What is about to happen, before it does."""
    from pay_ready.pipeline.backfill.report import report_of

    waiting = plan.waiting
    if plan.state == "resumed" and waiting:
        done = len(plan.chunks) - len(waiting)
        note(f"resumed plan {plan.plan_id}: {done} of {len(plan.chunks)} chunks are complete, it goes on at {_moment(waiting[0])}")
    else:
        note(f"plan {plan.plan_id}: {_summary(report_of(plan, 'planned'))}")
    for text in plan.notes:
        note(text)


def _print(report: "BackfillReport", tenant: str) -> None:
    is_plan = report.status == "planned"
    if is_plan:
        rows = [(*_span(each), each.status, each.estimated_rows, each.landed_before) for each in _shown(report.chunks)]
        print_table(("from", "to", "status", "rows expected", "landed already"), rows, title=_title(report))
    else:
        table = [_row(each) for each in _shown(report.chunks)]
        print_table(_HEADINGS, [*table, ("total", "", *_row(report.totals)[2:])], title=f"{_title(report)} ({ROW_EQUATIONS})")
    if len(report.chunks) > _SHOWN_CHUNKS:
        say(f"{len(report.chunks) - _SHOWN_CHUNKS:,} chunks in the middle are not shown; --json has them all")
    for each in report.chunks:
        if each.error_text and each.status != "complete":
            say(f"{_moment(each)}: {each.error_text}")
    if report.left_out:
        say(f"left out, for they have no field that says when a record changed: {', '.join(report.left_out)}")
    for text in report.notes:
        say(text)
    say(_last_words(report, tenant))


def _last_words(report: "BackfillReport", tenant: str) -> str:
    if report.status == "planned" and report.plan_id:
        return f"plan {report.plan_id}: {_summary(report)} - next: pay-ready backfill apply {report.plan_id} --tenant {tenant}"
    if report.status == "planned":
        return f"{_summary(report)}; nothing was changed - next: the same command without --dry-run"
    there = "already there, nothing was done (--again plans it anew)" if report.state == "complete" else report.status
    figures = f"{report.totals.landed:,} rows landed in {len(report.chunks):,} chunks, {report.seconds:.1f} s"
    again = f"pay-ready backfill apply {report.plan_id} --tenant {tenant}"
    following = again if report.status in ("partial", "failed") else f"pay-ready run resolve --tenant {tenant}"
    return f"plan {report.plan_id}: {there}; {figures} - next: {following}"


def _summary(report: "BackfillReport") -> str:
    totals = report.totals
    expected = "nobody knows how many rows" if totals.estimated_rows is None else f"about {totals.estimated_rows:,} rows"
    done = sum(each.status == "complete" for each in report.chunks)
    complete = f" ({done:,} of them complete)" if done else ""
    return f"{len(report.chunks):,} chunks of {report.chunk}{complete}, {expected}, {totals.landed_before:,} landed already"


def _title(report: "BackfillReport") -> str:
    return f"{report.source}: {', '.join(report.streams)}, {report.start:%Y-%m-%d %H:%M} to {report.end:%Y-%m-%d %H:%M} UTC"


def _row(chunk: "Chunk") -> Sequence[object]:
    return (*_span(chunk), chunk.status, *(getattr(chunk, name) for name in _FIGURES), chunk.landed_before, chunk.seconds)


def _span(chunk: "Chunk") -> tuple[object, object]:
    return chunk.start, chunk.end


def _moment(chunk: "Chunk") -> str:
    return f"{chunk.start:%Y-%m-%d %H:%M}"


def _shown(chunks: "Sequence[Chunk]") -> "Sequence[Chunk]":
    half = _SHOWN_CHUNKS // 2
    return chunks if len(chunks) <= _SHOWN_CHUNKS else [*chunks[:half], *chunks[-half:]]
