"""A question as a plan, offline: names, then times, then filters, then what is asked. Pure, and the same for the same question."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from pay_ready.agent.asking import Read, asked, entity_ref
from pay_ready.agent.calendars import Calendar, Days
from pay_ready.agent.date_words import plain
from pay_ready.agent.dates import ReadRange, mask, read_ranges
from pay_ready.agent.filters import ReadFilters, read_filters, source_places
from pay_ready.agent.intent_model import Classified
from pay_ready.agent.intent_rules import COMPANY, PERSON, ReadIntent, asks_to_act, intent_by_rules
from pay_ready.agent.name_forms import name_words
from pay_ready.agent.name_links import NameLink, Names, link_names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import Intent, PlanEntity, QueryPlan, TimeRange
from pay_ready.agent.search_words import not_placed, search_words

Place = tuple[int, int]
Classify = Callable[[str], Classified]  # of a masked question
LONGEST_QUESTION = 2_000  # characters; the rest is not read
_BESIDE_A_NAME = 3  # words with which a name still stands alone
_SURE_ABROAD = 0.55  # the least probability where nothing else shows that it is about customers
_SURE = 0.7  # from here on a rule needs no second opinion, if the question is about customers
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_WITH = re.compile(
    r"\b(?:with|by|involving|including|attended by|hosted by|led by|joined by|between) (?:[\u25c6]+(?:,| and|, and| or) )*$", re.IGNORECASE
)
_AT = re.compile(r" (?:at|from|of) (?:the )?", re.IGNORECASE)
_SAID = re.compile(r"\b(?:say|said|tell|told|discuss|discussed|talk|talked)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How a tenant's questions are read."""

    calendar: Calendar = field(default_factory=Calendar)
    sources: tuple[str, ...] = ()  # the tenant's own, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRead:
    """A question read by itself, and what a question before it may need to know of it."""

    plan: QueryPlan
    read: Read
    masked: str  # names are anybody's, times are gone
    rest: str  # words that name nobody, no time and no filter
    interaction: UUID | None  # that it names by its id


def read_question(
    question: str,
    names: NameIndex,
    today: date,
    options: ReadingOptions | None = None,
    classify: Classify | None = None,
    shown: UUID | None = None,
) -> QueryPlan:
    """The plan of a question that stands alone; see `question_read`."""
    return question_read(question, names, today, options, classify, shown).plan


def question_read(
    question: str,
    names: NameIndex,
    today: date,
    options: ReadingOptions | None = None,
    classify: Classify | None = None,
    shown: UUID | None = None,
) -> QuestionRead:
    """A question read by itself; never raises, whatever the text.

    Args:
        question: As asked; read up to `LONGEST_QUESTION` characters.
        names: Of the tenant.
        today: The tenant's day (`Calendar.today`).
        options: Calendar and sources of the tenant.
        classify: Asked where no rule is sure, with the question without its names and times; None to do without.
        shown: The interaction that "this call" means.
    """
    options = options or ReadingOptions()
    text = plain(question[:LONGEST_QUESTION])
    sources = [each for each in source_places(text, options.sources) if not _is_company(text, each[0], names)]
    ids = [match.span() for match in _UUID.finditer(text)]
    found = link_names(text, names, [*(place for place, _ in sources), *ids])
    linked = [(link.begin, link.end) for link in found.links]
    times = read_ranges(text, today, options.calendar, [*linked, *found.unknown, *ids])
    taken = [*linked, *found.unknown, *ids, *(each.place for each in times)]
    unplaced = not_placed(text, taken)
    filters = read_filters(mask(text, [*taken, *(place for place, _ in unplaced)]), sources)
    intent, read_by = _intent(text, found, times, classify)
    similar_to = UUID(text[slice(*ids[0])]) if ids else shown
    places = [*taken, *filters.places, *(place for place, _ in unplaced)]
    plan = _plan(text, found, times, filters, intent, read_by, similar_to, places)
    missed = _missed(times, filters, plan) + [words for _, words in unplaced]
    read = Read(text, found, intent.at_home)
    return QuestionRead(
        plan=asked(plan.model_copy(update={"not_understood": tuple(each[:500] for each in missed)}), read), read=read,
        masked=masked_question(text, found, [each.place for each in times]), rest=search_words(text, places, all_of_it=True),
        interaction=UUID(text[slice(*ids[0])]) if ids else None,
    )  # fmt: skip


def _is_company(text: str, place: Place, names: NameIndex) -> bool:
    """Whether "Slack" is a customer here: "with Slack" is, where the tenant has one of that name, "from Slack" is not."""
    before = text[: place[0]].rstrip().rpartition(" ")[2].lower()
    return before in ("with", "at", "for", "about") and names.find(text[slice(*place)].lower()) is not None


def _intent(text: str, found: Names, times: Sequence[ReadRange], classify: Classify | None) -> tuple[ReadIntent, str]:
    places = [each.place for each in times]
    masked = masked_question(text, found, places)
    # A name that nobody has does not show that the question is about customers.
    read = intent_by_rules(_without(text, found, places), timed=bool(times))
    if read.intent and read.at_home and read.confidence >= _SURE:
        return read, "rules"
    if classify:
        second = classify(masked)
        if second.intent is None and not found.links:
            return ReadIntent(None, second.confidence, read.at_home), "classifier"
        if second.intent and not (read.at_home or found.links) and second.confidence < _SURE_ABROAD:
            return ReadIntent(None, second.confidence, at_home=False), "classifier"
        if second.intent and (read.intent is None or not read.at_home):
            return ReadIntent(second.intent, second.confidence, at_home=True), "classifier"
    elif read.intent and not read.at_home:
        return ReadIntent(None, 0.0, at_home=False), "none"
    return read, "rules" if read.intent else "none"


