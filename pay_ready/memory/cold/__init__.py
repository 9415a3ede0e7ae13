"""The cold tier: one port, a Weaviate server or Postgres behind it."""
