"""`make bench`: every benchmark, each in a process of its own. `make bench ARGS=landing` runs those named."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Run them; 1 when one of them fails."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
