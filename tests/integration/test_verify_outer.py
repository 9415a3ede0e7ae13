"""`pay-ready verify` compares a vector store beside Postgres with the record: each kind of damage is found, what waits is none."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from pay_ready.db import vectors as db_vectors
from pay_ready.db.tenancy import Database
from pay_ready.db.vector_tables import embedder_tag, enable_vectors
from pay_ready.memory.cold.weaviate import WeaviateStore
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import KeptObject, VectorObject, memory_id_of
from pay_ready.pipeline.index import difference
from pay_ready.pipeline.outer import OuterStore
from pay_ready.pipeline.verify import CheckResult, verify_tenant
from tests.command_support import called
from tests.conftest import Scratch, make_tenant
from tests.fake_weaviate import FakeWeaviate
from tests.memory_support import Talk, indexed, memory_on, publish, relink, say
from tests.weaviate_support import store_on

ANN, BOB = UUID(int=1), UUID(int=2)
TALKS = tuple(
    Talk(key=str(number), body=f"Order {number} of pumps", source=("slack", "gong")[number % 2], minute=number, entities=(("person", ANN),))
    for number in range(6)
)
EMBEDDER = HashEmbedder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A tenant whose memory is whole in Postgres and in a Weaviate beside it."""

    database: Database
    scratch: Scratch
    tenant: TenantId
    memory: MemoryManager
    store: WeaviateStore
    fake: FakeWeaviate

    def look(self, store: WeaviateStore | None = None) -> CheckResult:
        """What the check `memory` says."""
        outer = OuterStore(store=store or self.store, embedder_id=EMBEDDER.id, dimensions=EMBEDDER.dim)
        (result,) = verify_tenant(self.database, self.tenant, name="tests", only=["memory"], outer=outer).results
        return result

    def objects(self) -> list[VectorObject]:
        """Of every talk, as the store was told."""
        with self.database.tenant_transaction(self.tenant) as tx:
            table = db_vectors.vector_table(tx, embedder_tag(EMBEDDER.id), EMBEDDER.dim)
            return table.objects(tx, [each.id_of(self.tenant) for each in TALKS])


@contextmanager
def told(database: Database, scratch: Scratch, tenant: TenantId) -> Iterator[Beside]:
    """Everything is indexed and told."""
    say(scratch.admin_url, tenant, *TALKS)
    with FakeWeaviate() as fake, store_on(fake, embedder_id=EMBEDDER.id, dim=EMBEDDER.dim) as store:
        memory = memory_on(database, outer=store)
        indexed(database, tenant, memory)
        yield Beside(database=database, scratch=scratch, tenant=tenant, memory=memory, store=store, fake=fake)


@pytest.fixture(params=["pgvector", "scan"])
def beside(request: pytest.FixtureRequest, database: Database, scratch: Scratch, tenant: TenantId) -> Iterator[Beside]:
    """With and without pgvector."""
    if request.param == "pgvector":
        enable_vectors(scratch.admin_url, "pay_ready", EMBEDDER.id, EMBEDDER.dim)
    with told(database, scratch, tenant) as made:
        yield made


def _orphan(beside: Beside) -> UUID:
    interaction = uuid4()
    lost = replace(beside.objects()[0], interaction_id=interaction, memory_id=memory_id_of(beside.tenant, interaction, 0))
    beside.store.put(beside.tenant, [lost])
    return lost.memory_id


def _missing(beside: Beside) -> UUID:
    first = beside.objects()[0]
    beside.store.delete_memories(beside.tenant, [first.memory_id])
    return first.memory_id


def _other_content(beside: Beside) -> UUID:
    first = beside.objects()[0]
    beside.store.put(beside.tenant, [replace(first, content_hash=bytes(32))])
    return first.memory_id


def _other_people(beside: Beside) -> UUID:
    first = beside.objects()[0]
    beside.store.put(beside.tenant, [replace(first, entity_ids=(BOB,))])
    return first.memory_id


