"""A process that archives or restores and may be killed on the way: retention_child.py URL TENANT_ID FOLDER ACT [ARCHIVE ...]."""

import sys
from pathlib import Path
from uuid import UUID

from pay_ready.db.tenancy import Database, PoolOptions
from pay_ready.model.ids import TenantId
from tests.retention_support import bring_back, keeping, retain


def main(url: str, tenant: str, folder: str, act: str, *archives: str) -> None:
    """Do it once."""
    database = Database(url, PoolOptions(max_size=2, overflow=0))
    database.open()
    try:
        work = keeping(database, TenantId(UUID(tenant)), Path(folder), days=30)
        if act == "apply":
            retain(work)
        for each in archives:
            bring_back(work, each)
    finally:
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
