-- Review: what is said of a record is found from either side of a pair, the evidence nearest to even odds without reading the rest, and a
-- pair that is asked once more to measure agreement is marked as such.

set role pay_ready_owner;

create index if not exists decisions_by_right
on pay_ready.decisions (tenant_id, entity_type, right_id) where superseded_at is null;
create index if not exists decisions_waiting
on pay_ready.decisions (tenant_id, made_at) where superseded_at is null and status in ('open', 'escalated', 'appealed');
create index if not exists edges_by_weight
on pay_ready.edges (tenant_id, entity_type, model_id, match_weight_millibits);

alter table pay_ready.review_leases add column if not exists is_gold boolean not null default false;
call pay_ready.protect_table('review_leases', 'select, insert, update, delete');
call pay_ready.describe_table('review_leases', 'Pairs that a reviewer has before him, so that nobody else is given them meanwhile.', $$
    is_gold internal The pair is decided already and asked once more: the answer measures agreement and changes nothing.
$$);

reset role;
