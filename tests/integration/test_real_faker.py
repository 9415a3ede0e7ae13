"""The real airbyte-source-faker from the package registry. Opt in: pytest -m real_connector."""

from collections import Counter
from pathlib import Path

import pytest

from pay_ready.sources import connector
from pay_ready.sources.catalog import StreamChoice, configure
from pay_ready.sources.connector import ConnectorCommand, ConnectorRun
from pay_ready.sources.installs import install_connector
from pay_ready.sources.protocol import NotProtocol, Record, State

pytestmark = pytest.mark.real_connector

CONFIG = {"count": 2000, "seed": 7, "records_per_slice": 500, "parallelism": 1, "always_updated": False}


@pytest.fixture(scope="module")
def faker(tmp_path_factory: pytest.TempPathFactory) -> ConnectorCommand:
    folder = tmp_path_factory.mktemp("connectors")
    return install_connector("airbyte-source-faker==7.2.1", folder).command(folder / "runs")


def test_it_answers(faker: ConnectorCommand) -> None:
    """Spec, check and discover; a wrong configuration is FAILED though the exit code is 0."""
    assert b"count" in connector.spec(faker).connection_specification
    assert connector.check(faker, CONFIG).succeeded
    refused = connector.check(faker, {"count": "many"})
    assert not refused.succeeded
    assert refused.message
    assert {stream.name for stream in connector.discover(faker, CONFIG).streams} == {"users", "products", "purchases"}


def test_it_is_read_and_resumed(faker: ConnectorCommand) -> None:
    """Thousands of records with their states, every stream complete; a second read with the last states finds nothing new."""
    catalog = configure(connector.discover(faker, CONFIG), [StreamChoice(name=name) for name in ("users", "products", "purchases")])
    with ConnectorRun(faker, CONFIG, catalog) as run:
        messages = [message for batch in run.batches() for message in batch]
    run.outcome.raise_for_failure()
    counts = Counter(message.stream for message in messages if isinstance(message, Record))
    assert (counts["users"], counts["products"]) == (2000, 100)
    assert counts["purchases"] > 1000
    assert not any(isinstance(message, NotProtocol) for message in messages)
    states = {str(message.streams[0]): message.raw for message in messages if isinstance(message, State)}
    with ConnectorRun(faker, CONFIG, catalog, list(states.values())) as again:
        repeated = Counter(message.stream for batch in again.batches() for message in batch if isinstance(message, Record))
    again.outcome.raise_for_failure()
    assert repeated == {}


def test_an_unknown_stream_is_no_success(faker: ConnectorCommand, tmp_path: Path) -> None:
    """The connector exits with 0 over a stream that it does not have; the outcome is not fooled."""
    offered = connector.discover(faker, CONFIG)
    renamed = type(offered)(
        offered.streams,
        tuple(
            raw.replace(b'"name":"products"', b'"name":"absent"').replace(b'"name": "products"', b'"name": "absent"')
            for raw in offered.raw_streams
        ),
    )
    catalog = configure(renamed, [StreamChoice(name="products")])
    with ConnectorRun(faker, CONFIG, catalog) as run:
        for _ in run.batches():
            pass
    assert not run.outcome.succeeded
    assert run.outcome.error() is not None
