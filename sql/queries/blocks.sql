-- Blocks as rows: what each record was compared by, and who else is there; and the edges that an increment touches.

-- name: planner_settings
-- What `set_planner` sets, as it is.
select
    current_setting('enable_hashjoin') as hash_joins,
    current_setting('enable_mergejoin') as merge_joins,
    current_setting('enable_material') as kept_rows,
    current_setting('enable_seqscan') as scans,
    current_setting('jit') as compiled
where %(tenant_id)s is not null;

-- name: set_planner
-- params: hash_joins text, merge_joins text, kept_rows text, scans text, compiled text
select
    set_config('enable_hashjoin', %(hash_joins)s, true) as hash_joins,
    set_config('enable_mergejoin', %(merge_joins)s, true) as merge_joins,
    set_config('enable_material', %(kept_rows)s, true) as kept_rows,
    set_config('enable_seqscan', %(scans)s, true) as scans,
    set_config('jit', %(compiled)s, true) as compiled
where %(tenant_id)s is not null;

-- name: blocks_of
-- hot: one record that is decided
-- params: record_ids uuid[]
select kept.record_id, kept.blocks
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
join pay_ready.record_blocks as kept on kept.tenant_id = %(tenant_id)s and kept.record_id = asked.record_id;

-- name: all_blocks
-- params: entity_type text
select record_id, blocks
from pay_ready.record_blocks
where tenant_id = %(tenant_id)s
  and entity_type = %(entity_type)s;

-- name: make_member_table
-- scope: session
create temporary table moved_members (
    block bigint not null,
    place bigint not null,
    record uuid not null
) on commit drop;

-- name: empty_member_table
-- scope: session
truncate pg_temp.moved_members;

-- name: analyze_member_table
-- scope: session
analyze pg_temp.moved_members;

-- name: drop_members
delete from pay_ready.block_members as members
using pg_temp.moved_members as moved
where members.tenant_id = %(tenant_id)s
  and members.block = moved.block
  and members.place = moved.place
  and members.record_id = moved.record;

-- name: add_members
insert into pay_ready.block_members (tenant_id, block, place, record_id)
select %(tenant_id)s, block, place, record
from pg_temp.moved_members
order by block, place, record;

-- name: make_record_table
-- scope: session
create temporary table moved_records (
    record_id uuid not null,
    entity_type text not null,
    blocks bytea
) on commit drop;

-- name: empty_record_table
-- scope: session
truncate pg_temp.moved_records;

-- name: drop_record_blocks
delete from pay_ready.record_blocks as kept
using pg_temp.moved_records as moved
where kept.tenant_id = %(tenant_id)s
  and kept.record_id = moved.record_id
  and moved.blocks is null;

-- name: put_record_blocks
insert into pay_ready.record_blocks (tenant_id, record_id, entity_type, blocks)
select %(tenant_id)s, record_id, entity_type, blocks
from pg_temp.moved_records
where blocks is not null
on conflict (tenant_id, record_id) do update set blocks = excluded.blocks;

-- name: others
-- The members of blocks, of each as many as are asked for.
-- params: blocks bigint[], limits bigint[]
select found.block, found.place, found.record_id
from unnest(%(blocks)s::bigint[], %(limits)s::bigint[]) as asked (block, most)
cross join lateral (
    select members.block, members.place, members.record_id
    from pay_ready.block_members as members
    where members.tenant_id = %(tenant_id)s
      and members.block = asked.block
    limit asked.most
) as found;

-- name: near
-- The nearest members of a block on both sides of a place.
-- params: blocks bigint[], places bigint[], record_ids uuid[], windows bigint[]
select asked.number, found.is_after, asked.block, found.place, found.record_id
from unnest(%(blocks)s::bigint[], %(places)s::bigint[], %(record_ids)s::uuid[], %(windows)s::bigint[])
    with ordinality as asked (block, place, record_id, most, number)
cross join lateral (
    (
        select 1::bigint as is_after, members.place, members.record_id
        from pay_ready.block_members as members
        where members.tenant_id = %(tenant_id)s
          and members.block = asked.block
          and (members.place, members.record_id) > (asked.place, asked.record_id)
        order by members.place, members.record_id
        limit asked.most
    )
    union all
    (
        select 0::bigint, members.place, members.record_id
        from pay_ready.block_members as members
        where members.tenant_id = %(tenant_id)s
          and members.block = asked.block
          and (members.place, members.record_id) < (asked.place, asked.record_id)
        order by members.place desc, members.record_id desc
        limit asked.most
    )
) as found;

