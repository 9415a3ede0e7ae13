"""`pay-ready doctor --deep`: each check finds what was put wrong, says the command that mends it, and is well again after it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db.care import seconds_apart
from pay_ready.db.slow_statements import SlowStatements, slow_statements
from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import tenant_id_of
from tests.command_support import called
from tests.conftest import Scratch, Server, cloned, make_tenant
from tests.faults.support import wait_until

SLOW = {"PAY_READY_DATABASE__SLOW_STATEMENT_MS": "0.001"}


@pytest.fixture(scope="module")
def cared(server: Server, template: str) -> Iterator[Scratch]:
    """A database with the tenant `cared`, whose tables tests put into disorder."""
    with cloned(server, template) as scratch:
        database = Database(scratch.app_url, PoolOptions(max_size=1))
        database.open()
        make_tenant(database, "cared")
        database.close()
        yield scratch


def look(scratch: Scratch, folder: Path, *, admin: bool = True, **more: str) -> tuple[dict[str, dict[str, Any]], int]:
    """The findings by check, and the exit code."""
    urls = {"PAY_READY_DATABASE_URL": scratch.app_url} | ({"PAY_READY_ADMIN_DATABASE_URL": scratch.admin_url} if admin else {})
    done = called(["doctor", "--deep", "--json"], {"HOME": str(folder), "PAY_READY_HOME": str(folder), **urls, **more}, folder)
    assert done.stdout, done.stderr
    return {each["check"]: each for each in json.loads(done.stdout)["data"]}, done.returncode


def vacuumed(admin: "psycopg.Connection[tuple[object, ...]]", command: bytes) -> bool:
    """Run it; whether no dead row is left."""
    admin.execute(command)
    return admin.execute("select n_dead_tup from pg_stat_user_tables where relname = 'rate_states'").fetchone() == (0,)


def test_a_slow_answer_is_no_wrong_clock() -> None:
    """Only a time before the question or after the answer says that clocks differ."""
    asked, heard = (datetime(2026, 1, 1, 12, 0, second, tzinfo=UTC) for second in (0, 10))
    times = [(asked - timedelta(seconds=3), 3.0), (asked, 0.0), (asked + timedelta(seconds=5), 0.0), (heard + timedelta(seconds=4), 4.0)]
    assert [seconds_apart(asked, server, heard) for server, _ in times] == [apart for _, apart in times]


def test_tables_out_of_care_are_named_with_the_command_that_mends_them(cared: Scratch, tmp_path: Path) -> None:
    """Dead rows, figures of long ago, months without a partition, an index that is half built: found, mended by what is said, gone."""
    with psycopg.connect(cared.admin_url, autocommit=True) as admin:
        admin.execute("alter table pay_ready.rate_states set (autovacuum_enabled = off)")
        insert = "insert into pay_ready.rate_states select %s, 'bucket ' || n, now() from generate_series(1, 30000) as n"
        admin.execute(insert, (tenant_id_of("pay_ready", "cared"),))
        admin.execute("delete from pay_ready.rate_states where bucket ~ '[5-9]$'")
        admin.execute("select pg_stat_force_next_flush()")
        admin.execute("create index half_built on pay_ready.rate_states (tenant_id, next_free_at)")
        admin.execute("update pg_index set indisvalid = false where indexrelid = 'pay_ready.half_built'::regclass")
        found, code = look(cared, tmp_path)
        assert code == 7
        off = {name: found[name]["fix"] for name in ("bloat", "statistics", "missing indexes")}
        assert off == {
            "bloat": "as an administrator: vacuum (analyze) pay_ready.rate_states",
            "statistics": "as an administrator: analyze pay_ready.rate_states",
            "missing indexes": "as an administrator: reindex index concurrently pay_ready.half_built",
        }
        assert "15,000 dead beside 15,000 rows" in found["bloat"]["details"][0]
        assert found["partitions"]["state"] == "warn"
        mends = {name: fix.removeprefix("as an administrator: ").encode() for name, fix in off.items()}
        wait_until(lambda: vacuumed(admin, mends["bloat"]), "autovacuum's own look at this database, for which dead rows stay, is over")
        admin.execute(mends["missing indexes"])
        admin.execute(found["partitions"]["fix"].partition(",")[0].encode())
        admin.execute("select pg_stat_force_next_flush()")
    found, _ = look(cared, tmp_path)
    well = ("bloat", "statistics", "missing indexes", "partitions", "clock")
    assert {name: found[name]["state"] for name in well} == dict.fromkeys(well, "ok")
    assert found["partitions"]["found"] == "step_logs: 3 ahead"


def test_settings_that_lose_or_show_rows_fail(cared: Scratch, tmp_path: Path) -> None:
    """A server that may log values of people, or does not sync (as the tests' own): each is named with its statement."""
    with psycopg.connect(cared.admin_url, autocommit=True) as admin:
        name = admin.info.dbname
        admin.execute(f'alter database "{name}" set log_parameter_max_length = -1'.encode())
        try:
            found, code = look(cared, tmp_path)
        finally:
            admin.execute(f'alter database "{name}" reset log_parameter_max_length'.encode())
    assert (code, found["settings"]["state"]) == (7, "fail")
    told = "\n".join(found["settings"]["details"])
    assert "log_parameter_max_length = -1: values of people may be logged" in told
    after = "\n".join(look(cared, tmp_path)[0]["settings"]["details"])
    assert "log_parameter_max_length =" not in after


def test_slow_statements_are_known_by_name_and_plan_and_never_by_value(cared: Scratch, tmp_path: Path) -> None:
    """What a command asked is in the account with a plan's hash; no parameter is, neither there nor in the log; the bound 0 keeps none."""
    urls = {"HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path), "PAY_READY_DATABASE_URL": cared.app_url}
    called(["people", "canary-name", "-t", "cared"], urls, tmp_path)
    file = tmp_path / "slow-statements.jsonl"
    assert not file.exists()
    done = called(["people", "canary-name", "-t", "cared"], {**urls, **SLOW}, tmp_path)
    assert "statement.slow" in done.stderr
    assert "canary-name" not in file.read_text("utf-8") + done.stderr.partition("error:")[0]
    kept = {each.query: each for each in slow_statements(file)}
    assert len(kept["entities.by_exact"].plan_hash) == 12
    assert kept["entities.by_exact"].most_ms > 0
    found, _ = look(cared, tmp_path, admin=False, **SLOW)
    line = next(each for each in found["slow statements"]["details"] if each.startswith("entities.by_exact: 1 times"))
    assert f"plan {kept['entities.by_exact'].plan_hash}" in line
    assert found["row security, cost"]["fix"] == "set PAY_READY_ADMIN_DATABASE_URL"


def test_statements_of_the_server_are_told_by_our_names(cared: Scratch, tmp_path: Path) -> None:
    """With pg_stat_statements its figures count, and each text of ours is recognised, whatever stands for its parameters."""
    with psycopg.connect(cared.admin_url, autocommit=True) as admin:
        try:
            admin.execute("create extension pg_stat_statements")
        except psycopg.Error:
            pytest.skip("this server has no pg_stat_statements")
        admin.execute("select pg_stat_statements_reset()")  # what hundreds of tests asked leaves no room for what is rare
        called(["people", "somebody", "-t", "cared"], {"PAY_READY_DATABASE_URL": cared.app_url, "PAY_READY_HOME": str(tmp_path)}, tmp_path)
        found, _ = look(cared, tmp_path, **SLOW)
        admin.execute("drop extension pg_stat_statements")
    assert "pg_stat_statements" in found["slow statements"]["found"]
    assert any(each.startswith("entities.by_exact: ") for each in found["slow statements"]["details"]), found["slow statements"]


def test_the_account_is_bounded_and_survives_its_own_damage(tmp_path: Path) -> None:
    """A full file becomes the older half; a line cut short is passed over; a folder that cannot be written fails nothing."""
    file = tmp_path / "slow.jsonl"
    account = SlowStatements(1.0, file)
    file.write_text('{"at": "2026-01-01T00:00:00+00:00", "query": "a.b", "elapsed_ms": 5, "plan_hash": "x"}\n' * 7_000 + '{"at": "20')
    account._keep("c.d", 9.0, "y", is_awaited=False)
    account._keep("c.d", 11.0, "y", is_awaited=False)
    assert [(each.query, each.count, each.most_ms) for each in slow_statements(file)] == [("a.b", 7_000, 5.0), ("c.d", 2, 11.0)]
    assert file.stat().st_size < 500
    (tmp_path / "blocked").write_text("")
    SlowStatements(1.0, tmp_path / "blocked" / "slow.jsonl")._keep("e.f", 2.0, "", is_awaited=False)
