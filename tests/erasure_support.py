"""A person with thirty canary values in four sources, others beside her, and a look at everything that the database holds."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import psycopg

from pay_ready.app import App, open_app
from pay_ready.db import tenants
from pay_ready.db.embedded_runner import packaged_binaries
from pay_ready.model.ids import TenantId
from pay_ready.pipeline.etl import EtlReport, run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.settings import Environment
from tests.conftest import Scratch, Server, on_database, only_one

EMAIL, FORMER_EMAIL, OTHER_EMAIL = "z.quillfeather@harborcanary.example", "zq.former@harborcanary.example", "zeph.alt@mailbox.example"
BOB = "bob.castellan@harborcanary.example"
# What must be nowhere afterwards, in whatever case or spelling of the file.
CANARIES = (
    "Zephyrine", "Quillfeather", "Zephyrina Quilfeather", EMAIL, FORMER_EMAIL, OTHER_EMAIL, "2065550142", "206-555-0143",
    "Chief Falconry Officer", "Deputy Kite Steward", "Head of Owls", "Canaryville", "badge-otter", "lapsang-heron", "fond of merlins",
    "we nest by the harbor", "our budget is nine herons", "note about her sparrow", "mail body with a plover", "subject of a bittern",
    "perched on the mast", "zephq", "roost at noon", "task with a shrike", "kestrel hotline", "quarantined osprey", "broken-wren",
    "avocet fax", "UZEPHQ001", "Straße zum Eisvögelchen",
)  # fmt: skip
# What is others' and must all be there.
OTHERS = (
    "Bob Castellan", BOB, "Harbor Master", "bob keeps talking", "Rita Host", "rita@own.example",
    "the shared quarterly plan", "Harbor Canary Works", "Otto Fremd", "otto@elsewhere.example", "deal of the harbor", "unrelated words",
    "noted for the file",
)  # fmt: skip
_ESTATE = "pay_ready_estate"
_TIMES = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z", "archived": False}


def hubspot(*, updated: bool = True) -> dict[str, list[dict[str, Any]]]:
    """HubSpot's rows: the contact as it was first, or as it is now."""
    zeph = {
        "firstname": "Zephyrine", "lastname": "Quillfeather", "email": EMAIL if updated else FORMER_EMAIL, "phone": "(206) 555-0142",
        "jobtitle": "Chief Falconry Officer" if updated else "Deputy Kite Steward", "city": "Canaryville", "custom_badge": "badge-otter",
        "hs_additional_emails": OTHER_EMAIL, "street": "Straße zum Eisvögelchen", "associatedcompanyid": "700001",
    }  # fmt: skip
    later = {"updatedAt": "2026-02-02T00:00:00Z"} if updated else {}
    return {
        "contacts": [
            {"id": "51", **_TIMES, **later, "properties": zeph},
            {"id": "52", **_TIMES, "properties": {"firstname": "Bob", "lastname": "Castellan", "email": BOB,
                                                  "jobtitle": "Harbor Master", "associatedcompanyid": "700001"}},
            {"id": "53", **_TIMES, "properties": {"firstname": "Otto", "lastname": "Fremd", "email": "otto@elsewhere.example"}},
            {"id": "54", **_TIMES, "properties": {"firstname": "Zephyrine", "lastname": "Quillfeather", "email": "broken-wren",
                                                  "phone": "+1 206 555 0142", "about": "quarantined osprey"}},
        ],
        "companies": [{"id": "700001", **_TIMES, "properties": {"name": "Harbor Canary Works", "domain": "harborcanary.example"}}],
        "owners": [{"id": "9", **_TIMES, "firstName": "Rita", "lastName": "Host", "email": "rita@own.example"}],
        "deals": [{"id": "800001", **_TIMES, "companies": ["700001"], "contacts": ["51"],
                   "properties": {"dealname": "deal of the harbor", "createdate": "2026-01-05T00:00:00Z", "amount": "51"}}],
        "engagements_notes": [
            {"id": "61", **_TIMES, "contacts": ["51"], "properties": {"hs_timestamp": "2026-01-10T10:00:00Z", "hubspot_owner_id": "9",
                                                                      "hs_note_body": "<p>note about her sparrow</p>"}},
            {"id": "62", **_TIMES, "contacts": ["53"],
             "properties": {"hs_timestamp": "2026-01-11T10:00:00Z", "hubspot_owner_id": "9",
                            "hs_note_body": f"unrelated words, and Quillfeather, Zephyrine said: {EMAIL} or 206.555.0142"}},
        ],
        "engagements_emails": [
            {"id": "71", **_TIMES, "contacts": ["51"],
             "properties": {"hs_timestamp": "2026-01-12T10:00:00Z", "hs_email_from_email": "rita@own.example", "hs_email_to_email": EMAIL,
                            "hs_email_subject": "subject of a bittern", "hs_email_text": "mail body with a plover"}},
            {"id": "72", **_TIMES, "contacts": ["51", "52"],
             "properties": {"hs_timestamp": "2026-01-13T10:00:00Z", "hs_email_from_email": "rita@own.example",
                            "hs_email_to_email": f"{EMAIL};{BOB}", "hs_email_subject": "Plan",
                            "hs_email_text": "Dear Zephyrine, dear Bob, the shared quarterly plan is ready"}},
        ],
        "engagements_calls": [
            {"id": "81", **_TIMES, "properties": {"hs_timestamp": "2026-01-14T10:00:00Z", "hs_call_direction": "OUTBOUND",
                                                  "hs_call_to_number": "+12065550142", "hs_call_body": "kestrel hotline"}},
        ],
    }  # fmt: skip


