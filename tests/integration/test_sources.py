"""A source is checked before it is kept, and its credentials stand nowhere unencrypted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.db import sources
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.errors import CheckFailedError, ConfigError, ConflictError, SecretError, UsageError
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.feed import Feed, NewSource, add_source, keeps_config, open_feed
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.resources import resource_path
from pay_ready.secrets import Keyring, generate_key
from pay_ready.sources.process import ConnectorCommand
from tests.conftest import Scratch
from tests.scripted_source import ARGV

CANARY = "canary-api-key-0001"
SETTINGS: dict[str, Any] = {"streams": {"people": 30}, "api_key": CANARY}


@pytest.fixture
def ring() -> Keyring:
    """A key of this test's own."""
    return Keyring.from_text(generate_key())


@pytest.fixture
def feed_of(tmp_path: Path) -> Callable[[DataSource], Feed]:
    """Every source is read by the scripted connector."""
    command = ConnectorCommand(argv=ARGV, name="source-scripted", version="1.0.0", home=tmp_path / "scratch")
    mapping = load_mapping(resource_path("config", "sources", "zendesk.toml"))
    return lambda _: Feed(command=command, mapping=mapping, is_replay=False)


def add(
    database: Database, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring, **changes: object
) -> tuple[DataSource, str]:
    """A source named `desk`, or one that differs in some way."""
    settings = {**SETTINGS, **changes.pop("settings", {})}  # type: ignore[dict-item]
    wanted = NewSource(**{"name": "desk", "kind": "zendesk", "connector": "source-scripted==1.0.0", "settings": settings, **changes})  # type: ignore[arg-type]
    return add_source(database, tenant, wanted, feed_of, lambda: ring, actor="tests")


def dump(scratch: Scratch) -> str:
    """Everything in the schema, as text: every table, bytea as it prints and as bytes."""
    with psycopg.connect(scratch.admin_url) as connection:
        names = connection.execute(
            "select relname from pg_class where relnamespace = 'pay_ready'::regnamespace and relkind = 'r'"
        ).fetchall()
        rows = [connection.execute(f"select * from pay_ready.{name}").fetchall() for (name,) in names]
    return repr(rows)


def test_a_source_is_kept_with_its_credentials_encrypted(
    database: Database, scratch: Scratch, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """The configuration comes back whole with the key, and no value of it is in the database."""
    source, found = add(database, tenant, feed_of, ring)
    assert found == "1 streams, 0 of them mapped"
    with database.tenant_transaction(tenant) as tx:
        assert sources.connector_config(tx, source, ring) == SETTINGS
        with pytest.raises(SecretError):
            sources.connector_config(tx, source, Keyring.from_text(generate_key()))
    assert CANARY not in dump(scratch)


def test_a_source_that_cannot_be_read_is_not_kept(
    database: Database, scratch: Scratch, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """The connector's own reason is said, without the secret in it; nothing is stored."""
    with pytest.raises(CheckFailedError, match="wrong key") as caught:
        add(database, tenant, feed_of, ring, settings={"check": f"wrong key {CANARY}"})
    assert CANARY not in str(caught.value)
    assert "desk" not in dump(scratch)


def test_a_token_that_the_check_used_up_is_kept_with_its_successor(
    database: Database, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring, tmp_path: Path
) -> None:
    """Check and discovery may rotate a token as a read does: what is kept is the last one, and a failed check says that one is gone."""
    faults = [{"kind": "control", "at": 1, "new_key": "rotated-key-0002"}]
    source, _ = add(database, tenant, feed_of, ring, settings={"fault": faults})
    with database.tenant_transaction(tenant) as tx:
        assert sources.connector_config(tx, source, ring)["api_key"] == faults[0]["new_key"]
    with pytest.raises(CheckFailedError, match="its token was used up: get a new one") as caught:
        add(database, tenant, feed_of, ring, name="other", settings={"fault": faults, "check": "rotated-key-0002 is refused, too"})
    assert "rotated-key" not in str(caught.value)


def test_discovery_before_a_sync_keeps_a_rotated_token(
    database: Database, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """What the connector changes between the runs' reading of the configuration and the read itself is stored at once."""
    source, _ = add(database, tenant, feed_of, ring)
    fault = {"kind": "control", "at": 1, "new_key": "rotated-key-0003"}
    config = {**SETTINGS, "fault": fault}
    open_feed(feed_of(source), source, config, keeps_config(database, tenant, source, ring))
    with database.tenant_transaction(tenant) as tx:
        assert sources.connector_config(tx, source, ring)["api_key"] == fault["new_key"]
    assert keeps_config(database, tenant, source, None) is None


def test_wrong_names_and_streams_are_refused(
    database: Database, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """A name that is none, one that is taken, a stream that the source does not have (with those it has)."""
    with pytest.raises(UsageError, match="not a source's name"):
        add(database, tenant, feed_of, ring, name="My Desk")
    with pytest.raises(ConfigError, match=r"stream=tickets|tickets.*people"):
        add(database, tenant, feed_of, ring, streams=("tickets",))
    add(database, tenant, feed_of, ring)
    with pytest.raises(ConflictError, match="there already"):
        add(database, tenant, feed_of, ring)


def test_keys_rotate_and_the_old_one_can_go(
    database: Database, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """After the rotation the new key alone opens the credentials, and a second rotation has nothing to do."""
    source, _ = add(database, tenant, feed_of, ring)
    old, new = generate_key(), generate_key()
    with database.tenant_transaction(tenant) as tx:
        sources.put_credential(tx, source.source_id, "config", json.dumps(SETTINGS).encode(), Keyring.from_text(old))
        assert sources.rotate_credentials(tx, Keyring.from_text(f"{new},{old}"), actor="tests") == 1
        assert sources.connector_config(tx, source, Keyring.from_text(new)) == SETTINGS
        assert sources.rotate_credentials(tx, Keyring.from_text(new), actor="tests") == 0


def test_a_removed_source_keeps_its_rows_and_loses_its_credentials(
    database: Database, scratch: Scratch, tenant: TenantId, feed_of: Callable[[DataSource], Feed], ring: Keyring
) -> None:
    """And the name is free again: a source of that name comes back with its rows."""
    source, _ = add(database, tenant, feed_of, ring)
    with database.tenant_transaction(tenant) as tx:
        sources.set_status(tx, source, "removed", actor="tests")
    with psycopg.connect(scratch.admin_url) as connection:
        assert connection.execute("select count(*) from pay_ready.source_credentials").fetchone() == (0,)
        assert connection.execute("select count(*) from pay_ready.data_sources").fetchone() == (1,)
    assert add(database, tenant, feed_of, ring)[0].source_id == source.source_id


def test_a_replay_source_needs_no_key(database: Database, tenant: TenantId, tmp_path: Path) -> None:
    """Export files have no credentials: nobody is asked for a key."""
    from pay_ready.sources.replay import replay_command

    (tmp_path / "users.jsonl").write_text('{"id": 1, "name": "A"}\n')
    mapping = load_mapping(resource_path("config", "sources", "zendesk.toml"))
    feed = Feed(command=replay_command(tmp_path / "scratch"), mapping=mapping, is_replay=True)

    def no_key() -> Keyring:
        pytest.fail("asked for a key")

    wanted = NewSource(name="desk", kind="zendesk", connector=None, settings={"path": str(tmp_path)})
    source, found = add_source(database, tenant, wanted, lambda _: feed, no_key, actor="tests")
    assert found == "1 streams, 1 of them mapped"
    assert source.ingest_mode == "replay"
