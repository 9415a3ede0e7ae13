"""A process that resolves one tenant and may be killed on the way."""

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import Reads
from tests.publish_support import resolve


def resolve_once(url: str, tenant: TenantId, reads: Reads) -> None:
    """Resolve by a pool of its own."""
    database = Database(url, PoolOptions(max_size=1, overflow=0))
    database.open()
    try:
        resolve(database, tenant, reads=reads)
    finally:
        database.close()
