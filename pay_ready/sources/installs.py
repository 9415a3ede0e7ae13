"""Airbyte connectors: each in an environment of its own, at an exact version.

Connectors pin versions that exclude each other's and ours, so none shares an environment. An installation is whole or
absent: it is built beside its place and moved there.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec import MsgspecError, Struct, json

from pay_ready.errors import ConfigError, ContractError, NotFoundError, PayReadyError, TransientError, UsageError
from pay_ready.sources.manifests import shipped_manifests
from pay_ready.sources.process import ConnectorCommand
from pay_ready.sources.scratch import locked

_RECORD = "installed.json"
_BUILDING = ".building-"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)")
# Most connectors declare Requires-Python < 3.12.
_OLDEST, _TOO_NEW = (3, 10), (3, 12)
_CANDIDATES = ("python3.11", "python3.10", sys.executable)
_INSTALL_LIMIT_S = 1800
_URL = re.compile(r"\w+://\S+")
# pip says of an unreachable registry, too, that it has no such package: these words come first.
_UNREACHABLE = re.compile(r"retrying \(|failed to fetch|connection|timed out|temporary failure|network", re.I)
_ABSENT = re.compile(
    r"no matching distribution|no version of|was not found in the package registry|could not find a version|unsatisfiable|different python",
    re.I,
)

# Runs in the connector's own environment: what is in it, and how it is called.
_INVENTORY = """
import json, sys
from importlib.metadata import distribution, distributions
it = distribution(sys.argv[1])
meta = it.metadata
classifiers = [c.rpartition(" :: ")[2] for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
print(json.dumps({
    "name": sys.argv[1],
    "version": it.version,
    "python": ".".join(map(str, sys.version_info[:3])),
    "licence": meta.get("License-Expression") or meta.get("License") or ", ".join(classifiers) or "",
    "scripts": [e.name for e in it.entry_points if e.group == "console_scripts"],
    "packages": sorted({f"{d.metadata['Name']}=={d.version}" for d in distributions()}, key=str.lower),
}))
"""


class Installed(Struct, frozen=True):
    """What is recorded of an installation."""

    name: str
    version: str
    python: str
    licence: str
    scripts: tuple[str, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledConnector:
    """An installed connector. `packages` are all of its environment's, as name==version; `python` is its interpreter's version."""

    name: str
    version: str
    folder: Path
    script: str
    python: str
    licence: str
    packages: tuple[str, ...]

    def command(self, home: Path) -> ConnectorCommand:
        """How to call it; runs have their scratch folders below `home`."""
        return ConnectorCommand(argv=(str(self.folder / "bin" / self.script),), name=self.name, version=self.version, home=home)

    @property
    def licence_notice(self) -> str:
        """What its user should know of its licence, in a line."""
        name = self.licence.splitlines()[0] if self.licence else "no licence in its metadata"
        if re.sub(r"[\s.-]", "", name.lower()).startswith(("elv2", "elastic")):
            return f"{self.name} is under the Elastic License 2.0: free to use, but not to be offered to others as a managed service."
        return f"{self.name}: {name}"


# Fills a folder with an environment, by the Python named, and gives its record.
Build = Callable[[Path, str], Installed]


def install_connector(requirement: str, root: Path, python: str | None = None) -> InstalledConnector:
    """Install a package below `root`, unless this version is there. `python`: a command or path, else one is looked for.

    Raises:
        UsageError: The requirement is not name==version.
        ConfigError: There is no Python that the connector runs on.
        NotFoundError: The registry has no such connector, or none for this Python.
        TransientError: The registry cannot be reached, or installing took too long.
        ContractError: The package is no connector: it has no console script.
    """
    name, version = parse_requirement(requirement)

    def build(folder: Path, interpreter: str) -> Installed:
        build_environment(folder, interpreter, f"{name}=={version}")
        return inventory(folder, name)

    return install_once(root, name, version, build, python)


def install_once(root: Path, name: str, version: str, build: Build, python: str | None = None) -> InstalledConnector:
    """Have an installation built, unless this version of it is there.

    Raises:
        ConfigError: There is no Python that connectors run on.
        PayReadyError: It could not be built; nothing of it stays.
    """
    root.mkdir(parents=True, exist_ok=True)
    target = root / f"{name}@{version}"
    with locked(root / ".lock"):
        if (target / _RECORD).is_file():
            return _load(target)
        interpreter = find_python(python)
        with _built_beside(target) as folder:
            installed = build(folder, interpreter)
            _move_scripts(folder, target)
            (folder / _RECORD).write_bytes(json.format(json.encode(installed), indent=2))
    return _load(target)


def list_connectors(root: Path) -> tuple[InstalledConnector, ...]:
    """The connectors below `root`, by name and version."""
    return tuple(_load(record.parent) for record in sorted(root.glob(f"[!.]*/{_RECORD}")))


def find_connector(requirement: str, root: Path) -> InstalledConnector:
    """An installed connector by name==version, or by name when there is one version of it.

    Raises:
        UsageError: Several versions are installed and none was named.
        NotFoundError: It is not installed.
    """
    name, _, version = requirement.partition("==")
    name = normalized(name)
    found = [each for each in list_connectors(root) if each.name == name and version in ("", each.version)]
    if not found:
        example = requirement if version or name in shipped_manifests() else f"{requirement}==<version>"
        raise NotFoundError("the connector is not installed", f"pay-ready connectors install {example}", connector=requirement)
    if len(found) > 1:
        choices = ", ".join(f"{each.name}=={each.version}" for each in found)
        raise UsageError("several versions are installed", f"choose one of {choices}", connector=name)
    return found[0]


def remove_connector(requirement: str, root: Path) -> InstalledConnector:
    """Remove an installed connector, and give what it was.

    Raises:
        UsageError, NotFoundError: As `find_connector`.
    """
    connector = find_connector(requirement, root)
    with locked(root / ".lock"):
        # Renamed first: a half removed environment is no connector.
        doomed = connector.folder.with_name(_BUILDING + connector.folder.name)
        shutil.rmtree(doomed, ignore_errors=True)
        connector.folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
    return connector


def parse_requirement(requirement: str) -> tuple[str, str]:
    """Name, as registries spell it, and version.

    Raises:
        UsageError: It is not name==version.
    """
    match = _REQUIREMENT.fullmatch(requirement.strip())
    if not match:
        hint = f"name one, for example airbyte-source-faker==7.2.1, or a shipped manifest: {', '.join(shipped_manifests())}"
        raise UsageError("a connector is installed at an exact version", hint, connector=requirement)
    return normalized(match["name"]), match["version"]


def find_python(wanted: str | None = None) -> str:
    """A Python for connectors: the wanted one (3.11, a command, a path), else 3.11 or 3.10 from the path, else ours.

    Raises:
        ConfigError: There is none; says what to install.
    """
    if wanted is not None:
        wanted = f"python{wanted}" if re.fullmatch(r"\d+\.\d+", wanted) else wanted
        if _python_version(wanted) is None:
            raise ConfigError("this Python does not run", "give a command or path, for example python3.11", python=wanted)
        return wanted
    for candidate in _CANDIDATES:
        # A launcher on the path (pyenv's) may stand for an interpreter that is not there: only running it tells.
        version = _python_version(candidate)
        if version is not None and _OLDEST <= version < _TOO_NEW:
            return candidate
    hint = "install Python 3.11 (apt install python3.11, uv python install 3.11), or name one with --python"
    raise ConfigError("connectors need Python 3.10 or 3.11, and there is none", hint, tried=", ".join(map(str, _CANDIDATES)))


def _python_version(command: str) -> tuple[int, int] | None:
    try:
        asked = [command, "-c", "import sys; print(*sys.version_info[:2])"]
        said = subprocess.run(asked, capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
        major, minor = map(int, said.stdout.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return major, minor


def normalized(name: str) -> str:
    """A package's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def _built_beside(target: Path) -> Iterator[Path]:
    """A folder that becomes the target when all went well. What a killed installation left, and an unfinished target, go first."""
    for left in target.parent.glob(f"{_BUILDING}*"):
        shutil.rmtree(left, ignore_errors=True)
    if target.exists():
        shutil.rmtree(target)
    # A name of our own: the installer of a killed process may go on writing to its folder for a moment.
    folder = target.with_name(f"{_BUILDING}{target.name}-{os.getpid()}")
    try:
        yield folder
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build_environment(folder: Path, python: str, requirement: str) -> None:
    """Make a virtual environment with a package in it.

    Raises:
        NotFoundError, TransientError: As `install_connector`.
    """
    own_python = str(folder / "bin" / "python")
    if uv := _uv():
        _run([uv, "venv", "--quiet", "--no-project", "--python", python, str(folder)], requirement)
        _run([uv, "pip", "install", "--quiet", "--python", own_python, requirement], requirement)
    else:
        _run([python, "-m", "venv", str(folder)], requirement)
        _run([own_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement], requirement)


def _uv() -> str | None:
    """uv on the path, or in the environment that we run in: it installs in seconds what takes pip minutes."""
    return shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))


