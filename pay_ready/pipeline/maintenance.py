"""What is looked after by night. Of the house: partitions, statistics. Of a tenant: checkpoints, tiers, promises."""

from dataclasses import dataclass

from pay_ready.db import operation
from pay_ready.db.publish import refresh_statistics
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId

MONTHS_AHEAD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseReport:
    """What was done for all tenants together."""

    partitions_made: int


def keep_house(database: Database, tenant: TenantId, *, months: int = MONTHS_AHEAD) -> HouseReport:
    """Make partitions ahead and let the server look at its tables. No tenant's rows are read: any tenant's id opens the door."""
    with database.tenant_transaction(tenant, work="batch") as tx:
        made = operation.keep_log_partitions(tx, months)
    refresh_statistics(database, tenant)
    return HouseReport(partitions_made=made)
