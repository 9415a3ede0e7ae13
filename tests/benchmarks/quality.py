"""What the rules of data quality cost of a run.

    python -m tests.benchmarks.quality [--contacts 20000] [--emails 40000]

A tenant with HubSpot export files of so many contacts and e-mails: a run over all of it, and one after a hundred contacts changed, both up
to the publish. Told are the seconds of the run and of its steps `quality`, and how many statements these took; the bar is a tenth of the
run. Uses the server that PAY_READY_TEST_ADMIN_URL and PAY_READY_TEST_APP_URL name, else the embedded one, in a database of its own.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from pay_ready.app import App, open_app
from pay_ready.db import tenants
from pay_ready.pipeline.etl import run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.settings import Environment
from tests.benchmarks.landing import migrated, running_server
from tests.conftest import cloned

MOST_PERCENT = 10.0
_TIMES = {"createdAt": "2026-01-01T00:00:00Z", "archived": False}


def main() -> int:
    """Print figures beside their bar; 1 when it is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--emails", type=int, default=40_000)
    words = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(running_server(folder))
        scratch = stack.enter_context(cloned(server, None))
        stack.enter_context(migrated(scratch))
        environment = Environment(home=folder / "state", database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
        app = stack.enter_context(open_app(environment))
        exports = folder / "exports"
        exports.mkdir()
        _write(exports / "engagements_emails.jsonl", [_email(number, words.contacts) for number in range(words.emails)])
        shares = []
        for name, day in (("all of it", 1), ("a hundred contacts changed", 2)):
            contacts = [_contact(number, day if number < 100 else 1) for number in range(words.contacts)]
            _write(exports / "contacts.jsonl", contacts)
            shares.append(_ran(app, exports, name))
    return 0 if max(shares) <= MOST_PERCENT else 1


def _ran(app: App, exports: Path, name: str) -> float:
    """A run; the share of it that went into quality, in percent."""
    tenant = app.tenant_id("bench")
    with app.database.tenant_transaction(tenant) as tx:
        is_new = tenants.find(tx) is None
        if is_new:
            tenants.create(tx, slug="bench", name="Bench", settings={"schema_version": 1}, actor="bench")
    if is_new:
        source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(exports)})
        add_source(app.database, tenant, source, app.feed, lambda: app.keyring, actor="bench")
    work = replace(app.work("bench"), memory=None)
    began = time.perf_counter()
    report = run_etl(work)
    whole_s = time.perf_counter() - began
    report.raise_for_failure()
    checked = [each for each in (report.quality, report.entities) if each is not None]
    seconds, statements = sum(each.seconds for each in checked), sum(each.statements for each in checked)
    results = sum(len(each.results) for each in checked)
    share = 100 * seconds / whole_s
    bar = f"{share:.1f} % of the run (bar {MOST_PERCENT:g} %)"
    print(f"{name:28} run {whole_s:7.2f} s, quality {seconds:6.3f} s in {statements} statements for {results} results: {bar}")
    return share


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _contact(number: int, day: int) -> dict[str, Any]:
    person = {
        "email": f"p{number % 15_000}.{number % 7}@firm{number % 900}.example", "firstname": f"Ann{number % 800}",
        "lastname": f"Abel{number}", "jobtitle": f"Head {day} of {number % 40}", "phone": f"+1202{number % 10_000_000:07}",
        "city": f"City {number % 300}",
    }  # fmt: skip
    return {"id": str(number), "updatedAt": f"2026-01-{day:02}T00:00:00Z", **_TIMES, "properties": person}


def _email(number: int, contacts: int) -> dict[str, Any]:
    written = {
        "hs_timestamp": f"2026-0{1 + number % 6}-{1 + number % 28:02}T10:00:00Z", "hs_email_subject": f"About {number % 999}",
        "hs_email_text": f"Hello, this is what we spoke about. {number} " * 5,
        "hs_email_direction": "EMAIL" if number % 2 else "INCOMING_EMAIL",
        "hs_email_from_email": f"p{number % 15_000}@firm{number % 900}.example", "hs_email_thread_id": str(number // 4),
    }  # fmt: skip
    return {"id": f"9{number}", "updatedAt": "2026-01-01T00:00:00Z", **_TIMES, "properties": written, "contacts": [str(number % contacts)]}


if __name__ == "__main__":
    sys.exit(main())
