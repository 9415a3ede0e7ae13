"""`make bench`: every benchmark, each in a process of its own. `make bench ARGS=landing` runs those named; further words are theirs:
`make bench ARGS="resolution people.parquet --truth true_id"`."""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> int:
    """Run them; 1 when one of them fails."""
    known = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    names = [word for word in sys.argv[1:] if word in known] or known
    words = [word for word in sys.argv[1:] if word not in known]
    if words and len(names) != 1:
        print(f"words for one benchmark: name it; choices: {', '.join(known)}")
        return 2
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.benchmarks.{name}", *words], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