def salesforce() -> dict[str, list[dict[str, Any]]]:
    """Salesforce's rows: another spelling, a title that loses, a task."""
    stamp = {"SystemModstamp": "2025-06-01T00:00:00Z", "LastModifiedDate": "2025-06-01T00:00:00Z", "IsDeleted": False}
    return {
        "Contact": [{"Id": "003AB00000ZEPHQAA1", **stamp, "FirstName": "Zephyrina", "LastName": "Quilfeather",
                     "Name": "Zephyrina Quilfeather", "Email": EMAIL.upper(), "Phone": "+1 206 555 0142", "MobilePhone": "206-555-0143",
                     "Title": "Head of Owls", "Description": "fond of merlins", "Favorite_Tea__c": "lapsang-heron", "Fax": "avocet fax"}],
        "Task": [{"Id": "00TAB00000TASKAA1", **stamp, "WhoId": "003AB00000ZEPHQAA1", "OwnerId": "005AB00000RITAAA1", "Subject": "Call back",
                  "Description": "task with a shrike", "CreatedDate": "2026-01-20T00:00:00Z"}],
    }  # fmt: skip


def gong() -> dict[str, list[dict[str, Any]]]:
    """A call with two people from outside, and its transcript."""
    parties = [
        {"id": "1", "name": "Rita Host", "emailAddress": "rita@own.example", "speakerId": "7000000000000000001", "affiliation": "Internal"},
        {"id": "2", "name": "Zephyrine Quillfeather", "emailAddress": EMAIL, "title": "Chief Falconry Officer",
         "phoneNumber": "+12065550142",         "speakerId": "7000000000000000002", "affiliation": "External"},
        {"id": "3", "name": "Bob Castellan", "emailAddress": BOB, "title": "Harbor Master",
         "speakerId": "7000000000000000003", "affiliation": "External"},
    ]  # fmt: skip
    meta = {"id": "9000000000000000001", "title": "Harbor with Zephyrine Quillfeather", "started": "2026-01-15T10:00:00Z", "duration": 600}

    def monologue(speaker: str, start: int, *texts: str) -> dict[str, Any]:
        said = [{"start": start + n, "end": start + n + 1, "text": text} for n, text in enumerate(texts)]
        return {"speakerId": speaker, "topic": "Plans", "sentences": said}

    return {
        "extensiveCalls": [{"id": 1, "metaData": meta, "parties": parties}],
        "callTranscripts": [{"callId": "9000000000000000001", "transcript": [
            monologue("7000000000000000001", 1000, "Welcome, Zephyrine and Bob"),
            monologue("7000000000000000002", 2000, "we nest by the harbor", "our budget is nine herons"),
            monologue("7000000000000000003", 4000, "bob keeps talking"),
            monologue("7000000000000000001", 5000, "noted for the file, Ms. Quillfeather"),
        ]}],
    }  # fmt: skip


