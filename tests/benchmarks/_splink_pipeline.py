"""Splink on people, run by the Python of its own environment, with its tutorial's settings and no labels.

    python _splink_pipeline.py FILE.parquet CLUSTERS.parquet

The file has unique_id, given_name, family_name and what there is of email, phone, company, city, dob, postcode. Prints one JSON object:
CPU seconds of this process, wall seconds, peak memory in MiB. Writes unique_id and cluster.
"""

import json
import resource
import sys
import time
from typing import Any

import pyarrow.parquet as parquet
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

THRESHOLD = 0.95
OPTIONAL: dict[str, Any] = {
    "email": lambda: compare.EmailComparison("email"),
    "phone": lambda: compare.ExactMatch("phone").configure(term_frequency_adjustments=True),
    "company": lambda: compare.JaroWinklerAtThresholds("company", [0.9]).configure(term_frequency_adjustments=True),
    "city": lambda: compare.ExactMatch("city").configure(term_frequency_adjustments=True),
    "dob": lambda: compare.DateOfBirthComparison("dob", input_is_string=True),
    "postcode": lambda: compare.ExactMatch("postcode").configure(term_frequency_adjustments=True),
}


def main() -> None:
    """Link, cluster, write, and print the figures."""
    source, target = sys.argv[1:3]
    cpu, wall = time.process_time(), time.perf_counter()
    table = parquet.read_table(source)
    held = [name for name in OPTIONAL if name in table.column_names]
    rules = [block_on("given_name", "family_name"), *(block_on(name) for name in held if name in ("email", "phone"))]
    rules += [block_on("family_name", name) for name in held if name in ("company", "city", "dob", "postcode")]
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[compare.ForenameSurnameComparison("given_name", "family_name"), *(OPTIONAL[name]() for name in held)],
        blocking_rules_to_generate_predictions=rules,
    )
    database = DuckDBAPI()
    linker = Linker(database.register(table, table_name="people"), settings, log_level=50)
    sure = [block_on("given_name", "family_name", name) for name in held[:2]]
    linker.training.estimate_probability_two_random_records_match(sure, recall=0.7)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("given_name", "family_name"))
    for name in held[:2]:
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(name))
    predicted = linker.inference.predict(threshold_match_probability=THRESHOLD)
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predicted, threshold_match_probability=THRESHOLD)
    found = clusters.as_duckdbpyrelation().select("unique_id, cluster_id as cluster").to_arrow_table()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    parquet.write_table(found, target)
    print(json.dumps({"cpu_s": cpu, "wall_s": wall, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
