"""A process that archives or restores and may be killed on the way."""

from pathlib import Path

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.retention_support import bring_back, keeping, retain


def keep_once(url: str, tenant: TenantId, folder: Path, act: str, *archives: str) -> None:
    """Archive what is due where the act is `apply`, and bring archives back, by a pool of its own."""
    database = Database(url, PoolOptions(max_size=2, overflow=0))
    database.open()
    try:
        work = keeping(database, tenant, folder, days=30)
        if act == "apply":
            retain(work)
        for each in archives:
            bring_back(work, each)
    finally:
        database.close()
