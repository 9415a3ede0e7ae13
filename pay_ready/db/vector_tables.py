"""Tables of vectors, one an embedder: made and dropped by an administrator, for the app's role makes no tables."""

from dataclasses import dataclass
from hashlib import sha256

import psycopg

from pay_ready.db.connect import connected
from pay_ready.db.failures import translating
from pay_ready.db.queries import in_schema, of_embedder
from pay_ready.errors import ConfigError
from pay_ready.resources import resource_path

MOST_INDEXED_DIMENSIONS = 4_000  # of halfvec


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """How the index of nearest ones is built (HNSW, Malkov and Yashunin 2016): more is better recall, slower writes, more memory."""

    m: int = 16  # links of a vector on each layer
    ef_construction: int = 64  # candidates looked at while it is built


def embedder_tag(embedder_id: str) -> str:
    """Eight hexadecimal digits that name an embedder's table."""
    return sha256(embedder_id.encode()).hexdigest()[:8]


def has_pgvector(admin_url: str) -> bool:
    """Whether the server can have pgvector with halfvec (0.7 or later)."""
    with translating(), connected(admin_url, variable="PAY_READY_ADMIN_DATABASE_URL") as admin:
        row = admin.execute("select default_version from pg_available_extensions where name = 'vector'").fetchone()
    return row is not None and tuple(int(part) for part in str(row[0]).split(".")[:2]) >= (0, 7)


def enable_vectors(admin_url: str, schema: str, embedder_id: str, dimensions: int, options: IndexOptions | None = None) -> str:
    """Make the table of an embedder's vectors, with its index; where it is there, nothing happens. Gives its tag.

    Raises:
        ConfigError: pgvector cannot be had on this server, or indexes no vectors of so many dimensions.
        DeniedError: The login may not create the extension or the table.
    """
    if not 1 <= dimensions <= MOST_INDEXED_DIMENSIONS:
        hint = f"choose a model of at most {MOST_INDEXED_DIMENSIONS} dimensions, or ask it for fewer (embedding.dimensions)"
        raise ConfigError("pgvector indexes no vectors of so many dimensions", hint, dimensions=dimensions)
    if not has_pgvector(admin_url):
        hint = "install the extension vector 0.7 or later on the server; without it vectors are compared by reading them"
        raise ConfigError("this server has no pgvector", hint)
    options = options or IndexOptions()
    tag = embedder_tag(embedder_id)
    script = of_embedder(in_schema(resource_path("sql", "templates", "memory_vectors.sql").read_text("utf-8"), schema), tag)
    for word, value in (("of_dimensions", dimensions), ("index_m", options.m), ("index_ef", options.ef_construction)):
        script = script.replace(word, str(value))
    with translating(), connected(admin_url, variable="PAY_READY_ADMIN_DATABASE_URL") as admin:
        _make(admin, script, f"{schema}.memory_vectors_{tag}", tag)
    return tag


def _make(admin: psycopg.Connection[object], script: str, table: str, tag: str) -> None:
    with admin.transaction():
        # Two that make the same at once: the second finds it made, and locks nothing that others read.
        admin.execute("select pg_advisory_xact_lock(hashtextextended('pay_ready.vectors:' || %s, 0))", (tag,))
        if admin.execute("select 1 where to_regclass(%s) is not null", (table,)).fetchone() is not None:
            return
        admin.execute("create extension if not exists vector")
        admin.execute(script.encode())
