"""A process that goes back, forth again or takes one thing back, and may be killed on the way."""

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.reversing_support import ACTS


def act_once(url: str, tenant: TenantId, act: str) -> None:
    """Do it by a pool of its own."""
    database = Database(url, PoolOptions(max_size=1, overflow=0))
    database.open()
    try:
        ACTS[act](database, tenant)
    finally:
        database.close()
