"""A process that writes under a lease and is cut off: `half_open_child.py URL SLUG MODE`; says `ready`, then how it ended.

MODE, what it is at when the network goes: `idle`; `copy`, in the middle of one; `busy`, waiting for a long statement.
"""

import sys
import time

from pay_ready.db import leases, tenants
from pay_ready.db.tenancy import Database, PoolOptions, TenantTransaction
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import tenant_id_of


def main(url: str, slug: str, mode: str) -> None:
    """Take a lease, and be in a transaction that writes under it."""
    database = Database(url, PoolOptions(max_size=1, overflow=0))
    database.open()
    tenant = tenant_id_of("pay_ready", slug)
    with database.tenant_transaction(tenant) as tx:
        tenants.create(tx, slug=slug, name="Cut", settings={"schema_version": 1}, actor="tests")
        lease = leases.acquire(tx, "x", "elsewhere:1:r")
    began = time.monotonic()
    try:
        with database.tenant_transaction(tenant, work="batch") as tx:
            leases.guard(tx, lease)
            write(tx, mode)
    except PayReadyError as error:
        print(type(error).__name__, round(time.monotonic() - began), flush=True)


def write(tx: TenantTransaction, mode: str) -> None:
    """Be at it."""
    if mode == "copy":
        tx.execute("landing.make_rows")
        with tx.copy_into("landing_rows", ("record_key",)) as copy:
            copy.write("half a ")
            print("ready", flush=True)
            time.sleep(600)
    print("ready", flush=True)
    if mode == "busy":
        tx._connection.execute("select pg_sleep(600)")
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
