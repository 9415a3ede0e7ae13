"""A process that resolves one tenant and may be killed on the way: resolve_client.py APP_URL TENANT_ID READS."""

import sys
from uuid import UUID

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from pay_ready.model.resolution import Reads
from tests.publish_support import resolve


def main(url: str, tenant: str, reads: Reads) -> None:
    """Resolve once."""
    database = Database(url, PoolOptions(max_size=1, overflow=0))
    database.open()
    try:
        resolve(database, TenantId(UUID(tenant)), reads=reads)
    finally:
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]
