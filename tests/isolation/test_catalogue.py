"""The catalogue holds what the design says of every table: a table that forgets one of these never lands."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from .attacks import FRESH
from .catalogue import Column, Table
from .conftest import Filled, enter
from .rows import CHILDLESS

PRIVILEGED = {"pay_ready_owner", "pay_ready_app", "pay_ready_readonly_bi", "pay_ready_erasure"}
OWN = "(tenant_id = ( SELECT (current_setting('app.tenant_id'::text))::uuid AS current_setting))"
# JSON that is not ours has no schema_version: landed rows stay as the source wrote them (32 MiB, checked below).
FOREIGN_JSON = {("landed_records", "data")}
# What a column's name promises, and values that break the promise. The first pattern that fits decides. Run numbers that
# close or equal another are held by RANGES.
PROMISES: Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]] = (
    (r"confidence|.*_probability|.*_ratio", ("real", "double precision"), ("-0.001", "1.001", "NaN")),
    (r"severity", ("real", "double precision"), ("-0.001", "1.001", "NaN")),
    (r"sentiment", ("real", "double precision"), ("-1.001", "1.001")),
    (r"(run|change|outbox|commit)_(no|seq)|seq|version|token|lease_token", ("bigint", "integer"), ("-1",)),
    (
        r"(?!closed_|equals_).*_(count|bytes|no|seq)|attempts|failures|generation|value|trained_records|.*_records",
        ("bigint", "integer"),
        ("-2",),
    ),
    (r"emitted|landed|unchanged|superseded|deleted|quarantined|tombstoned|staged|unmapped|stage_quarantined", ("bigint",), ("-1",)),
    (r"start_s|end_s", ("double precision",), ("-0.1",)),
    (
        (
            r"status|entity_type|ingest_mode|role|side|direction|origin|level|verdict|actor_type|change|object_kind|credential|counter"
            r"|interaction_type|severity|state|kind"
        ),
        ("text",),
        ("No Such Word",),
    ),
    (r".*_(hash|hmac)|digest", ("bytea",), ("\\x00", "\\x" + "00" * 33)),
)
# Pairs of a beginning and an end: the end may not come first (True: nor coincide).
RANGES = (
    ("opened_run_no", "closed_run_no", True),
    ("range_start", "range_end", True),
    ("chunk_start", "chunk_end", True),
    ("window_start", "window_end", True),
    ("valid_from", "valid_to", True),
    ("created_at", "expires_at", True),
    ("acquired_at", "expires_at", True),
    ("occurred_at", "ended_at", False),
    ("start_s", "end_s", False),
    ("started_at", "finished_at", False),
    ("made_at", "superseded_at", False),
    ("quarantined_at", "closed_at", False),
    ("fired_at", "cleared_at", False),
    ("created_at", "revoked_at", False),
)
# The source's own opaque state message is text, not a word of ours; the kind of a source is the name of a mapping file.
NOT_WORDS = {("stream_states", "state")}
# Computed by a trigger whatever was sent.
COMPUTED = {("audit_events", column) for column in ("seq", "previous_hash", "event_hash")}


def test_every_column_says_what_it_holds(filled: Filled) -> None:
    """Each table and column has a comment; a column's opens with its data class, which masking, export and erasure read."""
    assert [name for name, table in filled.tables.items() if not table.comment] == []
    silent = [
        f"{table.name}.{column.name}" for table in filled.tables.values() for column in table.columns.values() if not column.data_class
    ]
    assert silent == []


def test_views_say_what_they_hold(administrator: psycopg.Connection[Any]) -> None:
    """Columns of views have a class as well."""
    rows = administrator.execute(
        "select c.relname || '.' || a.attname from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0"
        " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind in ('v', 'm')"
        " and coalesce(col_description(c.oid, a.attnum), '') !~ '^(public|internal|personal|secret): '"
    ).fetchall()
    assert rows == []


