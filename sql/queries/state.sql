-- The state of a published version, as the sha256 of each of its canonical lines (`resolve/changes.py` writes the same lines).

-- name: line_digests
-- params: run_no bigint
select sha256(convert_to(
    'assignment ' || entity_type || ' ' || record_id || ' ' || entity_id || ' ' || to_char(confidence::numeric, 'FM0.0000') || E'\n', 'UTF8'
)) as digest
from pay_ready.assignments
where tenant_id = %(tenant_id)s
  and opened_run_no <= %(run_no)s
  and (closed_run_no is null or closed_run_no > %(run_no)s)
union all
select sha256(convert_to('version ' || entity_id || ' ' || encode(content_hash, 'hex') || E'\n', 'UTF8'))
from pay_ready.entity_versions
where tenant_id = %(tenant_id)s
  and opened_run_no <= %(run_no)s
  and (closed_run_no is null or closed_run_no > %(run_no)s)
union all
select sha256(convert_to(
    'decision ' || held.decision_id || ' ' || told.entity_type || ' ' || told.left_id || ' ' || told.right_id || ' ' || told.verdict || E'\n',
    'UTF8'
))
from pay_ready.run_decisions as held
join pay_ready.decisions as told on told.tenant_id = held.tenant_id and told.decision_id = held.decision_id
where held.tenant_id = %(tenant_id)s
  and held.opened_run_no <= %(run_no)s
  and (held.closed_run_no is null or held.closed_run_no > %(run_no)s);
