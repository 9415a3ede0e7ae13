-- Two tenants with many rows, inserted by the app: what plans are recorded on. Beside what test_plans.py makes of interactions, entities,
-- edges and decisions. What stands in braces is put in by the test.
insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, full_name, email_normalized, phone,
                                      attributes, content_hash)
select {tenant}, md5('q' || n)::uuid, {source_id}, 'more:' || n, 'mentioned', 'Person ' || n, 'p' || n || '@customer.example',
       '+1202' || lpad(n::text, 7, '0'), '{{"schema_version": 1}}', sha256(n::text::bytea)
from generate_series(1, {count}) as n;
insert into pay_ready.company_records (tenant_id, record_id, source_id, record_reference, origin, name, domain, attributes, content_hash)
select {tenant}, md5('c' || n)::uuid, {source_id}, 'company:' || n, 'mentioned', 'Company ' || n, 'c' || n || '.example',
       '{{"schema_version": 1}}', sha256(n::text::bytea)
from generate_series(1, {count}) as n;
insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
select {tenant}, md5('e' || kind || n)::uuid, kind, md5(letter || n)::uuid, 1
from generate_series(1, {count}) as n, (values ('person', 'q'), ('company', 'c')) as kinds (kind, letter);
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select {tenant}, kind, md5(letter || n)::uuid, 1, md5('e' || kind || n)::uuid, 1
from generate_series(1, {count}) as n, (values ('person', 'q'), ('company', 'c')) as kinds (kind, letter);
insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
select {tenant}, 'person', md5('p' || n)::uuid, 1, md5('person' || n)::uuid, 1
from generate_series(1, {people}) as n;
insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, name, email, domain, company_entity_id,
                                       record_count, golden, provenance, content_hash)
select {tenant}, md5('e' || kind || n)::uuid, 1, kind, initcap(kind) || ' ' || n,
       case kind when 'person' then 'p' || n || '@customer.example' end, case kind when 'company' then 'c' || n || '.example' end,
       case kind when 'person' then md5('ecompany' || n % 1000 + 1)::uuid end, 1, '{{"schema_version": 1}}', '{{"schema_version": 1}}',
       sha256(n::text::bytea)
from generate_series(1, {count}) as n, (values ('person'), ('company')) as kinds (kind);
insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, name, record_count, golden, provenance, content_hash)
select {tenant}, md5(kind || n)::uuid, 1, kind, initcap(kind) || ' of ' || n, 1, '{{"schema_version": 1}}', '{{"schema_version": 1}}',
       sha256(n::text::bytea)
from generate_series(1, {people}) as n, (values ('person'), ('company')) as kinds (kind);
insert into pay_ready.entity_changes (tenant_id, change_seq, run_no, change, entity_type, entity_id, after_hash)
select {tenant}, n + 100, 1, 'created', 'person', md5('eperson' || n)::uuid, sha256(n::text::bytea)
from generate_series(1, {count}) as n;
insert into pay_ready.memories (tenant_id, memory_id, interaction_id, chunk_no, chunk_text, content_hash, occurred_at, source_id,
                                interaction_type, thread_id)
select {tenant}, md5('m' || n)::uuid, md5('i' || n)::uuid, 0, 'passage ' || n, sha256(n::text::bytea),
       '2026-01-01'::timestamptz + n * interval '10 minutes', {source_id}, 'call', 'thread ' || n % 500
from generate_series(1, {count}) as n;
insert into pay_ready.interaction_turns (tenant_id, record_id, turn_no, source_id, interaction_id, speaker_key, spoken_text)
select {tenant}, md5('r' || n)::uuid, 0, {source_id}, md5('i' || n)::uuid, 'a', 'words ' || n
from generate_series(1, {count}) as n;
insert into pay_ready.interaction_sentiment (tenant_id, interaction_id, sentiment, model_name, content_hash)
select {tenant}, md5('i' || n)::uuid, 0.5, 'shipped', sha256(n::text::bytea)
from generate_series(1, {count}) as n;
insert into pay_ready.memory_outbox (tenant_id, outbox_seq, change, object_kind, object_id)
select {tenant}, n + 100, 'upsert', 'interaction', md5('i' || n)
from generate_series(1, {count}) as n;
insert into pay_ready.record_blocks (tenant_id, record_id, entity_type, blocks)
select {tenant}, md5('q' || n)::uuid, 'person', decode(md5(n::text), 'hex')
from generate_series(1, {count}) as n;
insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at)
select {tenant}, md5('s' || n)::uuid, {source_id}, 'replay', 'complete', n, '2026-01-01'::timestamptz + n * interval '10 minutes',
       '2026-01-01'::timestamptz + n * interval '11 minutes'
from generate_series(1, {count}) as n;
insert into pay_ready.step_runs (tenant_id, step_run_id, run_id, step, status, started_at, finished_at)
select {tenant}, md5('t' || n)::uuid, md5('s' || n / 5)::uuid, 'sync', 'complete', '2026-01-01'::timestamptz + n * interval '10 minutes',
       '2026-01-01'::timestamptz + n * interval '11 minutes'
from generate_series(1, {count}) as n;
insert into pay_ready.quarantined_records (tenant_id, quarantine_id, source_id, stream, step, reason, contract_version, run_id, raw, status,
                                           quarantined_at, closed_at)
select {tenant}, md5('z' || n)::uuid, {source_id}, {stream}, 'stage', 'person.email', '1', md5('s' || n)::uuid, 'x',
       case when n % 50 = 0 then 'open' else 'dismissed' end, '2026-01-01'::timestamptz + n * interval '10 minutes',
       case when n % 50 <> 0 then '2026-06-01'::timestamptz + n * interval '10 minutes' end
from generate_series(1, {count}) as n;
insert into pay_ready.analytics_cache (tenant_id, metric_name, metric_value)
select {tenant}, 'metric ' || n, '{{"schema_version": 1}}'
from generate_series(1, {count}) as n;
insert into pay_ready.leases (tenant_id, lease, holder, token, acquired_at, expires_at)
select {tenant}, 'lease ' || n, 'host:1:run', n + 1000, now(), now() + interval '1 hour'
from generate_series(1, 20) as n
