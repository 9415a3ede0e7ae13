"""Manifests of declarative connectors: those that we ship, and users' own. Reading one runs nothing of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from pay_ready.errors import ConfigError, NotFoundError, UsageError
from pay_ready.resources import resource_path

# The package that runs manifests, at the version that they were tried with.
CDK_PACKAGE, CDK_VERSION = "airbyte-cdk", "7.39.1"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:[A-Za-z0-9.-]*)")
_HASH_CHARACTERS = 12
_LARGEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest that may be installed. `version` is the one that it declares (of the CDK), and its content's hash."""

    name: str
    version: str
    content: bytes
    licence: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def shipped_manifests() -> tuple[str, ...]:
    """The names of the manifests that come with pay_ready."""
    return tuple(sorted(path.stem for path in resource_path("config", "connectors").glob("*.yaml")))


def shipped_manifest(requirement: str) -> Manifest:
    """A shipped manifest by its name, or by name==version.

    Raises:
        UsageError: None of that name; names those there are.
        NotFoundError: It is shipped in another version.
    """
    name, _, version = requirement.strip().partition("==")
    if name not in shipped_manifests():
        raise UsageError("no shipped manifest of this name", f"choose one of {', '.join(shipped_manifests())}", connector=name)
    manifest = read_manifest(resource_path("config", "connectors", f"{name}.yaml"))
    if version not in ("", manifest.version):
        hint = f"install the one that is shipped: pay-ready connectors install {name}"
        raise NotFoundError("the manifest is shipped in another version", hint, connector=requirement, shipped=manifest.version)
    return manifest


def read_manifest(path: Path, name: str | None = None) -> Manifest:
    """A manifest from its file; its name is the file's unless told otherwise.

    Raises:
        ConfigError: It cannot be read, is no manifest, is made for a newer CDK, or names Python components of its own.
        UsageError: The name is none.
    """
    name = name or re.sub(r"[-_.\s]+", "-", path.stem.lower())
    if not _NAME.fullmatch(name):
        hint = "use lower-case letters, digits and -: pay-ready connectors install NAME --manifest FILE"
        raise UsageError("not a connector's name", hint, name=name)
    content = _content(path)
    document = _document(path, content)
    declared = _declared_version(path, document)
    for place in _custom_components(document):
        hint = "a manifest that needs Python of its own cannot be run here: use the components that the CDK has"
        raise ConfigError("the manifest names custom Python components", hint, file=path, key=place)
    metadata = document.get("metadata")
    licence = metadata.get("license") if isinstance(metadata, dict) else None
    return Manifest(
        name=name,
        version=f"{declared}+{sha256(content).hexdigest()[:_HASH_CHARACTERS]}",
        content=content,
        licence=licence if isinstance(licence, str) else "",
    )


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ConfigError("too large for a manifest", f"at most {_LARGEST_BYTES >> 20} MiB", file=path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError("cannot read the manifest", type(error).__name__, file=path) from None


def _document(path: Path, content: bytes) -> dict[str, object]:
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = {"line": mark.line + 1} if mark else {}
        raise ConfigError("the manifest is not YAML", getattr(error, "problem", None) or "", file=path, **line) from None
    if (
        not isinstance(document, dict)
        or not {"version", "check"} <= document.keys()
        or not {"streams", "dynamic_streams"} & document.keys()
    ):
        hint = "a manifest has version, check and streams: see Airbyte's documentation of low-code connectors"
        raise ConfigError("not a manifest of a declarative connector", hint, file=path)
    return document


def _declared_version(path: Path, document: dict[str, object]) -> str:
    declared = str(document["version"])
    match, ours = _VERSION.fullmatch(declared), _VERSION.fullmatch(CDK_VERSION)
    if match is None:
        raise ConfigError("not a version", f"the CDK's that the manifest is made for, for example {CDK_VERSION}", file=path, key="version")
    if ours is not None and tuple(map(int, match.groups())) > tuple(map(int, ours.groups())):
        hint = f"this pay_ready runs manifests with {CDK_PACKAGE} {CDK_VERSION}"
        raise ConfigError("the manifest is made for a newer CDK", hint, file=path, version=declared)
    return declared


def _custom_components(node: object, place: str = "$", seen: set[int] | None = None) -> Iterator[str]:
    """Where a manifest names Python classes. Aliases make one node stand in many places, even within itself: each is looked at once."""
    seen = set() if seen is None else seen
    if id(node) in seen:
        return
    seen.add(id(node))
    match node:
        case dict():
            if "class_name" in node or str(node.get("type", "")).startswith("Custom"):
                yield place
            for key, inner in node.items():
                yield from _custom_components(inner, f"{place}.{key}", seen)
        case list():
            for number, inner in enumerate(node):
                yield from _custom_components(inner, f"{place}[{number}]", seen)
