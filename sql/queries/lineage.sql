-- What lineage tells of a run beside its steps.

-- name: quality
-- Results of the checks of a run.
-- params: run_id uuid
select check_name, subject, severity, passed, expected, measured
from pay_ready.quality_results
where tenant_id = %(tenant_id)s
  and run_id = %(run_id)s
order by check_name, subject, result_id;
