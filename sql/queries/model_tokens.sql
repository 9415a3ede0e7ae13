-- Tokens of a language model by day.

-- name: reserve
-- Takes them where the day's budget still has them; else no row.
-- params: day date, tokens bigint, most bigint
insert into pay_ready.model_tokens as standing (tenant_id, day, tokens)
select %(tenant_id)s, %(day)s, %(tokens)s
where %(tokens)s <= %(most)s
on conflict (tenant_id, day) do update
set tokens = standing.tokens + excluded.tokens
where standing.tokens + excluded.tokens <= %(most)s
returning tokens;

-- name: settle
-- params: day date, difference bigint
update pay_ready.model_tokens
set tokens = greatest(tokens + %(difference)s, 0)
where tenant_id = %(tenant_id)s
  and day = %(day)s;
