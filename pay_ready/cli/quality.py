"""`pay-ready quality`: what rules of data quality say of a tenant's streams and entities."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import ConfigError, NotFoundError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.quality import StoredResult
    from pay_ready.pipeline.quality.check import QualityReport, Result
    from pay_ready.pipeline.quality.rules import Rule

app = typer.Typer(
    help="Rules of data quality: look now, show what a run found, list the rules.", no_args_is_help=True, rich_markup_mode=None
)
JunitOption = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML, for a pipeline.")]
_BLOCKS = "▁▂▃▄▅▆▇█"


@app.command()
def check(
    tenant: TenantOption,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only streams that changed since they were published last, as a run does.")
    ] = False,
    store: Annotated[bool, typer.Option("--store", help="Keep the results as those of a run of its own.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show also what holds.")] = False,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at every stream and entity now. Exit 7 when a rule of severity error does not hold.

    Example: pay-ready quality check -t acme --junit quality.xml
    """
    from pay_ready.pipeline.quality.check import check_entities, check_streams

    with opened_app() as opened:
        found, rules = opened.tenant(tenant), _rules(opened, tenant)
        reports = [
            check_streams(opened.database, found.tenant_id, tenant, rules, is_whole=not changed),
            check_entities(opened.database, found.tenant_id, tenant, rules),
        ]
        if store:
            _store(opened, tenant, reports)
    results = [result for report in reports for result in report.results]
    if junit is not None:
        _write(junit, junit_xml(tenant, [(each.rule_id, each.subject, _told(each), each.reason, each.is_failed) for each in results]))
    if as_json:
        print_json("quality", {"results": results, "histograms": reports[1].histograms, "seconds": sum(each.seconds for each in reports)})
    else:
        _show(results, tenant, every=every)
        for entity, tenths in sorted(reports[1].histograms.items()):
            say(f"match probability of {entity} records, from 0 to 1 in tenths: {_bars(tenths)}")
    for report in reports:
        report.raise_for_failure(is_published=report is reports[1])


@app.command()
def show(
    tenant: TenantOption,
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Id, or its beginning; without it the newest run.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show also what held.")] = False,
    history: Annotated[int, typer.Option(min=0, max=1_000, help="List so many runs with their failures instead.")] = 0,
    junit: JunitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the rules found in a run. Example: pay-ready quality show -t acme"""
    from pay_ready.db import quality

    with opened_app() as opened, opened.database.tenant_transaction(opened.tenant_id(tenant)) as tx:
        runs = quality.history(tx, history or 1_000)
        if not history:
            run_id = next((each.run_id for each in runs if str(each.run_id).startswith(run or "")), None)
            if run_id is None:
                raise NotFoundError("no stored checks", f"look now: pay-ready quality check --tenant {tenant}", run=run or "newest")
            results = quality.results(tx, run_id)
    if history:
        print_json("quality_runs", runs) if as_json else print_table(
            ("run", "checked (UTC)", "checks", "warnings", "errors"),
            ((each.run_id, each.checked_at, each.checks, each.warnings or None, each.errors or None) for each in runs),
        )
        return
    if junit is not None:
        _write(junit, junit_xml(tenant, [(each.check_name, each.subject, _stored(each), "", not each.passed) for each in results]))
    if as_json:
        print_json("quality_run", {"run_id": run_id, "results": results})
        return
    rows = [_stored_row(each) for each in results if every or not each.passed]
    print_table(("rule", "subject", "state", "measured", "expected"), rows, title=f"{tenant}, run {run_id}: {len(results)} checks")
    if not rows:
        say("every rule held")


@app.command("list")
def list_all(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """List the rules that hold for a tenant, its own settings on top. Example: pay-ready quality list -t acme"""
    with opened_app() as opened:
        rules = _rules(opened, tenant)
    if as_json:
        print_json("quality_rules", rules)
        return
    print_table(
        ("rule", "check", "of", "severity", "what holds"),
        ((each.rule_id, each.check, _about(each), each.severity, each.says) for each in rules),
    )


def print_quality(report: "QualityReport | None") -> None:
    """What did not hold in a run, a line each; nothing where everything did."""
    for each in report.failed if report else ():
        say(f"quality {each.state}: {each.rule_id} of {each.subject}: {_told(each)} ({each.says or each.check})")


def junit_xml(tenant: str, cases: Sequence[tuple[str, str, str, str, bool]]) -> str:
    """One suite, one case a rule and subject: (rule, subject, what was found, why it was skipped, whether it failed)."""
    from html import escape

    lines = []
    for rule, subject, found, skipped, is_failed in cases:
        inside = f'<failure message="{escape(found)}"/>' if is_failed else f'<skipped message="{escape(skipped)}"/>' if skipped else ""
        lines.append(f'    <testcase classname="{escape(tenant)}.{escape(rule)}" name="{escape(subject)}">{inside}</testcase>\n')
    failures, skips = sum(each[4] for each in cases), sum(bool(each[3]) for each in cases)
    figures = f'tests="{len(cases)}" failures="{failures}" skipped="{skips}"'
    suite = f'  <testsuite name="{escape(tenant)}" {figures}>\n{"".join(lines)}  </testsuite>\n'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{suite}</testsuites>\n'


def _rules(opened: "App", tenant: str) -> "Sequence[Rule]":
    from pay_ready.app_work import quality_rules

    return quality_rules(opened.settings_of(opened.tenant(tenant)))


def _store(opened: "App", tenant: str, reports: "Iterable[QualityReport]") -> None:
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.quality.check import keep

    run_id = RunId(new_id())
    with opened.database.tenant_transaction(opened.tenant_id(tenant)) as tx:
        for report in reports:
            keep(tx, run_id, report)


def _show(results: "Sequence[Result]", tenant: str, *, every: bool) -> None:
    order = ("error", "warn", "skipped", "passed")
    shown = sorted((each for each in results if every or each.is_failed), key=lambda each: (order.index(each.state), each.rule_id))
    counts = {state: sum(each.state == state for each in results) for state in order}
    title = f"{tenant}: {len(results)} checks, " + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    rows = [(each.rule_id, each.subject, each.state, _measured(each), each.expected or each.reason, each.says) for each in shown]
    print_table(("rule", "subject", "state", "measured", "expected", "what holds"), rows, title=title)
    if not every:
        note("next, to see what holds too: add --all")


def _told(result: "Result") -> str:
    return f"{_measured(result) or 'nothing measured'}, expected {result.expected}"


def _measured(result: "Result") -> str:
    return "" if result.measured is None else f"{result.measured:,.2f} {result.unit}".strip()


def _stored(each: "StoredResult") -> str:
    return f"{'nothing measured' if each.measured is None else f'{each.measured:,.2f}'}, expected {each.expected}"


def _stored_row(each: "StoredResult") -> Sequence[object]:
    return (each.check_name, each.subject, "passed" if each.passed else each.severity, each.measured, each.expected)


def _about(rule: "Rule") -> str:
    where = rule.entity or ("reviews" if rule.check == "review_agreement" else ", ".join(rule.streams))
    return f"{rule.kind} {where}".strip() + (f": {', '.join(rule.fields)}" if rule.fields else "")


def _bars(tenths: Sequence[int]) -> str:
    most = max(tenths) or 1
    return "".join(_BLOCKS[min(7, count * 8 // (most + 1))] for count in tenths) + f" ({sum(tenths):,} records)"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigError("cannot write the file", error.strerror or type(error).__name__, file=path) from None
