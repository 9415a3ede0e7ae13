-- Resolution: versioned by run_no, half-open [opened, closed); a row is closed and never rewritten.

set role pay_ready_owner;

create table if not exists pay_ready.resolution_models (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    model_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    version integer not null check (version > 0),
    parameters jsonb not null check (pay_ready.is_own_json(parameters)),
    model_hash bytea not null check (octet_length(model_hash) = 32),
    trained_records bigint not null check (trained_records >= 0),
    created_at timestamptz not null default now(),
    primary key (tenant_id, model_id),
    unique (tenant_id, entity_type, version)
);
call pay_ready.protect_table('resolution_models');
call pay_ready.describe_table('resolution_models', 'What decides: thresholds and weights, pinned by hash.', $$
    model_id        internal Derived from entity type and hash.
    entity_type     internal person or company.
    version         internal Counts from 1 per entity type.
    parameters      internal The model (ResolutionModel).
    model_hash      internal sha256 of the canonical parameters.
    trained_records internal Records it was trained on; 0 for the shipped model.
    created_at      internal When the row was made.
$$);

create table if not exists pay_ready.resolution_runs (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    run_no bigint not null check (run_no > 0),
    run_id uuid not null,
    kind text not null check (kind in ('resolve', 'refresh', 'rollback', 'decision', 'erasure')),
    actor text not null,
    config_hash bytea not null check (octet_length(config_hash) = 32),
    person_model_id uuid,
    company_model_id uuid,
    equals_run_no bigint check (equals_run_no < run_no),
    report jsonb not null check (pay_ready.is_own_json(report)),
    published_at timestamptz not null default now(),
    primary key (tenant_id, run_no),
    unique (tenant_id, run_id),
    foreign key (tenant_id, person_model_id) references pay_ready.resolution_models (tenant_id, model_id),
    foreign key (tenant_id, company_model_id) references pay_ready.resolution_models (tenant_id, model_id),
    foreign key (tenant_id, equals_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
call pay_ready.protect_table('resolution_runs', 'select, insert');
call pay_ready.describe_table('resolution_runs', 'Published versions of a tenant; the highest run_no is what readers see.', $$
    run_no           internal Counts from 1 without gaps, issued under the publish lock.
    run_id           internal UUIDv7 of the run in step_runs and logs.
    kind             internal resolve, refresh, rollback, decision, erasure.
    actor            internal Who ran it.
    config_hash      internal sha256 of the configuration it ran with.
    person_model_id  internal Model for people.
    company_model_id internal Model for companies.
    equals_run_no    internal For a rollback: the run whose state it restored.
    report           internal Figures of the run (model PublishReport).
    published_at     internal When it was committed.
$$);

create table if not exists pay_ready.entities (
    tenant_id uuid not null,
    entity_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    anchor_record_id uuid not null,
    minted_run_no bigint not null,
    primary key (tenant_id, entity_id),
    unique (tenant_id, entity_type, anchor_record_id),
    foreign key (tenant_id, minted_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
call pay_ready.protect_table('entities', 'select, insert');
call pay_ready.describe_table('entities', 'Every id ever given: it resolves for ever, directly or through a redirect.', $$
    entity_id        internal Derived from tenant, type and anchor record.
    entity_type      internal person or company.
    anchor_record_id internal The record it was minted for.
    minted_run_no    internal The run that minted it.
$$);

create table if not exists pay_ready.assignments (
    tenant_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    record_id uuid not null,
    opened_run_no bigint not null,
    closed_run_no bigint check (closed_run_no > opened_run_no),
    entity_id uuid not null,
    confidence real not null check (confidence between 0 and 1),
    primary key (tenant_id, entity_type, record_id, opened_run_no),
    foreign key (tenant_id, entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, opened_run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, closed_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
create unique index if not exists assignments_current
on pay_ready.assignments (tenant_id, entity_type, record_id) where closed_run_no is null;
create index if not exists assignments_by_entity on pay_ready.assignments (tenant_id, entity_id, closed_run_no);
call pay_ready.protect_table('assignments', 'select, insert, update');
call pay_ready.describe_table('assignments', 'Which entity a record belongs to, by run.', $$
    entity_type   internal person or company.
    record_id     internal The record.
    opened_run_no internal First run in which it holds.
    closed_run_no internal First run in which it holds no more; empty while current.
    entity_id     internal The entity.
    confidence    internal Match probability of the record's strongest link into its entity; 1 for a record alone.
$$);

create table if not exists pay_ready.entity_versions (
    tenant_id uuid not null,
    entity_id uuid not null,
    opened_run_no bigint not null,
    closed_run_no bigint check (closed_run_no > opened_run_no),
    entity_type text not null check (entity_type in ('person', 'company')),
    name text,
    email text,
    phone text,
    domain text,
    title text,
    company_entity_id uuid,
    record_count integer not null check (record_count > 0),
    golden jsonb not null check (pay_ready.is_own_json(golden)),
    provenance jsonb not null check (pay_ready.is_own_json(provenance)),
    content_hash bytea not null check (octet_length(content_hash) = 32),
    primary key (tenant_id, entity_id, opened_run_no),
    foreign key (tenant_id, entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, company_entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, opened_run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, closed_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
create unique index if not exists entity_versions_current
on pay_ready.entity_versions (tenant_id, entity_id) where closed_run_no is null;
create index if not exists entity_versions_by_name
on pay_ready.entity_versions (tenant_id, entity_type, lower(name)) where closed_run_no is null;
create index if not exists entity_versions_by_company
on pay_ready.entity_versions (tenant_id, company_entity_id) where closed_run_no is null;
call pay_ready.protect_table('entity_versions', 'select, insert, update');
call pay_ready.describe_table('entity_versions', 'Golden records, by run: the published row of an entity and where each value came from.', $$
    entity_id         internal The entity.
    opened_run_no     internal First run in which it holds.
    closed_run_no     internal First run in which it holds no more; empty while current.
    entity_type       internal person or company.
    name              personal Name.
    email             personal Address of a person.
    phone             personal E.164.
    domain            internal Domain of a company.
    title             personal Job title of a person.
    company_entity_id internal Company of a person.
    record_count      internal Records in the entity.
    golden            personal Every field with all its values (model GoldenRecord).
    provenance        internal The record that each field came from.
    content_hash      internal sha256 of the canonical golden record.
$$);

create table if not exists pay_ready.entity_redirects (
    tenant_id uuid not null,
    entity_id uuid not null,
    opened_run_no bigint not null,
    closed_run_no bigint check (closed_run_no > opened_run_no),
    target_entity_id uuid check (target_entity_id <> entity_id),
    primary key (tenant_id, entity_id, opened_run_no),
    foreign key (tenant_id, entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, target_entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, opened_run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, closed_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
create unique index if not exists entity_redirects_current
on pay_ready.entity_redirects (tenant_id, entity_id) where closed_run_no is null;
create index if not exists entity_redirects_by_target on pay_ready.entity_redirects (tenant_id, target_entity_id);
call pay_ready.protect_table('entity_redirects', 'select, insert, update');
call pay_ready.describe_table('entity_redirects', 'Where a retired id leads, by run.', $$
    entity_id        internal The retired id.
    opened_run_no    internal First run in which it holds.
    closed_run_no    internal First run in which it holds no more; empty while current.
    target_entity_id internal The entity that took its records; empty when all its records are gone.
$$);

create table if not exists pay_ready.edges (
    tenant_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    left_id uuid not null,
    right_id uuid not null check (left_id < right_id),
    model_id uuid not null,
    left_hash bytea not null check (octet_length(left_hash) = 32),
    right_hash bytea not null check (octet_length(right_hash) = 32),
    match_weight_millibits integer not null,
    levels jsonb not null check (pay_ready.is_own_json(levels)),
    primary key (tenant_id, entity_type, left_id, right_id, model_id),
    foreign key (tenant_id, model_id) references pay_ready.resolution_models (tenant_id, model_id)
);
create index if not exists edges_by_right on pay_ready.edges (tenant_id, entity_type, right_id);
call pay_ready.protect_table('edges');
call pay_ready.describe_table('edges', 'Facts about pairs of records under a model: evidence, not decisions; neither versioned nor rolled back.', $$
    entity_type            internal person or company.
    left_id                internal The record whose id sorts first.
    right_id               internal The other.
    model_id               internal The model that weighed them.
    left_hash              internal content_hash of the left record when weighed.
    right_hash             internal content_hash of the right record when weighed.
    match_weight_millibits internal Prior plus evidence, in thousandths of a bit.
    levels                 internal Level that each comparison reached; names and bits, never the values.
$$);

create table if not exists pay_ready.decisions (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    decision_id uuid not null,
    entity_type text not null check (entity_type in ('person', 'company')),
    left_id uuid not null,
    right_id uuid not null check (left_id < right_id),
    verdict text not null check (verdict in ('match', 'no_match', 'unsure')),
    actor_type text not null check (actor_type in ('human', 'agent')),
    actor text not null,
    reason text,
    context text not null default 'review',
    entity_id uuid,
    status text not null default 'decided' check (status in ('open', 'decided', 'escalated', 'appealed')),
    made_at timestamptz not null default now(),
    superseded_at timestamptz check (superseded_at >= made_at),
    primary key (tenant_id, decision_id)
);
create unique index if not exists decisions_current
on pay_ready.decisions (tenant_id, entity_type, left_id, right_id, actor_type) where superseded_at is null;
create index if not exists decisions_by_verdict on pay_ready.decisions (tenant_id, context, verdict);
create index if not exists decisions_by_actor on pay_ready.decisions (tenant_id, actor, made_at);
create index if not exists decisions_by_entity on pay_ready.decisions (tenant_id, entity_id, made_at);
call pay_ready.protect_table('decisions', 'select, insert, update');
call pay_ready.describe_table('decisions', 'What a person or an agent said of two records: closed when superseded, honoured by every later run.', $$
    decision_id   internal UUIDv7.
    entity_type   internal person or company.
    left_id       internal The record whose id sorts first.
    right_id      internal The other.
    verdict       internal match, no_match, unsure.
    actor_type    internal human or agent.
    actor         internal Who.
    reason        internal Why.
    context       internal Where it was made.
    entity_id     internal The entity under review at the time.
    status        internal open, decided, escalated, appealed.
    made_at       internal When.
    superseded_at internal When a later one took over; empty while current.
$$);

create table if not exists pay_ready.checkpoints (
    tenant_id uuid not null,
    checkpoint_id uuid not null,
    name text not null,
    run_no bigint not null,
    digest bytea not null check (octet_length(digest) = 32),
    kind text not null check (kind in ('automatic', 'named')),
    pinned boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (tenant_id, checkpoint_id),
    unique (tenant_id, name),
    foreign key (tenant_id, run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
call pay_ready.protect_table('checkpoints');
call pay_ready.describe_table('checkpoints', 'States of a tenant to which a rollback can return.', $$
    checkpoint_id internal UUIDv7.
    name          internal Name within the tenant.
    run_no        internal The run whose state it names.
    digest        internal sha256 of the canonical dump of that state.
    kind          internal automatic (before a publish) or named by hand.
    pinned        internal Never dropped by retention.
    created_at    internal When the row was made.
$$);

create table if not exists pay_ready.entity_changes (
    tenant_id uuid not null,
    change_seq bigint not null check (change_seq > 0),
    run_no bigint not null,
    change text not null check (change in ('created', 'merged', 'split', 'changed', 'retired')),
    entity_type text not null check (entity_type in ('person', 'company')),
    entity_id uuid not null,
    other_entity_id uuid,
    before_hash bytea check (octet_length(before_hash) = 32),
    after_hash bytea check (octet_length(after_hash) = 32),
    primary key (tenant_id, change_seq),
    foreign key (tenant_id, run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, other_entity_id) references pay_ready.entities (tenant_id, entity_id)
);
create index if not exists entity_changes_by_entity on pay_ready.entity_changes (tenant_id, entity_id, change_seq);
call pay_ready.protect_table('entity_changes', 'select, insert');
call pay_ready.describe_table('entity_changes', 'The change feed: what each run did to each entity, numbered without gaps per tenant.', $$
    change_seq      internal Counts from 1 without gaps, in commit order.
    run_no          internal The run.
    change          internal created, merged (into other), split (from other), changed, retired.
    entity_type     internal person or company.
    entity_id       internal The entity.
    other_entity_id internal The entity merged into or split from.
    before_hash     internal content_hash of the golden record before.
    after_hash      internal content_hash after.
$$);

create table if not exists pay_ready.interaction_entities (
    tenant_id uuid not null,
    interaction_id uuid not null,
    entity_id uuid not null,
    opened_run_no bigint not null,
    closed_run_no bigint check (closed_run_no > opened_run_no),
    entity_type text not null check (entity_type in ('person', 'company')),
    is_primary boolean not null,
    occurred_at timestamptz not null,
    primary key (tenant_id, interaction_id, entity_id, opened_run_no),
    foreign key (tenant_id, entity_id) references pay_ready.entities (tenant_id, entity_id),
    foreign key (tenant_id, opened_run_no) references pay_ready.resolution_runs (tenant_id, run_no),
    foreign key (tenant_id, closed_run_no) references pay_ready.resolution_runs (tenant_id, run_no)
);
create unique index if not exists interaction_entities_current
on pay_ready.interaction_entities (tenant_id, interaction_id, entity_id) where closed_run_no is null;
create unique index if not exists interaction_entities_primary
on pay_ready.interaction_entities (tenant_id, interaction_id, entity_type) where closed_run_no is null and is_primary;
create index if not exists interaction_entities_timeline
on pay_ready.interaction_entities (tenant_id, entity_id, occurred_at desc) where closed_run_no is null;
call pay_ready.protect_table('interaction_entities', 'select, insert, update');
call pay_ready.describe_table('interaction_entities', 'Which people and companies an interaction is with, by run: the timeline''s index.', $$
    interaction_id internal The interaction.
    entity_id      internal The entity.
    opened_run_no  internal First run in which it holds.
    closed_run_no  internal First run in which it holds no more; empty while current.
    entity_type    internal person or company.
    is_primary     internal The one shown first: the first external participant, else the first.
    occurred_at    internal When the interaction took place.
$$);

create table if not exists pay_ready.suppressions (
    tenant_id uuid not null references pay_ready.tenants (tenant_id),
    suppression_id uuid not null,
    kind text not null check (kind in ('email', 'phone', 'record')),
    subject_hmac bytea not null check (octet_length(subject_hmac) = 32),
    reason text not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, suppression_id),
    unique (tenant_id, kind, subject_hmac)
);
call pay_ready.protect_table('suppressions');
call pay_ready.describe_table('suppressions', 'Keyed digests of erased subjects: a re-import does not bring them back.', $$
    suppression_id internal UUIDv7.
    kind           internal email, phone or record.
    subject_hmac   secret   HMAC-SHA-256 of the normalised value.
    reason         internal Why.
    created_at     internal When the row was made.
$$);

reset role;
