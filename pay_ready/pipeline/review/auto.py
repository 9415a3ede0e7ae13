"""The automatic reviewer at work: it says what its rules say of what waits, under the same table as humans and never over them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

import numpy as np

from pay_ready.db import decisions as db_decisions
from pay_ready.db.tenancy import TenantTransaction
from pay_ready.errors import ConflictError
from pay_ready.model.resolution import ENTITY_TYPES, EntityType
from pay_ready.model.review import DecisionEvidence, NewDecision, Pair, Risk, Status, Verdict
from pay_ready.pipeline.explain import Models, WeighedRecords, weighed_records
from pay_ready.pipeline.review.desk import Desk
from pay_ready.pipeline.review.queue import Candidate, ranked
from pay_ready.resolve.auto_reviewer import REVIEWER, PairEvidence, reviewed
from pay_ready.resolve.linkage.columns import Rows
from pay_ready.resolve.linkage.people import People

_AT_ONCE = 200  # pairs in one transaction
_SWITCHBOARD = 3  # people's names; a number that so many hold is nobody's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the automatic reviewer says of a pair."""

    pair: Pair
    verdict: Verdict
    risk: Risk
    status: Status  # decided: it holds; open: it waits for a human
    evidence: DecisionEvidence


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoReport:
    """What the automatic reviewer did, or would do."""

    reviewer: str
    looked_at: int
    proposals: Sequence[Proposal]  # new, or other than what it said before
    unchanged: int  # said before
    left_to_humans: int  # a human spoke
    refused: int  # contradicted what holds
    is_dry_run: bool

    @property
    def counts(self) -> Mapping[tuple[Verdict, Risk, Status], int]:
        """Proposals by verdict, risk and status."""
        return Counter((each.verdict, each.risk, each.status) for each in self.proposals)


def review_automatically(desk: Desk, *, entity_type: EntityType | None = None, most: int = 500, dry_run: bool = False) -> AutoReport:
    """Go over the pairs most worth asking about.

    Args:
        desk: Whose tenant, and by which rules of the team.
        entity_type: People or companies alone.
        most: Pairs to look at.
        dry_run: Write nothing.

    Raises:
        ConflictError: The models in use were trained under other settings.
    """
    with desk.database.tenant_transaction(desk.tenant) as tx:
        models = desk.models(tx)
    tally: Counter[str] = Counter()
    proposals: list[Proposal] = []
    candidates = ranked(desk, entity_type, most, every_pair=True)
    for each in ENTITY_TYPES:
        for part in _parts([one for one in candidates if one.pair.entity_type == each]):
            found = [_proposal(desk, evidence, pair) for pair, evidence in _evidence(desk, models, each, part)]
            proposals += _said(desk, found, tally, dry_run=dry_run)
    return AutoReport(
        reviewer=REVIEWER, looked_at=len(candidates), proposals=proposals, unchanged=tally["unchanged"], left_to_humans=tally["human"],
        refused=tally["refused"], is_dry_run=dry_run,
    )  # fmt: skip


def _parts(candidates: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    rest = iter(candidates)
    while part := list(islice(rest, _AT_ONCE)):
        yield part


def _proposal(desk: Desk, evidence: PairEvidence, pair: Pair) -> Proposal:
    finding = reviewed(evidence)
    holds = desk.rules.agent_decides and finding.risk == "low" and finding.verdict != "unsure"
    return Proposal(
        pair=pair, verdict=finding.verdict, risk=finding.risk, status="decided" if holds else "open", evidence=finding.evidence(evidence)
    )


def _evidence(desk: Desk, models: Models, entity_type: EntityType, candidates: Sequence[Candidate]) -> Iterator[tuple[Pair, PairEvidence]]:
    """Levels and bits of the pairs by the model in use; of records that are gone none."""
    ids = sorted({record for each in candidates for record in (each.pair.left_id, each.pair.right_id)})
    rows = weighed_records(desk.database, desk.tenant, entity_type, models, desk.resolution, ids)
    row_of: Mapping[UUID, int] = {record: row for row, record in enumerate(rows.ids)}
    known = [each for each in candidates if each.pair.left_id in row_of and each.pair.right_id in row_of]
    if not known:
        return
    left = np.array([row_of[each.pair.left_id] for each in known])
    right = np.array([row_of[each.pair.right_id] for each in known])
    compared, weighed = rows.pairs(left, right)
    roles, numbers = _contacts(desk, rows, left, right)
    for at, each in enumerate(known):
        levels = {name: rows.model.levels[name][int(compared[name].levels[at])] for name in weighed.by_comparison}
        bits = {name: int(millibits[at]) / 1_000 for name, millibits in weighed.by_comparison.items()}
        yield (
            each.pair,
            PairEvidence(
                entity_type=entity_type, levels=levels, bits=bits, total_bits=int(weighed.total[at]) / 1_000,
                threshold_bits=rows.model.threshold_millibits / 1_000, stake=each.stake, same_role_address=roles[at],
                same_phone=numbers[at] > 0, shared_phone=numbers[at] >= _SWITCHBOARD,
            ),
        )  # fmt: skip


def _contacts(desk: Desk, rows: WeighedRecords, left: Rows, right: Rows) -> tuple[list[bool], list[int]]:
    """By pair of people: whether they have one address of a function, and how many names hold the number that both have (0: none)."""
    records = rows.records
    if not isinstance(records, People):
        return [False] * len(left), [0] * len(left)
    emails = rows.staged.column("email").to_pylist()
    numbers, holders = records.phones.ids, records.phone_names
    roles, shared = [], []
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        user = (emails[one] or "").partition("@")[0].rstrip("0123456789")
        roles.append(bool(emails[one]) and emails[one] == emails[other] and user in desk.resolution.role_local_parts)
        shared.append(int(holders[numbers[one]]) if numbers[one] >= 0 and numbers[one] == numbers[other] else 0)
    return roles, shared


def _said(desk: Desk, found: Sequence[Proposal], tally: Counter[str], *, dry_run: bool) -> list[Proposal]:
    """Write what is new; where a human spoke, nothing."""
    made: list[Proposal] = []
    with desk.database.tenant_transaction(desk.tenant) as tx:
        moment = db_decisions.lock(tx)
        for each in found:
            spoken = db_decisions.current(tx, each.pair)
            before = spoken.get("agent")
            if "human" in spoken:
                tally["human"] += 1
            elif before and (before.verdict, before.status, before.actor, before.evidence) == (
                each.verdict,
                each.status,
                REVIEWER,
                each.evidence,
            ):
                tally["unchanged"] += 1
            elif dry_run or _written(tx, each, moment, tally):
                made.append(each)
    return made


def _written(tx: TenantTransaction, each: Proposal, moment: datetime, tally: Counter[str]) -> bool:
    new = NewDecision(
        pair=each.pair, verdict=each.verdict, actor=REVIEWER, actor_type="agent", reason=each.evidence.reasons[0], risk=each.risk,
        evidence=each.evidence,
    )  # fmt: skip
    try:
        db_decisions.make(tx, new, status=each.status, moment=moment)
    except ConflictError:
        tally["refused"] += 1
        return False
    return True
