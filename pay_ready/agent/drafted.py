"""A plan out of what a model said of a question: its names are linked here, so that no model sees or chooses an id."""

from collections.abc import Sequence

from pay_ready.agent.asking import Read, asked
from pay_ready.agent.name_links import NameLink, Names, link_names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import PlanDraft, QueryPlan
from pay_ready.agent.reading import entities_of

_CONFIDENCE = 0.7  # a model says no probability that could be trusted


def plan_of_draft(draft: PlanDraft, names: NameIndex, sources: Sequence[str] = ()) -> QueryPlan:
    """The draft as a plan, with the same questions back as one that rules read.

    Args:
        draft: As the model gave it, validated.
        names: Of the tenant.
        sources: The tenant's own; where they are given, others are not understood.
    """
    text, found = _linked((*draft.names, *draft.participants), names)
    about = len("; ".join(f"with {name}" for name in draft.names))
    known = {name.lower(): name for name in sources}
    taken = tuple(known.get(name.lower(), name) for name in draft.sources if not known or name.lower() in known)
    plan = QueryPlan(
        intent=draft.intent,
        entities=entities_of([link for link in found.links if link.begin < about]),
        participants=entities_of([link for link in found.links if link.begin >= about]),
        time_range=draft.time_range,
        sources=taken,
        interaction_types=draft.interaction_types,
        languages=draft.languages,
        grouping=draft.grouping,
        limit=draft.limit,
        words=draft.words,
        confidence=_CONFIDENCE,
        read_by="model",
        not_understood=tuple(name for name in draft.sources if known and name.lower() not in known),
    )
    return asked(plan, Read(text, found, at_home=True))


def _linked(wanted: Sequence[str], names: NameIndex) -> tuple[str, Names]:
    """The names in a row, as one text, with whom they mean; a name that links nobody is unknown, however it is written."""
    text, links, unknown = "", list[NameLink](), list[tuple[int, int]]()
    for name in wanted:
        text += "; with " if text else "with "
        found = [link for link in link_names(f"with {name}", names).links if link.end - link.begin >= len(name.strip()) // 2]
        links += [_moved(link, len(text) - len("with ")) for link in found]
        if not found:
            unknown.append((len(text), len(text) + len(name)))
        text += name
    return text, Names(tuple(links), tuple(unknown))


def _moved(link: NameLink, by: int) -> NameLink:
    return NameLink(
        begin=link.begin + by, end=link.end + by, words=link.words, score=link.score, candidates=link.candidates, tied=link.tied
    )
