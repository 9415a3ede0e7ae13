"""The model's part in one tenant's questions. It fails towards the offline answer: what comes back is always a plan, or a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from pay_ready.agent.extract import Line
from pay_ready.agent.llm.calling import AsksModel
from pay_ready.agent.llm.evidence import AnswerSection, Mask, evidence_of
from pay_ready.agent.llm.options import Spent
from pay_ready.agent.llm.planner import planned
from pay_ready.agent.llm.wording import worded
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import QueryPlan
from pay_ready.errors import PayReadyError
from pay_ready.model.ids import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistedPlan:
    """The plan to go on with; `reason` says why it is the rules' one, and is empty where it is the model's."""

    plan: QueryPlan
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistedAnswer:
    """The lines to put above the offline answer; none, with the reason, where that stands alone."""

    lines: tuple[Line, ...] = ()
    reason: str = ""


class Assistant:
    """The model's part in the questions of one tenant."""

    def __init__(self, model: AsksModel, tenant: TenantId) -> None:
        self._model, self._tenant = model, tenant

    def plan(
        self, question: str, offline: QueryPlan, *, today: date, names: NameIndex, sources: Sequence[str], spent: Spent | None = None
    ) -> AssistedPlan:
        """The model's plan, where it can be followed; else the rules' one.

        Args:
            question: As asked.
            offline: How rules read it.
            today: The tenant's day.
            names: Of the tenant; no model sees them.
            sources: The tenant's own, by name.
            spent: Of this question; the same one goes to `word`.
        """
        try:
            made = planned(self._model, self._tenant, question, today=today, names=names, sources=sources, spent=spent or Spent())
        except PayReadyError as error:
            return AssistedPlan(plan=offline, reason=f"read by rules alone: {error.what}")
        # A draft knows neither the interaction on the screen nor two periods: where rules got further, theirs counts.
        if made.state != "ready" and offline.state == "ready":
            return AssistedPlan(plan=offline, reason="read by rules: the language model's plan lacks something")
        return AssistedPlan(plan=made)

    def word(self, question: str, sections: Iterable[AnswerSection], mask: Mask, *, spent: Spent | None = None) -> AssistedAnswer:
        """The answer in the model's words, every line checked; or why there is none.

        Args:
            question: As asked, or as it was read.
            sections: Of the offline answer.
            mask: What personal values become before they leave.
            spent: Of this question.
        """
        evidence = evidence_of(sections, mask, self._model.options.most_evidence)
        if not evidence:
            return AssistedAnswer()
        try:
            made = worded(self._model, self._tenant, question, evidence, mask=mask, spent=spent or Spent())
        except PayReadyError as error:
            return AssistedAnswer(reason=f"worded without a language model: {error.what}")
        if not made.lines:
            left = f"none of its {made.rejected} sentences is borne out" if made.rejected else "it found no answer in the evidence"
            return AssistedAnswer(reason=f"worded without a language model: {left}")
        left_out = f"{made.rejected} sentences of the language model were left out: no evidence bears them out" if made.rejected else ""
        return AssistedAnswer(lines=made.lines, reason=left_out)
