-- Models that are learnt from a tenant's records: how common values are is pinned with them, by hash. Edges keep their levels as one
-- byte per comparison of the model.

set role pay_ready_owner;

create table if not exists pay_ready.resolution_model_counts (
    tenant_id uuid not null,
    model_id uuid not null,
    name text not null check (name <> ''),
    total bigint not null check (total >= 0),
    usual integer not null check (usual >= 0),
    keys bytea not null check (octet_length(keys) % 8 = 0),
    counts bytea not null check (octet_length(counts) * 2 = octet_length(keys)),
    primary key (tenant_id, model_id, name),
    foreign key (tenant_id, model_id) references pay_ready.resolution_models (tenant_id, model_id)
);
call pay_ready.protect_table('resolution_model_counts', 'select, insert');
call pay_ready.describe_table('resolution_model_counts', 'How often values occurred among the records that a model was trained on.', $$
    model_id internal The model.
    name     internal What is counted, such as name.family.
    total    internal What the counts are shares of.
    usual    internal The count of a value that is not here.
    keys     internal 64-bit hashes of the values, ascending, little-endian; never the values.
    counts   internal The count of each, 32 bits, in the order of the keys.
$$);

do $$
begin
    -- What a level says follows from the model: one byte each in place of a document. Edges are weighed again by the next run.
    if exists (
        select from information_schema.columns
        where table_schema = 'pay_ready' and table_name = 'edges' and column_name = 'levels' and data_type = 'jsonb'
    ) then
        alter table pay_ready.edges drop constraint if exists edges_levels_check;
        alter table pay_ready.edges alter column levels type bytea using ''::bytea;
        alter table pay_ready.edges add constraint edges_levels_check check (octet_length(levels) <= 256);
    end if;
end
$$;

reset role;
