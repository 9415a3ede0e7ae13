"""What an increment costs beside a run over everything, and how long one record takes to be decided, in one run on the same records.

    python -m tests.benchmarks.increments [people.parquet] [--records 50000] [--new 1000] [--decided 400] [--companies 20000]

The file has the columns of shared people data (full_name, email, phone, title, city, company_name, company_domain); without one, people are
made up. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one. Prints wall seconds, CPU
seconds of this process (the server's are its own), phases and peak memory.
"""

import argparse
import gc
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import structlog

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import EntityType, Reads, ResolveReport
from pay_ready.pipeline.decide import FIELDS, Decider
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned, make_tenant
from tests.integration.test_models import people_of
from tests.publish_support import SOURCES, CompanyRow, PersonRow, Staged, add_people, config, resolve, stage


def people_from(path: str | None, records: int) -> list[PersonRow]:
    """The first records of a file, or made up."""
    if path is None:
        return people_of(records // 2)[:records]
    import pyarrow.parquet as pq

    columns = ("full_name", "email", "phone", "title", "city", "company_domain")
    rows = pq.read_table(path, columns=list(columns)).slice(0, records).to_pylist()
    return [
        PersonRow(source=SOURCES[number % len(SOURCES)], key=f"id:{number}", **{**row, "email": row["email"] and row["email"].lower()})
        for number, row in enumerate(rows)
    ]


def measured(name: str, work: Callable[[], ResolveReport]) -> None:
    """Run and print one line."""
    wall, cpu = time.perf_counter(), time.process_time()
    report = work()
    phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in report.seconds.items())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took = f"{time.perf_counter() - wall:8.2f} s wall {time.process_time() - cpu:8.2f} s CPU, peak {peak:,.0f} MB"
    sys.stdout.write(f"{name:48} {took} ({phases})\n")


def companies_from(path: str | None, most: int) -> list[CompanyRow]:
    """The first employers of a file, one record for each name with a domain; none without a file."""
    if path is None:
        return []
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["company_name", "company_domain"])
    names = zip(table.column("company_name").to_pylist(), table.column("company_domain").to_pylist(), strict=True)
    pairs = [each for each in dict.fromkeys(names) if each[0]]
    return [
        CompanyRow(source=SOURCES[number % len(SOURCES)], key=f"id:{number}", name=name, domain=domain)
        for number, (name, domain) in enumerate(pairs[:most])
    ]


def decide_all(database: Database, tenant: TenantId, entity_type: EntityType, records: Sequence[PersonRow] | Sequence[CompanyRow]) -> None:
    """Decide about each of these records, and print how long one takes: the first half while the load's pages are still being written."""
    decider = Decider(database, tenant, config())
    values: list[Mapping[str, str | None]] = [{field: getattr(each, field, None) for field in FIELDS[entity_type]} for each in records]
    decider.resolve_one(entity_type, values[0])  # loads the models
    for name, part in (("straight after the load", values[: len(values) // 2]), ("then", values[len(values) // 2 :])):
        spans = []
        for each in part:
            began = time.perf_counter()
            decider.resolve_one(entity_type, each)
            spans.append(time.perf_counter() - began)
        half, most = np.percentile(spans, (50, 95)) * 1_000
        sys.stdout.write(f"one {entity_type} decided, {name}: p50 {half:.1f} ms, p95 {most:.1f} ms ({len(spans)} of them)\n")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("people", nargs="?")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--new", type=int, default=1_000)
    parser.add_argument("--decided", type=int, default=400)
    parser.add_argument("--companies", type=int, default=20_000, help="most of the people's employers that are resolved after them")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    people = people_from(asked.people, asked.records)
    gc.collect()
    gc.freeze()  # what stands for the sources here is no part of a run, whose garbage would be looked for among it
    known, new = people[: -2 * asked.new], people[-2 * asked.new :]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = stack.enter_context(cloned(stack.enter_context(running_server(folder / "embedded")), None))
        database = stack.enter_context(migrated(scratch))
        tenant = make_tenant(database, "bench")
        stage(scratch.admin_url, tenant, Staged())
        add_people(scratch.admin_url, tenant, known)

        def run(reads: Reads) -> Callable[[], ResolveReport]:
            return lambda: resolve(database, tenant, reads=reads)

        measured(f"first load of {len(known):,}", run("all"))
        decide_all(database, tenant, "person", new[: asked.decided])
        for name, part in (("first", new[: asked.new]), ("second", new[asked.new :])):
            add_people(scratch.admin_url, tenant, part)
            measured(f"increment of {len(part):,}, the {name}", run("changed"))
        measured("everything again, with the same models", run("all"))
        companies = companies_from(asked.people, asked.companies)
        if len(companies) > asked.decided:
            others = make_tenant(database, "companies")
            stage(scratch.admin_url, others, Staged(companies=companies[: -asked.decided]))
            measured(f"first load of {len(companies) - asked.decided:,} companies", lambda: resolve(database, others, reads="all"))
            decide_all(database, others, "company", companies[-asked.decided :])


if __name__ == "__main__":
    main()
