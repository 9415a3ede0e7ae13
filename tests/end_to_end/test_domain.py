"""A second domain on the same Postgres and the same Weaviate, with a tenant of the same name: the whole of it is its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db.admin import grant_app, grant_erasure
from pay_ready.db.migrate import migrate
from pay_ready.demo import EXPORTS
from tests.command_support import called
from tests.conftest import Scratch
from tests.fake_weaviate import FakeWeaviate


class House:
    """Commands on both domains."""

    def __init__(self, scratch: Scratch, fake: FakeWeaviate, folder: Path) -> None:
        self.scratch, self.fake, self.folder = scratch, fake, folder

    def run(self, domain: str, *words: str) -> Any:
        """What a command of a domain gave."""
        environment = {
            "PAY_READY_HOME": str(self.folder / "state"), "PAY_READY_DATABASE_URL": self.scratch.app_url,
            "PAY_READY_ADMIN_DATABASE_URL": self.scratch.admin_url, "PAY_READY_ERASURE_DATABASE_URL": self.scratch.erasure_url,
            "PAY_READY_ARCHIVES": str(self.folder / "archives"), "PAY_READY_WEAVIATE__MODE": "server",
            "PAY_READY_WEAVIATE__URL": self.fake.url, "PAY_READY_WEAVIATE__GRPC_PORT": str(self.fake.grpc_port),
        }  # fmt: skip
        done = called(["--domain", domain, *words], environment, self.folder)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)["data"] if "--json" in words else done.stdout

    def digests(self, schema: str) -> dict[str, tuple[int, str]]:
        """Every table of a schema: how many rows, and a sum of them."""
        with psycopg.connect(self.scratch.admin_url) as connection:
            tables = connection.execute(
                "select tablename from pg_tables where schemaname = %s order by 1", [schema]
            ).fetchall()  # fmt: skip
            return {
                table: connection.execute(
                    f'select count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text from {schema}."{table}" as t'.encode()
                ).fetchone()  # type: ignore[misc]
                for (table,) in tables
            }


@pytest.fixture
def house(scratch: Scratch, tmp_path: Path) -> Iterator[House]:
    """Both domains, each with a tenant acme, brought in from the same files."""
    migrate(scratch.admin_url, "paragon")
    with psycopg.connect(scratch.app_url) as app, psycopg.connect(scratch.erasure_url) as erasing:
        grant_app(scratch.admin_url, app.info.user, "paragon")
        if scratch.erasure_url != scratch.app_url:
            grant_erasure(scratch.admin_url, erasing.info.user, "paragon")
    exports = tmp_path / "exports"
    exports.mkdir()
    for path in (EXPORTS / "acme-robotics" / "hubspot").glob("*.jsonl"):
        (exports / path.name).write_text("".join(path.read_text().splitlines(keepends=True)[:60]))
    with FakeWeaviate() as fake:
        house = House(scratch, fake, tmp_path)
        for domain in ("pay_ready", "paragon"):
            house.run(domain, "tenants", "create", "acme")
            house.run(domain, "sources", "add", "-t", "acme", "crm", "--kind", "hubspot", "--replay", str(exports))
            house.run(domain, "run", "etl", "-t", "acme")
        yield house


def test_a_domain_is_whole_and_alone(house: House) -> None:
    """Everything that works in the one works in the other, and nothing of it reaches the first: no row, no object, no id, no name."""
    ours = house.digests("pay_ready")
    objects = {name: held(house, name) for name in house.fake.state.collections if not name.startswith("Paragon")}
    assert objects
    assert min(ours["entity_versions"][0], house.digests("paragon")["entity_versions"][0]) > 20
    house.run("paragon", "checkpoint", "create", "before", "-t", "acme")
    found = house.run("paragon", "memory", "search", "customers who ask for a lower price", "-t", "acme", "--json")
    assert found["hits"]
    for words in (
        ("ask", "who is unhappy?", "-t", "acme"),
        ("tenants", "show", "acme"),
        ("run", "etl", "-t", "acme"),
        ("backfill", "-t", "acme", "-s", "crm", "--from", "2026-01-01", "--to", "2026-02-01", "--chunk", "1mo"),
        ("resolve", "-t", "acme", "--all"),
        ("review", "list", "-t", "acme"),
        ("rollback", "-t", "acme", "--to", "before"),
        ("resume", "-t", "acme"),
        ("tenants", "settings", "acme", "--set", "retention.logs_days=1"),
        ("retention", "apply", "-t", "acme"),
        ("runs", "list", "-t", "acme"),
        ("audit", "verify", "-t", "acme"),
        ("verify", "-t", "acme"),
        ("index", "-t", "acme"),
        ("memory", "reconcile", "-t", "acme"),
        ("doctor",),
    ):
        house.run("paragon", *words)
    assert house.digests("pay_ready") == ours
    assert {name: held(house, name) for name in objects} == objects
    theirs = {name for name in house.fake.state.collections if name not in objects}
    assert theirs
    assert all(name.startswith("Paragon") for name in theirs), theirs
    assert house.digests("paragon")["step_runs"][0] > 0


def held(house: House, collection: str) -> int:
    """Objects of a collection, all tenants together."""
    return sum(len(shard.objects) for shard in house.fake.state.collections[collection].tenants.values())
