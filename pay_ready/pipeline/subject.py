"""One person as a subject of rights: which records are theirs, all that is held of them, and what must not come back."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID

from pay_ready.db import erasure, sources, tenants
from pay_ready.db.erasure import Place, SuppressionGroup
from pay_ready.db.sources import DataSource
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import ConfigError, NotFoundError, UsageError
from pay_ready.model.ids import TenantId, new_id
from pay_ready.pipeline.land.suppress import DISTINCT_ID, Kind, Suppressor, digest_of
from pay_ready.pipeline.mapping.kinds import MappingContext
from pay_ready.pipeline.mapping.rules import SourceMapping
from pay_ready.resolve.normalize import parse_email, parse_phone
from pay_ready.secrets import Keyring

SubjectKind = Literal["email", "phone", "record", "entity"]
_KINDS = ("email", "phone", "record", "entity")
_HOW = "write email:ANN@X.COM, phone:+12065550100, record:ID or entity:ID"
EXPORT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom somebody means. The value never reaches a log or an error."""

    kind: SubjectKind
    value: str = field(repr=False)  # address normalised, number E.164, or an id

    @property
    def digested(self) -> tuple[Kind, str]:
        """Kind and text of the digest that stands for it in suppressions."""
        if self.kind in ("email", "phone"):
            return cast("Kind", self.kind), self.value
        return "record", f"{self.kind}\n{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The records of a subject.

    `carrying` carry what was given; `further` belong to the same published people and do not; `entities` are those people.
    """

    carrying: frozenset[UUID]
    further: frozenset[UUID]
    entities: tuple[UUID, ...]

    @property
    def records(self) -> list[UUID]:
        """All of them."""
        return sorted(self.carrying | self.further)


def read_subject(text: str, region: str) -> Subject:
    """The subject that a text names.

    Args:
        text: "kind:value".
        region: Of phone numbers without a country code.

    Raises:
        UsageError: It names none; does not repeat what was given.
    """
    kind, _, value = text.partition(":")
    value = value.strip()
    if kind not in _KINDS or not value:
        raise UsageError("not a subject", _HOW)
    if kind == "email":
        address = parse_email(value, validate=False)
        if address is None or "@" not in address.normalized:
            raise UsageError("not an e-mail address", _HOW)
        strict = parse_email(value)
        return Subject(kind="email", value=(strict or address).normalized)
    if kind == "phone":
        number = parse_phone(value, region)
        if number is None:
            raise UsageError("not a phone number", "write it with its country code: phone:+12065550100")
        return Subject(kind="phone", value=number.e164)
    try:
        return Subject(kind=cast("SubjectKind", kind), value=str(UUID(value)))
    except ValueError:
        raise UsageError("not an id", "copy one from: pay-ready people NAME", kind=kind) from None


def find(tx: TenantTransaction, subject: Subject, *, records_only: bool = False) -> Held:
    """The records of a subject, and those of the same published people.

    Raises:
        NotFoundError: An id that was never given here.
    """
    carrying = frozenset(_carrying(tx, subject))
    people = {row.entity_id for row in tx.rows("erasure.entities_of", {"record_ids": list(carrying)})}
    if subject.kind == "entity" and carrying:
        people |= {_entity(tx, subject)}
    members = tx.rows("erasure.members", {"entity_ids": list(people)})
    further = frozenset() if records_only else frozenset(row.record_id for row in members) - carrying
    return Held(carrying=carrying, further=further, entities=tuple(sorted(people)))


def _carrying(tx: TenantTransaction, subject: Subject) -> Iterable[UUID]:
    if subject.kind == "email":
        return [row.record_id for row in tx.rows("erasure.find_people", {"emails": [subject.value], "phones": []})]
    if subject.kind == "phone":
        return [row.record_id for row in tx.rows("erasure.find_people", {"emails": [], "phones": [subject.value]})]
    if subject.kind == "record":
        record = UUID(subject.value)
        return [record] if tx.value("erasure.is_person_record", {"record_id": record}) else []
    return [row.record_id for row in tx.rows("erasure.members", {"entity_ids": [_entity(tx, subject)]})]


def _entity(tx: TenantTransaction, subject: Subject) -> UUID:
    current = tx.row("entities.current_id", {"entity_id": UUID(subject.value)})
    if current is None:
        raise NotFoundError("no such person", "copy an id from: pay-ready people NAME", tenant=tx.tenant)
    return UUID(str(current.entity_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a subject's records say: by this they are known in the records of others."""

    emails: frozenset[str] = field(repr=False)  # normalised, and lower case
    phones: frozenset[str] = field(repr=False)  # E.164
    names: frozenset[str] = field(repr=False)  # full names, as written
    name_parts: frozenset[str] = field(repr=False)  # given and family names
    ids: Mapping[UUID, frozenset[str]] = field(repr=False)  # by source: ids that it gives them

    def distinct_ids(self, source: UUID) -> frozenset[str]:
        """Ids of a source that can hardly be anything else."""
        return frozenset(each for each in self.ids.get(source, ()) if len(each) >= DISTINCT_ID)


