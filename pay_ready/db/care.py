"""Doctor's deep look: how the database does its work. The catalogue and statistics alone are read, nobody's rows.

`fail` is what somebody must do something about, with the command that does it; `warn` is what is worth knowing, or could not be seen.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row

from pay_ready.db.connect import connected
from pay_ready.db.health import Finding, Place, guarded
from pay_ready.db.queries import Query, in_schema, load_queries
from pay_ready.db.slow_statements import slow_statements

_BIG_ROWS = 10_000  # below, whatever the server does is quick
_UNUSED_BYTES = 10 << 20
_UNUSED_DAYS = 14.0
_DEAD_SHARE = 0.2
_CHANGED_SHARE = 0.5
_SCANS = 50
_COST_RATIO, _COST_LEAST = 3.0, 1_000.0  # of the planner's units; a policy that takes an index away costs much more
_CLOCK_S = 2.0
_MOST = 10  # lines of details
_GENERIC_PLAN_FROM = 160_000
_NEEDS_ADMIN = "set PAY_READY_ADMIN_DATABASE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class CareBounds:
    """What is held against the database: milliseconds, and connections that one process of ours may open."""

    slow_ms: float
    slow_file: Path
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A connection to ask by, and whether it is the administrator's."""

    connection: psycopg.Connection[Any]
    place: Place
    bounds: CareBounds

    @property
    def is_admin(self) -> bool:
        """Whether the administrator asks."""
        return self.place.admin_url is not None

    def rows(self, name: str, **params: object) -> list[Any]:
        """What a statement of sql/queries/care.sql gives, as named tuples."""
        statement = load_queries(self.place.schema)[f"care.{name}"].sql
        bound = {"schema_name": self.place.schema, **params}
        return self.connection.cursor(row_factory=namedtuple_row).execute(statement, bound).fetchall()

    def named(self, table: str) -> str:
        """A table or index with its schema."""
        return f"{self.place.schema}.{table}"


def examine_deeply(place: Place, bounds: CareBounds) -> list[Finding]:
    """All findings; a check that cannot be made is a finding, and hides no other."""
    checks: Sequence[tuple[str, Callable[[Look], Finding]]] = (
        ("clock", _clock),
        ("settings", _settings),
        ("slow statements", _slow),
        ("missing indexes", _missing_indexes),
        ("unused indexes", _unused_indexes),
        ("bloat", _bloat),
        ("statistics", _statistics),
        ("partitions", _partitions),
        ("row security, cost", _row_security_cost),
    )
    variable = "PAY_READY_ADMIN_DATABASE_URL" if place.admin_url else "PAY_READY_DATABASE_URL"
    with connected(place.admin_url or place.app_url, variable=variable) as connection:
        look = Look(connection=connection, place=place, bounds=bounds)
        return [guarded(name, partial(check, look)) for name, check in checks]


def _clock(look: Look) -> Finding:
    asked_at = datetime.now(UTC)
    (row,) = look.rows("clock")
    apart = seconds_apart(asked_at, row.server_at, datetime.now(UTC))
    found = f"{apart:.1f} s from this machine's"
    if apart > _CLOCK_S:
        return Finding(check="clock", state="fail", found=found, fix="set both machines by NTP: leases and watermarks compare times")
    return Finding(check="clock", state="ok", found=found)


def seconds_apart(asked_at: datetime, server_at: datetime, heard_at: datetime) -> float:
    """How far two clocks are apart at least: a time between question and answer says nothing against it, however slow the answer is."""
    return max((asked_at - server_at).total_seconds(), (server_at - heard_at).total_seconds(), 0.0)


