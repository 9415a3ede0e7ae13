"""dbt itself reads what `pay-ready mart dbt` writes: parses it, asks how fresh it is and tests its keys, as a BI login under row security.

Opt in with -m dbt: dbt and its 56 packages come from the package registry into an environment of their own (150 MB).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from psycopg import sql

from ..conftest import Scratch, Server
from ..demo_support import demo_runs

LOGIN, PASSWORD = "acme_bi_of_dbt", "a-word-of-this-test"  # pragma: allowlist secret


@pytest.fixture
def dbt(tmp_path: Path) -> Path:
    """dbt's command, in an environment of its own; below 1.12 it needs nothing but packages."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    words = [str(python), "-m", "pip", "install", "-q", "dbt-core>=1.10,<1.12", "dbt-postgres>=1.10,<1.11"]
    subprocess.run(words, check=True, timeout=280)
    return python.with_name("dbt")


@pytest.mark.dbt
def test_dbt_reads_the_mart(server: Server, template: str, run_folder: Path, dbt: Path, tmp_path: Path) -> None:
    """Parsed without a warning, fresh, and its tests of keys pass."""
    demo = demo_runs(server, template, run_folder)
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "sources.yml").write_text(demo.command("mart", "dbt").stdout, "utf-8")
    (project / "dbt_project.yml").write_text("name: mart\nversion: '1.0'\nprofile: mart\n", "utf-8")
    with psycopg.connect(demo.admin_url, autocommit=True) as admin:
        tenant = admin.execute("select tenant_id::text from pay_ready.tenants where slug = 'acme-robotics'").fetchone()
        assert tenant is not None
        made = "create role {} login password {} in role pay_ready_readonly_bi; alter role {} set app.tenant_id = {}"
        login = sql.Identifier(LOGIN)
        admin.execute(sql.SQL(made).format(login, sql.Literal(PASSWORD), login, sql.Literal(tenant[0])))
    try:
        write_profile(project, demo.scratch)
        told = {words[0]: run(dbt, project, *words) for words in (["parse"], ["source", "freshness"], ["test"])}
    finally:
        with psycopg.connect(demo.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL("drop role {}").format(login))
    assert "WARNING" not in told["parse"].upper()
    fresh = json.loads((project / "target" / "sources.json").read_text("utf-8"))["results"]
    assert {each["unique_id"].rpartition(".")[2]: each["status"] for each in fresh} == dict.fromkeys(
        ("people", "companies", "interactions", "account_health"), "pass"
    )
    results = json.loads((project / "target" / "run_results.json").read_text("utf-8"))["results"]
    assert [each["status"] for each in results] == ["pass"] * 8


def write_profile(project: Path, scratch: Scratch) -> None:
    """How dbt connects: the scratch database as the BI login."""
    parts = urlsplit(scratch.admin_url)
    asked = parse_qs(parts.query)
    profile = {
        "type": "postgres", "host": parts.hostname or asked["host"][0], "port": int((asked.get("port") or [parts.port or 5432])[0]),
        "user": LOGIN, "password": PASSWORD, "dbname": parts.path.lstrip("/"), "schema": "dbt_never_writes", "threads": 1,
    }  # fmt: skip
    document = {"mart": {"target": "scratch", "outputs": {"scratch": profile}}}
    (project / "profiles.yml").write_text(json.dumps(document), "utf-8")


def run(dbt: Path, project: Path, *words: str) -> str:
    """What a command of dbt said; it must end well."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(project), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    command = [str(dbt), "--no-use-colors", *words, "--profiles-dir", str(project), "--project-dir", str(project)]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
