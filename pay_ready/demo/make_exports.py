"""Writes the demo's export files: `python -m pay_ready.demo.make_exports OUT --seed 7`.

OUT/<tenant>/<source>/<stream>.jsonl in the shapes of the Airbyte connectors, and OUT/truth.csv with who is who. The same seed gives the
same bytes, on any machine.

The truth has a line for each row about a person or a company, and for people who are only mentioned: the parties of a call (stream
`extensiveCalls.parties`, by the party's id) and the senders of a web case (`Case.supplied`, by the case's id). Shared mailboxes and bots
are persons of their own there (`role-…`, `bot-…`): nobody else is the same. A row that breaks its contract has the kind `bad` and the
reason in place of an identity; a Slack message is named by its `ts`.
"""

import argparse
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from pay_ready.demo.export import TRUTH_HEADER, Export, TruthRow
from pay_ready.demo.gong import render_gong
from pay_ready.demo.hubspot_engagements import render_hubspot_engagements
from pay_ready.demo.hubspot_records import render_hubspot_records
from pay_ready.demo.salesforce_activities import render_salesforce_activities
from pay_ready.demo.salesforce_records import SalesforceNumbers, render_salesforce_records
from pay_ready.demo.slack import render_slack
from pay_ready.demo.spoil import spoil_some_rows
from pay_ready.demo.world import World, build_worlds

DEFAULT_SEED = 7


def make_exports(seed: int = DEFAULT_SEED) -> Mapping[str, bytes]:
    """All files by their path below the output folder."""
    files: dict[str, bytes] = {}
    truth: list[tuple[str, TruthRow]] = []
    for world in build_worlds(seed):
        export = _export(world, seed)
        files |= {f"{world.plan.slug}/{path}": content for path, content in export.files().items()}
        truth += [(world.plan.slug, row) for row in export.truth]
    return {**files, "truth.csv": _truth(truth)}


def write_exports(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files, making folders as needed; files from an earlier run that are not among them stay."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _export(world: World, seed: int) -> Export:
    # Each source draws from its own sequence, so that a change in one leaves the files of the others as they are.
    def sequence(name: str) -> Random:
        return Random(f"{seed} {world.plan.slug} {name}")

    export = Export()
    salesforce = sequence("salesforce")
    numbers = SalesforceNumbers(world.plan.slug, salesforce)
    salesforce_ids = render_salesforce_records(world, numbers, export, salesforce)
    render_salesforce_activities(world, salesforce_ids, numbers, export, salesforce)
    hubspot = sequence("hubspot")
    hubspot_ids = render_hubspot_records(world, export, hubspot)
    render_hubspot_engagements(world, hubspot_ids, export, hubspot)
    render_gong(world, salesforce_ids, export, sequence("gong"))
    render_slack(world, export, sequence("slack"))
    spoil_some_rows(world.plan.slug, export)
    return export


def _truth(rows: Iterable[tuple[str, TruthRow]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(TRUTH_HEADER)
    table.writerows((tenant, row.source, row.stream, row.source_id, row.kind, row.true_id) for tenant, row in rows)
    return text.getvalue().encode()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pay_ready.demo.make_exports", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="another seed gives another world")
    options = parser.parse_args(arguments)
    write_exports(options.out, make_exports(options.seed))


if __name__ == "__main__":
    main()
