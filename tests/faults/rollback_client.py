"""A process that goes back, forth again or takes one thing back, and may be killed on the way: rollback_client.py APP_URL TENANT_ID ACT."""

import sys
from uuid import UUID

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.reversing_support import ACTS


def main(url: str, tenant: str, act: str) -> None:
    """Do it once."""
    database = Database(url, PoolOptions(max_size=1, overflow=0))
    database.open()
    try:
        ACTS[act](database, TenantId(UUID(tenant)))
    finally:
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
