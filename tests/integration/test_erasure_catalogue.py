"""Erasure knows every column that may hold a person's values, and every table that keeps rows about records."""

import psycopg

from pay_ready.db.erasure import HANDLED
from tests.conftest import Scratch

# Tables with ids of records, interactions or entities and nothing else about people, and what erasure does about each.
_ABOUT = ("record_id", "person_record_id", "left_id", "right_id", "interaction_id", "entity_id", "object_id", "anchor_record_id")
_KNOWN_TABLES = {
    "archived_interactions": "deleted: what is left is made anew",
    "assignments": "deleted, with history", "block_members": "deleted", "company_records": "a company's", "decisions": "deleted",
    "edges": "deleted", "entities": "ids once given resolve for ever", "entity_changes": "ids and hashes: the feed has no gaps",
    "entity_redirects": "lead nowhere", "entity_versions": "deleted or made anew, with history",
    "interaction_entities": "deleted, with history", "interaction_participants": "staged anew, or deleted",
    "interaction_records": "staged anew, or deleted", "interaction_sentiment": "deleted", "interaction_turns": "staged anew, or deleted",
    "memories": "deleted", "memory_outbox": "told of it", "memory_projections": "ids: told to the outer store",
    "memory_vectors_plain": "deleted with the passage", "person_records": "deleted", "record_blocks": "deleted",
    "resolution_queue": "deleted", "review_leases": "deleted", "shadowed_company_records": "a company's",
    "shadowed_person_records": "deleted",
}  # fmt: skip


def test_every_personal_column_is_handled(scratch: Scratch) -> None:
    """A column of class personal or secret that erasure does not know fails here; so does one that is gone."""
    with psycopg.connect(scratch.admin_url) as admin:
        found = admin.execute(
            "select c.relname || '.' || a.attname from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped"
            " and col_description(c.oid, a.attnum) ~ '^(personal|secret):'"
        ).fetchall()
    assert {name for (name,) in found} == set(HANDLED)


def test_every_table_about_records_is_handled(scratch: Scratch) -> None:
    """A new table that names records, interactions or people must be thought of, whatever its columns are called personal."""
    with psycopg.connect(scratch.admin_url) as admin:
        found = admin.execute(
            "select distinct c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0"
            " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind in ('r', 'p') and a.attname = any(%s)",
            (list(_ABOUT),),
        ).fetchall()
    assert {name for (name,) in found} == set(_KNOWN_TABLES)
