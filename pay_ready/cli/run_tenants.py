"""`pay-ready run tenants`: one step for many tenants, each in a process of its own, so many at once."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from pay_ready.cli.options import JsonOption, active_slugs
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import ConfigError, PartialError


class Step(StrEnum):
    """Of `pay-ready run`."""

    ETL = "etl"
    SYNC = "sync"
    STAGE = "stage"
    RESOLVE = "resolve"


def run_tenants(
    step: Annotated[Step, typer.Argument(help="The step of `pay-ready run`.")],
    options: Annotated[list[str] | None, typer.Argument(help="What the step is told beside --tenant, after `--`.")] = None,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", "-t", help="Only this tenant; repeat for more. Without it: all active ones.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="So many at once; by default as many as there are cores.")] = None,
    as_json: JsonOption = False,
) -> None:
    """A step for many tenants side by side: a process each, with its own connections and its own memory.

    One that fails keeps nobody else up. Exit code: that of all where it is one, else 3.

    Example: pay-ready run tenants resolve --jobs 4
    Example: pay-ready run tenants etl -t acme -t globex -- --wait 600
    """
    from pay_ready.cli.side_by_side import side_by_side

    slugs = list(dict.fromkeys(tenant)) if tenant else _active_tenants()
    with shown_progress(quiet=as_json) as progress:
        ends = side_by_side(step.value, slugs, options or (), jobs or os.cpu_count() or 1, progress)
    if as_json:
        print_json("run_tenants", ends)
    else:
        print_table(("tenant", "exit code", "seconds", "said"), [(each.tenant, each.exit_code, each.seconds, each.said) for each in ends])
        say(f"{step.value}: {sum(not each.exit_code for each in ends)} of {len(ends)} tenants are done")
    codes = {each.exit_code for each in ends} or {0}
    if len(codes) > 1:
        failed = [each.tenant for each in ends if each.exit_code]
        again = " ".join(f"-t {each}" for each in failed)
        raise PartialError("some tenants are not done", f"again: pay-ready run tenants {step.value} {again}", failed=len(failed))
    raise typer.Exit(codes.pop())


def _active_tenants() -> list[str]:
    """Slugs of the active tenants.

    Raises:
        ConfigError: This process may not know them.
    """
    if (found := active_slugs()) is None:
        hint = "name them with --tenant, or set PAY_READY_ADMIN_DATABASE_URL"
        raise ConfigError("which tenants there are is for the administrator to know", hint)
    return found
