"""The etl flow under a real Prefect server gives what the plain pipeline gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, sys
from pathlib import Path
from prefect.testing.utilities import prefect_test_harness
from flows.etl import etl
from pay_ready.errors import HeldBackError
with prefect_test_harness(server_startup_timeout=120):
    summary = etl(tenant="acme")
    again = etl(tenant="acme")
    path = Path("exports/contacts.jsonl")
    rows = [json.loads(line) | {"_ab_cdc_deleted_at": "2026-02-01", "updatedAt": "2026-02-01T00:00:00Z"} for line in path.open()]
    path.write_text("".join(json.dumps(row) + "\\n" for row in rows))
    try:
        held = etl(tenant="acme").model_dump()
    except HeldBackError as error:
        held = error.where
    accepted = etl(tenant="acme", accept_shrink=True)
print(json.dumps([summary.model_dump(), again.model_dump(), held, accepted.model_dump()]))
"""


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command on an embedded server of this test's own; Prefect keeps its things in the folder, and phones nobody."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PAY_READY_HOME": str(folder / "state"), "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "PYTHONPATH": str(ROOT), "NO_COLOR": "1",
    }  # fmt: skip
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280)


def test_the_flow_runs_the_pipeline(tmp_path: Path) -> None:
    """Landed, staged, published; a second run lands and publishes nothing; one that lost its rows is held back until it is accepted."""
    exports = tmp_path / "exports"
    exports.mkdir()
    rows = [
        {"id": str(number), "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
         "properties": {"email": f"p{number}@customer.example", "firstname": "P", "lastname": str(number)}}
        for number in range(200)
    ]  # fmt: skip
    (exports / "contacts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pay_ready = [sys.executable, "-m", "pay_ready.cli.main"]
    for words in (["tenants", "create", "acme"], ["sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports)]):
        done = run(tmp_path, *pay_ready, *words)
        assert done.returncode == 0, done.stderr
    ran = run(tmp_path, sys.executable, "-c", SCRIPT)
    assert ran.returncode == 0, ran.stderr[-4000:]
    first, second, held, accepted = json.loads(ran.stdout.strip().splitlines()[-1])
    assert (first["status"], first["landed"], first["staged"], first["published_run"]) == ("complete", 200, 200, 1)
    assert (second["status"], second["landed"], second["published_run"]) == ("complete", 0, None)
    assert (held["source"], held["stream"], held["before"], held["now"]) == ("crm", "contacts", 200, 0)
    assert (accepted["status"], accepted["published_run"], accepted["held_back"]) == ("complete", 2, "")
    assert "customer.example" not in ran.stderr


def test_the_deployment_names_what_is_there() -> None:
    """Entry point and parameters of prefect.yaml exist: Prefect itself would swallow a misspelt one."""
    import inspect

    from flows.etl import etl

    (deployment,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    path, name = deployment["entrypoint"].split(":")
    assert (ROOT / path).is_file()
    assert name == "etl"
    assert set(deployment["parameters"]) == set(inspect.signature(etl.fn).parameters)
    assert deployment["concurrency_limit"]["collision_strategy"] == "ENQUEUE"


@pytest.mark.parametrize("slug", ["Acme", "a_b", "", "-a"])
def test_a_bad_tenant_is_refused_before_it_runs(slug: str) -> None:
    """The parameters are checked by the flow's own schema."""
    from flows.etl import etl

    with pytest.raises(Exception, match="tenant"):
        etl.validate_parameters({"tenant": slug})
