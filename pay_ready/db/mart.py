"""The views that BI tools read: what is in them, page by page, and what the catalogue says of them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from psycopg.rows import namedtuple_row

from pay_ready.db.connect import connected
from pay_ready.db.queries import in_schema, load_queries
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import NotFoundError
from pay_ready.model.mart import MartColumn, MartStanding, MartVersion, MartView

VIEWS = ("people", "companies", "interactions", "account_health")


def mart_schema(schema: str) -> str:
    """The schema of a domain's mart."""
    return in_schema("pay_ready_mart", schema)


def views(app_url: str, schema: str) -> tuple[MartView, ...]:
    """The views as the database has them; it is nobody's rows, so no tenant is asked for.

    Raises:
        NotFoundError: There are none: the database is not migrated that far.
    """
    with connected(app_url, variable="PAY_READY_DATABASE_URL") as connection:
        statement = load_queries(schema)["mart.columns"].sql
        rows = connection.cursor(row_factory=namedtuple_row).execute(statement, {"schema_name": mart_schema(schema)}).fetchall()
    return _views(rows, schema)


def views_in(tx: TenantTransaction) -> tuple[MartView, ...]:
    """The same, as an open transaction sees them.

    Raises:
        NotFoundError: As `views`.
    """
    return _views(tx.rows("mart.columns", {"schema_name": mart_schema(tx.schema)}), tx.schema)


def standing(tx: TenantTransaction) -> list[MartStanding]:
    """Rows of each view of the tenant."""
    return [MartStanding(view=row.view_name, row_count=row.row_count, loaded_at=row.loaded_at) for row in tx.rows("mart.standing")]


def published(tx: TenantTransaction) -> MartVersion:
    """The version that the views show."""
    row = tx.row("mart.published")
    if row is None:
        raise NotFoundError("no version is published", "pay-ready run etl")
    return MartVersion(read_at=row.read_at, run_no=row.run_no, run_id=row.run_id, published_at=row.published_at)


def pages(tx: TenantTransaction, view: str, *, page: int) -> Iterator[list[Any]]:
    """The tenant's rows of a view in the order of its ids, as named tuples, `page` at a time."""
    return tx.stream(f"mart.{view}", page=page)


def _views(rows: Sequence[Any], schema: str) -> tuple[MartView, ...]:
    found = {
        name: MartView(
            name=name, meaning=columns[0].view_meaning or "",
            columns=tuple(
                MartColumn(name=each.column_name, type=each.column_type, data_class=each.data_class, meaning=each.meaning)
                for each in columns
            ),
        )
        for name, columns in ((name, list(group)) for name, group in groupby(rows, key=lambda row: row.view_name))
    }  # fmt: skip
    if missing := [view for view in VIEWS if view not in found]:
        raise NotFoundError("the mart is not there", "run: pay-ready migrate", schema=mart_schema(schema), view=missing[0])
    return tuple(found[view] for view in VIEWS)
