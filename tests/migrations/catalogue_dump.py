"""A schema as sorted lines, without object ids and with grants in order: two ways of making it are compared by their dumps."""

from typing import Any, LiteralString

import psycopg

_QUERIES: tuple[LiteralString, ...] = (
    """
    select 'schema', n.nspname, pg_get_userbyid(n.nspowner), array(select r::text from unnest(n.nspacl) as r order by 1),
           obj_description(n.oid, 'pg_namespace')
    from pg_namespace as n
    where n.nspname = %(schema)s
    """,
    """
    select 'relation', c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
           array(select r::text from unnest(c.relacl) as r order by 1), c.reloptions::text, c.relrowsecurity, c.relforcerowsecurity,
           c.relpersistence::text, pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid, 'pg_class')
    from pg_class as c
    where c.relnamespace = %(schema)s::regnamespace
    """,
    """
    select 'column', c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation::text, a.attstorage::text,
           array(select r::text from unnest(a.attacl) as r order by 1), col_description(c.oid, a.attnum)
    from pg_attribute as a
    join pg_class as c on c.oid = a.attrelid
    left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where c.relnamespace = %(schema)s::regnamespace and a.attnum > 0 and not a.attisdropped
    """,
    """
    select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated
    from pg_constraint
    where connamespace = %(schema)s::regnamespace
    """,
    """
    select 'index', pg_get_indexdef(i.indexrelid), i.indisvalid
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    where c.relnamespace = %(schema)s::regnamespace
    """,
    """
    select 'policy', p.polrelid::regclass::text, p.polname, p.polcmd::text, p.polpermissive,
           array(select r::regrole::text from unnest(p.polroles) as r order by 1),
           pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)
    from pg_policy as p
    join pg_class as c on c.oid = p.polrelid
    where c.relnamespace = %(schema)s::regnamespace
    """,
    """
    select 'routine', p.proname, pg_get_functiondef(p.oid), array(select r::text from unnest(p.proacl) as r order by 1),
           pg_get_userbyid(p.proowner)
    from pg_proc as p
    where p.pronamespace = %(schema)s::regnamespace
    """,
    """
    select 'trigger', pg_get_triggerdef(t.oid), t.tgenabled::text
    from pg_trigger as t
    join pg_class as c on c.oid = t.tgrelid
    where c.relnamespace = %(schema)s::regnamespace and not t.tgisinternal
    """,
    """
    select 'view', c.relname, pg_get_viewdef(c.oid)
    from pg_class as c
    where c.relnamespace = %(schema)s::regnamespace and c.relkind = 'v'
    """,
)


def dump(connection: psycopg.Connection[Any], schema: str = "pay_ready") -> list[str]:
    """Tables, columns, constraints, indexes, policies, grants, comments, routines, triggers and views of a schema."""
    # Names are written out in full whatever the connection's search_path is.
    connection.execute("set search_path = pg_catalog")
    return sorted(str(row) for query in _QUERIES for row in connection.execute(query, {"schema": schema}))


def dump_of(url: str, schema: str = "pay_ready") -> list[str]:
    """The dump over a connection of its own."""
    with psycopg.connect(url) as connection:
        return dump(connection, schema)