-- name: between
-- How many members lie between two places of a block, as far as it matters.
-- params: blocks bigint[], first_places bigint[], first_ids uuid[], last_places bigint[], last_ids uuid[], windows bigint[]
select counted.members
from unnest(
    %(blocks)s::bigint[], %(first_places)s::bigint[], %(first_ids)s::uuid[], %(last_places)s::bigint[], %(last_ids)s::uuid[],
    %(windows)s::bigint[]
) with ordinality as asked (block, first_place, first_id, last_place, last_id, most, number)
cross join lateral (
    select count(*) as members
    from (
        select
        from pay_ready.block_members as members
        where members.tenant_id = %(tenant_id)s
          and members.block = asked.block
          and (members.place, members.record_id) > (asked.first_place, asked.first_id)
          and (members.place, members.record_id) < (asked.last_place, asked.last_id)
        limit asked.most
    ) as found
) as counted
order by asked.number;

-- name: sizes
-- Members of blocks, as far as it matters.
-- params: blocks bigint[], limits bigint[]
select counted.members
from unnest(%(blocks)s::bigint[], %(limits)s::bigint[]) with ordinality as asked (block, most, number)
cross join lateral (
    select count(*) as members
    from (
        select
        from pay_ready.block_members as members
        where members.tenant_id = %(tenant_id)s
          and members.block = asked.block
        limit asked.most
    ) as found
) as counted
order by asked.number;

-- name: drop_edges_of
-- What a model said of pairs with one of these records; the others of those that matched.
-- params: entity_type text, model_id uuid, record_ids uuid[], least bigint
with asked as (
    select unnest(%(record_ids)s::uuid[]) as record_id
),
by_left as (
    delete from pay_ready.edges as edges
    using asked
    where edges.tenant_id = %(tenant_id)s
      and edges.entity_type = %(entity_type)s
      and edges.model_id = %(model_id)s
      and edges.left_id = asked.record_id
    returning edges.right_id as other_id, edges.match_weight_millibits
),
by_right as (
    delete from pay_ready.edges as edges
    using asked
    where edges.tenant_id = %(tenant_id)s
      and edges.entity_type = %(entity_type)s
      and edges.model_id = %(model_id)s
      and edges.right_id = asked.record_id
    returning edges.left_id as other_id, edges.match_weight_millibits
)
select distinct other_id
from (select other_id, match_weight_millibits from by_left union all select other_id, match_weight_millibits from by_right) as gone
where match_weight_millibits >= %(least)s;

-- name: edges_after
-- Pairs of which the record with the lower id is one of these.
-- params: entity_type text, model_id uuid, record_ids uuid[]
select edges.left_id, edges.right_id
from unnest(%(record_ids)s::uuid[]) as asked (record_id)
join pay_ready.edges as edges
    on edges.tenant_id = %(tenant_id)s
    and edges.entity_type = %(entity_type)s
    and edges.left_id = asked.record_id
    and edges.model_id = %(model_id)s;

-- name: drop_pairs
-- params: entity_type text, model_id uuid, left_ids uuid[], right_ids uuid[]
delete from pay_ready.edges as edges
using unnest(%(left_ids)s::uuid[], %(right_ids)s::uuid[]) as gone (left_id, right_id)
where edges.tenant_id = %(tenant_id)s
  and edges.entity_type = %(entity_type)s
  and edges.model_id = %(model_id)s
  and edges.left_id = gone.left_id
  and edges.right_id = gone.right_id;

-- name: bonds_of
-- The matches of a model with one of these records or of those who are in an entity with one (0), and everybody who is in such an entity
-- now (1: the entity, the record, and how sure in ten-thousandths).
-- params: entity_type text, model_id uuid, record_ids uuid[], least bigint
with entities as materialized (
    select distinct own.entity_id
    from unnest(%(record_ids)s::uuid[]) as asked (record_id)
    cross join lateral (
        select entity_id
        from pay_ready.assignments
        where tenant_id = %(tenant_id)s
          and entity_type = %(entity_type)s
          and record_id = asked.record_id
          and closed_run_no is null
        offset 0
    ) as own
),
mates as materialized (
    select entities.entity_id, held.record_id, held.confidence
    from entities
    cross join lateral (
        select record_id, confidence
        from pay_ready.assignments
        where tenant_id = %(tenant_id)s
          and entity_id = entities.entity_id
          and closed_run_no is null
        offset 0
    ) as held
),
everybody as materialized (
    select unnest(%(record_ids)s::uuid[]) as record_id
    union
    select record_id from mates
)
select 0::bigint as kind, edges.left_id as one_id, edges.right_id as other_id, 0::bigint as confidence
from everybody
cross join lateral (
    select left_id, right_id
    from pay_ready.edges
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and left_id = everybody.record_id
      and model_id = %(model_id)s
      and match_weight_millibits >= %(least)s
    offset 0
) as edges
union all
select 0, edges.left_id, edges.right_id, 0
from everybody
cross join lateral (
    select left_id, right_id
    from pay_ready.edges
    where tenant_id = %(tenant_id)s
      and entity_type = %(entity_type)s
      and right_id = everybody.record_id
      and model_id = %(model_id)s
      and match_weight_millibits >= %(least)s
    offset 0
) as edges
union all
select 1, entity_id, record_id, round(confidence * 10000)::bigint
from mates;
