"""The audit trail: what it keeps of a change, its export, and how a change of the trail itself is found, with and without the database."""

import csv
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pay_ready.cli import main
from pay_ready.db import audit as db_audit
from pay_ready.db import sources, tenants
from pay_ready.db.tenancy import Database
from pay_ready.errors import ConfigError, ConflictError, ContractError
from pay_ready.model.audit import AuditEvent, csv_cell, event_hash, from_csv_cell, read_chain
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.audit import Format, export_audit, stands_in_database, verify_database, verify_file
from pay_ready.secrets import Keyring, generate_key
from tests.conftest import Scratch
from tests.verify_support import breaches, verified

_TEXTS = (
    "plain",
    '=HYPERLINK("x")',
    "'quoted",
    "+1",
    "-1",
    "@cmd",
    "\ttab",
    "line\nbreak\r\nend",
    'a "b", c',
    "\u00e9\u4e16\U0001f600",
    "",
)


def write_events(database: Database, tenant: TenantId, reasons: tuple[str | None, ...] = (*_TEXTS, None)) -> None:
    """An event for each reason."""
    with database.tenant_transaction(tenant) as tx:
        for reason in reasons:
            tenants.audit(
                tx, actor="tests", action="thing.done", subject_kind="thing", subject_id="1", reason=reason, run_id=UUID(int=7),
                after_hash=bytes(32),
            )  # fmt: skip


def events_of(database: Database, tenant: TenantId) -> list[AuditEvent]:
    """The whole trail."""
    with database.tenant_transaction(tenant) as tx:
        return list(db_audit.stream(tx, first_seq=1))


def damage(scratch: Scratch, tenant: TenantId, statement: str) -> None:
    """As a superuser to whom triggers do not apply."""
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(statement, {"tenant": tenant})  # type: ignore[arg-type]


def exported(database: Database, tenant: TenantId, path: Path, form: Format = "jsonl", first_seq: int = 1) -> Path:
    """The trail as a file."""
    export_audit(database, tenant, path, form=form, first_seq=first_seq, overwrite=True, actor="tests")
    return path


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_is_read_back_whole(form: Format, database: Database, tenant: TenantId, tmp_path: Path) -> None:
    """Every event as it was, whatever its texts are; only its owner may read it; the export is the next event."""
    write_events(database, tenant)
    stood = events_of(database, tenant)
    path = exported(database, tenant, tmp_path / "trail", form)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    owner, reading = verify_file(path)
    assert (owner, reading.events, reading.last_hash, reading.fault) == (tenant, len(stood), stood[-1].event_hash, None)
    assert reading.is_from_the_start
    assert stands_in_database(database, tenant, reading) is None
    last = events_of(database, tenant)[-1]
    assert (last.action, last.subject_id, last.after_hash) == ("audit.exported", f"events 1 to {len(stood)}", stood[-1].event_hash)
    with pytest.raises(ConflictError, match="there already"):
        export_audit(database, tenant, path, form=form, first_seq=1, overwrite=False, actor="tests")
    with pytest.raises(ConfigError, match="cannot write"):
        exported(database, tenant, tmp_path / "nowhere" / "trail", form)
    assert [each.name for each in tmp_path.iterdir()] == ["trail"]


def test_no_cell_of_a_csv_is_a_formula(database: Database, tenant: TenantId, tmp_path: Path) -> None:
    """What a spreadsheet would run has an apostrophe before it; what is absent and what is empty stay two."""
    write_events(database, tenant)
    with exported(database, tenant, tmp_path / "trail.csv", "csv").open(encoding="utf-8", newline="") as handle:
        reasons = [row["reason"] for row in csv.DictReader(handle) if row["action"] == "thing.done"]
    assert all(not reason.startswith(("=", "+", "-", "@", "\t")) for reason in reasons)
    assert [from_csv_cell(reason) for reason in reasons] == [*_TEXTS, None]


@given(text=st.none() | st.text())
def test_a_cell_is_turned_back(text: str | None) -> None:
    """Any text, and none at all."""
    assert from_csv_cell(csv_cell(text)) == text
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


_EPOCH, _LONG = datetime.fromtimestamp(0, UTC).replace(tzinfo=None), timedelta(days=25_000)
_ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    actor=_ANY, subject=_ANY, reason=st.none() | _ANY, run=st.none() | st.uuids(), before=st.none() | st.binary(min_size=32, max_size=32),
    moment=st.datetimes(min_value=_EPOCH - _LONG, max_value=_EPOCH + 3 * _LONG, timezones=st.just(UTC)),
)  # fmt: skip
def test_python_and_the_trigger_agree(
    actor: str, subject: str, reason: str | None, run: UUID | None, before: bytes | None, moment: datetime, scratch: Scratch,
    tenant: TenantId, database: Database,
) -> None:  # fmt: skip
    """The hash of any event, of any text and at any time, is the same on both sides."""
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "insert into pay_ready.audit_events (tenant_id, seq, occurred_at, actor, action, subject_kind, subject_id, reason, run_id,"
            " before_hash, event_hash) values (%s, 1, %s, %s, 'thing.done', 'thing', %s, %s, %s, %s, sha256(''))",
            (tenant, moment, actor, subject, reason, run, before),
        )
    with database.tenant_transaction(tenant) as tx:
        (event,) = db_audit.events(tx, db_audit.AuditFilter(), most=1)
    assert (event.actor, event.reason, event.occurred_at) == (actor, reason, moment)
    assert event_hash(tenant, event) == event.event_hash


