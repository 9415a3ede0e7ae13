"""A database whose tenant is resolved, made once for a module and cloned for each test."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from pay_ready.db.tenancy import Database, PoolOptions
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.integration.test_models import people_of
from tests.publish_support import CallRow, PersonRow, Staged, resolve, stage

PEOPLE = people_of(40)
# Two of one name with two addresses at one company, and a third who may be either.
TWINS = [
    PersonRow(source="hubspot", key="id:t1", full_name="Dmitri Vandenberg", email="dvandenberg@globex.com", company_domain="globex.com"),
    PersonRow(source="gong", key="id:t2", full_name="Dmitri Vandenberg", email="dvandenberg2@globex.com", company_domain="globex.com"),
    PersonRow(source="slack", key="id:t3", full_name="Dmitri Vandenberg", company_domain="globex.com"),
]
STAGED = Staged(people=[*PEOPLE, *TWINS], calls=[CallRow(source="hubspot", key="c1", people=["id:t1"])])


@contextmanager
def opened(scratch: Scratch, most: int = 4) -> Iterator[Database]:
    """A pool of its own."""
    database = Database(scratch.app_url, PoolOptions(max_size=most, overflow=0))
    database.open()
    yield database
    database.close()


@contextmanager
def resolved_template(server: Server, template: str) -> Iterator[str]:
    """The name of a database with tenant `acme`, whose records (`STAGED`) are resolved and published as run 1."""
    with cloned(server, template) as scratch:
        with opened(scratch) as database:
            tenant = make_tenant(database, "acme")
            stage(scratch.admin_url, tenant, STAGED)
            resolve(database, tenant)
        yield urlsplit(scratch.admin_url).path.removeprefix("/")
