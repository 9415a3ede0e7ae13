"""`pay-ready explain`: why two are together or apart, or how one came to be."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from pay_ready.cli.entities import one_entity
from pay_ready.cli.options import JsonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.cli.waterfall import Step, Waterfall, bars, html, svg
from pay_ready.errors import UsageError

if TYPE_CHECKING:  # heavy; --help must not load it
    from pay_ready.db.tenancy import TenantTransaction
    from pay_ready.pipeline.explain import DecisionLine, EntityExplanation, LinkLine, PairExplanation, RecordLine

_PICTURES = (".svg", ".html")


def explain(
    tenant: TenantOption,
    one: Annotated[str, typer.Argument(metavar="A", help="Name, e-mail, phone, domain, or the id of a record or an entity.")],
    other: Annotated[str | None, typer.Argument(metavar="[B]", help="The other one; without it: how A came to be.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the evidence as a picture: a .svg or .html file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Why two records or entities are together or apart, bit by bit; or how an entity came to be.

    What is shown is about people: it is printed for you, and neither stored nor logged.
    Example: pay-ready explain "Jane Doe" jane@acme.example -t acme
    Example: pay-ready explain "Jane Doe" -t acme
    """
    if plot is not None and (other is None or plot.suffix not in _PICTURES):
        raise UsageError("a picture is of two, in a .svg or .html file", "give A and B, and --plot FILE.svg", plot=str(plot))
    from pay_ready.pipeline.explain import entity_id_of, explain_entity, explain_pair

    with opened_app() as opened:
        found = opened.tenant(tenant)
        region = opened.settings_of(found).staging.phone_region
        with opened.database.tenant_transaction(found.tenant_id) as tx:
            ids = [_meant(tx, each, region) for each in (one, other) if each is not None]
        config = opened.work(tenant).resolution
        if other is None:
            entity = explain_entity(opened.database, found.tenant_id, config, entity_id_of(opened.database, found.tenant_id, ids[0]))
            print_json("entity_explanation", entity) if as_json else print_entity_explanation(entity)
            return
        pair = explain_pair(opened.database, found.tenant_id, config, ids[0], ids[1])
    if plot is not None:
        _draw(plot, pair)
    if as_json:
        print_json("pair_explanation", pair)
    else:
        print_pair_explanation(pair)


def _meant(tx: "TenantTransaction", wanted: str, region: str) -> UUID:
    """The id that a text means; an id that was ever given means itself."""
    try:
        return UUID(wanted)
    except ValueError:
        return one_entity(tx, wanted, None, region).entity_id


def waterfall_of(pair: "PairExplanation") -> Waterfall:
    """The prior, and a bar for each comparison."""
    steps = [Step(name="before any evidence", bits=pair.prior_bits)]
    steps += [
        Step(name=f"{each.comparison}: {each.level.replace('_', ' ')}", bits=each.bits, left=each.left or "", right=each.right or "")
        for each in pair.evidence
    ]
    title = f"{_called(pair.left)} and {_called(pair.right)}: {pair.verdict}"
    return Waterfall(title=title, steps=steps, threshold=pair.threshold_bits)


def _draw(path: Path, pair: "PairExplanation") -> None:
    drawn = waterfall_of(pair)
    text = svg(drawn) if path.suffix == ".svg" else html(drawn, pair.remarks)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError("the picture cannot be written", "give a path in a folder that you may write to", reason=error.strerror) from None
    note(f"written: {path}")


def print_pair_explanation(pair: "PairExplanation") -> None:
    """The verdict, the bars with the values side by side, and what else there is to know."""
    say(f"{_called(pair.left)} ({pair.left.source}, {pair.left.record_id})")
    say(f"{_called(pair.right)} ({pair.right.source}, {pair.right.record_id})")
    say(f"{'together in one entity' if pair.together else 'in two entities'}; the evidence of these two: {pair.verdict}")
    print_evidence(pair)
    _print_decisions(pair.decisions)


def print_evidence(pair: "PairExplanation") -> None:
    """The bars with the values side by side, what else there is to know, and the way from one to the other."""
    drawn = waterfall_of(pair)
    rows = [(step.name, step.left, step.right, f"{step.bits:+.1f}", bar) for step, bar in zip(drawn.steps, bars(drawn), strict=True)]
    limits = f"threshold {pair.threshold_bits:.1f}, review from {pair.review_bits:.1f}"
    rows.append(("together", "", "", f"{pair.total_bits:+.1f}", limits))
    print_table(("evidence", "one", "other", "bits", "for # and against -, threshold |"), rows)
    say(f"probability {pair.probability:.4f}; model {pair.model_hash[:12]}; compared by: {', '.join(pair.compared_by) or 'nothing'}")
    for each in pair.remarks:
        say(f"- {each}")
    _print_links("held together by way of", pair.path)


def print_entity_explanation(entity: "EntityExplanation") -> None:
    """History, records and the links between them."""
    gone = "retired: its records are gone" if entity.leads_to is None else f"retired: leads to {entity.leads_to}"
    say(f"{entity.entity_type} {entity.entity_id}, minted by run {entity.minted_run_no}; {'live' if entity.records else gone}")
    rows = [
        (each.run_no, each.kind, each.published_at, each.actor, _told(entity, each.change, each.entity_id, each.other_entity_id))
        for each in entity.history
    ]
    print_table(("run", "kind", "when (UTC)", "by", "what happened"), rows)
    if entity.records:
        print_table(("record", "source", "name"), [(each.record_id, each.source, each.name) for each in entity.records])
    threshold = "" if entity.threshold_bits is None else f" (threshold {entity.threshold_bits:.1f} bits)"
    _print_links(f"held together by{threshold}, the weakest first", entity.links)
    _print_decisions(entity.decisions)


def _told(entity: "EntityExplanation", change: str, who: UUID, other: UUID | None) -> str:
    """A line of the feed as this entity saw it."""
    if who == entity.entity_id:
        return {"merged": f"merged into {other}", "split": f"split from {other}"}.get(change, change)
    return {"merged": f"{who} merged into it", "split": f"{who} split from it"}.get(change, change)


def _print_links(title: str, links: Sequence["LinkLine"]) -> None:
    if links:
        rows = [(_called(each.left), each.left.source, _called(each.right), each.right.source, f"{each.bits:+.1f}") for each in links]
        print_table(("one", "source", "other", "source", "bits"), rows, title=title)


def _print_decisions(decisions: Sequence["DecisionLine"]) -> None:
    rows = [
        (each.verdict, each.actor_type, each.actor, each.reason, "superseded" if each.superseded_at else each.status, each.made_at)
        for each in decisions
    ]
    if rows:
        print_table(("verdict", "by", "who", "why", "status", "when (UTC)"), rows, title="decisions")


def _called(record: "RecordLine") -> str:
    return record.name or "(no name)"
