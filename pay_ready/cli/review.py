"""`pay-ready review`: what waits for a decision, and what was decided."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from pay_ready.cli.options import JsonOption, ReasonOption, TenantOption, opened_app
from pay_ready.cli.output import note, print_json, print_table, say
from pay_ready.errors import NotFoundError, UsageError

if TYPE_CHECKING:  # heavy; --help must not load them
    from pay_ready.app import App
    from pay_ready.db.review import EntitySize
    from pay_ready.db.tenancy import TenantTransaction
    from pay_ready.model.review import Decision, Pair
    from pay_ready.pipeline.review.auto import AutoReport
    from pay_ready.pipeline.review.queue import Candidate, Item
    from pay_ready.pipeline.review.stats import ReviewStats
    from pay_ready.resolve.agreement import Agreement, Share

app = typer.Typer(
    help="Decide about pairs of records: people who review, an automatic reviewer, and how far they agree.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip
EntityType = Literal["person", "company"]
Verdict = Literal["match", "no_match", "unsure"]
Status = Literal["open", "decided", "escalated", "appealed"]
TypeOption = Annotated[EntityType | None, typer.Option("--type", help="People or companies alone.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
OverruleOption = Annotated[bool, typer.Option("--overrule", help="Whoever spoke before; needs a --reason.")]
LeftArgument = Annotated[str, typer.Argument(metavar="LEFT", help="Id of a record (or its first 8 letters), or a name, e-mail, domain.")]
RightArgument = Annotated[str, typer.Argument(metavar="RIGHT", help="The other one, said in the same ways.")]
_LEAST_PREFIX = 8  # hexadecimal digits
_ID_DIGITS = 32
_POOLED = 1  # connection; another one reads records in bulk


@app.command("next")
def next_pair(
    tenant: TenantOption,
    entity_type: TypeOption = None,
    limit: Annotated[int | None, typer.Option(min=1, max=1_000, help="So many pairs at most; with --json 1, else no limit.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Review one pair after the other, most worth asking first, by single keys: y n u, space, z, w, e, m, q, ? for help.

    Each pair is yours alone for review.lease_minutes. Where standard input is no terminal, a line is an answer.
    With --json the next pairs are printed, for a program that answers with `review decide`.
    Example: pay-ready review next -t acme
    Example: pay-ready review next -t acme --json --limit 5
    """
    from pay_ready.cli.review_session import Session
    from pay_ready.pipeline.review.queue import Queue

    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        queue = Queue(desk, entity_type)
        if not as_json:
            Session(desk, queue, limit or 1_000_000).run()
            return
        items: list[Item] = []
        while len(items) < (limit or 1) and (item := queue.next()) is not None:
            items.append(item)
    print_json("review_items", items)


