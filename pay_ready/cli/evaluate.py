"""`pay-ready evaluate`: resolution tried on a file, and measured against a truth."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from pay_ready.cli.options import JsonOption
from pay_ready.cli.output import note, print_json, print_table, say, write
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load it
    from pay_ready.model.resolution import ResolutionConfig
    from pay_ready.pipeline.evaluate import ErrorPair, Evaluation, PairEvaluation

Entity = Literal["person", "company"]


def evaluate(
    file: Annotated[Path, typer.Argument(help="A .csv, .csv.gz or .parquet file.", show_default=False)],
    truth: Annotated[str, typer.Option(help="Column of the true entity (with --pairs: of 1 or 0). Never used to decide.")] = "",
    entity: Annotated[str, typer.Option(help="What a row is about: person or company.")] = "person",
    key: Annotated[str, typer.Option("--id", help="Column that names a row; it is no evidence.")] = "",
    column: Annotated[list[str] | None, typer.Option(help="NAME=KIND, where a column's kind is not told by its name; repeat.")] = None,
    clusters: Annotated[Path | None, typer.Option(help="Write each row's cluster to this .csv or .parquet file.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Bits from which two rows match; default: set from the data.")] = None,
    errors: Annotated[int, typer.Option(min=0, max=1_000, help="Wrong pairs of each kind to show.")] = 5,
    show_model: Annotated[bool, typer.Option("--model", help="Show what was learnt: every level and its bits.")] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help="Rows are labelled pairs of names: score the name comparison alone.")] = False,
    left: Annotated[str, typer.Option(help="With --pairs: column of the one name.")] = "",
    right: Annotated[str, typer.Option(help="With --pairs: column of the other name.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Find out who is who in a file, without labels, and measure it against a truth.

    Columns are mapped by name and content (see --column). Nothing is stored, no database is needed.
    Example: pay-ready evaluate people.csv --truth true_id
    Example: pay-ready evaluate names.csv --pairs --truth is_match
    """
    if entity not in get_args(Entity):
        raise UsageError("not a kind of entity", f"choices: {', '.join(get_args(Entity))}", entity=entity)
    config = _config()
    if pairs:
        _evaluate_pairs(file, truth, cast("Entity", entity), config, (left, right), errors, as_json)
        return
    from pay_ready.pipeline import evaluate as evaluation

    table = evaluation.read_table(file)
    kinds = evaluation.column_kinds(table, cast("Entity", entity), column or (), [name for name in (truth, key) if name])
    if not as_json:
        note(f"{table.num_rows:,} rows; " + ", ".join(f"{each.column}: {each.kind}" for each in kinds if each.kind != "ignore"))
    with shown_progress(quiet=as_json) as progress:
        found = evaluation.evaluate(
            table, kinds, cast("Entity", entity), config, truth=truth or None, threshold_bits=threshold, errors=errors, progress=progress
        )
    if clusters:
        evaluation.write_clusters(clusters, table, found, key or None)
    if as_json:
        print_json("evaluation", _plain(found))
    else:
        _print(found, show_model)


def _config() -> "ResolutionConfig":
    from pay_ready.pipeline.resolution_config import load_resolution_config
    from pay_ready.resources import resource_path
    from pay_ready.settings import Environment, load_domain, load_settings

    environment = Environment()
    settings = load_settings(environment, load_domain(environment.domain))
    return load_resolution_config(resource_path("config", "resolution", "default.toml"), settings.entity_resolution.model_dump())


def _plain(found: "Evaluation") -> dict[str, object]:
    quality = asdict(found.quality) if found.quality else {}
    return {
        **quality,
        "entity": found.entity,
        "records": found.records,
        "clusters": found.clusters,
        "predicted_precision": found.predicted_precision,
        "predicted_recall": found.predicted_recall,
        "blocking_recall": found.blocking_recall,
        "threshold_bits": found.threshold_bits,
        "candidate_pairs": found.candidate_pairs,
        "cpu_s": found.cpu_s,
        "wall_s": found.wall_s,
        "peak_rss_mb": found.peak_rss_mb,
        "cpu_by_phase": dict(found.cpu_by_phase),
        "training": found.training,
        "columns": {each.column: each.kind for each in found.columns},
        "hot_blocks": [asdict(each) for each in found.hot],
        "model": [dict(zip(("comparison", "level", "matches", "chance", "bits"), row, strict=True)) for row in found.model],
        "errors": [asdict(each) for each in found.errors],
    }