_SECOND = "where tenant_id = %(tenant)s and seq = 2"
_INSERTED = (
    "insert into pay_ready.audit_events select tenant_id, (select max(seq) + 1 from pay_ready.audit_events where tenant_id = %(tenant)s),"
    " occurred_at, actor, action, subject_kind, subject_id, reason, run_id, before_hash, after_hash, previous_hash, event_hash"
    f" from pay_ready.audit_events {_SECOND}"
)


@pytest.mark.parametrize(
    ("statement", "fault", "seq"),
    [
        (f"update pay_ready.audit_events set reason = 'another' {_SECOND}", "changed", 2),
        (f"update pay_ready.audit_events set occurred_at = occurred_at + interval '1 microsecond' {_SECOND}", "changed", 2),
        (f"update pay_ready.audit_events set before_hash = after_hash, after_hash = null {_SECOND}", "changed", 2),
        (f"delete from pay_ready.audit_events {_SECOND}", "missing", 2),
        (_INSERTED, "changed", 14),
    ],
    ids=["changed text", "changed time", "changed hashes", "deleted", "inserted"],
)
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_tampering_is_found_by_both(
    statement: str, fault: str, seq: int, form: Format, database: Database, scratch: Scratch, tenant: TenantId, tmp_path: Path
) -> None:
    """In the database, by `verify`, and in an export made after it."""
    write_events(database, tenant)
    assert verify_database(database, tenant, most=5).wrong == 0
    damage(scratch, tenant, statement)
    found = verify_database(database, tenant, most=5)
    assert found.offenders[0] == f"event {seq + (fault == 'missing')}"
    assert "audit" in breaches(verified(database, tenant, only=["audit"]))
    _, reading = verify_file(exported(database, tenant, tmp_path / "trail", form))
    assert reading.fault is not None
    assert (reading.fault.fault, reading.fault.seq) == (fault, seq)


def test_a_copy_tells_what_the_database_forgot(database: Database, scratch: Scratch, tenant: TenantId, tmp_path: Path) -> None:
    """A trail whose end was cut, or that was hashed anew from its beginning, is whole in itself: an older export says otherwise."""
    write_events(database, tenant)
    _, reading = verify_file(exported(database, tenant, tmp_path / "trail"))
    damage(scratch, tenant, "delete from pay_ready.audit_events where tenant_id = %(tenant)s and seq >= 13")
    assert verify_database(database, tenant, most=5).wrong == 0
    cut = stands_in_database(database, tenant, reading)
    assert cut is not None
    assert (cut.fault, cut.seq) == ("missing", 13)
    write_events(database, tenant)
    anew = stands_in_database(database, tenant, reading)
    assert anew is not None
    assert (anew.fault, anew.seq) == ("changed", 13)


def test_lines_that_are_no_trail(database: Database, tenant: TenantId, new_tenant: Callable[[str], TenantId], tmp_path: Path) -> None:
    """Lines in another order, a second tenant's, and what is no event, each named; from a later event on is no fault."""
    write_events(database, tenant)
    path = exported(database, tenant, tmp_path / "trail")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    fault = verify_file(path)[1].fault
    assert fault is not None
    assert (fault.fault, fault.seq) == ("missing", 2)
    path.write_text("".join([*lines, lines[-1]]))
    fault = verify_file(path)[1].fault
    assert fault is not None
    assert fault.fault == "reordered"
    forged = json.loads(lines[1]) | {"previous_hash": "ab" * 32}
    path.write_text(lines[0] + json.dumps(forged) + "\n")
    assert verify_file(path)[1].fault is not None
    other = exported(database, new_tenant("other"), tmp_path / "other").read_text()
    path.write_text(lines[0] + other)
    with pytest.raises(ContractError, match=r"second tenant.*line=2"):
        verify_file(path)
    for wrong in (lines[0] + "{}\n", lines[0] + "nonsense\n", "a,b\n1,2\n"):
        path.write_text(wrong)
        with pytest.raises(ContractError, match=r"no audit event.*line=2"):
            verify_file(path)
    later = verify_file(exported(database, tenant, tmp_path / "later", first_seq=5))[1]
    assert (later.first_seq, later.fault, later.is_from_the_start) == (5, None, False)
    path.write_text("")
    assert verify_file(path) == (None, read_chain(UUID(int=0), ()))
    with pytest.raises(ConfigError, match="cannot read"):
        verify_file(tmp_path / "absent")


