"""A small source for the tests of staging: its mapping, its landing (by the real one's functions), and a canonical dump."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg

from pay_ready.db import landing, leases
from pay_ready.db import sources as source_rows
from pay_ready.db.landing import Counts, Landing, LandingRow, Payload, StreamMove, StreamRows
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import RunId, SourceId, TenantId, new_id
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.language import load_mapping
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.sources.cursors import canonical

MAPPING = """
kind = "desk"
version = {version}
title = "Desk"

[streams.accounts]
reference = "account"
[streams.accounts.company]
id = "id"
name = "name"
domain = "site"
updated_at = "at"
attributes = {{ tier = "tier" }}

[streams.users]
reference = "user"
[streams.users.person]
id = "id"
full_name = {{ path = "name", required = {name_required} }}
email = "email"
title = "title"
updated_at = "at"
company = {{ id = {{ path = "account", reference = "account" }}, name = "account_name" }}

# The same people from another table, without ids of its rows.
[streams.people_export]
like = "users"

[streams.calls]
reference = "call"
[streams.calls.interaction]
type = "call"
id = "id"
precedence = 1
occurred_at = "at"
subject = "subject"
metadata = {{ room = "room" }}
[[streams.calls.interaction.participants]]
each = "who"
role = "attendee"
speaker = "speaker"
[streams.calls.interaction.participants.person]
id = {{ path = "user", reference = "user" }}
full_name = "name"
email = "email"
title = "title"
company = {{ name = "firm" }}
[[streams.calls.interaction.participants]]
each = "about"
role = "about"
company = {{ id = {{ path = "account", reference = "account" }}, name = "name" }}

[streams.transcripts]
reference = "call"
[streams.transcripts.interaction]
type = "call"
id = "call"
precedence = 2
occurred_at = {{ path = "at", required = false }}
[streams.transcripts.interaction.turns]
each = "turns"
speaker = "speaker"
text = "text"
start = {{ path = "start", type = "duration_s" }}
end = {{ path = "end", type = "duration_s" }}

[streams.rooms]
ignore = "rooms are named by their calls"
"""

CONTEXT = MappingContext(now=datetime(2026, 11, 1, tzinfo=UTC), free_mail=frozenset({"gmail.com"}))

STAGED_TABLES: Mapping[str, tuple[str, str]] = {
    # Left out: row times, runs, and the version that staged a row last.
    "company_records": ("staged_at, contract_version", "record_id"),
    "shadowed_company_records": ("contract_version", "record_id, stream, record_key"),
    "person_records": ("staged_at, contract_version", "record_id"),
    "shadowed_person_records": ("contract_version", "record_id, stream, record_key"),
    "interaction_records": ("created_at, updated_at, contract_version", "record_id"),
    "interaction_participants": ("", "record_id, participant_no"),
    "interaction_turns": ("", "record_id, turn_no"),
}


def desk_mapping(folder: Path, *, version: int = 1, name_required: bool = False) -> SourceMapping:
    """The mapping of the small source; `name_required` is what a later version of it asks."""
    path = folder / "desk.toml"
    path.write_text(MAPPING.format(version=version, name_required=str(name_required).lower()))
    return load_mapping(path)


@dataclass(frozen=True)
class Version:
    """One version of a record: None is its deletion."""

    stream: str
    key: str
    at: int  # place in the source's order
    data: Mapping[str, object] | None


@dataclass(frozen=True)
class Desk:
    """One tenant's small source."""

    database: Database
    tenant: TenantId
    source: SourceId

    def land(self, versions: Sequence[Version]) -> RunId:
        """Land these versions in one run and one batch a stream, as the landing step does; the last of a key counts."""
        run = RunId(new_id())
        with self.database.tenant_transaction(self.tenant) as tx:
            lease = leases.acquire(tx, f"source:{self.source}", leases.holder_name(run))
            here = Landing(source_id=self.source, run_id=run, lease=lease)
            landing.open_run(tx, here, "replay")
            streams = sorted({version.stream for version in versions})
            for stream in streams:
                landing.begin_stream(tx, here, stream, generation=0, pass_run=None, keep_state=True)
            landing.move_states(tx, here, [StreamMove(stream=stream) for stream in streams])
            brought = [self._rows(stream, versions) for stream in streams]
            counts = landing.land_rows(tx, here, [rows for rows, _ in brought], covered=True)
            folded = {rows.stream: Counts(emitted=fewer, superseded=fewer) for rows, fewer in brought}
            landing.add_counts(tx, here, {stream: counts.get(stream, Counts()) + folded[stream] for stream in streams})
            for stream in streams:
                landing.end_stream(tx, here, stream, status="complete")
            landing.close_run(tx, run, status="complete", report={"schema_version": 1}, error_class=None, error_text=None)
            leases.release(tx, lease)
            landing.number_batches(tx, here, streams)
        return run

    def _rows(self, stream: str, versions: Iterable[Version]) -> tuple[StreamRows, int]:
        mine = [version for version in versions if version.stream == stream]
        newest: dict[str, LandingRow] = {}
        for version in mine:
            row = landing_row(version)
            standing = newest.get(version.key)
            if standing is None or row.order > standing.order:
                newest[version.key] = row
        rows = StreamRows(stream=stream, generation=0, pass_run=None, rows=list(newest.values()))
        return rows, len(mine) - len(newest)

    def land_large(self, stream: str, key: str, content: bytes) -> RunId:
        """Land one record whose bytes no JSON column holds."""
        return self.land([Version(stream, key, 1, {"__payload__": content.decode("utf-8", "surrogateescape")})])


def landing_row(version: Version) -> LandingRow:
    """The version as landing would bring it."""
    content = canonical(version.data)
    payload = None
    if version.data is not None and "__payload__" in version.data:
        content = str(version.data["__payload__"]).encode("utf-8", "surrogateescape")
        payload = Payload(payload_id=uuid4(), content=content)
    return LandingRow(
        record_key=version.key.encode(),
        data=None if version.data is None or payload else content,
        content_hash=sha256(content).digest(),
        cursor_order=f"{version.at:012d}".encode(),
        emitted_us=version.at,
        deleted=version.data is None,
        payload=payload,
    )


def make_desk(database: Database, tenant: TenantId, name: str = "desk") -> Desk:
    """A source of the tenant."""
    with database.tenant_transaction(tenant) as tx:
        source = source_rows.add(
            tx, name=name, kind="desk", ingest_mode="replay", connector="replay", config=source_rows.SourceConfig(), actor="tests"
        )
    return Desk(database, tenant, source.source_id)


def dump(admin_url: str, tenant: TenantId) -> list[str]:
    """The staged tables and the open quarantine of a tenant, canonical: row by row in key order, without what differs by run."""
    lines: list[str] = []
    with psycopg.connect(admin_url) as connection:
        for table, (left_out, order) in STAGED_TABLES.items():
            names = [name.strip() for name in left_out.split(",") if name.strip()]
            rows = connection.execute(
                f"select (to_jsonb(t) - %s::text[])::text from pay_ready.{table} as t where tenant_id = %s order by {order}",
                (names, tenant),
            ).fetchall()
            lines.extend(f"{table} {row[0]}" for row in rows)
        rows = connection.execute(
            "select jsonb_build_array(quarantine_id, stream, record_key, reason, field, encode(raw, 'hex'))::text"
            " from pay_ready.quarantined_records where tenant_id = %s and status = 'open' order by quarantine_id",
            (tenant,),
        ).fetchall()
        lines.extend(f"quarantined_records {row[0]}" for row in rows)
    return lines
