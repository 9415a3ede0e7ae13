"""Daily series whose truth is known: stable ones with everything that looks like a shift and is none, and shifted ones."""

from datetime import UTC, datetime
from typing import Any, LiteralString

import numpy as np
import psycopg

from pay_ready.model.ids import TenantId
from pay_ready.pipeline.drift.shift import QUANTILES, Form, Series

BASELINE, CURRENT = 90, 14
LONGEST_HOLIDAY = 7  # days
FORMS: tuple[Form, ...] = ("count", "rate", "value")
Random = np.random.Generator


def simulated(random: Random, form: Form, *, shift_sd: float = 0.0, holidays: bool = True, per_day: float | None = None) -> Series:
    """A series of 104 days.

    Args:
        random: Where chance comes from.
        form: Of the figure.
        shift_sd: How far the current days are moved, in standard deviations: of a day of a count or rate, of an observation of a value.
        holidays: With a week on which hardly anybody works, now and then; late data, seasons and a huge outlier there are in any case.
        per_day: Observations on a working day; None: 8 to 60, a hundred and more in the current days.
    """
    days, alike = BASELINE + CURRENT, random.uniform(0, 0.5)
    first = int(random.integers(7))
    weekend = (first + np.arange(days)) % 7 >= 5
    level = per_day or float(np.exp(random.uniform(np.log(11), np.log(60))))
    means = level * np.where(weekend, random.choice([0.0, 0.3, 1.0]), 1.0)
    means = means * np.exp(_alike(random, days, alike) * random.uniform(0, 0.2))
    is_current = np.arange(days) >= BASELINE
    if form == "count":
        return _counts(random, means, is_current, first, shift_sd, holidays=holidays)
    counts = random.poisson(_with_holiday(random, means, p=0.2 if holidays else 0.0))
    effects = _alike(random, days, alike)
    if form == "rate":
        return _rates(random, counts, is_current, first, shift_sd, effects)
    return _values(random, counts, is_current, first, shift_sd, effects)


def _counts(random: Random, means: np.ndarray, is_current: np.ndarray, first: int, shift_sd: float, *, holidays: bool) -> Series:
    busy = means[means > 0.5 * means.max()]
    sd = np.sqrt(busy.mean() + busy.var())
    moved = means * np.where(is_current, 1 + shift_sd * sd / busy.mean(), 1.0)
    if shift_sd < 0:
        moved = np.maximum(moved, 0.0)
    counts = random.poisson(_with_holiday(random, moved, p=0.2 if holidays else 0.0)).astype(float)
    if random.random() < 0.3:  # late data
        counts[-1] = np.floor(counts[-1] * random.uniform(0, 0.6))
        counts[-2] = np.floor(counts[-2] * random.uniform(0.5, 1))
    if random.random() < 0.3:
        counts[random.integers(len(counts))] += 50 * means.max()
    old, new = counts[:BASELINE], counts[BASELINE:]
    return Series(
        form="count", baseline=old, current=new, first_weekday=first, baseline_count=int(old.sum()), current_count=int(new.sum())
    )  # fmt: skip


def _rates(random: Random, counts: np.ndarray, is_current: np.ndarray, first: int, shift_sd: float, effects: np.ndarray) -> Series:
    # A share that is next to nothing cannot fall.
    usual = float(random.choice([0.0, 0.005, 0.05, 0.4, 0.9] if shift_sd >= 0 else [0.4, 0.9]))
    if shift_sd > 0:
        usual = min(usual, 0.4)
    spread = 0.1 * usual * (1 - usual)
    sd = np.sqrt(spread**2 + max(usual * (1 - usual), 0.005) / max(counts[counts > 0].mean(), 1.0))
    shares = np.clip(usual + spread * effects + np.where(is_current, shift_sd * sd, 0.0), 0, 1)
    hits = random.binomial(counts, shares)
    if random.random() < 0.3:  # a day of which nothing or everything counts
        day = int(random.integers(len(counts)))
        hits[day] = counts[day] if usual < 0.5 else 0
    daily = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
    weights = counts.astype(float)
    return Series(
        form="rate", baseline=daily[:BASELINE], current=daily[BASELINE:], first_weekday=first,
        weights=(weights[:BASELINE], weights[BASELINE:]),
        baseline_count=int(counts[:BASELINE].sum()), current_count=int(counts[BASELINE:].sum()),
    )  # fmt: skip


