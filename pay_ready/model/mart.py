"""The mart as values: its views, their columns, and what stands in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MartColumn:
    """A column; `type` as Postgres writes it, `data_class` public, internal, personal or secret."""

    name: str
    type: str
    data_class: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MartView:
    """A view and its columns, in their order."""

    name: str
    meaning: str
    columns: Sequence[MartColumn]


@dataclass(frozen=True, slots=True, kw_only=True)
class MartStanding:
    """What a view shows of a tenant now; `loaded_at` is that of the youngest row."""

    view: str
    row_count: int
    loaded_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MartVersion:
    """The published version that the views show; without one, nothing was published yet."""

    read_at: datetime
    run_no: int | None
    run_id: UUID | None
    published_at: datetime | None
