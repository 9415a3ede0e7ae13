-- What doctor asks the catalogue and the server's statistics in its deep look: nobody's rows.

-- name: usage
-- Tables of the schema (partitions, too): how big, how read, how cared for.
-- scope: session
-- params: schema_name text
select
    tables.relname::text as table_name,
    tables.n_live_tup as live_rows,
    tables.n_dead_tup as dead_rows,
    tables.n_mod_since_analyze as changed_rows,
    coalesce(tables.seq_scan, 0) as seq_scans,
    coalesce(tables.seq_tup_read, 0) as seq_rows,
    coalesce(tables.idx_scan, 0) as index_scans,
    greatest(tables.last_analyze, tables.last_autoanalyze) as analyzed_at,
    greatest(tables.last_vacuum, tables.last_autovacuum) as vacuumed_at,
    pg_total_relation_size(tables.relid) as size_bytes
from pg_catalog.pg_stat_user_tables as tables
where tables.schemaname = %(schema_name)s
order by tables.relname;

-- name: unused_indexes
-- Indexes that no statement used since the statistics began, that keep no promise (unique keys do) and are worth the room.
-- scope: session
-- params: schema_name text, least_bytes bigint
select
    used.indexrelname::text as index_name,
    used.relname::text as table_name,
    pg_relation_size(used.indexrelid) as size_bytes
from pg_catalog.pg_stat_user_indexes as used
join pg_catalog.pg_index as i on i.indexrelid = used.indexrelid
where used.schemaname = %(schema_name)s
  and used.idx_scan = 0
  and not i.indisunique
  and not i.indisexclusion
  and pg_relation_size(used.indexrelid) >= %(least_bytes)s
order by size_bytes desc, index_name;

-- name: invalid_indexes
-- scope: session
-- params: schema_name text
select c.relname::text as index_name
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %(schema_name)s and not (i.indisvalid and i.indisready)
order by index_name;

-- name: statistics_days
-- How long the server has been counting, in days.
-- scope: session
select extract(epoch from now() - coalesce(s.stats_reset, pg_postmaster_start_time()))::double precision / 86400 as days
from pg_catalog.pg_stat_database as s
where s.datname = current_database();

-- name: has_statements
-- scope: session
select exists (select from pg_catalog.pg_extension where extname = 'pg_stat_statements') as is_there;

-- name: statements
-- Statements of this database that take long on average; their texts have no values, and only their names are shown.
-- scope: session
-- params: slow_ms double precision, most integer
select statements.queryid::text as query_id, statements.query, statements.calls, statements.mean_exec_time as mean_ms,
    statements.max_exec_time as most_ms, statements.total_exec_time as total_ms
from pg_stat_statements as statements
join pg_catalog.pg_database as d on d.oid = statements.dbid
where d.datname = current_database()
  and statements.mean_exec_time >= %(slow_ms)s
order by statements.total_exec_time desc
limit %(most)s;

-- name: partitions
-- Partitions of a table, with what each holds by the planner's estimate (-1: never analyzed).
-- scope: session
-- params: schema_name text, table_name text
select c.relname::text as partition_name, c.reltuples::bigint as row_count
from pg_catalog.pg_inherits as i
join pg_catalog.pg_class as c on c.oid = i.inhrelid
join pg_catalog.pg_class as parent on parent.oid = i.inhparent
join pg_catalog.pg_namespace as n on n.oid = parent.relnamespace
where n.nspname = %(schema_name)s and parent.relname = %(table_name)s
order by partition_name;

-- name: settings
-- scope: session
-- params: names text[]
select name, setting from pg_catalog.pg_settings where name = any(%(names)s);

-- name: clock
-- scope: session
select clock_timestamp() as server_at;

