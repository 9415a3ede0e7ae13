"""`pay-ready index` and `pay-ready memory`: passages of interactions, found by words and by meaning, in tiers that agree."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import print_json, print_table, say
from pay_ready.cli.profiling import ProfileOption, profiled
from pay_ready.cli.progress import shown_progress
from pay_ready.errors import CheckFailedError, PartialError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.memory.search import SearchAnswer
    from pay_ready.model.memory import Filters
    from pay_ready.pipeline.index import IndexReport

app = typer.Typer(no_args_is_help=True, help="What is remembered of interactions: search it, look after its tiers.")

WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait while another process is at it.")]


def index(tenant: TenantOption, wait_s: WaitOption = 0.0, profile: ProfileOption = None, as_json: JsonOption = False) -> None:
    """Bring memory up to date: passages, vectors, and what the vector store has yet to hear of. Goes on where it was stopped.

    Example: pay-ready index --tenant acme
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.index import index_tenant

    with opened_app() as opened, profiled(profile), shown_progress(quiet=as_json) as progress:
        found = opened.tenant(tenant)
        report = index_tenant(
            opened.database, found.tenant_id, opened.memory, run_id=RunId(new_id()), wait_s=wait_s, progress=progress
        )  # fmt: skip
    _print_report(report, tenant, as_json=as_json)