@app.command("list")
def list_all(
    tenant: TenantOption,
    queue: Annotated[bool, typer.Option("--queue", help="What waits, instead of what was decided.")] = False,
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only this verdict.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only this reviewer.")] = None,
    actor_type: Annotated[Literal["human", "agent"] | None, typer.Option(help="Only people, or only the automatic reviewer.")] = None,
    context: Annotated[str | None, typer.Option(help="Only from here: review, gold, undo …")] = None,
    entity: Annotated[str | None, typer.Option(help="Only made about this person or company: an id, a name …")] = None,
    entity_type: TypeOption = None,
    since: Annotated[str | None, typer.Option(help="From this day on (2026-01-31).")] = None,
    history: Annotated[bool, typer.Option("--history", help="Superseded and withdrawn ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List decisions, newest first; or with --queue the pairs that wait, most worth asking first.

    Example: pay-ready review list -t acme --queue
    Example: pay-ready review list -t acme --status escalated
    """
    from pay_ready.db import decisions as db_decisions
    from pay_ready.db import resolution as db_resolution
    from pay_ready.pipeline.review.queue import ranked

    if queue and (history or since or any((status, verdict, actor, actor_type, context, entity))):
        raise UsageError("what waits is nobody's word yet", "with --queue say --type and --limit alone")
    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        if queue:
            waiting = ranked(desk, entity_type, limit)
            print_json("review_queue", waiting) if as_json else _print_queue(waiting)
            return
        region = opened.settings_of(opened.tenant(tenant)).staging.phone_region
        with desk.database.tenant_transaction(desk.tenant) as tx:
            wanted = db_decisions.DecisionFilter(
                with_superseded=history, verdict=verdict, status=status, actor=actor, actor_type=actor_type, context=context,
                entity_type=entity_type, entity_id=_entity(tx, entity, region) if entity else None, since=_day(since), most=limit,
            )  # fmt: skip
            found = db_decisions.listed(tx, wanted)
            names = db_resolution.golden_names(tx, {each.entity_id for each in found if each.entity_id})
    if as_json:
        print_json("decisions", found)
        return
    _print_decisions(found, names)


@app.command()
def decide(
    tenant: TenantOption,
    left: LeftArgument,
    right: RightArgument,
    verdict: Annotated[Verdict, typer.Argument(help="match, no_match or unsure.")],
    reason: ReasonOption = None,
    context: Annotated[str, typer.Option(help="Where the decision comes from.")] = "review",
    overrule: OverruleOption = False,
    entity_type: TypeOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say of two records that they are one, or two; every later run honours it.

    Exit 6 when another reviewer decided the pair or has it before him, and when it contradicts other decisions: the path is told.
    Example: pay-ready review decide 1c9f6a0e 5b21d7c4 no_match -t acme --reason "father and son"
    Example: pay-ready review decide "Jane Doe" jane@acme.example match -t acme
    """
    from pay_ready.pipeline.review.words import decide as say_of_pair

    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        pair = _pair(opened, tenant, left, right, entity_type)
        said = say_of_pair(desk, pair, verdict, reason=reason, context=context, overrule=overrule, dry_run=dry_run)
    if as_json:
        print_json("decision", {**_plain(said.decision), "is_new": said.is_new, "is_dry_run": dry_run})
        return
    if not said.is_new:
        say(f"said already: {_told(said.decision)}")
        return
    waits = {"open": ", and waits for a second reviewer", "escalated": ", and reviewers disagree: a third one settles it"}
    say(f"{'would be kept' if dry_run else 'kept'}: {_told(said.decision)}{waits.get(said.decision.status, '')}")
    if not dry_run:
        note(
            f"it holds from the next run on: pay-ready resolve -t {tenant}; take it back: pay-ready review undo {said.decision.decision_id}"
        )


@app.command()
def undo(
    tenant: TenantOption,
    decision: Annotated[str | None, typer.Argument(help="Id, as `review list` prints it; or say --last.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Your own last one.")] = False,
    reason: ReasonOption = None,
    overrule: OverruleOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take back a decision. It stays in the log; what it had taken over from is said again, unless it contradicts what was said since.

    Example: pay-ready review undo --last -t acme
    """
    from pay_ready.pipeline.review.words import undo as take_back

    if (decision is None) == (not last):
        raise UsageError("which decision?", "give its id, or say --last", decision=decision)
    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        done = take_back(desk, None if decision is None else _id(decision), reason=reason, overrule=overrule, dry_run=dry_run)
    if as_json:
        restored = None if done.restored is None else _plain(done.restored)
        print_json("undone", {"decision": _plain(done.decision), "restored": restored, "is_new": done.is_new, "is_dry_run": dry_run})
        return
    if not done.is_new:
        say(f"taken back already: {_told(done.decision)}")
        return
    holds = f"; {done.restored.verdict} of {done.restored.actor} holds again" if done.restored else "; nothing takes its place"
    say(f"{'would be taken back' if dry_run else 'taken back'}: {_told(done.decision)}{holds}")


@app.command()
def escalate(
    tenant: TenantOption,
    left: LeftArgument,
    right: RightArgument,
    reason: ReasonOption = None,
    entity_type: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hand a pair that nobody decided on to somebody who knows more. Example: pay-ready review escalate LEFT RIGHT -t acme"""
    from pay_ready.pipeline.review.words import escalate as hand_on

    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        said = hand_on(desk, _pair(opened, tenant, left, right, entity_type), reason=reason)
    if as_json:
        print_json("decision", {**_plain(said.decision), "is_new": said.is_new, "is_dry_run": False})
    else:
        say(f"{'escalated' if said.is_new else 'escalated already'}: {_told(said.decision)}")


@app.command()
def appeal(
    tenant: TenantOption,
    left: LeftArgument,
    right: RightArgument,
    reason: Annotated[str, typer.Option(help="What is wrong with it; kept in the audit.")],
    entity_type: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Object to a decision: it holds on, and waits for a new one. Example: pay-ready review appeal LEFT RIGHT -t acme --reason "moved" """
    from pay_ready.pipeline.review.words import appeal as object_to

    with opened_app(most_connections=_POOLED) as opened:
        desk = opened.desk(tenant)
        said = object_to(desk, _pair(opened, tenant, left, right, entity_type), reason=reason)
    if as_json:
        print_json("decision", {**_plain(said.decision), "is_new": said.is_new, "is_dry_run": False})
    else:
        say(f"{'appealed' if said.is_new else 'appealed already'}: {_told(said.decision)}")


@app.command()
def stats(tenant: TenantOption, as_json: JsonOption = False) -> None:
    """How much was said by whom, how far reviewers agree, and how right the links are as far as decisions tell.

    Example: pay-ready review stats -t acme
    """
    from pay_ready.pipeline.review.stats import review_stats

    with opened_app(most_connections=_POOLED) as opened:
        found = review_stats(opened.desk(tenant))
    print_json("review_stats", found) if as_json else _print_stats(found)


@app.command()
def auto(
    tenant: TenantOption,
    entity_type: TypeOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Pairs to look at, most worth asking first.")] = 500,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let the automatic reviewer say what its rules say of the pairs that wait; never over a human's word.

    A verdict at low risk holds (review.agent_decides), the others wait for a human as proposals.
    Example: pay-ready review auto -t acme --dry-run
    """
    from pay_ready.pipeline.review.auto import review_automatically

    with opened_app(most_connections=_POOLED) as opened:
        report = review_automatically(opened.desk(tenant), entity_type=entity_type, most=limit, dry_run=dry_run)
    print_json("review_auto", report) if as_json else _print_auto(report)


def _print_queue(waiting: Sequence["Candidate"]) -> None:
    rows = [
        (each.pair.entity_type, each.pair.left_id, each.pair.right_id, each.why, each.value, each.weight_bits, _size(each.left),
         "the same" if each.together else _size(each.right))
        for each in waiting
    ]  # fmt: skip
    print_table(("type", "left", "right", "why", "value", "bits", "one", "other"), rows, title=f"{len(rows)} wait")
    if rows:
        say("next: pay-ready review next, or: review decide LEFT RIGHT match|no_match|unsure")


def _size(size: "EntitySize | None") -> str:
    return "" if size is None else f"{size.name or '(no name)'}, {size.records} records, {size.interactions} interactions"


def _print_decisions(found: Sequence["Decision"], names: dict[UUID, str]) -> None:
    rows = [
        (each.decision_id, each.entity_type, str(each.left_id)[:_LEAST_PREFIX], str(each.right_id)[:_LEAST_PREFIX], each.verdict,
         "superseded" if each.superseded_at else each.status, each.actor, each.context, each.reason, each.made_at,
         names.get(each.entity_id, "") if each.entity_id else "")
        for each in found
    ]  # fmt: skip
    print_table(("decision", "type", "left", "right", "verdict", "status", "who", "context", "why", "when (UTC)", "about"), rows)


def _print_stats(found: "ReviewStats") -> None:
    print_table(
        ("by", "who", "status", "verdict", "decisions"),
        [(each.actor_type, each.actor, each.status, each.verdict, each.decisions) for each in found.counts],
    )
    agreements = [("double review, first and second", found.double_review)]
    agreements += [(f"{actor}, pairs decided before (gold)", each) for actor, each in found.gold.items()]
    agreements += [(f"{each.actor} and humans", each.agreement) for each in found.agents]
    print_table(("agreement", "pairs", "agreed", "kappa", ""), [(name, *_agreement(each)) for name, each in agreements])
    for agent in found.agents:
        risks = ", ".join(f"{risk} {agreed} of {asked}" for risk, (asked, agreed) in agent.by_risk.items())
        say(f"{agent.actor}: {agent.overridden} overridden by a human, {agent.unsure} unsure; agreed at risk {risks or 'none yet'}")
    if found.runs:
        rows = [(each.entity_type, each.run_no, each.model_version, *_share(each.precision)) for each in found.runs]
        print_table(
            ("type", "run", "model", "right", "asked", "precision", "from", "to (95 %)"), rows, title=f"precision {found.asked_sample}"
        )
    if found.models:
        models = [
            (each.entity_type, each.model_version, *_share(each.precision), *(_share(each.by_band)[2:] if each.by_band else ("", "", "")),
             "" if each.unseen is None else f"{each.unseen:.0%}")
            for each in found.models
        ]  # fmt: skip
        heads = ("type", "model", "right", "asked", "precision", "from", "to (95 %)", "of all links", "from", "to", "links not covered")
        print_table(heads, models, title=f"of all links: {found.band_sample}")


def _agreement(each: "Agreement") -> tuple[object, ...]:
    return each.pairs, each.agreed, "" if each.kappa is None else f"{each.kappa:.3f}", each.remark


def _share(each: "Share") -> tuple[object, ...]:
    value = "" if each.value is None else f"{each.value:.3f}"
    return round(each.right), round(each.seen), value, f"{each.low:.3f}", f"{each.high:.3f}"


def _print_auto(report: "AutoReport") -> None:
    rows = [(verdict, risk, status, count) for (verdict, risk, status), count in sorted(report.counts.items())]
    print_table(("verdict", "risk", "status", "pairs"), rows)
    rest = f"{report.unchanged} said before, {report.left_to_humans} left to humans, {report.refused} refused as contradictions"
    done = "nothing was written" if report.is_dry_run else "take one back: pay-ready review undo DECISION"
    say(f"{report.reviewer} looked at {report.looked_at} pairs: {len(report.proposals)} verdicts, {rest}; {done}")


def _pair(opened: "App", tenant: str, left: str, right: str, entity_type: "EntityType | None") -> "Pair":
    """The two records that are meant. Of an entity the record that has most in common with the other side.

    Raises:
        NotFoundError, UsageError: As `one_entity`, or the two are of two types.
    """
    from pay_ready.model.review import Pair
    from pay_ready.pipeline.explain import explain_pair

    found = opened.tenant(tenant)
    region = opened.settings_of(found).staging.phone_region
    with opened.database.tenant_transaction(found.tenant_id) as tx:
        one, other = (_meant(tx, each, entity_type, region) for each in (left, right))
    if one[1] == other[1]:
        raise UsageError("the two are one", "give two of its records by their ids: pay-ready people NAME --json", left=left, right=right)
    if one[0] is not None and other[0] is not None:
        if one[0] != other[0]:
            raise UsageError("a person and a company are not compared", "give two people or two companies", left=left, right=right)
        return Pair.of(one[0], one[1], other[1])
    pair = explain_pair(opened.database, found.tenant_id, opened.work(tenant).resolution, one[1], other[1])
    return Pair.of(pair.entity_type, pair.left.record_id, pair.right.record_id)


def _meant(tx: "TenantTransaction", text: str, entity_type: "EntityType | None", region: str) -> "tuple[EntityType | None, UUID]":
    """A record with its type, or an entity with None."""
    from pay_ready.cli.entities import one_entity
    from pay_ready.db import review as db_review

    digits = text.replace("-", "").lower()
    if len(digits) < _LEAST_PREFIX or len(digits) > _ID_DIGITS or set(digits) - set("0123456789abcdef"):
        return None, one_entity(tx, text, entity_type, region).entity_id
    low, high = (UUID(hex=digits.ljust(_ID_DIGITS, filling)) for filling in "0f")
    records = [each for each in db_review.records_between(tx, low, high, 3) if entity_type in (each[0], None)]
    if len(records) > 1:
        raise UsageError("several records begin so", "give more letters of the id", given=text)
    if records:
        return records[0]
    if len(digits) == _ID_DIGITS:
        return None, one_entity(tx, text, entity_type, region).entity_id
    raise NotFoundError("no record begins so", "list an entity's: pay-ready people NAME --json", given=text)


def _entity(tx: "TenantTransaction", text: str, region: str) -> UUID:
    """The entity that is meant; a retired id means itself, for decisions were made about it."""
    from pay_ready.cli.entities import one_entity

    try:
        return UUID(text)
    except ValueError:
        return one_entity(tx, text, None, region).entity_id


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("not a day", "write it like 2026-01-31", option="--since", given=text) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _plain(decision: "Decision") -> dict[str, object]:
    from pay_ready.cli.output import as_plain

    return dict(as_plain(decision))


def _told(decision: "Decision") -> str:
    return f"{decision.entity_type} {decision.left_id} and {decision.right_id}: {decision.verdict} ({decision.actor}, {decision.status})"


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError("not an id", "copy one from: pay-ready review list", given=text) from None