DAMAGE: Mapping[str, tuple[str, Callable[[Beside], UUID]]] = {
    "orphan": ("orphan", _orphan), "missing": ("missing", _missing), "content": ("stale", _other_content),
    "people": ("stale", _other_people),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(beside: Beside, damage: str) -> None:
    """What is left over, missing or out of date in the store fails the check, by its id; before that it was equal, and looked at."""
    before = beside.look()
    assert (before.state, before.checked, before.pending) == ("ok", len(TALKS), 0)
    kind, break_it = DAMAGE[damage]
    memory_id = break_it(beside)
    after = beside.look()
    assert (after.state, after.wrong) == ("failed", 1)
    assert after.breaches[0].offenders == (f"{kind} {memory_id}",)
    assert "pay-ready memory reconcile" in after.fix
    found = difference(beside.database, beside.tenant, beside.memory)
    assert found is not None
    assert not found.is_equal


def test_all_damage_at_once(beside: Beside) -> None:
    """Each object counts once, and as many are named as were asked for."""
    objects = beside.objects()
    beside.store.delete_memories(beside.tenant, [each.memory_id for each in objects[:2]])
    beside.store.put(beside.tenant, [replace(each, content_hash=bytes(32)) for each in objects[2:5]])
    _orphan(beside)
    outer = OuterStore(store=beside.store, embedder_id=EMBEDDER.id, dimensions=EMBEDDER.dim)
    (result,) = verify_tenant(beside.database, beside.tenant, name="tests", only=["memory"], outer=outer, most=4).results
    assert (result.wrong, len(result.breaches[0].offenders)) == (6, 4)


def test_what_waits_is_counted_and_no_finding(beside: Beside) -> None:
    """Changes that memory has not heard of, what the store was not told of, and a run not heard of: waiting, until the next index."""
    say(beside.scratch.admin_url, beside.tenant, replace(TALKS[0], body="Something else"), gone=(TALKS[1],))
    waiting = beside.look()
    assert (waiting.state, waiting.pending) == ("ok", 2)
    beside.fake.fail("unavailable", call="BatchObjects")
    beside.fake.fail("unavailable", call="BatchDelete")
    assert indexed(beside.database, beside.tenant, beside.memory).outer_away
    beside.fake.forget()
    queued = beside.look()
    assert (queued.state, queued.pending) == ("ok", 2)
    relink(beside.scratch.admin_url, beside.tenant, TALKS[2], BOB, 2)
    publish(beside.scratch.admin_url, beside.tenant, 2)
    assert (beside.look().state, beside.look().pending) == ("ok", 3)
    while indexed(beside.database, beside.tenant, beside.memory).outer_away:
        continue
    settled = beside.look()
    assert (settled.state, settled.pending, settled.checked) == ("ok", 0, len(TALKS) - 1)


def test_damage_beside_what_waits_is_found(beside: Beside) -> None:
    """Waiting excuses the interaction that waits and no other."""
    say(beside.scratch.admin_url, beside.tenant, replace(TALKS[0], body="Something else"))
    gone = next(each for each in beside.objects() if each.interaction_id != TALKS[0].id_of(beside.tenant))
    beside.store.delete_memories(beside.tenant, [gone.memory_id])
    found = beside.look()
    assert (found.state, found.wrong, found.pending) == ("failed", 1, 1)


def test_what_is_told_meanwhile_is_no_finding(beside: Beside) -> None:
    """Between the look at the store and that at the record an index goes through: the second look sees it."""

    class Overtaken(WeaviateStore):
        scans = 0

        def scan(self, tenant: TenantId) -> Iterator[KeptObject]:
            kept = list(beside.store.scan(tenant))
            self.scans += 1
            if self.scans == 1:
                say(beside.scratch.admin_url, tenant, replace(TALKS[0], body="Something else"), Talk(key="new", body="New"))
                indexed(beside.database, tenant, beside.memory)
            return iter(kept)

    with FakeWeaviate() as other, store_on(other, embedder_id=EMBEDDER.id, dim=EMBEDDER.dim) as made:
        overtaken = Overtaken(made._options, embedder_id=EMBEDDER.id, dim=EMBEDDER.dim)
        found = beside.look(overtaken)
        assert (found.state, overtaken.scans) == ("ok", 2)
        overtaken.close()


def test_a_store_that_is_away_is_not_compared(beside: Beside) -> None:
    """It is said, and what else the check promises was looked at; a breach there is a breach still."""
    beside.fake.fail("unavailable")
    away = beside.look()
    assert (away.state, away.wrong) == ("skipped", 0)
    assert "weaviate is away" in away.reason
    with psycopg.connect(beside.scratch.admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("delete from pay_ready.interaction_records where tenant_id = %s", (beside.tenant,))
    assert beside.look().state == "failed"


def test_another_tenants_objects_are_a_finding(beside: Beside) -> None:
    """A server that answers with somebody else's: they are no passages of the tenant."""
    other = make_tenant(beside.database, "other")
    say(beside.scratch.admin_url, other, *(replace(each, body=f"Canary {each.key}") for each in TALKS[:3]))
    indexed(beside.database, other, beside.memory)
    assert beside.look().state == "ok"
    beside.fake.fail("ignores_tenant")
    found = beside.look()
    assert found.state == "failed"


def test_the_command(database: Database, scratch: Scratch, tenant: TenantId, tmp_path: Path) -> None:
    """`pay-ready verify` says it by exit code and in JSON: equal 0, away 0 and said, damaged 7."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"), "COLUMNS": "200",
        "PAY_READY_DATABASE_URL": scratch.app_url, "PAY_READY_EMBEDDING__PROVIDER": "hash",
    }  # fmt: skip

    def verify(*more: str) -> tuple[int, dict[str, object], str]:
        ended = called(("verify", "-t", "acme", "--only", "memory", "--json", *more), environment, tmp_path)
        return ended.returncode, json.loads(ended.stdout)["data"][0]["results"][0], ended.stderr

    code, result, _ = verify()
    assert (code, result["state"]) == (0, "ok")  # there is no store
    with told(database, scratch, tenant) as beside:
        environment |= {
            "PAY_READY_WEAVIATE__MODE": "server", "PAY_READY_WEAVIATE__URL": beside.fake.url,
            "PAY_READY_WEAVIATE__GRPC_PORT": str(beside.fake.grpc_port),
        }  # fmt: skip
        code, result, _ = verify()
        assert (code, result["state"], result["checked"]) == (0, "ok", len(TALKS))
        _orphan(beside)
        code, result, _ = verify()
        assert (code, result["state"]) == (7, "failed")
        beside.fake.fail("unavailable")
        code, result, _ = verify()
        assert (code, result["state"]) == (0, "skipped")
        assert "away" in str(result["reason"])


def test_without_a_store_nothing_of_memory_is_loaded(scratch: Scratch, tenant: TenantId, tmp_path: Path) -> None:
    """Who has no vector store pays for none: neither Weaviate's client nor an embedder is imported."""
    assert tenant
    script = (
        "import sys; from pay_ready.cli.main import main\n"
        "sys.argv = ['pay-ready', 'verify', '-t', 'acme', '--only', 'memory']\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
        "print([each for each in sys.modules if each.startswith(('weaviate', 'pay_ready.memory', 'onnxruntime', 'tokenizers', 'grpc'))])"
    )
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAY_READY_HOME": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join(sys.path), "PAY_READY_DATABASE_URL": scratch.app_url,
    }  # fmt: skip
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines()[-1] == "[]"