def test_personal_columns_are_classed_so(filled: Filled) -> None:
    """Names, addresses, phones, texts and raw payloads are personal wherever they appear, and keyed digests secret."""
    personal = re.compile(r"(full|first|last)_name|email(_normalized)?|body|spoken_text|chunk_text|record_key|raw|content|title|data")
    wrong = [
        f"{table.name}.{column.name}"
        for table in filled.tables.values()
        for column in table.columns.values()
        if (personal.fullmatch(column.name) and column.data_class not in ("personal", "secret"))
        or (re.fullmatch(r".*_hmac|envelope|.*secret.*", column.name) and column.data_class != "secret")
    ]  # fmt: skip
    assert wrong == []


def test_the_tenant_comes_first(filled: Filled) -> None:
    """tenant_id is NOT NULL, and first in every primary key, unique key, index and foreign key; foreign keys are composite.

    But for what cannot begin with it: lexemes carry the tenant themselves, and what is nearest has no first column.
    """
    findings = []
    for table in filled.tables.values():
        tenant = table.columns.get("tenant_id")
        if tenant is None or not tenant.not_null or tenant.type != "uuid":
            findings.append(f"{table.name}: no tenant_id uuid not null")
        findings += [
            f"{table.name}: index {index.name}" for index in table.indexes
            if index.columns[0] not in ("tenant_id", "lexemes", "embedding")
        ]  # fmt: skip
        for key in table.foreign_keys:
            whole = len(key.columns) > 1 or key.parent == "tenants"
            if (key.columns[0], key.parent_columns[0]) != ("tenant_id", "tenant_id") or not whole:
                findings.append(f"{table.name}: foreign key {key.name}")
            # A child that knows its source points with it, so that it never points into another source.
            parent = filled.tables[key.parent]
            if "source_id" in table.columns and "source_id" in parent.columns and "source_id" not in key.columns:
                findings.append(f"{table.name}: foreign key {key.name} leaves the source out")
    assert findings == []


def test_every_foreign_key_has_its_index(filled: Filled) -> None:
    """Deleting or erasing a parent looks children up by index: each key to a growing table is a prefix of some index.

    Keys to what is never deleted one by one are left out: versions (runs, models, batches) and ids, which live for ever.
    """
    lasting = {"resolution_runs", "resolution_models", "tenants", "sync_runs", "landing_batches", "entities"}
    findings = [
        f"{table.name}: {key.name}"
        for table in filled.tables.values()
        for key in table.foreign_keys
        if key.parent not in lasting
        # The source adds nothing to the selectivity of an id.
        and not any(set(key.columns) - {"source_id"} <= set(index.columns[: len(key.columns)]) for index in table.indexes)
    ]
    assert findings == []


def test_row_security_is_forced_with_one_policy(filled: Filled) -> None:
    """ENABLE and FORCE on every table and partition; one permissive policy for all commands, in the form that pgrls proves."""
    findings = []
    for table in filled.tables.values():
        if not (table.row_security and table.forced):
            findings.append(f"{table.name}: row security {table.row_security}, forced {table.forced}")
        policies = {policy.name: policy for policy in table.policies}
        isolation = policies.pop("tenant_isolation", None)
        if isolation is None or (isolation.command, isolation.using, isolation.with_check) != ("*", OWN, OWN):
            findings.append(f"{table.name}: {isolation}")
        elif set(isolation.roles) != PRIVILEGED:
            findings.append(f"{table.name}: policy for {isolation.roles}")
        if set(policies) - {"tenants": {"operator_lists"}, "memories": {"search_reads"}}.get(table.name, set()):
            findings.append(f"{table.name}: further policies {sorted(policies)}")
    assert findings == []


