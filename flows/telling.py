"""The summary of a run as an artifact: rows, entities, queue, guards, links. Names of ours and numbers, nothing about anybody."""

from collections.abc import Sequence
from typing import get_args

from flows.common import run_link, table
from flows.steps import shown
from pay_ready.model.resolution import ChangeKind, ResolveReport
from pay_ready.model.rows import ROW_HEADINGS
from pay_ready.pipeline.bring_in import SourceOutcome
from pay_ready.pipeline.etl import EtlReport
from pay_ready.pipeline.figures import MOST_PAIRS, TenantFigures
from pay_ready.pipeline.quality.check import Result

_CHANGES = get_args(ChangeKind)


def told_run(report: EtlReport, figures: TenantFigures) -> str:
    """A run of the whole pipeline."""
    parts = [
        f"# etl of {report.tenant}: {report.status}", f"run `{report.run_id}`, {report.seconds:.1f} s", told_rows(report.sources),
        told_entities(report.resolve, figures), told_queue(figures), told_guards(report), told_links(report.tenant, report.resolve),
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts)) + "\n"


def told_rows(outcomes: Sequence[SourceOutcome]) -> str:
    """What each source brought, and what became of it."""
    heads = ("source", *ROW_HEADINGS, "ended")
    rows = [(outcome.source, *outcome.rows.values(), _how(outcome)) for outcome in outcomes]
    return "## Rows\n\n" + (table(heads, rows) if rows else "No source was read.")


def told_entities(resolve: ResolveReport | None, figures: TenantFigures) -> str:
    """People and companies: how many there are, and what the run changed."""
    counts = figures.counts
    what = "nothing was resolved" if resolve is None else "nothing changed" if resolve.run_no is None else f"published run {resolve.run_no}"
    changes = (
        ("people", counts.people, *(resolve.people.changes.get(each, 0) if resolve else 0 for each in _CHANGES)),
        ("companies", counts.companies, *(resolve.companies.changes.get(each, 0) if resolve else 0 for each in _CHANGES)),
    )
    return f"## Entities\n\n{what}\n\n" + table(("", "now", *_CHANGES), changes)


def told_queue(figures: TenantFigures) -> str:
    """What waits, and for whom."""
    pairs = f"{MOST_PAIRS:,} or more" if figures.to_review >= MOST_PAIRS else f"{figures.to_review:,}"
    rows = [
        ("pairs for a reviewer", pairs), ("rows in quarantine", figures.counts.quarantined),
        *((f"{kind} records for the next resolve", count) for kind, count in figures.waiting.items()),
        ("changes that memory has not heard of", figures.unheard),
    ]  # fmt: skip
    return "## Queue\n\n" + table(("waiting", "now"), rows)


def told_guards(report: EtlReport) -> str:
    """What kept something from being published, or brought in."""
    lines = [f"held back: {shown(report.held)}"] if report.held else []
    lines += [f"on hold: {shown(report.on_hold)}"] if report.on_hold else []
    lines += [f"memory or insight is behind: {shown(report.index_error)}"] if report.index_error else []
    lines += [f"quality, {each.state}: {each.rule_id} of {each.subject}, expected {each.expected}" for each in _unfit(report)]
    lines += [f"{outcome.source}: {shown(outcome.error)}" for outcome in report.sources if outcome.error]
    return "## Guards\n\n" + ("".join(f"- {line}\n" for line in lines) or "none was needed\n")


def _unfit(report: EtlReport) -> list[Result]:
    """Rules of data quality that did not hold."""
    return [each for checked in (report.quality, report.entities) if checked for each in checked.failed]


def told_links(tenant: str, resolve: ResolveReport | None) -> str:
    """Links between interactions and entities, and where to look further."""
    linked = f"{resolve.interactions_linked:,} opened, {resolve.interactions_unlinked:,} closed" if resolve else "none changed"
    look = f"`pay-ready runs list -t {tenant}` · `pay-ready review -t {tenant}` · `pay-ready quarantine list -t {tenant}`"
    return f"## Links\n\ninteractions to entities: {linked}\n\n" + " · ".join(filter(None, (run_link(), look)))


def _how(outcome: SourceOutcome) -> str:
    return "complete" if outcome.error is None else type(shown(outcome.error).__dict__.get("reason") or outcome.error).__name__
