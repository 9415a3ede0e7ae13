"""`pay-ready drift`: figures that moved away from their baseline, and what an operator says of them."""

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.db.drift import Judgement
    from pay_ready.pipeline.drift.find import DailySeries, DriftReport, Told

app = typer.Typer(
    help="Figures of the last days beside those before them: look and keep, report, judge.", no_args_is_help=True, rich_markup_mode=None
)
AsOfOption = Annotated[str | None, typer.Option("--as-of", metavar="DAY", help="As if that day were today, for example 2026-03-01.")]
_JUDGEMENTS = ("expected", "real")
_MOST_PLOTTED = 4


@app.command()
def check(tenant: TenantOption, as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Look for drift and keep what is found; each finding is told once. Exit 7 while a critical one stands that nobody called expected.

    Example: pay-ready drift check -t acme
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.drift.step import find_drift

    with opened_app() as opened:
        found = find_drift(opened.work(tenant), RunId(new_id()), now=_day(as_of))
    if as_json:
        print_json("drift", found)
    else:
        _show(found, list(found.found))
        say(f"new: {len(found.fresh)}, ended: {found.ended}")
    found.raise_for_failure()


@app.command()
def report(
    tenant: TenantOption,
    metric: Annotated[str | None, typer.Option(help="Only this figure: volume, sentiment, response_time, talk_ratio and so on.")] = None,
    account: Annotated[str | None, typer.Option(help="Only accounts whose name or id contains this.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the worst of them: .svg or .png.")] = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what drifts, with a line of its days each; nothing is kept. Example: pay-ready drift report -t acme --plot drift.svg"""
    from dataclasses import replace

    from pay_ready.pipeline.drift.find import look_for_drift
    from pay_ready.pipeline.drift.options import METRICS

    if metric is not None and metric not in METRICS:
        raise UsageError("not a figure", f"choose one of {', '.join(METRICS)}", metric=metric)
    with opened_app() as opened:
        work = opened.work(tenant)
        options = work.drift if metric is None else replace(work.drift, metrics=tuple(each for each in METRICS if each == metric))
        found = look_for_drift(work.database, work.tenant, work.slug, options, now=_day(as_of), keeps=False)
    told = [each for each in found.found if account is None or _is_account(each, account)]
    if plot is not None:
        _plot(told, plot)
    if as_json:
        print_json("drift_report", replace(found, found=tuple(told)))
    else:
        _show(found, told)


@app.command()
def judge(
    tenant: TenantOption,
    finding: Annotated[str, typer.Argument(metavar="FINDING", help="Id, or its beginning, as `drift report` prints it.")],
    judgement: Annotated[str, typer.Option("--as", metavar="WORD", help="expected (leave me alone with it) or real.")],
    reason: Annotated[str, typer.Option(help="Why; kept.")],
    as_json: JsonOption = False,
) -> None:
    """Say what a finding is. Example: pay-ready drift judge 3f2a -t acme --as expected --reason "we moved offices" """
    from pay_ready.pipeline.drift.find import judge_finding

    if judgement not in _JUDGEMENTS:
        raise UsageError("not a judgement", f"choose one of {', '.join(_JUDGEMENTS)}", judgement=judgement)
    if not reason.strip():
        raise UsageError("a judgement without a reason", "add --reason WHY")
    with opened_app() as opened:
        found = judge_finding(
            opened.database, opened.tenant(tenant).tenant_id, tenant, finding, cast("Judgement", judgement), reason=reason.strip(),
            actor=opened.actor,
        )  # fmt: skip
    if as_json:
        print_json("drift_judged", found)
    else:
        say(f"{found.metric_name} of {found.subject_kind} {found.subject_id}: {judgement}".replace("  ", " "))


def _show(found: "DriftReport", told: "list[Told]") -> None:
    from pay_ready.pipeline.drift.find import UNITS

    windows = found.windows
    days = f"{windows.split:%Y-%m-%d} to {windows.until:%Y-%m-%d} beside {windows.since:%Y-%m-%d} to {windows.split:%Y-%m-%d}"
    rows = [
        (
            str(each.finding.finding_id)[:8], each.finding.metric_name, _named(each), each.level, f"{each.finding.severity:.2f}",
            *(
                f"{value:,.2f} {UNITS[each.finding.metric_name]}".strip()
                for value in (each.finding.baseline_value, each.finding.current_value)
            ),
            f"{each.finding.effect:+.1f} sd", each.finding.current_count, _weeks(each.series), each.finding.judgement,
        )
        for each in told
    ]  # fmt: skip
    columns = ("finding", "figure", "of", "level", "severity", "before", "now", "moved", "seen", "by week", "judged")
    print_table(columns, rows, title=f"{found.tenant}: {days} (UTC, the last day not included), {found.looked:,} series")
    if told:
        note(f"next: pay-ready drift judge {str(told[0].finding.finding_id)[:8]} --tenant {found.tenant} --as expected|real --reason WHY")
    else:
        say("nothing drifts")


def _weeks(series: "DailySeries | None") -> str:
    """The means of the weeks as blocks, from the least to the most, a bar before the current ones."""
    from pay_ready.agent.chart import sparkline

    if series is None:
        return ""
    weeks: list[list[float]] = []
    bar = 0
    for start in range(len(series.days) % 7, len(series.days), 7):
        bar = bar or (len(weeks) if series.days[start] >= series.split else 0)
        weeks.append([value for value in series.values[start : start + 7] if value is not None])
    means = [sum(week) / len(week) if week else math.nan for week in weeks]
    seen = [mean for mean in means if not math.isnan(mean)]
    if not seen:
        return ""
    low, high = min(seen), max(seen)
    blocks = sparkline(means, low, high if high > low else low + 1)
    return f"{blocks[:bar]}|{blocks[bar:]}"


def _plot(told: "list[Told]", path: Path) -> None:
    """The worst findings as lines, each from its least to its most."""
    from pay_ready.agent.chart import Chart, Series, write_chart

    lines = []
    for each in told[:_MOST_PLOTTED]:
        if each.series is None:
            continue
        seen = [value for value in each.series.values if value is not None]
        low, high = min(seen), max(seen)
        points = tuple(
            (day, math.nan if value is None else (value - low) / (high - low or 1))
            for day, value in zip(each.series.days, each.series.values, strict=True)
        )
        lines.append(Series(name=f"{each.finding.metric_name} {_named(each)}: {low:.2f} to {high:.2f}", points=points))
    write_chart(Chart(title="Drift, worst first", series=tuple(lines), low=0.0, high=1.0), path)
    note(f"written: {path}")


def _named(each: "Told") -> str:
    return f"{each.finding.subject_kind} {each.name}".strip()


def _is_account(each: "Told", wanted: str) -> bool:
    return each.finding.subject_kind == "account" and (wanted.lower() in each.name.lower() or each.finding.subject_id.startswith(wanted))


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise UsageError("not a day", "write it like 2026-01-31", option="--as-of", given=text) from None
