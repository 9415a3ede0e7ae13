"""A tenant with a past, and a look at whether everything holds."""

from collections.abc import Sequence

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.verify import Verification, verify_tenant


def verified(database: Database, tenant: TenantId, *, only: Sequence[str] = (), deep: bool = True) -> Verification:
    """What `pay-ready verify --deep` finds."""
    return verify_tenant(database, tenant, name="tests", only=only, deep=deep)


def breaches(found: Verification) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """By failed check: the promises broken, with the first offenders."""
    return {result.check: [(each.promise, each.offenders) for each in result.breaches] for result in found.failed}


def assert_verified(database: Database, tenant: TenantId, *, but: Sequence[str] = ()) -> None:
    """Every promise holds, beside those of the checks that are named."""
    found = breaches(verified(database, tenant))
    off = {check: told for check, told in found.items() if check not in but}
    assert not off, off
