"""What retention works with, and what it says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from pay_ready.db.tenancy import Database
from pay_ready.errors import PayReadyError
from pay_ready.model.archived import KINDS, ArchiveKind
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.retention.shelf import Shelf
from pay_ready.secrets import Keyring

LEASE = "retention"  # one at a time a tenant: retention, a restore, or an erasure that goes through the archives
KEEP_RUNS = 100  # syncs of each source that stay whatever their age: by these the usual volume of a stream is known


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """How long a tenant keeps what: days by kind, 0 for ever."""

    days: Mapping[ArchiveKind, float]
    archive_days: float  # of archives, from when the last of their rows went; 0 for ever
    batch_rows: int  # that go, or come back, in one transaction
    keep_runs: int = KEEP_RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionWork:
    """One tenant's retention: where, with which rules. `database`: of a login that may delete history, but for a plan."""

    database: Database
    tenant: TenantId
    slug: str
    actor: str
    rules: RetentionRules
    shelf: Shelf
    region: str  # of phone numbers without a country code
    keyring: Callable[[], Keyring] = field(repr=False)  # asked only when somebody was erased
    lease_wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTable:
    """What is due of one table: rows, and the time from which the oldest's and the youngest's age is counted."""

    kind: ArchiveKind
    table: str
    days: float
    rows: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPlan:
    """What an `apply` of this moment would do."""

    tenant: str
    moment: datetime
    days: Mapping[ArchiveKind, float]
    due: tuple[DueTable, ...]  # tables of the kinds that are not kept for ever
    through_run_no: int  # of history: states before it stay whole only where a checkpoint names them; 0 where none is due
    kept_runs: tuple[int, ...]  # whose states stay whole all the same
    unfinished: tuple[UUID, ...]  # archives whose rows are not all gone yet
    outlived: tuple[UUID, ...]  # archives that are older than archives are kept

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(each.rows for each in self.due)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeArchive:
    """An archive whose rows went. `deleted` may be less than `rows`: what changed meanwhile stayed."""

    archive_id: UUID
    kind: ArchiveKind
    manifest: Path
    rows: Mapping[str, int]  # by table
    deleted: Mapping[str, int]
    size_bytes: int
    is_resumed: bool  # begun by an earlier run


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionReport:
    """What was done."""

    plan: RetentionPlan
    is_dry_run: bool
    archives: tuple[MadeArchive, ...]
    dropped: tuple[UUID, ...]  # archives that were kept long enough
    errors: tuple[PayReadyError, ...]  # of archives that could not be finished; the others were

    @property
    def deleted(self) -> int:
        """Rows of all tables that are gone."""
        return sum(sum(each.deleted.values()) for each in self.archives)

    def raise_for_failure(self) -> None:
        """Raise what went wrong.

        Raises:
            PayReadyError: The first error, of an archive that could not be finished.
        """
        for error in self.errors:
            raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What came back, or would. What is neither restored, withheld nor missing was there already, or something newer was."""

    archive_id: UUID
    kind: ArchiveKind
    is_dry_run: bool
    rows: Mapping[str, int]  # in the archive, by table
    restored: Mapping[str, int]
    withheld: Mapping[str, int]  # about somebody who was erased

    @property
    def there(self) -> Mapping[str, int]:
        """By table: what was there already, in this or in a newer form, or has nothing to belong to any more."""
        return {table: rows - self.restored.get(table, 0) - self.withheld.get(table, 0) for table, rows in self.rows.items()}


def chosen_kinds(only: tuple[ArchiveKind, ...]) -> tuple[ArchiveKind, ...]:
    """The kinds asked for, in the order in which they go: those that name syncs before the syncs."""
    order: tuple[ArchiveKind, ...] = ("history", "memories", "quarantine", "landed", "runs", "logs")
    return tuple(kind for kind in order if kind in (only or KINDS))
