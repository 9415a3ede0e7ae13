"""Full text by words: the one function that reads past row security finds what the transaction's tenant has, and nothing else."""

from typing import Any
from uuid import UUID

import psycopg
import pytest

from pay_ready.db import memories as db_memories
from pay_ready.db.memories import WordHit
from pay_ready.db.tenancy import Database, PoolOptions, TenantTransaction
from pay_ready.memory.fusion import looked_for, weighed_words
from pay_ready.model.ids import TenantId
from pay_ready.model.memory import Filters
from tests.faults.support import opened

from ..conftest import Scratch, make_tenant

_ROW = (
    "insert into pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, source_id, interaction_type, chunk_text, language,"
    " lexemes, content_hash, occurred_at) select %(tenant)s, gen_random_uuid(), gen_random_uuid(), 0, %(source)s, 'message', %(text)s,"
    " 'en', pay_ready.tenant_lexemes('english', %(text)s), sha256('x'), now() from generate_series(1, %(times)s)"
)
_QUESTION = "Where did the renewal's price, it's \\ 'quoted', go?"


@pytest.fixture
def two(database: Database, scratch: Scratch) -> tuple[TenantId, TenantId]:
    """Two tenants with the same words; the second has a thousand times as many."""
    one, other = make_tenant(database, "one"), make_tenant(database, "other")
    with psycopg.connect(scratch.admin_url) as admin:
        for tenant, times, text in ((one, 3, "the renewal price of one"), (other, 3_000, "the renewal price of the canary")):
            add(admin, tenant, times, text)
        add(admin, other, 1, "Zanzibar")
        admin.execute("analyze pay_ready.memories")
    return one, other


def found_by_words(tx: TenantTransaction) -> list[WordHit]:
    """The 50 best."""
    counts, passages = db_memories.word_counts(tx, _QUESTION, ("english", "german"))
    return db_memories.search_words(tx, weighed_words(counts, passages), looked_for(counts, 50), Filters(), 50)


def add(admin: psycopg.Connection[Any], tenant: TenantId, times: int, text: str) -> None:
    """Passages of a tenant with a source of its own."""
    source = UUID(int=tenant.int ^ 1)
    admin.execute("select set_config('app.tenant_id', %s, true)", (str(tenant),))
    admin.execute(
        "insert into pay_ready.data_sources (tenant_id, source_id, name, kind, connector, ingest_mode, config)"
        " values (%s, %s, 'export', 'slack', 'replay', 'replay', '{\"schema_version\": 1}') on conflict do nothing",
        (tenant, source),
    )
    admin.execute(_ROW, {"tenant": tenant, "source": source, "times": times, "text": text})


def test_only_the_tenants_own(database: Database, two: tuple[TenantId, TenantId]) -> None:
    """Exactly its passages, whatever the neighbour's volume, and as many as were asked for of the neighbour's."""
    found = []
    for tenant in two:
        with database.tenant_transaction(tenant) as tx:
            hits = found_by_words(tx)
            shown = db_memories.passages_of(tx, [hit.memory_id for hit in hits])
        assert len(shown) == len(hits)
        found.append({each.chunk_text for each in shown.values()})
        assert all(hit.text_rank > 0 for hit in hits)
    assert [len(each) for each in found] == [1, 1]
    assert not any("canary" in text for text in found[0])


def test_no_argument_names_another_tenant(scratch: Scratch, two: tuple[TenantId, TenantId]) -> None:
    """The tenant is that of the transaction: words that name another's find nothing, and without a tenant there is an error."""
    one, other = two
    rank = "select count(*) from pay_ready.rank_lexemes(array[%s], array[1.0], 1, null, null, null, null, null, 1000)"
    count = "select coalesce(sum(passages), 0) from pay_ready.count_lexemes(array[%s])"
    before = "select count(*) from pay_ready.search_lexemes(%s::tsquery, null, null, null, null, null, 1000)"  # of the version before
    with psycopg.connect(scratch.app_url) as app:
        app.execute("select set_config('app.tenant_id', %s, true)", (str(one),))
        for words in (f"'{str(other)[:8]}price'", f"'{str(one)[:8]}canari' | '{str(other)[:8]}canari'"):
            assert app.execute(before, (words,)).fetchone() == (0,)
        for ask in (rank, count):
            for word in ("canari", "zanzibar", f"{str(other)[:8]}price", f"' | '{str(other)[:8]}canari", "\\' | 'x"):
                assert app.execute(ask, (word,)).fetchone() == (0,)
        assert app.execute(count, ("price",)).fetchone() == (3,)
        app.rollback()
        for setting in (None, ""):  # an error, or nothing: never a passage
            for ask in (rank, count):
                if setting is not None:
                    app.execute("select set_config('app.tenant_id', %s, true)", (setting,))
                try:
                    assert app.execute(ask, ("zanzibar",)).fetchone() == (0,)
                except psycopg.Error as error:
                    told = str(error)
                    if "app.tenant_id" not in told and "uuid" not in told:
                        raise
                app.rollback()


def test_the_index_of_words_is_used(scratch: Scratch, two: tuple[TenantId, TenantId]) -> None:
    """Through the function, as its owner's plan shows; as the app's role the same condition reads every row of the tenant."""
    _, other = two
    plan = "explain select memory_id from pay_ready.memories where tenant_id = %(tenant)s and lexemes @@ (%(words)s)::tsquery"
    with psycopg.connect(scratch.admin_url) as admin:
        for role, is_used in (("pay_ready_search", True), ("pay_ready_app", False)):
            admin.execute(f"set role {role}")
            admin.execute("select set_config('app.tenant_id', %s, true)", (str(other),))
            told = admin.execute(plan, {"tenant": other, "words": f"'{str(other)[:8]}zanzibar'"}).fetchall()
            assert ("memories_by_lexeme" in str(told)) is is_used, told
            admin.execute("reset role")


def test_where_the_function_is_not_handed_over(scratch: Scratch, two: tuple[TenantId, TenantId]) -> None:
    """Owned by the tables' owner, as where the administrator may not give it away, it is held by row security and finds the same."""
    one, _ = two
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        admin.execute("alter function pay_ready.count_lexemes(text[]) owner to pay_ready_owner")
        admin.execute(
            "alter function pay_ready.rank_lexemes(text[], double precision[], integer, uuid[], text[], text[], timestamptz, timestamptz,"
            " integer) owner to pay_ready_owner"
        )
    with opened(scratch.app_url, PoolOptions(max_size=1, overflow=0)) as database, database.tenant_transaction(one) as tx:
        assert len(found_by_words(tx)) == 3
