"""The Weaviate store on the fake server: schema, aliases, embedders, credentials, embedded servers, and the ends of processes."""

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from pay_ready.errors import ConfigError, ConflictError, DeniedError, PayReadyError, UsageError
from pay_ready.memory.cold.options import EmbeddedOptions, IndexOptions, WeaviateOptions
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.model.memory import VectorQuery
from tests.embedded_support import REPOSITORY
from tests.fake_weaviate import FakeWeaviate
from tests.vectors_support import DIM, new_tenant_id, passage, passages, unit
from tests.weaviate_support import store_on, until

TENANT = new_tenant_id()


@pytest.fixture
def fake() -> Iterator[FakeWeaviate]:
    """A server."""
    with FakeWeaviate() as started:
        yield started


def suffix(embedder_id: str) -> str:
    """What tells the collections of embedders apart."""
    return hashlib.sha256(embedder_id.encode()).hexdigest()[:8]


def test_the_schema_is_ours(fake: FakeWeaviate) -> None:
    """Five collections with tenants, own vectors, cosine and a chosen index; none of the properties is a text of people."""
    with store_on(fake, index=IndexOptions(m=24, ef_construction=200, ef=96, exact_up_to=5_000), replication_factor=3) as store:
        store.put(TENANT, [passage(TENANT, 1, source_kind="something else")])
    names = ("PayReadySlackMessage", "PayReadyGongCallSegment", "PayReadyHubSpotNote", "PayReadySalesforceNote", "PayReadyInteraction")
    assert set(fake.state.collections) == {f"{name}_{suffix('tests: hash')}" for name in names}
    collection = fake.state.collections[f"PayReadyInteraction_{suffix('tests: hash')}"]
    assert collection.config["multiTenancyConfig"] == {"enabled": True, "autoTenantCreation": False, "autoTenantActivation": False}
    assert collection.config["replicationConfig"]["factor"] == 3
    ((vector, shape),) = collection.config["vectorConfig"].items()
    index = shape["vectorIndexConfig"]
    assert (vector, shape["vectorizer"], shape["vectorIndexType"]) == ("default", {"none": {}}, "hnsw")
    assert [index[key] for key in ("distance", "maxConnections", "efConstruction", "ef", "flatSearchCutoff")] == [
        "cosine",
        24,
        200,
        96,
        5_000,
    ]
    (kept,) = collection.tenants[str(TENANT)].objects.values()
    assert set(kept.properties) <= set(collection.properties())
    assert set(collection.properties()) == {
        "tenant_id", "interaction_id", "chunk_no", "source", "interaction_type", "language", "occurred_at", "entity_ids", "content_hash",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["hnsw", "flat", "dynamic"])
def test_each_index(fake: FakeWeaviate, kind: Any) -> None:
    """Each kind of index is made as asked, and found as made by the next process."""
    for _ in range(2):
        with store_on(fake, index=IndexOptions(kind=kind)) as store:
            assert store.put(TENANT, passages(TENANT, 3)).written == 3
    assert {each.config["vectorConfig"]["default"]["vectorIndexType"] for each in fake.state.collections.values()} == {kind}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config["multiTenancyConfig"].update(enabled=False), "multi_tenancy is False, not True"),
        (lambda config: config["multiTenancyConfig"].update(autoTenantCreation=True), "auto_tenant_creation is True, not False"),
        (lambda config: config["vectorConfig"]["default"]["vectorIndexConfig"].update(distance="dot"), "distance is dot, not cosine"),
        (lambda config: config["vectorConfig"]["default"]["vectorIndexConfig"].update(maxConnections=8), "m is 8, not 32"),
        (lambda config: config["properties"].pop(), "property content_hash is None, not text"),
        (lambda config: config["properties"].append({**config["properties"][0], "name": "text"}), "property text is uuid"),
    ],
    ids=["no tenants", "tenants by themselves", "distance", "graph", "property gone", "property too many"],
)
def test_drift_is_refused(fake: FakeWeaviate, change: Any, said: str) -> None:
    """A collection that somebody changed is not used; the error says which, what differs, and the breaker stays out of it."""
    with store_on(fake) as store:
        store.count(TENANT)
    change(fake.state.collections[f"PayReadyHubSpotNote_{suffix('tests: hash')}"].config)
    with store_on(fake) as store:
        for _ in range(3):
            with pytest.raises(ConfigError, match=f"PayReadyHubSpotNote_.*{said}"):
                store.count(TENANT)
        assert store.breaker.circuit == "closed"


def test_settings_of_a_search_may_change(fake: FakeWeaviate) -> None:
    """`ef` and the size up to which searches are exact are taken over, without a rebuild."""
    for index in (IndexOptions(), IndexOptions(ef=200), IndexOptions(ef=300, exact_up_to=9)):
        with store_on(fake, index=index) as store:
            store.count(TENANT)
        found = [each.config["vectorConfig"]["default"]["vectorIndexConfig"] for each in fake.state.collections.values()]
        assert {(each["ef"], each["flatSearchCutoff"]) for each in found} == {(index.ef, index.exact_up_to)}


