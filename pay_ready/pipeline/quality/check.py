"""The checks of data quality: what staged streams look like before they are published, and entities after it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import structlog

from pay_ready.db import quality, review
from pay_ready.db.quality import ROW_KINDS, Clusters, Measure, RowKind, Severity, StoredResult, StreamFacts
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import QualityError
from pay_ready.model.ids import RunId, TenantId
from pay_ready.model.resolution import EntityType
from pay_ready.pipeline.quality.rules import Rule
from pay_ready.resolve.agreement import agreement_of

log = structlog.get_logger()

State = Literal["passed", "warn", "error", "skipped"]
_LEAST_RUNS = 3  # before which nobody knows how many rows are usual
_TENANT_SUBJECT = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a rule found of one subject: a stream ("source/stream"), or an entity type."""

    rule_id: str
    check: str
    subject: str
    severity: Severity
    state: State
    measured: float | None
    unit: str
    expected: str
    says: str
    reason: str = ""  # why it was skipped

    @property
    def is_failed(self) -> bool:
        """Whether it did not hold."""
        return self.state in ("warn", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What the rules found; `statements` is how many queries that took."""

    tenant: str
    results: tuple[Result, ...]
    seconds: float
    statements: int = 0
    histograms: Mapping[str, Sequence[int]] = field(default_factory=dict)  # records by tenths of match probability, by entity type
    rows: Mapping[str, int] = field(default_factory=dict)  # of each stream that was counted

    @property
    def failed(self) -> tuple[Result, ...]:
        """What did not hold, errors first."""
        return tuple(sorted((each for each in self.results if each.is_failed), key=lambda each: (each.state, each.rule_id, each.subject)))

    @property
    def errors(self) -> tuple[Result, ...]:
        """What keeps a run from publishing."""
        return tuple(each for each in self.failed if each.state == "error")

    def raise_for_failure(self, *, is_published: bool = False) -> None:
        """Raise what keeps a run from publishing, or what is wrong with what was published.

        Raises:
            QualityError: A rule of severity error does not hold; names it, the subject, and what to do.
        """
        if not self.errors:
            return
        first, *others = self.errors
        what = "what was published breaks a rule of data quality" if is_published else "a rule of data quality does not hold"
        hint = f"look: pay-ready quality show --tenant {self.tenant}; then mend the source, or change the rule"
        if is_published:
            hint = f"look: pay-ready quality show --tenant {self.tenant}; to go back: pay-ready rollback --tenant {self.tenant}"
        more = {"others": len(others)} if others else {}
        raise QualityError(what, hint, tenant=self.tenant, rule=first.rule_id, subject=first.subject, expected=first.expected,
                           measured=_figure(first.measured), **more)  # fmt: skip


# Figures by stream, kind of row and measure; without any where a stream has no rows of a kind.
_Found = dict[tuple[str, RowKind, Measure], float]


def check_streams(
    database: Database, tenant: TenantId, slug: str, rules: Sequence[Rule], *, now: datetime | None = None, is_whole: bool = False
) -> QualityReport:
    """Look at the tenant's streams whose rows changed since they were published last: in one snapshot, a statement a source and kind.

    What held a publish back holds it back again until it is mended: its stream is still not published. Rules about the age of a
    stream, and statements of one's own, are looked at each time.

    Args:
        database: Where.
        tenant: Whose.
        slug: Its name.
        rules: As `load_rules` gives them.
        now: What ages are counted from; None: this moment.
        is_whole: Also streams that did not change.

    Raises:
        ConfigError: The server refuses a statement of a rule.
        TransientError: Such a statement took too long, or the database is away.
    """
    started, now = time.monotonic(), now or datetime.now(UTC)
    ours = [rule for rule in rules if not rule.is_of_entities]
    statements = 0
    results: list[Result] = []
    rows: dict[str, int] = {}
    with database.tenant_transaction(tenant, work="batch") as tx:
        facts, changes = quality.streams(tx, now), quality.schema_changes(tx) if _asks(ours, "schema_change") else {}
        statements += 2 if _asks(ours, "schema_change") else 1
        looked = [each for each in facts if each.is_changed or is_whole]
        for streams in _by_source(looked):
            found: _Found = {}
            for kind, wanted in _planned(ours, streams).items():
                figures = quality.measured(tx, streams[0].source_id, kind, wanted, now)
                found |= {(stream, kind, measure): figure for (stream, measure), figure in figures.items()}
                statements += 1
            for facts_of in streams:
                rows[_subject(facts_of)] = _rows(facts_of.stream, found)
                results += _judged(ours, facts_of, found)
        results += [_fresh(rule, each) for rule in ours for each in facts if _is_age(rule) and rule.covers(each.kind, each.stream)]
        results += [
            _schema(rule, each, changes.get((each.source, each.stream), ()))
            for rule in ours for each in looked if rule.check == "schema_change" and rule.covers(each.kind, each.stream)
        ]  # fmt: skip
    for rule in ours:
        if rule.check == "sql":
            results.append(_bounded(rule, _TENANT_SUBJECT, quality.own_figure(database, tenant, rule.statement, rule.timeout_s), ""))
            statements += 1
    return QualityReport(
        tenant=slug, results=tuple(results), seconds=round(time.monotonic() - started, 3), statements=statements, rows=rows
    )  # fmt: skip


def check_entities(database: Database, tenant: TenantId, slug: str, rules: Sequence[Rule]) -> QualityReport:
    """Look at what is published of a tenant: sizes of clusters, probabilities of links, agreement of reviewers, over-merging."""
    started = time.monotonic()
    ours = [rule for rule in rules if rule.is_of_entities]
    results: list[Result] = []
    if not ours:
        return QualityReport(tenant=slug, results=(), seconds=0.0)
    with database.tenant_transaction(tenant, work="batch") as tx:
        clusters, tenths = quality.clusters(tx), quality.probabilities(tx)
        statements = 2
        for rule in ours:
            result, more = _of_entities(rule, tx, clusters, tenths)
            results.append(result)
            statements += more
    return QualityReport(
        tenant=slug, results=tuple(results), seconds=round(time.monotonic() - started, 3), statements=statements,
        histograms=dict(tenths.items()),
    )  # fmt: skip


def keep(tx: TenantTransaction, run: RunId, report: QualityReport) -> None:
    """Store what the rules found in a run; what was skipped is not kept."""
    quality.add_results(tx, run, [
        StoredResult(
            check_name=each.rule_id, subject=each.subject, severity=each.severity, passed=not each.is_failed, measured=each.measured,
            expected=each.expected,
        )
        for each in report.results if each.state != "skipped"
    ])  # fmt: skip


def _asks(rules: Iterable[Rule], check: str) -> bool:
    return any(rule.check == check for rule in rules)


def _is_age(rule: Rule) -> bool:
    """Whether it is about when a stream was read, not about what its rows say."""
    return rule.check == "freshness" and rule.of is None


def _by_source(facts: Iterable[StreamFacts]) -> Iterator[list[StreamFacts]]:
    found: dict[str, list[StreamFacts]] = {}
    for each in facts:
        found.setdefault(each.source, []).append(each)
    yield from found.values()


def _planned(rules: Sequence[Rule], streams: Sequence[StreamFacts]) -> dict[RowKind, dict[Measure, frozenset[str]]]:
    """What the rules want to know of a source's streams: by kind of row each figure once, and the streams of which it is wanted."""
    wanted: dict[RowKind, dict[Measure, set[str]]] = {}
    for each in streams:
        for rule in rules:
            if not rule.covers(each.kind, each.stream):
                continue
            kinds: Sequence[RowKind] = (rule.of,) if rule.of else ROW_KINDS if rule.check == "volume" else ()
            for kind in kinds:
                for measure in (Measure(what="rows"), *_measures(rule)):
                    wanted.setdefault(kind, {}).setdefault(measure, set()).add(each.stream)
    return {kind: {measure: frozenset(of) for measure, of in each.items()} for kind, each in wanted.items()}


def _measures(rule: Rule) -> tuple[Measure, ...]:
    match rule.check:
        case "null_rate":
            return (Measure(what="missing", fields=rule.fields),)
        case "distinct_rate":
            return (Measure(what="distinct", fields=rule.fields), Measure(what="missing", fields=rule.fields))
        case "length":
            return (Measure(what="outside", fields=rule.fields, least=rule.min_length, most=rule.max_length),)
        case "accepted_values":
            return (Measure(what="unlisted", fields=rule.fields, values=rule.values),)
        case "unique":
            return (Measure(what="repeated", fields=rule.fields),)
        case "relationship":
            return (Measure(what="unrelated", fields=rule.fields),)
        case "freshness":
            return (Measure(what="newest_s", fields=rule.fields),)
        case _:
            return ()


def _rows(stream: str, found: _Found, kinds: Sequence[RowKind] = ROW_KINDS) -> int:
    return int(sum(found.get((stream, kind, Measure(what="rows")), 0) for kind in kinds))


def _judged(rules: Sequence[Rule], facts: StreamFacts, found: _Found) -> Iterator[Result]:
    for rule in rules:
        if not rule.covers(facts.kind, facts.stream):
            continue
        if rule.check == "volume":
            yield _volume(rule, facts, _rows(facts.stream, found))
        elif (kind := rule.of) is not None and all((facts.stream, kind, measure) in found for measure in _measures(rule)):
            figures = [found[facts.stream, kind, measure] for measure in _measures(rule)]
            yield _of_rows(rule, facts, _rows(facts.stream, found, (kind,)), figures)


def _of_rows(rule: Rule, facts: StreamFacts, rows: int, figures: Sequence[float]) -> Result:
    subject = f"{_subject(facts)}.{'+'.join(rule.fields)}"
    if rule.check == "freshness":
        return _result(rule, subject, figures[0] / 3600, "h", rule.max_age_hours, None)
    if rows < max(rule.from_rows, 1):
        return _skipped(rule, subject, f"{rows} rows, judged from {max(rule.from_rows, 1)}")
    if rule.check == "distinct_rate":
        distinct, missing = figures
        if rows == missing:
            return _skipped(rule, subject, "no row has a value")
        return _result(rule, subject, 100 * distinct / (rows - missing), "%", rule.max_percent, rule.min_percent)
    return _result(rule, subject, 100 * figures[0] / rows, "%", rule.max_percent or 0.0, None)


def _volume(rule: Rule, facts: StreamFacts, rows: int) -> Result:
    subject = _subject(facts)
    if rule.min_rows is not None or rule.max_rows is not None:
        return _result(rule, subject, float(rows), "rows", rule.max_rows, rule.min_rows)
    if facts.usual_runs < _LEAST_RUNS or not facts.usual_rows:
        return _skipped(rule, subject, f"usual is known from {_LEAST_RUNS} runs on")
    return _result(rule, subject, 100 * rows / facts.usual_rows, "% of usual", rule.max_percent_of_usual, rule.min_percent_of_usual)


def _fresh(rule: Rule, facts: StreamFacts) -> Result:
    if not facts.is_active:
        return _skipped(rule, _subject(facts), "its source is paused")
    if facts.age_s is None:
        return _result(rule, _subject(facts), None, "h", rule.max_age_hours, None)
    return _result(rule, _subject(facts), facts.age_s / 3600, "h", rule.max_age_hours, None)


def _schema(rule: Rule, facts: StreamFacts, lines: Sequence[str]) -> Result:
    marks = {"added": " is new (", "removed": " is gone (", "retyped": " changed from "}
    refused = [line for line in lines if not any(marks[word] in line for word in rule.allowed)]
    return _result(rule, _subject(facts), float(len(refused)), "changes", 0.0, None)


def _bounded(rule: Rule, subject: str, measured: float | None, unit: str) -> Result:
    return _result(rule, subject, measured, unit, rule.at_most, rule.at_least)


def _of_entities(
    rule: Rule, tx: TenantTransaction, clusters: Mapping[EntityType, Clusters], tenths: Mapping[EntityType, Sequence[int]]
) -> tuple[Result, int]:
    """What a rule finds of the entities, and how many further statements that took."""
    if rule.check == "review_agreement":
        agreement = agreement_of(review.double_reviews(tx))
        if agreement.pairs < max(rule.from_rows, 1):
            return _skipped(rule, "review", f"{agreement.pairs} pairs, judged from {max(rule.from_rows, 1)}"), 1
        return _result(rule, "review", 100 * agreement.agreed / agreement.pairs, "%", None, rule.min_percent), 1
    entity = rule.entity or "person"
    of = clusters.get(entity)
    if of is None or of.entities < max(rule.from_rows, 1):
        return _skipped(rule, entity, f"{of.entities if of else 0} entities, judged from {max(rule.from_rows, 1)}"), 0
    if rule.check == "over_merge":
        found = quality.distinct_values(tx, rule.max_values or 0).get(entity, 0)
        return _result(rule, entity, float(found), "entities", rule.at_most or 0.0, None), 1
    return _of_clusters(rule, of, tenths.get(entity, ())), 0


def _of_clusters(rule: Rule, of: Clusters, tenths: Sequence[int]) -> Result:
    figures: Mapping[str, Callable[[], Result]] = {
        "cluster_p99": lambda: _bounded(rule, of.entity_type, of.p99, "records"),
        "cluster_max": lambda: _bounded(rule, of.entity_type, float(of.largest), "records"),
        "singleton_share": lambda: _result(
            rule, of.entity_type, 100 * of.singletons / of.entities, "%", rule.max_percent, rule.min_percent
        ),
    }  # fmt: skip
    if rule.check in figures:
        return figures[rule.check]()
    if not sum(tenths):
        return _skipped(rule, of.entity_type, "no entity has two records")
    below = sum(tenths[: round(10 * (rule.below or 0.0))])
    return _result(rule, of.entity_type, 100 * below / sum(tenths), "%", rule.max_percent, None)


def _result(rule: Rule, subject: str, measured: float | None, unit: str, most: float | None, least: float | None) -> Result:
    """Judged: within the bounds, both of them included; a figure that is not there is none that holds."""
    holds = measured is not None and (most is None or measured <= most) and (least is None or measured >= least)
    bounds = [f"at least {_figure(least)}" if least is not None else "", f"at most {_figure(most)}" if most is not None else ""]
    return Result(
        rule_id=rule.rule_id, check=rule.check, subject=subject, severity=rule.severity, says=rule.says,
        state="passed" if holds else rule.severity, measured=None if measured is None else round(measured, 4), unit=unit,
        expected=f"{' and '.join(filter(None, bounds))} {unit}".strip(),
    )  # fmt: skip


def _skipped(rule: Rule, subject: str, reason: str) -> Result:
    return Result(
        rule_id=rule.rule_id, check=rule.check, subject=subject, severity=rule.severity, says=rule.says, state="skipped",
        measured=None, unit="", expected="", reason=reason,
    )  # fmt: skip


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def _subject(facts: StreamFacts) -> str:
    return f"{facts.source}/{facts.stream}"
