"""`pay-ready resolve`: who is who among the staged records; or, with --dry-run, what another configuration would change."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, ShrinkOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.profiling import ProfileOption, profiled
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.model.resolution import Reads, ResolutionConfig, ResolveReport
    from pay_ready.pipeline.preview import Preview, TypePreview


def resolve(
    tenant: TenantOption,
    accept_shrink: ShrinkOption = False,
    refresh: Annotated[bool, typer.Option("--refresh", help="Train the models anew, as a run of its own.")] = False,
    read_all: Annotated[
        bool, typer.Option("--all", help="Read every record, where what changed alone would do; the outcome is the same.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing: compare with what is published.")] = False,
    config: Annotated[Path | None, typer.Option(help="With --dry-run: a file like config/resolution/default.toml to try.")] = None,
    spark: Annotated[str, typer.Option(metavar="MASTER", help="Score the pairs on Spark: local[2], spark://host:7077, …")] = "",
    examples: Annotated[int, typer.Option(min=0, max=1_000, help="With --dry-run: changed entities to show, of each kind.")] = 5,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out who is who among the staged records, and publish what changed. Exit 7 when a stream is far smaller than it was.

    Example: pay-ready resolve --tenant acme
    Example: pay-ready resolve --tenant acme --dry-run --config stricter.toml
    """
    if spark and dry_run:
        raise UsageError("a dry run is made in this process", "leave out --spark", option="--spark")
    if config is not None and not dry_run:
        raise UsageError("--config is tried, not published", "add --dry-run", config=str(config))
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.etl import quality_step, resolve_step

    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant, accept_shrink=accept_shrink)
        if dry_run:
            from pay_ready.pipeline.preview import preview

            tried = work.resolution if config is None else _configured(opened, tenant, config)
            found = preview(work.database, work.tenant, tried, refresh=refresh, examples=examples, progress=progress)
            print_json("resolve_preview", found) if as_json else _print_preview(found)
            return
        reads: Reads = "all" if read_all else "auto"
        run_id = RunId(new_id())
        if (checked := quality_step(work, run_id)) is not None:
            checked.raise_for_failure()
        report = resolve_step(work, run_id, refresh=refresh, reads=reads, spark=spark or None, progress=progress)
    if as_json:
        print_json("resolve", report)
    else:
        print_resolve(report)


def _configured(opened: "App", tenant: str, path: Path) -> "ResolutionConfig":
    """The file's settings under the tenant's own thresholds."""
    from pay_ready.pipeline.resolution_config import load_resolution_config

    return load_resolution_config(path, opened.settings_of(opened.tenant(tenant)).entity_resolution.model_dump())


def print_resolve(report: "ResolveReport") -> None:
    """Entities by type, and what changed."""
    from typing import get_args

    from pay_ready.model.resolution import ChangeKind

    changes = get_args(ChangeKind)
    rows = [
        (
            name, each.records, each.candidate_pairs, each.edges, each.entities, *(each.changes.get(change, 0) for change in changes),
            f"{each.predicted_precision:.3f}", f"{each.threshold_bits:g}",
        )
        for name, each in (("people", report.people), ("companies", report.companies))
    ]  # fmt: skip
    print_table(("", "records", "pairs compared", "links", "entities", *changes, "predicted precision", "threshold (bits)"), rows)
    if report.changed_records is not None:
        say(f"read what changed alone: {report.changed_records:,} records that came, changed or went, and whom they touch")
    if report.run_no is None:
        say("nothing changed: nothing was published")
    else:
        links = f"{report.interactions_linked} links to interactions opened, {report.interactions_unlinked} closed"
        say(f"published as run {report.run_no} ({report.kind}); {links}")
    if report.trained_because and report.run_no is not None:
        say(f"models trained anew: {'; '.join(report.trained_because)}")
    if report.drift:
        say(f"models out of date: {'; '.join(report.drift)}")
    for block in report.capped_blocks:
        lost = f"{block.pairs:,} pairs not compared by it"
        say(f"left out as too large: {block.blocks} blocks of {block.entity_type} rule {block.rule}, {lost}")
    if report.refreshed is not None:
        say("the models had drifted, and were trained anew by a run of its own:")
        print_resolve(report.refreshed)


def _print_preview(found: "Preview") -> None:
    from typing import get_args

    from pay_ready.model.resolution import ChangeKind

    changes = get_args(ChangeKind)

    def row(name: str, each: "TypePreview") -> tuple[object, ...]:
        return (
            name, each.records, each.entities_now, each.entities_then, *(each.changes.get(change, 0) for change in changes),
            _share(each.predicted_precision_now), _share(each.predicted_precision_then),
            "" if each.threshold_bits_now is None else f"{each.threshold_bits_now:g}", f"{each.threshold_bits_then:g}",
        )  # fmt: skip

    heads = ("", "records", "entities now", "then", *changes, "predicted precision now", "then", "threshold now", "then")
    print_table(heads, [row("people", found.people), row("companies", found.companies)])
    if found.examples:
        print_table(
            ("change", "of", "entity", "now", "then"),
            [(each.change, each.entity_type, each.entity_id, each.before or "", each.after or "") for each in found.examples],
        )
    why = f" with models trained anew ({'; '.join(found.reasons)})" if found.reasons else ""
    say(f"compared with run {found.base_run_no}{why}; nothing was written")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