def test_the_schema_has_no_back_doors(administrator: psycopg.Connection[Any]) -> None:
    """Five SECURITY DEFINER functions: one analyzes and does nothing else, one makes months of log lines ahead (test_approval.py looks
    at those), three find passages of the transaction's tenant by words (test_search.py); each search_path pinned, nothing executable by
    PUBLIC, no enum types, no rules."""
    definers = administrator.execute(
        "select proname, pronargs, prorettype::regtype::text, proowner::regrole::text, prosrc from pg_proc"
        " where pronamespace = 'pay_ready'::regnamespace and prosecdef order by proname"
    ).fetchall()
    assert [row[:4] for row in definers] == [
        ("count_lexemes", 1, "record", "pay_ready_search"), ("keep_log_partitions", 1, "integer", "pay_ready_owner"),
        ("rank_lexemes", 9, "record", "pay_ready_search"), ("refresh_statistics", 0, "void", "pay_ready_owner"),
        ("search_lexemes", 7, "record", "pay_ready_search"),
    ]  # fmt: skip
    for reader in (definers[0], definers[2], definers[4]):
        assert "tenant_id = (select current_setting('app.tenant_id')::uuid)" in reader[4]
    assert re.fullmatch(r"\s*begin\s+analyze (pay_ready\.\w+,?\s*)+;\s*end\s*", definers[3][4])
    functions = administrator.execute(
        "select proname, coalesce(array_to_string(proconfig, ','), ''), coalesce(proacl::text, 'default') from pg_proc"
        " where pronamespace = 'pay_ready'::regnamespace"
    ).fetchall()
    assert functions
    for name, settings, rights in functions:
        assert re.search(r"search_path=.*pg_temp\"?$", settings), f"{name}: {settings}"
        public = rights == "default" or re.search(r"[{,]=X", rights)
        assert not public, f"{name}: {rights}"
    others = administrator.execute(
        "select typname from pg_type where typnamespace = 'pay_ready'::regnamespace and typtype in ('e', 'd', 'r')"
        " union all select rulename from pg_rules where schemaname = 'pay_ready' and rulename <> '_RETURN'"
    ).fetchall()
    assert others == []


def test_public_has_no_rights(administrator: psycopg.Connection[Any]) -> None:
    """Neither on the schema nor on any relation or column in it; no grant can be passed on, none to a login."""
    rows = administrator.execute(
        "select relname, acl.grantee::regrole::text, acl.privilege_type from pg_class as c, aclexplode(c.relacl) as acl"
        " where c.relnamespace = 'pay_ready'::regnamespace"
        " and (acl.grantee = 0 or acl.is_grantable and acl.grantee <> c.relowner"
        "      or (select rolcanlogin from pg_roles where oid = acl.grantee))"
        " union all select c.relname, acl.grantee::regrole::text, acl.privilege_type"
        " from pg_class as c join pg_attribute as a on a.attrelid = c.oid, aclexplode(a.attacl) as acl"
        " where c.relnamespace = 'pay_ready'::regnamespace and (acl.grantee = 0 or acl.is_grantable)"
        " union all select nspname, acl.grantee::regrole::text, acl.privilege_type from pg_namespace, aclexplode(nspacl) as acl"
        " where nspname = 'pay_ready' and (acl.grantee = 0 or acl.privilege_type = 'CREATE' and acl.grantee <> nspowner)"
    ).fetchall()
    assert rows == []


def test_the_app_has_no_more_rights_than_rows(administrator: psycopg.Connection[Any], filled: Filled) -> None:
    """Never TRUNCATE, REFERENCES or TRIGGER, never UPDATE of tenant_id; partitions nothing at all."""
    for table in filled.tables.values():
        name = f"pay_ready.{table.name}"
        row = administrator.execute(
            "select has_table_privilege('pay_ready_app', %(t)s, 'truncate, references, trigger'),"
            " has_column_privilege('pay_ready_app', %(t)s, 'tenant_id', 'update'),"
            " has_any_column_privilege('pay_ready_app', %(t)s, 'select, insert, update'),"
            " pg_get_userbyid(relowner) from pg_class where oid = %(t)s::regclass",
            {"t": name},
        ).fetchone()
        assert row == (False, False, not table.is_partition_of, "pay_ready_owner"), f"{name}: {row}"


