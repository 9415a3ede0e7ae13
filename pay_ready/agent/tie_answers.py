"""The answer to a question back: which of several is meant, by number, name, address or company; "both"; "yes"."""

import re
from collections.abc import Iterator, Sequence

from pay_ready.agent.asking import tied_of
from pay_ready.agent.name_forms import name_words
from pay_ready.agent.name_links import NameLink, link_names
from pay_ready.agent.names import NameIndex
from pay_ready.agent.plan import EntityRef, PlanEntity, QueryPlan
from pay_ready.agent.question_words import PREPOSITIONS, SMALL, words_in

_I = re.IGNORECASE
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_NUMBER = re.compile(
    rf"^(?:the )?(?:(?:number|no\.?|nr\.?|option|#) ?)?(?:\(?(\d{{1,2}})[.)]?|({'|'.join(_ORDINALS)}))(?: one| person| company)?\W*$", _I
)
_THE_LAST = re.compile(r"^the last(?: one)?\W*$", _I)
_ALL = re.compile(
    r"^(?:both|all|either|any|all (?:of )?(?:them|those|these)|both of (?:them|those|these)|each of them|everybody|everyone)\W*$", _I
)
_KIND = re.compile(r"^(?:the |a )?(person|company)(?: please)?\W*$", _I)
_YES = re.compile(r"^(?:yes|yep|yeah|yup|right|exactly|correct|sure|i (?:do|did)|that one|that's (?:it|right|the one))\W*$", _I)
_LEADING = re.compile(
    r"^(?:(?:i mean|i meant|it is|it's|that is|that's|the one|the|one|who|which|is|works?|working|at|from|of|in|with)\b ?)+", _I
)
_BESIDE = PREPOSITIONS | SMALL | words_in("person company team guy man woman lady firm account customer office side s")
_LONGEST = 6  # words of an answer that names nobody
_SHORTEST = 3  # letters that are looked for within a name or address
_SURE = 1.0

People = tuple[tuple[PlanEntity, ...], tuple[PlanEntity, ...]]


def chosen_of(before: QueryPlan, text: str, names: NameIndex) -> People | None:
    """People and companies of the plan, and who else took part, with the answer put in; None where the text answers nothing.

    Args:
        before: A plan that asks back.
        text: What was said to it, plain.
        names: Of the tenant.
    """
    tied = tied_of(before)
    if tied is None:
        if before.suggested is None or not _YES.match(text):
            return None
        return (*before.entities, _chosen(before.suggested, before.suggested.name)), before.participants
    refs = _choice(tied, text.strip(), names)
    if not refs:  # a number that nobody has is no new question
        return (before.entities, before.participants) if _NUMBER.match(text.strip()) else None
    entities, participants = (tuple(_put_in(each, tied, refs)) for each in (before.entities, before.participants))
    return entities, participants


def _put_in(entities: Sequence[PlanEntity], tied: PlanEntity, refs: Sequence[EntityRef]) -> Iterator[PlanEntity]:
    for each in entities:
        if each is tied:
            yield from (_chosen(ref, tied.words) for ref in refs)
        else:
            yield each


def _chosen(ref: EntityRef, words: str) -> PlanEntity:
    return PlanEntity(id=ref.id, name=ref.name, entity_type=ref.entity_type, score=_SURE, words=words, detail=ref.detail)


def _choice(tied: PlanEntity, text: str, names: NameIndex) -> Sequence[EntityRef]:
    """Of those that tie the ones that are meant; none where the text does not say."""
    if _ALL.match(text):
        return tied.ties
    if _THE_LAST.match(text):
        return tied.ties[-1:]
    if found := _NUMBER.match(text):
        number = int(found[1]) if found[1] else _ORDINALS.index(found[2].lower()) + 1
        return tied.ties[number - 1 : number] if number else ()
    if found := _KIND.match(text):
        kind = found[1].lower()
        return _alone([each for each in tied.ties if each.entity_type == kind])
    return _named(tied, text, names)


def _named(tied: PlanEntity, text: str, names: NameIndex) -> Sequence[EntityRef]:
    """The one with that name, address or employer."""
    told = _LEADING.sub("", text).strip(" ?.!,;:")
    links = link_names(f"with {told}", names).links
    if _says_more(f"with {told}", links):
        return ()
    linked = {candidate.id for link in links for candidate in link.candidates}
    if len(chosen := [each for each in tied.ties if each.id in linked]) == 1:
        return chosen
    for link in links:
        # "The one at Initech": read as "Sam Lee at Initech" would have been.
        there = {
            candidate.id
            for each in link_names(f"{tied.words} at {link.words}", names).links if each.tied == 1 for candidate in each.candidates
        }  # fmt: skip
        if len(chosen := [each for each in tied.ties if each.id in there]) == 1:
            return chosen
    wanted = told.casefold()  # a piece of a name or address
    if len(wanted) < _SHORTEST:
        return ()
    return _alone([each for each in tied.ties if wanted in each.name.casefold() or wanted in each.detail.casefold()])


def _says_more(text: str, links: Sequence[NameLink]) -> bool:
    """Whether there is more in it than names and what stands beside them: a question of its own answers nothing."""
    if not links:
        return len(text.split()) > _LONGEST
    rest = text
    for link in reversed(links):
        rest = rest[: link.begin] + " " + rest[link.end :]
    return any(word not in _BESIDE for word in name_words(rest))


def _alone(refs: Sequence[EntityRef]) -> Sequence[EntityRef]:
    return refs if len(refs) == 1 else ()
