"""Try resolution on a file: cluster its rows with no labels used, then measure the clusters against a truth column if there is one."""

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
from numpy.typing import NDArray

from pay_ready.errors import ConfigError, NotFoundError, UsageError
from pay_ready.model.progress import Progress, no_progress
from pay_ready.model.resolution import ResolutionConfig
from pay_ready.resolve.engine import knowledge_of
from pay_ready.resolve.linkage.blocks import HotBlocks
from pay_ready.resolve.linkage.columns import Rows
from pay_ready.resolve.linkage.learning import Records, level_table
from pay_ready.resolve.linkage.link import Linkage, link
from pay_ready.resolve.linkage.mapping import KINDS, ColumnKind, EntityKind, Kind, is_text_like, map_columns
from pay_ready.resolve.linkage.quality import Quality, quality_of
from pay_ready.resolve.linkage.tables import records_of

Labels = NDArray[np.int64]
_NO_EVIDENCE = "no column says who or what a row is"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPair:
    """Two rows that the clusters have wrong; `bits` is None where they were never compared."""

    kind: str  # "joined" (two in one cluster) or "missed" (one in two clusters)
    bits: float | None
    evidence: Mapping[str, tuple[str, float]]  # comparison -> level, bits
    left: Mapping[str, str | None]
    right: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What resolution made of a table, and how good that is."""

    entity: EntityKind
    columns: Sequence[ColumnKind]
    labels: Labels  # by row: number of its cluster
    records: int
    clusters: int
    quality: Quality | None  # None without a truth
    predicted_precision: float
    predicted_recall: float
    blocking_recall: float | None  # of the true pairs, those that were compared
    threshold_bits: float
    candidate_pairs: int
    hot: Sequence[HotBlocks]
    model: Sequence[tuple[str, str, float, float, float]]  # comparison, level, share among matches, by chance, bits
    training: str
    cpu_s: float
    wall_s: float
    cpu_by_phase: Mapping[str, float]
    peak_rss_mb: float
    errors: Sequence[ErrorPair]


def read_table(path: Path) -> pa.Table:
    """A CSV (plain or .gz) with every column as text, or a Parquet file.

    Raises:
        NotFoundError: There is no such file.
        ConfigError: It is no table, has no rows, or two columns of one name; names what is wrong with it.
    """
    if not path.is_file():
        raise NotFoundError("there is no such file", "give the path of a .csv, .csv.gz or .parquet file", file=str(path))
    table = _parsed(path)
    if not table.num_rows:
        raise ConfigError("the file has no rows", "give one with a row for each record", file=path.name)
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise ConfigError("two columns have one name", "rename one of them", file=path.name, columns=", ".join(twice))
    return table


def _parsed(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return arrow_parquet.read_table(path)
        names = arrow_csv.open_csv(path).schema.names
        as_text = arrow_csv.ConvertOptions(strings_can_be_null=True, null_values=[""], column_types=dict.fromkeys(names, pa.string()))
        return arrow_csv.read_csv(path, convert_options=as_text, parse_options=arrow_csv.ParseOptions(newlines_in_values=True))
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ConfigError("the file is no table", "a .csv needs a header line and UTF-8 text", file=path.name, reason=reason) from None


def column_kinds(table: pa.Table, entity: EntityKind, given: Sequence[str], keys: Sequence[str]) -> list[ColumnKind]:
    """The kind of every column; `given` holds NAME=KIND, `keys` the truth and the row's key.

    Raises:
        UsageError: A column or kind that there is not, or no column that says who or what a row is.
    """
    chosen: dict[str, Kind] = {}
    for text in given:
        column, equals, kind = text.rpartition("=")
        if not equals or kind not in KINDS:
            raise UsageError("not a column's kind", f"write NAME=KIND with KIND one of: {', '.join(KINDS)}", column=text)
        chosen[column] = kind
    for column in (*chosen, *keys):
        if column not in table.column_names:
            raise UsageError("there is no such column", f"columns: {', '.join(table.column_names)}", column=column)
    for column in chosen:
        if not is_text_like(table.schema.field(column).type):
            raise UsageError("the column holds no texts", "leave it out, or give its values as text", column=column)
    kinds = map_columns(table, entity, chosen, keys)
    found = {each.kind for each in kinds}
    names = {"full_name", "given_name", "family_name"} if entity == "person" else {"company", "domain", "email"}
    if not found & (names | {"email", "phone", "identifier"}):
        raise UsageError(
            _NO_EVIDENCE, f"name one with --column NAME=KIND, such as {sorted(names)[0]}; columns: {', '.join(table.column_names)}"
        )
    return kinds


def evaluate(
    table: pa.Table,
    kinds: Sequence[ColumnKind],
    entity: EntityKind,
    config: ResolutionConfig,
    *,
    truth: str | None = None,
    threshold_bits: float | None = None,
    errors: int = 0,
    progress: Progress = no_progress,
) -> Evaluation:
    """Cluster the rows of a table, and measure.

    Args:
        table: Rows with text columns.
        kinds: What each column is.
        entity: What a row is about.
        config: Word lists, configured levels and caps.
        truth: Column of the true entity; rows without a value in it are clustered and not measured.
        threshold_bits: Evidence from which two rows match; None takes the configured one, or lets it set itself.
        errors: Wrong pairs of each kind to show, the most telling first.
        progress: Told of each phase that is done.
    """
    clock = _Clock()
    records, member = records_of(table, kinds, entity, knowledge_of(config))
    features = clock.lap()
    linkage = link(
        records,
        threshold_millibits=config.rules(entity).threshold_millibits if threshold_bits is None else round(threshold_bits * 1_000),
        clock=time.process_time,
        progress=progress,
    )
    labels = linkage.labels[member]
    cpu, wall = clock.total()
    true = None if truth is None else _truth(table, truth)
    known = None if true is None else true >= 0
    measured = None if true is None or known is None else quality_of(labels[known], true[known])
    first = _first_rows(member, records.size)
    blocking = None if true is None or measured is None else _blocking_recall(linkage, first, true, member, measured)
    return Evaluation(
        entity=entity,
        columns=kinds,
        labels=labels,
        records=table.num_rows,
        clusters=len(np.unique(labels)),
        quality=measured,
        predicted_precision=linkage.predicted_precision,
        predicted_recall=linkage.predicted_recall,
        blocking_recall=blocking,
        threshold_bits=linkage.threshold_millibits / 1_000,
        candidate_pairs=len(linkage.left),
        hot=linkage.hot,
        model=level_table(records, linkage.model),
        training=linkage.model.fallback or f"{linkage.model.rounds} rounds over {linkage.model.training_pairs:,} pairs",
        cpu_s=cpu,
        wall_s=wall,
        cpu_by_phase={"features": features, **linkage.cpu_seconds},
        peak_rss_mb=_peak_rss_mb(),
        errors=() if true is None else wrong_pairs(table, kinds, records, linkage, first, true, errors),
    )


class _Clock:
    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def lap(self) -> float:
        return round(time.process_time() - self._cpu, 3)

    def total(self) -> tuple[float, float]:
        return self.lap(), round(time.perf_counter() - self._wall, 3)


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _truth(table: pa.Table, column: str) -> Labels:
    """By row the number of its true entity, -1 where it is not known."""
    values = table.column(column).combine_chunks()
    codes = (values.dictionary_decode() if pa.types.is_dictionary(values.type) else values).dictionary_encode().indices
    numbers: Labels = codes.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _first_rows(member: Rows, records: int) -> Rows:
    """By record the first row that became it."""
    first = np.full(records, -1, dtype=np.int64)
    first[member[::-1]] = np.arange(len(member) - 1, -1, -1)
    return first


def _blocking_recall(linkage: Linkage, first: Rows, true: Labels, member: Rows, measured: Quality) -> float:
    """The share of the true pairs that were compared, rows of one record counting as compared."""
    if len(first) != len(member):
        return _collapsed_recall(linkage, true, member, measured)
    same = (true[first[linkage.left]] == true[first[linkage.right]]) & (true[first[linkage.left]] >= 0)
    return float(np.count_nonzero(same)) / max(measured.true_pairs, 1)


def _collapsed_recall(linkage: Linkage, true: Labels, member: Rows, measured: Quality) -> float:
    """With several rows a record: the pairs inside records, and between two that were compared, weighed by their rows."""
    sizes = np.bincount(member)
    truth_of = np.full(len(sizes), -1, dtype=np.int64)
    truth_of[member[::-1]] = true[::-1]
    inside = int((sizes * (sizes - 1) // 2)[truth_of >= 0].sum())
    same = (truth_of[linkage.left] == truth_of[linkage.right]) & (truth_of[linkage.left] >= 0)
    between = int((sizes[linkage.left[same]] * sizes[linkage.right[same]]).sum())
    return min((inside + between) / max(measured.true_pairs, 1), 1.0)


def wrong_pairs(
    table: pa.Table, kinds: Sequence[ColumnKind], records: Records, linkage: Linkage, first: Rows, true: Labels, most: int
) -> list[ErrorPair]:
    """The wrong pairs that were compared: those joined with the most evidence and those missed by the least."""
    if not most:
        return []
    left, right = first[linkage.left], first[linkage.right]
    known = (true[left] >= 0) & (true[right] >= 0)
    same_truth = true[left] == true[right]
    together = linkage.labels[linkage.left] == linkage.labels[linkage.right]
    total = linkage.weighed.total
    joined, missed = np.flatnonzero(known & together & ~same_truth), np.flatnonzero(known & ~together & same_truth)
    shown = [("joined", at) for at in joined[np.argsort(-total[joined], kind="stable")][:most].tolist()]
    shown += [("missed", at) for at in missed[np.argsort(-total[missed], kind="stable")][:most].tolist()]
    names = [each.column for each in kinds if each.kind != "ignore"]

    def row(number: int) -> dict[str, str | None]:
        values: Mapping[str, Any] = {name: table.column(name)[number].as_py() for name in names}
        return {name: None if value is None else str(value) for name, value in values.items()}

    def evidence(at: int) -> dict[str, tuple[str, float]]:
        found = {}
        for each in records.comparisons:
            level = int(linkage.compared[each.name].levels[at])
            if level:
                found[each.name] = (each.levels[level], round(int(linkage.weighed.by_comparison[each.name][at]) / 1_000, 1))
        return found

    return [
        ErrorPair(
            kind=kind, bits=round(int(total[at]) / 1_000, 1), evidence=evidence(at), left=row(int(left[at])), right=row(int(right[at]))
        )
        for kind, at in shown
    ]


def write_clusters(path: Path, table: pa.Table, evaluation: Evaluation, key: str | None) -> None:
    """Each row's key (or number) and its cluster, as .csv or .parquet.

    Raises:
        UsageError: The file cannot be written.
    """
    keys = table.column(key) if key else pa.array(range(table.num_rows))
    out = pa.table({key or "row": keys, "cluster": pa.array(evaluation.labels)})
    try:
        if path.suffix == ".parquet":
            arrow_parquet.write_table(out, path)
        else:
            arrow_csv.write_csv(out, path)
    except OSError as error:
        raise UsageError("the clusters cannot be written", "give a path in a folder that you may write to", reason=error.strerror) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePair:
    """Two names, whether they are one's, and how alike they were found."""

    left: str
    right: str
    is_match: bool
    similarity: float
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PairEvaluation:
    """The name comparison alone on labelled pairs."""

    pairs: int
    matches: int
    pair_precision: float
    pair_recall: float
    pair_f1: float
    levels: Mapping[str, float]  # entity -> similarity from which two names agree
    cpu_s: float
    wrong: Sequence[NamePair]


