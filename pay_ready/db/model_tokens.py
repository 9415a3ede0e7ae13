"""A tenant's budget of a language model's tokens, by day: in the database, so that it holds over all processes."""

from datetime import date

from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId


class StoredBudget:
    """Counts the tokens of every tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, tenant: TenantId, day: date, tokens: int, most: int) -> bool:
        """Take tokens out of the day's budget; False where it has not so many left."""
        with self._database.tenant_transaction(tenant) as tx:
            return tx.row("model_tokens.reserve", {"day": day, "tokens": tokens, "most": most}) is not None

    def settle(self, tenant: TenantId, day: date, reserved: int, used: int) -> None:
        """Give back what was reserved and not used, or take what was used beyond it."""
        with self._database.tenant_transaction(tenant) as tx:
            tx.execute("model_tokens.settle", {"day": day, "difference": used - reserved})