def _run(command: Sequence[str], requirement: str) -> None:
    """Run an installer's command, in our own environment: it holds the user's registry and proxy.

    Raises:
        NotFoundError, TransientError: As `install_connector`.
    """
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_INSTALL_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise TransientError("installing took too long", "try again", connector=requirement, limit_s=_INSTALL_LIMIT_S) from error
    if done.returncode:
        raise _install_error((done.stderr + done.stdout).decode("utf-8", "replace"), requirement)


def _install_error(said: str, requirement: str) -> PayReadyError:
    """What an installer's output means. Addresses are left out: a registry's may hold a password."""
    text = " ".join(_URL.sub("<url>", said).split())
    if _ABSENT.search(text) and not _UNREACHABLE.search(text):
        hint = "check name and version; with another Python, name it with --python"
        return NotFoundError(f"the registry has no such connector: {text[:400]}", hint, connector=requirement)
    return TransientError(f"the connector could not be installed: {text[-400:]}", "try again", connector=requirement)


def inventory(folder: Path, name: str) -> Installed:
    """What is in an environment that has the package.

    Raises:
        ContractError: The package has no console script, or its environment does not answer.
    """
    said = subprocess.run([str(folder / "bin" / "python"), "-I", "-c", _INVENTORY, name], capture_output=True, check=False)
    try:
        installed = json.decode(said.stdout, type=Installed)
    except MsgspecError as error:
        raise ContractError("the connector's environment does not answer", "try again with another --python", package=name) from error
    if not installed.scripts:
        hint = "name a connector, for example airbyte-source-faker==7.2.1"
        raise ContractError("the package is no connector: it has no console script", hint, package=name)
    return installed


def _move_scripts(folder: Path, target: Path) -> None:
    """Have the environment's scripts name the place that they are moved to."""
    here, there = str(folder).encode(), str(target).encode()
    for script in (folder / "bin").iterdir():
        if script.is_file() and not script.is_symlink() and here in (content := script.read_bytes()):
            script.write_bytes(content.replace(here, there))


def _load(folder: Path) -> InstalledConnector:
    """A connector from its record.

    Raises:
        ConfigError: The record cannot be read.
    """
    try:
        found = json.decode((folder / _RECORD).read_bytes(), type=Installed)
    except (OSError, MsgspecError) as error:
        raise ConfigError("the record of a connector cannot be read", "remove its folder and install it again", folder=folder) from error
    return InstalledConnector(
        name=found.name,
        version=found.version,
        folder=folder,
        script=_script(found),
        python=found.python,
        licence=found.licence,
        packages=found.packages,
    )


def _script(installed: Installed) -> str:
    """The console script of the connector: airbyte-source-faker brings source-faker."""
    usual = installed.name.removeprefix("airbyte-")
    return usual if usual in installed.scripts else installed.scripts[0]
