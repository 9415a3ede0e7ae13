"""The same rows by a dlt pipeline, run by the Python of dlt's own environment: a generator over the table, merged by key.

    python _dlt_pipeline.py URL TABLE DATASET PIPELINES_FOLDER

Prints one JSON object: seconds, CPU seconds of this process and its children, peak memory in MiB, rows that are there.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import dlt
import psycopg2
import psycopg2.extras

PAGE = 10_000


def main(url: str, table: str, dataset: str, folder: str) -> None:
    """Run and print."""

    @dlt.resource(name="people", primary_key="id", write_disposition="merge")
    def people() -> Iterator[list[dict[str, Any]]]:
        with psycopg2.connect(url) as connection, connection.cursor("rows", cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.itersize = PAGE
            cursor.execute(f"select * from {table} order by _airbyte_extracted_at")
            while rows := cursor.fetchmany(PAGE):
                yield [dict(row) for row in rows]

    pipeline = dlt.pipeline(
        "beside", destination=dlt.destinations.postgres(credentials=url), dataset_name=dataset, pipelines_dir=folder, progress=None
    )
    wall, cpu = time.perf_counter(), _cpu()
    pipeline.run(people())
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {dataset}.people")
        landed = cursor.fetchone()[0]
    print(json.dumps({"seconds": wall, "cpu_s": cpu, "peak_mib": _peak_mib(), "rows": landed}))


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_mib() -> float:
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