def slack() -> dict[str, list[dict[str, Any]]]:
    """A profile, her message, and one that mentions her."""

    def user(identifier: str, name: str, email: str, **more: str) -> dict[str, Any]:
        return {"id": identifier, "name": more.pop("handle", name.split()[0].lower()), "updated": 1767225600, "is_bot": False,
                "profile": {"real_name": name, "email": email, **more}}  # fmt: skip

    return {
        "users": [
            user("UZEPHQ001", "Zephyrine Quillfeather", EMAIL, handle="zephq", status_text="perched on the mast", display_name="zephq"),
            user("URITAH001", "Rita Host", "rita@own.example"),
        ],
        "channel_messages": [
            {"channel_id": "C1", "ts": "1768471200.000100", "float_ts": 1768471200.0001, "type": "message", "user": "UZEPHQ001",
             "text": "roost at noon"},
            {"channel_id": "C1", "ts": "1768471260.000100", "float_ts": 1768471260.0001, "type": "message", "user": "URITAH001",
             "text": "<@UZEPHQ001> noted for the file", "reply_users": ["UZEPHQ001", "URITAH001"]},
        ],
    }  # fmt: skip


def write(folder: Path, streams: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write export files; the last line of each is new, so that the replay source reads them again."""
    folder.mkdir(parents=True, exist_ok=True)
    for stream, rows in streams.items():
        (folder / f"{stream}.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


@dataclass(frozen=True, kw_only=True)
class Estate:
    """Two tenants with the same person in four sources each, resolved in several runs."""

    app: App
    scratch: Scratch
    folder: Path

    def tenant(self, slug: str = "acme") -> TenantId:
        """The id of one."""
        return self.app.tenant_id(slug)

    def write(self, slug: str, *, updated: bool = True) -> None:
        """The exports of a tenant's sources."""
        for name, streams in (("crm", hubspot(updated=updated)), ("sales", salesforce()), ("calls", gong()), ("chat", slack())):
            write(self.folder / slug / name, streams)

    def run(self, slug: str) -> EtlReport:
        """The whole pipeline once."""
        return run_etl(self.app.work(slug))

    def read_anew(self, slug: str) -> EtlReport:
        """Every source from its start, as a first import would."""
        with psycopg.connect(self.scratch.admin_url) as admin:
            admin.execute("update pay_ready.stream_states set state = null where tenant_id = %s", (self.tenant(slug),))
        return self.run(slug)

    def rows(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows of a query, as an administrator sees them."""
        with psycopg.connect(self.scratch.admin_url) as admin:
            return admin.execute(query, params).fetchall()  # type: ignore[arg-type]


@contextmanager
def opened_estate(scratch: Scratch, folder: Path) -> Iterator[Estate]:
    """What was made in a database and a folder."""
    environment = Environment(
        home=folder / "state", database_url=scratch.app_url, admin_database_url=scratch.admin_url,  # type: ignore[arg-type]
        erasure_database_url=scratch.erasure_url, secret_key_file=a_key(folder),  # type: ignore[arg-type]
    )  # fmt: skip
    with open_app(environment) as app:
        yield Estate(app=app, scratch=scratch, folder=folder / "exports")


@contextmanager
def an_estate(scratch: Scratch, folder: Path, *slugs: str) -> Iterator[Estate]:
    """Tenants with the exports as they were first, landed and resolved; then as they are now, resolved again."""
    with opened_estate(scratch, folder) as estate:
        app = estate.app
        for slug in slugs:
            with app.database.tenant_transaction(app.tenant_id(slug)) as tx:
                own = {"schema_version": 1, "staging": {"internal_domains": ["own.example"]}}
                tenants.create(tx, slug=slug, name=slug, settings=own, actor="tests")
            estate.write(slug, updated=False)
            for name, kind in (("crm", "hubspot"), ("sales", "salesforce"), ("calls", "gong"), ("chat", "slack")):
                source = NewSource(name=name, kind=kind, connector=None, settings={"path": str(estate.folder / slug / name)})
                add_source(app.database, app.tenant_id(slug), source, app.feed, lambda: app.keyring, actor="tests")
            estate.run(slug)
            estate.write(slug)
            estate.run(slug)
        yield estate


def estate_template(server: Server, template: str, run_folder: Path) -> tuple[str, Path]:
    """A database to be cloned with the tenants acme and beta, and the folder of their exports; made once per run, under a lock."""
    folder = run_folder / "estate"
    with only_one(run_folder / "estate.lock"):
        if not (folder / "made").exists():
            with psycopg.connect(server.admin_url, autocommit=True) as admin:
                admin.execute(f"create database {_ESTATE} template {template}")  # type: ignore[arg-type]
            urls = [on_database(url, _ESTATE) for url in (server.admin_url, server.app_url, server.erasure_url)]
            with an_estate(Scratch(admin_url=urls[0], app_url=urls[1], erasure_url=urls[2]), folder, "acme", "beta"):
                pass
            (folder / "made").touch()
    return _ESTATE, folder


def move(scratch: Scratch, before: Path, after: Path) -> None:
    """A copy of what was made in another folder, for the sources of a cloned database."""
    copytree(before, after, ignore=ignore_patterns("state", "made"), dirs_exist_ok=True)
    with psycopg.connect(scratch.admin_url) as admin:
        admin.execute(
            "update pay_ready.data_sources set config = replace(config::text, %s, %s)::jsonb",
            (str(before / "exports"), str(after / "exports")),
        )


def a_key(folder: Path) -> Path:
    """The file of a key, made once."""
    from pay_ready.secrets import generate_key

    path = folder / "secret.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(generate_key() + "\n")
        path.chmod(0o600)
    return path


def dumped(admin_url: str) -> str:
    """Everything that the database holds, as pg_dump writes it, lower case."""
    done = subprocess.run(
        [packaged_binaries() / "pg_dump", "--data-only", admin_url], capture_output=True, check=False, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8").casefold()


def found_in(dump: str, values: Sequence[str]) -> list[str]:
    """Which values are in a dump: as text, as JSON escapes them, or as bytes in hexadecimal digits."""
    return [value for value in values if any(form in dump for form in _forms(value.casefold()))]


def _forms(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value)[1:-1].replace("\\", "\\\\")
    yield value.encode().hex()
    yield json.dumps(value)[1:-1].encode().hex()


def digest_of_tenant(admin_url: str, tenant: TenantId) -> str:
    """A hash over all rows of a tenant in all tables; leases come and go, and staging notes when it looked last."""
    with psycopg.connect(admin_url) as admin:
        tables = admin.execute(
            "select c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id'"
            " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind = 'r' and c.relname <> 'leases' order by 1"
        ).fetchall()
        parts = [
            admin.execute(
                "select md5(coalesce(string_agg(line, '|' order by line), '')) from ("
                f" select (to_jsonb(t) - 'updated_at')::text as line from pay_ready.{name} as t where tenant_id = %s"  # type: ignore[arg-type]
                ") as lines where line !~ ': \"lease_token\"'",
                (tenant,),
            ).fetchone()
            for (name,) in tables
        ]
    return str(list(zip(tables, parts, strict=True)))


def forget_tenant(admin_url: str, tenant: TenantId) -> None:
    """Take a tenant's rows out of the database: a dump is then of the other one."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        for (table,) in admin.execute(
            "select c.relname from pg_class as c join pg_attribute as a on a.attrelid = c.oid and a.attname = 'tenant_id'"
            " where c.relnamespace = 'pay_ready'::regnamespace and c.relkind = 'r'"
        ).fetchall():
            admin.execute(f"delete from pay_ready.{table} where tenant_id = %s", (tenant,))  # type: ignore[arg-type]
