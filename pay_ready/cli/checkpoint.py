"""`pay-ready checkpoint`: states to which a rollback can return."""

from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.errors import CheckFailedError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.db.checkpoints import Checkpoint

app = typer.Typer(no_args_is_help=True, help="States to which pay-ready rollback can return: every publish makes one, you may name more.")

NameArgument = Annotated[str, typer.Argument(help="Name or id.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Its name, for example before-cleanup.")],
    tenant: TenantOption,
    pin: Annotated[bool, typer.Option("--pin", help="Retention never drops it.")] = False,
    note: Annotated[str | None, typer.Option(help="Why; kept with it and in the audit.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Name the state that is published now.

    Example: pay-ready checkpoint create before-cleanup --tenant acme --pin
    """
    from pay_ready.pipeline import checkpoint

    with opened_app() as opened:
        found = opened.tenant(tenant)
        made = checkpoint.create(opened.database, found.tenant_id, name, pinned=pin, actor=opened.actor, note=note)
    print_json("checkpoint", made) if as_json else say(f"{made.name} is the state of run {made.run_no}, digest {made.digest.hex()[:16]}…")


@app.command("list")
def list_(
    tenant: TenantOption,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Checkpoints, the newest first.

    Example: pay-ready checkpoint list --tenant acme
    """
    from pay_ready.db import checkpoints as db_checkpoints

    with opened_app() as opened:
        found = opened.tenant(tenant)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            points = db_checkpoints.checkpoints(tx, limit)
    if as_json:
        print_json("checkpoints", points)
        return
    if not points:
        say(f"none yet: the second publish makes the first one; or name the state now: pay-ready checkpoint create NAME -t {tenant}")
        return
    print_table(
        ("name", "run", "of", "kind", "kept by", "made", "by", "digest"),
        [
            (each.name, each.run_no, each.run_kind, each.kind, _kept(each), each.created_at, each.made_by, each.digest.hex()[:12])
            for each in points
        ],
    )


@app.command("show")
def show(
    name: NameArgument,
    tenant: TenantOption,
    check: Annotated[bool, typer.Option("--check", help="Work its digest out from the rows; exit 7 when it is another.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What a checkpoint names: its run, models, settings and figures. What a return would change: pay-ready rollback --dry-run.

    Example: pay-ready checkpoint show before-run-7 --tenant acme --check
    """
    from pay_ready.pipeline import checkpoint

    with opened_app() as opened:
        found = opened.tenant(tenant)
        shown = checkpoint.show(opened.database, found.tenant_id, name, check=check)
    point, run = shown.checkpoint, shown.run
    if as_json:
        print_json("checkpoint", shown)
    else:
        rows: list[tuple[str, object]] = [
            ("name", point.name),
            ("id", point.checkpoint_id),
            ("state of run", f"{run.run_no} ({run.kind} by {run.actor}, {run.published_at:%Y-%m-%d %H:%M})"),
            ("kind", point.kind),
            ("kept by", _kept(point)),
            ("note", point.note),
            ("digest", point.digest.hex()),
            ("model of people", run.person_model_id),
            ("model of companies", run.company_model_id),
            ("tenant's settings", f"version {run.settings_version}" if run.settings_version else "not kept"),
            ("people", _figures(run.report.get("people", {}))),
            ("companies", _figures(run.report.get("companies", {}))),
        ]
        if shown.is_whole is not None:
            rows.append(("rows give this digest", "yes" if shown.is_whole else "NO"))
        print_table(("", ""), rows)
    if shown.is_whole is False:
        hint = f"see what is off: pay-ready verify --deep -t {tenant}"
        raise CheckFailedError("the rows are not those of the checkpoint any more", hint, checkpoint=name)


@app.command("pin")
def pin(
    name: NameArgument,
    tenant: TenantOption,
    off: Annotated[bool, typer.Option("--off", help="Leave it to retention again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep a checkpoint for ever.

    Example: pay-ready checkpoint pin before-run-7 --tenant acme
    """
    from pay_ready.pipeline import checkpoint

    with opened_app() as opened:
        found = opened.tenant(tenant)
        point = checkpoint.pin(opened.database, found.tenant_id, name, pinned=not off, actor=opened.actor)
    print_json("checkpoint", point) if as_json else say(f"{point.name} is {'pinned' if point.pinned else 'left to retention'}")


@app.command("drop")
def drop(name: NameArgument, tenant: TenantOption, reason: ReasonOption = None, as_json: JsonOption = False) -> None:
    """Forget a checkpoint; the history that it named stays. Exit 6 when it is pinned, or a rollback in force refers to it.

    Example: pay-ready checkpoint drop before-cleanup --tenant acme
    """
    from pay_ready.pipeline import checkpoint

    with opened_app() as opened:
        found = opened.tenant(tenant)
        point = checkpoint.drop(opened.database, found.tenant_id, name, actor=opened.actor, reason=reason)
    print_json("checkpoint", point) if as_json else say(f"{point.name} is dropped; run {point.run_no} stays in the history")


@app.command("prune")
def prune(
    tenant: TenantOption,
    keep: Annotated[int | None, typer.Option(min=1, help="Automatic ones to keep; else checkpoints.keep_count.")] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Age to keep any; else checkpoints.keep_days.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Drop nothing: list them.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Drop what retention does not keep, as every pay-ready resolve does at its end.

    Example: pay-ready checkpoint prune --tenant acme --keep 10 --dry-run
    """
    from pay_ready.pipeline import checkpoint

    with opened_app() as opened:
        found = opened.tenant(tenant)
        kept = opened.settings_of(found).checkpoints
        gone = checkpoint.prune(
            opened.database, found.tenant_id, keep_count=keep or kept.keep_count, keep_days=kept.keep_days if days is None else days,
            actor=opened.actor, dry_run=dry_run,
        )  # fmt: skip
    if as_json:
        print_json("dropped_checkpoints", sorted(gone.values()))
        return
    say(f"{len(gone)} {'would be ' if dry_run else ''}dropped{': ' if gone else ''}{', '.join(sorted(gone.values()))}")


def _kept(point: "Checkpoint") -> str:
    return ", ".join(why for why, holds in (("pin", point.pinned), ("rollback in force", point.is_referenced)) if holds)


def _figures(figures: object) -> str:
    if not isinstance(figures, dict):
        return ""
    return ", ".join(f"{figures[name]:,.0f} {name}" for name in ("records", "entities", "edges") if name in figures)