def test_own_json_is_checked(attempts: "Attempts", filled: Filled) -> None:
    """Every JSON column of ours takes an object with its schema_version up to 1 MiB; anything else breaks its CHECK."""
    columns = [(table, column) for table in filled.open_tables for column in table.columns.values() if column.type in ("jsonb", "json")]
    assert all(column.type == "jsonb" for _, column in columns)
    ours = [(table, column) for table, column in columns if (table.name, column.name) not in FOREIGN_JSON]
    assert len(ours) >= 10
    too_long = '{"schema_version": 1, "x": "' + "x" * 1_048_576 + '"}'
    for table, column in ours:
        for value in ("[]", "1", "null", '"x"', '{"x": 1}', too_long):
            assert attempts.breaks(table, {column.name: value}), f"{table.name}.{column.name} takes {value[:40]}"


@pytest.mark.parametrize(("pattern", "types", "values"), PROMISES, ids=lambda part: part[:40] if isinstance(part, str) else "")
def test_words_and_ranges_are_checked(
    attempts: "Attempts", filled: Filled, pattern: str, types: tuple[str, ...], values: tuple[str, ...]
) -> None:
    """A column whose name promises a range or a list of words refuses a value outside, by a CHECK or a key to what has one."""
    tried = 0
    for table, column in columns_of_promise(filled, pattern, types):
        for value in values:
            tried += 1
            assert attempts.breaks(table, {column.name: value}), f"{table.name}.{column.name} takes {value}"
    assert tried or pattern.startswith("confidence"), f"no column is called {pattern}: the test would prove nothing"


def test_ends_follow_beginnings(attempts: "Attempts", filled: Filled) -> None:
    """Where a table has both, the end is not before the beginning."""
    values = {
        "timestamp with time zone": ("2030-01-02 00:00+00", "2030-01-01 00:00+00"),
        "double precision": ("2", "1"),
        "bigint": ("5", "4"),
    }
    tried = 0
    for table in filled.open_tables:
        for start, end, apart in RANGES:
            if start in table.columns and end in table.columns:
                later, earlier = values[table.columns[start].type]
                tried += 1
                assert attempts.breaks(table, {start: later, end: earlier}), f"{table.name}: {end} before {start}"
                assert not apart or attempts.breaks(table, {start: later, end: later}), f"{table.name}: {end} at {start}"
    assert tried >= 15


class Attempts:
    """Inserts of rows that are valid but for the values given."""

    def __init__(self, connection: psycopg.Connection[Any], filled: Filled) -> None:
        self._connection = connection
        self._filled = filled

    def breaks(self, table: Table, values: dict[str, str]) -> bool:
        """Whether a CHECK on no other columns, or else a foreign key (to a row that has the CHECK), refuses these values."""
        world, factory = self._filled.world, self._filled.factory
        row = {**factory.build(self._connection, table.name, world.first, FRESH, world.of(world.first, CHILDLESS)), **values}
        failing = factory.failing_checks(self._connection, table, row)
        if any(set(check.columns) <= set(values) for check in table.checks if check.name in failing):
            return True
        try:
            with self._connection.transaction(force_rollback=True):
                factory.insert(self._connection, table.name, row)
        except pg.ForeignKeyViolation:
            return True
        except pg.CheckViolation:
            pass  # another CHECK, about other columns as well
        return False


@pytest.fixture
def attempts(filled: Filled) -> Iterator[Attempts]:
    """Inserts as the app in the first tenant's transaction."""
    with psycopg.connect(filled.scratch.app_url) as connection, connection.transaction(force_rollback=True):
        enter(connection, filled.world.first)
        yield Attempts(connection, filled)


def columns_of_promise(filled: Filled, pattern: str, types: tuple[str, ...]) -> Iterator[tuple[Table, Column]]:
    """Columns whose first fitting promise is this one."""
    for table in filled.open_tables:
        for column in table.columns.values():
            first = next((one for one, kinds, _ in PROMISES if column.type in kinds and re.fullmatch(one, column.name)), None)
            if first == pattern and (table.name, column.name) not in NOT_WORDS | COMPUTED:
                yield table, column