def test_another_embedder(fake: FakeWeaviate) -> None:
    """The new one's vectors are built beside the old ones that serve; then the aliases move, and the old ones may go, not before."""
    with store_on(fake, embedder_id="old") as old, store_on(fake, embedder_id="new", dim=3) as new:
        old.put(TENANT, passages(TENANT, 5, source_kind="slack"))
        old.serve()
        assert old.describe().is_serving
        new.put(TENANT, [passage(TENANT, 0, source_kind="slack", vector=unit(1.0, dim=3))])
        assert not new.describe().is_serving
        assert (old.count(TENANT), new.count(TENANT)) == (5, 1)
        assert fake.state.aliases["PayReadySlackMessage"] == f"PayReadySlackMessage_{suffix('old')}"
        with pytest.raises(ConflictError, match="let another one serve first"):
            new.drop_embedder("old")
        with pytest.raises(UsageError):
            new.drop_embedder("new")
        new.serve()
        new.serve()
        assert new.describe().serving == {base: f"{base}_{suffix('new')}" for base in WeaviateOptions().bases}
        assert len(new.drop_embedder("old")) == 5
        assert new.drop_embedder("old") == []
    assert {name.partition("_")[2] for name in fake.state.collections} == {suffix("new")}


def test_erasure_reaches_every_embedder(fake: FakeWeaviate) -> None:
    """What is deleted, and a tenant that is dropped, leave the vectors of other embedders, too; the neighbour's stay."""
    other = new_tenant_id()
    with store_on(fake, embedder_id="old") as old, store_on(fake, embedder_id="new") as new:
        for store in (old, new):
            for tenant in (TENANT, other):
                store.put(tenant, passages(tenant, 6))
        assert new.delete(TENANT, [passage(TENANT, 0).interaction_id]) == 1
        assert new.delete_memories(TENANT, [passage(TENANT, 1).memory_id]) == 1
        assert (old.count(TENANT), old.count(other)) == (4, 6)
        new.drop_tenant(TENANT)
        assert (old.count(TENANT), new.count(TENANT), old.count(other), new.count(other)) == (0, 0, 6, 6)
    assert not any(str(TENANT) in each.tenants for each in fake.state.collections.values())


@pytest.mark.parametrize("version", ["1.27.0", "1.31.9"])
def test_a_server_without_aliases(version: str) -> None:
    """It is used without them, and the description says so."""
    with FakeWeaviate(version=version) as fake, store_on(fake) as store:
        store.put(TENANT, passages(TENANT, 2))
        store.serve()
        assert (store.describe().version, store.describe().serving, store.describe().is_serving) == (version, None, True)
        assert fake.state.aliases == {}


def test_a_server_that_is_too_old() -> None:
    """Is refused."""
    with FakeWeaviate(version="1.26.9") as fake, store_on(fake) as store, pytest.raises(ConfigError, match="too old"):
        store.count(TENANT)


def test_the_key(capfd: pytest.CaptureFixture[str]) -> None:
    """It goes along on both ways, and is in no repr, error, log or output; a wrong one is refused without touching the breaker."""
    right, wrong = "canary-right-0b1", "canary-wrong-0b1"
    with FakeWeaviate(api_key=right) as fake, capture_logs() as logs:
        with store_on(fake, api_key=SecretStr(right)) as store:
            assert store.put(TENANT, passages(TENANT, 2)).written == 2
            assert store.is_live()
        with store_on(fake, api_key=SecretStr(wrong)) as store:
            with pytest.raises(DeniedError) as caught:
                store.count(TENANT)
            assert store.breaker.circuit == "closed"
            assert not store.is_live()
            said = f"{caught.value} {caught.value.where} {store!r} {WeaviateOptions(api_key=SecretStr(wrong))!r} {logs}"
        with store_on(fake) as store, pytest.raises(DeniedError):
            store.count(TENANT)
    printed = capfd.readouterr()
    assert "canary" not in said + printed.out + printed.err


def test_nothing_but_the_server_is_asked(fake: FakeWeaviate) -> None:
    """The client's own start-up checks would call a public package index."""
    with store_on(fake) as store:
        store.count(TENANT)
    assert fake.seen[0].call == "GET /v1/meta"
    assert not any("openid" in each.call for each in fake.seen)


