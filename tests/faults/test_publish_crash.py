"""A publish that fails at any point leaves the old state whole or the new state whole, and the rerun ends the same."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import psycopg
import pytest

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.errors import ConfigError, TransientError
from pay_ready.failpoints import FailpointError, armed, parse_failpoints
from pay_ready.model.ids import TenantId, tenant_id_of
from pay_ready.model.resolution import Reads
from pay_ready.pipeline import publish, touched
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.children import killed_at
from tests.faults.resolve_child import resolve_once
from tests.publish_support import CallRow, CompanyRow, PersonRow, Staged, history, published, resolve, stage

# An exception is rolled back by the same door wherever it comes from: every point of it under make test-deep.
_IS_DEEP = bool(os.environ.get("PAY_READY_TEST_DEEP"))
_MODES = ("raise", "kill") if _IS_DEEP else ("kill",)
BEFORE = Staged(
    companies=(CompanyRow(source="gong", key="id:g", name="Globex", domain="globex.com"),),
    people=(
        PersonRow(source="salesforce", key="id:1", full_name="Ann Lee", email="ann@globex.com"),
        PersonRow(source="slack", key="id:2", full_name="Annie Lee", phone="+12065550100"),
        PersonRow(source="gong", key="id:3", full_name="Bob Ray", email="bob@globex.com", company="id:g", side="external"),
    ),
    calls=(CallRow(source="gong", key="c1", people=("id:3",)),),
)
# Merges the two Anns, retires Bob and his call, adds Cleo with her company: every kind of row is written.
AFTER = Staged(
    companies=(*BEFORE.companies, CompanyRow(source="hubspot", key="id:h", name="Hooli", domain="hooli.com")),
    people=(
        *BEFORE.people[:2],
        PersonRow(source="hubspot", key="id:4", full_name="Ann Lee", email="ann@globex.com", phone="+12065550100"),
        PersonRow(source="hubspot", key="id:5", full_name="Cleo Poe", email="cleo@hooli.com", company="id:h"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What the two runs leave when nothing fails."""

    old: list[str]
    new: list[str]
    history: list[str]


@pytest.fixture(scope="module")
def undisturbed(server: Server, template: str) -> Iterator[Undisturbed]:
    """The same two runs, without a failure."""
    with cloned(server, template) as scratch:
        database, tenant = begun(scratch)
        old = published(scratch.admin_url, tenant)
        resolve(database, tenant, reads="all")
        yield Undisturbed(old=old, new=published(scratch.admin_url, tenant), history=history(scratch.admin_url, tenant))
        database.close()


@pytest.fixture(scope="module")
def begun_template(server: Server, template: str) -> Iterator[str]:
    """A database to be cloned in which the first run is published and the rows of the second are staged."""
    with cloned(server, template) as scratch:
        database, _ = begun(scratch)
        database.close()
        yield urlsplit(scratch.admin_url).path.lstrip("/")


@contextmanager
def opened(scratch: Scratch) -> Iterator[Database]:
    """The app's pool, closed at the end."""
    database = Database(scratch.app_url, PoolOptions(max_size=2, overflow=0))
    database.open()
    try:
        yield database
    finally:
        database.close()


def begun(scratch: Scratch) -> tuple[Database, TenantId]:
    """A tenant with its first run published and the rows of the second staged."""
    database = Database(scratch.app_url, PoolOptions(max_size=2, overflow=0))
    database.open()
    tenant = make_tenant(database, "acme")
    stage(scratch.admin_url, tenant, BEFORE)
    resolve(database, tenant)
    stage(scratch.admin_url, tenant, AFTER)
    return database, tenant


def stop(database: Database, scratch: Scratch, tenant: TenantId, point: str, mode: str, reads: Reads) -> None:
    """Run until the point and fail there."""
    if mode == "raise":
        with armed(point, "raise"), pytest.raises(FailpointError):
            resolve(database, tenant, reads=reads)
        return
    killed_at(point, resolve_once, scratch.app_url, tenant, reads)


@pytest.mark.parametrize(
    ("point", "mode", "reads"),
    [(point, mode, "all") for point in publish.FAILPOINTS for mode in _MODES]
    + [(point, "kill", "changed") for point in (*publish.FAILPOINTS[:: 1 if _IS_DEEP else 4], *touched.FAILPOINTS)],
)
def test_old_or_new_state_whole(server: Server, begun_template: str, undisturbed: Undisturbed, point: str, mode: str, reads: Reads) -> None:
    """Whatever point fails, of a run over everything or of an increment, readers see one whole version; the next ends as if undisturbed."""
    tenant = tenant_id_of("pay_ready", "acme")
    with cloned(server, begun_template) as scratch, opened(scratch) as database:
        stop(database, scratch, tenant, point, mode, reads)
        committed = point == "publish.after_commit"
        assert published(scratch.admin_url, tenant) == (undisturbed.new if committed else undisturbed.old)
        report = resolve(database, tenant, reads=reads)
        assert report.run_no == (None if committed else 2)
        assert history(scratch.admin_url, tenant) == undisturbed.history


@pytest.mark.parametrize("module", [publish, touched])
def test_every_failpoint_is_listed(module: ModuleType) -> None:
    """The lists that the crash test goes through are the points in the code."""
    source = Path(str(module.__file__)).read_text("utf-8")
    assert tuple(re.findall(r'failpoint\("([^"]+)"\)', source)) == tuple(sorted(module.FAILPOINTS, key=source.rindex))


@pytest.mark.parametrize("point", ["publish.planned", "publish.before_commit"])
def test_connection_lost(scratch: Scratch, undisturbed: Undisturbed, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends the session in the middle: a transient error, the old state, no lock left, and the rerun completes."""
    database, tenant = begun(scratch)

    def cut(reached: str) -> None:
        if reached == point:
            end_sessions(scratch)

    with monkeypatch.context() as patched:
        patched.setattr(publish, "failpoint", cut)
        with pytest.raises(TransientError):
            resolve(database, tenant)
    assert advisory_locks(scratch) == 0
    assert published(scratch.admin_url, tenant) == undisturbed.old
    resolve(database, tenant)
    assert history(scratch.admin_url, tenant) == undisturbed.history
    database.close()


def end_sessions(scratch: Scratch) -> None:
    """End every other session of the database."""
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )


def advisory_locks(scratch: Scratch) -> int:
    """Advisory locks held in the database."""
    with psycopg.connect(scratch.admin_url) as admin:
        row = admin.execute(
            "select count(*)::int from pg_locks"
            " where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
        ).fetchone()
    return row[0] if row else 0


def test_failpoints_are_read_from_text() -> None:
    """Several points with commas; anything else is refused with the modes."""
    assert parse_failpoints(" a.b=raise, c.d=kill,") == {"a.b": "raise", "c.d": "kill"}
    for text in ("a.b", "a.b=explode", "=raise"):
        with pytest.raises(ConfigError, match="raise, kill, stop, sleep"):
            parse_failpoints(text)


def test_the_two_states_differ(undisturbed: Undisturbed) -> None:
    """The scenario writes every table, so that a half-written version could not go unseen."""
    assert undisturbed.old != undisturbed.new
    tables = {line.split(" ", 1)[0] for line in undisturbed.history}
    assert {"assignments", "entity_redirects", "interaction_entities", "checkpoints", "edges", "memory_outbox"} <= tables
    assert replace(AFTER, calls=()) == AFTER
