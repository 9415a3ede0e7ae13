"""An erasure that is killed at any point left all or nothing, and the same command completes it."""

import os
import re
from pathlib import Path

import psycopg
import pytest

from pay_ready.pipeline.erase import rows, run
from pay_ready.pipeline.subject import Subject
from tests.conftest import Scratch, Server, cloned
from tests.erasure_support import CANARIES, EMAIL, digest_of_tenant, dumped, estate_template, forget_tenant, found_in, opened_estate
from tests.faults.children import killed_at
from tests.faults.erase_child import erase_once

POINTS = (*run.FAILPOINTS, *rows.FAILPOINTS)
# One transaction is one transaction: its end, and a point before it; all of them under make test-deep.
_TRIED = POINTS if os.environ.get("PAY_READY_TEST_DEEP") else ("erase.history_written", "erase.before_commit", "erase.after_commit")


@pytest.fixture(scope="session")
def made(server: Server, template: str, run_folder: Path) -> tuple[str, Path]:
    """A database to be cloned in which two tenants have been resolved twice, and the folder of their exports."""
    return estate_template(server, template, run_folder)


def killed(scratch: Scratch, folder: Path, point: str) -> None:
    """Erase in a process of its own, which is killed at the point."""
    killed_at(point, erase_once, folder, scratch)


@pytest.mark.parametrize("point", _TRIED)
def test_all_or_nothing(server: Server, made: tuple[str, Path], point: str) -> None:
    """Killed before the commit every row is as it was, after it none of hers is there; the next attempt ends without her."""
    with cloned(server, made[0]) as scratch, opened_estate(scratch, made[1]) as estate:
        tenant = estate.tenant()
        forget_tenant(scratch.admin_url, estate.tenant("beta"))  # with the same values
        before = digest_of_tenant(scratch.admin_url, tenant)
        killed(scratch, made[1], point)
        with psycopg.connect(scratch.admin_url) as admin:  # leases of a dead process run out by themselves
            admin.execute("delete from pay_ready.leases where tenant_id = %s", (tenant,))
        if point == "erase.after_commit":
            assert found_in(dumped(scratch.admin_url), CANARIES) == []
        else:
            assert digest_of_tenant(scratch.admin_url, tenant) == before
        with estate.app.eraser("acme") as eraser:
            report = run.erase(eraser, Subject(kind="email", value=EMAIL))
        assert report.is_held == (point != "erase.after_commit")
        assert found_in(dumped(scratch.admin_url), CANARIES) == []


@pytest.mark.parametrize("module", [run, rows])
def test_every_failpoint_is_listed(module: object) -> None:
    """The lists that the crash test goes through are the points in the code."""
    source = Path(str(module.__file__)).read_text("utf-8")  # type: ignore[attr-defined]
    assert sorted(re.findall(r'failpoint\("([^"]+)"\)', source)) == sorted(module.FAILPOINTS)  # type: ignore[attr-defined]