def test_who_rests(fake: FakeWeaviate) -> None:
    """Tenants that were not asked for so long are put to rest; who is awake and was never seen here counts from now on."""
    now = [100.0]
    busy, idle, strange = (new_tenant_id() for _ in range(3))
    options = WeaviateOptions(url=fake.url, grpc_port=fake.grpc_port)
    store = WeaviateStore(options, embedder_id="tests: hash", dim=DIM, clock=lambda: now[0])
    with store_on(fake) as other:
        other.put(strange, passages(strange, 2))
    for tenant in (busy, idle):
        store.put(tenant, passages(tenant, 2))
    assert store.rest(60.0) == []
    now[0] += 60.0
    store.search(busy, VectorQuery(vector=unit(1.0), most=1))
    assert store.rest(60.0) == sorted([idle, strange])
    assert store.rest(60.0) == []
    fake.state.collections[f"PayReadySlackMessage_{suffix('tests: hash')}"].tenants["not one of ours"] = type(
        next(iter(fake.state.collections.values())).tenants[str(busy)]
    )()
    now[0] += 60.0
    assert store.rest(60.0) == [busy]
    store.close()


def test_embedded_is_never_downloaded(tmp_path: Path) -> None:
    """Without its binary there is a clear error, and nothing is fetched."""
    embedded = EmbeddedOptions(binary_folder=tmp_path, version="1.39.0", data_folder=tmp_path / "data")
    store = WeaviateStore(WeaviateOptions(mode="embedded", embedded=embedded), embedder_id="tests: hash", dim=DIM)
    digest = hashlib.sha256(b"v1.39.0").hexdigest()
    with pytest.raises(ConfigError, match=f"weaviate-v1.39.0-{digest}"):
        store.count(TENANT)
    store.close()


def test_embedded_that_ends_at_once(tmp_path: Path) -> None:
    """A binary that does not stay is an error that names its log; its data folder is free for the next one."""
    binary = tmp_path / f"weaviate-v1.39.0-{hashlib.sha256(b'v1.39.0').hexdigest()}"
    binary.write_text("#!/bin/sh\necho nothing here to serve\nexit 3\n")
    binary.chmod(0o755)
    embedded = EmbeddedOptions(binary_folder=tmp_path, version="1.39.0", data_folder=tmp_path / "data")
    options = WeaviateOptions(mode="embedded", embedded=embedded, query_s=10.0, breaker_open_s=0.01)
    store = WeaviateStore(options, embedder_id="tests: hash", dim=DIM)

    def ended() -> bool:
        with pytest.raises(PayReadyError) as caught:
            store.count(TENANT)
        return "weaviate.log" in f"{caught.value} {caught.value.__cause__}"

    until(ended)
    store.close()
    assert "nothing here to serve" in (tmp_path / "data" / "weaviate.log").read_text()


def run_python(script: str, fake: FakeWeaviate) -> "subprocess.CompletedProcess[str]":
    """A process of its own, with warnings as errors, in which `store` is open."""
    opening = f"""
        import os, sys
        from pay_ready.memory.cold.options import WeaviateOptions
        from pay_ready.memory.cold.weaviate import WeaviateStore
        from tests.vectors_support import DIM, new_tenant_id, passages
        store = WeaviateStore(WeaviateOptions(url={fake.url!r}, grpc_port={fake.grpc_port}), embedder_id="tests: hash", dim=DIM)
        tenant = new_tenant_id()
        assert "weaviate" not in sys.modules and "grpc" not in sys.modules
    """
    text = textwrap.dedent(opening) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", text], check=False, capture_output=True, text=True, timeout=60,
        env={"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)}, cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize("end", ["", "store.close()", "store.close(); store.close()", "sys.exit(0)", "del store"])
def test_a_process_ends_cleanly(fake: FakeWeaviate, end: str) -> None:
    """However it ends, the client is closed: no warning, no noise; nothing heavy is imported before the first call."""
    done = run_python(f"assert store.put(tenant, passages(tenant, 2)).written == 2\n{end}", fake)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_after_a_fork(fake: FakeWeaviate) -> None:
    """A child refuses the parent's store clearly and at once, and does not disturb it; one that was not used before may be used."""
    script = """
        assert store.is_live()
        if (child := os.fork()) == 0:
            try:
                store.count(tenant)
            except Exception as error:
                os._exit(7 if "fork" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert store.put(tenant, passages(tenant, 2)).written == 2
    """
    done = run_python(script, fake)
    assert (done.returncode, done.stderr) == (0, "")
    unused = """
        if (child := os.fork()) == 0:
            os._exit(0 if store.put(tenant, passages(tenant, 2)).written == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    assert run_python(unused, fake).returncode == 0


@pytest.mark.parametrize(
    "values",
    [
        {"url": "localhost:8080"},
        {"url": "ftp://localhost"},
        {"mode": "embedded"},
        {"other_collection": "lower"},
        {"other_collection": "With_Underscore"},
        {"collections": {"slack": "Same", "gong": "Same"}},
        {"collections": {"slack": "PayReadyInteraction"}},
    ],
    ids=str,
)
def test_options_that_cannot_work(values: dict[str, Any]) -> None:
    """Are refused before anything is opened."""
    with pytest.raises(ConfigError):
        WeaviateOptions(**values)
