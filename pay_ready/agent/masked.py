"""Plans and typed results with personal values masked, before anything is rendered or cut: then no form of them has to be."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from pay_ready.agent.asking import which
from pay_ready.agent.masking import Masker
from pay_ready.agent.plan import EntityRef, PlanEntity, QueryPlan, TimeRange
from pay_ready.agent.safe_text import plain
from pay_ready.agent.summary import Summary

T = TypeVar("T")
# Of these fields the values are ours, or ids: nothing in them is anybody's, and programs compare them.
_KEPT = frozenset({
    "interaction_type", "source", "bucket", "grouping", "entity_type", "side", "trend", "direction", "scorer_id", "mark", "basis",
    "kind", "outcome", "found_by", "next_token", "finding_id", "tracker_id", "scorecard_id", "labels", "language", "tiers", "embedder_id",
    "external_id", "zone", "averages", "scorecards",
})  # fmt: skip
_SMALL = ("title", "label")  # may be in small letters whatever they were


def masked(value: T, mask: Masker) -> T:
    """The value with every text of others in it plain and masked; ids, numbers, times and keys stay.

    Args:
        value: What a tool gave: dataclasses, mappings, sequences of them. The same type comes back.
        mask: The tenant's.
    """
    return value if mask.policy == "none" else _masked(value, mask, "", small=False)


def masked_plan(plan: QueryPlan, mask: Masker) -> QueryPlan:
    """How a question was read, for showing: whom it names as tokens, also where the name was mistyped, and the rest masked.

    What the asker wrote comes back as far as it names nobody that is known.
    """
    if mask.policy == "none":
        return plan
    hides = mask.policy == "all"
    people = {
        field: tuple(_masked_entity(each, mask, hides=hides) for each in getattr(plan, field)) for field in ("entities", "participants")
    }
    tied = next((each for each in (*people["entities"], *people["participants"]) if each.ties), None)
    back = which(tied) if tied and plan.state == "asks" else _masked_question(plan, mask, hides=hides)
    return plan.model_copy(
        update={
            **people, "words": mask(plan.words), "not_understood": tuple(map(mask, plan.not_understood)), "question_back": back,
            "time_range": _masked_range(plan.time_range, mask) if plan.time_range else None,
            "periods": tuple(_masked_range(each, mask) for each in plan.periods),
            "suggested": _masked_ref(plan.suggested, mask, hides=hides) if plan.suggested else None,
        }
    )  # fmt: skip


def _masked(value: T, mask: Masker, name: str, *, small: bool) -> T:
    if name in _KEPT:
        return value
    if isinstance(value, str):
        return (mask.label if small or name in _SMALL else mask)(plain(value))  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        now = {each.name: getattr(value, each.name) for each in fields(value)}
        labels = ("topics",) if isinstance(value, Summary) else ()
        changed = {
            key: made for key, inner in now.items() if (made := _masked(inner, mask, key, small=small or key in labels)) is not inner
        }
        return replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        return {key: _masked(inner, mask, str(key), small=small) for key, inner in value.items()}  # type: ignore[return-value]
    if isinstance(value, list | tuple):
        made = [_masked(inner, mask, name, small=small) for inner in value]
        return tuple(made) if isinstance(value, tuple) else made  # type: ignore[return-value]
    return value


def _masked_entity(entity: PlanEntity, mask: Masker, *, hides: bool) -> PlanEntity:
    ties = tuple(_masked_ref(each, mask, hides=hides) for each in entity.ties)
    update: dict[str, object] = {"name": mask(entity.name), "words": mask(entity.words), "detail": mask(entity.detail), "ties": ties}
    if hides:
        # Mistyped, or half a name: what was written means them, whatever the mask would make of it.
        token = mask.token(entity.entity_type, str(entity.id) if entity.id else f"name {entity.words.casefold()}")
        update |= {"name": token, "words": token}
    return entity.model_copy(update=update)


def _masked_ref(ref: EntityRef, mask: Masker, *, hides: bool) -> EntityRef:
    name = mask.token(ref.entity_type, str(ref.id)) if hides else mask(ref.name)
    return ref.model_copy(update={"name": name, "detail": mask(ref.detail)})


def _masked_question(plan: QueryPlan, mask: Masker, *, hides: bool) -> str:
    back = plan.question_back
    if hides and plan.suggested:
        back = back.replace(plan.suggested.name, mask.token(plan.suggested.entity_type, str(plan.suggested.id)))
    return mask(back)


def _masked_range(days: TimeRange, mask: Masker) -> TimeRange:
    return days.model_copy(update={"words": mask(days.words)})
