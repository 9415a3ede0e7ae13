-- A timeline is read in its own order: the index holds what breaks a tie, so that a page behind any place is one walk, and no table is read.

set role pay_ready_owner;

create index if not exists interaction_entities_in_order
on pay_ready.interaction_entities (tenant_id, entity_id, occurred_at desc, interaction_id desc) where closed_run_no is null;
drop index if exists pay_ready.interaction_entities_timeline;

reset role;
