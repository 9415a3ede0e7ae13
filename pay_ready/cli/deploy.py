"""`pay-ready deploy`: what Prefect's server knows of pay_ready, as prefect.yaml and deploy/automations say."""

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, active_slugs
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import CheckFailedError, ConfigError, RetryLaterError

if TYPE_CHECKING:  # heavy; --help must not load them
    from types import ModuleType

app = typer.Typer(help="Prefect's deployments: check the files, apply them, drain a worker.", no_args_is_help=True, rich_markup_mode=None)
FileOption = Annotated[
    Path | None, typer.Option("--file", metavar="PREFECT.YAML", help="Default: here, or in PAY_READY_CHECKOUT.")
]  # fmt: skip
PoolOption = Annotated[str, typer.Option(help="The work pool.")]


@app.command("check")
def check(file: FileOption = None, as_json: JsonOption = False) -> None:
    """Find what Prefect would swallow: unknown keys and parameters, variables that are not set, entry points, times. Exit 7 if anything.

    No server is needed. Example: pay-ready deploy check
    """
    deploying, path = _deploying(file)
    findings = deploying.check_file(path)
    if as_json:
        print_json("deploy_findings", findings)
    else:
        for each in findings:
            say(str(each))
    if findings:
        raise CheckFailedError(f"{len(findings)} findings", "correct the files", file=path)
    if not as_json:
        say(f"{path.name}: nothing is off")


@app.command("apply")
def apply(
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", "-t", help="These get schedules; without it all active ones (administrator's URL).")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove what is ours on the server and in no file any more.")] = False,
    file: FileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make Prefect's server as the files say: pool, queues, limits, automations, deployments, a schedule for each tenant.

    Said twice it changes nothing the second time. Exit 7 when the files are wrong, 75 when the server is away.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api pay-ready deploy apply --prune
    """
    deploying, path = _deploying(file)
    tenants = tenant if tenant else active_slugs()
    changes = deploying.apply(path, tenants=tenants, prune=prune)
    if as_json:
        print_json("deploy", {"tenants": tenants, "changes": changes})
        return
    shown = [each for each in changes if each.what != "as it was"]
    if shown:
        print_table(("what", "name", ""), [(each.kind, each.name, each.what) for each in shown])
    if tenants is None:
        note("whose schedules there should be is not known: theirs stay - set PAY_READY_ADMIN_DATABASE_URL, or name them with --tenant")
    if any(each.what == "left over" for each in shown):
        note("left over: in no file any more - pay-ready deploy apply --prune removes it")
    say(f"{len(changes) - len(shown):,} as they were, {len(shown):,} changed" if shown else f"{len(changes):,} things, all as they were")


@app.command("drain")
def drain(
    pool: PoolOption = "pay-ready",
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="For runs that are under way.")] = 600.0,
    as_json: JsonOption = False,
) -> None:
    """Pause a work pool and wait until its runs have ended: a worker that is stopped kills its runs. Exit 75 when some are left.

    Example (systemd): ExecStop=pay-ready deploy drain --wait 600
    """
    deploying, _ = _deploying(None, needs_file=False)
    left = deploying.drain(pool, wait_s=wait)
    if as_json:
        print_json("drained", {"pool": pool, "left": left})
    elif not left:
        say(f"pool {pool} is paused and no run is left - let it go on: pay-ready deploy resume")
    if left:
        hint = "stopped now they are cut, and the next runs go on from what they committed"
        raise RetryLaterError("some runs did not end in time", hint, pool=pool, left=left)


@app.command("resume")
def resume(pool: PoolOption = "pay-ready", as_json: JsonOption = False) -> None:
    """Let a pool go on that was drained; one that somebody paused by hand stays paused. Example: pay-ready deploy resume"""
    deploying, _ = _deploying(None, needs_file=False)
    how = deploying.resume(pool)
    print_json("resumed", {"pool": pool, "how": how}) if as_json else say(f"pool {pool} {how}")


def _deploying(file: Path | None, *, needs_file: bool = True) -> "tuple[ModuleType, Path]":
    """The module of flows that talks to Prefect, and prefect.yaml; loaded now, from the checkout where it is not installed.

    Raises:
        ConfigError: There is no checkout.
    """
    import os

    checkout = os.environ.get("PAY_READY_CHECKOUT")
    beside = file.parent if file else Path(checkout) if checkout and not Path("prefect.yaml").is_file() else Path.cwd()
    if importlib.util.find_spec("flows") is None:
        if not (beside / "flows" / "deploying.py").is_file():
            hint = "run it in the checkout, set PAY_READY_CHECKOUT, or give --file"
            raise ConfigError("the flows are not here", hint, folder=beside)
        sys.path.append(str(beside.resolve()))
    # Nobody asked Prefect's makers to be told.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    from flows import deploying

    return deploying, (file or deploying.default_file()) if needs_file else Path()
