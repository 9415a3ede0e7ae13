"""What checks of data quality measure of staged rows, in one statement a kind of row, and what they found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg import sql

from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConfigError
from pay_ready.model.ids import RunId, SourceId, TenantId, new_id
from pay_ready.model.resolution import EntityType

RowKind = Literal["people", "companies", "interactions"]
Severity = Literal["warn", "error"]
ROW_KINDS: tuple[RowKind, ...] = ("people", "companies", "interactions")

# What a rule may name of each kind of row: the columns of the statement `quality.<kind>`. "more.<key>" is a further mapped value.
FIELDS: Mapping[RowKind, frozenset[str]] = {
    "people": frozenset({
        "record_reference", "full_name", "first_name", "last_name", "email", "phone", "title", "city", "country", "company_name",
        "company_domain", "side", "updated_at", "company",
    }),
    "companies": frozenset({"record_reference", "name", "domain", "phone", "city", "country", "industry", "updated_at"}),
    "interactions": frozenset({
        "external_id", "interaction_type", "occurred_at", "ended_at", "subject", "body", "direction", "thread_id", "url", "updated_at",
    }),
}  # fmt: skip
RELATIONS: Mapping[RowKind, frozenset[str]] = {
    "people": frozenset({"company"}),
    "companies": frozenset(),
    "interactions": frozenset({"participants", "turns"}),
}
_TIMES = frozenset({"updated_at", "occurred_at", "ended_at"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of a stream's rows. `fields` as in FIELDS or RELATIONS; what else it needs depends on `what`."""

    what: Literal["rows", "missing", "distinct", "repeated", "outside", "unlisted", "unrelated", "newest_s"]
    fields: tuple[str, ...] = ()
    least: int | None = None  # outside: characters
    most: int | None = None
    values: tuple[str, ...] = ()  # unlisted: those that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFacts:
    """A stream before it is measured. `age_s`: since it was last read whole; None: never. `usual_rows`: median after earlier runs."""

    source_id: SourceId
    source: str
    kind: str
    stream: str
    is_active: bool
    is_changed: bool  # since it was published last
    age_s: float | None
    usual_rows: float | None
    usual_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Published entities of a type by their records."""

    entity_type: EntityType
    entities: int
    records: int
    p99: float
    largest: int
    singletons: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """What a check found in a run."""

    check_name: str
    subject: str
    severity: Severity
    passed: bool
    measured: float | None
    expected: str | None
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRun:
    """A run with stored checks."""

    run_id: RunId
    checked_at: datetime
    checks: int
    warnings: int  # that failed
    errors: int


def streams(tx: TenantTransaction, now: datetime) -> list[StreamFacts]:
    """Every stream of every source that is not removed."""
    return [StreamFacts(**row._asdict()) for row in tx.rows("quality.streams", {"now": now})]


def measured(
    tx: TenantTransaction, source: SourceId, kind: RowKind, wanted: Mapping[Measure, frozenset[str]], now: datetime
) -> dict[tuple[str, Measure], float]:
    """The measures of a source's rows of one kind, by stream, in one statement.

    Args:
        tx: The transaction.
        source: The source.
        kind: Of rows.
        wanted: Each measure, and the streams of which it is wanted.
        now: What ages are counted from.
    """
    params: dict[str, object] = {"source_id": source, "now": now}
    columns = [sql.SQL("stream")]
    names: dict[str, Measure] = {}
    for number, (measure, of) in enumerate(wanted.items()):
        name = f"m{number}"
        names[name], params[f"of{number}"] = measure, sorted(of)
        columns.append(sql.SQL("({})::double precision as {}").format(_aggregate(measure, number, params), sql.Identifier(name)))  # type: ignore[arg-type]
    params["streams"] = sorted({stream for of in wanted.values() for stream in of})
    tail = sql.SQL("where stream = any(%(streams)s) group by stream")
    found: dict[tuple[str, Measure], float] = {}
    for row in tx.aggregates(f"quality.{kind}", sql.SQL(", ").join(columns), tail, params):
        values = row._asdict()
        for name, measure in names.items():
            if row.stream in wanted[measure] and values[name] is not None:
                found[row.stream, measure] = values[name]
    return found


def _aggregate(measure: Measure, number: int, params: dict[str, object]) -> sql.Composable:
    """The aggregate of a measure; values that configuration gives become parameters, names identifiers."""
    wanted = sql.SQL("stream = any({})").format(sql.Placeholder(f"of{number}"))
    values = [_value(field) for field in measure.fields]
    match measure.what:
        case "rows":
            return _count(wanted)
        case "missing":
            return _count(wanted, sql.SQL("{} is null").format(values[0]))
        case "distinct":
            return sql.SQL("count(distinct {}) filter (where {})").format(values[0], wanted)
        case "repeated":
            present = sql.SQL(" and ").join(sql.SQL("{} is not null").format(value) for value in values)
            key = values[0] if len(values) == 1 else sql.SQL("({})").format(sql.SQL(", ").join(values))
            return sql.SQL("{} - count(distinct {}) filter (where {} and {})").format(_count(wanted, present), key, wanted, present)
        case "outside":
            params[f"least{number}"], params[f"most{number}"] = measure.least or 0, 2**31 - 1 if measure.most is None else measure.most
            bounds = (sql.Placeholder(f"least{number}"), sql.Placeholder(f"most{number}"))
            return _count(wanted, sql.SQL("length({}) not between {} and {}").format(values[0], *bounds))
        case "unlisted":
            params[f"values{number}"] = list(measure.values)
            return _count(wanted, sql.SQL("not {} = any({})").format(values[0], sql.Placeholder(f"values{number}")))
        case "unrelated":
            listed = sql.Identifier(f"{measure.fields[0]}_is_listed")
            return _count(wanted, sql.SQL("{} is not null and {} is not true").format(sql.Identifier(measure.fields[0]), listed))
        case "newest_s":
            newest = sql.SQL("max({}) filter (where {})").format(sql.Identifier(measure.fields[0]), wanted)
            return sql.SQL("extract(epoch from %(now)s::timestamptz - {})").format(newest)


def _count(*conditions: sql.Composable) -> sql.Composable:
    return sql.SQL("count(*) filter (where {})").format(sql.SQL(" and ").join(conditions))


def _value(field: str) -> sql.Composable:
    name, _, key = field.partition(".")
    if key:
        return sql.SQL("({} ->> {})").format(sql.Identifier(name), sql.Literal(key))
    return sql.Identifier(name) if name in _TIMES else sql.SQL("{}::text").format(sql.Identifier(name))


def schema_changes(tx: TenantTransaction) -> dict[tuple[str, str], Sequence[str]]:
    """Lines about each stream (source, stream) whose schema changed in the newest sync of its source."""
    return {(row.source, row.stream): row.lines for row in tx.rows("quality.schema_changes")}


def clusters(tx: TenantTransaction) -> dict[EntityType, Clusters]:
    """Sizes of the published entities."""
    return {row.entity_type: Clusters(**row._asdict()) for row in tx.rows("quality.clusters")}


def probabilities(tx: TenantTransaction) -> dict[EntityType, tuple[int, ...]]:
    """Records that share an entity by the tenths of their match probability, ten numbers a type."""
    found: dict[EntityType, list[int]] = {}
    for row in tx.rows("quality.probabilities"):
        found.setdefault(row.entity_type, [0] * 10)[max(row.tenth, 1) - 1] = row.records
    return {each: tuple(counts) for each, counts in found.items()}


def distinct_values(tx: TenantTransaction, most: int) -> dict[EntityType, int]:
    """Published entities among whose records there are more addresses (of a company: domains) than `most`."""
    return {row.entity_type: row.entities for row in tx.rows("quality.distinct_values", {"most": most})}


def own_figure(database: Database, tenant: TenantId, statement: str, timeout_s: float) -> float | None:
    """What a statement of the operator's gives: one number, read in a transaction of the tenant that may write nothing.

    Raises:
        ConfigError: The server refuses the statement, or it gives no number.
        TransientError: It took longer than `timeout_s`, or the database is away.
    """
    with database.tenant_transaction(tenant, work="batch", snapshot=True) as tx:
        found = tx.own_statement(statement, timeout_s)
    if found is not None and not isinstance(found, int | float):
        try:
            return float(found)
        except (TypeError, ValueError):
            raise ConfigError("the statement of a rule gives no number", "let it select one number", type=type(found).__name__) from None
    return None if found is None else float(found)


def add_results(tx: TenantTransaction, run: RunId, results: Sequence[StoredResult]) -> None:
    """Keep what the checks of a run found."""
    if results:
        tx.execute("quality.add_results", {
            "result_ids": [new_id() for _ in results], "run_id": run, "check_names": [each.check_name for each in results],
            "subjects": [each.subject for each in results], "severities": [each.severity for each in results],
            "passed": [each.passed for each in results], "measured": [each.measured for each in results],
            "expected": [each.expected for each in results],
        })  # fmt: skip


def latest_run(tx: TenantTransaction) -> UUID | None:
    """The run whose checks were stored last."""
    row = tx.row("quality.latest_run")
    return None if row is None else row.run_id


def results(tx: TenantTransaction, run: UUID) -> list[StoredResult]:
    """What the checks of a run found, what failed first."""
    return [StoredResult(**row._asdict()) for row in tx.rows("quality.results", {"run_id": run})]


def history(tx: TenantTransaction, most: int) -> list[CheckedRun]:
    """The newest runs with stored checks."""
    return [CheckedRun(**row._asdict()) for row in tx.rows("quality.history", {"most": most})]