@app.command("status")
def status(
    tenant: TenantOption,
    check: Annotated[bool, typer.Option("--check", help="Compare the vector store with the record; exit 7 when they differ.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What memory holds, whose vectors serve, and what it is behind with.

    Example: pay-ready memory status --tenant acme --check
    """
    from pay_ready.db import embedders as db_embedders
    from pay_ready.db import memories as db_memories
    from pay_ready.db import vectors as db_vectors
    from pay_ready.pipeline.index import difference

    with opened_app() as opened:
        found = opened.tenant(tenant)
        since = datetime.now(UTC) - timedelta(days=opened.settings.memory_management.warm_cache_ttl_days)
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            figures, waiting = db_memories.figures(tx, since), db_memories.waiting(tx)
            embedders = [
                (each, table.count(tx), table.has_index)
                for each in db_embedders.embedders(tx)
                for table in (db_vectors.vector_table(tx, each.embedder_tag, each.dimensions),)
            ]
        store = opened.memory.outer
        is_live = None if store is None else store.is_live()
        differs = difference(opened.database, found.tenant_id, opened.memory) if check else None
    if as_json:
        told = [
            {"embedder": each, "vectors": counts.vectors, "indexed": counts.indexed, "by": "pgvector" if has_index else "reading"}
            for each, counts, has_index in embedders
        ]
        outer = None if store is None else {"name": store.name, "is_live": is_live}
        content = {"figures": figures, "waiting": waiting, "embedders": told, "outer_store": outer, "difference": differs}
        print_json("memory_status", content)
    else:
        asked = opened.settings.memory_management
        hot = f"{asked.hot_cache_size:,} items, {asked.hot_cache_mb:,} MB, {asked.hot_cache_ttl_hours:g} h"
        say(f"hot: at most {hot}, in each process that answers")
        say(f"{figures['passages']:,} passages of {figures['interactions']:,} interactions, {figures['warm']:,} of them warm")
        for each, counts, has_index in embedders:
            how = f"{counts.indexed:,} in the index" if has_index else "without pgvector: compared by reading them"
            say(f"vectors of {each.embedder_id}, {each.state}: {counts.vectors:,}, {how}")
        if store is not None:
            state = "live" if is_live else "away"
            say(f"{store.name}: {state}; {waiting.interactions:,} to tell, {waiting.failing:,} of them refused before")
        say(f"{waiting.changes:,} changes not heard of" + (f": pay-ready index -t {tenant}" if waiting.changes else ""))
        if differs is not None:
            say(f"the store has {differs.missing:,} too few, {differs.orphans:,} too many, {differs.stale:,} out of date")
    if differs is not None and not differs.is_equal:
        raise CheckFailedError("the vector store differs from the record", f"pay-ready memory reconcile -t {tenant}", tenant=tenant)


@app.command("search")
def search(
    words: Annotated[str, typer.Argument(help="What to look for, in plain words.")],
    tenant: TenantOption,
    most: Annotated[int, typer.Option("--most", min=1, max=200, help="Passages at most.")] = 10,
    entity: Annotated[list[UUID] | None, typer.Option(help="Of this person or company (id); may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Of this source; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="call, meeting, email, message, note, task, case, deal.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="ISO 639-1, for example en.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From then on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before that (UTC).")] = None,
    least_similarity: Annotated[float | None, typer.Option(min=-1, max=1, help="Passages less near in meaning are left out.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find passages by words and by meaning.

    Example: pay-ready memory search "who asked for a discount" --tenant acme --type call --since 2026-10-01
    """
    filters = _filters(entity, source, kind, language, since, until)
    with opened_app() as opened:
        found = opened.tenant(tenant)
        answer = opened.memory.search(found.tenant_id, words, most=most, filters=filters, least_similarity=least_similarity)
    if as_json:
        print_json("memory_search", answer)
        return
    print_answer(answer, tenant)


@app.command("context")
def context(
    tenant: TenantOption,
    interaction: Annotated[UUID | None, typer.Option(help="What it is about (id): its thread, and those that it is with.")] = None,
    entity: Annotated[list[UUID] | None, typer.Option(help="This person or company (id); may be repeated.")] = None,
    question: Annotated[str | None, typer.Option(help="What is to be answered: what is near to it stays.")] = None,
    budget: Annotated[int, typer.Option(min=1, help="Tokens that all texts together may have.")] = 2_000,
    as_json: JsonOption = False,
) -> None:
    """What to know before a call or an answer, within a budget of tokens: essential, of the last 7 days, relevant, and older in short.

    Example: pay-ready memory context --tenant acme --entity 3f2b... --question "what did we promise" --budget 1500
    """
    if interaction is None and not entity:
        raise UsageError("nothing to give the context of", "name an --interaction or an --entity (their ids: pay-ready timeline, people)")
    with opened_app() as opened:
        found = opened.tenant(tenant)
        told = opened.memory.briefing(
            found.tenant_id, budget_tokens=budget, interaction_id=interaction, entity_ids=entity or (), question=question
        )  # fmt: skip
    if as_json:
        print_json("memory_context", told)
        return
    pruned = told.pruned
    print_table(
        ("when", "type", "source", "because", "passage", "interaction"),
        [
            (
                f"{each.occurred_at:%Y-%m-%d %H:%M}", told.passages[each.item_id].interaction_type, told.passages[each.item_id].source,
                each.reason if each.form == "whole" else f"{each.reason}, in short", " ".join(each.text.split()),
                told.passages[each.item_id].interaction_id,
            )
            for each in pruned.items
        ],
    )  # fmt: skip
    left = ", ".join(f"{count:,} {reason}" for reason, count in pruned.left_out.items())
    say(f"{pruned.tokens:,} of {pruned.budget_tokens:,} tokens" + (f"; left out: {left}" if left else ""))


@app.command("reconcile")
def reconcile(
    tenant: TenantOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what differs; exit 7 when something does.")] = False,
    wait_s: WaitOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Compare the vector store with the record, object by object, and mend what is missing, left over or out of date.

    Example: pay-ready memory reconcile --tenant acme --dry-run
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.index import reconcile as run

    with opened_app() as opened:
        found = opened.tenant(tenant)
        report = run(opened.database, found.tenant_id, opened.memory, run_id=RunId(new_id()), repair=not dry_run, wait_s=wait_s)
    if as_json:
        print_json("memory_reconcile", report)
    else:
        told = report.found
        wrong = f"{told.missing:,} missing, {told.orphans:,} left over, {told.stale:,} out of date"
        say(f"{report.store}: {wrong}, of {told.passages:,} passages")
        say(f"{report.unindexed:,} passages were without a vector" + ("" if dry_run else "; all of it is mended"))
    if dry_run and not (report.found.is_equal and not report.unindexed):
        raise CheckFailedError("the tiers differ", f"pay-ready memory reconcile -t {tenant}", tenant=tenant)


@app.command("rebuild")
def rebuild(tenant: TenantOption, wait_s: WaitOption = 0.0, as_json: JsonOption = False) -> None:
    """Make every passage and what the vector store has anew from what is staged. Searches go on meanwhile.

    Example: pay-ready memory rebuild --tenant acme
    """
    from pay_ready.model.ids import RunId, new_id
    from pay_ready.pipeline.index import rebuild as run

    with opened_app() as opened, shown_progress(quiet=as_json) as progress:
        found = opened.tenant(tenant)
        report = run(opened.database, found.tenant_id, opened.memory, run_id=RunId(new_id()), wait_s=wait_s, progress=progress)
    _print_report(report, tenant, as_json=as_json)


@app.command("enable-vectors")
def enable_vectors(as_json: JsonOption = False) -> None:
    """Make the table of the configured embedder's vectors (pgvector): PAY_READY_ADMIN_DATABASE_URL. The embedded server does it itself.

    Example: pay-ready memory enable-vectors
    """
    with opened_app() as opened:
        tag = _enabled(opened)
        embedder = opened.memory_parts.embedder
    if as_json:
        print_json("vectors", {"embedder_id": embedder.id, "dimensions": embedder.dim, "embedder_tag": tag})
        return
    say(f"vectors of {embedder.id}, {embedder.dim} dimensions: table memory_vectors_{tag}")
    say("tenants whose vectors were kept as bytes move in at their next pay-ready index")


def _enabled(opened: "App") -> str:
    tag = opened.memory_parts.enable_vectors() if opened.admin_url else None
    if tag is None:
        raise UsageError("this server has no pgvector", "install the extension vector; until then vectors are compared by reading them")
    return tag


def _filters(
    entity: list[UUID] | None,
    source: list[str] | None,
    kind: list[str] | None,
    language: list[str] | None,
    since: datetime | None,
    until: datetime | None,
) -> "Filters":
    from typing import get_args

    from pay_ready.model.memory import Filters
    from pay_ready.model.staged import InteractionType

    kinds: tuple[InteractionType, ...] = get_args(InteractionType)
    if unknown := [each for each in kind or () if each not in kinds]:
        raise UsageError(f"no such type of interaction: {unknown[0]}", f"one of {', '.join(kinds)}")
    return Filters(
        entity_ids=tuple(entity or ()), sources=tuple(source or ()),
        interaction_types=tuple(each for each in kinds if each in (kind or ())),
        languages=tuple(language or ()), since=since and since.replace(tzinfo=UTC), until=until and until.replace(tzinfo=UTC),
    )  # fmt: skip


def print_index(report: "IndexReport") -> None:
    """What the step `index` did."""
    heard = report.heard
    changed = f"{heard.changes:,} changes of {heard.interactions:,} interactions"
    say(f"index: {changed}, {heard.passages:,} passages written, {heard.removed:,} removed")
    say(f"{report.vectors:,} vectors by {report.embedder_id}, in {report.elapsed_s:.1f} s")
    if report.told.interactions or report.told.failed:
        say(f"told the vector store of {report.told.interactions:,} interactions, {report.told.objects:,} passages")
    if report.is_lexical:
        say("search is lexical only: texts are found by their words, not by what they mean - pay-ready models install")
    if report.outer_away:
        say("the vector store is away: it is told the next time, until then searches ask Postgres")


def _print_report(report: "IndexReport", tenant: str, *, as_json: bool) -> None:
    if as_json:
        print_json("index", report)
    else:
        print_index(report)
    if report.told.failed:
        raise PartialError("the vector store refused some interactions", f"pay-ready memory status -t {tenant}", refused=report.told.failed)


def print_answer(answer: "SearchAnswer", tenant: str) -> None:
    """What a search found, and why it may not be all."""
    if not answer.hits:
        say("nothing found" + (f"; {answer.waiting:,} changes are not indexed yet: pay-ready index -t {tenant}" if answer.waiting else ""))
    print_table(
        ("score", "cosine", "when", "type", "source", "passage", "interaction"),
        [
            (
                f"{hit.score:.2f}", "" if hit.similarity is None else f"{hit.similarity:.2f}", f"{hit.passage.occurred_at:%Y-%m-%d %H:%M}",
                hit.passage.interaction_type, hit.passage.source, " ".join(hit.passage.chunk_text.split())[:100],
                hit.passage.interaction_id,
            )
            for hit in answer.hits
        ],
    )  # fmt: skip
    for reason in answer.reasons:
        say(f"degraded: {reason}")