def _print(found: "Evaluation", show_model: bool) -> None:
    rows: list[tuple[str, object]] = []
    if found.quality:
        quality = found.quality
        rows += [
            ("pairs: precision", f"{quality.pair_precision:.4f}"), ("pairs: recall", f"{quality.pair_recall:.4f}"),
            ("pairs: F1", f"{quality.pair_f1:.4f}"), ("B-cubed F1", f"{quality.bcubed_f1:.4f}"),
            ("exact clusters", f"{quality.exact_clusters:.4f}"),
        ]  # fmt: skip
    rows += [
        ("predicted precision", f"{found.predicted_precision:.4f}"), ("predicted recall of the compared", f"{found.predicted_recall:.4f}"),
    ]  # fmt: skip
    if found.blocking_recall is not None:
        rows.append(("recall of blocking", f"{found.blocking_recall:.4f}"))
    rows += [
        ("rows", f"{found.records:,}"), ("clusters", f"{found.clusters:,}"), ("pairs compared", f"{found.candidate_pairs:,}"),
        ("threshold", f"{found.threshold_bits:.2f} bits"), ("training", found.training),
        ("CPU seconds", f"{found.cpu_s:.2f} ({', '.join(f'{phase} {span:.2f}' for phase, span in found.cpu_by_phase.items())})"),
        ("wall seconds", f"{found.wall_s:.2f}"), ("peak memory", f"{found.peak_rss_mb:,.0f} MB"),
    ]  # fmt: skip
    print_table(("figure", "value"), rows)
    if found.hot:
        hot = [(each.rule, f"{each.blocks:,}", f"{each.records:,}", f"{each.pairs:,}") for each in found.hot]
        print_table(("blocks above the cap", "blocks", "records", "pairs left to other rules"), hot)
    if show_model:
        model = [(name, level, f"{m:.4f}", f"{u:.6f}", f"{bits:+.1f}") for name, level, m, u, bits in found.model]
        print_table(("comparison", "level", "among matches", "by chance", "bits"), model)
    for each in found.errors:
        write(_error_text(each))


def _error_text(pair: "ErrorPair") -> str:
    said = "two in one cluster" if pair.kind == "joined" else "one in two clusters"
    evidence = ", ".join(f"{name} {level} {bits:+.1f}" for name, (level, bits) in pair.evidence.items())
    rows = ("    " + " | ".join(value or "-" for value in row.values()) for row in (pair.left, pair.right))
    return "\n".join((f"\n{said}: {pair.bits} bits ({evidence})", *rows)) + "\n"


def _evaluate_pairs(
    file: Path, truth: str, entity: Entity, config: "ResolutionConfig", columns: tuple[str, str], errors: int, as_json: bool
) -> None:
    from pay_ready.pipeline import evaluate as evaluation
    from pay_ready.resolve.name_similarity import NameSimilarity

    if not truth:
        raise UsageError("no column says which pairs match", "say which: --truth COLUMN")
    names = NameSimilarity(config.nicknames)
    found = evaluation.evaluate_pairs(
        evaluation.read_table(file), truth=truth, entity=entity, config=config, person=names.person, organisation=names.organisation,
        left=columns[0] or None, right=columns[1] or None,
    )  # fmt: skip
    if as_json:
        print_json("pair_evaluation", {**asdict(found), "wrong": [asdict(each) for each in found.wrong]})
        return
    _print_pairs(found, errors)


def _print_pairs(found: "PairEvaluation", errors: int) -> None:
    print_table(
        ("figure", "value"),
        [
            ("precision", f"{found.pair_precision:.4f}"), ("recall", f"{found.pair_recall:.4f}"), ("F1", f"{found.pair_f1:.4f}"),
            ("pairs", f"{found.pairs:,}"), ("matches", f"{found.matches:,}"),
            ("levels", ", ".join(f"{name} {level:g}" for name, level in found.levels.items())), ("CPU seconds", f"{found.cpu_s:.2f}"),
        ],
    )  # fmt: skip
    shown = [*[each for each in found.wrong if not each.is_match][:errors], *[each for each in found.wrong if each.is_match][:errors]]
    if shown:
        say("wrong:")
        print_table(
            ("similarity", "truth", "one", "other"),
            [(f"{each.similarity:.0f}", "match" if each.is_match else "no match", each.left, each.right) for each in shown],
        )
