"""Manifests of declarative connectors: what may be installed, under which name and version, and what is refused unread."""

import hashlib
from pathlib import Path

import pytest
import yaml

from pay_ready.errors import ConfigError, NotFoundError, UsageError
from pay_ready.resources import resource_path
from pay_ready.sources.manifests import CDK_VERSION, read_manifest, shipped_manifest, shipped_manifests

GOOD = """
version: 7.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [things]}
streams: [{type: DeclarativeStream, name: things}]
metadata: {license: MIT}
"""


def written(folder: Path, text: str, name: str = "own.yaml") -> Path:
    """A manifest's file."""
    path = folder / name
    path.write_text(text)
    return path


def test_a_version_is_the_declared_one_and_the_hash_of_the_content(tmp_path: Path) -> None:
    """Two files of one declared version are two versions; a name may be given, else it is the file's as connectors are called."""
    manifest = read_manifest(written(tmp_path, GOOD, "My_Own.api.yaml"))
    assert (manifest.name, manifest.licence) == ("my-own-api", "MIT")
    assert manifest.version == f"7.0.0+{hashlib.sha256(GOOD.encode()).hexdigest()[:12]}"
    other = read_manifest(written(tmp_path, GOOD + "# changed\n"), "mine")
    assert other.name == "mine"
    assert other.version != manifest.version


def test_the_shipped_manifest_is_found_by_its_name() -> None:
    """Alone or at its version; another version says which one is there, another name which names there are."""
    manifest = shipped_manifest("gong")
    assert shipped_manifests() == ("gong",)
    assert shipped_manifest(f"gong=={manifest.version}") == manifest
    assert manifest.licence == "Apache-2.0"
    with pytest.raises(NotFoundError, match=f"shipped={CDK_VERSION}"):
        shipped_manifest("gong==1.0")
    with pytest.raises(UsageError, match="choose one of gong"):
        shipped_manifest("gongg")


def test_the_shipped_manifest_names_what_is_secret() -> None:
    """Every credential is declared secret, and nothing that is not declared may be configured."""
    wanted = yaml.safe_load(resource_path("config", "connectors", "gong.yaml").read_text())["spec"]["connection_specification"]
    credentials = wanted["properties"]["credentials"]
    assert {name for name, schema in credentials["properties"].items() if schema.get("airbyte_secret")} == {
        "access_key", "access_key_secret", "client_id", "client_secret", "refresh_token", "access_token",
    }  # fmt: skip
    assert not wanted["additionalProperties"]
    assert not credentials["additionalProperties"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            GOOD.replace("name: things}", "name: things, retriever: {type: CustomRetriever}}"),
            r"custom Python .*key=\$\.streams\[0\]\.retriever",
        ),
        (GOOD + "definitions: {auth: {class_name: os.system}}", r"custom Python components.*key=\$\.definitions\.auth"),
        (GOOD + "definitions: &loop {within: [*loop, {class_name: x}]}", r"custom Python components.*key=\$\.definitions\.within\[1\]"),
        (GOOD.replace("7.0.0", "99.0.0"), f"newer CDK.*version=99.0.0.*airbyte-cdk {CDK_VERSION}"),
        (GOOD.replace("7.0.0", "latest"), "not a version.*key=version"),
        (GOOD.replace("check:", "checks:"), "not a manifest"),
        ("[1, 2]", "not a manifest"),
        ("a: [1\nb: 2", "not YAML.*line=2"),
        ("a: !!python/object/apply:os.system [x]", "not YAML"),
    ],
)
def test_what_is_no_manifest_or_runs_code_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With the file and the place in it, before anything is installed; an alias that leads back to itself is no trap."""
    with pytest.raises(ConfigError, match=said) as caught:
        read_manifest(written(tmp_path, text))
    assert caught.value.where["file"] == tmp_path / "own.yaml"


def test_files_and_names_that_are_none(tmp_path: Path) -> None:
    """An absent file, one that is too large, a name with a blank at its end."""
    with pytest.raises(ConfigError, match="cannot read the manifest"):
        read_manifest(tmp_path / "gone.yaml")
    with pytest.raises(ConfigError, match="at most 4 MiB"):
        read_manifest(written(tmp_path, GOOD + "#" * (4 << 20)))
    with pytest.raises(UsageError, match="not a connector's name"):
        read_manifest(written(tmp_path, GOOD), "mine ")
