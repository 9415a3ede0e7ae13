"""People resolved by us and by Splink: the same file, no labels, each in a process of its own, in one run.

    python -m tests.benchmarks.resolution [FILE --truth COLUMN] [--people 20000] [--without-splink]

Without a file, people are made up. Splink gets an environment of its own in a scratch folder, by uv, and the columns that it can use,
cleaned as its tutorials do: lower case, digits of the phone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from pay_ready.pipeline.evaluate import read_table
from pay_ready.resolve.linkage.mapping import Kind, map_columns
from pay_ready.resolve.linkage.quality import Quality, quality_of
from tests.linkage_support import people_table

_FIELDS: dict[Kind, str] = {"email": "email", "phone": "phone", "company": "company", "city": "city", "date": "dob", "postcode": "postcode"}


def main() -> None:
    """Both contenders, side by side."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("file", nargs="?", type=Path)
    words.add_argument("--truth", default="true_id")
    words.add_argument("--people", type=int, default=20_000)
    words.add_argument("--without-splink", action="store_true")
    chosen = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        file = chosen.file or _made_up(place, chosen.people)
        table = read_table(file)
        truth = np.unique(np.array([str(each) for each in table.column(chosen.truth).to_pylist()]), return_inverse=True)[1]
        print(f"{file.name}: {table.num_rows:,} rows, {len(np.unique(truth)):,} people")
        _ours(file, chosen.truth)
        python = None if chosen.without_splink else _splink_python(place)
        if python:
            _splink(python, place, table, chosen.truth, truth)


def _made_up(folder: Path, people: int) -> Path:
    path = folder / "people.parquet"
    parquet.write_table(people_table(people), path)
    return path


def _ours(file: Path, truth: str) -> None:
    words = ["evaluate", str(file), "--truth", truth, "--errors", "0", "--json"]
    code = "import sys; from pay_ready.cli.main import main; sys.argv = ['pay-ready', *sys.argv[1:]]; main()"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"ours failed:\n{done.stderr}")
    data = json.loads(done.stdout)["data"]
    phases = ", ".join(f"{name} {span:.1f}" for name, span in data["cpu_by_phase"].items())
    _say(
        "ours", (data["pair_precision"], data["pair_recall"], data["pair_f1"], data["bcubed_f1"], data["exact_clusters"]), data["cpu_s"],
        data["wall_s"], data["peak_rss_mb"],
    )  # fmt: skip
    print(f"    predicted precision {data['predicted_precision']:.3f}; CPU seconds by phase: {phases}")


def _splink(python: Path, folder: Path, table: pa.Table, truth_column: str, truth: np.ndarray) -> None:
    source, target = folder / "splink-in.parquet", folder / "splink-out.parquet"
    parquet.write_table(_for_splink(table, truth_column), source)
    script = Path(__file__).with_name("_splink_pipeline.py")
    done = subprocess.run([str(python), str(script), str(source), str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"splink failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
        return
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    found = parquet.read_table(target)
    labels = np.empty(len(truth), dtype=np.int64)
    labels[found.column("unique_id").to_numpy()] = np.unique(found.column("cluster").to_numpy(), return_inverse=True)[1]
    quality: Quality = quality_of(labels, truth)
    shares = (quality.pair_precision, quality.pair_recall, quality.pair_f1, quality.bcubed_f1, quality.exact_clusters)
    _say("splink", shares, figures["cpu_s"], figures["wall_s"], figures["peak_mib"])


def _for_splink(table: pa.Table, truth: str) -> pa.Table:
    """Given and family name (the first and the last word, where one column has both), and the other fields, cleaned."""
    kinds = {each.kind: each.column for each in map_columns(table, "person", {}, [truth])}

    def cleaned(column: str) -> pa.Array:
        texts = pc.utf8_trim_whitespace(pc.utf8_lower(table.column(column).combine_chunks().cast(pa.string())))
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)

    columns = {"unique_id": pa.array(range(table.num_rows))}
    nobody = pa.nulls(table.num_rows, pa.string())
    given, family = (cleaned(kinds[kind]) if kind in kinds else nobody for kind in ("given_name", "family_name"))
    if "full_name" in kinds:
        full = cleaned(kinds["full_name"])
        words = pc.match_substring(full, " ")
        given = pc.coalesce(given, pc.replace_substring_regex(full, r"^(\S+) .*$", r"\1"))
        family = pc.coalesce(
            family, pc.if_else(words, pc.replace_substring_regex(full, r"^.* (\S+)$", r"\1"), pa.scalar(None, pa.string()))
        )
    columns |= {"given_name": given, "family_name": family}
    for kind, name in _FIELDS.items():
        if kind in kinds:
            values = cleaned(kinds[kind])
            columns[name] = pc.replace_substring_regex(values, r"\D", "") if kind == "phone" else values
    return pa.table(columns)


def _splink_python(folder: Path) -> Path | None:
    """The Python of an environment with Splink; None, and why, where it cannot be had."""
    home = folder / "splink-environment"
    uv = [sys.executable, "-m", "uv"]
    steps = [[*uv, "venv", "-q", "--python", sys.executable, str(home)],
             [*uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), "splink", "pyarrow"]]  # fmt: skip
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"without Splink: it cannot be installed ({done.stderr.strip().splitlines()[-1:]})")
            return None
    return home / "bin" / "python"


def _say(name: str, shares: tuple[float, ...], cpu_s: float, wall_s: float, peak_mb: float) -> None:
    quality = "  ".join(f"{label} {share:.3f}" for label, share in zip(("P", "R", "F1", "B3", "exact"), shares, strict=True))
    print(f"{name:8} {quality}  CPU {cpu_s:7.1f} s  wall {wall_s:7.1f} s  peak {peak_mb:6,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
