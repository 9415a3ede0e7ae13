-- The vectors of one embedder, made by an administrator: `pay-ready memory enable-vectors`. Its tag and its dimensions, and how its index
-- is built, are put in for `of_embedder`, `of_dimensions`, `index_m` and `index_ef`. Running it again changes nothing.

set role pay_ready_owner;

create table if not exists pay_ready.memory_vectors_of_embedder (
    tenant_id uuid not null,
    memory_id uuid not null,
    interaction_id uuid not null,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    in_index boolean not null default false,
    embedding halfvec(of_dimensions) not null,
    primary key (tenant_id, memory_id),
    foreign key (tenant_id, memory_id) references pay_ready.memories (tenant_id, memory_id) on delete cascade
) partition by hash (tenant_id);
do $$
begin
    for part in 0..7 loop
        execute format(
            'create table if not exists pay_ready.memory_vectors_of_embedder_%s partition of pay_ready.memory_vectors_of_embedder'
            ' for values with (modulus 8, remainder %s)', part, part);
        call pay_ready.protect_table(format('memory_vectors_of_embedder_%s', part), '');
    end loop;
end
$$;
create index if not exists memory_vectors_of_embedder_unindexed
on pay_ready.memory_vectors_of_embedder (tenant_id) where not in_index;
create index if not exists memory_vectors_of_embedder_by_interaction
on pay_ready.memory_vectors_of_embedder (tenant_id, interaction_id);
create index if not exists memory_vectors_of_embedder_nearest
on pay_ready.memory_vectors_of_embedder using hnsw (embedding halfvec_cosine_ops) with (m = index_m, ef_construction = index_ef)
where in_index;
call pay_ready.protect_table('memory_vectors_of_embedder');
call pay_ready.describe_table('memory_vectors_of_embedder', 'Vectors of passages by one embedder.', $$
    memory_id      internal The passage.
    interaction_id internal Its interaction.
    content_hash   internal Of the passage that it is the vector of.
    in_index       internal Whether the index of nearest ones has it: of tenants with many vectors, those touched lately.
    embedding      personal The vector, of length 1.
$$);
-- Partitions hold the same: masking, export and erasure read what a column says wherever they find it.
do $$
declare
    part text;
    said record;
begin
    for number in 0..7 loop
        part := format('pay_ready.memory_vectors_of_embedder_%s', number);
        execute format('comment on table %s is %L', part, 'Part of the vectors, by tenant.');
        for said in
            select attname, col_description(attrelid, attnum) as meaning
            from pg_attribute
            where attrelid = 'pay_ready.memory_vectors_of_embedder'::regclass and attnum > 0 and not attisdropped
        loop
            execute format('comment on column %s.%I is %L', part, said.attname, said.meaning);
        end loop;
    end loop;
end
$$;

reset role;
