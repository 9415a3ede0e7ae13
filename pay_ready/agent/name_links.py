"""The known people and companies that a question names, and the names in it that nobody has. What ties is reported, never guessed."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from pay_ready.agent.date_words import plain
from pay_ready.agent.name_forms import Form, domain_key, email_key, folded_word, word_key
from pay_ready.agent.name_places import Word, is_cut_out, is_named_alone, is_ordinary, name_end, unknown_names, words_of
from pay_ready.agent.names import Candidate, Matches, NameIndex

_LONGEST_READ = 2_000  # characters
_MOST_WORDS = 7  # of a name in a question
_SCORES = {Form.WHOLE: 1.0, Form.ADDRESS: 1.0, Form.SHORT: 0.97, Form.GIVEN: 0.93, Form.INITIAL: 0.9, Form.ACRONYM: 0.85, Form.SINGLE: 0.8}
_MISTYPED = 0.9  # of the score
_SHORTEST_MISTYPED = 6  # letters in the whole name
_ADDRESS = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")
_DOMAIN = re.compile(r"(?:https?://)?(?<![@\w.])(?:[\w-]+\.)+[a-z]{2,}(?:/[^\s?]*)?(?![\w@])", re.IGNORECASE)


Near = Callable[[str], list[str]]  # the known words one typing error away; looked up once a question


@dataclass(frozen=True, slots=True, kw_only=True)
class NameLink:
    """Words of a question and whom they name. More than one candidate is a tie."""

    begin: int  # in the text
    end: int
    words: str
    score: float  # in (0, 1]: how much the way it was written tells
    candidates: tuple[Candidate, ...]
    tied: int  # how many there are, 1 for no tie; the candidates may be fewer


@dataclass(frozen=True, slots=True)
class Names:
    """What a question's names are."""

    links: tuple[NameLink, ...]
    unknown: tuple[tuple[int, int], ...]  # where names stand that nobody has
    doubtful: tuple[NameLink, ...] = ()  # known names that look like a piece of an unknown one: "Acme" in "Acme Foods"


@dataclass(frozen=True, slots=True)
class _Found:
    first: int  # words
    last: int
    matches: Matches
    mistyped: bool = False
    begin: int = 0  # characters, of an address
    end: int = 0


def link_names(text: str, index: NameIndex, taken: Sequence[tuple[int, int]] = ()) -> Names:
    """Whom a text names.

    Args:
        text: A question, as asked.
        index: The tenant's names.
        taken: Places that are something else, such as the name of a source.
    """
    text = plain(text[:_LONGEST_READ])
    addresses = list(_addresses(text, index))
    covered = [*taken, *((found.begin, found.end) for found, _ in addresses)]
    words = [word for word in words_of(text) if not any(word.begin < end and begin < word.end for begin, end in covered)]
    found, doubtful = _chosen(words, index, cache(lambda word: index.typos.near(word)))
    named = [(words[each.first].begin, name_end(words, each.last), each) for each in found]
    named += [(each.begin, each.end, each) for each, known in addresses if known]
    named = sorted(_without_ties(named, index), key=lambda each: each[0])
    links = tuple(_link(text, begin, end, each, index) for begin, end, each in named)
    unknown = [(each.begin, each.end) for each, known in addresses if not known and "@" in text[each.begin : each.end]]
    unknown += unknown_names(words, _covered(found))
    pieces = [(words[each.first].begin, words[each.last].name_end(), each) for each in doubtful if each.matches.form <= Form.GIVEN]
    return Names(links, tuple(sorted(unknown)), tuple(_link(text, begin, end, each, index) for begin, end, each in pieces))


def _link(text: str, begin: int, end: int, found: _Found, index: NameIndex) -> NameLink:
    score = _SCORES[found.matches.form] * (_MISTYPED if found.mistyped else 1.0)
    candidates = index.candidates(found.matches.numbers)
    return NameLink(
        begin=begin, end=end, words=text[begin:end], score=round(score, 3), candidates=candidates, tied=len(found.matches.numbers)
    )


def _addresses(text: str, index: NameIndex) -> Iterator[tuple[_Found, bool]]:
    for match in _ADDRESS.finditer(text):
        known = index.find(email_key(match[0]))
        yield _Found(0, 0, known or Matches(Form.ADDRESS, ()), begin=match.start(), end=match.end()), known is not None
    for match in _DOMAIN.finditer(text):
        if (key := domain_key(match[0])) and (known := index.find(key)):
            yield _Found(0, 0, known, begin=match.start(), end=match.end()), True


def _chosen(words: Sequence[Word], index: NameIndex, near: Near) -> tuple[list[_Found], list[_Found]]:
    """From left to right the longest name, as written or else with one error; and what is only a piece of another name."""
    found = list(_whole_names(words, index, near))
    whole = [each for each in found if each.matches.form <= Form.GIVEN and not each.mistyped]
    sure = [each for each in found if not _is_doubtful(words, each, whole, index)]
    known = _covered(sure)
    sure = [each for each in sure if each.matches.form < Form.ACRONYM or not _is_half(words, each, known)]
    return sure, [each for each in found if each not in sure]


