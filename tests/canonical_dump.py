"""A tenant's landed data as text that is equal exactly when the data is: the measure of crash, replay and re-order tests.

Left out, because they tell of the way and not of the result: ids of runs and batches (and of passes), the times of rows
(first_landed_at, landed_at, updated_at, created_at, quarantined_at, closed_at; deleted_at is kept as whether, not when),
commit_seq, lease tokens, and inside states `sourceStats`, in which a source counts the records of its own last stretch.
"""

import psycopg

EXCLUDED = {
    "landed_records": {"batch_id", "first_landed_at", "landed_at"},
    "stream_states": {"lease_token", "run_id", "pass_run_id", "updated_at", "staged_commit_seq"},
    "quarantined_records": {"run_id", "quarantined_at", "closed_at"},
    "large_payloads": {"created_at"},
    "seen_keys": {"run_id"},
}
_SHOWN = {"deleted_at": "(deleted_at is not null)", "state": "(state::jsonb - 'sourceStats')::text"}
# What became of each record, over all runs: a record that a crash left uncommitted is counted by the run that committed it.
_TOTALS = """
    select stream, sum(emitted), sum(quarantined), sum(tombstoned), sum(emitted - landed - unchanged - superseded - deleted - quarantined)
    from pay_ready.stream_runs group by stream order by stream
"""


def canonical_dump(admin_url: str, *, restarts: bool = False) -> str:
    """Every landed thing of a database with one tenant, one row a line, sorted.

    Args:
        restarts: For sources that cannot go on where they were and start anew instead. Leaves out what counts their starts:
            the generation, and how many records were read in all.
    """
    with psycopg.connect(admin_url) as connection:
        more = {"generation"} if restarts else set()
        parts = [_table(connection, table, excluded | more) for table, excluded in EXCLUDED.items()]
        totals = [] if restarts else connection.execute(_TOTALS).fetchall()
    return "\n".join([*parts, "# totals of runs", *(repr(row) for row in totals)])


def _table(connection: psycopg.Connection[tuple[object, ...]], table: str, excluded: set[str]) -> str:
    named = connection.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
        (f"pay_ready.{table}",),
    ).fetchall()
    columns = [str(name) for (name,) in named if name not in excluded]
    shown = [_SHOWN.get(name, f"{name}::text") for name in columns]
    # Both parts are names: from the catalogue and from this file.
    rows = connection.execute(f"select {', '.join(shown)} from pay_ready.{table}".encode()).fetchall()
    return "\n".join([f"# {table}: {', '.join(columns)}", *sorted("\t".join(map(str, row)) for row in rows)])
