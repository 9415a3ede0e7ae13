"""`pay-ready connectors`: Airbyte connectors, packages of the registry and manifests, one virtual environment each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load it
    from pay_ready.sources.installs import InstalledConnector

app = typer.Typer(
    help="Airbyte connectors, packages and manifests, one virtual environment each.", no_args_is_help=True, rich_markup_mode=None
)
_PACKAGES = "some 100 packages; half a minute with uv, minutes with pip"
RequirementArgument = Annotated[str, typer.Argument(help="name==version, or the name alone where there is one version.")]


def connectors_folder() -> Path:
    """Where connectors are installed."""
    from pay_ready.settings import Environment

    return Environment().connectors_folder


@app.command()
def install(
    connector: Annotated[
        str | None, typer.Argument(help="A package at one exact version, name==version; or a shipped manifest by its name: gong.")
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="Your own manifest of a declarative connector (YAML); CONNECTOR is then its name, else the file's.")
    ] = None,
    python: Annotated[str | None, typer.Option(help="Interpreter, for example python3.11; most connectors need 3.10 or 3.11.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Install one exact version. Example: pay-ready connectors install airbyte-source-faker==7.2.1"""
    installed = _install(connector, manifest, python)
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


def _install(connector: str | None, manifest: Path | None, python: str | None) -> "InstalledConnector":
    from pay_ready.sources.installs import install_connector
    from pay_ready.sources.manifest_installs import install_manifest
    from pay_ready.sources.manifests import read_manifest, shipped_manifest, shipped_manifests

    if manifest is not None:
        read = read_manifest(manifest.expanduser(), connector)
    elif connector is None:
        raise UsageError("which connector?", f"give name==version, --manifest FILE, or a shipped one: {', '.join(shipped_manifests())}")
    elif connector.partition("==")[0].strip() in shipped_manifests():
        read = shipped_manifest(connector)
    else:
        note(f"installing {connector} ({_PACKAGES})")
        return install_connector(connector, connectors_folder(), python)
    note(f"installing {read} ({_PACKAGES})")
    return install_manifest(read, connectors_folder(), python)