# Setting, whether its value is right, why, and the statement that mends it.
_WANTED: Sequence[tuple[str, Callable[[str], bool], str, str]] = (
    ("fsync", lambda value: value == "on", "a crash loses or breaks rows", "alter system set fsync = on"),
    ("full_page_writes", lambda value: value == "on", "a crash breaks rows", "alter system set full_page_writes = on"),
    ("autovacuum", lambda value: value == "on", "dead rows stay, and plans go by old figures", "alter system set autovacuum = on"),
    ("track_counts", lambda value: value == "on", "autovacuum is blind", "alter system set track_counts = on"),
    ("shared_buffers", lambda value: int(value) >= 16_384, "less than 128 MB", "alter system set shared_buffers = '256MB'; restart"),
    (
        "log_parameter_max_length", lambda value: value == "0", "values of people may be logged",
        "alter system set log_parameter_max_length = 0",
    ),
    (
        "log_parameter_max_length_on_error", lambda value: value == "0", "values of people may be logged",
        "alter system set log_parameter_max_length_on_error = 0",
    ),
)  # fmt: skip


def _settings(look: Look) -> Finding:
    found = {row.name: row.setting for row in look.rows("settings", names=[each[0] for each in _WANTED] + ["max_connections"])}
    off = [(name, why, fix) for name, is_right, why, fix in _WANTED if name in found and not is_right(found[name])]
    lines = [f"{name} = {found[name]}: {why} - {fix}" for name, why, fix in off]
    fix = f"as an administrator: {off[0][2]}; select pg_reload_conf()" if off else ""
    if (most := int(found["max_connections"])) < 2 * look.bounds.connections:
        lines.append(f"max_connections = {most}: two processes of ours may want {2 * look.bounds.connections}")
        fix = fix or "as an administrator: alter system set max_connections = 100; restart. Or lower database.pool.max_size"
    if lines:
        return Finding(check="settings", state="fail", found=f"{len(lines)} are off", fix=fix, details=lines)
    return Finding(check="settings", state="ok", found=f"{len(_WANTED) + 1} looked at, none off")


def _slow(look: Look) -> Finding:
    slow_ms = look.bounds.slow_ms
    if not slow_ms:
        return Finding(check="slow statements", state="ok", found="not looked for (database.slow_statement_ms = 0)")
    own = slow_statements(look.bounds.slow_file, slow_ms)
    hashes: dict[str, set[str]] = {}
    for each in own:
        hashes.setdefault(each.query, set()).add(each.plan_hash)
    if look.is_admin and look.rows("has_statements")[0].is_there:
        names = {_bare(query.sql): query.name for query in load_queries(look.place.schema).values()}
        rows = [row for row in look.rows("statements", slow_ms=slow_ms, most=200) if look.place.schema in row.query]
        lines = [
            f"{names.get(_bare(row.query), f'statement {row.query_id}')}: {row.calls} times, {row.mean_ms:,.0f} ms on average,"
            f" {row.most_ms:,.0f} at most{_plans(hashes.get(names.get(_bare(row.query), ''), set()))}"
            for row in rows
        ]
        origin = "pg_stat_statements"
    else:
        lines = [
            f"{each.query}: {each.count} times, {each.mean_ms:,.0f} ms on average, {each.most_ms:,.0f} at most{_plans({each.plan_hash})}"
            for each in own
        ]
        origin = "our own account of this machine; of all: create extension pg_stat_statements"
    if not lines:
        return Finding(check="slow statements", state="ok", found=f"none over {slow_ms:g} ms ({origin})")
    flipped = [query for query, plans in hashes.items() if len(plans - {""}) > 1]
    fix = (
        f"{flipped[0]} had more than one plan: analyze its tables"
        if flipped
        else "look whether its tables are analyzed and its index is used"
    )
    return Finding(
        check="slow statements", state="warn", found=f"{len(lines)} over {slow_ms:g} ms ({origin})", fix=fix, details=lines[:_MOST]
    )


def _plans(hashes: set[str]) -> str:
    told = sorted(hashes - {""})
    return f", plan {', '.join(told)}" if told else ""


