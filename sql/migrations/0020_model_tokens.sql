-- What a tenant's questions cost of a language model, by day: its budget holds over all processes.

set role pay_ready_owner;

create table if not exists pay_ready.model_tokens (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    day date not null,
    tokens bigint not null check (tokens >= 0),
    primary key (tenant_id, day)
);
call pay_ready.protect_table('model_tokens');
call pay_ready.describe_table('model_tokens', 'Tokens of a language model by tenant and day (UTC), used or reserved.', $$
    day    internal The day.
    tokens internal Used so far, and reserved for calls under way.
$$);

reset role;
