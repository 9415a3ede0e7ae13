"""`pay-ready retention`: what is older than a tenant keeps it goes to archives, and comes back from them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.model.archived import ArchiveKind
    from pay_ready.pipeline.retention.work import RestoreReport, RetentionPlan, RetentionReport

app = typer.Typer(
    no_args_is_help=True,
    help="Archive what is older than the tenant keeps it ([retention] in its settings, days by kind; 0 is for ever), and restore it.\n\n"
    "Kinds: history (closed versions), memories (passages nobody asks for), quarantine (closed), landed (marks of deleted records), runs "
    "(accounts of syncs), logs. Never goes what a checkpoint, a rollback in force, verify, or the next sync needs.\n\n"
    "Example: pay-ready tenants settings acme --set retention.history_days=90\n\n"
    "Example: pay-ready retention plan -t acme",
    rich_markup_mode=None,
)
_KINDS = "landed, history, quarantine, runs, logs, memories"
OnlyOption = Annotated[list[str] | None, typer.Option("--only", metavar="KIND", help=f"Of {_KINDS}; repeat for more.")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait while another process is at it.")]
_MIB = 1 << 20


@app.command("plan")
def plan(tenant: TenantOption, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """What is due, by table, and what is kept; nothing is written.

    Example: pay-ready retention plan --tenant acme --only history
    """
    from pay_ready.pipeline.retention.plan import plan_retention

    kinds = _kinds(only)
    with opened_app() as opened, opened.retention(tenant, may_delete=False) as work, shown_progress(quiet=as_json) as progress:
        found = plan_retention(work, kinds, progress=progress)
    print_json("retention_plan", found) if as_json else _print_plan(found)


@app.command("apply")
def apply(
    tenant: TenantOption,
    only: OnlyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing: show what would go.")] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Archive what is due, read the archives again, then delete it. Interrupted, the same command goes on; nothing is lost at any point.

    Example: pay-ready retention apply --tenant acme --dry-run
    Example: pay-ready retention apply --tenant acme --only logs --only quarantine
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.retention.apply import run_retention

    kinds = _kinds(only)
    with (
        opened_app() as opened,
        opened.retention(tenant, may_delete=not dry_run, wait_s=wait) as work,
        shown_progress(quiet=as_json) as progress,
    ):
        report = run_retention(work, kinds, run_id=RunId(new_id()), dry_run=dry_run, progress=progress)
    print_json("retention", report) if as_json else _print_report(report, tenant)
    report.raise_for_failure()


@app.command("restore")
def restore(
    manifest: Annotated[str, typer.Argument(metavar="MANIFEST", help="Path of an archive's manifest.json, or the archive's id.")],
    tenant: TenantOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every file, and write nothing.")] = False,
    wait: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Put the rows of an archive back, exactly; never over newer ones, and never somebody who was erased. Twice is as once.

    Exit 4 for another tenant's archive, 6 when it may not or cannot come back, 7 when it is damaged or a copy from before an erasure.

    Example: pay-ready retention restore 0198c1f0-7c2b-7d55-9c1e-0a1b2c3d4e5f --tenant acme --dry-run
    Example: pay-ready retention restore /mnt/archives/…/manifest.json --tenant acme
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.retention.restore import restore_archive

    with (
        opened_app() as opened,
        opened.retention(tenant, may_delete=True, wait_s=wait) as work,
        shown_progress(quiet=as_json) as progress,
    ):
        report = restore_archive(work, manifest, run_id=RunId(new_id()), dry_run=dry_run, progress=progress)
    if as_json:
        print_json("restored_archive", report)
        return
    _print_restored(report)
    if not dry_run:
        note(f"they are as old as before: keep {report.kind}_days longer, or the next apply archives them again")
        if report.kind == "memories":
            note(f"next: pay-ready index --tenant {tenant}")


@app.command("list")
def list_(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """Archives of a tenant, the newest first, and where they stand.

    Example: pay-ready retention list --tenant acme
    """
    from pay_ready.db import retention as db_retention

    with opened_app() as opened, opened.retention(tenant, may_delete=False) as work:
        with work.database.tenant_transaction(work.tenant) as tx:
            found = db_retention.archives(tx, statuses=("archived", "deleted", "restored", "dropped", "void"))
        places = {each.archive_id: work.shelf.place(each.archive_id, each.revision) for each in found}
    if as_json:
        print_json("archives", [{"archive": each, "folder": places[each.archive_id]} for each in found])
        return
    if not found:
        say(f"none yet: see what is due with pay-ready retention plan -t {tenant}")
        return
    print_table(
        ("archive", "of", "state", "rows", "MiB", "older than (UTC)", "made (UTC)", "in its place"),
        [
            (each.archive_id, each.kind, each.status, each.archived_rows - each.erased_rows, each.size_bytes / _MIB, each.cutoff,
             each.begun_at, "yes" if (places[each.archive_id] / "manifest.json").is_file() else "no")
            for each in found
        ],
    )  # fmt: skip
    say(f"folder: {places[found[0].archive_id].parent}")


def _kinds(only: list[str] | None) -> "tuple[ArchiveKind, ...]":
    """The kinds of these names.

    Raises:
        UsageError: There is none of a name; tells those there are.
    """
    from pay_ready.model.archived import KINDS

    for name in only or ():
        if name not in KINDS:
            raise UsageError("no such kind", f"choose of {', '.join(KINDS)}", kind=name)
    return tuple(kind for kind in KINDS if kind in (only or ()))


def _print_plan(found: "RetentionPlan") -> None:
    print_table(
        ("kind", "kept", "table", "rows due", "oldest (UTC)", "youngest (UTC)"),
        [(each.kind, f"{each.days:g} days", each.table, each.rows, each.first_at, each.last_at) for each in found.due],
    )
    forever = ", ".join(kind for kind, days in found.days.items() if not days)
    if forever:
        say(f"kept for ever: {forever}")
    if found.through_run_no:
        kept = f"; whole all the same: {', '.join(map(str, found.kept_runs))}" if found.kept_runs else ""
        say(f"history: runs up to {found.through_run_no} cannot be undone afterwards; states before it are no longer whole{kept}")
    if found.unfinished:
        say(f"archives whose rows are not all gone yet: {', '.join(map(str, found.unfinished))}")
    if found.outlived:
        say(f"archives that are kept long enough: {', '.join(map(str, found.outlived))}")


def _print_report(report: "RetentionReport", tenant: str) -> None:
    if report.is_dry_run:
        _print_plan(report.plan)
        say(f"{report.plan.rows:,} rows would go")
        return
    for each in report.archives:
        resumed = " (begun by an earlier run)" if each.is_resumed else ""
        print_table(("table", "archived", "deleted"), [(table, n, each.deleted.get(table, 0)) for table, n in each.rows.items()])
        say(f"{each.kind}{resumed}: {each.size_bytes:,} bytes in {each.manifest}")
    if report.dropped:
        say(f"archives that were kept long enough are gone: {', '.join(map(str, report.dropped))}")
    say(f"{report.deleted:,} rows archived and deleted")
    if left := sum(sum(each.rows.values()) for each in report.archives) - report.deleted:
        note(f"{left:,} rows changed meanwhile, or are needed again, and stayed")
    if report.archives:
        note(f"they come back with: pay-ready retention restore ARCHIVE -t {tenant}")


def _print_restored(report: "RestoreReport") -> None:
    verb = "would be withheld" if report.is_dry_run else "withheld"
    there: Mapping[str, int] = report.there
    if report.is_dry_run:
        print_table(("table", "in the archive", verb), [(table, n, report.withheld.get(table, 0)) for table, n in report.rows.items()])
        say("every file is whole")
        return
    print_table(
        ("table", "in the archive", "restored", verb, "there already"),
        [(table, n, report.restored.get(table, 0), report.withheld.get(table, 0), there[table]) for table, n in report.rows.items()],
    )
    say(f"{sum(report.restored.values()):,} rows are back")