def _bare(statement: str) -> str:
    """A statement without its parameters and constants, as both sides write it alike."""
    text = re.sub(r"%\(\w+\)[sbt]|\$\d+|'(?:[^']|'')*'|\b\d+(?:\.\d+)?\b", "?", statement.replace("%%", "%"))
    return re.sub(r"\s+", "", re.sub(r"--[^\n]*", "", text)).lower()


def _missing_indexes(look: Look) -> Finding:
    if broken := [row.index_name for row in look.rows("invalid_indexes")]:
        fix = f"as an administrator: reindex index concurrently {look.named(broken[0])}"
        return Finding(check="missing indexes", state="fail", found=f"half built: {', '.join(broken)}", fix=fix)
    # Read whole again and again, and more often than through an index: bulk work reads whole, too, but seldom.
    whole = [
        row for row in look.rows("usage")
        if row.live_rows > _BIG_ROWS and row.seq_scans > max(_SCANS, row.index_scans) and row.seq_rows / row.seq_scans > row.live_rows / 2
    ]  # fmt: skip
    if whole:
        lines = [
            f"{row.table_name}: {row.seq_scans:,} times all of its {row.live_rows:,} rows, {row.index_scans:,} by index" for row in whole
        ]
        fix = f"as an administrator: analyze {look.named(whole[0].table_name)}; if that does not help, its slow statement wants an index"
        return Finding(check="missing indexes", state="fail", found=f"{len(whole)} tables are read whole", fix=fix, details=lines[:_MOST])
    return Finding(check="missing indexes", state="ok", found="no large table is read whole time and again")


def _unused_indexes(look: Look) -> Finding:
    (row,) = look.rows("statistics_days")
    unused = look.rows("unused_indexes", least_bytes=_UNUSED_BYTES)
    if row.days < _UNUSED_DAYS:
        found = f"counted for {row.days:.0f} days only; {_UNUSED_DAYS:.0f} would tell"
        return Finding(check="unused indexes", state="ok", found=found)
    if unused:
        lines = [f"{each.index_name} of {each.table_name}: {each.size_bytes / 2**20:,.0f} MiB" for each in unused]
        fix = f"if nothing of yours needs it, as an administrator: drop index concurrently {look.named(unused[0].index_name)}"
        found = f"{len(unused)} in {row.days:.0f} days"
        return Finding(check="unused indexes", state="warn", found=found, fix=fix, details=lines[:_MOST])
    return Finding(check="unused indexes", state="ok", found=f"none over {_UNUSED_BYTES >> 20} MiB in {row.days:.0f} days")


def _bloat(look: Look) -> Finding:
    tables = look.rows("usage")
    dead = sorted(
        (row for row in tables if row.dead_rows > _BIG_ROWS and row.dead_rows > _DEAD_SHARE * (row.live_rows + row.dead_rows)),
        key=lambda row: -row.dead_rows,
    )
    if dead:
        lines = [
            f"{row.table_name}: {row.dead_rows:,} dead beside {row.live_rows:,} rows, vacuumed {_day(row.vacuumed_at)},"
            f" {row.size_bytes / 2**20:,.0f} MiB"
            for row in dead
        ]
        fix = f"as an administrator: vacuum (analyze) {look.named(dead[0].table_name)}"
        return Finding(check="bloat", state="fail", found=f"{len(dead)} tables", fix=fix, details=lines[:_MOST])
    size = sum(row.size_bytes for row in tables)
    return Finding(check="bloat", state="ok", found=f"{size / 2**20:,.0f} MiB in {len(tables)} tables, none more than a fifth dead rows")


def _statistics(look: Look) -> Finding:
    stale = [
        row for row in look.rows("usage")
        if row.live_rows > _BIG_ROWS and (row.analyzed_at is None or row.changed_rows > _CHANGED_SHARE * row.live_rows)
    ]  # fmt: skip
    if stale:
        lines = [
            f"{row.table_name}: {row.live_rows:,} rows, {row.changed_rows:,} changed since, analyzed {_day(row.analyzed_at)}"
            for row in stale
        ]
        fix = f"as an administrator: analyze {', '.join(look.named(row.table_name) for row in stale[:3])}"
        return Finding(
            check="statistics", state="fail", found=f"{len(stale)} large tables are not analyzed", fix=fix, details=lines[:_MOST]
        )
    return Finding(check="statistics", state="ok", found="every large table is analyzed")


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "never"


