"""`pay-ready changes` and `pay-ready undo`: what runs did to people and companies, and one of it taken back."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.cli.rollback import DryRunOption, print_differences
from pay_ready.errors import PartialError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from collections.abc import Sequence

    from pay_ready.db.restore import FeedLine
    from pay_ready.pipeline.undo import UndoReport, Where

Change = Literal["created", "split", "changed", "merged", "retired"]
EntityKind = Literal["person", "company"]
_KEYS = ("run", "change", "type", "entity")


def changes(
    tenant: TenantOption,
    run: Annotated[int | None, typer.Option(help="Of this run.")] = None,
    change: Annotated[Change | None, typer.Option(help="Of this kind.")] = None,
    entity: Annotated[UUID | None, typer.Option(help="About this entity.")] = None,
    of: Annotated[EntityKind | None, typer.Option("--type", help="Of people or companies.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """The change feed: what each run did to each person and company, the latest first.

    Example: pay-ready changes --tenant acme --run 7 --change merged
    """
    from pay_ready.db import restore as db_restore

    with opened_app() as opened:
        found = opened.tenant(tenant)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            lines = db_restore.feed_lines(tx, run_no=run, change=change, entity_type=of, entity_id=entity, most=limit)
    print_json("changes", lines) if as_json else _print_lines(lines)


def undo(
    tenant: TenantOption,
    change: Annotated[int | None, typer.Argument(help="Number of a merge or split: pay-ready changes.")] = None,
    decision: Annotated[UUID | None, typer.Option(help="Instead: withdraw this decision, and take back what it did.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Instead: all merges and splits of run=NO, of change=, type=, entity=; repeat it."),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Take back what followed on it, too.")] = False,
    allow_rematch: Annotated[
        bool, typer.Option("--allow-rematch", help="Add no decisions that keep it so: the next resolve may make it again.")
    ] = False,
    dry_run: DryRunOption = False,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back one merge, split or decision, and leave everything else as it is. Exit 6 when later changes stand in the way, 3 when
    they do so for some of many.

    Example: pay-ready undo 1042 --tenant acme --dry-run
    Example: pay-ready undo --tenant acme --where run=12 --where change=merged --reason "shared phone"
    """
    if sum(each is not None for each in (change, decision)) + bool(where) != 1:
        raise UsageError("one thing is undone at a time", "give the number of a change, or --decision, or --where run=NO")
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline import undo as step

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        work = opened.work(tenant)
        asked = step.Asked(
            actor=work.actor, run_id=RunId(new_id()), reason=reason, tree=tree, allow_rematch=allow_rematch, dry_run=dry_run
        )  # fmt: skip
        if change is not None:
            report = step.undo_change(work.database, work.tenant, change, asked, progress=progress)
        elif decision is not None:
            report = step.undo_decision(work.database, work.tenant, decision, asked, progress=progress)
        else:
            report = step.undo_where(work.database, work.tenant, _where(where or ()), asked, progress=progress)
    print_json("undo", report) if as_json else _print(report, tenant)
    if report.blocked and not dry_run:
        raise PartialError("some changes were not undone", "undo what followed on them first, or add --tree", blocked=len(report.blocked))


def _where(words: "Sequence[str]") -> "Where":
    """run=12 change=merged type=person entity=ID.

    Raises:
        UsageError: A word is of another form, a value is none, or the run is missing.
    """
    from pay_ready.pipeline.undo import Where

    told: dict[str, str] = {}
    for word in words:
        key, is_there, value = word.partition("=")
        if not is_there or key not in _KEYS or key in told:
            raise UsageError("not a condition", f"write KEY=VALUE, each once, KEY one of {', '.join(_KEYS)}", got=word)
        told[key] = value
    try:
        if "run" not in told:
            raise UsageError("which run's changes?", "add --where run=NO; see pay-ready changes", where=" ".join(words))
        if told.get("change") not in (None, "merged", "split"):
            raise UsageError("merges and splits can be undone", "write change=merged or change=split", got=told["change"])
        if told.get("type") not in (None, *get_args(EntityKind)):
            raise UsageError("there are people and companies", "write type=person or type=company", got=told["type"])
        return Where(
            run_no=int(told["run"]), change=told.get("change"), entity_type=told.get("type"),  # type: ignore[arg-type]
            entity_id=UUID(told["entity"]) if "entity" in told else None,
        )  # fmt: skip
    except ValueError:
        raise UsageError("not a number of a run, or not an id", "write run=12 entity=<id of 36 letters>", where=" ".join(words)) from None


def _print(report: "UndoReport", tenant: str) -> None:
    if report.differences is not None:
        print_differences(report.differences)
    verb = "would be undone" if report.is_dry_run else "undone"
    if report.is_undone:
        say("already undone: those concerned are as they were before")
        return
    if report.undone:
        say(f"{verb}: {len(report.undone):,} changes of run {report.undone[0].run_no}")
    if report.followed:
        say(f"with them, as they followed: {len(report.followed):,} changes")
        _print_lines(report.followed)
    for each in report.blocked:
        say(f"not undone: change {each.line.change_seq} ({each.line.change} {each.line.entity_id}); in the way:")
        _print_lines(each.blockers)
    if report.decided:
        keep = "would keep" if report.is_dry_run else "keep"
        say(f"{report.decided:,} decisions {keep} it so: pay-ready review list -t {tenant} --context undo")
    if report.against:
        named = ", ".join(map(str, report.against))
        say(f"in the way: stewards decided the contrary ({named}); take that back first: pay-ready undo --decision ID")
    if report.withdrawn:
        say(f"decisions {'to be ' if report.is_dry_run else ''}withdrawn: {', '.join(map(str, report.withdrawn))}")
    if report.run_no is not None:
        say(f"published as run {report.run_no}")
    elif not report.is_dry_run:
        say("nothing was published" + ("; the next pay-ready resolve goes without the decision" if report.withdrawn else ""))


def _print_lines(lines: "Sequence[FeedLine]") -> None:
    columns = ("change_seq", "run_no", "kind", "change", "entity_type", "entity_id", "other_entity_id", "published_at")
    heads = ("change", "run", "by a", "what", "of", "entity", "into or from", "when")
    print_table(heads, [[getattr(each, column) for column in columns] for each in lines])