def _values(random: Random, counts: np.ndarray, is_current: np.ndarray, first: int, shift_sd: float, effects: np.ndarray) -> Series:
    kind = random.choice(["normal", "tailed", "zeros"])
    day_of = np.repeat(np.arange(len(counts)), counts)
    noise = random.standard_normal(len(day_of)) if kind != "tailed" else random.standard_t(4, len(day_of)) / np.sqrt(2)
    values = 0.3 * effects[day_of] + np.sqrt(1 - 0.09) * noise
    if kind == "zeros":
        values = np.where(random.random(len(values)) < 0.3, 0.0, values)
    values = values + shift_sd * is_current[day_of]
    if random.random() < 0.3:
        values[random.integers(len(values))] += 1e6
    daily = np.array([np.median(day) if len(day) else np.nan for day in np.split(values, np.cumsum(counts)[:-1])])
    now = is_current[day_of]
    return Series(
        form="value", baseline=daily[:BASELINE], current=daily[BASELINE:], first_weekday=first, floor=0.05,
        before=tuple(np.quantile(values[~now], QUANTILES)), after=tuple(np.quantile(values[now], QUANTILES)),
        baseline_count=int((~now).sum()), current_count=int(now.sum()),
    )  # fmt: skip


def _alike(random: Random, days: int, alike: float) -> np.ndarray:
    """Standard normal days, each like the one before it by so much."""
    found = random.standard_normal(days)
    for day in range(1, days):
        found[day] = alike * found[day - 1] + np.sqrt(1 - alike**2) * found[day]
    return found