def _partitions(look: Look) -> Finding:
    rows = {row.partition_name: row.row_count for row in look.rows("partitions", table_name="step_logs")}
    now = datetime.now(UTC)
    wanted = [f"step_logs_{now.year + (now.month + ahead - 1) // 12:04}_{(now.month + ahead - 1) % 12 + 1:02}" for ahead in (0, 1)]
    fix = f"select {look.place.schema}.keep_log_partitions(3), or let the maintenance flow run without a tenant"
    stray = rows.get("step_logs_default", 0)
    if missing := [name for name in wanted if name not in rows]:
        # Lines of a month without its own partition go to that of the rest: nothing is lost, until there are many to be searched.
        return Finding(check="partitions", state="fail" if stray > _BIG_ROWS else "warn", found=f"missing: {', '.join(missing)}", fix=fix)
    ahead = len([name for name in rows if name > wanted[0] and name != "step_logs_default"])
    if stray > _BIG_ROWS:
        return Finding(check="partitions", state="warn", found=f"{stray:,} log lines outside every month", fix=fix)
    return Finding(check="partitions", state="ok", found=f"step_logs: {ahead} ahead")


def _row_security_cost(look: Look) -> Finding:
    """The same statements planned as the app and as somebody whom no policy binds: what the policies cost, without running one."""
    name = "row security, cost"
    if not look.is_admin:
        return Finding(check=name, state="warn", found="not looked at", fix=_NEEDS_ADMIN)
    if look.connection.info.server_version < _GENERIC_PLAN_FROM:
        return Finding(check=name, state="warn", found="not looked at", fix="a server from PostgreSQL 16 on plans without values")
    row = look.connection.execute("select rolsuper or rolbypassrls from pg_roles where rolname = current_user").fetchone()
    if row is None or not row[0]:
        return Finding(check=name, state="warn", found="not looked at: the administrator is bound, too", fix="ask as a superuser")
    hot = [query for query in load_queries(look.place.schema).values() if query.hot]
    costs = {query.name: (planned_cost(look, query, as_app=True), planned_cost(look, query, as_app=False)) for query in hot}
    dear = sorted(
        ((app / owner, query) for query, (app, owner) in costs.items() if app > _COST_LEAST and app > _COST_RATIO * owner), reverse=True
    )
    if dear:
        lines = [f"{query}: {ratio:,.1f} times, {costs[query][0]:,.0f} against {costs[query][1]:,.0f}" for ratio, query in dear]
        fix = "an operator or function in it is not leakproof, so row security takes its index away: report the statement"
        return Finding(check=name, state="warn", found=f"{len(dear)} of {len(hot)} statements", fix=fix, details=lines[:_MOST])
    most = max((app / owner for app, owner in costs.values() if owner), default=1.0)
    return Finding(check=name, state="ok", found=f"{len(hot)} statements that people wait for: at most {most:.1f} times the planned cost")


def planned_cost(look: Look, query: Query, *, as_app: bool) -> float:
    """The planner's cost of a statement without its values."""
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)[sbt]", lambda match: f"${numbers.setdefault(match[1], len(numbers) + 1)}", query.sql).replace("%%", "%")
    with look.connection.transaction(force_rollback=True):
        if as_app:
            app_role = sql.Identifier(in_schema("pay_ready_app", look.place.schema))
            look.connection.execute(sql.SQL("set local role {}").format(app_role))
        row = look.connection.execute(f"explain (generic_plan, format json) {text}".encode()).fetchone()
    return float(row[0][0]["Plan"]["Total Cost"]) if row else 0.0