_LEFT_NAMES = ("name1", "name_1", "left", "left_name", "name_a", "a")
_RIGHT_NAMES = ("name2", "name_2", "right", "right_name", "name_b", "b")
_TRUE_WORDS = frozenset({"1", "true", "t", "yes", "y", "match"})
_PERSON_WORDS = frozenset({"person", "people", "human", "individual"})


def evaluate_pairs(
    table: pa.Table,
    *,
    truth: str,
    entity: EntityKind,
    config: ResolutionConfig,
    person: Callable[[str, str], float],
    organisation: Callable[[str, str], float],
    left: str | None = None,
    right: str | None = None,
    kind: str | None = None,
) -> PairEvaluation:
    """Score the name comparison at the configured levels.

    Args:
        table: A row per pair.
        truth: Column that is 1, true, yes or match where the two are one.
        entity: What the names are of, where no column tells.
        config: The levels.
        person, organisation: Similarity of two names, 0 to 100.
        left, right: Columns of the names; None finds name1/name2, left/right and the like.
        kind: Column that tells what the names are of ("Person", anything else is an organisation); None takes "schema" or "entity".

    Raises:
        UsageError: A column is missing.
    """
    first, second = left or _present(table, _LEFT_NAMES, "--left"), right or _present(table, _RIGHT_NAMES, "--right")
    by = kind or next((name for name in ("schema", "entity") if name in table.column_names), None)
    for column in (first, second, truth, *([by] if by else [])):
        if column not in table.column_names:
            raise UsageError("there is no such column", f"columns: {', '.join(table.column_names)}", column=column)
    clock = _Clock()
    kinds = table.column(by).to_pylist() if by else [entity] * table.num_rows
    scored = []
    for one, other, said, of in zip(*(table.column(name).to_pylist() for name in (first, second, truth)), kinds, strict=True):
        is_person = str(of or entity).strip().lower() in _PERSON_WORDS
        similarity = (person if is_person else organisation)(str(one or ""), str(other or ""))
        level = config.name_threshold if is_person else config.company_threshold
        matches = str(said).strip().lower() in _TRUE_WORDS
        scored.append(
            NamePair(left=str(one), right=str(other), is_match=matches, similarity=round(similarity, 1), agrees=similarity >= level)
        )
    right_pairs = sum(each.agrees and each.is_match for each in scored)
    found, there = sum(each.agrees for each in scored), sum(each.is_match for each in scored)
    precision, recall = right_pairs / found if found else 1.0, right_pairs / there if there else 1.0
    return PairEvaluation(
        pairs=len(scored),
        matches=there,
        pair_precision=precision,
        pair_recall=recall,
        pair_f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        levels={"person": config.name_threshold, "company": config.company_threshold},
        cpu_s=clock.lap(),
        wrong=sorted((each for each in scored if each.agrees != each.is_match), key=lambda each: (each.is_match, -each.similarity)),
    )


def _present(table: pa.Table, names: Sequence[str], option: str) -> str:
    found: str | None = next((name for name in table.column_names if name.lower() in names), None)
    if found is None:
        raise UsageError("no column holds the names", f"say which: {option} COLUMN; columns: {', '.join(table.column_names)}")
    return found
