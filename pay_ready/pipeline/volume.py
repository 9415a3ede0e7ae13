"""The volume guard: what would publish an empty or far smaller stream stops before it is published.

A green sync says that a source answered, not that the answer is true: platforms are known to end a sync well and leave an
empty table. The guard compares the rows of each stream that live with those that lived when the tenant was published last.
Only what changed since is counted. The baseline moves when a publish went through, so a run that was held back is held
back again until its stream is whole, or until somebody says that the rows are really gone (--accept-shrink).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from pay_ready.db import volume
from pay_ready.db.landing import Shrink
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.db.volume import StreamSize
from pay_ready.errors import HeldBackError
from pay_ready.model.ids import RunId, TenantId
from pay_ready.pipeline.land.report import Unbelieved
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.run_column import HeldStreamV2, SyncReportV2, amend_report

log = structlog.get_logger()

# By source and stream: refreshes of this run that the brake did not believe.
Doubts = Mapping[tuple[str, str], Unbelieved]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStream:
    """A stream because of which nothing is published, in rows."""

    size: StreamSize
    before: int  # that lived when it was published last
    now: int  # that live, or that the refresh listed
    reason: Literal["fewer_rows", "refresh_not_believed"]

    def __str__(self) -> str:
        return f"{self.size.source}/{self.size.stream}: {self.before} rows when published last, {self.now} now"


def doubts_of(reports: Mapping[str, Sequence[Unbelieved]]) -> Doubts:
    """The refreshes, by source, that the brake did not believe because too many rows would have gone at once."""
    return {(source, each.stream): each for source, found in reports.items() for each in found if each.reason == "shrink"}


def judge(sizes: Sequence[StreamSize], guard: ShrinkGuard, doubts: Doubts) -> list[HeldStream]:
    """The streams that hold a publish back, the greatest loss first. Nothing does on a first load, or below the guard's floor."""
    held: list[HeldStream] = []
    for size in sizes:
        if size.before is None or size.before < guard.from_rows or guard.accept:
            continue
        doubt = doubts.get((size.source, size.stream))
        if guard.refuses(Shrink(live=size.before, gone=size.before - size.now)):
            held.append(HeldStream(size=size, before=size.before, now=size.now, reason="fewer_rows"))
        elif doubt:
            held.append(HeldStream(size=size, before=size.before, now=doubt.live - doubt.gone, reason="refresh_not_believed"))
    return sorted(held, key=lambda each: (each.now - each.before, str(each)))


def guard_volume(
    database: Database, tenant: TenantId, slug: str, guard: ShrinkGuard, *, run_id: RunId, doubts: Doubts | None = None
) -> list[StreamSize]:
    """The sizes of the streams that changed since the last publish, to be kept once they are published.

    What was checked is in quality_results, and the report of the sync that moved a stream last says that it held things back.

    Raises:
        HeldBackError: A stream is far smaller than it was then; names it, both sizes and the next command.
    """
    doubts = doubts or {}
    with database.tenant_transaction(tenant, work="batch") as tx:
        sizes = volume.changed_streams(tx, tuple(doubts))
        held = judge(sizes, guard, doubts)
        _record(tx, sizes, held, guard, run_id)
    if held:
        log.warning("publish.held_back", tenant=tenant, run_id=run_id, streams=len(held))
        raise _refusal(slug, held)
    return sizes


def _record(tx: TenantTransaction, sizes: Sequence[StreamSize], held: Sequence[HeldStream], guard: ShrinkGuard, run_id: RunId) -> None:
    by_stream = {(each.size.source, each.size.stream): each for each in held}
    for size in sizes:
        if size.before is not None and size.before >= guard.from_rows:
            found = by_stream.get((size.source, size.stream))
            volume.add_result(
                tx, run_id, f"{size.source}/{size.stream}", passed=found is None, measured=found.now if found else size.now,
                expected=f"{size.before} rows, {guard.max_percent:g} % fewer at most" + (", or accepted" if guard.accept else ""),
            )  # fmt: skip
    for run in {each.size.run_id for each in held if each.size.run_id}:
        mine = tuple(_stored(each) for each in held if each.size.run_id == run)
        amend_report(tx, run, partial(_with_held, held=mine))


def _stored(held: HeldStream) -> HeldStreamV2:
    return HeldStreamV2(stream=held.size.stream, before=held.before, now=held.now, reason=held.reason)


def _with_held(report: SyncReportV2, *, held: tuple[HeldStreamV2, ...]) -> SyncReportV2:
    return report.model_copy(update={"held": held})


def _refusal(slug: str, held: Sequence[HeldStream]) -> HeldBackError:
    first, *others = held
    what = "a stream is far smaller than when it was published last, so nothing was published"
    if first.reason == "refresh_not_believed":
        what = "a refresh lists far fewer rows than were published last, so nothing was dropped and nothing was published"
    hint = f"look at the source; if the rows are really gone: pay-ready run etl --tenant {slug} --accept-shrink"
    more = {"others": "; ".join(map(str, others))} if others else {}
    return HeldBackError(what, hint, tenant=slug, source=first.size.source, stream=first.size.stream, before=first.before,
                         now=first.now, **more)  # fmt: skip
