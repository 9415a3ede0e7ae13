"""`pay-ready backfill`: a range of a source's history, chunk by chunk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.progress import shown_progress

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.db.backfills import Chunk
    from pay_ready.pipeline.backfill.plan import BackfillPlan
    from pay_ready.pipeline.backfill.report import BackfillReport

_FIGURES = (
    "emitted",
    "landed",
    "unchanged",
    "superseded",
    "deleted",
    "quarantined",
    "suppressed",
    "staged",
    "unmapped",
    "stage_quarantined",
    "skipped",
)
_HEADINGS = ("from", "to", "status", *_FIGURES[:-2], "refused", "skipped", "there before", "seconds")
_EQUATIONS = "emitted = landed + unchanged + superseded + deleted + quarantined + suppressed; landed = staged + unmapped + refused"
_SHOWN_CHUNKS = 400  # of a plan with more, the first and the last


def backfill(
    tenant: TenantOption,
    source: Annotated[str, typer.Option("--source", "-s", help="The source.")],
    start: Annotated[str, typer.Option("--from", help="First moment wanted (UTC): 2026-01-31 or 2026-01-31T12:00.")],
    end: Annotated[str, typer.Option("--to", help="First moment no longer wanted.")],
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; repeat for more.")] = None,
    chunk: Annotated[str, typer.Option(help="Length of a chunk: 12h, 1d, 7d, 1mo.")] = "1d",
    by: Annotated[
        str, typer.Option(help="Date records by their stream's cursor, or (Airbyte's destination) by when extracted.")
    ] = "cursor",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Plan anew, whatever is complete or under way.")] = False,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="After a chunk that fails go on with the others.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a range of a source's history in, chunk by chunk, beside whatever else goes on.

    The same command goes on where it was interrupted; syncs keep their place.

    Example: pay-ready backfill -t acme -s crm --from 2025-01-01 --to 2026-01-01 --chunk 1mo --dry-run
    """
    from datetime import UTC, datetime

    from pay_ready.pipeline.backfill import run as steps
    from pay_ready.pipeline.backfill.plan import open_backfill_source
    from pay_ready.pipeline.backfill.request import parse_request

    request = parse_request(source, stream or (), start=start, end=end, chunk=chunk, by=by, now=datetime.now(UTC))
    with opened_app() as opened:
        ready = open_backfill_source(opened.work(tenant), request)
        if dry_run:
            report = steps.show_plan(ready, again=again)
        else:
            with shown_progress(quiet=as_json) as progress:
                report = steps.run_backfill(
                    ready, again=again, keep_going=keep_going, progress=progress, on_plan=_ignore if as_json else _announce
                )
    if as_json:
        print_json("backfill", report)
    else:
        _print(report, tenant)
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
        print_table(_HEADINGS, [*table, ("total", "", *_row(report.totals)[2:])], title=f"{_title(report)} ({_EQUATIONS})")
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
    if report.status == "planned":
        return f"{_summary(report)}; nothing was changed - next: the same command without --dry-run"
    there = "already there, nothing was done (--again plans it anew)" if report.state == "complete" else report.status
    figures = f"{report.totals.landed:,} rows landed in {len(report.chunks):,} chunks, {report.seconds:.1f} s"
    following = "the same command again" if report.status in ("partial", "failed") else f"pay-ready run resolve --tenant {tenant}"
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
