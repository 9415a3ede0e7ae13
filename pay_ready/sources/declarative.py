"""Runs in the environment of a declarative connector, never in ours: gives its manifest to airbyte-cdk.

`python declarative.py MANIFEST {spec,check,discover,read} …`. The CDK's own source-declarative-manifest does the same, but its
`spec` knows no manifest, and it puts the manifest into the configuration: a strict specification then refuses it, and a
rotated token would come back with the manifest around it.
"""

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from airbyte_cdk.entrypoint import AirbyteEntrypoint, launch
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from airbyte_cdk.utils.yaml_loader import safe_load_yaml
from jsonschema.exceptions import ValidationError


def source_of(manifest: Path, words: list[str]) -> Any:
    """The source that the manifest describes, for one call."""
    call = AirbyteEntrypoint.parse_args(words)
    config, catalog, state = (getattr(call, name, None) for name in ("config", "catalog", "state"))
    return ConcurrentDeclarativeSource(
        config=ConcurrentDeclarativeSource.read_config(config) if config else {},
        catalog=ConcurrentDeclarativeSource.read_catalog(catalog) if catalog else None,
        state=ConcurrentDeclarativeSource.read_state(state) if state else [],
        source_config=safe_load_yaml(manifest.read_text("utf-8")),
        config_path=config,
        # A manifest is a stranger's text: it must not name Python of its own, not even by way of what an API answers.
        custom_components_trusted=False,
    )


def main(manifest: str, *words: str) -> None:
    """One call; what cannot be built is said as a connector says it."""
    try:
        source = source_of(Path(manifest), list(words))
    except Exception as error:
        message = f"the manifest is refused: {_reason(error)}"
        AirbyteTracedException(message=message, failure_type=FailureType.config_error, exception=error).emit_message()
        raise
    launch(source, list(words))


def _reason(error: Exception) -> str:
    """What is wrong, and where. The schema's finding is the cause of the CDK's error."""
    finding = error.__cause__ or error
    if not isinstance(finding, ValidationError):
        return str(finding)
    # "Valid under none of the given schemas" helps nobody, nor does a guess among them: what counts is what the component of that
    # very type lacks.
    while finding.parent is not None:
        finding = finding.parent
    while finding.context:
        found = defaultdict(list)
        for each in finding.context:
            found[each.schema_path[0]].append(each)
        of_its_type = [each for each in found.values() if not any("type" in inner.relative_path for inner in each)]
        if len(of_its_type) != 1:
            break
        finding = of_its_type[0][0]
    return f"{finding.json_path}: {finding.message[-200:]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
