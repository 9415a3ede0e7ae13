"""The files need no runner: psql makes the same catalogue, as often as it likes."""

import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest

from pay_ready.db.migrate import migrate

from ..conftest import Scratch
from .catalogue_dump import dump_of
from .conftest import SHIPPED, smoke

# What a file makes and a later one drops.
DROPPED_LATER = {"0004_staging": "blocking_keys", "0005_resolution": "interaction_entities_timeline"}
# Files whose grants or descriptions later ones change: whoever runs the first alone runs the others after it.
NARROWED_LATER = {
    "0003_ingest": ("0011_backfill", "0024_operators"),
    "0007_insight": ("0025_watch", "0026_quality"),
    "0011_backfill": ("0024_operators",),
    "0005_resolution": ("0015_reversible", "0017_erase", "0028_look_up"),
    "0014_increments": ("0017_erase",),
    "0015_reversible": ("0017_erase", "0028_look_up"),
}
PSQL = shutil.which("psql")
needs_psql = pytest.mark.skipif(PSQL is None, reason="psql is not installed (Debian: apt-get install postgresql-client)")


def by_psql(url: str, path: Path) -> None:
    """One file in one transaction, as an administrator would."""
    done = subprocess.run(
        [str(PSQL), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-f", str(path), url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{path.name}: {done.stderr}"


@needs_psql
def test_psql_and_the_runner_agree(empty_database: Scratch, expected: list[str]) -> None:
    """Each file with plain psql, all of them twice: both times the catalogue that the runner makes."""
    for _ in range(2):
        for path in sorted(SHIPPED.glob("*.sql")):
            by_psql(empty_database.admin_url, path)
        assert dump_of(empty_database.admin_url) == expected
    migrate(empty_database.admin_url)  # the runner takes over what psql made
    assert dump_of(empty_database.admin_url) == expected


@needs_psql
@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.sql")), ids=lambda path: path.stem)
def test_each_file_alone_changes_nothing_again(scratch: Scratch, expected: list[str], path: Path) -> None:
    """One file run once more over a whole database, with rows in it, leaves the catalogue and the rows."""
    smoke(scratch.app_url)
    with psycopg.connect(scratch.admin_url) as admin:
        before = admin.execute("select count(*), max(version) from pay_ready.tenant_settings").fetchone()
    by_psql(scratch.admin_url, path)
    for later in NARROWED_LATER.get(path.stem, ()):
        by_psql(scratch.admin_url, path.with_stem(later))
    with psycopg.connect(scratch.admin_url) as admin:
        assert admin.execute("select count(*), max(version) from pay_ready.tenant_settings").fetchone() == before == (3, 2)
    changed = set(dump_of(scratch.admin_url)) ^ set(expected)
    assert not [line for line in changed if DROPPED_LATER.get(path.stem, path.stem) not in line]


def test_the_files_keep_to_their_form() -> None:
    """Plain SQL that any client can send: no psql commands, no transaction control, the reason first, the role given back."""
    for path in sorted(SHIPPED.glob("*.sql")):
        text = path.read_text("utf-8")
        lines = text.splitlines()
        assert lines[0].startswith("-- "), f"{path.name}: opens with its reason"
        assert not any(line.startswith("\\") for line in lines), f"{path.name}: psql command"
        words = {line.strip().lower().rstrip(";") for line in lines}
        assert not words & {"commit", "rollback", "begin transaction", "start transaction"}, f"{path.name}: transaction control"
        assert text.count("set role ") == text.count("reset role;"), f"{path.name}: the role is not given back"
        assert "search_path" not in text.replace("set search_path = pg_catalog, pg_temp", ""), f"{path.name}: names are written out"
        assert text.endswith("\n"), path.name
        assert not set("\t\r") & set(text), path.name