def values_of(rows: Sequence[Any], appearances: Sequence[Any]) -> Values:
    """What staged records and their appearances say."""
    said = [*rows, *appearances]
    emails = {each.casefold() for row in said for each in (row.email, row.email_normalized) if each}
    phones = {row.phone for row in said if row.phone}
    extra = [value for row in rows for value in row.attributes.get("values", {}).values() if isinstance(value, str)]
    emails |= {
        address.normalized for text in extra for part in re.split(r"[,;\s]+", text) if "@" in part and (address := parse_email(part))
    }
    names = {row.full_name.strip() for row in said if row.full_name and row.full_name.strip()}
    names |= {f"{row.first_name} {row.last_name}" for row in said if row.first_name and row.last_name}
    parts = {part.strip() for row in said for part in (row.first_name, row.last_name) if part and len(part.strip(". ")) > 1}
    ids: dict[UUID, set[str]] = {}
    for row in rows:
        kind, _, reference = row.record_reference.partition(":")
        if kind == "id":
            ids.setdefault(row.source_id, set()).add(reference.rpartition(":")[2])
    return Values(
        emails=frozenset(emails), phones=frozenset(phones), names=frozenset(names), name_parts=frozenset(parts),
        ids={source: frozenset(found) for source, found in ids.items()},
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What the server looks for in texts: it may find too much, never too little, and reads a text once."""

    literals: tuple[str, ...] = field(repr=False)  # patterns of LIKE, lower case
    numbers: str | None = field(repr=False)  # a regular expression: the last digits of numbers, whatever stands between them

    @property
    def params(self) -> dict[str, object]:
        """As parameters of a statement."""
        return {"literals": list(self.literals), "numbers": self.numbers}


def search_for(values: Values, source: UUID | None, names: Iterable[str]) -> Search:
    """What finds the texts in which a subject may be.

    Args:
        source: Whose ids are looked for, too.
        names: Those to look for, in either order of given and family name.
    """
    wanted = [[each] for each in (*values.emails, *(values.distinct_ids(source) if source else ()))]
    for name in names:
        words = name.replace(",", " ").split()
        wanted += [words] if len(words) == 1 else [words, [words[-1], *words[:-1]]]
    literals = {f"%{'%'.join(form)}%" for words in wanted for form in zip(*map(_forms, words), strict=True)}
    numbers = "|".join("[^0-9a-z]{0,3}".join(number.lstrip("+")[-9:]) for number in sorted(values.phones))
    return Search(literals=tuple(sorted(literals)), numbers=numbers or None)


def _forms(text: str) -> tuple[str, ...]:
    """A text as it stands in jsonb, in JSON with escapes, and in `encode(…, 'escape')` of either; lower case, quoted for LIKE."""
    escaped = json.dumps(text)[1:-1]
    octal = ["".join(chr(byte) if byte < 128 else f"\\{byte:03o}" for byte in each.encode("utf-8", "surrogatepass"))
             for each in (text, text.lower())]  # fmt: skip
    forms = (text, *octal, escaped, escaped.replace("\\", "\\\\"))
    return tuple(re.sub(r"([\\%_])", r"\\\1", form.lower()) for form in forms)


def suppressor(
    tx: TenantTransaction,
    source: DataSource,
    mapping: Callable[[], SourceMapping],
    context: MappingContext,
    keyring: Callable[[], Keyring],
) -> Suppressor | None:
    """What keeps the records of erased people from landing from a source; None when the tenant has erased nobody.

    Raises:
        SecretError: Somebody was erased and there is no key to tell whom.
    """
    found = erasure.suppressions(tx)
    if not found:
        return None
    digests = {cast("Kind", kind): frozenset(held) for kind, held in found.items()}
    keys = keyring().digest_keys(tx.tenant)
    return Suppressor(source=source.source_id, mapping=mapping(), context=context, keys=keys, digests=digests)


def suppressed(database: Database, tenant: TenantId) -> list[SuppressionGroup]:
    """What is suppressed, without any value; newest first."""
    with database.tenant_transaction(tenant) as tx:
        return erasure.list_suppressions(tx)


def lift(database: Database, tenant: TenantId, subject: Subject, keyring: Keyring, *, actor: str, reason: str | None) -> int:
    """Let a subject come in again: everything goes that the erasure of them suppressed; how many digests.

    Raises:
        NotFoundError: Nothing is suppressed of them.
    """
    kind, text = subject.digested
    digests = [digest_of(key, kind, text) for key in keyring.digest_keys(tenant)]
    with database.tenant_transaction(tenant) as tx:
        lifted = erasure.lift_suppressions(tx, kind, digests)
        if not lifted:
            raise NotFoundError("nothing is suppressed of this subject", "see what is: pay-ready erase list", tenant=tenant)
        tenants.audit(
            tx, actor=actor, action="suppression.lifted", subject_kind="suppression", subject_id=f"{lifted} digests", reason=reason,
            before_hash=digests[0],
        )  # fmt: skip
    return lifted


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectExport:
    """What an export came to; the document itself is in the file."""

    path: Path
    records: int
    entities: tuple[UUID, ...]
    counts: Mapping[str, int]
    size_bytes: int


def export_subject(database: Database, tenant: TenantId, slug: str, subject: Subject, target: Path, *, actor: str) -> SubjectExport:
    """Write all that is held of a subject to a file (0600) as one JSON document, and say so in the audit, with ids and hashes alone.

    Args:
        target: The file; `export_path` gives one of a name that tells nothing.

    Raises:
        NotFoundError: Nothing is held of them.
        ConfigError: The file cannot be written, or is there already.
    """
    with database.tenant_transaction(tenant, work="batch") as tx:
        held = find(tx, subject)
        if not held.records:
            raise NotFoundError("nothing is held of this subject", "try another address, number or id", tenant=slug)
        parts = document_of(tx, held)
        content = _json({"schema_version": EXPORT_VERSION, "kind": "subject_export", "made_at": datetime.now(UTC), "tenant": slug,
                         "subject": {"kind": subject.kind, "value": subject.value}, "records": held.records,
                         "entities": held.entities, **parts})  # fmt: skip
        path = _write(target, content)
        from hashlib import sha256

        tenants.audit(
            tx, actor=actor, action="subject.exported", subject_kind="person",
            subject_id=str(held.entities[0] if held.entities else held.records[0]), after_hash=sha256(content).digest(),
        )  # fmt: skip
    counts = {name: len(rows) for name, rows in parts.items()}
    return SubjectExport(path=path, records=len(held.records), entities=held.entities, counts=counts, size_bytes=len(content))


def document_of(tx: TenantTransaction, held: Held) -> dict[str, list[dict[str, Any]]]:
    """All that is held of a subject, by kind: lists of plain rows."""
    records = held.carrying | held.further
    asked: dict[str, object] = {"record_ids": held.records}
    people = tx.rows("erasure.people", asked)
    ever = [row.entity_id for row in tx.rows("erasure.entities_ever_of", asked)]
    appearances = tx.rows("erasure.appearances", asked)
    values = values_of(people, appearances)
    listed = {Place(row.source_id, row.stream, row.record_key) for row in people if row.record_key is not None}
    interactions = tx.rows("erasure.interactions_with", asked)
    told = erasure.places(tx.rows("erasure.interaction_places", {"interaction_ids": [row.interaction_id for row in interactions]}))
    holding = {
        Place(source.source_id, row.stream, row.record_key)
        for source in sources.list_all(tx)
        for row in tx.rows("erasure.places_holding", {"source_id": source.source_id, **search_for(values, source.source_id, ()).params})
    }
    quarantined = tx.rows("erasure.quarantined", {**erasure.place_params(listed), **search_for(values, None, ()).params})
    return {
        "landed_records": [
            {"source": row.source, "stream": row.place.stream, "record_key": row.place.record_key, "landed_at": row.landed_at,
             "data": _readable(row.content)}
            for row in erasure.landed(tx, listed | told | holding)
        ],
        "person_records": [row._asdict() for row in people],
        "assignments": [row._asdict() for row in tx.rows("erasure.assignments_of", {"entity_ids": ever}) if row.record_id in records],
        "golden_records": [row._asdict() for row in tx.rows("erasure.versions", {"entity_ids": ever})],
        "interactions": [row._asdict() for row in tx.rows("erasure.export_interactions", asked)],
        "participations": [row._asdict() for row in appearances],
        "decisions": [row._asdict() for row in tx.rows("erasure.decisions_about", asked)],
        "quarantined_records": [{**row._asdict(), "content": _readable(row.content)} for row in quarantined],
        "memories": [row._asdict() for row in tx.rows("erasure.export_memories", asked)],
    }  # fmt: skip


def export_path(state_folder: Path, slug: str) -> Path:
    """A new file of a tenant's own folder, which erasure looks through."""
    return export_folder(state_folder, slug) / f"subject-{new_id()}.json"


def export_folder(state_folder: Path, slug: str) -> Path:
    """Where the exports of a tenant's subjects are."""
    return state_folder / "exports" / slug


def _readable(content: bytes | None) -> Any:
    """A record as JSON, or as text when it is none."""
    if content is None:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return bytes(content).decode("utf-8", "replace")


def _json(document: Mapping[str, Any]) -> bytes:
    def plain(value: object) -> object:
        return value.hex() if isinstance(value, bytes | memoryview) else str(value)

    text = json.dumps(document, default=plain, ensure_ascii=False, indent=2)
    return (text + "\n").encode("utf-8", "backslashreplace")


def _write(target: Path, content: bytes) -> Path:
    """The file, made new: 0600, its folder 0700."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
            handle.write(content)
    except FileExistsError:
        raise ConfigError("the file is there already", "name another one with --to", file=target) from None
    except OSError as error:
        raise ConfigError("the export cannot be written", error.strerror or type(error).__name__, file=target) from None
    return target
