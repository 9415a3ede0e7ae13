"""A process that indexes one tenant and may be killed on the way. Imported once by a fork server, forked per run."""

from collections.abc import Callable
from dataclasses import dataclass

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.failpoints import armed, failpoint
from pay_ready.logs import configure_logs
from pay_ready.memory import indexing
from pay_ready.memory.batching import BatchLimits
from pay_ready.memory.embed.hashing import HashEmbedder
from pay_ready.memory.hot import HotTier
from pay_ready.memory.settings import IndexingOptions, SearchOptions
from pay_ready.memory.tiers import MemoryManager
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Embedder, VectorStore
from tests.fake_weaviate import FakeWeaviate
from tests.memory_state import OtherEmbedder
from tests.memory_support import indexed
from tests.weaviate_support import store_on

EMBEDDERS: dict[str, type[HashEmbedder]] = {"hash": HashEmbedder, "other": OtherEmbedder}
# Pages of two and an index from eight vectors on: everything takes several transactions.
OPTIONS = IndexingOptions(page=3, outer_page=2, batch=BatchLimits(start=2, most=2), search=SearchOptions(exact_below=8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where a Weaviate is, as `store_on` asks it."""

    url: str
    grpc_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexJob:
    """One index: whose, by what, and where it is killed."""

    app_url: str
    tenant: TenantId
    point: str
    skip: int = 0  # times that the point is passed before
    embedder: str = "hash"
    weaviate: Served | None = None


def memory_of(database: Database, embedder: Embedder, outer: VectorStore | None) -> MemoryManager:
    """Memory that goes in small steps, with either embedder's vectors serving until the other's are whole."""
    known = {made.id: made for made in (HashEmbedder(), OtherEmbedder())}
    return MemoryManager(database, hot=HotTier(), embedder=lambda: embedder, former=known.get, outer=outer, options=OPTIONS)


def kill_at(point: str, skip: int) -> Callable[[str], None]:
    """A failpoint that is passed so many times, then kills."""
    seen = 0

    def reached(name: str) -> None:
        nonlocal seen
        seen += name == point
        if seen > skip:
            with armed(point, "kill"):
                failpoint(name)

    return reached


def index(job: IndexJob) -> None:
    """Index, and be killed; exit code 0 where the point was never reached."""
    configure_logs("error", "json")
    indexing.failpoint = kill_at(job.point, job.skip)  # type: ignore[attr-defined]
    made = EMBEDDERS[job.embedder]()
    database = Database(job.app_url, PoolOptions(max_size=3, overflow=0))
    database.open()
    if job.weaviate is None:
        indexed(database, job.tenant, memory_of(database, made, None))
        return
    fake: FakeWeaviate = job.weaviate  # type: ignore[assignment] - the same two fields
    with store_on(fake, embedder_id=made.id, dim=made.dim) as store:
        indexed(database, job.tenant, memory_of(database, made, store))
