"""Before a read: how the streams' shapes changed, and which of them the source's contract lets through."""

from dataclasses import dataclass, field, replace

from pay_ready.db import leases, schemas
from pay_ready.db.landing import Landing
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.land.drift import FieldChange, changes_between, fields_of, read_fields, stored_fields, taken_over
from pay_ready.sources.catalog import ConfiguredCatalog


@dataclass(slots=True, kw_only=True)
class JudgedSchemas:
    """What the contract says of a catalog."""

    catalog: ConfiguredCatalog  # without the streams that are frozen
    refused: dict[str, str] = field(default_factory=dict)  # by stream: why its rows go to quarantine
    frozen: list[str] = field(default_factory=list)  # streams left unread
    changes: dict[str, list[str]] = field(default_factory=dict)  # by stream: what was taken over
    notes: list[str] = field(default_factory=list)  # what was not


def judge_schemas(database: Database, tenant: TenantId, run: Landing, source: DataSource, catalog: ConfiguredCatalog) -> JudgedSchemas:
    """Compare the shape of each stream with its last one; what the contract allows is taken over at once.

    Raises:
        ConflictError: The lease was taken over.
    """
    judged = JudgedSchemas(catalog=catalog)
    contract = source.config.contract
    with database.tenant_transaction(tenant, work="batch") as tx:
        leases.guard(tx, run.lease)
        schemas.lock(tx, run.source_id)
        known = schemas.current(tx, run.source_id)
        for configured in catalog.streams:
            stream, after = str(configured.descriptor), fields_of(bytes(configured.stream.json_schema))
            if not after:
                continue  # a source that says nothing of its fields breaks no contract
            before = read_fields(known[stream]) if stream in known else None
            changes = [] if before is None else changes_between(before, after)
            broken = [change for change in changes if change.kind != "added"]
            if broken and contract != "evolve":
                _hold_back(judged, source, stream, broken)
                continue
            if changes:
                judged.changes[stream] = [str(change) for change in changes]
            shape = after if before is None else taken_over(before, after)
            if shape != before:
                schemas.replace(tx, run.source_id, stream, stored_fields(shape), run.run_id)
    left = tuple(each for each in catalog.streams if str(each.descriptor) not in judged.frozen)
    judged.catalog = replace(catalog, streams=left)
    return judged


def _hold_back(judged: JudgedSchemas, source: DataSource, stream: str, broken: list[FieldChange]) -> None:
    what = "; ".join(map(str, broken[:10])) + ("; …" if len(broken) > 10 else "")
    accept = f"pay-ready sources accept-schema {source.name} --stream {stream}"
    if source.config.contract == "freeze":
        judged.frozen.append(stream)
        judged.notes.append(f"{stream} was not read, its contract is frozen: {what} - accept it: {accept}")
    else:
        judged.refused[stream] = f"schema.{broken[0].kind}"
        judged.notes.append(
            f"{stream} went to quarantine: {what} - accept it: {accept}; then: pay-ready quarantine replay --stream {stream}"
        )
