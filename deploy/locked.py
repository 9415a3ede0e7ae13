#!/usr/bin/env python3
"""Print requirements.lock without the tools of pay-ready's developers, as far as pyproject.toml names them.

What those tools bring along stays: prune.py takes it out once it is installed and says what it needs. What builds the wheel stays, too.
"""

import re
import sys
import tomllib
from pathlib import Path

BUILDER = "build"


def name_of(requirement: str) -> str:
    """The name of a requirement, as registries spell it."""
    found = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def without_tools(lock: str, project: str) -> str:
    """The lock file's entries, each with its hashes, less those of the dev group that nothing else of the project names."""
    said = tomllib.loads(project)
    extras = [each for extra in said["project"].get("optional-dependencies", {}).values() for each in extra]
    needed = {name_of(each) for each in (*said["project"]["dependencies"], *extras, *said["build-system"]["requires"], BUILDER)}
    tools = {name_of(each) for each in said["dependency-groups"]["dev"]} - needed
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    return "".join(entry for entry in entries if name_of(entry) not in tools)


if __name__ == "__main__":
    sys.stdout.write(without_tools(Path("requirements.lock").read_text("utf-8"), Path("pyproject.toml").read_text("utf-8")))