def _without(text: str, found: Names, times: Sequence[Place]) -> str:
    return masked_question(text, found, times, unknown="Somebody")


def masked_question(text: str, found: Names, times: Sequence[Place], unknown: str = COMPANY) -> str:
    """The question as rules and classifier see it: a name is anybody's, a time is gone."""
    stands: list[tuple[Place, str]] = [(place, "") for place in times]
    stands += [((link.begin, link.end), PERSON if _is_person(link) else COMPANY) for link in found.links]
    stands += [(place, unknown) for place in found.unknown]
    for (begin, end), word in sorted(stands, reverse=True):
        text = text[:begin] + word + text[end:]
    return " ".join(text.split())


def _plan(
    text: str,
    found: Names,
    times: Sequence[ReadRange],
    filters: ReadFilters,
    read: ReadIntent,
    read_by: str,
    similar_to: UUID | None,
    taken: Sequence[Place],
) -> QueryPlan:
    intent: Intent | None = read.intent
    words = search_words(text, taken, all_of_it=intent == "search")
    if intent is None and (found.links or filters.interaction_types) and not words and not found.unknown and not asks_to_act(text):
        intent, read_by = _without_a_verb(text, found, times, filters), "rules"
    if intent == "search" and not words:
        intent = "summary" if _SAID.search(text) else "timeline"
    entities, participants = _people(text, found.links, intent)
    periods = _periods(times) if intent == "compare" or len(times) == 1 else ()
    scores = [each.score for each in (*entities, *participants)]
    return QueryPlan(
        intent=intent,
        entities=entities,
        participants=participants,
        time_range=_range(times[0]) if times else None,
        periods=periods,
        sources=filters.sources,
        interaction_types=filters.interaction_types,
        languages=filters.languages,
        grouping=filters.grouping,
        limit=filters.limit,
        similar_to=similar_to if intent == "similar" else None,
        words=words if intent != "similar" else "",
        confidence=round(min([read.confidence or 0.5, *scores]), 3) if intent else 0.0,
        read_by=read_by if intent else "none",  # type: ignore[arg-type]
        state="ready" if intent else "abstains",
        question_back="" if intent else "?",
    )


def _without_a_verb(text: str, found: Names, times: Sequence[ReadRange], filters: ReadFilters) -> Intent:
    """ "Calls with Acme" asks for them; a person's name alone, who that is; a company, or a name in more words, what happened."""
    if filters.interaction_types:
        return "timeline"
    person = all(link.candidates[0].entity_type == "person" for link in found.links)
    alone = len(name_words(mask(text, [(link.begin, link.end) for link in found.links]))) <= _BESIDE_A_NAME
    return "who" if person and not times and alone else "summary"


def _people(text: str, links: Sequence[NameLink], intent: Intent | None) -> tuple[tuple[PlanEntity, ...], tuple[PlanEntity, ...]]:
    """Whom the question is about, and who else must have taken part: "Acme with Bob"."""
    links = _unqualified(text, links)
    hidden = mask(text, [(link.begin, link.end) for link in links])
    beside = [link for link in links if _is_person(link) and _WITH.search(hidden[: link.begin])] if intent != "compare" else []
    about = [link for link in links if link not in beside]
    if not about:
        about, beside = list(links), []
    return entities_of(about), entities_of(beside)


def _unqualified(text: str, links: Sequence[NameLink]) -> list[NameLink]:
    """Without the company of "Jane Doe at Acme": it tells which Jane Doe is meant."""
    kept: list[NameLink] = []
    for link in links:
        before = kept[-1] if kept else None
        if before and _is_person(before) and not _is_person(link) and _AT.fullmatch(text[before.end : link.begin]):
            continue
        kept.append(link)
    return kept


def _is_person(link: NameLink) -> bool:
    return link.candidates[0].entity_type == "person"


def entities_of(links: Sequence[NameLink]) -> tuple[PlanEntity, ...]:
    """Whom links name, each once, in the order of the question."""
    entities = {each.ids: each for each in map(_entity, links)}
    return tuple(entities.values())


def _entity(link: NameLink) -> PlanEntity:
    first = link.candidates[0]
    ties = tuple(map(entity_ref, link.candidates)) if link.tied > 1 else ()
    return PlanEntity(
        id=None if ties else first.id,
        name=link.words if ties else first.name,
        entity_type=first.entity_type,
        score=link.score,
        words=link.words,
        ties=ties,
        tied=link.tied,
    )


def _range(read: ReadRange) -> TimeRange:
    return TimeRange(start=read.start, end=read.end, words=read.words[:500])


def _periods(times: Sequence[ReadRange]) -> tuple[TimeRange, ...]:
    single: list[Days] = [days for each in times for days in (each.members or (Days(each.start, each.end),))]
    return tuple(TimeRange(start=days.start, end=days.end) for days in single) if len(single) > 1 else ()


def _missed(times: Sequence[ReadRange], filters: ReadFilters, plan: QueryPlan) -> list[str]:
    more = [each.words for each in times[1:]] if not plan.periods else []
    return [*more, *(["more than 200"] if filters.capped else [])]
