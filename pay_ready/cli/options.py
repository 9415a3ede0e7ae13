"""Options that many commands share, and the app that they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # the composition root is heavy; --help must not load it
    from pay_ready.app import App

TenantOption = Annotated[str, typer.Option("--tenant", "-t", help="Tenant, by its name.", envvar="PAY_READY_TENANT")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ShrinkOption = Annotated[bool, typer.Option("--accept-shrink", help="Believe that much of a stream is gone: drop it, publish without it.")]
ReasonOption = Annotated[str | None, typer.Option(help="Why; kept in the audit.")]


@contextmanager
def opened_app(*, most_connections: int | None = None) -> Iterator["App"]:
    """The app of this process; loaded when a command runs, not when its help is shown."""
    from pay_ready.app import open_app

    with open_app(most_connections=most_connections) as app:
        yield app


def active_slugs() -> list[str] | None:
    """Slugs of the active tenants; None where this process may not know them."""
    from pay_ready.app import admin_urls
    from pay_ready.db.admin import list_tenants

    with admin_urls() as (urls, schema):
        if urls.admin is None:
            return None
        return [each.slug for each in list_tenants(urls.admin, schema) if each.status == "active"]
