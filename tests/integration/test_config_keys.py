"""Every key of the shipped configuration changes what pay_ready does, and no key is without its test here."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pay_ready.app import App, open_app
from pay_ready.db import checkpoints as db_checkpoints
from pay_ready.db import entities, tenants
from pay_ready.db.tenancy import Database, TenantTransaction
from pay_ready.errors import DeniedError, TransientError
from pay_ready.pipeline.approval import refuse_alone
from pay_ready.pipeline.etl import EtlReport, run_etl
from pay_ready.pipeline.feed import NewSource, add_source
from pay_ready.resources import resource_path
from pay_ready.settings import Environment, load_domain
from tests.conftest import Scratch
from tests.weaviate_support import until

Overrides = Mapping[str, object]
Watch = Callable[[Scratch, Path, Overrides], object]


@contextmanager
def app_with(scratch: Scratch, overrides: Overrides, folder: Path) -> Iterator[App]:
    """An app whose configuration is the shipped one with some keys changed by the user's own file."""
    sections: dict[str, dict[str, object]] = {}
    for name, value in overrides.items():
        section, _, key = name.rpartition(".")
        sections.setdefault(section, {})[key] = value
    own = folder / "own.toml"
    own.write_text("".join(f"[{name}]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in keys.items()) for name, keys in sections.items()))
    environment = Environment(home=folder / "state", config=own, database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
    with open_app(environment) as app:
        yield app


def _toml(value: object) -> str:
    """A value as TOML writes it: as JSON does, but for tables."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_toml(each)}' for key, each in value.items()) + "}"
    return json.dumps(value)


def contact(number: int, **properties: object) -> dict[str, Any]:
    """A HubSpot contact."""
    times = {"createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-02T00:00:00Z"}
    return {"id": str(number), **times, "archived": False, "properties": properties}


def ran(app: App, folder: Path, streams: Mapping[str, list[dict[str, Any]]], *, index: bool = False) -> EtlReport:
    """The pipeline over some HubSpot export files, for tenant `acme`; with the index only where it is looked at."""
    exports = folder / "exports"
    exports.mkdir(exist_ok=True)
    for stream, rows in streams.items():
        (exports / f"{stream}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tenant = app.tenant_id("acme")
    with app.database.tenant_transaction(tenant) as tx:
        absent = tenants.find(tx) is None
        if absent:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
    if absent:
        source = NewSource(name="crm", kind="hubspot", connector=None, settings={"path": str(exports)})
        add_source(app.database, tenant, source, app.feed, lambda: app.keyring, actor="tests")
    work = app.work("acme")
    report = run_etl(work if index else replace(work, memory=None))
    report.raise_for_failure()
    return report


def looked(app: App, look: Callable[[TenantTransaction], Any]) -> Any:
    """Something of tenant `acme`."""
    with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
        return look(tx)


def people_found(rows: list[dict[str, Any]]) -> Watch:
    """How many people the rows turn out to be."""

    def watch(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
        with app_with(scratch, overrides, folder) as app:
            ran(app, folder, {"contacts": rows})
            return looked(app, entities.counts).people

    return watch


def companies_found(rows: list[dict[str, Any]]) -> Watch:
    """How many companies the rows turn out to be."""

    def watch(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
        with app_with(scratch, overrides, folder) as app:
            ran(app, folder, {"companies": rows})
            return looked(app, entities.counts).companies

    return watch


def phone_staged(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How a national phone number reads."""
    with app_with(scratch, overrides, folder) as app:
        ran(app, folder, {"contacts": [contact(1, email="a@b.example", phone="030 23125000", firstname="A", lastname="B")]})
        found = looked(app, lambda tx: entities.find_entities(tx, "a@b.example"))
        return looked(app, lambda tx: entities.golden_record(tx, found[0].entity_id)).phone


def side_staged(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether a person counts as the tenant's own."""
    with app_with(scratch, overrides, folder) as app:
        ran(app, folder, {"contacts": [contact(1, email="a@b.example", firstname="A", lastname="B")]})
        return looked(app, lambda tx: tx._connection.execute("select side from pay_ready.person_records").fetchone())


def naive_time_staged(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """When a note without a time zone was written."""
    note = {"id": "7", "createdAt": "2026-01-01T00:00:00Z", "updatedAt": "2026-01-01T00:00:00Z", "archived": False,
            "properties": {"hs_timestamp": "2026-01-05T12:00:00", "hs_note_body": "Hello"}}  # fmt: skip
    with app_with(scratch, overrides, folder) as app:
        ran(app, folder, {"engagements_notes": [note]})
        rows = looked(app, lambda tx: tx._connection.execute("select occurred_at from pay_ready.interaction_records").fetchall())
        return [row[0].isoformat() for row in rows]


def batches_landed(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Into how many transactions 3,000 records went."""
    with app_with(scratch, overrides, folder) as app:
        ran(app, folder, {"contacts": [contact(n, email=f"p{n}@b.example") for n in range(3000)]})
        return looked(app, lambda tx: tx._connection.execute("select count(*) from pay_ready.landing_batches").fetchone())


def work_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How a sync goes about it: tests/integration/test_landing.py shows what each of these does."""
    with app_with(scratch, overrides, folder) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            if tenants.find(tx) is None:
                tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        options = app.work("acme").options
        return options.max_retries, options.timeout_s, options.guard.max_percent, options.poison.max_percent


def platform_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How an Airbyte's jobs are watched and tables read: tests/integration/test_platform_job.py shows what each of these does."""
    with app_with(scratch, overrides, folder) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            if tenants.find(tx) is None:
                tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        return app.work("acme").platform


def pool_exhausted(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How many transactions get a connection at the same time."""
    with app_with(scratch, {"database.pool.wait_s": 0.3, **overrides}, folder) as app:
        return simultaneous(app.database, 5)


def simultaneous(database: Database, wanted: int) -> int:
    """How many of so many threads hold a connection at once."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier, BrokenBarrierError

    from pay_ready.model.ids import TenantId, new_id

    everybody = Barrier(wanted)

    def hold(_: int) -> bool:
        try:
            with database.tenant_transaction(TenantId(new_id())):
                with suppress(BrokenBarrierError):
                    everybody.wait(timeout=1.5)
                return True
        except TransientError:
            return False

    with ThreadPoolExecutor(wanted) as threads:
        return sum(threads.map(hold, range(wanted)))


def wait_kept(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether a second transaction waits long enough for the only connection."""
    from threading import Event, Thread

    from pay_ready.model.ids import TenantId, new_id

    small = {"database.pool.max_size": 1, "database.pool.overflow": 0}
    with app_with(scratch, {**small, **overrides}, folder) as app:
        holding, tired = Event(), Event()

        def hold() -> None:
            with app.database.tenant_transaction(TenantId(new_id())):
                holding.set()
                tired.wait(1.0)

        holder = Thread(target=hold)
        holder.start()
        holding.wait(5)
        try:
            with app.database.tenant_transaction(TenantId(new_id())):
                return "waited"
        except TransientError:
            return "gave up"
        finally:
            tired.set()
            holder.join()


def connections_kept(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Connections that the pool opens before anybody asks."""
    with app_with(scratch, overrides, folder) as app:
        app.database._pool.wait(5)
        return int(app.database.pool_figures()["pool_min"])


def survives_a_cut(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether a transaction works after the server cut the idle connection."""
    from pay_ready.model.ids import TenantId, new_id

    with app_with(scratch, overrides, folder) as app:
        with app.database.tenant_transaction(TenantId(new_id())):
            pass
        # A thread of the pool's takes it back: one that is cut meanwhile is not kept.
        until(lambda: app.database.pool_figures()["pool_available"] > 0)
        with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )
        try:
            with app.database.tenant_transaction(TenantId(new_id())):
                return "works"
        except TransientError:
            return "fails once"


def pool_ages(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Seconds after which the pool replaces a connection, and closes an idle one."""
    with app_with(scratch, overrides, folder) as app:
        return app.database._pool.max_lifetime, app.database._pool.max_idle


def prepared(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether statements get prepared on the server."""
    from pay_ready.model.ids import TenantId, new_id

    with app_with(scratch, overrides, folder) as app, app.database.tenant_transaction(TenantId(new_id())) as tx:
        for _ in range(10):
            tx.rows("tenants.find")
        (row,) = tx._connection.execute("select count(*) > 0 from pg_prepared_statements").fetchall()
        return row[0]


def server_timeouts(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What the server was told, for people and for batch work."""
    from pay_ready.model.ids import TenantId, new_id

    told = []
    with app_with(scratch, overrides, folder) as app:
        for work in ("people", "batch"):
            with app.database.tenant_transaction(TenantId(new_id()), work=work) as tx:  # type: ignore[arg-type]
                told.append(
                    tx._connection.execute(
                        "select current_setting('statement_timeout'), current_setting('lock_timeout'),"
                        " current_setting('idle_in_transaction_session_timeout')"
                    ).fetchone()
                )
    return told


def slow_kept(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether a statement of 0.2 s is kept account of."""
    from time import sleep

    from pay_ready.app import slow_statements_file
    from pay_ready.db.slow_statements import slow_statements
    from pay_ready.model.ids import TenantId, new_id

    with app_with(scratch, overrides, folder) as app:
        with app.database.tenant_transaction(TenantId(new_id())) as tx, tx._watched("tests.slept", "select 1", {}):
            sleep(0.2)
        return [each.query for each in slow_statements(slow_statements_file(app.environment)) if each.query == "tests.slept"]


def lineage_told(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Which jobs were told of, in which of two files."""
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.work import recorded

    targets = {name: folder / f"{name}.jsonl" for name in ("one", "other")}
    named = {key: str(targets[str(value)]) if key == "lineage.target" else value for key, value in overrides.items()}
    with app_with(scratch, named, folder) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            if tenants.find(tx) is None:
                tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        with recorded(app.work("acme"), RunId(new_id()), "volume", "") as done:
            done(1, "complete")
    lines = {name: path.read_text().splitlines() for name, path in targets.items() if path.exists()}
    return {name: [json.loads(line)["job"]["namespace"] for line in each] for name, each in lines.items()}


def logged(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What an information line looks like, if it comes out at all."""
    import contextlib
    import io

    import structlog

    sink = io.StringIO()
    with contextlib.redirect_stderr(sink), app_with(scratch, overrides, folder):
        structlog.get_logger().info("step.done", rows=1)
        structlog.get_logger().error("step.failed", rows=1)
    return "step.done" in sink.getvalue(), sink.getvalue().lstrip()[:1] == "{"


def review_rules(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How a team reviews; what each rule does is tested in test_review.py."""
    with app_with(scratch, overrides, folder) as app:
        with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        return app.desk("acme").rules


def memory_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How memory is kept and searched; what each value does is tested with its part."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        memory = app.memory
        return memory.hot.options, memory.options


def indexed_by_a_run(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether a run indexes."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        return ran(app, folder, {"contacts": [contact(1, email="a@b.example")]}, index=True).index is not None


def breaker_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """When a source is left alone; what that does is tested with its part."""
    with app_with(scratch, overrides, folder) as app:
        return app.work(_tenant_of(app)).breaker


def insight_steps(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What a run does after its index; what each does is tested with its part."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        steps = app.work(_tenant_of(app)).insight
        return steps and (steps.is_analysed, steps.most_s, steps.answers)


def agent_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How questions are read and answered; what each value does is tested with its part."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        agent = app.agent(_tenant_of(app))
        return agent.toolbox.options, agent._reading


def llm_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Where a language model is and what it may cost."""
    own = {"embedding.provider": "hash", "agent.llm_model": "one", "agent.llm_url": "http://127.0.0.1:9/v1", **overrides}
    with app_with(scratch, own, folder) as app:
        assistant = app.agent(_tenant_of(app))._assistant
        return None if assistant is None else assistant._model.options


def intent_read(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What the classifier makes of a question that no rule reads."""
    with app_with(scratch, overrides, folder) as app:
        return app.agent(_tenant_of(app)).plan("Give me the low-down on how folks were feeling").intent


def coaching_rules(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What objections are listened for."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        return app.agent(_tenant_of(app)).toolbox._coaching_rules()


def quality_rules(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What is looked at before a publish; what each rule does is tested in test_quality.py."""
    own = folder / "rules"
    own.mkdir(exist_ok=True)
    (own / "default.toml").write_text('schema_version = 1\n[[rule]]\nid = "own"\ncheck = "volume"\nmin_rows = 1\n')
    changed = {key: str(own) if key == "quality.folder" else value for key, value in overrides.items()}
    with app_with(scratch, changed, folder) as app:
        return app.work(_tenant_of(app)).quality


def drift_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How drift is looked for; what each value does is tested in test_drift.py."""
    with app_with(scratch, overrides, folder) as app:
        return app.work(_tenant_of(app)).drift


def _tenant_of(app: App) -> str:
    with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
        if tenants.find(tx) is None:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
    return "acme"


def embedder_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """What embedders are opened with."""
    with app_with(scratch, overrides, folder) as app:
        return app.memory_parts.embedder_options


def index_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How the index of an embedder's table is built."""
    with app_with(scratch, {"embedding.provider": "hash", **overrides}, folder) as app:
        tag = app.memory_parts.enable_vectors()
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        found = admin.execute("select reloptions from pg_class where relname = %s", (f"memory_vectors_{tag}_nearest",)).fetchall()
        admin.execute(f"drop table pay_ready.memory_vectors_{tag}")  # type: ignore[arg-type]
    return found


def weaviate_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Where Weaviate is and how it is asked; what each value does is tested in test_weaviate_store.py."""
    own = {
        "embedding.provider": "hash", "weaviate.mode": "embedded", "weaviate.binary_folder": "/srv/bin", "weaviate.version": "1.38.0",
        **overrides,
    }  # fmt: skip
    with app_with(scratch, own, folder) as app:
        return None if app.memory_parts.vector_store is None else app.memory_parts.weaviate_options


def rollback_alone(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Whether one may roll back alone."""
    with app_with(scratch, overrides, folder) as app:
        tenant = app.tenant_id("acme")
        with app.database.tenant_transaction(tenant) as tx:
            if tenants.find(tx) is None:
                tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        try:
            refuse_alone(four_eyes=app.work("acme").four_eyes)
        except DeniedError as error:
            return error.what
        return None


def checkpoints_kept(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How many of sixty checkpoints, a day between two of them, the end of a run keeps."""
    from pay_ready.pipeline.checkpoint import prune

    with app_with(scratch, overrides, folder) as app:
        tenant = app.tenant_id("acme")
        with app.database.tenant_transaction(tenant) as tx:
            tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
        with psycopg.connect(scratch.admin_url) as admin:
            admin.execute(
                "insert into pay_ready.resolution_runs (tenant_id, run_no, run_id, kind, actor, config_hash, report)"
                " select %s, number, gen_random_uuid(), 'resolve', 'tests', sha256(''), '{\"schema_version\": 2}'"
                " from generate_series(1, 60) as number",
                (tenant,),
            )
            admin.execute(
                "insert into pay_ready.checkpoints (tenant_id, checkpoint_id, name, run_no, digest, kind, created_at)"
                " select %s, gen_random_uuid(), number::text, number, sha256(''), 'automatic', now() - make_interval(days => 60 - number)"
                " from generate_series(1, 60) as number",
                (tenant,),
            )
        work = app.work("acme")
        prune(app.database, tenant, keep_count=work.keep_count, keep_days=work.keep_days, actor="tests")
        with app.database.tenant_transaction(tenant) as tx:
            return len(db_checkpoints.checkpoints(tx))


def with_tenant(app: App) -> App:
    """Tenant `acme`, made."""
    with app.database.tenant_transaction(app.tenant_id("acme")) as tx:
        tenants.create(tx, slug="acme", name="Acme", settings={"schema_version": 1}, actor="tests")
    return app


def freshness_targets(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How old a stream may be."""
    with app_with(scratch, overrides, folder) as app:
        targets = with_tenant(app).status("acme").targets
        return targets.of("crm", "contacts")


def alert_rules(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """When alerts fire."""
    own = folder / "own_rules.toml"
    own.write_text("[disk]\nthreshold = 50\n")
    given = {name: str(own) if name == "watch.alert_rules" else value for name, value in overrides.items()}
    with app_with(scratch, given, folder) as app:
        return [(rule.name, rule.threshold) for rule in with_tenant(app).watch("acme").rules]


def webhook_options(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """Where alerts are sent to, and how; the address is there where another key is looked at."""
    with app_with(scratch, {"watch.webhook_url": "https://hooks.example/", **overrides}, folder) as app:
        webhook = with_tenant(app).watch("acme").webhook
        return webhook and (webhook.url, webhook.allow_private, webhook.attempts)


def rows_due(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """How many rows of each table are due, and which archives."""
    from pay_ready.pipeline.retention.plan import plan_retention

    with app_with(scratch, overrides, folder) as app, app.retention("acme", may_delete=False) as work:
        plan = plan_retention(replace(work, rules=replace(work.rules, keep_runs=0)))
        return {each.table: each.rows for each in plan.due if each.rows}, plan.outlived


_OLD = "now() - interval '300 days'"
_OLD_ROWS = f"""
    delete from pay_ready.checkpoints;
    insert into pay_ready.resolution_runs (tenant_id, run_no, run_id, kind, actor, config_hash, report, published_at)
    select tenant_id, 90, gen_random_uuid(), 'resolve', 'tests', sha256(''), '{{"schema_version": 2}}', {_OLD} from pay_ready.tenants;
    insert into pay_ready.assignments (tenant_id, entity_type, record_id, opened_run_no, closed_run_no, entity_id, confidence)
    select tenant_id, 'person', gen_random_uuid(), 1, 90, gen_random_uuid(), 1 from pay_ready.tenants;
    insert into pay_ready.landed_records (
        tenant_id, source_id, stream, record_key, content_hash, generation, cursor_order, emitted_at, batch_id, deleted_at
    )
    select tenant_id, source_id, stream, 'gone', sha256(''), 0, '', now(), batch_id, {_OLD} from pay_ready.landed_records limit 1;
    update pay_ready.stream_states set pass_run_id = null;
    insert into pay_ready.quarantined_records (
        tenant_id, quarantine_id, source_id, stream, step, reason, contract_version, run_id, raw, status, quarantined_at, closed_at
    )
    select tenant_id, gen_random_uuid(), source_id, stream, 'land', 'json.broken', 'v1', gen_random_uuid(), '', 'superseded', {_OLD}, {_OLD}
    from pay_ready.landed_records limit 1;
    insert into pay_ready.memories (
        tenant_id, memory_id, interaction_id, chunk_no, chunk_text, content_hash, occurred_at, touched_at, source_id, interaction_type
    )
    select tenant_id, gen_random_uuid(), gen_random_uuid(), 0, 'x', sha256(''), {_OLD}, {_OLD}, source_id, 'note'
    from pay_ready.landed_records limit 1;
    insert into pay_ready.sync_runs (tenant_id, run_id, source_id, ingest_mode, status, lease_token, started_at, finished_at)
    select tenant_id, gen_random_uuid(), source_id, 'replay', 'complete', 1, {_OLD}, {_OLD} from pay_ready.landed_records limit 1;
    update pay_ready.step_runs set (started_at, finished_at) = (now() - interval '390 days', now() - interval '390 days');
    insert into pay_ready.retention_archives (tenant_id, archive_id, kind, status, cutoff, made_by, manifest_hash, begun_at, deleted_at)
    select tenant_id, gen_random_uuid(), 'logs', 'deleted', now(), 'tests', sha256(''), {_OLD}, {_OLD} from pay_ready.tenants;
"""


def _grow_old(admin_url: str) -> None:
    """Rows of every kind that are due after some days, of the one tenant; nothing is older than 400 days."""
    with psycopg.connect(admin_url) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute(_OLD_ROWS)  # type: ignore[arg-type]


def rows_at_once(scratch: Scratch, folder: Path, overrides: Overrides) -> object:
    """In how many transactions a tenant's logs go; they come back afterwards."""
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.model.progress import ProgressEvent
    from pay_ready.pipeline.retention.apply import run_retention
    from pay_ready.pipeline.retention.restore import restore_archive

    pages: list[ProgressEvent] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PAY_READY_ERASURE_DATABASE_URL", scratch.erasure_url)
        with app_with(scratch, overrides, folder) as app, app.retention("acme", may_delete=True) as work:
            report = run_retention(work, ("logs",), run_id=RunId(new_id()), progress=pages.append)
            restore_archive(work, str(report.archives[0].archive_id), run_id=RunId(new_id()))
    return sum(each.step == "delete" for each in pages)


# Similar enough at one threshold and not at the other; a second field agrees.
LIKE_NAMES = [
    contact(1, firstname="Theodorika", lastname="Wendelstein", phone="+12125550100"),
    contact(2, firstname="Thedorikka", lastname="Wendelstein", phone="+12125550100"),
]
LIKE_COMPANIES: list[dict[str, Any]] = [
    contact(1, name="Brightforge Robotics", city="Austin", phone="+12125550100"),
    contact(2, name="Brightforge Rabotics", city="Austin", phone="+12125550100"),
]
NO_ADDRESS = [contact(1, email="not an address", firstname="A", lastname="B"), contact(2, email="a@b.example")]

KEYS: dict[str, tuple[object, Watch]] = {
    "entity_resolution.name_threshold": (99, people_found(LIKE_NAMES)),
    "entity_resolution.company_threshold": (99, companies_found(LIKE_COMPANIES)),
    "entity_resolution.email_validation": (False, people_found(NO_ADDRESS)),
    "etl.default_batch_size": (1000, batches_landed),
    "etl.sync_timeout_minutes": (1, work_options),
    "etl.max_retries": (0, work_options),
    "etl.max_shrink_percent": (50, work_options),
    "etl.max_quarantine_percent": (50, work_options),
    "etl.breaker_failures": (1, breaker_options),
    "etl.breaker_open_minutes": (1, breaker_options),
    "airbyte.poll_seconds": (1, platform_options),
    "airbyte.longest_poll_seconds": (60, platform_options),
    "airbyte.cancel_on_timeout": (True, platform_options),
    "airbyte.lag_hours": (1, platform_options),
    "staging.phone_region": ("DE", phone_staged),
    "staging.time_zone": ("America/New_York", naive_time_staged),
    "staging.internal_domains": (["b.example"], side_staged),
    "watch.freshness_hours": (24, freshness_targets),
    "watch.stream_freshness_hours": ({"crm/contacts": 24}, freshness_targets),
    "watch.alert_rules": ("own_rules.toml", alert_rules),
    "watch.webhook_url": ("https://hooks.example/x", webhook_options),
    "watch.webhook_private": (True, webhook_options),
    "watch.webhook_attempts": (1, webhook_options),
    "review.blind": (True, review_rules),
    "review.double": (True, review_rules),
    "review.gold_percent": (50, review_rules),
    "checkpoints.keep_count": (5, checkpoints_kept),
    "checkpoints.keep_days": (30, checkpoints_kept),
    "checkpoints.four_eyes": (True, rollback_alone),
    "review.lease_minutes": (1, review_rules),
    "review.agent_decides": (False, review_rules),
    "database.transaction_pooler": (True, prepared),
    "database.slow_statement_ms": (100_000, slow_kept),
    "database.pool.min_size": (2, connections_kept),
    "database.pool.max_size": (0, pool_exhausted),
    "database.pool.overflow": (0, pool_exhausted),
    "database.pool.wait_s": (0.05, wait_kept),
    "database.pool.recycle_s": (60.0, pool_ages),
    "database.pool.max_idle_s": (30.0, pool_ages),
    "database.pool.check_liveness": (False, survives_a_cut),
    "database.people.statement_ms": (1234, server_timeouts),
    "database.people.lock_ms": (1234, server_timeouts),
    "database.people.idle_in_transaction_ms": (1234, server_timeouts),
    "database.batch.statement_ms": (1234, server_timeouts),
    "database.batch.lock_ms": (1234, server_timeouts),
    "database.batch.idle_in_transaction_ms": (1234, server_timeouts),
    "memory_management.index_after_run": (False, indexed_by_a_run),
    "lineage.mode": ("off", lineage_told),
    "lineage.target": ("other", lineage_told),
    "lineage.namespace": ("elsewhere", lineage_told),
    "logging.level": ("info", logged),
    "logging.format": ("json", logged),
}
# Only at a small size does one key of the pool show without the other.
# What these change shows in the options that memory is made with: no rows are needed, and one database does for all.
MEMORY_KEYS: dict[str, tuple[object, Watch]] = {
    "quality.check_runs": (False, quality_rules),
    "quality.folder": ("rules", quality_rules),
    "drift.baseline_days": (60, drift_options),
    "drift.current_days": (7, drift_options),
    "drift.least_observations": (100, drift_options),
    "drift.high_severity": (0.6, drift_options),
    "drift.critical_severity": (0.9, drift_options),
    "drift.metrics": (["volume"], drift_options),
    "memory_management.hot_cache_size": (10, memory_options),
    "memory_management.hot_cache_mb": (10, memory_options),
    "memory_management.hot_cache_ttl_hours": (1, memory_options),
    "memory_management.warm_cache_ttl_days": (1, memory_options),
    "memory_management.batch_size": (10, memory_options),
    "memory_management.languages": (["en"], memory_options),
    "memory_management.exact_below": (10, memory_options),
    "memory_management.candidates": (20, memory_options),
    "memory_management.vector_share": (1.0, memory_options),
    "memory_management.index_ef": (10, memory_options),
    "memory_management.index_m": (8, index_options),
    "memory_management.index_ef_construction": (32, index_options),
    "embedding.provider": ("hash", embedder_options),
    "embedding.threads": (7, embedder_options),
    "embedding.url": ("http://127.0.0.1:9/v1", embedder_options),
    "embedding.model": ("other", embedder_options),
    "embedding.dimensions": (256, embedder_options),
    "agent.time_zone": ("Asia/Tokyo", agent_options),
    "agent.week_start": (6, agent_options),
    "agent.fiscal_start_month": (4, agent_options),
    "agent.fiscal_named_by": ("start", agent_options),
    "agent.day_first": (True, agent_options),
    "agent.intent_threshold": (1.0, intent_read),
    "agent.most_interactions": (7, agent_options),
    "agent.summary_words": (30, agent_options),
    "agent.topic_min_frequency": (9, agent_options),
    "agent.page_size": (5, agent_options),
    "agent.cache_ttl_minutes": (5, agent_options),
    "agent.warm_answers": (3, insight_steps),
    "agent.analyse_after_run": (False, insight_steps),
    "agent.analyse_seconds": (5.0, insight_steps),
    "agent.mask_policy": ("all", agent_options),
    "agent.competitors": (["Initech"], coaching_rules),
    "agent.llm_url": ("https://model.example/v1", llm_options),
    "agent.llm_model": ("other", llm_options),
    "agent.llm_timeout_s": (1.0, llm_options),
    "agent.llm_question_tokens": (5_000, llm_options),
    "agent.llm_day_tokens": (9_000, llm_options),
    "weaviate.mode": ("off", weaviate_options),
    "weaviate.url": ("http://127.0.0.1:9", weaviate_options),
    "weaviate.grpc_host": ("127.0.0.2", weaviate_options),
    "weaviate.grpc_port": (9, weaviate_options),
    "weaviate.query_s": (1.0, weaviate_options),
    "weaviate.write_s": (1.0, weaviate_options),
    "weaviate.open_s": (1.0, weaviate_options),
    "weaviate.breaker_failures": (1, weaviate_options),
    "weaviate.breaker_open_s": (1.0, weaviate_options),
    "weaviate.exact_up_to": (10, weaviate_options),
    "weaviate.graph_from": (10, weaviate_options),
    "weaviate.idle_minutes": (1, weaviate_options),
    "weaviate.index": ("flat", weaviate_options),
    "weaviate.index_m": (8, weaviate_options),
    "weaviate.index_ef_construction": (32, weaviate_options),
    "weaviate.index_ef": (64, weaviate_options),
    "weaviate.binary_folder": ("/srv/weaviate", weaviate_options),
    "weaviate.version": ("1.39.0", weaviate_options),
    "weaviate.data_folder": ("/srv/data", weaviate_options),
}
RETENTION_KEYS: dict[str, tuple[object, Watch]] = {
    "retention.history_days": (100, rows_due),
    "retention.landed_days": (100, rows_due),
    "retention.quarantine_days": (100, rows_due),
    "retention.memories_days": (100, rows_due),
    "retention.runs_days": (100, rows_due),
    "retention.logs_days": (400, rows_due),
    "retention.archive_days": (100, rows_due),
    "retention.batch_rows": (1, rows_at_once),
}
BESIDE: dict[str, Overrides] = {
    "embedding.model": {"embedding.url": "http://127.0.0.1:9/v1"},
    "embedding.dimensions": {"embedding.url": "http://127.0.0.1:9/v1"},
    **{f"lineage.{key}": {"lineage.mode": "file", "lineage.target": "one"} for key in ("mode", "target", "namespace")},
    "database.pool.max_size": {"database.pool.max_size": 4, "database.pool.overflow": 0},
    "database.pool.overflow": {"database.pool.max_size": 2, "database.pool.overflow": 2},
}
CHANGED_TO: dict[str, object] = {"database.pool.max_size": 2}


def flat(table: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys of nested tables, with dots."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def test_no_shipped_key_is_without_its_test() -> None:
    """Whoever adds a key to config/defaults.toml adds what it changes here."""
    shipped = set(flat(tomllib.loads(resource_path("config", "defaults.toml").read_text())))
    assert shipped == KEYS.keys() | MEMORY_KEYS.keys() | RETENTION_KEYS.keys()


@pytest.mark.parametrize("key", KEYS)
def test_each_key_changes_behaviour(key: str, scratch: Scratch, tmp_path: Path) -> None:
    """The same input, the key changed: something else happens."""
    changed, watch = KEYS[key]
    beside = BESIDE.get(key, {})
    (tmp_path / "shipped").mkdir()
    (tmp_path / "changed").mkdir()
    shipped = watch(scratch, tmp_path / "shipped", beside)
    with psycopg.connect(scratch.admin_url, autocommit=True) as admin:
        tables = "select string_agg(format('pay_ready.%I', relname), ', ') from pg_class where relkind in ('r', 'p') and not relispartition"
        (row,) = admin.execute(tables + " and relnamespace = 'pay_ready'::regnamespace and relname <> 'schema_migrations'").fetchall()
        admin.execute(f"truncate {row[0]} cascade")
    otherwise = watch(scratch, tmp_path / "changed", {**beside, key: CHANGED_TO.get(key, changed)})
    assert shipped != otherwise


def test_each_key_of_memory_changes_behaviour(scratch: Scratch, tmp_path: Path) -> None:
    """The same, of options."""
    for key, (changed, watch) in MEMORY_KEYS.items():
        beside = BESIDE.get(key, {})
        assert watch(scratch, tmp_path, beside) != watch(scratch, tmp_path, {**beside, key: changed}), key


def test_each_key_of_retention_changes_behaviour(scratch: Scratch, tmp_path: Path) -> None:
    """The same, of one tenant that has old rows of every kind."""
    with app_with(scratch, {}, tmp_path) as app:
        ran(app, tmp_path, {"contacts": [contact(n, email=f"p{n}@b.example") for n in range(3)]})
    _grow_old(scratch.admin_url)
    for key, (changed, watch) in RETENTION_KEYS.items():
        assert watch(scratch, tmp_path, {}) != watch(scratch, tmp_path, {key: changed}), key


def test_each_key_of_a_domain_changes_behaviour(scratch: Scratch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """namespace: other ids. database_schema: other tables. persona: who speaks. cache_prefix: other names of cached results."""
    from pay_ready.cli.tenants import show
    from pay_ready.db.admin import grant_app
    from pay_ready.db.migrate import migrate

    migrate(scratch.admin_url, "paragon")
    with psycopg.connect(scratch.app_url) as connection:
        grant_app(scratch.admin_url, connection.info.user, "paragon")
    seen = {}
    for domain in ("pay_ready", "paragon"):
        folder = tmp_path / domain
        folder.mkdir()
        environment = Environment(home=folder / "state", domain=domain, database_url=scratch.app_url, admin_database_url=scratch.admin_url)  # type: ignore[arg-type]
        with open_app(environment) as app, pytest.MonkeyPatch.context() as patched:
            ran(app, folder, {"contacts": [contact(1, email="a@b.example")]})
            metric = looked(app, lambda tx: tx.rows("entities.cached_metric", {"metric_name": f"{domain}:published"}))  # noqa: B023
            patched.setenv("PAY_READY_DOMAIN", domain)
            patched.setenv("PAY_READY_DATABASE_URL", scratch.app_url)
            patched.setenv("PAY_READY_ADMIN_DATABASE_URL", scratch.admin_url)
            show("acme")
            seen[domain] = (app.tenant_id("acme"), app.database.schema, len(metric), capsys.readouterr().out.splitlines()[0])
    assert seen["pay_ready"][0] != seen["paragon"][0]
    assert [seen[domain][1:3] for domain in seen] == [("pay_ready", 1), ("paragon", 1)]
    assert load_domain("paragon").persona in seen["paragon"][3]
    assert load_domain("pay_ready").persona in seen["pay_ready"][3]
