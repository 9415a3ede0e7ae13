"""An Airbyte source by command, from the list of connections to the run's report; and a contract that freezes."""

import json
from pathlib import Path

import pytest

from tests.airbyte_simulator.destination import SimulatedStream
from tests.airbyte_simulator.server import AirbyteSimulator
from tests.conftest import Scratch
from tests.end_to_end.test_command_line import Run, data_of, exports, run

__all__ = ["exports", "run"]  # fixtures

COLUMNS = {"id": "varchar", "createdAt": "timestamptz", "updatedAt": "timestamptz", "archived": "boolean", "properties": "jsonb"}
KEY = "A" * 43 + "="
QUICK = {"PAY_READY_SECRET_KEY": KEY, "PAY_READY_AIRBYTE__POLL_SECONDS": "0.05"}


def test_an_airbyte_source_by_command(run: Run, scratch: Scratch, tmp_path: Path) -> None:
    """Connections are listed, the source is added and run, the run's report names the job; credentials show nowhere."""
    contacts = SimulatedStream(url=scratch.admin_url, name="contacts", columns=dict(COLUMNS), mode="dedup", cursor="updatedAt")
    rows = [
        {"id": str(n), "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False,
         "properties": {"email": f"p{n}@customer.example"}}
        for n in range(4)
    ]  # fmt: skip
    with AirbyteSimulator() as simulator:
        connection = simulator.platform.add_connection(
            streams=[{"name": "contacts", "syncMode": "incremental_deduped_history", "cursorField": ["updatedAt"], "primaryKey": [["id"]]}]
        )
        simulator.platform.on_job_running = lambda job, _: contacts.run(job, rows)
        path = tmp_path / "airbyte.json"
        config = {
            "api_url": simulator.url, "client_id": simulator.client_id, "client_secret": simulator.client_secret,
            "connection_id": connection.connection_id, "destination_url": scratch.admin_url, "destination_schema": "crm",
        }  # fmt: skip
        path.write_text(json.dumps(config))
        printed = [run("tenants", "create", "acme")]
        assert data_of(run("airbyte", "connections", str(path), "--json"))[0]["connection_id"] == connection.connection_id
        printed.append(run("sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--airbyte", str(path), **QUICK))
        printed.append(run("sources", "check", "-t", "acme", "crm", **QUICK))
        printed.append(run("run", "etl", "-t", "acme", **QUICK))
        printed.append(run("airbyte", "jobs", "crm", "-t", "acme", **QUICK))
        assert [each.returncode for each in printed] == [0] * len(printed), [each.stderr for each in printed]
        [shown] = data_of(run("runs", "list", "-t", "acme", "--json"))
        report = data_of(run("runs", "show", str(shown["run_id"]), "-t", "acme", "--json"))
        assert report["report"]["job"]["outcome"] == "succeeded"
        path.write_text(json.dumps({**config, "connection": "x"}))
        wrong = run("sources", "add", "-t", "acme", "other", "--kind", "hubspot", "--airbyte", str(path), **QUICK)
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "connection_id" in wrong.stderr
        everything = "".join(each.stdout + each.stderr for each in [*printed, wrong])
        assert simulator.client_secret not in everything
        assert "postgresql://" not in everything


def test_a_frozen_contract_by_command(run: Run, exports: Path) -> None:
    """A field that is gone leaves the stream unread: the run is partial, the sync alone is a failed check; accepted, it is taken."""
    run("tenants", "create", "acme")
    path = exports / "contacts.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:2]))  # the good ones
    add = ["sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports)]
    assert run(*add).returncode == 0
    assert run("sources", "contract", "crm", "freeze", "-t", "acme").returncode == 0
    assert run("run", "etl", "-t", "acme").returncode == 0
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        del row["archived"]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    frozen = run("run", "etl", "-t", "acme")
    assert frozen.returncode == 3, frozen.stderr
    assert "field archived is gone" in frozen.stdout
    assert run("run", "sync", "-t", "acme").returncode == 7
    assert run("sources", "accept-schema", "crm", "-t", "acme").returncode == 0
    assert run("run", "etl", "-t", "acme").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["airbyte", "connections", "nowhere.json"], 2, "cannot read the file"),
        (["airbyte", "reset", "crm", "-t", "acme"], 2, "--yes"),
        (["sources", "add", "-t", "acme", "crm", "--kind", "hubspot"], 2, "--airbyte"),
    ],
)
def test_wrong_words_are_one_line(run: Run, words: list[str], code: int, said: str) -> None:
    """What, where, and what to do; nothing on standard output."""
    done = run(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
