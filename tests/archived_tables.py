"""Writes `sql/queries/retention_rows.sql` from the catalogue: for every archived table how a page of its rows goes and comes back.

    python -m tests.archived_tables URL-OF-A-MIGRATED-DATABASE

`tests/integration/test_retention.py` fails when the file, the catalogue and `model/archived.py` differ.
"""

import sys
from collections.abc import Mapping

import psycopg

from pay_ready.model.archived import TABLES, ArchivedTable
from pay_ready.resources import resource_path
from tests.isolation.catalogue import Table, read_tables

FILE = resource_path("sql", "queries") / "retention_rows.sql"
_HEAD = """\
-- Rows on their way between a table and an archive; written from the catalogue by `python -m tests.archived_tables`, never by hand.
-- A page of an archive's rows is copied to a temporary table. Whatever is not to the last value what the archive has, stays; and what is
-- in the table already is never written over.
"""
# What must hold beside equality for a row to go.
_GOES_IF: Mapping[str, str] = {
    "quarantined_records": """
  and (
      held.status <> 'dismissed'
      or not exists (
          select from pay_ready.landed_records as landed
          where landed.tenant_id = held.tenant_id and landed.source_id = held.source_id and landed.stream = held.stream
            and landed.record_key = held.record_key and landed.deleted_at is null
      )
  )""",
    "large_payloads": """
  and not exists (
      select from pay_ready.landed_records as landed
      where landed.tenant_id = %(tenant_id)s and landed.payload_id = held.payload_id
  )
  and not exists (
      select from pay_ready.quarantined_records as kept
      where kept.tenant_id = %(tenant_id)s and kept.payload_id = held.payload_id
  )""",
    **dict.fromkeys(
        ("sync_runs", "stream_runs", "landing_batches"),
        """
  and not exists (
      select from pay_ready.quarantined_records as kept where kept.tenant_id = held.tenant_id and kept.run_id = held.run_id
  )""",
    ),
    "memories": """
  and exists (
      select from pay_ready.archived_interactions as left_out
      where left_out.tenant_id = held.tenant_id and left_out.interaction_id = held.interaction_id
  )""",
}
# What must hold for a row to come back.
_COMES_IF: Mapping[str, str] = {
    "run_decisions": """
where exists (
    select from pay_ready.decisions as told where told.tenant_id = %(tenant_id)s and told.decision_id = archived.decision_id
)""",
    "memories": """
where exists (
    select from pay_ready.interaction_records as said
    where said.tenant_id = %(tenant_id)s and said.interaction_id = archived.interaction_id and said.is_primary
)
  and not exists (
      select from pay_ready.memories as held where held.tenant_id = %(tenant_id)s and held.interaction_id = archived.interaction_id
  )""",
}


def statements(connection: psycopg.Connection[object]) -> str:
    """The whole file."""
    catalogue = read_tables(connection)
    archived = sorted((table for tables in TABLES.values() for table in tables), key=lambda each: each.name)
    return "\n".join([_HEAD, *(_statements(table, catalogue[table.name]) for table in archived)])


def _statements(table: ArchivedTable, known: Table) -> str:
    columns = list(table.columns)
    key = [each for each in known.primary_key if each != "tenant_id"]
    rest = [each for each in columns if each not in key]
    typed = ",\n".join(f"    {each} {known.columns[each].type}" for each in columns)
    keys = "".join(f"\n  and held.{each} = archived.{each}" for each in key)
    return (
        f"-- name: make_{table.name}\n-- scope: session\n"
        f"create temporary table if not exists retention_{table.name} (\n{typed}\n) on commit delete rows;\n\n"
        f"-- name: delete_{table.name}\n"
        f"delete from pay_ready.{table.name} as held\nusing pg_temp.retention_{table.name} as archived\n"
        f"where held.tenant_id = %(tenant_id)s{keys}\n"
        f"  and (\n      {_wrapped([f'held.{each}' for each in rest], 6)}\n  ) is not distinct from (\n"
        f"      {_wrapped([f'archived.{each}' for each in rest], 6)}\n  ){_GOES_IF.get(table.name, '')};\n\n"
        f"-- name: restore_{table.name}\n"
        f"insert into pay_ready.{table.name} (\n    {_wrapped(['tenant_id', *columns], 4)}\n)\n"
        f"select\n    {_wrapped(['%(tenant_id)s', *[f'archived.{each}' for each in columns]], 4)}\n"
        f"from pg_temp.retention_{table.name} as archived{_COMES_IF.get(table.name, '')}\n"
        f"on conflict ({', '.join(known.primary_key)}) do nothing;\n"
    )


def _wrapped(words: list[str], indent: int, width: int = 132) -> str:
    """Words with commas, in lines that are not too long."""
    lines = [""]
    for number, word in enumerate(words):
        piece = word + ("," if number < len(words) - 1 else "")
        if lines[-1] and indent + len(lines[-1]) + 1 + len(piece) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + piece
    return ("\n" + " " * indent).join(lines)


if __name__ == "__main__":
    with psycopg.connect(sys.argv[1]) as connection:
        FILE.write_text(statements(connection), "utf-8")