def _covered(found: Iterable[_Found]) -> set[int]:
    return {place for each in found for place in range(each.first, each.last + 1)}


def _is_half(words: Sequence[Word], found: _Found, known: set[int]) -> bool:
    """ "Wilson" of "Wilson and Knight Ltd"."""
    after = found.last + 2
    return after < len(words) and words[after - 1].text in ("and", "&") and words[after].large and after not in known


def _whole_names(words: Sequence[Word], index: NameIndex, near: Near) -> Iterator[_Found]:
    at = 0
    while at < len(words):
        found = _longest(words, at, index, near)
        if found:
            yield found
        at = found.last + 1 if found else at + 1


def _longest(words: Sequence[Word], at: int, index: NameIndex, near: Near) -> _Found | None:
    row = _row(words, at)
    for size in range(len(row), 0, -1):
        for mistyped in (False, True):
            for spelled in _spellings(row[:size]):
                matches = _mistyped(spelled, row[:size], index, near) if mistyped else _as_written(spelled, index)
                if matches and _may_name(row[:size], matches, mistyped=mistyped):
                    return _Found(at, at + size - 1, matches, mistyped)
    return None


def _row(words: Sequence[Word], at: int) -> list[Word]:
    """The words from a place on that may be one name: nothing but blanks and signs of names between them."""
    row = [words[at]]
    for word in words[at + 1 : at + _MOST_WORDS]:
        if not word.follows:
            break
        row.append(word)
    return row


def _spellings(row: Sequence[Word]) -> Iterator[list[str]]:
    """The words folded; first as they stand, then without the "'s" of the last one."""
    folded = [folded_word(word.text) for word in row]
    yield folded
    if row[-1].possessive:
        yield [*folded[:-1], folded_word(row[-1].text[:-2])]


def _as_written(spelled: Sequence[str], index: NameIndex) -> Matches | None:
    # Who is only known as "C Jones" is no better match for that than Carla Jones.
    together = Form.INITIAL if any(len(word) == 1 for word in spelled) else Form.WHOLE
    return index.find(word_key(spelled), together)


def _mistyped(spelled: Sequence[str], row: Sequence[Word], index: NameIndex, near: Near) -> Matches | None:
    """One word of it replaced by a known word that is one error away. A word that some name has is no error."""
    if sum(map(len, spelled)) < _SHORTEST_MISTYPED - 1:
        return None
    found: set[int] = set()
    form = Form.SINGLE
    for place, word in enumerate(spelled):
        if is_ordinary(word) and not (row[place].large and len(row) > 1 and not row[place].opens):
            continue
        for other in near(word):
            matches = index.find(word_key([*spelled[:place], other, *spelled[place + 1 :]]))
            if matches and matches.form <= Form.GIVEN and sum(map(len, spelled)) - len(word) + len(other) >= _SHORTEST_MISTYPED:
                found |= set(matches.numbers)
                form = min(form, matches.form)
    return Matches(form, tuple(sorted(found))) if found else None


def _may_name(row: Sequence[Word], matches: Matches, *, mistyped: bool) -> bool:
    """Ordinary words name nobody unless written large, nor do acronyms written small, nor does a single word that is mistyped and small."""
    if matches.form is Form.ACRONYM:
        return row[0].text.isupper() and len(row) == 1
    if len(row) == 1 and (mistyped or matches.form is Form.SINGLE):
        return is_named_alone(row[0])
    if all(is_ordinary(folded_word(word.text)) for word in row):
        return all(word.large for word in row) and not (row[0].opens and len(row) == 1) and matches.form <= Form.SHORT
    return True


def _is_doubtful(words: Sequence[Word], found: _Found, whole: Sequence[_Found], index: NameIndex) -> bool:
    weak = found.matches.form >= Form.INITIAL or any(len(word.text) == 1 for word in words[found.first : found.last + 1])
    company = _of_companies(found, index)
    # "Jane Doe Acme" is two names, "Clover Stellar" may be a third company's.
    others = set() if weak else _covered(each for each in whole if _of_companies(each, index) != company)
    return is_cut_out(words, found.first, found.last, others, weak=weak, company=company)


def _of_companies(found: _Found, index: NameIndex) -> bool:
    return all(index.is_company(number) for number in found.matches.numbers[:20])


def _without_ties(named: list[tuple[int, int, _Found]], index: NameIndex) -> list[tuple[int, int, _Found]]:
    """ "Jane Doe at Acme": of several Jane Does the one with an address there."""
    companies = [number for _, _, each in named for number in each.matches.numbers if index.is_company(number)]
    return [(begin, end, _settled(each, companies, index)) for begin, end, each in named]


def _settled(found: _Found, companies: Sequence[int], index: NameIndex) -> _Found:
    numbers = found.matches.numbers
    if len(numbers) < 2 or not companies or any(index.is_company(number) for number in numbers):
        return found
    there = index.employed_by(numbers, companies)
    return replace(found, matches=Matches(found.matches.form, there)) if there else found
