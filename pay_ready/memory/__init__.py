"""Three tiers that agree: hot (this process), warm (Postgres, what was touched lately), cold (vectors of all history)."""
