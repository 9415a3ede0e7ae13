"""A declarative connector is installed as any other: an environment with airbyte-cdk, the manifest, and a script that joins them."""

import shutil
from pathlib import Path

import msgspec

from pay_ready.errors import ConfigError, PayReadyError, TransientError
from pay_ready.sources import connector
from pay_ready.sources.installs import Installed, InstalledConnector, build_environment, install_once, inventory
from pay_ready.sources.manifests import CDK_PACKAGE, CDK_VERSION, Manifest
from pay_ready.sources.process import ConnectorCommand

_MANIFEST, _RUNNER = "manifest.yaml", "declarative.py"
# Finds everything beside itself: whatever the folder's name is, it stands nowhere in it.
_SCRIPT = f'#!/bin/sh\nhere="${{0%/*}}"\nexec "$here/python" -I "$here/../{_RUNNER}" "$here/../{_MANIFEST}" "$@"\n'


def install_manifest(manifest: Manifest, root: Path, python: str | None = None) -> InstalledConnector:
    """Install a declarative connector below `root`, unless this manifest is there. `python` as for `install_connector`.

    Raises:
        ConfigError: The CDK refuses the manifest, or there is no Python that it runs on.
        NotFoundError, TransientError: As `install_connector`.
    """

    def build(folder: Path, interpreter: str) -> Installed:
        build_environment(folder, interpreter, f"{CDK_PACKAGE}=={CDK_VERSION}")
        script = _write(folder, manifest)
        _try(script, manifest, folder / ".runs")
        own = {"name": manifest.name, "version": manifest.version, "licence": manifest.licence, "scripts": (script.name,)}
        return msgspec.structs.replace(inventory(folder, CDK_PACKAGE), **own)

    return install_once(root, manifest.name, manifest.version, build, python)


def _write(folder: Path, manifest: Manifest) -> Path:
    """Put the manifest and what runs it into an environment; the script that a connector is called by."""
    (folder / _MANIFEST).write_bytes(manifest.content)
    shutil.copyfile(Path(__file__).with_name(_RUNNER), folder / _RUNNER)
    script = folder / "bin" / f"source-{manifest.name}"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    return script


def _try(script: Path, manifest: Manifest, home: Path) -> None:
    """Have the CDK read the manifest: what is installed can at least say what it wants to know.

    Raises:
        ConfigError: It is refused; names the place.
        TransientError: The CDK was ended before it could say.
    """
    command = ConnectorCommand(argv=(str(script),), name=manifest.name, version=manifest.version, home=home)
    try:
        connector.spec(command)
    except ConfigError as error:
        raise ConfigError(error.what, "correct the manifest and install it again", manifest=manifest) from None
    except TransientError:
        raise
    except PayReadyError as error:
        hint = "has it a spec that says which configuration it wants?"
        raise ConfigError(f"the manifest cannot be run: {error.what}", hint, manifest=manifest) from error
    finally:
        shutil.rmtree(home, ignore_errors=True)