def _with_holiday(random: Random, means: np.ndarray, p: float) -> np.ndarray:
    """The means with three to seven days in a row on which hardly anybody works, now and then."""
    if random.random() >= p:
        return means
    length = int(random.integers(3, LONGEST_HOLIDAY + 1))
    start = int(random.integers(BASELINE, len(means) - length + 1))
    rested = means.copy()
    rested[start : start + length] *= random.uniform(0, 0.4)
    return rested


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
# Interaction n is on one of 104 days up to NOW, of account n modulo `accounts`; in turn an inbound and an outbound message of one thread.
# Every fifth is a call with two speakers. Every account has five people a day and a source syncs each day, one record in a hundred broken.
_FILL: LiteralString = """
    insert into pay_ready.data_sources (tenant_id, source_id, name, kind, ingest_mode, connector, config)
    values (%(tenant)s, pg_temp.id('source'), 'crm', 'hubspot', 'replay', 'replay', '{"schema_version": 1}');
    insert into pay_ready.resolution_runs (tenant_id, run_no, run_id, kind, actor, config_hash, report)
    values (%(tenant)s, 1, pg_temp.id('run'), 'resolve', 'tests', sha256(''), '{"schema_version": 2}');
    insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
    select %(tenant)s, pg_temp.id('account' || n), 'company', pg_temp.id('anchor' || n), 1 from generate_series(0, %(accounts)s - 1) as n;
    insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, name, record_count, golden, provenance,
                                           content_hash)
    select %(tenant)s, pg_temp.id('account' || n), 1, 'company', 'Account ' || n, 1, '{"schema_version": 1}',
           '{"schema_version": 1}', sha256('')
    from generate_series(0, %(accounts)s - 1) as n;
    insert into pay_ready.interaction_records (tenant_id, record_id, source_id, stream, record_key, interaction_id, is_primary,
                                               interaction_type, external_id, occurred_at, direction, thread_id, metadata, content_hash,
                                               contract_version)
    select %(tenant)s, pg_temp.id('i' || n), pg_temp.id('source'), 'messages', n::text, pg_temp.id('i' || n), true,
           case when n %% 5 = 0 then 'call' else 'email' end, n::text,
           date_trunc('day', %(now)s::timestamptz, 'UTC') - interval '104 days' + (place * 104.0 / %(interactions)s) * interval '1 day'
               + (n / %(accounts)s %% 2) * interval '20 minutes',
           case n / %(accounts)s %% 2 when 0 then 'inbound' else 'outbound' end, 't' || n %% %(accounts)s, '{"schema_version": 1}',
           sha256(n::text::bytea), '1'
    from generate_series(0, %(interactions)s - 1) as n
    cross join lateral (select n / (2 * %(accounts)s) * 2 * %(accounts)s + n %% %(accounts)s as place) as times;
    insert into pay_ready.interaction_entities (tenant_id, interaction_id, entity_id, opened_run_no, entity_type, is_primary, occurred_at)
    select %(tenant)s, pg_temp.id('i' || n), pg_temp.id('account' || n %% %(accounts)s), 1, 'company', true, %(now)s
    from generate_series(0, %(interactions)s - 1) as n;
    insert into pay_ready.interaction_sentiment (tenant_id, interaction_id, sentiment, model_name, content_hash)
    select %(tenant)s, pg_temp.id('i' || n), sin(n * 12.9898) * 0.2, 'tests', sha256('')
    from generate_series(0, %(interactions)s - 1) as n;
    insert into pay_ready.interaction_participants (tenant_id, record_id, participant_no, source_id, interaction_id, role, person_record_id,
                                                    speaker_key, side, seen_at)
    select tenant_id, record_id, no, source_id, interaction_id, 'attendee', pg_temp.id('p0/0'), 's' || no,
           case no when 0 then 'internal' else 'external' end, occurred_at
    from pay_ready.interaction_records cross join generate_series(0, 1) as no
    where tenant_id = %(tenant)s and interaction_type = 'call';
    insert into pay_ready.interaction_turns (tenant_id, record_id, turn_no, source_id, interaction_id, speaker_key, start_s, end_s,
                                             spoken_text)
    select tenant_id, record_id, no, source_id, interaction_id, 's' || no %% 2, no * 10, no * 10 + 3 + no %% 3, 'words'
    from pay_ready.interaction_records cross join generate_series(0, 3) as no
    where tenant_id = %(tenant)s and interaction_type = 'call';
    insert into pay_ready.landed_records (tenant_id, source_id, stream, record_key, data, content_hash, generation, cursor_order,
                                          emitted_at, batch_id, first_landed_at)
    select %(tenant)s, pg_temp.id('source'), 'contacts', day || '/' || n, '{}', sha256(''), 0, '', now(), pg_temp.id('batch'),
           date_trunc('day', %(now)s::timestamptz, 'UTC') - (105 - day) * interval '1 day' + interval '3 hours'
    from generate_series(1, 104) as day cross join generate_series(0, least(5 * %(accounts)s, 400) - 1) as n;
    insert into pay_ready.person_records (tenant_id, record_id, source_id, record_reference, origin, stream, record_key, attributes,
                                          content_hash)
    select tenant_id, pg_temp.id('p' || record_key), source_id, 'id:' || record_key, 'listed', stream, record_key, '{"schema_version": 1}',
           content_hash
    from pay_ready.landed_records where tenant_id = %(tenant)s and stream = 'contacts';
    insert into pay_ready.entities (tenant_id, entity_id, entity_type, anchor_record_id, minted_run_no)
    select tenant_id, pg_temp.id('e' || record_key), 'person', record_id, 1 from pay_ready.person_records where tenant_id = %(tenant)s;
    insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, entity_id, confidence)
    select tenant_id, 'person', record_id, 1, pg_temp.id('e' || record_key), 1 from pay_ready.person_records where tenant_id = %(tenant)s;
    insert into pay_ready.entity_versions (tenant_id, entity_id, opened_run_no, entity_type, company_entity_id, record_count, golden,
                                           provenance, content_hash)
    select tenant_id, pg_temp.id('e' || record_key), 1, 'person',
           pg_temp.id('account' || split_part(record_key, '/', 2)::int %% %(accounts)s),
           1 + (split_part(record_key, '/', 2)::int / %(accounts)s + split_part(record_key, '/', 1)::int) %% 2,
           '{"schema_version": 1}', '{"schema_version": 1}', sha256('')
    from pay_ready.person_records where tenant_id = %(tenant)s;
    insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at)
    select %(tenant)s, pg_temp.id('sync' || day), pg_temp.id('source'), 'replay', 'complete', 1,
           date_trunc('day', %(now)s::timestamptz, 'UTC') - (105 - day) * interval '1 day' + interval '3 hours', %(now)s
    from generate_series(1, 104) as day;
    insert into pay_ready.stream_runs (tenant_id, run_id, source_id, stream, status, emitted, landed, staged, stage_quarantined)
    select %(tenant)s, pg_temp.id('sync' || day), pg_temp.id('source'), 'contacts', 'complete', 500, 500, 495, 5
    from generate_series(1, 104) as day;
"""


def fill_drift(admin: psycopg.Connection[Any], tenant: TenantId, *, accounts: int, interactions: int, now: datetime = NOW) -> datetime:
    """A tenant whose figures have stood still for 104 days, made by SQL; the moment to look at it."""
    admin.execute(
        "create or replace function pg_temp.id(name text) returns uuid language sql immutable as $$ select md5($1 || %s)::uuid $$".replace(
            "%s", f"'{tenant}'"
        )
    )  # type: ignore[arg-type]
    with admin.transaction():
        admin.execute("set local session_replication_role = replica")
        for statement in _FILL.split(";\n"):
            if statement.strip():
                admin.execute(statement, {"tenant": tenant, "accounts": accounts, "interactions": interactions, "now": now})
    admin.execute("analyze")
    return now