def test_a_link_that_was_hashed_anew_is_broken(database: Database, tenant: TenantId) -> None:
    """Whoever changes an event and its hash breaks the next one's link; a first event follows nothing."""
    write_events(database, tenant)
    first, second, third, *_ = events_of(database, tenant)
    forged = replace(second, actor="nobody")
    forged = replace(forged, event_hash=event_hash(tenant, forged))
    fault = read_chain(tenant, [first, forged, third]).fault
    assert fault is not None
    assert (fault.fault, fault.seq) == ("broken link", 3)
    headless = replace(first, previous_hash=bytes(32))
    fault = read_chain(tenant, [replace(headless, event_hash=event_hash(tenant, headless))]).fault
    assert fault is not None
    assert fault.fault == "broken link"


def test_what_changed_is_kept_as_hashes_that_chain(database: Database, tenant: TenantId) -> None:
    """Settings, suspension and sources: what stood after one change stood before the next, and the values are nowhere."""
    key = generate_key()
    keyring = Keyring.from_text(key)
    with database.tenant_transaction(tenant) as tx:
        tenants.change_settings(tx, {"schema_version": 1, "staging": {"phone_region": "DE"}}, actor="tests", reason="moved")
        tenants.set_suspended(tx, True, actor="tests", reason="unpaid")
        tenants.set_suspended(tx, False, actor="tests", reason=None)
        config = sources.check_config({"settings": {"path": "here"}})
        source = sources.add(tx, name="crm", kind="hubspot", ingest_mode="replay", connector="replay", config=config, actor="tests")
        sources.change_config(tx, source, sources.check_config({"settings": {"path": "there"}}), actor="tests")
        source = sources.require(tx, "crm")
        sources.set_status(tx, source, "paused", actor="tests")
        sources.set_status(tx, sources.require(tx, "crm"), "removed", actor="tests")
        sources.add(tx, name="crm", kind="hubspot", ingest_mode="replay", connector="replay", config=config, actor="tests")
        sources.put_credential(tx, source.source_id, "config", b"{}", keyring)
        older, newer = key, generate_key()
        assert sources.rotate_credentials(tx, Keyring.from_text(f"{newer},{older}"), actor="tests") == 1
    trail = events_of(database, tenant)
    for kind in ("tenant", "data_source"):
        chained = [each for each in trail if each.subject_kind == kind and each.action != "credentials.rotated"]
        assert len(chained) >= 4
        assert chained[0].before_hash is None
        assert all(later.before_hash == earlier.after_hash is not None for earlier, later in pairwise(chained))
    (rotated,) = (each for each in trail if each.action == "credentials.rotated")
    assert None not in (rotated.before_hash, rotated.after_hash)
    assert rotated.before_hash != rotated.after_hash
    suspended, resumed = (each for each in trail if each.action in ("tenant.suspended", "tenant.resumed"))
    assert suspended.before_hash == resumed.after_hash != suspended.after_hash


def test_the_commands(
    database: Database, scratch: Scratch, tenant: TenantId, new_tenant: Callable[[str], TenantId], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    """List by each filter, export, verify both ways; nothing of another tenant; what is wrong ends with 7, what is mistyped with 2."""
    monkeypatch.setenv("PAY_READY_DATABASE_URL", scratch.app_url)
    new_tenant("other")
    write_events(database, tenant, ("one", "two"))

    def command(*words: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["pay-ready", "audit", *words])
        with pytest.raises(SystemExit) as end:
            main.main()
        told = capsys.readouterr()
        assert (end.value.code or 0) == code, told
        return told.err if code else told.out

    def listed(*words: str) -> list[str]:
        return [each["action"] for each in json.loads(command("list", "-t", "acme", "--json", *words))["data"]]

    assert listed() == ["thing.done", "thing.done", "tenant.created"]
    assert listed("--action", "tenant") == ["tenant.created"]
    assert listed("--actor", "nobody") == []
    assert listed("--since", "2999-01-01") == []
    assert listed("--run", str(UUID(int=7)), "--limit", "1") == ["thing.done"]
    assert listed("--subject", str(tenant)) == ["tenant.created"]
    assert "tenant.created" in command("list", "-t", "acme")
    path = tmp_path / "trail.jsonl"
    assert "3 events written" in command("export", "-t", "acme", "--to", str(path))
    assert "there already" in command("export", "-t", "acme", "--to", str(path), code=6)
    assert "not a format" in command("export", "-t", "acme", "--to", str(path), "--format", "xml", code=2)
    assert "3 events, from the first on: the trail is whole" in command("verify", "--file", str(path))
    assert "still has event 3" in command("verify", "--file", str(path), "-t", "acme")
    assert "another tenant's" in command("verify", "--file", str(path), "-t", "other", code=2)
    assert "4 events of acme: the trail is whole" in command("verify", "-t", "acme")
    assert "verify what?" in command("verify", code=2)
    assert "no such tenant" in command("verify", "-t", "nobody", code=4)
    assert "not a day" in command("list", "-t", "acme", "--since", "yesterday", code=2)
    damage(scratch, tenant, f"update pay_ready.audit_events set actor = 'x' {_SECOND}")
    assert "first=event 2" in command("verify", "-t", "acme", code=7)
    path.write_text(path.read_text().replace('"one"', '"won"'))
    assert "event 2 is not what its hash says" in command("verify", "--file", str(path), code=7)
    assert json.loads(path.read_text().splitlines()[0])["actor"] == "tests"
