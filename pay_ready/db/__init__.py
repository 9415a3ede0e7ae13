"""The database room: the only one that imports a Postgres driver. `tenancy.tenant_transaction` is its one door."""
