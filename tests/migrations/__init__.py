"""The migrations: by the runner, by psql, by four at once, killed half-way, in another schema, by an ordinary administrator."""
