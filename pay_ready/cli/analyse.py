"""`pay-ready analyse` and `pay-ready warm`: what answers are made of, computed before somebody asks."""

from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.memory import WaitOption
from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, say
from pay_ready.cli.profiling import ProfileOption, profiled
from pay_ready.cli.progress import shown_progress

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.pipeline.analyse import AnalyseReport
    from pay_ready.pipeline.warm import WarmReport


def analyse(
    tenant: TenantOption,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Stop after so long, the latest interactions read; else when all are.")
    ] = None,
    wait_s: WaitOption = 0.0,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score how each sentence of each interaction sounds, once: timelines show it, and answers about sentiment need not compute it.

    Runs after each `run etl`; goes on where it was stopped. Example: pay-ready analyse --tenant acme --seconds 120
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.analyse import analyse_tenant

    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        found = opened.tenant(tenant)
        report = analyse_tenant(
            opened.database, found.tenant_id, opened.memory.embedder, run_id=RunId(new_id()), most_s=seconds, wait_s=wait_s,
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json("analyse", report)
    else:
        print_analyse(report, tenant)


def warm(
    tenant: TenantOption,
    most: Annotated[int, typer.Option("--most", min=1, max=1_000, help="Answers at most.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Make the answers anew that are most asked for, about the people and companies that are asked about most.

    Runs after each `run etl`. Example: pay-ready warm --tenant acme --most 50
    """
    from pay_ready.app_agent import open_toolbox
    from pay_ready.pipeline.warm import warm_tenant

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        found = opened.tenant(tenant)
        toolbox = open_toolbox(opened, found)
        report = warm_tenant(opened.database, found.tenant_id, toolbox, most=most, progress=progress)
    if as_json:
        print_json("warm", report)
    else:
        print_warm(report)


def print_analyse(report: "AnalyseReport", tenant: str) -> None:
    """What was read, by what, and what is left."""
    how = f"{report.scorer_id}" + (f" ({report.reason})" if report.reason else "")
    say(f"{report.sentences:,} sentences of {report.interactions:,} interactions scored by {how}, {report.elapsed_s:.1f} s")
    if report.left:
        say(f"{report.left:,} interactions are left: pay-ready analyse -t {tenant}")


def print_warm(report: "WarmReport") -> None:
    """How many answers are there before somebody asks."""
    say(f"{report.answers:,} answers made in advance, {report.elapsed_s:.1f} s")
