"""Rows that break their contract on purpose, so that the quarantine of the demo has something to show: each in the truth as `bad`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pay_ready.demo.export import Export, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flaw:
    """Which row of a stream is copied under a new id and spoiled, and how."""

    tenant: str
    source: str
    stream: str
    row: int  # the row that serves as pattern
    reason: str
    key: str  # field that holds the id
    new_id: str | int
    spoil: Callable[[Record], Record]


def _with_property(name: str, value: str | None) -> Callable[[Record], Record]:
    def spoil(row: Record) -> Record:
        properties = row["properties"]
        nested = {**properties, name: value} if isinstance(properties, Mapping) else properties
        return {**row, "properties": nested, f"properties_{name}": value}

    return spoil


def _with(**values: str | int | None) -> Callable[[Record], Record]:
    return lambda row: {**row, **values}


def _without(*names: str) -> Callable[[Record], Record]:
    return lambda row: {name: value for name, value in row.items() if name not in names}


_FLAWS = (
    _Flaw(
        tenant="acme-robotics", source="hubspot", stream="contacts", row=5, reason="broken e-mail", key="id", new_id="99001",
        spoil=_with_property("email", "marla.quinn@@brightforge"),
    ),
    _Flaw(
        tenant="acme-robotics", source="hubspot", stream="engagements_notes", row=3, reason="no timestamp", key="id", new_id="39900000001",
        spoil=_with_property("hs_timestamp", None),
    ),
    _Flaw(
        tenant="acme-robotics", source="hubspot", stream="engagements_meetings", row=4, reason="end before start", key="id",
        new_id="39900000002", spoil=_with_property("hs_meeting_end_time", "2025-01-01T08:00:00+00:00"),
    ),
    _Flaw(
        tenant="acme-robotics", source="gong", stream="calls", row=2, reason="end before start", key="id", new_id="7999999999999999001",
        spoil=_with(duration=-600),
    ),
    _Flaw(
        tenant="acme-robotics", source="salesforce", stream="Event", row=2, reason="end before start", key="Id",
        new_id="00U5g0000000bad1AAA", spoil=_with(EndDateTime="2025-01-01T08:00:00.000Z"),
    ),
    _Flaw(
        tenant="acme-robotics", source="salesforce", stream="Case", row=1, reason="no such date", key="Id", new_id="5005g0000000bad2AAA",
        spoil=_with(CreatedDate="2026-13-45T99:00:00.000Z"),
    ),
    _Flaw(
        tenant="acme-robotics", source="slack", stream="channel_messages", row=40, reason="time is not a number", key="ts",
        new_id="yesterday", spoil=_with(float_ts="yesterday"),
    ),
    _Flaw(
        tenant="northwind-health", source="hubspot", stream="engagements", row=6, reason="no timestamp", key="id", new_id=39900000003,
        spoil=_with(timestamp=None),
    ),
    _Flaw(
        tenant="northwind-health", source="hubspot", stream="contacts", row=3, reason="broken e-mail", key="id", new_id="99002",
        spoil=_with_property("email", "keine angabe"),
    ),
    _Flaw(
        tenant="northwind-health", source="salesforce", stream="Task", row=2, reason="no time at all", key="Id",
        new_id="00T9N0000000bad3AAA", spoil=_without("CreatedDate", "ActivityDate", "CompletedDateTime"),
    ),
)  # fmt: skip


def spoil_some_rows(tenant: str, export: Export) -> None:
    """Add the tenant's bad rows, each behind the row that it imitates."""
    for flaw in _FLAWS:
        if flaw.tenant == tenant:
            rows = export.rows[flaw.source, flaw.stream]
            rows.insert(flaw.row + 1, flaw.spoil({**rows[flaw.row], flaw.key: flaw.new_id}))
            export.identify(flaw.source, flaw.stream, str(flaw.new_id), "bad", flaw.reason)
