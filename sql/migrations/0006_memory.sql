-- Memory: chunks of interactions, the outbox that feeds caches and vector stores, and assembled contexts.
-- Vectors need pgvector and are made apart from the migrations, which must pass without it.

set role pay_ready_owner;

create table if not exists pay_ready.memories (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    memory_id uuid not null,
    interaction_id uuid not null,
    chunk_no integer not null check (chunk_no >= 0),
    chunk_text text not null,
    language text,
    content_hash bytea not null check (octet_length(content_hash) = 32),
    occurred_at timestamptz not null,
    touched_at timestamptz not null default now(),
    primary key (tenant_id, memory_id),
    unique (tenant_id, interaction_id, chunk_no)
);
create index if not exists memories_by_touch on pay_ready.memories (tenant_id, touched_at desc);
call pay_ready.protect_table('memories');
call pay_ready.describe_table('memories', 'Passages of interactions, the unit of search.', $$
    memory_id      internal Derived from interaction and chunk.
    interaction_id internal The interaction.
    chunk_no       internal Position, from 0.
    chunk_text     personal The passage.
    language       internal ISO 639-1.
    content_hash   internal sha256 of the passage.
    occurred_at    internal When the interaction took place.
    touched_at     internal When it was last asked for.
$$);

create table if not exists pay_ready.memory_outbox (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    outbox_seq bigint not null check (outbox_seq > 0),
    change text not null check (change in ('publish', 'upsert', 'delete')),
    object_kind text not null check (object_kind in ('run', 'interaction', 'entity')),
    object_id text not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, outbox_seq)
);
call pay_ready.protect_table('memory_outbox');
call pay_ready.describe_table('memory_outbox', 'Changes that caches and vector stores have yet to hear of; ids only, written with the change itself.', $$
    outbox_seq  internal In commit order.
    change      internal publish, upsert, delete.
    object_kind internal run, interaction, entity.
    object_id   internal Id of the object.
    created_at  internal When the row was made.
$$);

create table if not exists pay_ready.context_cache (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    cache_key text not null,
    scope text not null default 'all',
    version bigint not null check (version >= 0),
    content jsonb not null check (pay_ready.is_own_json(content)),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null check (expires_at > created_at),
    primary key (tenant_id, cache_key, scope)
);
call pay_ready.protect_table('context_cache');
call pay_ready.describe_table('context_cache', 'Assembled contexts of people and companies.', $$
    cache_key  internal What it is about.
    scope      internal Who may see it.
    version    internal Version of the entity it was made from.
    content    personal The context.
    created_at internal When the row was made.
    expires_at internal From then on not served.
$$);

reset role;
