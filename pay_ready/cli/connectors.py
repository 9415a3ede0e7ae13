"""`pay-ready connectors`: Airbyte connectors from the package registry, one virtual environment each."""

from pathlib import Path
from typing import Annotated

import typer

from pay_ready.cli.options import JsonOption
from pay_ready.cli.output import note, print_json, print_table, say

app = typer.Typer(
    help="Airbyte connectors from the package registry, one virtual environment each.", no_args_is_help=True, rich_markup_mode=None
)
RequirementArgument = Annotated[str, typer.Argument(help="name==version, for example airbyte-source-faker==7.2.1")]


def connectors_folder() -> Path:
    """Where connectors are installed."""
    from pay_ready.settings import Environment

    return Environment().connectors_folder


@app.command()
def install(
    requirement: RequirementArgument,
    python: Annotated[str | None, typer.Option(help="Interpreter, for example python3.11; most connectors need 3.10 or 3.11.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Install one exact version. Example: pay-ready connectors install airbyte-source-faker==7.2.1"""
    from pay_ready.sources.installs import install_connector

    note(f"installing {requirement} (some 100 packages; half a minute with uv, minutes with pip)")
    installed = install_connector(requirement, connectors_folder(), python)
    note(installed.licence_notice)
    if as_json:
        print_json("connector", installed)
    else:
        say(f"{installed.name}=={installed.version} is installed (Python {installed.python}) - next: pay-ready sources add --help")


@app.command("list")
def list_all(as_json: JsonOption = False) -> None:
    """List installed connectors."""
    from pay_ready.sources.installs import list_connectors

    found = list_connectors(connectors_folder())
    if as_json:
        print_json("connectors", found)
    else:
        rows = ((each.name, each.version, each.python, len(each.packages), each.licence_notice) for each in found)
        print_table(("connector", "version", "python", "packages", "licence"), rows)


@app.command()
def remove(requirement: RequirementArgument, as_json: JsonOption = False) -> None:
    """Remove an installed connector; sources that use it say so at their next run."""
    from pay_ready.sources.installs import remove_connector

    removed = remove_connector(requirement, connectors_folder())
    if as_json:
        print_json("connector", {"name": removed.name, "version": removed.version, "status": "removed"})
    else:
        say(f"{removed.name}=={removed.version} is removed")
